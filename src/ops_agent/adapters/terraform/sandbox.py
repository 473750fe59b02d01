"""Where Terraform runs: out of reach of this process, of the checkout, and of other targets (security-bar.md rules 14, 16, 22).

As root every workspace gets a uid of its own; otherwise this process is made undumpable, so that a child of the same uid cannot read its
environment or memory. Either way: an environment built from nothing, private directories, no new privileges, no core dumps.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform import sandbox_child
from ops_agent.adapters.terraform.sandbox_places import copy_program, is_open_to_others, new_run_directory, pick_uid, sweep
from ops_agent.adapters.terraform.subprocesses import Children, ChildResult, Patience
from ops_agent.adapters.terraform.terraform_commands import TerraformCommand
from ops_agent.errors import ToolchainError

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38


def harden_this_process() -> None:
    """Make this process unreadable for others of its uid. `__main__` calls it before anything else; it is cheap and may be called again.

    No core dumps, not dumpable (so /proc/PID/environ, mem and fd are closed to the same uid), no new privileges. Linux only; elsewhere
    nothing happens, and the self-test decides.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: the absolute path of an executable, or the embedded library."""

    path: Path
    embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The private directories of one workspace, and the uid (None: ours) that its children run under."""

    root: Path
    uid: int | None

    @property
    def work(self) -> Path:
        """The copy of the tree: readable for the children, not writable when they have their own uid."""
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


class Sandbox:
    """All cells of one run. A context manager: its end kills what still runs and removes every file."""

    def __init__(self, program: Program, *, temporary: Path | None = None) -> None:
        harden_this_process()
        self.children = Children()
        self._own_uid = os.geteuid() == 0
        base = temporary or Path(tempfile.gettempdir())
        if self._own_uid and not is_open_to_others(base):
            base = Path("/tmp")  # noqa: S108  a directory of our own is made below it
        sweep(base)
        self.root = new_run_directory(base)
        self.program = program
        if self._own_uid and not program.embedded and not is_open_to_others(program.path):
            self.program = Program(path=copy_program(program.path, self.root))
        self._uids = itertools.count(pick_uid()) if self._own_uid else itertools.repeat(None)

    @property
    def isolation(self) -> str:
        """How children are kept apart, for doctor and the log."""
        return "a user id of their own" if self._own_uid else "an undumpable parent"

    def open_cell(self) -> Cell:
        """Fresh directories: 0700 and owned by the cell's uid, except `work` (read by it) and `kept` (ours)."""
        cell = Cell(root=Path(tempfile.mkdtemp(prefix="cell-", dir=self.root)), uid=next(self._uids))
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
        """Let the cell's children read `cell.work` (by group), and write only to the directories and files named in `writable`."""
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

    def close_cell(self, cell: Cell) -> None:
        remove(cell.root)

    def run(
        self,
        cell: Cell,
        command: TerraformCommand,
        variables: Mapping[str, str],
        *,
        cwd: Path | None = None,
        patience: Patience | None = None,
        sink: Callable[[bytes], None] | None = None,
    ) -> ChildResult:
        """Run one command of the closed list in the cell; `variables` join the bare environment. Raises ToolchainError, NoSpace."""
        library = str(self.program.path) if self.program.embedded else None
        spec = json.dumps({"uid": cell.uid, "gid": cell.uid, "library": library})
        interpreter = sys.executable
        if not interpreter:
            raise ToolchainError("This Python does not know its own interpreter, so no child can be started")
        return self.children.run(
            [interpreter, "-I", "-S", sandbox_child.__file__, spec, str(self.program.path), *command.argv],
            variables={**bare_environment(cell), **variables},
            cwd=cwd or cell.work,
            patience=patience or Patience(),
            uid=cell.uid,
            sink=sink,
        )

    def close(self) -> None:
        self.children.cancel()
        remove(self.root)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bare_environment(cell: Cell) -> dict[str, str]:
    """Every variable that a child gets before credentials and region are added. PATH serves `git` (modules) and `diff` (fmt)."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(cell.home),
        "TMPDIR": str(cell.temporary),
        "LANG": "C.UTF-8",
        "TF_DATA_DIR": str(cell.data),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
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
