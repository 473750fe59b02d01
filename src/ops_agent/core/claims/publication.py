"""What a publication may and must look like: trees, links and overlaps. Values in, values out; `stages/publish.py` does the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from ops_agent.domain.change_set import ChangeSet, FileChange, TreeEntry, blob_id
from ops_agent.domain.event import IssueRef
from ops_agent.ports import TokenAbilities

Tree = Mapping[str, TreeEntry]
MOST_BODY_CHARACTERS = 65_000
_KEYWORD = r"(?:close[sd]?|fix(?:es|ed)?|resolve[sd]?)"
_TARGET = r"(?:(?P<repo>[\w.-]+/[\w.-]+)?#(?P<n>\d+)|gh-(?P<gh>\d+)|https?://[^\s/]+/(?P<url>[\w.-]+/[\w.-]+)/(?:issues|pull)/(?P<un>\d+))"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # git knows no other line end
_CLOSING = re.compile(rf"(?<![\w-]){_KEYWORD}:?\s*{_TARGET}", re.IGNORECASE)


def is_workflow(path: str) -> bool:
    """Whether GitHub demands the `workflows` permission to write this path."""
    return path.casefold().startswith(".github/workflows/")


def split_by_abilities(changes: ChangeSet, abilities: TokenAbilities) -> tuple[ChangeSet, ChangeSet]:
    """(what is committed, what is offered as a patch). Workflow files are left out when the token surely may not write them."""
    left = tuple(c for c in changes.changes if is_workflow(c.path)) if abilities.workflows is False else ()
    kept = tuple(c for c in changes.changes if c not in left)
    return ChangeSet(base_commit=changes.base_commit, changes=kept), ChangeSet(base_commit=changes.base_commit, changes=left)


def as_patch(changes: ChangeSet) -> str:
    """A unified diff that `git apply` takes, of text files; a file that is no UTF-8 text is only named."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStep:
    """One file that the next commit must write (`restore`: with the base commit's bytes) or delete (`content` None)."""

    path: str
    content: bytes | None
    restore: bool = False


def unwritable(base: Tree, changes: ChangeSet) -> tuple[str, ...]:
    """Sentences about changes that would need a symlink, a submodule or a path inside of a file: impossible, so somebody tampered (J05)."""
    problems = []
    deleted = {c.path for c in changes.changes if c.after is None}
    for change in changes.changes:
        entry = base.get(change.path)
        if entry is not None and not entry.is_regular:
            problems.append(f"{change.path} is not a regular file on the base commit (mode {entry.mode})")
        if (entry is None) != (change.before is None) or (
            entry is not None and change.before is not None and entry.is_regular and blob_id(change.before) != entry.blob
        ):
            problems.append(f"{change.path} on the base commit is not what the change set starts from")
        parts = change.path.split("/")
        for end in range(1, len(parts)):
            parent = "/".join(parts[:end])
            if parent in base and parent not in deleted:
                problems.append(f"{change.path} lies inside of {parent}, which is not a folder")
    return tuple(problems)


def commit_steps(base: Tree, head: Tree, changes: ChangeSet) -> tuple[CommitStep, ...]:
    """What a commit on `head` must do so that its tree is `base` plus `changes`; empty when `head` is that already."""
    changed = {c.path: c for c in changes.changes}
    steps = []
    for path in sorted({*changed, *(p for p in {*base, *head} if _blob(base, p) != _blob(head, p))}):
        change = changed.get(path)
        if change is not None:
            wanted = None if change.after is None else blob_id(change.after)
            if wanted != _blob(head, path):
                steps.append(CommitStep(path=path, content=change.after))
        else:
            steps.append(CommitStep(path=path, content=None, restore=path in base))
    return tuple(steps)


def tree_problems(base: Tree, changes: ChangeSet, found: Tree) -> tuple[str, ...]:
    """How the tree that GitHub made differs from `base` plus `changes`: path, mode (100644 or unchanged) and bytes (J04, J05)."""
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


def closing_references(text: str, repository: str) -> tuple[IssueRef, ...]:
    """Every issue that `text` in `repository` would close. Code blocks count too: a squashed body becomes a commit message."""
    found = []
    for match in _CLOSING.finditer(text):
        number = match["n"] or match["gh"] or match["un"]
        found.append(IssueRef(repository=(match["repo"] or match["url"] or repository).casefold(), number=int(number)))
    return tuple(found)


def link_problem(texts: tuple[str, ...], repository: str, issue: IssueRef) -> str | None:
    """Why title, body and commit message do not hold exactly one closing keyword, for `issue` only; None: they do."""
    found = [ref for text in texts for ref in closing_references(text, repository)]
    own = IssueRef(repository=issue.repository.casefold(), number=issue.number)
    others = sorted({str(ref) for ref in found if ref != own})
    if others:
        return f"the text would close {', '.join(others)}"
    if len(found) != 1:
        return f"the text has {len(found)} closing keywords for {issue} instead of one"
    return None


def _blob(tree: Tree, path: str) -> tuple[str, str] | str | None:
    """What is compared: the bytes of a regular file; mode and object of anything else."""
    entry = tree.get(path)
    if entry is None:
        return None
    return entry.blob if entry.is_regular else (entry.mode, entry.blob)
