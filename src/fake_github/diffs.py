"""What changed between two commits, as GitHub lists it: files with a unified patch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from fake_github.git_objects import Entry, GitStore


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One changed file. `patch` starts with its first hunk header (no file names) and is None for binary files."""

    path: str
    before: Entry | None
    after: Entry | None
    additions: int
    deletions: int
    patch: str | None

    @property
    def status(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "modified"


def diff_files(store: GitStore, base: str | None, head: str) -> list[FileDiff]:
    """Changed files from commit `base` (None: the empty tree) to commit `head`, sorted by path. Renames are a removal
    and an addition.
    """
    before = store.files(base) if base else {}
    after = store.files(head)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [_diff(store, path, before.get(path), after.get(path)) for path in changed]


def _diff(store: GitStore, path: str, before: Entry | None, after: Entry | None) -> FileDiff:
    old, new = ((store.blob(entry.sha) or b"") if entry else b"" for entry in (before, after))
    if b"\0" in old or b"\0" in new:
        return FileDiff(path, before, after, 0, 0, None)
    lines = list(difflib.unified_diff(_lines(old), _lines(new), lineterm=""))[2:]
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    return FileDiff(path, before, after, added, removed, "\n".join(lines))


def _lines(content: bytes) -> list[str]:
    """Lines without their ends; a last line without newline is marked in git's way, so that adding only the newline is
    a change.
    """
    text = content.decode("utf-8", "replace")
    if not text:
        return []
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return lines
