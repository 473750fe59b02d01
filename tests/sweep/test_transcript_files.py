"""`upload_transcript`: the conversation is a file on the runner, however the run ended (G13)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ops_agent import cli
from sweep.sweep_doubles import asking, working
from sweep.sweep_world import GIVEN, End, Play, Theatre

KEEPING = replace(GIVEN, upload_transcript=True)


@pytest.fixture
def play(theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return theatre.play()


def _cancel() -> None:
    raise KeyboardInterrupt


ENDS: dict[str, Callable[[Theatre, Play], End]] = {
    "published": lambda _, play: play.run(play.labelled(), working(), settings=KEEPING),
    "needs_info": lambda _, play: play.run(play.labelled(), asking(), settings=KEEPING),
    "github_failed": lambda theatre, play: play.run(
        play.labelled(), between=lambda: theatre.github.revoke(play.token), settings=KEEPING
    ),
    "cancelled": lambda _, play: play.run(play.labelled(), between=_cancel, settings=KEEPING),
}


@pytest.mark.parametrize("conclusion", ENDS)
def test_whatever_a_run_ends_with_its_conversation_is_kept_for_its_owner_alone(
    theatre: Theatre, play: Play, conclusion: str
) -> None:
    end = ENDS[conclusion](theatre, play)
    assert end.conclusion == conclusion, end.reporter.said
    kept = Path(end.reporter.outputs["execution_file"])
    assert kept.name == "ops-agent-transcript-12.json" and kept.stat().st_mode & 0o777 == 0o600
    told = json.loads(kept.read_text())
    assert told["turns"] and play.token not in kept.read_text()


def test_nothing_is_kept_unless_it_is_asked_for(play: Play, tmp_path: Path) -> None:
    end = play.run(play.labelled(), between=_cancel)
    assert end.reporter.outputs["execution_file"] == "" and not list(tmp_path.glob("ops-agent-transcript-*"))


def test_a_transcript_that_cannot_be_written_does_not_change_how_the_run_ends(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "write_transcript", full)
    end = play.run(play.labelled(), working(), settings=KEEPING)
    assert (end.exit_code, end.conclusion, end.reporter.outputs["execution_file"]) == (0, "published", "")
    assert ("warning", "The transcript could not be written: No space left on device") in end.reporter.annotations
