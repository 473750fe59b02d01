"""ports.Wiki: asks each MCP server of the input by a child that holds nothing but what that server was given.

The child (`session.py`) has an environment made of nothing, private directories, and where the kernel has Landlock no
file of the runner's user, of the workspace or of another process; it and all that comes from it end with the question.
What it hands back is one JSON document, which is read here as from a stranger.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import ops_agent
from ops_agent.adapters.mcp import session
from ops_agent.adapters.network import DIRECT, Network, explained
from ops_agent.adapters.terraform import confinement, sandbox_child
from ops_agent.adapters.terraform.cells import Cell, fresh_uid, is_open_to_others, new_run_directory, remove, sweep
from ops_agent.adapters.terraform.confinement import Confinement
from ops_agent.adapters.terraform.egress import EgressProxy
from ops_agent.adapters.terraform.processes import Children, ChildResult, ExitReason, Patience
from ops_agent.adapters.terraform.reach import ANYWHERE
from ops_agent.adapters.terraform.sandbox import harden_this_process
from ops_agent.config.inputs import LOOPBACK
from ops_agent.model.errors import NoSpace, ToolchainError
from ops_agent.model.wiki import McpServer, WikiAnswer, WikiPage

SECONDS = 120.0
"""For everything that one server is asked; a program that is fetched first (`uvx`, `npx`) needs most of it."""
MOST_PAGES = 8
_MEMORY = 2 << 30
_MAX_ANSWER = 6 * session.MAX_TEXT * MOST_PAGES  # JSON may take six characters for one
_READABLE = "/usr /bin /sbin /lib /lib32 /lib64 /opt /etc /sys/devices/system/cpu /sys/fs/cgroup /nix/store /snap"
"""What a program may read and start besides its own installation: nothing of /home, /root, /tmp, /run, /var."""


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
    version: Annotated[int, Field(ge=0)]
    space: str
    title: Annotated[str, Field(max_length=1_000)]
    text: Annotated[str, Field(max_length=session.MAX_TEXT)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tools: Annotated[list[str], Field(max_length=len(session.READ_ONLY))]
    pages: Annotated[list[_Page], Field(max_length=MOST_PAGES)]
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class McpWiki:
    """`closed` are places that no program may come from: the workspace."""

    servers: tuple[McpServer, ...]
    spaces: tuple[str, ...]
    path_variable: str = os.defpath
    closed: tuple[Path, ...] = ()
    network: Network = DIRECT
    seconds: float = SECONDS
    pause: float = 2.0
    """Seconds before the second attempt of a call; twice that before the third."""

    def find(self, queries: Sequence[str]) -> WikiAnswer:
        """Pages of the allowed spaces for `queries`; without a query only whether the servers answer."""
        pages: dict[str, WikiPage] = {}
        tools: dict[str, tuple[str, ...]] = {}
        problems = []
        for server in self.servers:
            answer, problem = self._ask(server, queries)
            tools[server.name] = tuple(name for name in answer.tools if name in session.READ_ONLY)
            for page in answer.pages:
                if page.space in self.spaces:
                    pages.setdefault(page.id, WikiPage(**page.model_dump()))
            if problem:
                problems.append(f"MCP server `{server.name}`: {problem}")
        found = tuple(pages.values())[:MOST_PAGES]
        return WikiAnswer(pages=found, tools=tools, problems=tuple(problems))

    def _ask(self, server: McpServer, queries: Sequence[str]) -> tuple[_Answer, str]:
        nothing = _Answer(tools=[], pages=[], problem="")
        try:
            program = self._program(server)
            ended = self._run(replace(server, command=program), queries)
        except (ToolchainError, NoSpace, OSError) as error:
            return nothing, f"it cannot be started: {error}"
        if ended.ending is not ExitReason.EXITED:
            return nothing, f"it did not answer within {self.seconds:g} seconds"
        try:
            answer = _Answer.model_validate_json(ended.stdout)
        except ValidationError:
            return nothing, f"no answer that can be read{_last_words(ended)}"
        problem = answer.problem and (explained(Exception(answer.problem)) or answer.problem)
        has_ended = not answer.tools or "closed" in problem
        return answer, f"{problem}{_last_words(ended)}" if problem and has_ended else problem

    def _program(self, server: McpServer) -> str:
        """The absolute path of the server's program, empty for an address. Raises ToolchainError."""
        if not server.command:
            return ""
        path = server.environment.get("PATH", self.path_variable)
        found = shutil.which(server.command, path=path)
        if found is None:
            raise ToolchainError(
                f"the program {server.command!r} is not on this runner's PATH; install it in an earlier step"
            )
        if _within(Path(found), self.closed):
            raise ToolchainError(
                f"the program {server.command!r} is in the workspace, where a checkout may be; install it elsewhere"
            )
        return found

    def _run(self, server: McpServer, queries: Sequence[str]) -> ChildResult:
        with ExitStack() as stack:
            cell = stack.enter_context(_cell())
            variables = {
                "PATH": self.path_variable,
                "HOME": str(cell.home),
                "TMPDIR": str(cell.temporary),
                "LANG": "C.UTF-8",
            }
            certificates = ""
            if self.network.bundle is not None:
                certificates = str(shutil.copyfile(self.network.bundle, cell.home / "certificates.pem"))
                _give(cell, Path(certificates))
                names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
                variables |= dict.fromkeys(names, certificates)
            proxy = ""
            if self.network.proxy is not None:
                # The runner's proxy is reached through one of ours, which knows its password.
                egress = EgressProxy(self.network)
                stack.callback(egress.close)
                proxy = stack.enter_context(egress.grant(ANYWHERE)).variables["HTTPS_PROXY"]
                variables |= {"HTTPS_PROXY": proxy, "NO_PROXY": ",".join(LOOPBACK)}
            request = cell.home / "request.json"
            request.write_text(
                json.dumps(
                    {
                        "server": {
                            "command": server.command,
                            "arguments": server.arguments,
                            "url": server.url,
                            "headers": dict(server.headers),
                        },
                        "queries": [*queries],
                        "spaces": [*self.spaces],
                        "pages": MOST_PAGES,
                        "pause": self.pause,
                        "seconds": self.seconds - 10 if self.seconds > 20 else self.seconds / 2,
                        "proxy": proxy if self.network.proxy_of(server.url) is not None else "",
                        "certificates": certificates,
                    }
                )
            )
            _give(cell, request)
            words = [
                sys.executable,
                "-I",
                "-S",
                sandbox_child.__file__,
                json.dumps(_confinement(cell, server, self.closed)),
            ]
            return Children().run(
                [*words, sys.executable, "-I", "-m", session.__name__, str(request)],
                variables={**variables, **server.environment},
                cwd=cell.home,
                patience=Patience(deadline=self.seconds, after_interrupt=0.5, after_terminate=0.5),
                uid=cell.uid,
                most_stdout=_MAX_ANSWER,
            )


