"""Whatever ends a run after files were changed: the changes are kept as a patch, without what nobody may be shown."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.agent_doubles import call, reply
from ops_agent.model.conversation import LlmReply
from ops_agent.model.errors import LlmError
from ops_agent.model.terraform import TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from sweep.sweep_doubles import (
    FILES,
    QUEUE,
    QUEUE_FILE,
    WORKFLOW,
    WORKFLOW_FILE,
    Terraform,
    Workspace,
    finished,
    forbidden,
    working,
    write,
)
from sweep.sweep_world import GIVEN, End, IssueScenario, SweepGitHub

TOKEN = "ghp_" + "a1B2c3D4e5" * 4
LIMITS = replace(GIVEN.limits, max_repair_rounds=0)


@pytest.fixture
def scenario(sweep_github: SweepGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IssueScenario:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return sweep_github.scenario()


class Refusing(Workspace):
    def validate(self) -> CheckResult:
        return CheckResult(name="validate", subject="infra", status=CheckStatus.FAILED, output="Unsupported argument")


class RefusingTerraform(Terraform):
    @contextmanager
    def workspace(self, tree: Path, target: TerraformTarget, *_: object, **__: object) -> Iterator[Workspace]:
        yield (Refusing if (tree / QUEUE_FILE).exists() else Workspace)(tree, target)


def _raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _play(scenario: IssueScenario, replies: tuple[LlmReply, ...], **given: Any) -> End:
    limits = replace(LIMITS, **given.pop("limits", {}))
    settings = replace(GIVEN, limits=limits, draft_on_failure=False)
    return scenario.run(scenario.labelled(), replies, settings=settings, **given)


def _failing_checks(scenario: IssueScenario, monkeypatch: pytest.MonkeyPatch) -> End:
    world = scenario.world
    monkeypatch.setattr(scenario, "world", lambda http=None: replace(world(http), terraform=RefusingTerraform()))
    return _play(scenario, (write(QUEUE_FILE, QUEUE), finished()))


ENDS: Mapping[str, Callable[[IssueScenario, pytest.MonkeyPatch], End]] = {
    "blocked_by_policy": lambda scenario, _: _play(scenario, forbidden()),
    "checks_failed": _failing_checks,
    "budget_exhausted": lambda scenario, _: _play(scenario, working(), limits={"max_turns": 1}),
    "no_progress": lambda scenario, _: _play(scenario, (write(QUEUE_FILE, QUEUE), reply())),
    "cancelled": lambda scenario, _: _play(scenario, working(), between=_raising(KeyboardInterrupt())),
    "llm_failed": lambda scenario, _: _play(scenario, working(), between=_raising(LlmError("overloaded"))),
    "github_failed": lambda scenario, _: _play(
        scenario, working(), between=lambda: scenario.github.revoke(scenario.token)
    ),
    "stale": lambda scenario, _: _play(scenario, working(), between=lambda: scenario.issue.lock(by="maria")),
}


@pytest.mark.parametrize("conclusion", ENDS)
def test_changes_that_no_pull_request_shows_are_kept_as_a_patch(
    scenario: IssueScenario, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, conclusion: str
) -> None:
    end = ENDS[conclusion](scenario, monkeypatch)
    assert end.conclusion == conclusion, end.reporter.said
    kept = Path(end.reporter.outputs["patch"])
    assert kept.stat().st_mode & 0o777 == 0o600
    page = "".join(end.reporter.summaries)
    assert "<details><summary>Patch for git apply</summary>" in page and kept.read_text() in page
    checkout = tmp_path / "checkout"
    for name, content in FILES.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(content)
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    subprocess.run(["git", "apply", kept], cwd=checkout, check=True)
    assert (checkout / QUEUE_FILE).exists()
    if conclusion not in ("github_failed", "stale"):  # the token is gone, or the issue is locked
        assert "kept as a patch in the job summary" in scenario.issue.comments[-1].body


def test_a_pull_request_needs_no_patch(scenario: IssueScenario, tmp_path: Path) -> None:
    end = _play(scenario, working())
    assert (end.conclusion, end.reporter.outputs["patch"]) == ("published", "")
    assert not list(tmp_path.glob("*.patch"))


def test_no_file_with_a_secret_or_that_the_guard_refuses_is_kept(scenario: IssueScenario) -> None:
    secret = f'resource "aws_ssm_parameter" "t" {{\n  name  = "t"\n  type  = "String"\n  value = "{TOKEN}"\n}}\n'
    own = f"# {scenario.token}\n"
    replies = (
        write("infra/token.tf", secret),
        write("infra/own.tf", own),
        write("infra/hidden.tf", "# \u200b\n"),
        write(WORKFLOW_FILE, WORKFLOW),
        write(QUEUE_FILE, QUEUE),
        finished(),
    )
    end = _play(scenario, replies)
    assert end.conclusion == "blocked_by_policy", end.reporter.said
    patch = Path(end.reporter.outputs["patch"]).read_text()
    assert QUEUE_FILE in patch and WORKFLOW_FILE in patch
    assert all(name not in patch for name in ("token.tf", "own.tf", "hidden.tf"))
    page = "".join(end.reporter.summaries)
    assert TOKEN not in page and scenario.token not in page
    assert "infra/token.tf is left out: a rule finds a secret in it" in page
    assert "infra/own.tf is left out" in page and "infra/hidden.tf is left out: the guard refuses it" in page


def test_a_patch_that_cannot_be_written_does_not_change_how_the_run_ends(
    scenario: IssueScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ops_agent.cli.write_patch", full)
    end = _play(scenario, forbidden())
    assert (end.conclusion, end.reporter.outputs["patch"]) == ("blocked_by_policy", "")
    assert ("warning", "The patch could not be written: No space left on device") in end.reporter.annotations
    assert QUEUE_FILE in "".join(end.reporter.summaries)


def test_a_run_that_changed_nothing_has_no_patch(scenario: IssueScenario) -> None:
    end = _play(scenario, (reply(call("list")),), limits={"max_turns": 1})
    assert end.reporter.outputs["patch"] == "" and "Patch" not in "".join(end.reporter.summaries)
