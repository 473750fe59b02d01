"""ports.Scratch: the base commit's regular files in a private directory, where the agent's edits land.

Every access walks the path one directory at a time with O_NOFOLLOW from the root's descriptor, so that no link, however
late it is planted, leads outside. What Terraform may read is on the disk from the start; other files come from the
base when they are asked for.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import NoSpace, PolicyViolation
from ops_agent.model.policy import Limits
from ops_agent.model.ports import BaseTree, ScratchRefusal
from ops_agent.terraform.links import places_of, target_of

MAX_READ_BYTES = 5_000_000
MAX_PATH_BYTES = 4096
MAX_EAGER_FILES = 5_000
_TERRAFORM = (".tf", ".tofu", ".tf.json", ".tfvars", ".tfvars.json", ".hcl", ".tfbackend", ".tftpl", ".tpl")
_MODULE = (".tf", ".tofu", ".tf.json")
_WORKFLOWS = ".github/"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A quick yes for most paths, so that a repository of 200,000 files opens in seconds.
_PLAIN = re.compile(r"(?!\.\.?/)[A-Za-z0-9._@+=-]*[A-Za-z0-9_@+=-](/(?!\.\.?/)[A-Za-z0-9._@+=-]*[A-Za-z0-9_@+=-])*")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NEVER = re.compile(
    r"(?:^|/)(?:\.git|git~\d+|\.terraform|terraform\.d|[^/]*\.tfstate(?:\.[^/]*)?|[^/]*\.tfplan)(?:/|$)"
)


@contextmanager
def scratch_tree(base: BaseTree, limits: Limits | None = None, parent: Path | None = None) -> Iterator[ScratchTree]:
    """A fresh tree (0700) under `parent` (or the system's temporary directory), removed at the end. Raises NoSpace."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="ops-agent-scratch-", dir=parent))
    except OSError as error:
        raise _translated(error) from error
    try:
        with closing(ScratchTree(folder, base, limits or Limits())) as tree:
            yield tree
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class ScratchTree:
    """See ports.Scratch. Submodules, git's and Terraform's internals are not taken over. What a link of `base` shows is
    a file like others; it is written in its own place, and then changes in all places that show it.
    """

    def __init__(self, root: Path, base: BaseTree, limits: Limits) -> None:
        self.root = root
        self.base = base
        self._limits = limits
        self._disk = PrivateDirectory(root)
        entries = base.entries()
        self._base_paths = frozenset(
            p
            for p, e in entries.items()
            if e.is_regular and path_trouble(p) is None and not is_left_out(p)
            if not is_left_out(e.leads_to)
        )
        self._places = places_of(entries)
        self._directories = frozenset(above for p in self._base_paths for above in _ancestors(p))
        self._folded = {folded(p): p for p in (*self._base_paths, *self._directories)}
        self._on_disk: dict[str, tuple[bytes, int]] = {}  # SHA-256 and size of every file as we put it there
        self._changed: set[str] = set()  # what the agent wrote or deleted
        for path in self._wanted_on_disk():
            self._put(path, base.read(path))

    def close(self) -> None:
        self._disk.close()

    def read(self, path: str) -> bytes:
        self._check(path)
        if path not in self._on_disk:
            self._require_file(path)
            if self.base.entries()[path].size > MAX_READ_BYTES:
                raise ScratchRefusal(f"`{path}` is larger than {MAX_READ_BYTES:,} bytes")
            self._put(path, self.base.read(path))
        return self._disk.read(path)

    def write(self, path: str, content: bytes) -> None:
        self._check(path)
        self._check_new_name(path)
        self._check_quota(path, content)
        for place in (path, *self._places(path)):
            self._put(place, content)
        self._changed.add(path)
        for name in (path, *_ancestors(path)):
            self._folded.setdefault(folded(name), name)

    def delete(self, path: str) -> None:
        self._check(path)
        self._require_file(path)
        self._refuse_link(path)
        places = self._places(path)
        if shown := next((p for p in places if self._is_link(p)), None):
            raise ScratchRefusal(f"the symbolic link `{shown}` leads to `{path}`, and would lead nowhere")
        self._check_quota(path, b"")
        for place in (path, *places):
            if place in self._on_disk:
                self._disk.delete(place)
                del self._on_disk[place]
        if path in self._base_paths:
            self._changed.add(path)
        else:
            self._changed.remove(path)

    def paths(self) -> tuple[str, ...]:
        return tuple(sorted((self._base_paths - self._shown().keys()) | self._on_disk.keys()))

    def change_set(self) -> ChangeSet:
        found = self._disk.files()
        if strangers := found - self._on_disk.keys():
            raise PolicyViolation(f"the scratch tree holds `{min(strangers)}`, which the agent did not write")
        shown = self._shown()
        for path in sorted(self._on_disk.keys() - shown):
            self._as_put(path, found)
        changes = []
        for path, target in sorted(shown.items()):
            before = self.base.read(path) if path in self._base_paths else None
            after = self._as_put(path, found) if path in self._on_disk else None
            if before != after:
                changes.append(FileChange(path=path, before=before, after=after, leads_to=target))
        return ChangeSet(base_commit=self.base.commit, changes=tuple(changes))

    def _shown(self) -> dict[str, str]:
        """The changed paths, each with an empty text, and the places that show them, each with the changed path."""
        places = {place: path for path in self._changed for place in self._places(path)}
        return places | dict.fromkeys(self._changed, "")

    def _as_put(self, path: str, found: frozenset[str]) -> bytes:
        content = self._disk.read(path) if path in found else b""
        if path not in found or hashlib.sha256(content).digest() != self._on_disk[path][0]:
            raise PolicyViolation(f"`{path}` was changed behind the scratch tree's back")
        return content

    def _require_file(self, path: str) -> None:
        if path not in self._on_disk and (path in self._changed or path not in self._base_paths):
            raise ScratchRefusal(f"there is no regular file `{path}`")

    def _put(self, path: str, content: bytes) -> None:
        self._disk.write(path, content)
        self._on_disk[path] = hashlib.sha256(content).digest(), len(content)

    def _wanted_on_disk(self) -> list[str]:
        """Terraform's own files and the workflows, all; what is below a module's directory up to a cap."""
        modules = {p.rpartition("/")[0] for p in self._base_paths if p.endswith(_MODULE)}
        entries = self.base.entries()
        chosen, beside = [], []
        for path in sorted(self._base_paths):
            if entries[path].size > MAX_READ_BYTES:
                continue
            if path.endswith(_TERRAFORM) or path.startswith(_WORKFLOWS):
                chosen.append(path)
            elif "" in modules or any(above in modules for above in _ancestors(path)):
                beside.append(path)
        return chosen + beside[: max(0, MAX_EAGER_FILES - len(chosen))]

    def _check(self, path: str) -> None:
        if trouble := path_trouble(path):
            raise ScratchRefusal(trouble)
        if is_left_out(path):
            raise ScratchRefusal("git's and Terraform's internals, state and plan files are not part of the tree")

    def _refuse_link(self, path: str) -> None:
        if target := target_of(path, self.base.entries()):
            raise ScratchRefusal(f"`{path}` is `{target}` through a symbolic link: change it there")

    def _is_link(self, path: str) -> bool:
        """Whether the last name of a place that shows a file is a link, and not a directory above it."""
        return not target_of(path.rpartition("/")[0], self.base.entries())

    def _check_new_name(self, path: str) -> None:
        self._refuse_link(path)
        for name in (path, *_ancestors(path)):
            twin = self._folded.get(folded(name), name)
            if twin != name:
                raise ScratchRefusal(f"`{twin}` differs from `{name}` only in case or Unicode form")
            if name != path and name in self.base.entries():
                raise ScratchRefusal(f"`{name}` is not a directory in the repository")
        if path in self._directories:
            raise ScratchRefusal(f"`{path}` is a directory in the repository")
        if path not in self._base_paths and path in self.base.entries():
            raise ScratchRefusal(f"`{path}` is a submodule, or a symbolic link that leads out of the repository")

    def _check_quota(self, path: str, content: bytes) -> None:
        limits = self._limits
        if len(content) > limits.max_file_bytes:
            raise ScratchRefusal(f"a file has at most {limits.max_file_bytes:,} bytes")
        if path not in self._changed and len(self._changed) >= limits.max_files:
            most = f"at most {limits.max_files} files may be changed"
            raise ScratchRefusal(f"{most}: propose a split, or undo other changes")
        others = sum(self._on_disk[p][1] for p in self._changed if p in self._on_disk and p != path)
        if others + len(content) > limits.max_total_bytes:
            raise ScratchRefusal(f"all changed files together have at most {limits.max_total_bytes:,} bytes")


def _ancestors(path: str) -> Iterator[str]:
    """The directories above, nearest first, without the root."""
    while path := path.rpartition("/")[0]:
        yield path


class PrivateDirectory:
    """Files by relative path, in a directory that no path leaves: every access walks down from the root's descriptor.

    The caller checks paths. Links, devices and hard links raise ScratchRefusal, at every access; a full disk NoSpace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor = os.open(root, _DIRECTORY)

    def close(self) -> None:
        os.close(self._descriptor)

    def read(self, path: str) -> bytes:
        with self._parent(path) as (directory, name):
            file = os.open(name, _READ, dir_fd=directory)
            with os.fdopen(file, "rb") as opened:
                _assert_ordinary(os.fstat(file))
                return opened.read(MAX_READ_BYTES + 1)

    def write(self, path: str, content: bytes) -> None:
        """Into a new file beside the target, then renamed over it: a reader sees the old bytes or the new ones."""
        with self._parent(path, create=True) as (directory, name):
            with suppress(FileNotFoundError):
                _assert_ordinary(os.stat(name, dir_fd=directory, follow_symlinks=False))
            beside = f".ops-agent-{secrets.token_hex(8)}"
            try:
                with os.fdopen(os.open(beside, _NEW, 0o600, dir_fd=directory), "wb") as opened:
                    opened.write(content)
                os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=directory)
                raise

    def delete(self, path: str) -> None:
        with self._parent(path) as (directory, name):
            _assert_ordinary(os.stat(name, dir_fd=directory, follow_symlinks=False))
            os.unlink(name, dir_fd=directory)

    def files(self) -> frozenset[str]:
        """Every regular file. Raises PolicyViolation when there is anything else but directories."""
        found = set()
        for folder, directories, names in os.walk(self._root, followlinks=False):
            for name in (*directories, *names):
                full = Path(folder, name)
                mode = full.lstat().st_mode
                path = full.relative_to(self._root).as_posix()
                if stat.S_ISREG(mode):
                    found.add(path)
                elif not stat.S_ISDIR(mode):
                    raise PolicyViolation(f"the scratch tree holds `{path}`, which is neither a file nor a directory")
        return frozenset(found)

    @contextmanager
    def _parent(self, path: str, create: bool = False) -> Iterator[tuple[int, str]]:
        """The descriptor of the path's directory and the last name. A link or anything else on the way is a refusal."""
        *directories, name = path.split("/")
        current = os.dup(self._descriptor)
        try:
            for directory in directories:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(directory, 0o700, dir_fd=current)
                below = os.open(directory, _DIRECTORY, dir_fd=current)
                os.close(current)
                current = below
            yield current, name
        except OSError as error:
            raise _translated(error) from error
        finally:
            os.close(current)


def _translated(error: OSError) -> Exception:
    """What an error of the file system means here: the disk is full, or the access is refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("there is no space left for the scratch tree")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
        return ScratchRefusal("the path leads through something that is not a directory of the tree")
    if error.errno == errno.ENOENT:
        return ScratchRefusal("there is no such file")
    return ScratchRefusal(f"the file system refused ({errno.errorcode.get(error.errno or 0, 'unknown')})")


def _assert_ordinary(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ScratchRefusal("this is not a regular file")
    if found.st_nlink > 1:
        raise ScratchRefusal("this file has several names (hard links)")
    if found.st_size > MAX_READ_BYTES:
        raise ScratchRefusal(f"this file is larger than {MAX_READ_BYTES:,} bytes")


def path_trouble(path: object) -> str | None:
    """Why `path` is refused, as one sentence without the path itself; None when it is sound."""
    if not isinstance(path, str) or not path:
        return "a path is a non-empty string"
    if len(path) < MAX_PATH_BYTES and _PLAIN.fullmatch(path):
        return None
    if any(unicodedata.category(c) in _INVISIBLE for c in path):
        return "a path holds no control, line break or invisible character"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"a path has at most {MAX_PATH_BYTES} bytes"
    if path.startswith(("/", "~")) or "\\" in path or ":" in path or "%" in path:
        return "a path is relative to the root, separated by `/`, without `\\`, `:`, `%` or `~` at its start"
    if unicodedata.normalize("NFKC", path) != path:
        return "a path is written in its simplest Unicode form (NFKC)"
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            return "a path has no empty, `.` or `..` segment"
        if segment != segment.rstrip(". "):
            return "no segment of a path ends with a dot or a blank"
    return None


def is_left_out(path: str) -> bool:
    """Whether it is never in the tree, on any file system: git's and Terraform's internals, state, plans."""
    return _NEVER.search(folded(path)) is not None


def folded(path: str) -> str:
    """The path as a file system that ignores case and Unicode form sees it."""
    if path.isascii() and path.isprintable():
        return "/".join(s.rstrip(". ") for s in path.lower().split("/"))
    plain = unicodedata.normalize("NFKC", path).casefold()
    return "/".join("".join(c for c in s if unicodedata.category(c) != "Cf").rstrip(". ") for s in plain.split("/"))
