"""What each exit means: exit codes, signals, invalid output on stdout. The engine is a script here."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from adapters.terraform.worlds import bare_target, write
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import NoSpace, ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus

PASSED, FAILED = CheckStatus.PASSED, CheckStatus.FAILED
WARNING = json.dumps(
    {"type": "diagnostic", "diagnostic": {"severity": "warning", "summary": "Deprecated", "detail": "soon gone"}}
)
ERROR = json.dumps({"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "Broken"}})


@pytest.fixture
def scripted():
    """Builds a Terraform whose commands are lines of shell; `$out` is the plan file."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    opened: list[TerraformCli] = []

    def build(version: str = "1.9.0", **cases: str) -> TerraformCli:
        lines = [
            f"    {name}) {body} ;;"
            for name, body in {"init": "exit 0", "validate": "echo '{\"diagnostics\":[]}'", **cases}.items()
        ]
        text = [
            "#!/bin/sh",
            'for word in "$@"; do case "$word" in -out=*) out="${word#-out=}";; esac; done',
            'case "$1" in',
        ]
        text += [f'    version) echo \'{{"terraform_version": "{version}"}}\' ;;', *lines, "esac", ""]
        program = directory / "terraform"
        program.write_text("\n".join(text))
        program.chmod(0o755)
        opened.append(
            TerraformCli(policy=Policy(), binary=str(program), patience=Patience(deadline=2, after_interrupt=0.5))
        )
        return opened[-1]

    yield build
    for terraform in opened:
        terraform.close()
    shutil.rmtree(directory)


def run(terraform: TerraformCli, tree: Path, command: str):
    with terraform.workspace(write(tree, {"main.tf": ""}), bare_target(), None) as workspace:
        workspace.init()
        return getattr(workspace, command)()


@pytest.mark.parametrize(
    ("code", "printed", "status", "changes"),
    [(0, "", PASSED, False), (2, "", PASSED, True), (0, WARNING, PASSED, False), (2, WARNING, PASSED, True)],
    ids=["no changes", "changes", "warnings only", "changes and warnings"],
)
def test_a_plan_that_ended_well_reports_whether_it_changes_something(
    code, printed, status, changes, scripted, tmp_path
):
    terraform = scripted(plan=f"echo x > $out; echo '{printed}'; exit {code}", show="echo '{}'")
    check, left = run(terraform, tmp_path, "plan")
    assert check.status is status
    assert left.changes_present is changes
    assert [f.blocks for f in check.findings] == [False] * bool(printed)


@pytest.mark.parametrize("code", [1, 3, 127])
def test_any_other_exit_code_of_plan_fails_the_check_and_deletes_its_file(code, scripted, tmp_path):
    """An errored plan leaves a file."""
    terraform = scripted(plan=f"echo x > $out; echo '{ERROR}'; exit {code}", show="exit 99")
    check, left = run(terraform, tmp_path, "plan")
    assert (check.status, left) == (FAILED, None)
    assert check.findings[0].what == "Broken"


@pytest.mark.parametrize("left", ["true", "mkdir $out", "ln -s $0 $out"], ids=["nothing", "a directory", "a link"])
@pytest.mark.parametrize("code", [0, 2])
def test_an_exit_code_that_speaks_of_a_plan_without_its_file_fails_the_check(code, left, scripted, tmp_path):
    """Neither "no changes" nor "changes"; and what a link leads to is not touched."""
    terraform = scripted(plan=f"{left}; exit {code}", show="echo '{}'")
    check, plan = run(terraform, tmp_path, "plan")
    assert (check.status, plan) == (FAILED, None)
    assert check.findings[0].what == f"It ended with exit code {code} but left no plan and said nothing."
    assert Path(terraform.engine().partition("(")[2].rstrip(")")).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("command", ["plan", "validate", "init"])
