"""The user ids of the children, and the self-test of the separation that they promise."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import ops_agent
from adapters.terraform.worlds import IS_ROOT, bare_target, write
from ops_agent.adapters.terraform import confinement, sandbox_child
from ops_agent.adapters.terraform import sandbox as sandbox_module
from ops_agent.adapters.terraform.cells import fresh_uid
from ops_agent.adapters.terraform.engine import Program
from ops_agent.adapters.terraform.sandbox import harden_this_process
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy

pytestmark = pytest.mark.terraform


@pytest.mark.skipif(not IS_ROOT, reason="only root gives children a user of their own")
def test_each_workspace_has_a_user_of_its_own_and_cannot_write_into_its_copy(bare_terraform, tmp_path):
    tree = write(tmp_path, {"main.tf": "", ".terraform.lock.hcl": ""})
    with (
        bare_terraform.workspace(tree, bare_target(), None) as one,
        bare_terraform.workspace(tree, bare_target(), None) as other,
    ):
        assert len({one.cell.uid, other.cell.uid, os.geteuid()}) == 3
        script = "import os; print(os.getuid(), os.getgid(), os.getgroups(), "
        script += "os.access('.', os.W_OK), os.access({!r}, os.R_OK))"
        code = script.format(str(other.cell.work / "main.tf"))
        spec = f'{{"uid": {one.cell.uid}, "gid": {one.cell.uid}, "library": null}}'
        child = [sys.executable, "-I", "-S", sandbox_child.__file__, spec]
        done = subprocess.run(
            [*child, "/usr/bin/python3", "-c", code], cwd=one.cell.work, capture_output=True, text=True
        )
        assert done.stdout.split() == [str(one.cell.uid), str(one.cell.uid), "[]", "False", "False"], done.stderr
        status = subprocess.run(
            [*child, "/bin/cat", "/proc/self/status"], capture_output=True, text=True, cwd="/"
        ).stdout
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert "CapPrm:\t0000000000000000" in status


def test_a_user_id_is_picked_that_nobody_has():
    uid = fresh_uid() if IS_ROOT else None
    assert uid is None or uid > 10_000


@pytest.mark.skipif(not IS_ROOT, reason="only root gives children a user of their own")
def test_runs_at_the_same_time_never_share_user_ids():
    """A run's end kills its children by their user id."""
    code = "import sys; from ops_agent.adapters.terraform.cells import fresh_uid; print(fresh_uid()); sys.stdin.read()"
    environment = os.environ | {"PYTHONPATH": str(Path(ops_agent.__file__).parents[1])}
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, env=environment)
        for _ in range(20)
    ]
    blocks = [int(run.stdout.readline()) // 1_000 for run in runs]
    for run in runs:
        run.communicate()
    assert len({*blocks, fresh_uid() // 1_000}) == 21


def test_the_self_test_passes_here_and_is_run_once(bare_terraform):
    bare_terraform.self_test()
    proven = bare_terraform._sandbox
    proven.children.cancel()
    bare_terraform.self_test()


@pytest.mark.skipif(not IS_ROOT, reason="shows that root with all capabilities is found out")
def test_the_self_test_finds_out_when_children_run_as_root_and_nothing_is_planned(tmp_path, monkeypatch):
    """Undumpable alone does not stop a child with root's capabilities, where the kernel has no Landlock."""
    monkeypatch.setattr(confinement, "landlock_abi", lambda: 0)
    monkeypatch.setattr(sandbox_module, "fresh_uid", lambda: None)
    with (
        TerraformCli(policy=Policy(), binary="embedded") as terraform,
        pytest.raises(ToolchainError, match="can read this process"),
    ):
        terraform.self_test()


NOBODY = """
import ctypes, sys
sys.path[:0] = {paths!r}
from ops_agent.adapters.terraform import confinement
from ops_agent.adapters.terraform.engine import Program
from ops_agent.adapters.terraform.sandbox import harden_this_process
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.policy import Policy
from ops_agent.model.errors import ToolchainError
harden_this_process()
with TerraformCli(policy=Policy(), binary="embedded") as terraform:
    terraform.self_test()
    print(terraform._sandbox.confinement)
confinement.landlock_abi = lambda: 0
with TerraformCli(policy=Policy(), binary="embedded") as terraform:
    terraform.engine()
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    try:
        terraform.self_test()
    except ToolchainError as error:
        print(error)
"""


def test_an_ordinary_users_run_is_closed_by_its_undumpable_parent_and_open_without(tmp_path):
    """The same probe passes with the parent hardened, and finds the leak when it is not."""
    python = "/usr/bin/python3" if IS_ROOT else sys.executable
    site = str(Path(sys.modules["pytest"].__file__).parents[1])
    code = NOBODY.format(paths=[str(Path(ops_agent.__file__).parents[1]), site])
    drop = {"user": 65534, "group": 65534, "extra_groups": []} if IS_ROOT else {}
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin"}, **drop
    )
    if done.returncode and (
        "Permission denied" in done.stderr or "No module named" in done.stderr or "requires" in done.stderr
    ):
        pytest.skip(f"another user cannot start this Python or read this checkout: {done.stderr.splitlines()[-1]}")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("an undumpable parent"), done.stderr
    assert "can read this process (environment, memory, descriptors)" in lines[1]


def test_hardening_keeps_this_process_working():
    harden_this_process()
    harden_this_process()
    assert Path("/proc/self/stat").read_text()


@pytest.mark.skipif(not IS_ROOT, reason="only root gives children a user of their own")
def test_a_temporary_directory_that_no_other_user_may_enter_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox_module, "is_open_to_others", lambda _path: True)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "closed"))
    (tmp_path / "closed").mkdir(mode=0o700)
    with pytest.raises(ToolchainError, match="no other user may enter") as caught:
        sandbox_module.Sandbox(Program(path=Path("/bin/true")))
    assert "TMPDIR" in caught.value.hint
