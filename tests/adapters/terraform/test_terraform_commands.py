"""Only a closed list of command lines exists, and only a known engine runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.engine import Program, find_program, read_engine
from ops_agent.adapters.terraform.processes import ChildResult, ExitReason
from ops_agent.model.errors import PolicyViolation, ToolchainError

KNOWN = {"version", "fmt", "get", "state", "init", "validate", "plan", "show", "test"}


@pytest.mark.parametrize(
    "argv",
    [
        ("apply",),
        ("destroy",),
        ("console",),
        ("import", "a.b", "c"),
        ("state", "push"),
        ("state", "pull", "-lock=false"),
        ("force-unlock", "1"),
        ("workspace", "new", "x"),
        ("get", "-update"),
        ("taint", "a.b"),
        ("providers", "mirror", "/tmp"),
        ("providers", "lock"),
        ("providers", "schema", "-json", "x"),
        ("-chdir=/", "plan"),
        ("plan", "-destroy"),
        ("plan", "-target=a.b;c"),
        ("plan", "-chdir=/"),
        ("plan", "-lock=true"),
        ("plan", "-var=a=b"),
        ("plan", "-out=relative"),
        ("plan", "-generate-config-out=/tmp/x.tf"),
        ("init", "-upgrade"),
        ("init", "-plugin-dir=/tmp"),
        ("init", "-from-module=/tmp"),
        ("init", "-migrate-state"),
        ("init", "-backend-config=key=value"),
        ("init", "-lockfile=readonly\n-upgrade"),
        ("fmt", "-write=true"),
        ("test", "-cloud-run=x"),
        ("test", "-test-directory=/tmp"),
        (),
        ("",),
    ],
)
def test_a_command_that_is_not_on_the_list_cannot_be_built(argv):
    with pytest.raises(PolicyViolation):
        commands.TerraformCommand(argv)


@given(st.lists(st.one_of(st.sampled_from(sorted(KNOWN)), st.text(max_size=20)), max_size=5).map(tuple))
def test_whatever_is_built_starts_with_a_known_command_and_carries_no_foreign_flag(argv):
    try:
        command = commands.TerraformCommand(argv)
    except PolicyViolation:
        return
    assert command.argv[0] in KNOWN
    assert not any(
        "\n" in word or word.startswith(("-chdir", "-destroy", "-target", "-upgrade")) for word in command.argv
    )


def test_our_own_commands_are_on_the_list():
    plan = commands.plan(out=Path("/o/p"), var_files=(Path("/w/a.tfvars"),))
    assert {"-lock=false", "-input=false", "-detailed-exitcode"} <= set(plan.argv)
    assert "-lockfile=readonly" in commands.init(backend_files=(Path("/w/b.hcl"),), lock_read_only=True).argv
    assert commands.init(lock_read_only=False).argv[-1] == "-backend=false"
    assert commands.show(Path("/o/p"), json=True).argv == ("show", "-no-color", "-json", "/o/p")


def program(directory: Path, name: str = "terraform") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_in_the_workspace_or_in_a_relative_directory_is_never_taken(tmp_path):
    """PATH starts with the checkout."""
    workspace = tmp_path / "workspace"
    program(workspace / "bin")
    honest = program(tmp_path / "tools")
    path = f"bin:.::{workspace}/bin:{workspace}:{honest.parent}"
    assert find_program("auto", path, (workspace,)).path == honest


def test_a_link_into_the_workspace_is_not_taken_either(tmp_path):
    inside = program(tmp_path / "workspace")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/terraform").symlink_to(inside)
    with pytest.raises(ToolchainError):
        find_program("terraform", str(tmp_path / "tools"), (tmp_path / "workspace",))
    with pytest.raises(ToolchainError):
        find_program(str(inside), "", (tmp_path / "workspace",))


def test_the_wrapper_of_setup_terraform_is_passed_over(tmp_path):
    """The wrapper of setup-terraform turns exit code 2 into 0."""
    program(tmp_path)
    real = program(tmp_path, "terraform-bin")
    assert find_program("auto", str(tmp_path)).path == real


def test_auto_prefers_terraform_then_tofu_then_the_embedded_engine(tmp_path):
    tofu = program(tmp_path / "b", "tofu")
    assert find_program("auto", f"{tmp_path}/a:{tmp_path}/b").path == tofu
    terraform = program(tmp_path / "c")
    assert find_program("auto", f"{tmp_path}/b:{tmp_path}/c").path == terraform
    assert find_program("embedded", "").embedded


@pytest.mark.parametrize("wanted", ["terraform", "tofu", "/no/such/terraform", "bin/terraform", "terragrunt"])
def test_a_missing_engine_is_named_with_what_to_do(wanted, tmp_path):
    with pytest.raises(ToolchainError) as caught:
        find_program(wanted, str(tmp_path))
    assert "setup-terraform" in caught.value.hint


def answered(code: int, stdout: bytes) -> ChildResult:
    return ChildResult(
        returncode=code, ending=ExitReason.EXITED, stdout=stdout, stderr=b"boom", truncated=False, seconds=0
    )


@pytest.mark.parametrize("version", ["0.12.31", "1.7.5", "2.0.0", "x", ""])
def test_an_engine_of_another_version_range_is_refused(version):
    with pytest.raises(ToolchainError, match=r"supported are 1\.8 to 1\.x"):
        read_engine(
            Program(path=Path("/x/terraform")), answered(0, json.dumps({"terraform_version": version}).encode())
        )


@pytest.mark.parametrize(
    ("code", "stdout", "what"), [(-11, b"", "signal 11"), (1, b"", "boom"), (0, b"hello", "boom"), (0, b"[]", "boom")]
)
def test_a_program_that_is_not_terraform_is_refused_with_its_output(code, stdout, what):
    with pytest.raises(ToolchainError, match=what):
        read_engine(Program(path=Path("/x/terraform")), answered(code, stdout))


def test_an_engine_is_described_by_its_name_version_and_origin():
    body = json.dumps({"terraform_version": "1.9.1"}).encode()
    assert (read_engine(Program(path=Path("/x/tofu")), answered(0, body))) == "OpenTofu 1.9.1 (/x/tofu)"
    assert (
        read_engine(Program(path=Path("/x/lib.so"), embedded=True), answered(0, body)) == "Terraform 1.9.1 (embedded)"
    )
