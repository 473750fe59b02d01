"""First act of every sandboxed child: give up what it must not have, then become the program.

Run as a file (`python -I -S sandbox_child.py SPEC PROGRAM ARG...`), never imported by the house: it must start fast and find nothing of the
repository or of site-packages. SPEC is JSON: `uid` and `gid` to change to (null keeps the caller's), `library` of the embedded engine (null
executes PROGRAM).

The embedded library is loaded before the uid is given up, so that it may stand in a directory that only root can enter; nothing of the
repository is read before.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
LARGEST_FILE = 4 << 30


def give_up(uid: int | None, gid: int | None) -> None:
    """Change to `uid` and `gid` for good. The kernel clears every capability when uid 0 leaves."""
    if uid is None or gid is None:
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def limit(prctl: Callable[..., int]) -> None:
    """No core dump, no endless file, no privilege by exec."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard == resource.RLIM_INFINITY or hard > LARGEST_FILE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_NO_NEW_PRIVS) was refused")


def main(argv: list[str]) -> None:
    spec, program = json.loads(argv[1]), argv[2:]
    parent = os.getppid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    limit(prctl)
    os.umask(0o077)
    library = ctypes.CDLL(spec["library"]) if spec["library"] else None
    give_up(spec["uid"], spec["gid"])
    # After the change of uid, which clears it: a child never outlives a parent that was killed.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)
    if library is None:
        os.execv(program[0], program)  # noqa: S606  no shell is what we want
    words = [word.encode() for word in program[1:]]
    library.RunCli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    # The library closes the descriptors that it is given.
    os._exit(library.RunCli(len(words), (ctypes.c_char_p * len(words))(*words), os.dup(1), os.dup(2)))


if __name__ == "__main__":
    main(sys.argv)
