"""Where Terraform runs: out of reach of this process, of the checkout, and of other targets; and the proof of that.

As root every workspace gets a uid of its own; otherwise this process is made undumpable, so that a child of the same
uid cannot read its environment or memory. Either way: an environment built from nothing, private directories, no new
privileges, no core dumps, a bound on memory, and what the kernel can hold besides (confinement): files of the cell
alone, and no way out but the egress proxy.

Before anything of the llm's is planned, `prove` tries everything that this machine is said to hold from inside. A
hostile configuration tries to read this process and a private file through the engine; a child that is confined in the
same way tries to connect to another port of this machine, to send UDP, to signal this process.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ops_agent.adapters.network import DIRECT, Network
from ops_agent.adapters.terraform import confinement, sandbox_child
from ops_agent.adapters.terraform.cells import Cell, fresh_uid, is_open_to_others, new_run_directory, remove, sweep
from ops_agent.adapters.terraform.commands import TerraformCommand, plan, show
from ops_agent.adapters.terraform.confinement import Confinement, memory_bound
from ops_agent.adapters.terraform.egress import EgressProxy
from ops_agent.adapters.terraform.engine import Program
from ops_agent.adapters.terraform.processes import Children, ChildResult, Patience
from ops_agent.adapters.terraform.reach import ANYWHERE, NOWHERE, Reach
from ops_agent.config.inputs import LOOPBACK
from ops_agent.model.errors import ToolchainError

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_READ = {"environment", "memory", "descriptors", "secret_file", "other_file"}


def harden_this_process() -> None:
    """Make this process unreadable for others of its uid. `__main__` calls it before it knows any secret; it is cheap
    and may be called again.

    No core dumps, not dumpable (so /proc/PID/environ, mem and fd are closed to the same uid), no new privileges. Linux
    only; elsewhere nothing happens, and the self-test decides.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


