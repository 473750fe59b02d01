"""The one commit of a publication: its tree is that of the branch plus the change set, and nothing else.

Files that the token may not write are offered as a patch instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from difflib import unified_diff
from pathlib import PurePosixPath

from ops_agent.model.change_set import ChangeSet, FileChange, TreeEntry, blob_id, needs_workflows_permission
from ops_agent.model.errors import PolicyViolation
from ops_agent.model.ports import BaseTree, Branches, TokenAbilities
from ops_agent.model.work_item import Claim

Tree = Mapping[str, TreeEntry]
_NAMED_PATHS = 5
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # git knows no other line end


def commit(
    branches: Branches,
    repository: str,
    claim: Claim,
    changes: ChangeSet,
    headline: str,
    body: str,
    start: BaseTree | None = None,
) -> str:
    """The commit on our branch whose tree is that of its head plus `changes`: made now, or by an earlier attempt that
    ended after it. Where the head conflicts with the base, `start` is what both were merged to, and the commit has both
    as its parents.

    Raises Conflict when the branch moved, and PolicyViolation when GitHub reports a different tree.
    """
    head = branches.tree(repository, claim.head_commit)
    start = head if start is None else start
    if problems := unwritable(start.entries(), changes):
        raise PolicyViolation(f"The change cannot be committed: {'; '.join(problems[:_NAMED_PATHS])}.")
    made = claim.head_commit
    if claim.conflicts:
        entries = _merged(head, branches.tree(repository, claim.base_commit), start, changes)
        parents, message = (claim.head_commit, claim.base_commit), f"{headline}\n\n{body}"
        made = branches.commit_merge(repository, claim.branch, parents, message, entries)
    elif changes.changes:
        made = branches.commit(repository, claim.branch, claim.head_commit, headline, body, changes)
    if differences := tree_problems(start.entries(), changes, branches.tree(repository, made).entries()):
        raise PolicyViolation(
            f"The commit {made[:12]} is not its parent plus changes: {'; '.join(differences[:_NAMED_PATHS])}."
        )
    return made


def _merged(head: BaseTree, base: BaseTree, start: BaseTree, changes: ChangeSet) -> dict[str, TreeEntry | bytes | None]:
    """What differs from `head` in a merge of it with `base` to `start`, plus `changes`: objects that GitHub has, or
    bytes.
    """
    mine, now = head.entries(), start.entries()
    stored = {(e.mode, e.blob) for tree in (head, base) for e in tree.entries().values()}
    found = dict[str, TreeEntry | bytes | None]()
    for path in {*mine, *now}:
        if mine.get(path) != now.get(path):
            entry = now.get(path)
            found[path] = entry if entry is None or (entry.mode, entry.blob) in stored else start.read(path)
    return found | {change.path: change.after for change in changes.changes}


def unwritable(base: Tree, changes: ChangeSet) -> tuple[str, ...]:
    """Why `changes` cannot be made on `base`: a path that is no regular file, whose bytes are not what the change
    starts from, or that is below a file. Only tampering leads here.
    """
    problems = []
    deleted = {c.path for c in changes.changes if c.after is None}
    for change in changes.changes:
        entry = base.get(change.path)
        if entry is not None and not entry.is_regular:
            problems.append(f"{change.path} is not a regular file on the branch (mode {entry.mode})")
        if entry is None or change.before is None:
            unlike = entry is not None or change.before is not None
        else:
            unlike = entry.is_regular and blob_id(change.before) != entry.blob
        if unlike:
            problems.append(f"{change.path} on the branch is not what the change set starts from")
        for parent in map(str, PurePosixPath(change.path).parents):
            if parent in base and parent not in deleted:
                problems.append(f"{change.path} lies inside of {parent}, which is not a folder")
    return tuple(problems)


def tree_problems(base: Tree, changes: ChangeSet, found: Tree) -> tuple[str, ...]:
    """How the tree that GitHub made differs from `base` plus `changes`: path, mode (100644 or unchanged) and bytes."""
    changed = {c.path: c for c in changes.changes}
    problems = []
    for path in sorted({*base, *found, *changed}):
        before, now, change = base.get(path), found.get(path), changed.get(path)
        if change is None:
            if before is None or now is None or (before.mode, before.blob) != (now.mode, now.blob):
                problems.append(f"{path} differs from the branch but is not in the change set")
        elif change.after is None:
            if now is not None:
                problems.append(f"{path} should be deleted")
        elif now is None or now.blob != blob_id(change.after):
            problems.append(f"{path} does not hold the bytes of the change set")
        elif now.mode not in ("100644", before.mode if before is not None and before.is_regular else "100644"):
            problems.append(f"{path} has mode {now.mode}")
    return tuple(problems)


def moved_paths(before: Tree, now: Tree) -> frozenset[str]:
    """Paths that differ between two commits."""
    return frozenset(p for p in {*before, *now} if before.get(p) != now.get(p))


def split_by_abilities(
    changes: ChangeSet, ask: Callable[[], TokenAbilities], patch_only: Collection[str] = ()
) -> tuple[ChangeSet, ChangeSet]:
    """(what is committed, what is offered as a patch): workflow files are left out when they are `patch_only`, or when
    the token surely may not write them. Without one, nothing is asked.
    """
    workflows = tuple(c for c in changes.changes if needs_workflows_permission(c.path))
    may_write = not workflows or ask().workflows is not False
    left = tuple(c for c in workflows if not may_write or c.path in patch_only)
    kept = tuple(c for c in changes.changes if c not in left)
    return replace(changes, changes=kept), replace(changes, changes=left)


def as_patch(changes: ChangeSet) -> str:
    """A unified diff that `git apply` takes, of text files; a file that is not UTF-8 text is only named."""
    return "".join(_file_patch(change) for change in changes.changes)


def _file_patch(change: FileChange) -> str:
    head = f"diff --git a/{change.path} b/{change.path}\n"
    if change.before is None:
        head += "new file mode 100644\n"
    if change.after is None:
        head += "deleted file mode 100644\n"
    try:
        before, after = (_LINE.findall((side or b"").decode()) for side in (change.before, change.after))
    except UnicodeDecodeError:
        return head + "Binary files differ\n"
    old = "/dev/null" if change.before is None else f"a/{change.path}"
    new = "/dev/null" if change.after is None else f"b/{change.path}"
    lines = unified_diff(before, after, old, new)
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
