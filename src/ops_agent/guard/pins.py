"""Actions by commit: the llm names a tag, our code writes the commit that the tag means and keeps the tag as a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ops_agent.guard.paths import is_workflow
from ops_agent.model.change_set import ChangeSet, FileChange

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LINE = re.compile(
    r"""^(?P<head>[ ]*(?:-[ ]+)?["']?uses["']?[ ]*:[ ]*)(?P<quote>["']?)(?P<name>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_./-]+)?)"""
    r"""@(?P<ref>[A-Za-z0-9_./-]+)(?P=quote)[ ]*(?:\#[ ]*(?P<comment>[^\r\n]*?))?[ ]*(?P<end>\r?)$""",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class UsedAction:
    """One `uses:` line. `name` is owner/name, `uses` adds a path inside; `tag` is the first word of the comment beside
    a commit.
    """

    path: str
    line: int
    uses: str
    ref: str
    tag: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.uses.split("/")[:2])


def is_commit(ref: str) -> bool:
    """True for 40 hex digits."""
    return bool(_COMMIT.fullmatch(ref))


def split_uses(uses: str) -> tuple[str | None, str]:
    """`owner/name/path@ref` -> (owner/name, ref); None when it is not of that form."""
    name, _, ref = uses.partition("@")
    parts = name.split("/")
    return ("/".join(parts[:2]) if len(parts) > 1 and not {"", ".", ".."} & set(parts) else None), ref


def find_uses(changes: ChangeSet) -> tuple[UsedAction, ...]:
    """Every `uses: owner/name@ref` in the changed workflows, after the change."""
    return tuple(u for c in changes.changes if c.after is not None for u in uses_in(c.path, c.after))


def uses_in(path: str, content: bytes) -> Iterator[UsedAction]:
    """Every `uses: owner/name@ref` of one workflow file; nothing for other files."""
    if not is_workflow(path):
        return
    text = content.decode(errors="replace")
    for found in _LINE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        comment = (found["comment"] or "").split()
        yield UsedAction(path=path, line=line, uses=found["name"], ref=found["ref"], tag=comment[0] if comment else "")


def pin(changes: ChangeSet, commits: Mapping[tuple[str, str], str]) -> ChangeSet:
    """The change set with every (uses, ref) of `commits` replaced by its commit, the ref kept as a comment; other bytes
    stay.
    """
    return ChangeSet(base_commit=changes.base_commit, changes=tuple(_pinned(c, commits) for c in changes.changes))


def _pinned(change: FileChange, commits: Mapping[tuple[str, str], str]) -> FileChange:
    if change.after is None or not is_workflow(change.path):
        return change
    try:
        text = change.after.decode()
    except UnicodeDecodeError:
        return change

    def one(found: re.Match[str]) -> str:
        commit = commits.get((found["name"], found["ref"]))
        if commit is None or not is_commit(commit):
            return found[0]
        return f"{found['head']}{found['quote']}{found['name']}@{commit}{found['quote']} # {found['ref']}{found['end']}"

    return FileChange(path=change.path, before=change.before, after=_LINE.sub(one, text).encode())