@contextmanager
def _cell() -> Iterator[Cell]:
    """Private directories, and as root a user of their own if it can read this installation."""
    harden_this_process()
    base = Path(tempfile.gettempdir())
    is_root = os.geteuid() == 0 and is_open_to_others(Path(sys.executable)) and is_open_to_others(base)
    sweep(base)
    root = new_run_directory(base)
    cell = Cell(root=root / "mcp", uid=fresh_uid() if is_root else None)
    try:
        cell.root.mkdir(mode=0o711)
        for directory in (*cell.private, cell.work):
            directory.mkdir(mode=0o700)
            _give(cell, directory)
        yield cell
    finally:
        remove(root)


def _give(cell: Cell, path: Path) -> None:
    if path.is_file():
        path.chmod(0o600)
    if cell.uid is not None:
        os.chown(path, cell.uid, cell.uid)


def _confinement(cell: Cell, server: McpServer, closed: tuple[Path, ...]) -> Mapping[str, object]:
    """SPEC of sandbox_child: files by Landlock (its version 3 and below knows no ports, so the network stays open), a
    bound on memory, and as root a user id of its own. Raises ToolchainError where nothing would keep the child from
    this process's environment.
    """
    held = Confinement(own_uid=cell.uid is not None, landlock=min(confinement.landlock_abi(), 3), sockets=False)
    own = (Path(ops_agent.__file__).parents[1], Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve())
    if os.geteuid() == 0 and cell.uid is None and not held.files:
        raise ToolchainError(
            "this runner is root, cannot use another user and has no Landlock, so no server is started"
        )
    # The kernel shows a confined child no environment and no memory of other processes, but for root all environments.
    processes = (Path("/proc"),) if os.geteuid() != 0 or cell.uid is not None else ()
    programs = _installation(Path(server.command), closed) if server.command else ()
    programs += tuple(file for word in server.arguments if _is_file(file := Path(word)) and not _within(file, closed))
    landlock = held.rules(
        cell,
        execute=(*map(Path, _READABLE.split()), *processes, *own, *programs),
        writable=(),
        variables={},
        ports=(),
    )
    return {"uid": cell.uid, "gid": cell.uid, "library": None, "memory": _MEMORY, "landlock": landlock}


def _is_file(path: Path) -> bool:
    try:
        return path.is_absolute() and path.is_file()
    except (OSError, ValueError):
        return False


def _within(path: Path, places: Iterable[Path]) -> bool:
    return any(path.resolve().is_relative_to(place.resolve()) for place in places)


def _installation(program: Path, closed: tuple[Path, ...]) -> tuple[Path, ...]:
    """Where a program keeps its own files: the environment of a script (`PREFIX/bin/NAME`), and that of the interpreter
    that its first line names; never a home directory as a whole, and nothing that holds the workspace.
    """
    found = [program.parent, program.resolve().parent]
    with program.open("rb") as file:
        first = file.readline(300)
    if interpreter := re.match(rb"#!\s*(/\S+)", first):
        named = Path(os.fsdecode(interpreter[1]))
        found += [named.parent, named.resolve().parent]
    prefixes = [place.parent for place in found if place.name in ("bin", "sbin", "Scripts", "shims")]
    shut = (Path.home(), Path("/root"), *closed)
    return tuple(p for p in dict.fromkeys((*found, *prefixes)) if not any(_within(one, (p,)) for one in shut))


def _last_words(ended: ChildResult) -> str:
    """The last line of what the server wrote to its log, as a hint."""
    lines = [line.strip() for line in ended.stderr.decode(errors="replace").splitlines() if line.strip()]
    shown = "".join(c if c.isprintable() else "?" for c in lines[-1])[:300] if lines else ""
    return f" (its log ends with: {shown})" if shown else ""
