"""A checkout on this disk: its files as they are now, against a commit.

`git status` and `git diff` run the filters that a repository's configuration names, so neither is used: the index says
by size, times and inode which files are as they were checked out, and only the others are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.model.change_set import LINK, ChangeSet, FileChange, TreeEntry
from ops_agent.model.errors import ConfigError, ToolchainError
from ops_agent.model.ports import BaseTree
from ops_agent.terraform import hcl_tree_sitter, json_syntax, modules
from ops_agent.terraform.links import FollowedTree, broken_links
from ops_agent.terraform.modules import Module, by_directory, is_configuration, modules_of

MAX_BYTES = 5_000_000
"""Of a file that is not as it was checked out; what is after them is not judged."""
_ENTRY = re.compile(
    rb"(\d{6}) ([0-9a-f]+) \d\t([^\0]+)\0  ctime: (\d+):(\d+)\n  mtime: (\d+):(\d+)\n"
    rb"  dev: \d+\tino: (\d+)\n  uid: \d+\tgid: \d+\n  size: (\d+)\tflags: ([0-9a-f]+)\n"
)
_SKIP_WORKTREE = 0x40000000
FILE = "100644"
_GIVE_PATH = "Give PATH a directory inside a git checkout."


class Checkout:
    """ports.BaseTree of the files on the disk: tracked ones, and untracked ones that are not ignored.

    `top` is the checkout's root, `scope` the directory that was named, relative to it (`infra/`; empty: all).
    """

    commit = "0" * 40

    def __init__(self, objects: GitObjects, folder: Path) -> None:
        self.objects = objects
        try:
            said = os.fsdecode(objects.run("rev-parse", "--show-toplevel", "--show-prefix", "--git-path", "index"))
        except ToolchainError as error:
            raise ConfigError(
                f"{str(folder)!a} has no work tree: it is a bare repository, or a repository's own directory",
                hint=_GIVE_PATH,
            ) from error
        top, self.scope, index = said.split("\n")[:3]
        self.top, self._top = Path(top), os.fsencode(top) + b"/"
        self._index = Path(top, self.scope, index)
        self._read: dict[str, bytes] = {}
        self._plain: dict[str, bool] = {"": True}

    def base(self, revision: str) -> GitTree:
        """The tree of a commit. Raises ConfigError when it is not here."""
        commit = self.objects.commit_of(revision)
        if commit is None:
            is_shallow = self.objects.run("rev-parse", "--is-shallow-repository").strip() == b"true"
            hint = (
                "Fetch it first: this clone is shallow (`fetch-depth: 0` of actions/checkout, `git fetch --unshallow`)."
            )
            raise ConfigError(
                f"there is no commit {revision!a} in this repository",
                hint=hint if is_shallow else "Give --base a branch, a tag or a commit that `git log` knows.",
            )
        return GitTree(self.objects, commit)

    def head(self) -> GitTree | None:
        """The tree of HEAD; None before the first commit."""
        commit = self.objects.commit_of("HEAD")
        return GitTree(self.objects, commit) if commit else None

    def entries(self) -> Mapping[str, TreeEntry]:
        return self._entries

    @cached_property
    def followed(self) -> FollowedTree:
        """The same files, with what links inside of the repository show."""
        return FollowedTree(self)

    @cached_property
    def _entries(self) -> dict[str, TreeEntry]:
        listing = self.objects.run("ls-files", "--stage", "--debug", "--full-name", "-z", ":/")
        tracked = _ENTRY.findall(listing)
        if len(tracked) != listing.count(b"\0"):
            raise ToolchainError("git's list of the index cannot be read", hint="Use git 2.20 or newer.")
        written_at = self._index.stat().st_mtime_ns if tracked else 0
        found: dict[str, TreeEntry] = {}
        for mode, blob, name, *known, flags in tracked:
            path, now = _path(name), self._status(name)
            # What was written in the same moment as the index, or after it, may have changed without a trace there.
            is_known = now is not None and now.st_mtime_ns < written_at and [*map(int, known)] == _noted(now)
            if is_known or (now is None and int(flags, 16) & _SKIP_WORKTREE):
                found[path] = TreeEntry(path=path, mode=mode.decode(), blob=blob.decode(), size=0)
            elif mode != b"160000" and (kind := self._kind(path, now)):
                content = self._from_disk(path) if kind == FILE else self._text_of(path)
                hasher = hashlib.sha256 if len(blob) == 64 else hashlib.sha1
                identity = hasher(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
                if identity != blob.decode():
                    self._read[path] = content
                found[path] = TreeEntry(path=path, mode=kind, blob=identity, size=len(content))
        others = self.objects.run("ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/")
        for name in others.split(b"\0"):
            path = _path(name)
            if kind := self._kind(path, self._status(name)):  # a repository of its own is named as a directory
                found[path] = TreeEntry(path=path, mode=kind, blob="", size=0)  # read when it is asked for
        return found

    def _status(self, name: bytes) -> os.stat_result | None:
        try:
            return os.lstat(self._top + name)
        except OSError:
            return None

    def _kind(self, path: str, now: os.stat_result | None) -> str:
        """The mode of a regular file or a link that is not behind a link; empty for everything else."""
        known = now is not None and self._is_plain(path.rpartition("/")[0])
        kind = stat.S_IFMT(now.st_mode) if known and now else 0
        return FILE if kind == stat.S_IFREG else LINK if kind == stat.S_IFLNK else ""

    def _is_plain(self, directory: str) -> bool:
        """True when no part of the directory's path is a link."""
        if directory not in self._plain:
            above = self._is_plain(directory.rpartition("/")[0])
            self._plain[directory] = above and stat.S_ISDIR(os.lstat(self.top / directory).st_mode)
        return self._plain[directory]

    def _text_of(self, link: str) -> bytes:
        return os.fsencode(os.readlink(self.top / link))  # noqa: PTH115

    def _from_disk(self, path: str) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self.top / path, flags), "rb") as opened:
                return opened.read(MAX_BYTES)
        except OSError as error:
            raise ConfigError(
                f"{path!a} cannot be read: {error.strerror}", hint="Make it readable, or let git ignore it."
            ) from error

    def read(self, path: str) -> bytes:
        content = self._read.get(path)
        if content is None:
            blob = self._entries[path].blob
            is_link = self._entries[path].mode == LINK
            content = self.objects.blob(blob) if blob else self._text_of(path) if is_link else self._from_disk(path)
            self._read[path] = content
        return content

    def load(self, paths: Collection[str]) -> None:
        """Read many files at once; `read` gives them later."""
        wanted = {path: blob for path in paths if path not in self._read and (blob := self._entries[path].blob)}
        contents = self.objects.blobs(wanted.values())
        self._read |= {path: contents[blob] for path, blob in wanted.items()}

    def changes_since(self, base: BaseTree) -> ChangeSet:
        """What is different in `scope`, with what links in the repository show. Submodules are not part of it."""
        before, now = base.entries(), self.followed.entries()
        changes = []
        for path in sorted(p for p in before.keys() | now.keys() if p.startswith(self.scope)):
            sides = [e if e is not None and e.is_regular else None for e in (before.get(path), now.get(path))]
            if (sides[0] and sides[0].blob) != (sides[1] and sides[1].blob):
                trees = (base, self.followed)
                old, new = (tree.read(path) if side else None for side, tree in zip(sides, trees, strict=True))
                if old != new:
                    changes.append(FileChange(path=path, before=old, after=new))
        return ChangeSet(base_commit=base.commit, changes=tuple(changes))

    def links_since(self, base: BaseTree | None) -> tuple[str, ...]:
        """Symbolic links in `scope` that show nothing of the repository, and that `base` has not, or has otherwise."""
        before = base.entries() if base else {}
        links = (p for p in broken_links(self.followed.entries()) if p.startswith(self.scope))
        return tuple(sorted(p for p in links if before.get(p) != self.followed.entries()[p]))


