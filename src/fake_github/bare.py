"""A real bare repository on disk from the objects in memory, for clones and for a second opinion by git."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

from fake_github.objects import Repository


def export_bare(repository: Repository, folder: Path) -> Path:
    """Write every object, branch and tag into a new bare repository at `folder`, with git's own format and checks.
    Returns `folder`.

    Needs the git program. Raises subprocess.CalledProcessError when git refuses an object or a ref.
    """
    with repository.github.lock:
        objects, default = dict(repository.store.objects), repository.default_branch
        refs = {f"refs/heads/{name}": commit for name, commit in repository.branches.items()}
        refs |= {f"refs/tags/{name}": target for name, target in repository.tags.items()}
    _git("init", "--quiet", "--bare", f"--initial-branch={default}", str(folder))
    for sha, (kind, payload) in objects.items():
        target = folder / "objects" / sha[:2] / sha[2:]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(zlib.compress(f"{kind} {len(payload)}\0".encode() + payload))
    for ref, named in refs.items():
        _git("--git-dir", str(folder), "update-ref", ref, named)
    return folder


def _git(*arguments: str) -> None:
    # Neither the system's nor the user's git configuration may take part.
    environment = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(["git", *arguments], check=True, capture_output=True, env=environment)  # noqa: S603, S607
