"""Commits of a git repository, and the choice of those that are replayed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
TERRAFORM, WORKFLOW = "terraform", "workflow"
_TERRAFORM_FILES = (".tf", ".tf.json", ".tfvars", ".tfvars.json", ".hcl", ".tfbackend")
_DOCUMENTS = (".md", ".mdx", ".rst", ".txt", ".adoc", ".png", ".svg")
_BOT = re.compile(r"dependabot|renovate", re.IGNORECASE)
_BUMP = re.compile(r"^\S*:?\s*bump \S+ from \S+ to |^\S*deps\S*: ", re.IGNORECASE)
_REGULAR = ("100644", "100755")
_NOTHING = "000000"
_DEPTH = 3000


@dataclass(frozen=True, slots=True)
class Changed:
    """One changed path with the blobs of both sides; None: the file does not exist there."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit with one parent. `is_bump`: it raises the version of a dependency, as bots do."""

    id: str
    parent: str
    subject: str
    is_bump: bool
    changes: tuple[Changed, ...]

    @property
    def kind(self) -> str | None:
        """`workflow` when it changes one, `terraform` when it changes Terraform and else only documents, or None."""
        paths = [c.path for c in self.changes]
        if any(p.startswith(".github/workflows/") and p.endswith((".yml", ".yaml")) for p in paths):
            return WORKFLOW
        if any(p.endswith(_TERRAFORM_FILES) for p in paths) and all(
            p.endswith(_TERRAFORM_FILES + _DOCUMENTS) for p in paths
        ):
            return TERRAFORM
        return None


@dataclass
class Repository:
    """A git directory, read with git's plumbing commands: nothing is checked out, no hook and no filter runs."""

    name: str
    directory: Path
    _blobs: dict[str, bytes | None] = field(default_factory=dict)
    _reader: subprocess.Popen[bytes] | None = None

    @cached_property
    def commits(self) -> tuple[Commit, ...]:
        """The newest commits, newest first, without merges and changes of symbolic links or submodules."""
        form = "--format=%x01%H%x02%P%x02%an <%ae>%x02%s"
        options = ("--no-merges", "--raw", "-z", "--no-renames", "--no-abbrev", f"-n{_DEPTH}", form)
        return tuple(_parsed(self._git("log", *options, "HEAD")))

    def tree(self, commit: str) -> dict[str, str]:
        """Path -> blob of the regular files of a commit."""
        rows = (row.partition("\t") for row in self._git("ls-tree", "-r", "-z", commit).split("\0") if row)
        return {path: about.split()[2] for about, _, path in rows if about.split()[0] in _REGULAR}

    def blob(self, blob: str) -> bytes | None:
        """The bytes of a blob, None when the clone lacks it. One `git cat-file` answers all questions."""
        if blob not in self._blobs:
            self._blobs[blob] = self._asked(blob)
        return self._blobs[blob]

    def content(self, blob: str | None) -> bytes | None:
        """The bytes of one side of a change."""
        return None if blob is None else self.blob(blob)

    def close(self) -> None:
        """End the reader; the next question starts another one."""
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None

    def _asked(self, blob: str) -> bytes | None:
        if self._reader is None:
            command = [*self._command, "cat-file", "--batch"]
            self._reader = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        asks, answers = self._reader.stdin, self._reader.stdout
        assert asks and answers
        asks.write(f"{blob}\n".encode())
        asks.flush()
        head = answers.readline().split()
        if head[1] != b"blob":
            return None
        content = answers.read(int(head[2]))
        answers.read(1)
        return content

    @property
    def _command(self) -> list[str]:
        return ["git", "-c", "safe.directory=*", "--git-dir", str(self.directory)]

    def _git(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], check=True, stdout=subprocess.PIPE)
        return done.stdout.decode(errors="surrogateescape")


def repositories_in(folder: Path) -> list[Repository]:
    """The repositories of a folder: bare ones (`name`, `name.git`, `owner+name/repo`) and checkouts."""
    found = []
    for entry in sorted(p for p in folder.iterdir() if p.is_dir()):
        for directory in (entry, entry / ".git", entry / "repo", entry / "repo" / ".git"):
            if (directory / "HEAD").is_file() and (directory / "objects").is_dir():
                found.append(Repository(entry.name.removesuffix(".git").replace("+", "/"), directory))
                break
    return found


def chosen(commits: Sequence[Commit], count: int, kinds: Sequence[str]) -> list[Commit]:
    """`count` recent commits; of both kinds, two thirds are Terraform-only unless the repository lacks one kind.

    The same history always gives the same commits.
    """
    candidates = {kind: [c for c in commits if c.kind == kind] for kind in kinds}
    parts = {TERRAFORM: count - count // 3, WORKFLOW: count // 3} if len(kinds) > 1 else {kinds[0]: count}
    picked = {kind: _spread(candidates[kind], parts[kind]) for kind in kinds}
    missing = count - sum(map(len, picked.values()))
    fullest = max(kinds, key=lambda kind: len(candidates[kind]))
    picked[fullest] = _spread(candidates[fullest], len(picked[fullest]) + missing)
    return [commit for kind in kinds for commit in picked[kind]]


def _spread(candidates: Sequence[Commit], count: int) -> list[Commit]:
    """Spread evenly over the newest, as neighbours often correct one another; at most a quarter are version bumps."""
    people = [c for c in candidates if not c.is_bump][: 4 * count]
    bumps = [c for c in candidates if c.is_bump][: 4 * count]
    by_bots = min(len(bumps), count // 4, len(people) // 3)
    by_people = min(len(people), count - by_bots)
    picked = [*evenly(people, by_people), *evenly(bumps, by_bots)]
    return [c for c in candidates if c in picked]


def evenly(items: Sequence[T], count: int) -> list[T]:
    return [items[i * len(items) // count] for i in range(count)]


def _parsed(log: str) -> Iterator[Commit]:
    for entry in log.split("\x01")[1:]:
        head, _, rows = entry.partition("\0")
        commit, parents, author, subject = head.split("\x02", 3)
        words = [w for w in rows.lstrip("\n").split("\0") if w.strip()]
        changes, plain = [], True
        for about, path in zip(words[::2], words[1::2], strict=True):
            mode, mode_after, before, after, _ = about.lstrip(":").split(" ")
            plain = plain and {mode, mode_after} <= {*_REGULAR, _NOTHING}
            changes.append(
                Changed(path, before if mode != _NOTHING else None, after if mode_after != _NOTHING else None)
            )
        changes = [c for c in changes if c.before != c.after]
        if plain and changes and len(parents.split()) == 1:
            yield Commit(commit, parents, subject, bool(_BOT.search(author) or _BUMP.search(subject)), tuple(changes))
