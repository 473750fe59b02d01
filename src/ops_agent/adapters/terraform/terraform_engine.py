"""Which Terraform runs: the user's own `terraform` or `tofu`, or the embedded one. Found once, by absolute path."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.embedded_terraform import find_library
from ops_agent.adapters.terraform.sandbox_cell import Program
from ops_agent.adapters.terraform.subprocesses import ChildResult
from ops_agent.errors import ToolchainError

# Mocked providers need 1.7, `complete` and `applyable` in plan JSON 1.8; the next major may change everything.
OLDEST, NEXT_MAJOR = (1, 8), (2, 0)
_HINT = (
    "Add hashicorp/setup-terraform or opentofu/setup-opentofu before ops-agent, or install the embedded engine from a checkout of "
    "ops-agent (`pip install --require-hashes -r requirements/container.txt`); "
    "`terraform_binary` names one of terraform, tofu, embedded or an absolute path."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine whose version was checked. `name` is Terraform or OpenTofu, `source` an absolute path or `embedded`."""

    name: str
    version: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.source})"


def find_program(wanted: str, path_variable: str, closed: Iterable[Path] = ()) -> Program:
    """The program for `terraform_binary` = `wanted`: auto (terraform, tofu, embedded), one of these names, or an absolute path.

    `path_variable` is PATH; of it only absolute directories outside `closed` (the workspace) count (K10). Raises ToolchainError.
    """
    shut = tuple(directory.resolve() for directory in closed)
    names = ("terraform", "tofu", "embedded") if wanted in ("", "auto") else (wanted,)
    for name in names:
        if name == "embedded":
            library = find_library()
            if library is not None:
                return Program(path=library, embedded=True)
        elif name.startswith("/"):
            if _is_program(Path(name), shut):
                return Program(path=Path(name).resolve())
        elif name in ("terraform", "tofu"):
            for directory in path_variable.split(os.pathsep):
                # setup-terraform puts a wrapper script in front, which turns exit code 2 into 0.
                for candidate in (f"{name}-bin", name):
                    if directory.startswith("/") and _is_program(found := Path(directory, candidate), shut):
                        return Program(path=found.resolve())
        else:
            raise ToolchainError(f"`terraform_binary` is {wanted!r}: not auto, terraform, tofu, embedded or a path", hint=_HINT)
    raise ToolchainError(f"No Terraform was found: looked for {', '.join(names)}", hint=_HINT)


def _is_program(path: Path, shut: tuple[Path, ...]) -> bool:
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    return not any(place.resolve().is_relative_to(directory) for place in (path, path.parent) for directory in shut)


def read_engine(program: Program, answer: ChildResult) -> Engine:
    """The engine by its answer to `version -json`. Raises ToolchainError when it died, is not Terraform, or is of another version range."""
    source = "embedded" if program.embedded else str(program.path)
    if answer.returncode < 0:
        raise ToolchainError(f"{source} was ended by signal {-answer.returncode} when asked for its version", hint=_HINT)
    try:
        version = str(json.loads(answer.stdout)["terraform_version"])
        numbers = re.match(r"(\d+)\.(\d+)", version)
        found = (int(numbers[1]), int(numbers[2])) if numbers else None
    except (ValueError, KeyError, TypeError) as error:
        what = f"{source} did not answer `version -json` like Terraform (exit code {answer.returncode}): "
        what += answer.stderr.decode(errors="replace").strip()[-300:] or "it said nothing"
        raise ToolchainError(what, hint=_HINT) from error
    if found is None or not OLDEST <= found < NEXT_MAJOR:
        raise ToolchainError(f"{source} is version {version}; supported are {OLDEST[0]}.{OLDEST[1]} to {NEXT_MAJOR[0] - 1}.x", hint=_HINT)
    return Engine(name="OpenTofu" if "tofu" in program.path.name else "Terraform", version=version, source=source)
