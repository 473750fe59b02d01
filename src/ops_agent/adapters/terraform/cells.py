"""The private directories and user ids that Terraform's children get: fresh for each run, removed by the next run after
a crash. In each lies a copy of the tree: regular files only, and none of Terraform's or git's internal files.
"""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.processes import NO_SPACE
from ops_agent.adapters.terraform.reach import Reach
from ops_agent.model.errors import ConfigError, NoSpace, ToolchainError
from ops_agent.model.terraform import Environment, TerraformRoot

_PREFIX = "ops-agent-run-"
_LONGEST_RUN = 24 * 3600.0
"""Seconds after which a directory of another PID namespace, whose processes cannot be seen, is nobody's any more."""
# Below these lie systemd's and containers' user ids. Of a small user namespace the upper end is taken.
_HIGHEST_UID, _BLOCK, _BLOCKS = 2_090_000_000, 1_000, 64
_NUMBERS = itertools.count()
_CLAIMED: list[tuple[int, socket.socket]] = []
"""This process's block of user ids, and the socket whose name says so as long as the process lives."""
MAX_FILES, MAX_BYTES = 20_000, 200 << 20
_SHUT_DIRECTORIES = frozenset({".git", ".terraform", "terraform.d", ".terragrunt-cache", "node_modules", ".venv"})
_SHUT_FILES = re.compile(r"(?i)\.terraformrc|terraform\.rc|.*\.tfrc|.*\.tfplan|.*\.tfstate(\..*)?|\.tofurc|tofu\.rc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The private directories of one workspace, the uid (None: ours) that its children run under, and what they may
    reach.
    """

    root: Path
    uid: int | None
    reach: Reach = Reach()

    @property
    def work(self) -> Path:
        """The copy of the tree. Children only read it, where a uid of their own or Landlock holds them to that."""
        return self.root / "work"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def data(self) -> Path:
        """TF_DATA_DIR."""
        return self.root / "data"

    @property
    def out(self) -> Path:
        """Where the plan file is written."""
        return self.root / "out"

    @property
    def kept(self) -> Path:
        """Ours alone: what was captured from the children."""
        return self.root / "kept"

    @property
    def private(self) -> tuple[Path, ...]:
        return (self.home, self.temporary, self.data, self.out)

    def variables(self) -> dict[str, str]:
        """Every variable that a child gets before proxy, credentials and region are added. PATH serves `git` (modules)
        and `diff` (fmt).
        """
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "TF_DATA_DIR": str(self.data),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_MAX_ATTEMPTS": "5",
        }


def is_open_to_others(path: Path) -> bool:
    """Whether any user may enter every directory on the way to `path` and read it (and enter or execute it)."""
    real = path.resolve()
    try:
        modes = [p.stat().st_mode for p in (real, *real.parents)]
    except OSError:
        return False
    return all(mode & stat.S_IXOTH for mode in modes) and bool(modes[0] & stat.S_IROTH)


def fresh_uid() -> int:
    """A user id for one cell, from this process's block; it comes again after 1,000 cells. Raises ToolchainError."""
    return _block() + next(_NUMBERS) % _BLOCK


def _block() -> int:
    """First of this process's block of 1,000 user ids, high in the user namespace.

    Until it ends no other run on the machine takes the block: children are killed by their user id, so two runs must
    not share one.
    """
    if _CLAIMED:
        return _CLAIMED[0][0]
    with suppress(OSError, ValueError):
        lines = [[int(n) for n in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
        end = min(_HIGHEST_UID, max(first + count for first, _, count in lines) - 4 * _BLOCK)
        for block in range(_BLOCKS):
            uid = end - (1 + (os.getpid() + block) % _BLOCKS) * _BLOCK
            if uid > 0 and not _in_use(uid) and _claim(uid):
                return uid
    raise ToolchainError(
        "This process is root but no free user id was found for Terraform",
        hint="Run the container with its default user namespace, or run ops-agent as an ordinary user.",
    )


def _claim(uid: int) -> bool:
    """Whether this process is the one that has the block: an abstract socket's name is given once, and freed by the
    kernel.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0ops-agent-uids-{uid}")
    except OSError:
        claim.close()
        return False
    _CLAIMED.append((uid, claim))
    return True


def _in_use(uid: int) -> bool:
    with suppress(KeyError):
        pwd.getpwuid(uid)
        return True
    for entry in os.scandir("/proc"):
        with suppress(OSError):
            if entry.name.isdigit() and uid <= entry.stat().st_uid < uid + _BLOCK:
                return True
    return False


def new_run_directory(base: Path) -> Path:
    """`ops-agent-run-PID-START-NAMESPACE-random` in `base`: its name shows the next run whether the owner lives."""
    owner = f"{os.getpid()}-{_started(os.getpid())}-{_namespace()}"
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{owner}-", dir=base))
    except OSError as error:
        if error.errno in NO_SPACE:
            raise NoSpace(f"No space left in {base}") from error
        raise ToolchainError(f"No directory could be made in {base}: {error.strerror}") from error
    made.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return made


def sweep(base: Path) -> tuple[Path, ...]:
    """Remove the directories (plan files among them) of our runs that were killed. Returns what was removed.

    Jobs in containers may share `base`: of their runs only those that are older than any run are removed.
    """
    removed = []
    for left in base.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError, IndexError):
            pid, start, namespace = left.name.removeprefix(_PREFIX).split("-")[:3]
            about = left.lstat()
            is_ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            lives = _started(int(pid)) == start
            if namespace != _namespace():
                lives = time.time() - about.st_mtime < _LONGEST_RUN
            if lives or not is_ours:
                continue
            shutil.rmtree(left, ignore_errors=True)
            removed.append(left)
    return tuple(removed)


def _namespace() -> str:
    """The number of this process's PID namespace."""
    return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot, empty when there is none: together with the pid it is never
    used twice.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""


def remove(path: Path) -> None:
    """Remove a tree even where a child made directories that it cannot enter itself; what is above it stays."""

    def retry(function: Callable[[str], object], name: str, _: object) -> None:
        with suppress(OSError):
            if Path(name) != path:
                Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)

    shutil.rmtree(path, onerror=retry)


def copy_tree(
    tree: Path, work: Path, root: TerraformRoot, environments: Iterable[Environment], *, whole: bool = True
) -> None:
    """Copy `tree` to `work`, whole, because configurations read files beside their root (policies, zips). When it is
    larger than a sandbox takes, or not `whole`: only what `root` needs in `environments`. Raises ConfigError when that
    is too large too.
    """
    files = _listed(tree, (".",)) if whole else None
    if files is None:
        named = (path for e in environments for path in (e.backend_file, *e.var_files) if path)
        only = (root.path, *root.local_modules, *named)
        files = _listed(tree, only)
        if files is None:
            most = f"{MAX_FILES:,} files or {MAX_BYTES >> 20} MB"
            raise ConfigError(f"The Terraform directories hold more than {most}: {', '.join(only)}")
    for relative in files:
        place = work / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / relative, place, follow_symlinks=False)


def empty(directory: Path) -> None:
    """Remove all that is in `directory`; no link is followed."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def snapshot(work: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time (ns) of every file below `work`, to see afterwards what a provider wrote there."""
    files = ((path, path.lstat()) for path in work.rglob("*") if not path.is_dir())
    return {str(path.relative_to(work)): (found.st_size, found.st_mtime_ns) for path, found in files}


def _listed(tree: Path, starts: tuple[str, ...]) -> list[str] | None:
    """Relative paths of the regular files below `starts`, None when they are more than a sandbox takes."""
    found: dict[str, None] = {}
    size = 0
    for path in (path for start in starts for path in _regular(tree / start)):
        relative = str(path.relative_to(tree))
        if relative not in found:
            found[relative] = None
            size += path.lstat().st_size
        if len(found) > MAX_FILES or size > MAX_BYTES:
            return None
    return list(found)


def _regular(start: Path) -> Iterator[Path]:
    if start.is_file() and not start.is_symlink():
        yield start
        return
    for directory, directories, names in os.walk(start):
        directories[:] = sorted(set(directories) - _SHUT_DIRECTORIES)
        for name in sorted(names):
            path = Path(directory, name)
            if not _SHUT_FILES.fullmatch(name) and path.is_file() and not path.is_symlink():
                yield path
