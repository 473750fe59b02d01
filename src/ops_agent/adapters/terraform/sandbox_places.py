"""Directories and user ids for the sandbox: fresh for each run, swept when a run crashed."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from ops_agent.errors import NoSpace, ToolchainError

_PREFIX = "ops-agent-run-"
LEAST_MEMORY = 1 << 30


def is_open_to_others(path: Path) -> bool:
    """Whether any user may enter every directory on the way to `path` and read it (and enter or execute it)."""
    real = path.resolve()
    try:
        modes = [p.stat().st_mode for p in (real, *real.parents)]
    except OSError:
        return False
    return all(mode & stat.S_IXOTH for mode in modes) and bool(modes[0] & stat.S_IROTH)


def pick_uid() -> int:
    """First of a block of 1,000 user ids that nobody uses. High, mapped in the user namespace, away from systemd's and containers'."""
    with suppress(OSError, ValueError):
        lines = [[int(n) for n in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
        end = max(first + count for first, _, count in lines)
        high = 2_000_000_000 if end > 2_100_000_000 else end - 20_000
        for block in range(16):
            uid = high + (os.getpid() % 1_000 + block) * 1_000 % (90_000_000 if end > 2_100_000_000 else 15_000)
            if not _in_use(uid):
                return uid
    raise ToolchainError(
        "This process is root but no free user id was found for Terraform",
        hint="Run the container with its default user namespace, or run ops-agent as an ordinary user.",
    )


def _in_use(uid: int) -> bool:
    with suppress(KeyError):
        pwd.getpwuid(uid)
        return True
    for entry in os.scandir("/proc"):
        with suppress(OSError):
            if entry.name.isdigit() and uid <= entry.stat().st_uid < uid + 1_000:
                return True
    return False


def new_run_directory(base: Path) -> Path:
    """`ops-agent-run-PID-START-random` in `base`: its name tells the next run whether the owner still lives."""
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{_started(os.getpid())}-", dir=base))
    except OSError as error:
        if error.errno in (28, 122):
            raise NoSpace(f"No space left in {base}") from error
        raise ToolchainError(f"No directory could be made in {base}: {error.strerror}") from error
    made.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return made


def sweep(base: Path) -> tuple[Path, ...]:
    """Remove the directories (plan files among them) of our runs that were killed. Returns what was removed."""
    removed = []
    for left in base.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError, IndexError):
            pid, start = left.name.removeprefix(_PREFIX).split("-")[:2]
            if left.is_symlink() or left.stat().st_uid != os.geteuid() or _started(int(pid)) == start:
                continue
            shutil.rmtree(left, ignore_errors=True)
            removed.append(left)
    return tuple(removed)


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot, empty when there is none: together with the pid it is never used twice."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""


def copy_program(program: Path, root: Path) -> Path:
    """A copy that every user may execute, for a program in a directory that only root can enter."""
    copy = root / program.name
    shutil.copyfile(program, copy)
    copy.chmod(0o755)
    return copy


def memory_left() -> int:
    """Bytes of memory that can still be had, by the machine and by the control group that this process is in."""
    left = []
    with suppress(OSError, ValueError, IndexError):
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
        left.append(int(line.split()[1]) * 1_024)
    with suppress(OSError, ValueError):
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
        left.append(int(limit) - int(used))
    return min(left, default=1 << 30)


def memory_bound() -> int:
    """Bytes that one child may have for data (RLIMIT_DATA): what can still be had now, so that it ends before the kernel picks a victim.

    At least 1 GB: a plan with a large provider takes 0.7 GB, and what is left may be had again soon.
    """
    return max(memory_left(), LEAST_MEMORY)
