"""Run one child to its end: output streamed and capped, a deadline, and nothing left behind.

The child leads its own session and process group. It is ended by SIGINT, SIGTERM, SIGKILL in that order; descendants
that left the group are found by uid (when the child has its own) or by the marker in their environment.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ops_agent.model.errors import NoSpace, ToolchainError

MARKER = "OPS_AGENT_CHILD"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_CHUNK, _MAX_STDERR = 1 << 16, 1 << 20


class ExitReason(Enum):
    EXITED = "exited"
    DEADLINE = "deadline"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildResult:
    """How a child ended. `returncode` is negative for a signal; `stdout` is empty when it went to a sink; `seconds` is
    wall time; `refused` are places that it wanted to reach and could not, as `HOST:PORT, which is ...`.
    """

    returncode: int
    ending: ExitReason
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    seconds: float = 0.0
    refused: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What it printed on both streams."""
        parts = (part.decode(errors="replace").strip() for part in (self.stdout, self.stderr))
        return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: the deadline, then how long a child may take after SIGINT and after SIGTERM. `grace` is what is left
    once nothing that comes of it can be used: time for its own last words.
    """

    deadline: float = 600.0
    grace: float = 3.0
    after_interrupt: float = 5.0
    after_terminate: float = 2.0

    def steps(self, first: float) -> list[tuple[float, signal.Signals]]:
        """When to send what, from the moment `first` (monotonic seconds) on."""
        second = first + self.after_interrupt
        return [(first, signal.SIGINT), (second, signal.SIGTERM), (second + self.after_terminate, signal.SIGKILL)]


class Capped:
    """A sink that keeps the first `most_bytes` and `most_lines`, and lets the rest go by."""

    def __init__(self, most_bytes: int, most_lines: int = 1_000_000) -> None:
        self._left, self._lines_left = most_bytes, most_lines
        self.kept = bytearray()
        self.truncated = False

    def __call__(self, chunk: bytes) -> None:
        if self._left <= 0 or self._lines_left <= 0:
            self.truncated = True
            return
        piece = chunk[: self._left]
        lines = piece.count(b"\n")
        if lines > self._lines_left:
            piece = b"\n".join(piece.split(b"\n", self._lines_left)[: self._lines_left])
        self.truncated |= len(piece) < len(chunk)
        self._left -= len(piece)
        self._lines_left -= lines
        self.kept += piece


class Children:
    """The living children of this process, so that a cancelled run can end them all."""

    def __init__(self) -> None:
        self._lock, self._starting = threading.Lock(), threading.RLock()
        self._live: dict[int, tuple[str, int | None]] = {}
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Kill every living child and its descendants at once; later starts are refused. Safe from any thread."""
        self._cancelled.set()
        with self._lock:
            live = dict(self._live)
        for pid, (marker, uid) in live.items():
            kill_family(pid, marker, uid)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While the context is open no child lives and none starts but those of this thread: for a child whose
        environment another one of the same uid could read.
        """
        with self._starting:
            while self._live:
                time.sleep(0.02)
            yield

    def run(
        self,
        argv: Sequence[str],
        *,
        variables: Mapping[str, str],
        cwd: Path,
        patience: Patience,
        uid: int | None = None,
        sink: Callable[[bytes], None] | None = None,
        in_vain: Callable[[], bool] = lambda: False,
        most_stdout: int = 10 << 20,
    ) -> ChildResult:
        """Run `argv` (its first word an absolute path) with exactly `variables`. `uid` only helps to find descendants;
        once `in_vain` is true the child is stopped.

        Raises ToolchainError when it cannot be started, NoSpace when the disk is full; KeyboardInterrupt passes, after
        the child is dead.
        """
        marker = os.urandom(12).hex()
        out, err = Capped(most_stdout), Capped(_MAX_STDERR)
        begun = time.monotonic()
        try:
            with self._starting:
                if self._cancelled.is_set():
                    return ChildResult(returncode=-signal.SIGINT, ending=ExitReason.CANCELLED)
                child = subprocess.Popen(  # noqa: S603  argv lists of a closed allow-list, see commands.py
                    list(argv),
                    env={**variables, MARKER: marker},
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    bufsize=0,
                )
                with self._lock:
                    self._live[child.pid] = (marker, uid)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise NoSpace(f"No space left to start {argv[0]}") from error
            raise ToolchainError(f"{argv[0]} could not be started: {error.strerror}") from error
        try:
            ending = _follow(child, sink or out, err, begun, patience, in_vain)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise NoSpace("No space left on the runner's disk for Terraform's output") from error
            raise
        finally:
            kill_family(child.pid, marker, uid)
            code = child.wait()
            with self._lock:
                del self._live[child.pid]
            for stream in (child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        return ChildResult(
            returncode=code,
            ending=ExitReason.CANCELLED if self._cancelled.is_set() else ending,
            stdout=bytes(out.kept),
            stderr=bytes(err.kept),
            truncated=out.truncated or err.truncated,
            seconds=time.monotonic() - begun,
        )


def _follow(
    child: subprocess.Popen[bytes],
    out: Callable[[bytes], None],
    err: Callable[[bytes], None],
    begun: float,
    patience: Patience,
    in_vain: Callable[[], bool],
) -> ExitReason:
    """Copy both streams to their sinks until the child has ended; escalate when the deadline has passed."""
    steps, too_late, ending = patience.steps(begun + patience.deadline), ExitReason.DEADLINE, ExitReason.EXITED
    with selectors.DefaultSelector() as selector:
        for stream, sink in ((child.stdout, out), (child.stderr, err)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, sink)
        while True:
            if too_late is ExitReason.DEADLINE and ending is ExitReason.EXITED and in_vain():
                too_late = ExitReason.STOPPED
                steps = patience.steps(min(steps[0][0], time.monotonic() + patience.grace))
            while steps and time.monotonic() >= steps[0][0]:
                ending = too_late
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, steps.pop(0)[1])
            wait = min(0.5, max(0.0, steps[0][0] - time.monotonic())) if steps else 0.5
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):
                    child.wait(wait)
                    return ending
                continue
            for key, _ in selector.select(wait):
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    key.data(chunk)
                else:
                    selector.unregister(key.fileobj)
            # A grandchild may hold the pipe open, or write, for ever: the child's own end is what counts.
            if child.poll() is not None and (not steps or not selector.select(0)):
                return ending


def kill_family(pid: int, marker: str, uid: int | None) -> None:
    """SIGKILL the group led by `pid` and every process that came from it, as often as new ones appear."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for _ in range(20):
        left = _family(pid, marker, uid)
        if not left:
            return
        for member in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
            if member != pid:
                with suppress(ChildProcessError):
                    os.waitpid(member, os.WNOHANG)
        time.sleep(0.01)


def _family(pid: int, marker: str, uid: int | None) -> list[int]:
    """Living processes of the child's session, of its uid, or with its marker in their environment; zombies do not
    count.
    """
    found = []
    token = f"{MARKER}={marker}".encode()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()[:4]
                is_ours = int(session) == pid or (uid is not None and _owner(entry.path) == uid)
                if state not in (b"Z", b"X") and (is_ours or _holds(entry.path, token)):
                    found.append(int(entry.name))
    return found


def _owner(path: str) -> int:
    """Real uid by /proc/PID/status; the directory's owner is root's for an undumpable process."""
    lines = Path(path, "status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Uid:")), -1)


def _holds(path: str, token: bytes) -> bool:
    with suppress(OSError):
        return token in Path(path, "environ").read_bytes()
    return False
