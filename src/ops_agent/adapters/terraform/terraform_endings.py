"""How a child of Terraform ended: by itself, or in a way that says nothing about the configuration."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

from ops_agent.adapters.terraform.subprocesses import ChildResult, Ending
from ops_agent.errors import Cancelled, NoSpace, ToolchainError

# Go's runtime ends with 2 when it gives up, which is also "changes present" of `plan -detailed-exitcode`; as a library by SIGABRT.
_RUNTIME_GAVE_UP = (2, -6)
_LAST_WORDS = re.compile(rb"^(?:fatal error|runtime): [^\n]{0,200}", re.MULTILINE)
_NO_SPACE = "no space left on device"
_TOO_LITTLE_MEMORY = "mostly means that the configuration needs more memory than the runner has left."


def ended_well(result: ChildResult, what: str) -> ChildResult:
    """`result`, when the child ended by itself or at its deadline. Raises Cancelled, NoSpace, or ToolchainError when it did not:
    a signal ended it, or the engine's own runtime."""
    if result.ending is Ending.CANCELLED:
        raise Cancelled(f"{what} was cancelled")
    if result.returncode != 0 and _NO_SPACE in text_of(result).lower():
        raise NoSpace(f"No space left on the runner's disk during {what}")
    if result.ending is not Ending.EXITED:
        return result
    words = _LAST_WORDS.search(result.stderr) if result.returncode in _RUNTIME_GAVE_UP else None
    if words is not None:
        raise ToolchainError(f"{what} broke down: {words[0].decode(errors='replace')}", hint=f"This {_TOO_LITTLE_MEMORY}")
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
    """Remove what stands where the plan file goes, whatever it is."""
    if plan_file.is_dir() and not plan_file.is_symlink():
        shutil.rmtree(plan_file, ignore_errors=True)
    else:
        plan_file.unlink(missing_ok=True)
