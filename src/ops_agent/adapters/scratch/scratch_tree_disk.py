"""A private directory that no path leaves: every access walks down from the root's descriptor with O_NOFOLLOW.

C03-C05, C12, C13 of the security bar.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ops_agent.errors import NoSpace, PolicyViolation
from ops_agent.ports import ScratchRefusal

MAX_READ_BYTES = 5_000_000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class PrivateDirectory:
    """Files by relative path. Paths are checked by the caller; links, devices and hard links are refused here, at every access.

    Every method raises ScratchRefusal, or NoSpace when the disk is full.
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

    def size(self, path: str) -> int:
        with self._parent(path) as (directory, name):
            return os.stat(name, dir_fd=directory, follow_symlinks=False).st_size

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
            raise translated(error) from error
        finally:
            os.close(current)


def translated(error: OSError) -> Exception:
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
