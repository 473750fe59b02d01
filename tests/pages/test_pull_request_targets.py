"""What several roots and environments share is shown once; what was not planned against its account cannot be
overlooked.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.pages.plans import names_of
from ops_agent.pages.pull_request import build_proposal
from ops_agent.pages.results import MAX_DANGERS
from pages.page_samples import ending, first_screen, material, section, target
from plan.plan_samples import captured, change, plan_document, read

ENGINE = "Terraform 1.15.5 (embedded)"
PROD = target("prod", plan=captured("replace"), offline=True, placeholders=("image",), unplanned="no role was given")
TWO = Verification(engine=ENGINE, targets=(target(plan=captured("replace")), PROD))


def test_equal_entries_of_two_environments_are_shown_once_with_both_names() -> None:
    body = build_proposal(material(verification=TWO)).body
    infrastructure, first = section(body, "Infrastructure changes"), first_screen(body)
    assert body.count("Review these first") == first.count("(`plan/destroys`)") == 1
    assert "- `terraform_data.a` in `infra` (dev, prod): is replaced" in first
    assert (
        "Changes in `infra` (dev, prod), the same in each:" in infrastructure
        and infrastructure.count("| **REPLACE") == 1
    )


def test_what_only_one_environment_has_is_shown_under_its_name_alone() -> None:
    dev, prod = target(plan=captured("replace")), target("prod", plan=captured("delete"))
    body = build_proposal(material(verification=Verification(engine=ENGINE, targets=(dev, prod)))).body
    infrastructure = section(body, "Infrastructure changes")
    assert "| Change | Resource | Target |\n" in infrastructure
    assert "\nUndo of each: **recreate**: create it again; it gets a new id.\n" in infrastructure
    for name, kind in (("dev", "REPLACE (DELETE FIRST)"), ("prod", "DELETE")):
        assert f"- `terraform_data.a` in `infra` ({name}): " in first_screen(body)
        assert f"| **{kind}** | `terraform_data.a` | `infra` ({name}) |" in infrastructure


def test_the_worst_comes_first_whichever_environment_it_is_in() -> None:
    """A danger of one environment alone comes before a notice that all share, and a row that cannot be undone
    before the others.
    """
    table = change("aws_dynamodb_table.orders", "delete", before={"name": "orders"})
    shared = [change(f"terraform_data.a{n}", "delete", before={}) for n in range(3)]
    dev, prod = target(plan=read(plan_document(*shared))), target("prod", plan=read(plan_document(*shared, table)))
    body = build_proposal(material(verification=Verification(engine=ENGINE, targets=(dev, prod)))).body
    items = [line for line in body.split("\n") if line.startswith(("- ", "| **D"))]
    assert items[0].startswith("- **ALLOWED by `allow-destroy`** `aws_dynamodb_table.orders` in `infra` (prod): ")
    assert items[1].startswith("- `terraform_data.a0` in `infra` (dev, prod): ")
    assert next(line for line in items if line.startswith("|")).startswith(
        "| **DELETE** | `aws_dynamodb_table.orders` | `infra` (prod) |"
    )


def test_eight_pairs_with_sixty_dangers_stay_readable_and_none_is_lost() -> None:
    """What does not fit is counted where it is cut, and is in the job summary."""
    names = [f"env{n}" for n in range(8)]
    doomed = read(plan_document(*(change(f"aws_dynamodb_table.t{n}", "delete", before={}) for n in range(60))))
    without = "no role was given"
    targets = tuple(
        target(name, plan=doomed, offline=name != "env0", unplanned=without if name != "env0" else None)
        for name in names
    )
    proposal = build_proposal(material(verification=Verification(engine=ENGINE, targets=targets)))
    first = first_screen(proposal.body)
    listed = [line for line in first.split("\n") if line.startswith("- **ALLOWED")]
    assert len(listed) == MAX_DANGERS and "- **and 20 more in the job summary**" in first
    assert proposal.overflow.count("- **ALLOWED") == 20
    assert proposal.body.count(without) == 1, "seven environments, one reason"
    assert "| init | passed | every target (8) |" in section(proposal.body, "Validation")


def test_roots_with_the_same_environments_are_named_together() -> None:
    def of(root: str, name: str) -> TargetVerification:
        made = target(name)
        return replace(made, target=replace(made.target, root=replace(made.target.root, path=root)))

    assert names_of([of("a", "dev"), of("a", "prod"), of("b", "dev")]) == "`a` (dev, prod); `b` (dev)"
    assert names_of([of("a", "dev"), of("b", "dev"), of("c", "prod")]) == "`a`, `b` (each dev); `c` (prod)"


def test_counts_and_reasons_are_not_repeated_with_the_plans() -> None:
    body = build_proposal(material(verification=TWO)).body
    assert body.count("`+1 ~0 -1`") == len(TWO.targets)
    assert "+1 ~0 -1" not in section(body, "Terraform plan")
    assert body.count("no role was given") == 1


def test_a_graph_that_two_environments_share_is_drawn_once_and_one_without_lines_not_at_all() -> None:
    def drawn(*plans: str) -> int:
        targets = tuple(target(f"env{number}", plan=captured(name)) for number, name in enumerate(plans))
        return section(
            build_proposal(material(verification=Verification(engine=ENGINE, targets=targets))).body, "Terraform plan"
        ).count("```mermaid")

    assert (drawn("create"), drawn("create", "create"), drawn("aws_dangers")) == (1, 1, 0)


def test_an_offline_plan_and_placeholder_values_cannot_be_overlooked() -> None:
    """In the headline and a warning, in the line of counts and at the plan; the reason once."""
    body = build_proposal(material(verification=TWO)).body
    assert first_screen(body).startswith("**dev +1 ~0 -1, 1 REPLACE planned, prod the same offline;")
    assert (
        "> [!WARNING]\n> **Not planned against the account**\n> - `infra` (prod), offline plan: no role was given\n"
    ) in first_screen(body)
    assert "| `infra` (prod) | `+1 ~0 -1`, **1 REPLACE**, **offline** |" in body
    assert "<summary>Offline plan of infra (prod)" in body and "<summary>Plan of infra (dev)" in body
    assert (
        "> **Planned with placeholder values** in `infra` (prod): the repository sets no value for `image`."
        in first_screen(body)
    )
    assert "not run" not in section(body, "Validation")


@pytest.mark.parametrize(
    "words", ["None.", "none", "N/A", "*No changes*", " - ", "nothing.", "No change.", "Not applicable."]
)
def test_words_that_say_nothing_are_left_out(words: str) -> None:
    silent = replace(material().transcript, ending=ending(infrastructure=words))
    assert "In the agent's words" not in section(
        build_proposal(material(transcript=silent)).body, "Infrastructure changes"
    )


@pytest.mark.parametrize("words", ["None of the queues is encrypted.", "No backups!", "Nothing but the queue."])
def test_words_that_begin_like_nothing_are_kept(words: str) -> None:
    telling = replace(material().transcript, ending=ending(infrastructure=words))
    assert words in section(build_proposal(material(transcript=telling)).body, "Infrastructure changes")


def test_what_all_plans_were_made_from_is_shown_once_with_the_provenance() -> None:
    made = material()
    body = build_proposal(made).body
    assert [body.count(fact) for fact in (ENGINE, made.claim.base_commit, made.changes.digest)] == [1, 1, 1]
    assert ENGINE in section(body, "Validation")


def test_nothing_is_claimed_of_a_change_that_was_not_planned() -> None:
    unplanned = target(unplanned="the base fails", placeholders=("image",))
    body = build_proposal(material(verification=Verification(engine="t", targets=(unplanned,)))).body
    assert "dangers not examined" in body and "no danger" not in body
    assert "Planned with placeholder values" not in body
    assert "Nothing was planned, so nothing is known here." in body
