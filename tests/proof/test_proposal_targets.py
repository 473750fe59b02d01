"""What several roots and environments share is said once; what was not planned against its account cannot be overlooked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops_agent.core.proposal.proposal import build_proposal
from ops_agent.domain.verification import Verification
from proof.proof_samples import captured, ending, material, section, target

ENGINE = "Terraform 1.15.5 (embedded)"
PROD = target("prod", plan=captured("replace"), mocked=True, placeholders=("image",), unplanned="no role was given")
TWO = Verification(engine=ENGINE, targets=(target(plan=captured("replace")), PROD))


def test_equal_entries_of_two_environments_are_said_once_with_both_names() -> None:
    body = build_proposal(material(verification=TWO)).body
    infrastructure = section(body, "Infrastructure changes")
    assert infrastructure.count("Look at these first") == 1
    assert "**Look at these first** in `infra` (dev) and `infra` (prod):" in infrastructure
    assert "Resources in `infra` (dev) and `infra` (prod):" in infrastructure


def test_what_only_one_environment_has_stands_under_its_name_alone() -> None:
    dev, prod = target(plan=captured("replace")), target("prod", plan=captured("delete"))
    body = build_proposal(material(verification=Verification(engine=ENGINE, targets=(dev, prod)))).body
    infrastructure = section(body, "Infrastructure changes")
    for name in ("dev", "prod"):
        assert f"**Look at these first** in `infra` ({name}):" in infrastructure
        assert f"Resources in `infra` ({name}):" in infrastructure


def test_a_look_with_mocks_and_invented_values_is_unmistakable() -> None:
    """T1: in a warning before everything else of the section, in the line of counts, at the plan, and at the checks."""
    body = build_proposal(material(verification=TWO)).body
    assert (
        section(body, "Infrastructure changes")
        .lstrip()
        .startswith("> [!WARNING]\n> **Not planned against the account**\n> - `infra` (prod)")
    )
    assert "**mocked, not planned against the account**, **planned with invented values** for `image` |" in body
    assert "<summary>MOCKED look at infra (prod)" in body and "<summary>Plan of infra (dev)" in body
    assert "**Invented values** stand for what has none in the repository: `image`." in section(body, "Validation")


@pytest.mark.parametrize("words", ["None.", "none", "N/A", "*No changes*", " - ", "nothing.", "No change.", "Not applicable."])
def test_words_that_say_nothing_are_left_out(words: str) -> None:
    silent = replace(material().transcript, ending=ending(infrastructure=words))
    assert "In the agent's words" not in section(build_proposal(material(transcript=silent)).body, "Infrastructure changes")


@pytest.mark.parametrize("words", ["None of the queues is encrypted.", "No backups!", "Nothing but the queue."])
def test_words_that_begin_like_nothing_are_kept(words: str) -> None:
    telling = replace(material().transcript, ending=ending(infrastructure=words))
    assert words in section(build_proposal(material(transcript=telling)).body, "Infrastructure changes")


def test_what_all_plans_were_made_from_is_said_once_with_the_provenance() -> None:
    made = material()
    body = build_proposal(made).body
    assert [body.count(fact) for fact in (ENGINE, made.claim.base_commit, made.changes.digest)] == [1, 1, 1]
    assert ENGINE in section(body, "Provenance")
