"""What this process gives up for itself, before it knows any secret."""

from __future__ import annotations

import ctypes
import resource
import sys

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38


def harden_this_process() -> None:
    """Make this process unreadable for others of its uid. `__main__` calls it before anything else; it is cheap and may be called again.

    No core dumps, not dumpable (so /proc/PID/environ, mem and fd are closed to the same uid), no new privileges. Linux only; elsewhere
    nothing happens, and the self-test decides.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
