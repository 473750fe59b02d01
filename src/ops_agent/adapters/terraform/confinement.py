"""What this machine can hold against Terraform's children: Landlock, seccomp, a bound on memory; and the rules for one
child (docs/decisions/0008-confinement.md).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform.cells import Cell

# Every child may execute system libraries and programs (`diff` for fmt), and read certificates and the resolver's
# files. Of /proc there is nothing but the maps: the embedded engine's thread library looks for the bounds of its first
# stack. A place that is not there is passed over.
_RUN = "/usr/bin /usr/lib /usr/lib32 /usr/lib64 /usr/libexec /bin /lib /lib32 /lib64 /nix/store"
_READ = (
    "/etc/ssl /etc/pki /etc/ca-certificates /usr/share/ca-certificates /usr/local/share/ca-certificates "
    "/etc/hosts /etc/host.conf /etc/nsswitch.conf /etc/resolv.conf /etc/gai.conf /etc/services /etc/protocols "
    "/etc/ld.so.cache /etc/localtime /usr/share/zoneinfo /dev/urandom /dev/random /dev/zero /proc/self/maps"
)
_FILE_VARIABLES = ("TF_CLI_CONFIG_FILE", "SSL_CERT_FILE")
_LANDLOCK_CREATE_RULESET = 444
_SECCOMP = {"x86_64": 317, "aarch64": 277}
LEAST_MEMORY = 1 << 30


def landlock_abi() -> int:
    """The kernel's Landlock version: 1 files, 3 truncation, 4 TCP ports, 6 signals and abstract sockets; 0 when there
    is none.
    """
    if sys.platform != "linux":
        return 0
    version = ctypes.c_uint32(1)
    call = ctypes.CDLL(None, use_errno=True).syscall
    return max(0, int(call(ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), version)))


def filters_sockets() -> bool:
    """Whether a seccomp filter that answers with an error can be set here (SECCOMP_GET_ACTION_AVAIL), and its call
    numbers are known.
    """
    number = _SECCOMP.get(os.uname().machine)
    if sys.platform != "linux" or number is None:
        return False
    refuse = ctypes.byref(ctypes.c_uint32(0x00050000))
    return bool(ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_uint(2), ctypes.c_uint(0), refuse) == 0)


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
        *,
        execute: Iterable[Path],
        writable: Iterable[Path],
        variables: Mapping[str, str],
        ports: Iterable[int],
    ) -> dict[str, Any] | None:
        """`landlock` of the child's SPEC. `execute` may be read and executed (the engine, mirrors); `writable` are
        places in `cell.work`.
        """
        if not self.files:
            return None
        rules: dict[str, str] = dict.fromkeys(_RUN.split(), "run") | dict.fromkeys(_READ.split(), "read")
        rules["/dev/null"] = "use"
        rules |= {variables[name]: "read" for name in _FILE_VARIABLES if name in variables}
        rules |= {str(path): "run" for path in execute}
        rules[str(cell.work)] = "read"
        rules |= {str(path): "write" for path in (*cell.private, *writable)}
        return {"abi": self.landlock, "rules": rules, "ports": sorted(ports) if self.ports else []}


def memory_left() -> int:
    """Bytes of memory that can still be had, by the machine and by the control group that this process is in."""
    left = []
    with suppress(OSError, ValueError, IndexError):
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
        left.append(int(line.split()[1]) * 1_024)
    with suppress(OSError, ValueError):
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
        left.append(int(limit) - int(used))
    return min(left, default=LEAST_MEMORY)


def memory_bound() -> int:
    """Bytes that one child may have for data (RLIMIT_DATA): what can still be had now, so that it ends before the
    kernel picks a victim.

    At least 1 GB: a plan with a large provider takes 0.7 GB, and what is left may be had again soon.
    """
    return max(memory_left(), LEAST_MEMORY)
