"""A log, an output or a summary that cannot be written does not end the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops_agent.adapters.runner.printing import WITHHELD
from runner_files import commands_in, outputs_in, reporter


def test_without_output_and_summary_files_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old `::set-output` command is not used."""
    reporter().output("a", "b")
    reporter().summary("c")
    assert capsys.readouterr().out == ""


def test_a_file_that_is_gone_is_a_warning(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files["OUTPUT"].unlink()
    reporter().output("a", "b")
    assert "::warning::The output a could not be written" in capsys.readouterr().out


def test_a_text_whose_redaction_fails_is_withheld(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:

    def fails(text: str) -> str:
        raise RuntimeError("no")

    report = reporter(fails)
    report.line("secret")
    report.summary("secret")
    report.output("a", "secret")
    assert capsys.readouterr().out == WITHHELD + "\n"
    assert "secret" not in files["STEP_SUMMARY"].read_text() + files["OUTPUT"].read_text()


@pytest.mark.parametrize("stdout", ["closed", "broken", "none"])
def test_a_closed_standard_output_does_not_end_the_run(stdout: str, tmp_path: Path) -> None:
    """With LC_ALL=C, no HOME, and stdout closed or broken, outputs are still written."""
    output = tmp_path / "out"
    output.write_text("")
    code = f"""
import os, sys
if {stdout!r} == "closed": sys.stdout.close()
if {stdout!r} == "none": sys.stdout = None
from ops_agent.adapters.runner.job_log import ActionsReporter
r = ActionsReporter(lambda t: t)
with r.stage("ä"):
    for _ in range(3): r.line("ü" * 100_000)
    r.annotate("error", "x"); r.mask("s"); r.output("done", "ja")
"""
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "GITHUB_OUTPUT": str(output),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert outputs_in(output.read_text()) == {"done": "ja"}, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize(("variable", "word"), [("GITHUB_OUTPUT", "output"), ("GITHUB_STEP_SUMMARY", "summary")])
def test_a_full_disk_under_outputs_or_summary_is_a_warning(
    variable: str,
    word: str,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "/dev/full")
    report = reporter()
    report.output("conclusion", "published")
    report.summary("# It is done")
    ((command, text),) = commands_in(capsys.readouterr().out)
    assert command.startswith("warning") and word in text
