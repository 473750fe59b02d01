"""What the doctor reports about inputs and the given checkout: every problem at once, and none about values that
nobody chose.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from layout_repository import PARTIAL, Repository
from ops_agent import doctor
from ops_agent.doctor import diagnose
from ops_agent.doctor.diagnosis import Diagnosis, Health

PATHS = {"PATH": "/usr/bin:/bin"}
ROLE = "arn:aws:iam::283165662494:role/ops-agent-plan"


def examined(folder: Path, monkeypatch: pytest.MonkeyPatch, *checks: str, **inputs: str) -> list[Diagnosis]:
    monkeypatch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name] for name in checks})
    return diagnose(folder, PATHS | {f"INPUT_{name.upper()}": text for name, text in inputs.items()})


def test_a_named_folder_that_is_no_repository_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "nope", tmp_path):
        (found,) = [one for one in examined(folder, monkeypatch) if one.subject == "layout"]
        assert found.health is Health.FAIL and f"{folder} is not a git repository" in found.what


def test_a_named_repository_without_a_commit_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Repository(tmp_path)
    (found,) = [one for one in examined(tmp_path, monkeypatch) if one.subject == "layout"]
    assert (found.health, found.what) == (Health.FAIL, "the checkout has no commit")


def test_a_missing_checkout_is_no_failure_when_nobody_named_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job needs no checkout."""
    monkeypatch.setattr(doctor, "CHECKS", {})
    monkeypatch.chdir(tmp_path)
    (found,) = [one for one in diagnose(None, PATHS) if one.subject == "layout"]
    assert found.health is Health.SKIP and found.hint == "Name one with --repo PATH."


def test_an_unknown_environment_is_reported_in_the_words_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Repository(tmp_path).look({"infra/main.tf": PARTIAL, "infra/backend/dev/backend.hcl": 'bucket = "b"\nkey = "k"\n'})
    found = examined(tmp_path, monkeypatch, "environments", environments="qa,dev")
    (wrong,) = [one for one in found if one.health is Health.FAIL]
    assert (
        wrong.what == "`environments` names qa, which the repository does not have"
        and wrong.hint == "Its environments are: dev."
    )
    assert not [
        one for one in examined(tmp_path, monkeypatch, "environments", environments="dev") if one.health is Health.FAIL
    ]


def test_an_input_that_cannot_be_used_is_never_judged_by_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role in prod's account is no role of dev; `terraform_binary` is good, and is the one that is asked for."""
    found = examined(tmp_path, monkeypatch, "AWS", "toolchain", aws_role_arn=ROLE, terraform_binary="/nope/terraform")
    said = {(one.subject, one.health): one.what for one in found if one.subject != "layout"}
    assert "the role of `dev` is in account 283165662494" in said["inputs", Health.FAIL]
    assert said["AWS", Health.SKIP] == "skipped, because `aws_role_arn` cannot be used"
    assert said["toolchain", Health.FAIL] == "No Terraform was found: looked for /nope/terraform"
    assert ("AWS", Health.WARN) not in said
    assert not any("Terraform" in one.what for one in found if one.subject == "toolchain" and one.health is Health.OK)


def test_with_an_unknown_engine_name_the_toolchain_check_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examined(tmp_path, monkeypatch, "toolchain", terraform_binary="terragrunt")
    assert [one.what for one in found if one.subject == "toolchain"] == [
        "skipped, because `terraform_binary` cannot be used"
    ]


def test_every_way_to_the_llm_has_a_name() -> None:
    """Otherwise the doctor of that way would break."""
    from unittest.mock import Mock

    from ops_agent.config.settings import ways_to_llm
    from ops_agent.doctor.outside import LLM_WAYS

    assert set(ways_to_llm(Mock())) == set(LLM_WAYS)


def test_every_input_that_a_check_needs_exists() -> None:
    from entry_points.action_files import ACTION
    from ops_agent.doctor.checks import CHECKS, NEEDS

    assert set(NEEDS) <= set(CHECKS)
    assert frozenset().union(*NEEDS.values()) <= set(ACTION["inputs"])
