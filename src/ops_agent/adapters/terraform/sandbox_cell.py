"""What is run, the private directories that it runs in, and the variables that every child gets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.egress_hosts import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: the absolute path of an executable, or the embedded library."""

    path: Path
    embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The private directories of one workspace, the uid (None: ours) that its children run under, and what they may reach."""

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
    """Every variable that a child gets before proxy, credentials and region are added. PATH serves `git` (modules) and `diff` (fmt)."""
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
