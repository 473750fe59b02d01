"""A target's own copy of the tree: regular files only, nothing of Terraform's or git's insides."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ops_agent.model.errors import ConfigError
from ops_agent.model.terraform import TerraformRoot, TerraformTarget

MOST_FILES, MOST_BYTES = 20_000, 200 << 20
_SHUT_DIRECTORIES = frozenset({".git", ".terraform", "terraform.d", ".terragrunt-cache", "node_modules", ".venv"})
_SHUT_FILES = re.compile(r"(?i)\.terraformrc|terraform\.rc|.*\.tfrc|.*\.tfplan|.*\.tfstate(\..*)?|\.tofurc|tofu\.rc")


def copy_tree(tree: Path, work: Path, only: tuple[str, ...], *, whole: bool = True) -> None:
    """Copy `tree` to `work`, whole; or, when it is larger than a sandbox takes, the paths in `only` (relative
    directories and files).

    Whole, because configurations read files beside their root (policies, zips). Raises ConfigError when `only` is too
    large too.
    """
    files = _listed(tree, (".",)) if whole else None
    if files is None:
        files = _listed(tree, only)
    if files is None:
        most = f"{MOST_FILES:,} files or {MOST_BYTES >> 20} MB"
        raise ConfigError(f"The Terraform directories hold more than {most}: {', '.join(only)}")
    for relative in files:
        place = work / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / relative, place, follow_symlinks=False)


def needed(root: TerraformRoot, target: TerraformTarget | None = None) -> tuple[str, ...]:
    """Paths without which `root`, or one target of it, cannot be planned."""
    environments = root.environments if target is None else (target.environment,)
    files = (path for e in environments for path in (e.backend_file, *e.var_files) if path)
    return (root.path, *root.local_modules, *files)


def empty(directory: Path) -> None:
    """Remove all that is in `directory`; no link is followed."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def snapshot(work: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time (ns) of every file below `work`, to see afterwards what a provider wrote there."""
    files = ((path, path.lstat()) for path in work.rglob("*") if not path.is_dir())
    return {str(path.relative_to(work)): (found.st_size, found.st_mtime_ns) for path, found in files}


def _listed(tree: Path, starts: tuple[str, ...]) -> list[str] | None:
    """Relative paths of the regular files below `starts`, None when they are more than a sandbox takes."""
    found: dict[str, None] = {}
    size = 0
    for path in (path for start in starts for path in _regular(tree / start)):
        relative = str(path.relative_to(tree))
        if relative not in found:
            found[relative] = None
            size += path.lstat().st_size
        if len(found) > MOST_FILES or size > MOST_BYTES:
            return None
    return list(found)


def _regular(start: Path) -> Iterator[Path]:
    if start.is_file() and not start.is_symlink():
        yield start
        return
    for directory, directories, names in os.walk(start):
        directories[:] = sorted(set(directories) - _SHUT_DIRECTORIES)
        for name in sorted(names):
            path = Path(directory, name)
            if not _SHUT_FILES.fullmatch(name) and path.is_file() and not path.is_symlink():
                yield path
