"""The command line turns arguments into a Command, or says what is wrong and exits 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops_agent.__main__ import end_with
from ops_agent.cli import COMMANDS
from ops_agent.config.arguments import parse
from ops_agent.model.errors import ConfigError


def test_run_without_arguments_works_on_the_event() -> None:
    command = parse(["run"])
    assert command.name == "run"
    assert command.issue_file is None


def test_a_local_run_takes_file_repository_environments_and_branch() -> None:
    command = parse(
        [
            "run",
            "--issue-file",
            "item.md",
            "--repo",
            "there",
            "--environment",
            "dev",
            "--environment",
            "prod",
            "--output",
            "out",
            "--branch",
            "ops",
            "--input",
            "dry_run=true",
        ]
    )
    assert (command.issue_file, command.repository, command.output) == (Path("item.md"), Path("there"), Path("out"))
    assert (command.environments, command.branch, command.inputs) == (("dev", "prod"), "ops", {"dry_run": "true"})


def test_a_branch_that_git_would_refuse_is_refused_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(["run", "--issue-file", "item.md", "--branch", "bad..name"])
    assert exit_.value.code == 2
    assert "--branch 'bad..name' is not a branch name that git accepts" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["apply"], ["run", "--apply"], ["run", "--input", "dry_run"], ["run", "--input", "=x"], ["rules", "x"]],
)
def test_arguments_that_make_no_sense_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    assert exit_.value.code == 2


def said_by(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "INPUT_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    with pytest.raises(ConfigError) as caught:
        COMMANDS["run"](parse(arguments), dict(os.environ))
    end_with(caught.value, "run", {})
    return capsys.readouterr().err


def test_a_run_outside_a_job_is_reported_before_missing_inputs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_by(["run"], monkeypatch, capsys)
    assert "this is no GitHub Actions job: GITHUB_EVENT_NAME, " in said and "use `ops-agent run --issue-file`" in said


def test_a_local_run_without_a_key_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_by(["run", "--issue-file", "x.md"], monkeypatch, capsys)
    assert "hint: Set ANTHROPIC_API_KEY in the environment" in said and "workflow file" not in said
