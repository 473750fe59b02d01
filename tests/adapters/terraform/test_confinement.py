"""What the kernel prevents, tried by a hostile child (docs/decisions/0008-confinement.md)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapters.terraform.worlds import bare_target, write
from ops_agent.adapters.terraform import confinement, sandbox_child
from ops_agent.adapters.terraform.confinement import Confinement, filters_sockets, landlock_abi
from ops_agent.adapters.terraform.engine import find_program
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.sandbox import Sandbox, prove
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus

PYTHON = "/usr/bin/python3"
pytestmark = [
    pytest.mark.skipif(
        landlock_abi() < 6 or not filters_sockets(), reason="this kernel has no Landlock 6 or no seccomp"
    ),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"{PYTHON} is the program of these tests"),
]


IO_URING = """import ctypes
if ctypes.CDLL(None, use_errno=True).syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
    raise OSError(ctypes.get_errno(), "")"""


@pytest.fixture
def box():
    with Sandbox(find_program("embedded", "")) as made:
        yield made


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def confined(box: Sandbox, code: str, *, ports: frozenset[int] = frozenset()) -> str:
    """What Python prints in a cell, under exactly the confinement that Terraform gets there."""
    cell = box.open_cell()
    (cell.work / "main.tf").write_text("# here\n")
    box.hand_over(cell)
    words = box._child(cell, {}, ports)
    spec = {**json.loads(words[-1]), "library": None}
    patience = Patience(deadline=20)
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(cell.home), "TMPDIR": str(cell.temporary)}
    argv = [*words[:-1], json.dumps(spec), PYTHON, "-I", "-S", "-c", f"import os, socket\n{code}"]
    result = box.children.run(argv, variables=variables, cwd=cell.work, patience=patience, uid=cell.uid)
    return (result.stdout + result.stderr).decode().strip()


@pytest.mark.parametrize(
    "code",
    [
        "print(open('main.tf').read())",
        "print(os.listdir('.'))",
        (
            "path = os.environ['TMPDIR'] + '/x'; open(path, 'w').write('here'); os.chmod(path, 0o700); "
            "print(open(path).read())"
        ),
        "s = socket.socket(socket.AF_UNIX); s.bind(os.environ['TMPDIR'] + '/s'); s.listen(); print('here')",
        "print(open('/etc/hosts').read() and 'here')",
        "open('/dev/null', 'w').write('x'); print('here')",
    ],
    ids=["read its copy", "list its copy", "write where it may", "a plugin's socket", "name service", "null device"],
)
def test_a_child_can_do_its_work(code, box):
    printed = confined(box, code)
    assert "here" in printed or "main.tf" in printed


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "open('/proc/%d/environ' % os.getppid()).read()",
        "os.listdir('/proc')",
        "os.listdir('/')",
        "os.listdir('/home')",
        "open('../kept/x', 'w')",
        "open('evil.tf', 'w')",
        "os.rename('main.tf', 'other.tf')",
        "os.unlink('main.tf')",
        "os.mkdir('/tmp/ops-agent-evil')",
        "os.mknod(os.environ['TMPDIR'] + '/device', 0o20600, os.makedev(1, 5))",
        "os.kill(os.getppid(), 0)",
        "socket.socket(type=socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(43, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
        "socket.socket().connect(('127.0.0.1', {port}))",
        "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', {port}))",
        "socket.socket().sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', {port}))",
        "socket.socket().bind(('127.0.0.1', 0))",
        "socket.socket().bind(('127.0.0.1', 65001))",
        "socket.socket(socket.AF_UNIX).connect('\\0{abstract}')",
        IO_URING,
    ],
)
def test_a_child_cannot_do_anything_else(code, box, listener):
    """Files, other processes, TCP elsewhere, UDP (so DNS), Multipath TCP, TCP Fast Open, raw and foreign sockets,
    io_uring.
    """
    with socket.socket(socket.AF_UNIX) as abstract:
        name = f"ops-agent-{os.getpid()}-{os.urandom(4).hex()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        code = code.replace("{port}", str(listener.getsockname()[1])).replace("{abstract}", name)
        printed = confined(
            box,
            f"try:\n    exec({code!r})\nexcept OSError as error:\n    print('refused', error.errno)\n"
            "else:\n    print('DONE')",
        )
    assert printed in ("refused 13", "refused 1"), printed
    listener.settimeout(0.05)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_the_same_child_reaches_a_port_that_it_was_given(box, listener):
    """The refusals above come from the rules, not from the machine."""
    port = listener.getsockname()[1]
    threading.Thread(target=listener.accept, daemon=True).start()
    code = f"socket.socket().connect(('127.0.0.1', {port})); print('connected')"
    assert confined(box, code, ports=frozenset({port})) == "connected"


def test_the_filter_refuses_the_calls_of_other_architectures():
    """A filter that looks at numbers alone would let the 32-bit calls through: the first thing that it looks at is the
    architecture.
    """
    for machine, (architecture, *_) in sandbox_child.CALLS.items():
        program = sandbox_child.socket_filter(machine)
        assert len(program) % 8 == 0
        assert program[:8] == b"\x20\x00\x00\x00\x04\x00\x00\x00"
        assert int.from_bytes(program[12:16], "little") == architecture
        assert program[11] == len(program) // 8 - 4  # not equal: to the refusal, the last but one


@pytest.mark.parametrize("engine", ["embedded", "terraform"])
@pytest.mark.terraform
def test_the_kernel_refuses_an_engine_that_connects_elsewhere_on_this_machine(engine, tmp_path, listener):
    """Go never sends loopback through a proxy, so this is the kernel's rule in the engine's own threads."""
    port = listener.getsockname()[1]
    settings = f'address = "http://127.0.0.1:{port}/state"\n    retry_max = 0'
    backend = f'terraform {{\n  backend "http" {{\n    {settings}\n  }}\n}}\n'
    from adapters.terraform.conftest import available

    with (
        TerraformCli(
            policy=Policy(), binary=available(engine), path_variable=os.environ["PATH"], patience=Patience(deadline=30)
        ) as terraform,
        terraform.workspace(write(tmp_path, {"main.tf": backend}), bare_target(), None) as workspace,
    ):
        workspace.leased = True
        init = workspace.init()
        plan, left = workspace.plan()
    said = " ".join(f.what for f in (*init.findings, *plan.findings))
    assert left is None
    assert "connect: permission denied" in said
    listener.settimeout(0.05)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_spec_that_cannot_be_kept_ends_the_child_before_the_program(tmp_path):
    """Fail closed: a ruleset that the kernel refuses, a library that is not there."""
    for wrong in (
        {"landlock": {"abi": 6, "rules": {}, "ports": [1 << 20]}},
        {"library": "/no/such/library.so"},
        {"uid": "x", "gid": 1},
    ):
        spec = json.dumps({"uid": None, "gid": None, "library": None, **wrong})
        argv = [sys.executable, "-I", "-S", sandbox_child.__file__, spec, "/bin/echo", "RAN"]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (sandbox_child.NOT_CONFINED, ""), wrong
        assert "could not be closed" in done.stderr


def test_the_sandbox_states_what_holds_and_what_does_not():
    whole = str(Confinement(own_uid=False, landlock=7, sockets=True))
    assert whole == (
        "an undumpable parent, no file outside their cell (Landlock 7), TCP to the port numbers of the egress proxy "
        "and the credential "
        "broker alone, sockets on disk that their user may open, such as Docker's, are open to them, no UDP, no "
        "signal to others"
    )
    for landlock, sockets, words in (
        (0, True, "files that their user may read are open to them"),
        (3, True, "a proxy that a hostile provider can go round"),
        (7, False, "UDP is open to them"),
    ):
        assert words in str(Confinement(own_uid=False, landlock=landlock, sockets=sockets))
    assert "signal" not in str(Confinement(own_uid=True, landlock=5, sockets=True))
    assert "Docker" not in str(Confinement(own_uid=True, landlock=7, sockets=True))


@pytest.mark.parametrize("promise", ["other ports", "udp", "other file"])
def test_a_promise_that_does_not_hold_on_this_machine_stops_every_plan(promise, box, monkeypatch):
    """Fail closed: the sandbox claims more than it enforces on its children."""
    given = box._child

    def leaky(*arguments):
        *words, text = given(*arguments)
        spec = json.loads(text)
        if promise == "udp":
            spec["sockets"] = False
        elif promise == "other ports":
            spec["landlock"]["ports"].append(spec["attempts"]["port"] if spec["attempts"] else 1)
        else:
            spec["landlock"]["rules"]["/"] = "read"
            spec["uid"] = spec["gid"] = None
        return [*words, json.dumps(spec)]

    monkeypatch.setattr(box, "_child", leaky)
    config = box.root / "c.tfrc"
    config.write_text("disable_checkpoint = true\n")
    config.chmod(0o644)
    with pytest.raises(ToolchainError, match=f"can (leave its sandbox|read this process) .*{promise}"):
        prove(box, {"TF_CLI_CONFIG_FILE": str(config)})


def test_a_bare_child_that_does_not_answer_stops_every_plan(box, monkeypatch):
    monkeypatch.setattr(box, "attempt", lambda *_: {})
    with pytest.raises(ToolchainError, match="self-test did not run"):
        prove(box, {})


@pytest.mark.terraform
@pytest.mark.parametrize(
    ("abi", "sockets"),
    [(0, False), (4, True), *(pytest.param(abi, True, marks=pytest.mark.proof) for abi in (0, 1, 2, 3, 5))],
)
def test_an_older_kernel_gets_what_it_can_hold_and_plans_all_the_same(abi, sockets, tmp_path, monkeypatch):
    """The sandbox adapts to the kernel's version, and the self-test tries only what is claimed."""
    monkeypatch.setattr(confinement, "landlock_abi", lambda: abi)
    monkeypatch.setattr(confinement, "filters_sockets", lambda: sockets)
    with TerraformCli(policy=Policy(), binary="embedded", patience=Patience(deadline=30)) as terraform:
        terraform.self_test()
        tree = write(tmp_path, {"main.tf": 'output "x" {\n  value = 1\n}\n'})
        with terraform.workspace(tree, bare_target(), None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            assert workspace.plan()[0].status is CheckStatus.PASSED
