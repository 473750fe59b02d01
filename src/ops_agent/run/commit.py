"""The one commit of a publication: its tree is the base commit's plus the change set, and nothing else.

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


def commit(branches: Branches, repository: str, claim: Claim, changes: ChangeSet, headline: str, body: str) -> str:
    """The commit on our branch whose tree is base plus `changes`: made now, or by an earlier attempt that ended after
    it.

    Raises Conflict when the branch moved, and PolicyViolation when GitHub reports a different tree.
    """
    base = branches.tree(repository, claim.base_commit)
    if problems := unwritable(base.entries(), changes):
        raise PolicyViolation(f"The change cannot be committed: {'; '.join(problems[:_NAMED_PATHS])}.")
    head = base if claim.head_commit == claim.base_commit else branches.tree(repository, claim.head_commit)
    made = claim.head_commit
    if writes := commit_steps(base, head, changes):
        made = branches.commit(repository, claim.branch, claim.head_commit, headline, body, writes)
    if differences := tree_problems(base.entries(), changes, branches.tree(repository, made).entries()):
        raise PolicyViolation(
            f"The commit {made[:12]} is not base plus changes: {'; '.join(differences[:_NAMED_PATHS])}."
        )
    return made


def unwritable(base: Tree, changes: ChangeSet) -> tuple[str, ...]:
    """Why `changes` cannot be made on `base`: a path that is no regular file, whose bytes are not what the change
    starts from, or that is below a file. Only tampering leads here.
    """
    problems = []
    deleted = {c.path for c in changes.changes if c.after is None}
    for change in changes.changes:
        entry = base.get(change.path)
        if entry is not None and not entry.is_regular:
            problems.append(f"{change.path} is not a regular file on the base commit (mode {entry.mode})")
        if entry is None or change.before is None:
            unlike = entry is not None or change.before is not None
        else:
            unlike = entry.is_regular and blob_id(change.before) != entry.blob
        if unlike:
            problems.append(f"{change.path} on the base commit is not what the change set starts from")
        for parent in map(str, PurePosixPath(change.path).parents):
            if parent in base and parent not in deleted:
                problems.append(f"{change.path} lies inside of {parent}, which is not a folder")
    return tuple(problems)


def commit_steps(base: BaseTree, head: BaseTree, changes: ChangeSet) -> ChangeSet | None:
    """What a commit on `head` must write so that its tree is `base` plus `changes`; None when `head` is that already.

    Files that an earlier attempt committed and this one does not change get the base commit's bytes back.
    """
    changed = {c.path: c for c in changes.changes}
    before, now = base.entries(), head.entries()
    writes = []
    for path in sorted({*changed, *(p for p in {*before, *now} if _content(before.get(p)) != _content(now.get(p)))}):
        if path in changed:
            after = changed[path].after
            if (None if after is None else blob_id(after)) == _content(now.get(path)):
                continue
        else:
            after = base.read(path) if path in before else None
        writes.append(FileChange(path=path, before=b"" if path in now else None, after=after))
    return ChangeSet(base_commit=head.commit, changes=tuple(writes)) if writes else None


def tree_problems(base: Tree, changes: ChangeSet, found: Tree) -> tuple[str, ...]:
    """How the tree that GitHub made differs from `base` plus `changes`: path, mode (100644 or unchanged) and bytes."""
    changed = {c.path: c for c in changes.changes}
    problems = []
    for path in sorted({*base, *found, *changed}):
        before, now, change = base.get(path), found.get(path), changed.get(path)
        if change is None:
            if before is None or now is None or (before.mode, before.blob) != (now.mode, now.blob):
                problems.append(f"{path} differs from the base commit but is not in the change set")
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


def _content(entry: TreeEntry | None) -> tuple[str, str] | str | None:
    """What is compared: the bytes of a regular file; mode and object of anything else."""
    if entry is None:
        return None
    return entry.blob if entry.is_regular else (entry.mode, entry.blob)


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
