"""A cell that stays initialised: new files each time, nothing left behind, and the answer that a fresh cell gives."""

from __future__ import annotations

import shutil
import stat

import pytest

from adapters.terraform.worlds import IS_ROOT, TABLE, VERSIONS, bare_target, changes, service, world, write
from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.config.settings import Settings
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.run.check import Checks, KeptCells
from ops_agent.run.target import BasePlans, Head, Work, all_pass, validated

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


def validate(kept: KeptCells, head: Head, inputs: str) -> tuple[CheckResult, ...]:
    with kept.opened(head, inputs, "validate", (Work(target=bare_target(), base=None),)) as (one,):
        if not all_pass(one.checks):
            return one.checks
        return (*one.checks, validated(head, one.work.target, one.workspace))


def test_a_kept_cell_answers_as_a_fresh_one_whatever_was_edited_in_between(terraform, tmp_path):
    """`inputs` is given as the stage would: another value where a module call came or went."""
    tree, kept, inits = tmp_path / "tree", KeptCells(), []
    head = Head(
        terraform=terraform,
        engine="",
        redact=str,
        policy=Policy(),
        base=MemoryTree({"main.tf": MAIN}),
        changes=changes({}, {}),
        tree=tree,
        buckets=frozenset(),
    )
    for what, files in ROUNDS.items():
        shutil.rmtree(tree, ignore_errors=True)
        write(tree, {"main.tf": MAIN, **files})
        checks = validate(kept, head, "with a module" if "m.tf" in files else "without")
        inits.append(checks[0].name == "init")
        fresh = KeptCells()
        assert outcome(checks) == outcome(validate(fresh, head, "")), what
        fresh.close()
    assert inits == [True, False, False, False, True, False]
    cells = [workspace.cell.root for one in kept._kept.values() for workspace in one.workspaces]
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


QUEUE = 'resource "aws_sqs_queue" "billing" {\n  name = "billing"\n}\n'


@pytest.mark.proof
def test_the_number_of_provider_starts_of_a_check_is_the_one_that_it_states(tmp_path, counted):
    """V, M and L of the formula in run/check.py, for two environments. The first check plans the base too; a page is no
    reason for a new plan.
    """
    mirror, count = counted
    found, plans = [], []
    base = MemoryTree(service("checks", TABLE))
    with (
        TerraformCli(policy=Policy(), binary="embedded", mirror=str(mirror)) as terraform,
        scratch_tree(base, parent=tmp_path) as scratch,
    ):
        made = world(terraform, None)
        made.scratch = scratch_tree
        checks = Checks(made, Settings(), scratch, BasePlans())
        for path, text in (
            ("infra/queue.tf", QUEUE),
            ("infra/main.tf", TABLE.replace('"orders"\n', '"orders-2"\n', 1)),
            ("infra/README.md", "# Orders\n"),
            ("infra/main.tf", TABLE),
        ):
            scratch.write(path, text.encode())
            proof = checks.verify(scratch.change_set())
            assert proof.passed, proof.failed
            found.append(count())
            plans.append([[(c.address, str(c.action)) for c in t.plan.changes] for t in proof.targets if t.plan])
        checks.close()
    queue, table = ("aws_sqs_queue.billing", "create"), ("aws_dynamodb_table.orders", "replace (delete first)")
    assert plans == [[changed] * 2 for changed in ([queue], [table, queue], [table, queue], [queue])]
    valid, mocked, created, changed = 2, 1 * 2, 3, 4
    assert found == [mocked + 3 + 1 + valid + mocked + created, valid + mocked + changed, 0, valid + mocked + created]
