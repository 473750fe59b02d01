"""Whatever a command breaks with, its job page says so: annotation, summary and the output `conclusion`, as for every
other end.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from ops_agent import cli
from ops_agent.__main__ import main
from ops_agent.model.conversation import Transcript, Usage
from ops_agent.model.errors import AwsError, Interrupted, OpsAgentError, as_error

KEY = "sk-ant-api03-" + "a1B2c3D4e5" * 4


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The files of a job, read by the name of their variable."""
    # Entering the command hardens the process and takes its signals: neither is for the tests' own process.
    monkeypatch.setattr("ops_agent.__main__.harden_this_process", lambda: None)
    monkeypatch.setattr("ops_agent.__main__.signal.signal", lambda *_: None)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("INPUT_ANTHROPIC_API_KEY", KEY)
    return lambda name: (tmp_path / name).read_text()


def breaks_with(broken: BaseException) -> Callable[..., int]:
    def run(*_: object) -> int:
        raise broken

    return run


def conclusion_in(output: str) -> str:
    """GITHUB_OUTPUT: `name<<delimiter`, value, delimiter."""
    lines = output.split("\n")
    return next(lines[at + 1] for at, line in enumerate(lines) if line.startswith("conclusion<<"))


@pytest.mark.parametrize(
    ("broken", "conclusion", "code"),
    [
        (AwsError("the role cannot be assumed"), "aws_failed", 6),
        (OSError(errno.ENOSPC, "x"), "no_space", 6),
        (KeyboardInterrupt(), "cancelled", 130),
        (ValueError(f"bad {KEY}"), "internal_error", 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_outside_of_a_work_item_has_a_conclusion_too(
    job: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: BaseException,
    conclusion: str,
    code: int,
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "run", breaks_with(broken))
    assert main(["run"]) == code
    said = capsys.readouterr()
    assert conclusion_in(job("GITHUB_OUTPUT")) == conclusion
    assert f"## ops-agent: {conclusion}" in job("GITHUB_STEP_SUMMARY")
    assert f"::error::{conclusion}: " in said.out and not said.err
    assert KEY not in said.out + said.err + job("GITHUB_OUTPUT") + job("GITHUB_STEP_SUMMARY")


def test_every_wrong_input_is_on_the_job_page(job: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("GITHUB_EVENT_NAME", "issues"),
        ("GITHUB_EVENT_PATH", "x"),
        ("GITHUB_REPOSITORY", "o/r"),
        ("GITHUB_RUN_ID", "1"),
    ):
        monkeypatch.setenv(name, value)
    for name in ("GITHUB_RUN_ATTEMPT", "GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("INPUT_MAX_TURNS", "many")
    monkeypatch.setenv("INPUT_DRY_RUN", "perhaps")
    assert main(["run"]) == 2
    page = job("GITHUB_STEP_SUMMARY").replace("\\", "")
    assert "max_turns" in page and "dry_run" in page and KEY not in page
    assert conclusion_in(job("GITHUB_OUTPUT")) == "config_error"


def test_a_command_without_outputs_leaves_the_job_page_alone(
    job: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "doctor", breaks_with(AwsError("x")))
    assert main(["doctor"]) == 6
    assert job("GITHUB_OUTPUT") == job("GITHUB_STEP_SUMMARY") == ""


def test_a_bug_is_reported_by_its_places_innermost_first_and_never_by_its_message() -> None:
    def inner() -> None:
        raise KeyError("a secret")

    try:
        inner()
    except KeyError as broken:
        error = as_error(broken)
    first, second = str(error).removeprefix("KeyError at ").split(" < ")
    assert [place.partition(":")[0] for place in (first, second)] == ["test_endings.py"] * 2
    assert int(first.partition(":")[2]) < int(second.partition(":")[2])
    assert error.exit_code == 70 and "secret" not in str(error)


def test_a_known_error_is_kept_and_an_interrupt_keeps_the_transcript() -> None:
    known = AwsError("x")
    assert as_error(known) is known
    transcript = Transcript(turns=(), usage=Usage(), turn_count=0, ending=None)
    assert as_error(Interrupted(transcript)).transcript is transcript
    assert type(as_error(KeyError("x"))) is OpsAgentError
