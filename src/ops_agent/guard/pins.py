"""Actions by commit: the llm names a tag, our code writes the commit that the tag means and keeps the tag as a comment.

Only lines that the change writes are pinned: what the base branch has stays as people wrote it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

from ops_agent.guard.data import table
from ops_agent.guard.paths import is_workflow
from ops_agent.model.change_set import ChangeSet, FileChange

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LINE = re.compile(
    r"""^(?P<head>[ ]*(?:-[ ]+)?["']?uses["']?[ ]*:[ ]*(?:&[\w-]+[ ]+)?)(?P<quote>["']?)"""
    r"""(?P<name>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_./-]+)?)"""
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


def vouched_commit(uses: str, ref: str) -> str | None:
    """The commit of a version in the table that ships with ops-agent; of several that begin with `ref`, the newest."""
    found = [commit for version, commit in _vouched(uses) if f"{version}.".startswith(f"{ref}.")]
    return found[-1] if found else None


def _vouched(uses: str) -> list[tuple[str, str]]:
    """Version and commit, the oldest first."""
    entries = (entry.partition("@") for entry in table("action_pins").get("/".join(uses.casefold().split("/")[:2]), ()))
    return [(version, commit) for version, _, commit in entries]


def find_uses(changes: ChangeSet) -> tuple[UsedAction, ...]:
    """Every `uses: owner/name@ref` that the change writes into a workflow."""
    return tuple(used for change in changes.changes for used, _ in _written(change))


def uses_in(path: str, content: bytes) -> Iterator[UsedAction]:
    """Every `uses: owner/name@ref` of one workflow file; nothing for other files."""
    text = content.decode(errors="replace") if is_workflow(path) else ""
    line, position = 1, 0
    for found in _LINE.finditer(text):
        line, position = line + text.count("\n", position, found.start()), found.start()
        comment = (found["comment"] or "").split()
        yield UsedAction(path=path, line=line, uses=found["name"], ref=found["ref"], tag=comment[0] if comment else "")


def _written(change: FileChange) -> Iterator[tuple[UsedAction, int]]:
    """The uses in the file after the change that it did not have before, with their numbers among all."""
    before = Counter((u.uses, u.ref) for u in uses_in(change.path, change.before or b""))
    for number, used in enumerate(uses_in(change.path, change.after or b"")):
        before[used.uses, used.ref] -= 1
        if before[used.uses, used.ref] < 0:
            yield used, number


def pin(changes: ChangeSet, commits: Mapping[tuple[str, str], str]) -> ChangeSet:
    """The change set with every (uses, ref) of `commits` that it writes replaced by its commit, and the version as
    a comment behind it.
    """
    return ChangeSet(base_commit=changes.base_commit, changes=tuple(_pinned(c, commits) for c in changes.changes))


def _pinned(change: FileChange, commits: Mapping[tuple[str, str], str]) -> FileChange:
    try:
        text = (change.after or b"").decode()
    except UnicodeDecodeError:
        return change
    wanted = {n: commit for used, n in _written(change) if is_commit(commit := commits.get((used.uses, used.ref), ""))}
    numbers = count()

    def one(found: re.Match[str]) -> str:
        commit = wanted.get(next(numbers))
        if commit is None:
            return found[0]
        # `v4` moves: beside a commit that we know stands the version that it stays.
        tag = next((version for version, known in _vouched(found["name"]) if known == commit), found["ref"])
        return f"{found['head']}{found['quote']}{found['name']}@{commit}{found['quote']} # {tag}{found['end']}"

    return replace(change, after=_LINE.sub(one, text).encode()) if wanted else change
