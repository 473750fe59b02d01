"""What this machine's kernel can hold against Terraform's children, and the rules for one child
(docs/decisions/0008-confinement.md).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform.egress import Reach
from ops_agent.model.errors import NoSpace, ToolchainError

# Directories and user ids: fresh for each run, removed by the next run after a crash.

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
    """First of a block of 1,000 user ids that nobody uses. High, mapped in the user namespace, away from systemd's and
    containers'.
    """
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
    """`ops-agent-run-PID-START-random` in `base`: its name shows the next run whether the owner still lives."""
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
    """Start time of a process in clock ticks since boot, empty when there is none: together with the pid it is never
    used twice.
    """
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
    """Bytes that one child may have for data (RLIMIT_DATA): what can still be had now, so that it ends before the
    kernel picks a victim.

    At least 1 GB: a plan with a large provider takes 0.7 GB, and what is left may be had again soon.
    """
    return max(memory_left(), LEAST_MEMORY)


# What is run, the private directories that it runs in, and the variables that every child gets.


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: the absolute path of an executable, or the embedded library."""

    path: Path
    embedded: bool = False


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
        """The copy of the tree: readable for the children, not writable where a uid of their own or Landlock holds it."""
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
        """Where the plan file goes."""
        return self.root / "out"

    @property
    def kept(self) -> Path:
        """Ours alone: what was captured from the children."""
        return self.root / "kept"

    @property
    def private(self) -> tuple[Path, ...]:
        return (self.home, self.temporary, self.data, self.out)


def bare_environment(cell: Cell) -> dict[str, str]:
    """Every variable that a child gets before proxy, credentials and region are added. PATH serves `git` (modules) and
    `diff` (fmt).
    """
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(cell.home),
        "TMPDIR": str(cell.temporary),
        "LANG": "C.UTF-8",
        "TF_DATA_DIR": str(cell.data),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_MAX_ATTEMPTS": "5",
    }


def remove(path: Path) -> None:
    """Remove a tree even where a child made directories that it cannot enter itself."""

    def retry(function: Callable[[str], object], name: str, _: object) -> None:
        with suppress(OSError):
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)

    shutil.rmtree(path, onerror=retry)


# System libraries and programs (`diff` for fmt), certificates, the resolver's files. A place that is not there is
# passed over.
_RUN = (
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
)
_READ = (
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
    *(
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/nsswitch.conf",
        "/etc/resolv.conf",
        "/etc/gai.conf",
        "/etc/services",
        "/etc/protocols",
    ),
    *("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/dev/random", "/dev/zero"),
    # Of /proc nothing but this: the embedded engine's thread library looks for the bounds of its first stack.
    "/proc/self/maps",
)
_FILE_VARIABLES = ("TF_CLI_CONFIG_FILE", "SSL_CERT_FILE")
_SECCOMP = {"x86_64": 317, "aarch64": 277}


def landlock_abi() -> int:
    """The kernel's Landlock version: 1 files, 3 truncation, 4 TCP ports, 6 signals and abstract sockets; 0 when there
    is none.
    """
    if sys.platform != "linux":
        return 0
    return max(
        0,
        int(
            ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(444), None, ctypes.c_size_t(0), ctypes.c_uint32(1))
        ),
    )


def filters_sockets() -> bool:
    """Whether a seccomp filter that answers with an error can be set here (SECCOMP_GET_ACTION_AVAIL), and its call
    numbers are known.
    """
    number = _SECCOMP.get(os.uname().machine)
    if sys.platform != "linux" or number is None:
        return False
    refuse = ctypes.c_uint32(0x00050000)
    return (
        int(ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_uint(2), ctypes.c_uint(0), ctypes.byref(refuse)))
        == 0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What is promised on this machine; the self-test tries all of it."""

    own_uid: bool
    landlock: int
    sockets: bool

    @property
    def files(self) -> bool:
        return self.landlock >= 1

    @property
    def ports(self) -> bool:
        return self.landlock >= 4

    @property
    def signals(self) -> bool:
        return self.landlock >= 6

    def __str__(self) -> str:
        parts = ["a user id of their own" if self.own_uid else "an undumpable parent"]
        if self.files:
            parts.append(f"no file outside their cell (Landlock {self.landlock})")
        elif not self.own_uid:
            parts.append("files that their user may read are open to them (no Landlock)")
        parts.append(
            "TCP to the port numbers of the egress proxy and the credential broker alone"
            if self.ports
            else "a proxy that a hostile provider can go round (no Landlock 4)"
        )
        if not self.own_uid:
            parts.append("sockets on disk that their user may open, such as Docker's, are open to them")
        parts.append("no UDP" if self.sockets else "UDP is open to them (no seccomp)")
        if self.signals:
            parts.append("no signal to others")
        return ", ".join(parts)

    def rules(
        self,
        cell: Cell,
        program: Program,
        *,
        shared: Iterable[Path],
        writable: Iterable[Path],
        variables: Iterable[tuple[str, str]],
        ports: Iterable[int],
    ) -> dict[str, Any] | None:
        """`landlock` of the child's SPEC. `shared` may be read and executed (mirrors), `writable` are places in
        `cell.work`.
        """
        if not self.files:
            return None
        rules: dict[str, str] = dict.fromkeys(_RUN, "run") | dict.fromkeys(_READ, "read") | {"/dev/null": "use"}
        rules |= {value: "read" for name, value in variables if name in _FILE_VARIABLES}
        rules |= {str(path): "run" for path in (program.path, *shared)}
        rules[str(cell.work)] = "read"
        rules |= {str(path): "write" for path in (*cell.private, *writable)}
        return {"abi": self.landlock, "rules": rules, "ports": sorted(ports) if self.ports else []}
