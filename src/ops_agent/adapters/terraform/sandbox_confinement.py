"""What this machine's kernel can hold against Terraform's children, and the rules for one child (docs/decisions/0008-confinement.md)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform.sandbox_cell import Cell, Program

# System libraries and programs (`diff` for fmt), certificates, the resolver's files. A place that is not there is passed over.
_RUN = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/bin", "/lib", "/lib32", "/lib64", "/nix/store")
_READ = (
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
    *("/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols"),
    *("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/dev/random", "/dev/zero"),
    # Of /proc nothing but this: the embedded engine's thread library looks for the bounds of its first stack.
    "/proc/self/maps",
)
_FILE_VARIABLES = ("TF_CLI_CONFIG_FILE", "SSL_CERT_FILE")
_SECCOMP = {"x86_64": 317, "aarch64": 277}


def landlock_abi() -> int:
    """The kernel's Landlock version: 1 files, 3 truncation, 4 TCP ports, 6 signals and abstract sockets; 0 when there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(444), None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def filters_sockets() -> bool:
    """Whether a seccomp filter that answers with an error can be set here (SECCOMP_GET_ACTION_AVAIL), and its call numbers are known."""
    number = _SECCOMP.get(os.uname().machine)
    if sys.platform != "linux" or number is None:
        return False
    refuse = ctypes.c_uint32(0x00050000)
    return int(ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_uint(2), ctypes.c_uint(0), ctypes.byref(refuse))) == 0


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
        """`landlock` of the child's SPEC. `shared` may be read and executed (mirrors), `writable` are places in `cell.work`."""
        if not self.files:
            return None
        rules: dict[str, str] = dict.fromkeys(_RUN, "run") | dict.fromkeys(_READ, "read") | {"/dev/null": "use"}
        rules |= {value: "read" for name, value in variables if name in _FILE_VARIABLES}
        rules |= {str(path): "run" for path in (program.path, *shared)}
        rules[str(cell.work)] = "read"
        rules |= {str(path): "write" for path in (*cell.private, *writable)}
        return {"abi": self.landlock, "rules": rules, "ports": sorted(ports) if self.ports else []}
