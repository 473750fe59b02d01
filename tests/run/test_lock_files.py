"""Lock entries of new providers join the change set after the guard has judged it."""

from __future__ import annotations

import pytest

from builders import BASE
from doubles.tree import MemoryTree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.run.verify import with_lock_files


def _verified(root: str, lock: bytes | None) -> Verification:
    environment = Environment(name="dev", account="125611408459", backend_file=None)
    target = TerraformTarget(root=TerraformRoot(path=root, environments=(environment,)), environment=environment)
    return Verification(engine="Terraform", targets=(TargetVerification(target=target, checks=(), lock_file=lock),))


CHANGES = ChangeSet(base_commit=BASE, changes=(FileChange(path="infra/queue.tf", before=None, after=b"x"),))


@pytest.mark.parametrize(("root", "path"), [("infra", "infra/.terraform.lock.hcl"), (".", ".terraform.lock.hcl")])
def test_completed_lock_files_are_changes_of_their_root(root: str, path: str) -> None:
    made = with_lock_files(MemoryTree({path: b"old"}), CHANGES, _verified(root, b"new"))
    assert FileChange(path=path, before=b"old", after=b"new") in made.changes
    assert list(made.paths) == sorted(made.paths)


def test_a_new_lock_file_is_an_addition() -> None:
    made = with_lock_files(MemoryTree({}), CHANGES, _verified("infra", b"new"))
    assert FileChange(path="infra/.terraform.lock.hcl", before=None, after=b"new") in made.changes


def test_without_completed_locks_the_change_set_stays_as_it_is() -> None:
    assert with_lock_files(MemoryTree({}), CHANGES, _verified("infra", None)) == CHANGES
