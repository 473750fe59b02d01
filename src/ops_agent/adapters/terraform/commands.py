"""Every Terraform command line that can be built here: a closed list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ops_agent.model.errors import PolicyViolation

_PATH = r"/[^\x00-\x1f]+"
# A command's words, then the arguments that it may carry; each argument must match one pattern whole.
_ALLOWED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("version",): ("-json",),
    ("fmt",): ("-check", "-recursive", "-diff", "-no-color"),
    ("init",): ("-input=false", "-no-color", "-backend=false", "-lockfile=readonly", f"-backend-config={_PATH}"),
    ("get",): ("-no-color",),
    ("validate",): ("-json", "-no-color"),
    ("plan",): (
        *("-input=false", "-lock=false", "-no-color", "-json", "-detailed-exitcode", "-refresh=false"),
        *(f"-out={_PATH}", f"-var-file={_PATH}"),
    ),
    ("show",): ("-json", "-no-color", _PATH),
    ("providers", "schema"): ("-json",),
    ("state", "pull"): (),
    ("test",): ("-json", "-verbose", "-no-color", r"-filter=[a-z0-9_.]+", f"-var-file={_PATH}"),
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
                        where = f"is not on the list for `{' '.join(words)}`"
                        raise PolicyViolation(f"Terraform argument {argument!r} {where}")
                return
        raise PolicyViolation(f"Terraform command {' '.join(self.argv[:2])!r} is not on the list")


VERSION = TerraformCommand(("version", "-json"))
FMT = TerraformCommand(("fmt", "-check", "-recursive", "-diff", "-no-color"))
FORMAT = TerraformCommand(("fmt", "-recursive", "-no-color"))
GET = TerraformCommand(("get", "-no-color"))
VALIDATE = TerraformCommand(("validate", "-json", "-no-color"))
SCHEMA = TerraformCommand(("providers", "schema", "-json"))
STATE = TerraformCommand(("state", "pull"))


def init(*, backend_files: tuple[Path, ...] | None = None, lock_read_only: bool) -> TerraformCommand:
    """`backend_files` are absolute, the later wins; None: without a backend."""
    flags = ["-lockfile=readonly"] if lock_read_only else []
    backend = ["-backend=false"] if backend_files is None else [f"-backend-config={path}" for path in backend_files]
    return TerraformCommand(("init", "-input=false", "-no-color", *flags, *backend))


def plan(*, out: Path, var_files: tuple[Path, ...] = ()) -> TerraformCommand:
    """The stream of `-json` holds no attribute values: it is the safe thing to read while the plan runs."""
    flags = ("-input=false", "-lock=false", "-no-color", "-json", "-detailed-exitcode", f"-out={out}")
    return TerraformCommand(("plan", *flags, *(f"-var-file={path}" for path in var_files)))


def show(plan_file: Path, *, json: bool) -> TerraformCommand:
    return TerraformCommand(("show", "-no-color", *(("-json",) if json else ()), str(plan_file)))


def plan_literals(*, out: Path) -> TerraformCommand:
    """A plan that reads nothing: only for directories whose every file our own code generates."""
    flags = ("-input=false", "-lock=false", "-no-color", "-json", "-detailed-exitcode", "-refresh=false")
    return TerraformCommand(("plan", *flags, f"-out={out}"))


def test(test_file: str, var_files: tuple[Path, ...] = ()) -> TerraformCommand:
    """Only for test files that our own code generates.

    Such a test may apply, since only an apply shows what is computed of values that a plan does not know. It applies to
    mocked providers, which are no processes and reach no network, and its state is in memory. What an apply runs beside
    providers, provisioners and actions, would be real: a configuration with one of them, in whatever module, is not
    tested (offline_plan.py). Behind that stands the sandbox: a workspace without a lease has no credential and reaches
    nothing.
    """
    flags = ("-json", "-verbose", "-no-color", f"-filter={test_file}")
    return TerraformCommand(("test", *flags, *(f"-var-file={path}" for path in var_files)))