@contextmanager
def open_checkout(folder: Path) -> Iterator[Checkout]:
    """The checkout that `folder` is in. Raises ConfigError when it is in none."""
    if not folder.is_dir():
        raise ConfigError(f"{str(folder)!a} is not a directory", hint=_GIVE_PATH)
    try:
        objects = GitObjects(folder)
    except ConfigError as error:
        error.hint = _GIVE_PATH
        raise
    try:
        yield Checkout(objects, folder)
    finally:
        objects.close()


def _noted(now: os.stat_result) -> list[int]:
    """What the index notes of a file."""
    times = (*divmod(now.st_ctime_ns, 10**9), *divmod(now.st_mtime_ns, 10**9))
    return [*times, now.st_ino & 0xFFFFFFFF, now.st_size]


def _path(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


# Whom each module calls and where its state is, kept between runs by the names that git gives to the contents: a large
# repository is read whole only once.


def modules_in(checkout: Checkout, tree: BaseTree, cache: Path | None) -> dict[str, Module]:
    """The modules of a commit by directory, from the folder `cache` where they are known there."""
    blobs = {p: e.blob for p, e in tree.entries().items() if e.is_regular and is_configuration(p)}
    directories = by_directory(blobs)
    keys = {d: _digest("\0".join((d, *(f"{p} {blobs[p]}" for p in files)))) for d, files in directories.items()}
    file = cache / f"{_readers()}-{_digest(str(checkout.top))}.json" if cache else None
    known = _known(file) if file else {}
    unknown = [path for directory, files in directories.items() if keys[directory] not in known for path in files]
    contents = checkout.objects.blobs(blobs[path] for path in unknown)
    known |= {keys[d]: module for d, module in modules_of(unknown, lambda path: contents[blobs[path]]).items()}
    if file and unknown:
        _keep(file, {key: known[key] for key in keys.values()})
    return {directory: known[key] for directory, key in sorted(keys.items())}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _readers() -> str:
    """Changes when the code does that reads modules."""
    readers = (modules, hcl_tree_sitter, json_syntax)
    return _digest("".join(Path(module.__file__ or "").read_text() for module in readers))


def _known(file: Path) -> dict[str, Module]:
    try:
        kept = json.loads(file.read_bytes()).items()
        return {key: Module(**{**fields, "calls": tuple(fields["calls"])}) for key, fields in kept}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):  # not there, or not ours: it is made again
        return {}


def _keep(file: Path, found: Mapping[str, Module]) -> None:
    beside = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_text(json.dumps({key: asdict(module) for key, module in found.items()}))
        beside.replace(file)
