"""Everything that came from one child, found and ended: by its session, its uid, or the marker in its environment."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARKER = "OPS_AGENT_CHILD"


def signal_group(pid: int, number: int) -> None:
    """Send `number` to the group that `pid` leads; that it is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def kill_family(pid: int, marker: str, uid: int | None) -> None:
    """SIGKILL the group led by `pid` and every process that came from it, as often as new ones appear."""
    signal_group(pid, signal.SIGKILL)
    for _ in range(20):
        left = family(pid, marker, uid)
        if not left:
            return
        for member in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
            if member != pid:
                with suppress(ChildProcessError):
                    os.waitpid(member, os.WNOHANG)
        time.sleep(0.01)


def family(pid: int, marker: str, uid: int | None) -> tuple[int, ...]:
    """Living processes of the child's session, of its uid, or with its marker in their environment; zombies do not count."""
    found = []
    token = f"{MARKER}={marker}".encode()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            status = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
            if status[0] in (b"Z", b"X"):
                continue
            ours = int(status[3]) == pid or (uid is not None and _owner(entry.path) == uid)
            if ours or _holds(entry.path, token):
                found.append(int(entry.name))
    return tuple(found)


def _owner(path: str) -> int:
    """Real uid by /proc/PID/status; the directory's owner is root's for an undumpable process."""
    for line in Path(path, "status").read_text().splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return -1


def _holds(path: str, token: bytes) -> bool:
    with suppress(OSError):
        return token in Path(path, "environ").read_bytes()
    return False
