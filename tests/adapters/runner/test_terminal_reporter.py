"""Progress at a terminal, and in a pipe."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from ops_agent.adapters.runner.terminal import TerminalReporter, rich_console
from ops_agent.model.finding import Place


def written(terminal: bool) -> str:
    """What is written to a rich console, at a terminal or in a pipe."""
    out = io.StringIO()
    colours = "standard" if terminal else None
    console = Console(
        file=out, force_terminal=terminal, width=100, soft_wrap=True, highlight=False, color_system=colours
    )  # type: ignore[arg-type]
    play(TerminalReporter(lambda text: text.replace("hunter2", "***"), console))
    return out.getvalue()


def play(report: TerminalReporter) -> None:
    with report.stage("converse"):
        report.turn(3, 0.41, "wrote [bold]infra/main.tf[/bold]")
        report.line("hunter2 \x1b[31m[red]")
        report.annotate("error", "bad", Place(path="infra/main.tf", line=7))
    report.output("pr_url", "https://github.com/o/r/pull/1")
    report.output("plan_summary", "x" * 500)
    report.summary("# Done\n\nhunter2")
    with pytest.raises(ValueError, match="x"), report.stage("verify"):
        raise ValueError("x")


def test_a_pipe_gets_plain_lines() -> None:
    expect_plain_lines(written(terminal=False))


def test_without_rich_the_lines_are_plain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setitem(sys.modules, "rich.text", None)
    play(TerminalReporter(lambda text: text.replace("hunter2", "***"), rich_console()))
    expect_plain_lines(capsys.readouterr().out)


def expect_plain_lines(text: str) -> None:
    lines = text.splitlines()
    assert lines[0] == "== converse"
    assert "turn 3, $0.41: wrote [bold]infra/main.tf[/bold]" in lines[1]
    assert "\\x1b[31m[red]" in lines[2] and "***" in lines[2]
    assert lines[3] == "error: infra/main.tf:7: bad"
    assert lines[4].startswith("  done  converse")
    assert "pr_url: https://github.com/o/r/pull/1" in lines
    assert not any("plan_summary" in line or "hunter2" in line or "\x1b" in line for line in lines)
    assert lines[-1].startswith("failed  verify")


def test_a_terminal_shows_the_running_stage_with_turns_and_cost() -> None:
    shown = written(terminal=True)
    assert "\x1b[" in shown and "converse" in shown and "turn 3, $0.41" in shown and "hunter2" not in shown


def test_a_closed_terminal_does_not_end_the_run() -> None:
    out = io.StringIO()
    report = TerminalReporter(lambda text: text, Console(file=out))
    out.close()
    with report.stage("x"):
        report.line("y")
