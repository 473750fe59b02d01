"""The job's log, annotations, outputs and summary, read back as the runner reads them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ops_agent.adapters.runner.job_log import SUMMARY_LIMIT
from ops_agent.model.finding import Place
from runner_files import commands_in, outputs_in, reporter

NASTY = [
    "::add-mask::x", "::set-output name=a::b", "  ::error::x", "::stop-commands::x\n::warning::y", "text\r::warning::z",
    "##[error]x", "a ##[set-output name=x]y", "::endgroup::", "\x1b[31mred", "::save-state name=x::y",
    "\u2028::error::x", "::debug::\n::x::",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_workflow_commands_in_echoed_text_are_not_executed(
    text: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = reporter()
    report.line(text)
    report.turn(1, 0.5, text)
    assert commands_in(capsys.readouterr().out) == []


@given(text=st.text(st.sampled_from(":#[]\n\r abc-stopmand\u2028\x00\x1b"), max_size=60))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_ever_becomes_a_workflow_command(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    report = reporter()
    report.line(text)
    assert commands_in(out.getvalue()) == []
    report.annotate("warning", text, Place(path=text, line=3))
    with report.stage(text):
        pass
    assert [name for name, _ in commands_in(out.getvalue())] == ["warning", "group", "endgroup"]


def test_stages_are_groups_and_inner_stages_are_lines(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = reporter()
    with report.stage("verify"), report.stage("plan"):
        report.line("x")
    assert capsys.readouterr().out.splitlines() == ["::group::verify", "plan", "x", "::endgroup::"]


def test_a_group_is_closed_when_its_stage_fails(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), reporter().stage("x"):
        raise KeyboardInterrupt
    assert capsys.readouterr().out.splitlines()[-1] == "::endgroup::"


def test_annotations_carry_file_and_line(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    report = reporter()
    report.annotate("error", "100% wrong\nhere", Place(path="infra/a,b:c.tf", line=7))
    report.annotate("notice", "fine")
    first, second = capsys.readouterr().out.splitlines()
    assert "file=infra/a%2Cb%3Ac.tf" in first and "line=7" in first and first.endswith("::100%25 wrong%0Ahere")
    assert second == "::notice::fine"


def test_each_line_of_a_secret_is_masked(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The runner masks line by line."""
    reporter().mask("-----BEGIN KEY-----\nabc%def\r\n\n-----END KEY-----\n")
    assert capsys.readouterr().out.splitlines() == [
        "::add-mask::-----BEGIN KEY-----",
        "::add-mask::abc%25def",
        "::add-mask::-----END KEY-----",
    ]


@given(
    values=st.dictionaries(
        st.sampled_from(["pr_url", "plan-summary", "x"]), st.text(max_size=80).filter(lambda t: "\r" not in t)
    )
)
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_outputs_round_trip_and_add_no_key(values: dict[str, str], files: dict[str, Path]) -> None:
    files["OUTPUT"].write_text("")
    report = reporter()
    for name, text in values.items():
        report.output(name, text)
    expected = {n: t.encode("utf-8", "replace").decode() for n, t in values.items()}
    assert outputs_in(files["OUTPUT"].read_bytes().decode()) == expected


@pytest.mark.parametrize("text", ["a\nEOF\nb=c", "ghadelimiter_x\nPATH<<x\n/evil\nx", "a=b"])
def test_an_output_that_imitates_a_delimiter_is_only_text(text: str, files: dict[str, Path]) -> None:
    reporter().output("x", text)
    assert outputs_in(files["OUTPUT"].read_text()) == {"x": text}


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "1x", "x<<y", "ä"])
def test_an_output_needs_a_name(name: str, files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="output"):
        reporter().output(name, "x")


def test_nothing_is_ever_written_for_later_steps(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """GITHUB_ENV, GITHUB_PATH and GITHUB_STATE stay as they are."""
    report = reporter()
    with report.stage("a"):
        report.line("x")
        report.turn(1, 2.0, "y")
        report.annotate("error", "z")
        report.mask("secret")
        report.output("a", "b")
        report.summary("# c")
    assert [files[name].read_text() for name in ("ENV", "PATH", "STATE")] == ["", "", ""]
    assert files["OUTPUT"].read_text() and files["STEP_SUMMARY"].read_text() == "# c\n"


def test_a_summary_is_cut_at_a_line_with_a_mark(files: dict[str, Path]) -> None:
    report = reporter()
    report.summary("first")
    report.summary("ä" * 99 + "\n" + ("line of text\n" * 200_000))
    written = files["STEP_SUMMARY"].read_bytes()
    assert len(written) <= SUMMARY_LIMIT and written.decode().rstrip().endswith("1 MiB)*")
    report.summary("more")
    assert len(files["STEP_SUMMARY"].read_bytes()) <= SUMMARY_LIMIT


def test_everything_is_redacted_before_it_is_written(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = reporter(lambda text: text.replace("hunter2", "***"))
    with report.stage("hunter2"):
        report.line("hunter2")
        report.turn(1, 0.0, "hunter2")
        report.annotate("error", "hunter2", Place(path="hunter2", line=1))
        report.output("a", "hunter2")
        report.summary("hunter2")
    everything = capsys.readouterr().out + files["OUTPUT"].read_text() + files["STEP_SUMMARY"].read_text()
    assert "hunter2" not in everything and "***" in everything
