"""Git's objects in memory: blobs, trees and commits with the SHA-1 that git itself computes, so that a real git can
verify them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FILE, EXECUTABLE, SYMLINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a flattened tree: `mode` as git writes it (`40000`: a folder), `sha` of the blob, tree or commit."""

    mode: str
    sha: str

    @property
    def kind(self) -> str:
        return {FOLDER: "tree", SUBMODULE: "commit"}.get(self.mode, "blob")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who and when, as a commit stores it. `at` is seconds since the epoch, always written in UTC."""

    name: str
    email: str
    at: int

    def encode(self) -> bytes:
        return f"{self.name} <{self.email}> {self.at} +0000".encode()


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit object. `verified` says whether GitHub signed it (commits by the API are, pushed ones are not)."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Tag:
    """An annotated tag object."""

    sha: str
    name: str
    commit: str
    tagger: Signature
    message: str


def iso(at: float) -> str:
    """Seconds since the epoch as GitHub writes a moment: ISO 8601 UTC with whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class GitStore:
    """Content-addressed objects of one repository. Every `put_*` returns the 40 hex digits of the object."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.commits: dict[str, Commit] = {}
        self.tags: dict[str, Tag] = {}

    def _put(self, kind: str, payload: bytes) -> str:
        sha = hashlib.sha1(f"{kind} {len(payload)}\0".encode() + payload, usedforsecurity=False).hexdigest()
        self.objects[sha] = (kind, payload)
        return sha

    def put_blob(self, content: bytes) -> str:
        return self._put("blob", content)

    def put_tree(self, files: Mapping[str, Entry]) -> str:
        """`files` maps `/` separated paths to entries that are not folders; empty folders do not exist in git."""
        here: dict[str, Entry] = {}
        below: dict[str, dict[str, Entry]] = {}
        for path, entry in files.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = entry
            else:
                here[name] = entry
        if clash := here.keys() & below.keys():
            raise ValueError(f"{sorted(clash)[0]} is both a file and a folder")
        for name, inside in below.items():
            here[name] = Entry(FOLDER, self.put_tree(inside))
        # Git sorts as if a folder's name ended in a slash.
        ordered = sorted(here.items(), key=lambda item: item[0].encode() + (b"/" if item[1].mode == FOLDER else b""))
        return self._put("tree", b"".join(f"{e.mode} {name}\0".encode() + bytes.fromhex(e.sha) for name, e in ordered))

    def put_commit(
        self,
        tree: str,
        parents: tuple[str, ...],
        message: str,
        author: Signature,
        committer: Signature,
        *,
        verified: bool = False,
    ) -> str:
        lines = [f"tree {tree}".encode(), *(f"parent {p}".encode() for p in parents)]
        lines += [b"author " + author.encode(), b"committer " + committer.encode(), b"", message.encode()]
        sha = self._put("commit", b"\n".join(lines))
        self.commits[sha] = Commit(sha, tree, parents, author, committer, message, verified)
        return sha

    def put_tag(self, name: str, commit: str, message: str, tagger: Signature) -> str:
        """An annotated tag."""
        lines = [
            f"object {commit}".encode(),
            b"type commit",
            f"tag {name}".encode(),
            b"tagger " + tagger.encode(),
            b"",
            message.encode(),
        ]
        sha = self._put("tag", b"\n".join(lines) + b"\n")
        self.tags[sha] = Tag(sha, name, commit, tagger, message)
        return sha

    def peel(self, sha: str) -> str:
        """The commit that a tag names; any other id as it is."""
        return self.tags[sha].commit if sha in self.tags else sha

    def blob(self, sha: str) -> bytes | None:
        kind, payload = self.objects.get(sha, ("", b""))
        return payload if kind == "blob" else None

    def is_tree(self, sha: str) -> bool:
        return self.objects.get(sha, ("",))[0] == "tree"

    def children(self, tree: str) -> Iterator[tuple[str, Entry]]:
        """Name and entry of what is directly in `tree`, in git's order."""
        payload = self.objects[tree][1]
        at = 0
        while at < len(payload):
            end = payload.index(b"\0", at)
            mode, _, name = payload[at:end].decode().partition(" ")
            yield name, Entry(mode, payload[end + 1 : end + 21].hex())
            at = end + 21

    def walk(self, tree: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Every path below `tree`, folders included, depth first."""
        for name, entry in self.children(tree):
            yield prefix + name, entry
            if entry.mode == FOLDER:
                yield from self.walk(entry.sha, f"{prefix}{name}/")

    def files(self, commit: str) -> dict[str, Entry]:
        """Everything but folders, by path."""
        return {path: entry for path, entry in self.walk(self.commits[commit].tree) if entry.mode != FOLDER}

    def history(self, commit: str) -> list[str]:
        """`commit` and its ancestors, children before their parents, newest first among equals."""
        reachable: dict[str, int] = {}
        waiting = [commit]
        while waiting:
            sha = waiting.pop()
            if sha not in reachable:
                reachable[sha] = 0
                waiting += self.commits[sha].parents
        for sha in reachable:
            for parent in self.commits[sha].parents:
                reachable[parent] += 1
        ready, ordered = [commit], []
        while ready:
            ready.sort(key=lambda sha: self.commits[sha].committer.at)
            sha = ready.pop()
            ordered.append(sha)
            for parent in self.commits[sha].parents:
                reachable[parent] -= 1
                if not reachable[parent]:
                    ready.append(parent)
        return ordered

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both histories share, None for unrelated histories."""
        theirs = set(self.history(other))
        return next((sha for sha in self.history(one) if sha in theirs), None)

    def ahead(self, base: str, head: str) -> list[str]:
        """Commits of `head` that `base` does not have, oldest first."""
        known = set(self.history(base))
        return [sha for sha in reversed(self.history(head)) if sha not in known]
