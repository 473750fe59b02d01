"""The files that the agent changed, against the commit it started from, and the words that they are proposed with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum


class ChangeKind(StrEnum):
    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


def blob_id(content: bytes) -> str:
    """The name that git gives to a file's bytes."""
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()


def needs_workflows_permission(path: str) -> bool:
    """Whether GitHub demands the `workflows` permission to write this path."""
    return path.casefold().startswith(".github/workflows/")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPatch:
    """The work of a run that ended without a pull request: a redacted unified diff, (path, reason) of changed files
    that it leaves out, and the `file` it was written to.
    """

    text: str
    left_out: tuple[tuple[str, str], ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file: its bytes on the base commit and now; None means that it does not exist on that side.

    `leads_to` is the changed file that symbolic links show at `path`; empty for that file itself.
    """

    path: str
    before: bytes | None
    after: bytes | None
    leads_to: str = ""

    @property
    def kind(self) -> ChangeKind:
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.DELETED if self.after is None else ChangeKind.MODIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """Every changed file, sorted by path, against `base_commit` (40 hex digits). The llm's only effect on the world."""

    base_commit: str
    changes: tuple[FileChange, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(c.path for c in self.changes)

    @property
    def written(self) -> ChangeSet:
        """The change set without what is only seen through symbolic links: what a commit writes."""
        return replace(self, changes=tuple(c for c in self.changes if not c.leads_to))

    @property
    def digest(self) -> str:
        """SHA-256 over base, paths and contents: the identity that is compared between stages and jobs."""
        hasher = hashlib.sha256(self.base_commit.encode())
        for change in self.changes:
            mark = b"-" if change.after is None else hashlib.sha256(change.after).digest()
            hasher.update(len(change.path.encode()).to_bytes(4) + change.path.encode() + mark)
        return hasher.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The text of a pull request. `overflow` did not fit into `body` (60,000 characters) and goes to the job summary;
    `patch_only` are paths that are never committed: the body offers them as a patch. `stays_draft`: no input makes it
    ready. `rounds` is the body's list of review rounds, `replies` are answers by thread.

    Every character that came from the llm or from Terraform is neutralised and redacted.
    """

    title: str
    body: str
    commit_headline: str
    commit_body: str
    draft: bool
    stays_draft: bool = False
    labels: tuple[str, ...] = ()
    overflow: str = ""
    patch_only: frozenset[str] = frozenset()
    rounds: str = ""
    replies: tuple[tuple[int, str], ...] = ()


LINK = "120000"
"""The mode of a symbolic link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One entry of a commit's tree. Mode `120000` is a symlink, `160000` a submodule; `size` is in bytes.

    `leads_to` is the path that links lead to from `path`, where they are followed (ops_agent.terraform.links).
    """

    path: str
    mode: str
    blob: str
    size: int
    leads_to: str = ""

    @property
    def is_regular(self) -> bool:
        return self.mode in ("100644", "100755")