def test_an_engine_whose_runtime_gives_up_is_a_broken_toolchain_and_not_changes_present(command, scripted, tmp_path):
    """A crashed Go program exits with 2, as a plan with changes does."""
    said = ("runtime: out of memory: cannot allocate 4194304-byte block", "fatal error: out of memory")
    died = "".join(f"echo '{line}' >&2; " for line in said) + "exit 2"
    with pytest.raises(ToolchainError, match=r"terraform \w+ for \. \(dev\) broke down: runtime: out of memory"):
        run(scripted(**{command: died}), tmp_path, command)


def test_a_failure_without_a_word_is_still_a_finding(scripted, tmp_path):
    check, _ = run(scripted(plan="exit 1"), tmp_path, "plan")
    assert check.findings[0].what == "It ended with exit code 1 and said nothing."


def test_an_engine_that_dies_by_a_signal_is_a_broken_toolchain_and_not_the_changes_fault(scripted, tmp_path):
    with pytest.raises(ToolchainError, match=r"terraform plan for \. \(dev\) was ended by signal 11"):
        run(scripted(plan="kill -SEGV $$"), tmp_path, "plan")


def test_an_engine_that_hangs_fails_the_check_at_the_deadline(scripted, tmp_path):
    check, _ = run(scripted(plan="trap '' INT TERM; sleep 60"), tmp_path, "plan")
    assert check.status is FAILED
    assert check.findings[0].what == "It did not end within 2 s and was stopped."


def test_a_plan_that_cannot_be_shown_is_a_broken_toolchain(scripted, tmp_path):
    with pytest.raises(ToolchainError, match="failed with exit code 1: cannot read"):
        run(scripted(plan="echo x > $out; exit 2", show="echo cannot read >&2; exit 1"), tmp_path, "plan")


def test_a_full_disk_is_known_by_terraforms_own_words(scripted, tmp_path):
    with pytest.raises(NoSpace):
        run(scripted(plan="echo 'write /x: no space left on device' >&2; exit 1"), tmp_path, "plan")


@pytest.mark.parametrize("printed", ["", "nonsense", "[]", '{"diagnostics": 7}', '{"valid": true}'])
def test_validate_is_judged_by_its_exit_code_whatever_it_prints(printed, scripted, tmp_path):
    assert run(scripted(validate=f"echo '{printed}'; exit 0"), tmp_path, "validate").status is PASSED
    failed = run(scripted(validate=f"echo '{printed}'; exit 1"), tmp_path, "validate")
    assert failed.status is FAILED
    assert failed.findings[0].blocks


def test_a_validate_document_over_several_lines_is_read_whole(scripted, tmp_path):
    document = json.dumps({"diagnostics": [json.loads(ERROR)["diagnostic"]]}, indent=2)
    assert run(scripted(validate=f"echo '{document}'; exit 1"), tmp_path, "validate").findings[0].what == "Broken"


@pytest.mark.parametrize("version", ["1.5.7", "2.1.0"])
def test_an_engine_of_an_unsupported_version_is_refused_before_anything_runs(version, scripted):
    with pytest.raises(ToolchainError, match="supported are"):
        scripted(version=version).engine()


def test_a_self_test_that_did_not_run_stops_every_plan(scripted):
    """Silence is not proof."""
    with pytest.raises(ToolchainError, match="self-test did not run on this machine"):
        scripted(plan="exit 0", show="echo '{}'").self_test()


@pytest.mark.parametrize("leak", ["environment", "memory", "descriptors", "secret_file"])
def test_any_single_leak_that_the_self_test_finds_stops_the_run(leak, scripted):
    names = ("control", "environment", "memory", "descriptors", "secret_file")
    outputs = {name: {"value": name in ("control", leak)} for name in names}
    document = json.dumps({"planned_values": {"outputs": outputs}})
    with pytest.raises(ToolchainError, match=leak.replace("_", " ")):
        scripted(plan="exit 2", show=f"echo '{document}'").self_test()
