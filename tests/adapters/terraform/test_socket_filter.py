"""The program of the socket filter, executed by hand for every machine: the kernel here runs only one of them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from ops_agent.adapters.terraform import confinement, sandbox_child


def filtered(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel answers to a call: the program, executed as linux/filter.h says."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(*arguments, *(0,) * 6)[:6])
    lines = [struct.unpack_from("<HBBI", program, place) for place in range(0, len(program), 8)]
    place = accumulator = 0
    while True:
        code, yes, no, value = lines[place]
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            place += yes if holds else no


# Of linux/audit.h, asm/unistd_64.h and asm-generic/unistd.h (which arm64 uses).
_NAMES = ("socket", "sendto", "sendmsg", "sendmmsg", "read", "seccomp")
KERNELS = {
    "x86_64": (0xC000003E, dict(zip(_NAMES, (41, 44, 46, 307, 0, 317), strict=True))),
    "aarch64": (
        0xC00000B7,
        {"socket": 198, "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "read": 63, "seccomp": 277},
    ),
}


@pytest.mark.parametrize("machine", KERNELS)
def test_the_filter_of_each_machine_lets_plain_tcp_and_plugins_sockets_pass_and_nothing_else(machine):
    architecture, calls = KERNELS[machine]
    other = next(number for name, (number, _) in KERNELS.items() if name != machine)
    program = sandbox_child.socket_filter(machine)
    inet, inet6, unix, stream, datagram, cloexec, fastopen = 2, 10, 1, 1, 2, 0o2000000, 0x20000000

    def may(name: str, *arguments: int) -> bool:
        return filtered(program, architecture, calls[name], *arguments) == 0x7FFF0000

    assert may("read") and may("seccomp")
    assert (
        may("socket", inet, stream | cloexec, 0) and may("socket", inet6, stream, 6) and may("socket", unix, datagram)
    )
    for family, kind, protocol in (
        *((inet, datagram, 0), (inet6, datagram, 17), (inet, 3, 255), (16, 3, 0), (17, 3, 0), (40, stream, 0)),
        (inet, stream, 262),
    ):
        assert not may("socket", family, kind, protocol)
    for name, position in (("sendto", 3), ("sendmmsg", 3), ("sendmsg", 2)):
        flags = [0] * 6
        assert may(name, *flags)
        flags[position] = fastopen | 1
        assert not may(name, *flags)
    assert filtered(program, architecture, 425) == filtered(program, architecture, 0x40000029) == 0x5000D
    assert filtered(program, other, calls["read"]) == 0x5000D


@pytest.mark.parametrize("machine", KERNELS)
def test_the_numbers_of_calls_are_those_of_the_kernels_headers(machine):
    places = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}
    header = Path("/usr/include", places[machine])
    if not header.is_file():
        pytest.skip("the kernel's headers are not installed")
    numbers = {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
    own = {"landlock_create_ruleset": sandbox_child.CREATE_RULESET, "landlock_add_rule": sandbox_child.ADD_RULE}
    own |= {"landlock_restrict_self": sandbox_child.RESTRICT_SELF, "io_uring_setup": sandbox_child.IO_URING_SETUP}
    own |= {"seccomp": confinement._SECCOMP[machine]} | KERNELS[machine][1]
    assert {name: numbers[name] for name in own} == own
    assert sandbox_child.CALLS[machine] == (
        KERNELS[machine][0],
        *(own[name] for name in ("socket", "sendto", "sendmsg", "sendmmsg")),
    )
