"""Files of a run are private while it runs and gone afterwards, and a full disk is reported by name."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import ops_agent
from adapters.terraform.worlds import IS_ROOT, bare_target, write
from ops_agent.adapters.terraform.cells import new_run_directory, remove, sweep
from ops_agent.adapters.terraform.commands import plan, show
from ops_agent.adapters.terraform.engine import find_program
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.providers import configuration
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import NoSpace
from ops_agent.model.policy import Policy
from ops_agent.plan.reading import read_plan

pytestmark = pytest.mark.terraform


def test_what_a_plan_leaves_is_private_and_gone_afterwards(bare_terraform, tmp_path):
    """The plan JSON has mode 0600 while it exists, there is no plan file, and nothing outlives the workspace."""
    with bare_terraform.workspace(
        write(tmp_path, {"main.tf": 'output "x" {\n  value = 1\n}\n'}), bare_target(), None
    ) as workspace:
        workspace.init()
        _, left = workspace.plan()
        assert stat.S_IMODE(left.json_path.stat().st_mode) == 0o600
        assert left.json_path.stat().st_uid == os.geteuid()
        assert left.changes_present
        assert read_plan(left.json_path.read_bytes(), left.text, Policy()).counts.outputs == 1
        assert not list(workspace.cell.out.iterdir())
        root = workspace.cell.root
    assert not root.exists()


def test_the_leftovers_of_a_killed_run_are_swept_and_those_of_a_living_one_stay(tmp_path):
    code = "import sys, time; sys.path[:0] = %r\nfrom pathlib import Path\n"
    code += "from ops_agent.adapters.terraform.cells import new_run_directory\n"
    code = (
        code % [str(Path(ops_agent.__file__).parents[1])]
        + f"print(new_run_directory(Path({str(tmp_path)!r})), flush=True); time.sleep(60)"
    )
    dying = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    left = Path(dying.stdout.readline().strip())
    write(left, {"cell-x/out/plan.tfplan": "secret"})
    ours = new_run_directory(tmp_path)
    assert sweep(tmp_path) == ()
    dying.kill()
    dying.wait()
    assert sweep(tmp_path) == (left,)
    assert not left.exists()
    assert ours.exists()


def test_a_run_in_another_container_is_left_alone_until_it_is_older_than_any_run(tmp_path):
    theirs = new_run_directory(tmp_path)
    theirs = theirs.rename(tmp_path / f"ops-agent-run-{2**22 + 1}-1-4026000000-x")
    assert sweep(tmp_path) == ()
    os.utime(theirs, (time.time() - 90_000,) * 2)
    assert sweep(tmp_path) == (theirs,)


@pytest.mark.skipif(not IS_ROOT, reason="mounting a small file system needs root")
def test_a_full_disk_is_named_and_nothing_is_left_half_done(tmp_path, monkeypatch):
    """Init, plan and show on a full file system."""
    small = Path(tempfile.mkdtemp(dir="/tmp"))
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0755", "tmpfs", str(small)], capture_output=True
    ).returncode:
        small.rmdir()
        pytest.skip("this container may not mount")
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    try:
        with TerraformCli(policy=Policy(), binary="embedded") as terraform, pytest.raises(NoSpace):
            tree = write(
                tmp_path, {"main.tf": "".join(f'output "o{n}" {{\n  value = "{n * 1000}"\n}}\n' for n in range(10))}
            )
            with terraform.workspace(tree, bare_target(), None) as workspace:
                workspace.init()
                (small / "ballast").write_bytes(b"x" * (2 << 20))
                with (small / "rest").open("wb", buffering=0) as rest:
                    try:
                        while True:
                            rest.write(b"x" * 4096)
                    except OSError:
                        pass
                workspace.plan()
    finally:
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()


def test_a_hostile_plan_file_cannot_be_shown_instead_of_ours(tmp_path):
    """The plan that is shown is the one that was just made: ops-agent names the file, in the child's own directory."""
    with Sandbox(find_program("embedded", "")) as box:
        one, other = box.open_cell(), box.open_cell()
        assert one.out != other.out
        assert stat.S_IMODE(one.out.stat().st_mode) == 0o700
        config = box.root / "c.tfrc"
        config.write_text(configuration((), Policy().allowed_providers))
        config.chmod(0o644)
        result = box.run(
            one,
            show(one.out / "plan.tfplan", json=True),
            {"TF_CLI_CONFIG_FILE": str(config)},
            patience=Patience(deadline=30),
        )
        assert result.returncode == 1
        assert plan(out=one.out / "plan.tfplan").argv[-1].endswith("plan.tfplan")


def test_what_is_above_a_removed_tree_keeps_its_permissions(tmp_path: Path) -> None:
    """Somebody else may have removed the tree in the meantime."""
    tmp_path.chmod(0o755)
    locked = tmp_path / "tree" / "locked"
    locked.mkdir(parents=True)
    (locked / "file").write_text("")
    locked.chmod(0o500)
    for _ in range(2):
        remove(tmp_path / "tree")
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
        assert not (tmp_path / "tree").exists()