class Sandbox:
    """All cells of one run. A context manager: its end kills what still runs and removes every file."""

    def __init__(self, program: Program, network: Network = DIRECT) -> None:
        harden_this_process()
        self.children = Children()
        own_uid = os.geteuid() == 0
        base = Path(tempfile.gettempdir())
        if own_uid and not is_open_to_others(base):
            base = Path("/tmp")  # noqa: S108  a directory of our own is made below it
        if own_uid and not all(place.stat().st_mode & stat.S_IXOTH for place in (base, *base.parents)):
            what = f"no other user may enter {base}, where each plan runs as a user of its own"
            raise ToolchainError(
                what, hint=f"Open it (`chmod 1777 {base}`), or set TMPDIR to a directory that is open."
            )
        sweep(base)
        self.root = new_run_directory(base)
        self.program = program
        if own_uid and not program.embedded and not is_open_to_others(program.path):
            self.program = replace(program, path=Path(shutil.copy(program.path, self.root)))
            self.program.path.chmod(0o755)
        self._own_uid = own_uid
        self.confinement = Confinement(
            own_uid=own_uid, landlock=confinement.landlock_abi(), sockets=confinement.filters_sockets()
        )
        self._shared: dict[Path, None] = {}
        self._writable: dict[Path, tuple[Path, ...]] = {}
        self.network = network
        self._proxy = EgressProxy(network)
        self.trust: dict[str, str] = {}
        """Variables that name the certificates to trust; empty when the system's are enough."""
        if network.bundle is not None:
            copy = Path(shutil.copyfile(network.bundle, self.root / "certificates.pem"))
            copy.chmod(0o644)
            self.trust = {"SSL_CERT_FILE": str(copy)}

    def share(self, *places: Path) -> None:
        """Every cell's children may read and execute what is below `places`: provider mirrors."""
        self._shared |= dict.fromkeys(places)

    @contextmanager
    def cell(self, reach: Reach | None = None) -> Iterator[Cell]:
        """A cell for the life of the context."""
        made = self.open_cell(reach)
        try:
            yield made
        finally:
            self.close_cell(made)

    def open_cell(self, reach: Reach | None = None) -> Cell:
        """Fresh directories: 0700 and owned by the cell's uid, except `work` (read by it) and `kept` (ours)."""
        root = Path(tempfile.mkdtemp(prefix="cell-", dir=self.root))
        cell = Cell(root=root, uid=fresh_uid() if self._own_uid else None, reach=reach or Reach())
        for directory in (*cell.private, cell.work, cell.kept):
            directory.mkdir(mode=0o700)
        if cell.uid is not None:
            cell.root.chmod(0o711)
            for directory in cell.private:
                os.chown(directory, cell.uid, cell.uid)
            os.chown(cell.work, 0, cell.uid)
            cell.work.chmod(0o750)
        return cell

    def hand_over(self, cell: Cell, writable: tuple[Path, ...] = ()) -> None:
        """Let the cell's children read `cell.work` (by group), and write only to the directories and files named in
        `writable`.
        """
        self._writable[cell.root] = writable
        if cell.uid is None:
            return
        for directory, _, names in os.walk(cell.work):
            os.chown(directory, 0, cell.uid)
            Path(directory).chmod(0o750)
            for name in names:
                os.chown(Path(directory, name), 0, cell.uid)
                Path(directory, name).chmod(0o640)
        for path in writable:
            os.chown(path, cell.uid, cell.uid)

    def give(self, cell: Cell) -> None:
        """Let the cell's children read and write all of `cell.work`, which is a copy that nothing else uses."""
        self.hand_over(cell, (cell.work,))
        if cell.uid is None:
            return
        for path in cell.work.rglob("*"):
            os.chown(path, cell.uid, cell.uid)

    def close_cell(self, cell: Cell) -> None:
        self._writable.pop(cell.root, None)
        remove(cell.root)

    def run(
        self,
        cell: Cell,
        command: TerraformCommand,
        variables: Mapping[str, str],
        *,
        patience: Patience,
        cwd: Path | None = None,
        sink: Callable[[bytes], None] | None = None,
    ) -> ChildResult:
        """Run one command of the closed list in the cell; `variables` join the cell's own. Raises ToolchainError,
        NoSpace.

        `refused` of the result names the places that it tried to reach and may not; it is stopped then, because
        providers try for minutes.
        """
        name = command.argv[0]
        with self._proxy.grant(cell.reach.hosts(name)) as grant:
            given = {**cell.variables(), **self.trust, **variables, **grant.variables}
            result = self.children.run(
                [*self._child(cell, given, cell.reach.ports_for(name)), str(self.program.path), *command.argv],
                variables=given,
                cwd=cwd or cell.work,
                patience=patience,
                uid=cell.uid,
                sink=sink,
                in_vain=lambda: bool(grant.refused),
            )
        if result.returncode == sandbox_child.NOT_CONFINED:
            raise ToolchainError(result.stderr.decode(errors="replace").strip() or "The sandbox could not be closed")
        return replace(result, refused=tuple(grant.refused))

    def run_unconfined(
        self,
        cell: Cell,
        command: TerraformCommand,
        variables: Mapping[str, str],
        *,
        patience: Patience,
        cwd: Path,
        in_vain: Callable[[], bool],
    ) -> ChildResult:
        """Run one command as the cell's user with the whole network, for the modules of the base branch alone. No other
        child lives meanwhile: with the same uid it could read `variables`, where the module hosts' tokens are. The
        network's own proxy is reached through ours, which knows its credentials.
        """
        words = [*self._words(cell, {}), str(self.program.path), *command.argv]
        given = {**cell.variables(), **self.trust, **variables}
        with ExitStack() as stack:
            if self.network.proxy is not None:
                way = stack.enter_context(self._proxy.grant(ANYWHERE)).variables["HTTPS_PROXY"]
                given |= {"HTTPS_PROXY": way, "NO_PROXY": ",".join(LOOPBACK)}
            stack.enter_context(self.children.quiet())
            return self.children.run(words, variables=given, cwd=cwd, patience=patience, uid=cell.uid, in_vain=in_vain)

    def attempt(self, cell: Cell, files: Mapping[str, Path], port: int) -> dict[str, bool]:
        """For the self-test: which of `files` can be read under a child's confinement, and whether `port`, `udp` and a
        `signal` to this process are open to it. Empty when it did not answer.
        """
        attempts = {"files": {name: str(path) for name, path in files.items()}, "port": port, "pid": os.getpid()}
        with self._proxy.grant(NOWHERE) as grant:
            given = {**cell.variables(), **grant.variables}
            argv = self._child(cell, given, frozenset(), attempts)
            patience = Patience(deadline=30)
            result = self.children.run(argv, variables=given, cwd=cell.work, patience=patience, uid=cell.uid)
        try:
            return {str(name): bool(done) for name, done in json.loads(result.stdout).items()}
        except (ValueError, AttributeError):
            return {}

    def _child(
        self,
        cell: Cell,
        variables: Mapping[str, str],
        ports: frozenset[int],
        attempts: Mapping[str, object] | None = None,
    ) -> list[str]:
        """The command line before a confined program."""
        landlock = self.confinement.rules(
            cell,
            execute=(self.program.path, *self._shared),
            writable=self._writable.get(cell.root, ()),
            variables=variables,
            ports={self._proxy.port, *ports},
        )
        spec = {"memory": memory_bound(), "landlock": landlock, "sockets": self.confinement.sockets}
        return self._words(cell, {**spec, "attempts": attempts})

    def _words(self, cell: Cell, spec: Mapping[str, object]) -> list[str]:
        """An interpreter, `sandbox_child` and its SPEC."""
        library = str(self.program.path) if self.program.embedded else None
        whole = {"uid": cell.uid, "gid": cell.uid, "library": library, **spec}
        return [sys.executable, "-I", "-S", sandbox_child.__file__, json.dumps(whole)]

    def close(self) -> None:
        self.children.cancel()
        self._proxy.close()
        remove(self.root)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def prove(sandbox: Sandbox, variables: Mapping[str, str]) -> None:
    """One plan without providers and one bare child. Raises ToolchainError when something that `sandbox.confinement`
    states does not hold.
    """
    promised = sandbox.confinement
    must_fail = {
        "environment": True,
        "memory": True,
        "descriptors": True,
        "secret_file": promised.own_uid or promised.files,
        "other_file": promised.own_uid or promised.files,
        "other_ports": promised.ports,
        "udp": promised.sockets,
        "signals": promised.signals,
    }
    with sandbox.cell() as cell:
        secret, control = cell.kept / "canary", cell.work / "main.tf"
        secret.write_bytes(os.urandom(16))
        secret.chmod(0o600)
        with secret.open("rb") as opened:
            # `control` proves that the configuration was executed and could have read: without it a broken probe would
            # look like a tight sandbox.
            process = f"/proc/{os.getpid()}"
            files = {
                "control": str(control),
                "environment": f"{process}/environ",
                "memory": f"{process}/auxv",
                "descriptors": f"{process}/fd/{opened.fileno()}",
                "secret_file": str(secret),
            }
            output = 'output "{}" {{\n  value = can(filebase64("{}"))\n}}\n'
            control.write_text("".join(output.format(*probe) for probe in files.items()))
            sandbox.hand_over(cell)
            found, said = _by_the_engine(sandbox, cell, variables)
            with socket.create_server(("127.0.0.1", 0)) as other:
                others = {"bare_control": control, "other_file": secret}
                found |= sandbox.attempt(cell, others, other.getsockname()[1])
    if not (found.get("control") is True and found.get("bare_control") is True and must_fail.keys() <= found.keys()):
        raise ToolchainError(f"The sandbox's self-test did not run on this machine, so no plan is made ({said})")
    leaks = [name for name, must in must_fail.items() if must and found[name] is not False]
    if leaks:
        what = "can read this process" if _READ & set(leaks) else "can leave its sandbox"
        named = ", ".join(leaks).replace("_", " ")
        raise ToolchainError(
            f"On this machine a Terraform configuration {what} ({named}), so no plan is made",
            hint=(
                "Run ops-agent as root in a container (children get a user id of their own) or as an ordinary user "
                "on Linux."
            ),
        )


def _by_the_engine(sandbox: Sandbox, cell: Cell, variables: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Values of the outputs in `show -json`, empty when it is not readable; and how the plan ended."""
    plan_file, patience = cell.out / "probe.tfplan", Patience(deadline=60)
    answer = sandbox.run(cell, plan(out=plan_file), variables, patience=patience)
    shown = sandbox.run(cell, show(plan_file, json=True), variables, patience=patience)
    said = f"exit code {answer.returncode} {answer.stderr.decode(errors='replace').strip()[-300:]}".strip()
    try:
        outputs = json.loads(shown.stdout)["planned_values"]["outputs"]
        return {name: output["value"] for name, output in outputs.items()}, said
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, said
