"""A cell that stays initialised: new files each time, nothing left behind, and the answer that a fresh cell gives."""

from __future__ import annotations

import shutil
import stat

import pytest

from adapters.terraform.worlds import IS_ROOT, VERSIONS, bare_target, write
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.run.converse import KeptCells

pytestmark = pytest.mark.terraform
MAIN = VERSIONS.replace('  backend "s3" {}\n', "")
ROUNDS = {
    "a queue": {"queue.tf": 'resource "aws_sqs_queue" "q" {\n  name = "q"\n}\n'},
    "an argument that is not there": {"queue.tf": 'resource "aws_sqs_queue" "q" {\n  nme = "q"\n}\n'},
    "a reference to nothing": {"queue.tf": 'output "q" {\n  value = aws_sqs_queue.q.arn\n}\n'},
    "a file that is gone": {},
    "a module": {
        "m.tf": 'module "m" {\n  source = "./m"\n  name   = "n"\n}\n',
        "m/main.tf": 'variable "name" {\n  type = string\n}\n',
    },
    "a module without its argument": {
        "m.tf": 'module "m" {\n  source = "./m"\n}\n',
        "m/main.tf": 'variable "name" {\n  type = string\n}\n',
    },
}


def outcome(checks: tuple[CheckResult, ...]) -> tuple[CheckStatus, list[str]]:
    """What counts: whether the last one passed, and the places of its findings (some are found by a fresh init
    already).
    """
    return checks[-1].status, [str(f.place) for f in checks[-1].findings]


def test_a_kept_cell_answers_as_a_fresh_one_whatever_was_edited_in_between(terraform, tmp_path):
    """`inputs` is given as the stage would: another value where a module call came or went."""
    tree, kept = tmp_path / "tree", KeptCells(terraform, ("registry.terraform.io/hashicorp/aws",))
    inits = []
    for what, files in ROUNDS.items():
        shutil.rmtree(tree, ignore_errors=True)
        write(tree, {"main.tf": MAIN, **files})
        checks = kept.validate(tree, bare_target(), "with a module" if "m.tf" in files else "without")
        inits.append(checks[0].name == "init")
        fresh = KeptCells(terraform, ("registry.terraform.io/hashicorp/aws",))
        assert outcome(checks) == outcome(fresh.validate(tree, bare_target(), "")), what
        fresh.close()
    assert inits == [True, False, False, False, True, False]
    cells = [one.workspace.cell.root for one in kept._kept.values()]
    kept.close()
    assert cells and not any(cell.exists() for cell in cells)


def test_nothing_but_the_lock_file_that_init_wrote_outlives_a_refresh_and_no_link_is_followed(terraform, tmp_path):
    """Whatever a provider left in the directory that init could write to."""
    tree = write(tmp_path / "tree", {"main.tf": MAIN})
    secret = write(tmp_path, {"secret": "root's own"}) / "secret"
    with terraform.workspace(tree, bare_target(), None) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        lock = workspace.directory / ".terraform.lock.hcl"
        made = lock.read_bytes()
        write(workspace.directory, {"left.tf": "nonsense", "sub/left.tf": "nonsense"})
        (workspace.directory / "link").symlink_to(tmp_path)
        workspace.refresh(tree)
        assert sorted(p.name for p in workspace.cell.work.rglob("*")) == sorted(
            [".terraform.lock.hcl", "main.tf", *terraform._overlay]
        )
        assert lock.read_bytes() == made
        if IS_ROOT:
            assert (workspace.directory.stat().st_uid, stat.S_IMODE(lock.stat().st_mode)) == (0, 0o640)
        assert workspace.validate().status is CheckStatus.PASSED
        lock.unlink()
        lock.symlink_to(secret)
        workspace.refresh(tree)
        assert not lock.exists()
    assert secret.read_text() == "root's own"
