"""Lock files of roots that got a new allow-listed provider: their entries come from our code, never from the llm."""

from __future__ import annotations

from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.verification import Verification
from ops_agent.ports import BaseTree

LOCK_FILE = ".terraform.lock.hcl"


def with_lock_files(base: BaseTree, changes: ChangeSet, verification: Verification) -> ChangeSet:
    """`changes` plus the lock files that the verification had to complete. The guard has judged `changes` without them."""
    completed: dict[str, bytes] = {}
    for target in verification.targets:
        if target.lock_file is not None:
            root = target.target.root.path
            completed[LOCK_FILE if root == "." else f"{root}/{LOCK_FILE}"] = target.lock_file
    entries = base.entries()
    added = [
        FileChange(path=path, before=base.read(path) if path in entries else None, after=content) for path, content in completed.items()
    ]
    return ChangeSet(base_commit=changes.base_commit, changes=tuple(sorted((*changes.changes, *added), key=lambda change: change.path)))
