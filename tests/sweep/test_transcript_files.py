"""`upload_transcript`: the record of the run is a file on the runner, however the run ended."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ops_agent import cli
from sweep.sweep_doubles import asking, working
from sweep.sweep_world import GIVEN, End, IssueScenario, SweepGitHub

KEEPING = replace(GIVEN, upload_transcript=True)


@pytest.fixture
def scenario(sweep_github: SweepGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IssueScenario:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return sweep_github.scenario()


def _cancel() -> None:
    raise KeyboardInterrupt


ENDS: dict[str, Callable[[SweepGitHub, IssueScenario], End]] = {
    "published": lambda _, scenario: scenario.run(scenario.labelled(), working(), settings=KEEPING),
    "needs_info": lambda _, scenario: scenario.run(scenario.labelled(), asking(), settings=KEEPING),
    "github_failed": lambda sweep_github, scenario: scenario.run(
        scenario.labelled(), between=lambda: sweep_github.github.revoke(scenario.token), settings=KEEPING
    ),
    "cancelled": lambda _, scenario: scenario.run(scenario.labelled(), between=_cancel, settings=KEEPING),
}


@pytest.mark.parametrize("conclusion", ENDS)
def test_the_transcript_is_kept_for_its_owner_alone_however_the_run_ends(
    sweep_github: SweepGitHub, scenario: IssueScenario, conclusion: str
) -> None:
    end = ENDS[conclusion](sweep_github, scenario)
    assert end.conclusion == conclusion, end.reporter.said
    kept = Path(end.reporter.outputs["execution_file"])
    assert kept.name == "ops-agent-transcript-12.json" and kept.stat().st_mode & 0o777 == 0o600
    written = json.loads(kept.read_text())
    assert (
        written["conclusion"] == conclusion
        and written["transcript"]["turns"]
        and scenario.token not in kept.read_text()
    )


def test_nothing_is_kept_unless_it_is_asked_for(scenario: IssueScenario, tmp_path: Path) -> None:
    end = scenario.run(scenario.labelled(), between=_cancel)
    assert end.reporter.outputs["execution_file"] == "" and not list(tmp_path.glob("ops-agent-transcript-*"))


def test_a_transcript_that_cannot_be_written_does_not_change_how_the_run_ends(
    scenario: IssueScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "write_record", full)
    end = scenario.run(scenario.labelled(), working(), settings=KEEPING)
    assert (end.exit_code, end.conclusion, end.reporter.outputs["execution_file"]) == (0, "published", "")
    assert (
        "warning",
        "The record of the run could not be written: No space left on device",
    ) in end.reporter.annotations
