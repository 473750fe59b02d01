"""First act of every sandboxed child: give up what it must not have, then become the program.

Run as a file (`python -I -S sandbox_child.py SPEC PROGRAM ARG...`), never imported by the product: it must start fast
and find nothing of the repository or of site-packages. SPEC is JSON: `uid` and `gid` to change to (null keeps the
caller's), `library` of the embedded engine (null executes PROGRAM), and what may be left out: `memory` (bytes),
`landlock` (`abi`, `rules`: path -> rights, `ports`), `sockets` (true: filter them), `attempts` (what the self-test
tries instead of running PROGRAM). Exit code 125: it could not give up what it should.

Landlock and seccomp bind the calling thread and what it starts. The embedded library starts threads when it is loaded,
so it is loaded afterwards, and before the uid is given up: it may be in a directory that only root can enter.
Nothing of the repository is read before.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from stat import S_ISDIR

TYPE_CHECKING = False  # known to type checkers; the module that defines it takes several milliseconds to load
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
LARGEST_FILE = 4 << 30
NOT_CONFINED = 125

# linux/landlock.h. The numbers of these calls are the same on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH, NET_PORT = 1, 2
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
MAKE_DEVICES = 1 << 6 | 1 << 11
BIND_TCP, CONNECT_TCP = 1, 2
RIGHTS = {"read": READ_FILE | READ_DIR, "run": READ_FILE | READ_DIR | EXECUTE, "use": READ_FILE | WRITE_FILE}
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

# The bits of an instruction of linux/bpf_common.h, of linux/seccomp.h and of linux/audit.h.
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 13
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16
# (audit's name of the architecture, socket, sendto, sendmsg, sendmmsg); io_uring_setup is the same for both.
CALLS = {"x86_64": (0xC000003E, 41, 44, 46, 307), "aarch64": (0xC00000B7, 198, 206, 211, 269)}
IO_URING_SETUP, X32 = 425, 0x40000000
UNIX, INET, INET6, STREAM, TCP, FASTOPEN = 1, 2, 10, 1, 6, 0x20000000


def handled(abi: int) -> tuple[int, int, int]:
    """File rights, network rights and scopes that a kernel of this ABI can hold: truncation from 3, TCP from 4, devices
    5, signals 6.
    """
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    return files, BIND_TCP | CONNECT_TCP if abi >= 4 else 0, 3 if abi >= 6 else 0


def restrict(libc: ctypes.CDLL, abi: int, rules: dict[str, str], ports: list[int]) -> None:
    """Nothing outside `rules` (path -> read, run, use, write) and no TCP but to `ports`, for this thread and all that
    it starts.
    """
    files, network, scopes = handled(abi)
    rights = {**RIGHTS, "write": files & ~(MAKE_DEVICES | 1 << 15)}
    attributes = struct.pack("QQQ", files, network, scopes)
    ruleset = call(libc, CREATE_RULESET, attributes, len(attributes), 0)
    for path, right in rules.items():
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = rights[right] & files & (-1 if S_ISDIR(os.fstat(place).st_mode) else OF_FILES)
        call(libc, ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    for port in ports if network else ():
        call(libc, ADD_RULE, ruleset, NET_PORT, struct.pack("QQ", CONNECT_TCP, port), 0)
    call(libc, RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def call(libc: ctypes.CDLL, number: int, *arguments: Any) -> int:
    """A system call by its number. Raises OSError."""
    done: int = libc.syscall(ctypes.c_long(number), *arguments)
    if done < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return done


def socket_filter(machine: str) -> bytes:
    """A seccomp program: Internet sockets are plain TCP. Landlock sees no UDP (so no DNS), no Multipath TCP, no TCP
    Fast Open; io_uring would go round this filter, and so would the calls of other architectures."""
    architecture, socket, sendto, sendmsg, sendmmsg = CALLS[machine]
    lines: tuple[tuple[Any, ...], ...] = (
        (LOAD, ARCHITECTURE),
        (EQUAL, architecture, "", "refuse"),
        (LOAD, NUMBER),
        (AT_LEAST, X32, "refuse", ""),
        (EQUAL, IO_URING_SETUP, "refuse", ""),
        (EQUAL, socket, "family", ""),
        (EQUAL, sendto, "fourth", ""),
        (EQUAL, sendmmsg, "fourth", ""),
        (EQUAL, sendmsg, "third", "allow"),
        ("fourth", LOAD, ARGUMENT + 3 * 8),
        (ANY_BIT, FASTOPEN, "refuse", "allow"),
        ("third", LOAD, ARGUMENT + 2 * 8),
        (ANY_BIT, FASTOPEN, "refuse", "allow"),
        ("family", LOAD, ARGUMENT),
        (EQUAL, UNIX, "allow", ""),
        (EQUAL, INET, "kind", ""),
        (EQUAL, INET6, "kind", "refuse"),
        ("kind", LOAD, ARGUMENT + 8),
        (AND, 0xF),
        (EQUAL, STREAM, "", "refuse"),
        (LOAD, ARGUMENT + 2 * 8),
        (EQUAL, 0, "allow", ""),
        (EQUAL, TCP, "allow", ""),
        ("refuse", RETURN, REFUSE),
        ("allow", RETURN, ALLOW),
    )
    labels = {line[0]: place for place, line in enumerate(lines) if isinstance(line[0], str)}
    program = b""
    for place, line in enumerate(lines):
        code, value, *jumps = line[1:] if isinstance(line[0], str) else line
        program += struct.pack(
            "HBBI", code, *((labels[to] - place - 1 if to else 0) for to in jumps or ("", "")), value
        )
    return program


def filter_sockets(libc: ctypes.CDLL) -> None:
    program = socket_filter(os.uname().machine)
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(text))
    if libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP) was refused")


def give_up(uid: int | None, gid: int | None) -> None:
    """Change to `uid` and `gid` for good. The kernel clears every capability when uid 0 leaves."""
    if uid is None or gid is None:
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def limit(libc: ctypes.CDLL, memory: int | None) -> None:
    """No core dump, no endless file, no privilege by exec, no more than `memory` bytes to write to (Go reserves
    addresses far beyond).
    """
    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: LARGEST_FILE, resource.RLIMIT_DATA: memory}
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        if most is not None and (hard == resource.RLIM_INFINITY or hard > most):
            resource.setrlimit(kind, (most, most))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_NO_NEW_PRIVS) was refused")


def attempt(files: dict[str, str], port: int, pid: int) -> dict[str, bool]:
    """What the self-test wants to know: which of these can be done in here? (Nothing is imported after the
    confinement.)
    """
    import socket  # `main` has loaded it

    def connect() -> None:
        with socket.socket() as connection:
            connection.settimeout(5)
            connection.connect(("127.0.0.1", port))

    tries: dict[str, Callable[[], Any]] = {
        "other_ports": connect,
        "udp": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "signals": lambda: os.kill(pid, 0),
    }
    done = {}
    for name, path in files.items():
        tries[name] = lambda path=path: os.open(path, os.O_RDONLY)  # type: ignore[misc]
    for name, act in tries.items():
        try:
            act()
            done[name] = True
        except OSError:
            done[name] = False
    return done


def main(argv: list[str]) -> None:
    spec, program = json.loads(argv[1]), argv[2:]
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if spec.get("attempts"):
        import socket  # noqa: F401  while its file can still be read
    try:
        limit(libc, spec.get("memory"))
        os.umask(0o077)
        if spec.get("landlock"):
            restrict(libc, **spec["landlock"])
        if spec.get("sockets"):
            filter_sockets(libc)
        library = ctypes.CDLL(spec["library"]) if spec["library"] else None
        give_up(spec["uid"], spec["gid"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        os.write(2, f"The sandbox could not be closed: {error}\n".encode())
        os._exit(NOT_CONFINED)
    # After the change of uid, which clears it: a child never outlives a parent that was killed.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)
    if spec.get("attempts"):
        os.write(1, json.dumps(attempt(**spec["attempts"])).encode())
        os._exit(0)
    if library is None:
        os.execv(program[0], program)  # noqa: S606  no shell is what we want
    words = [word.encode() for word in program[1:]]
    library.RunCli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    # The library closes the descriptors that it is given.
    os._exit(library.RunCli(len(words), (ctypes.c_char_p * len(words))(*words), os.dup(1), os.dup(2)))


if __name__ == "__main__":
    main(sys.argv)
