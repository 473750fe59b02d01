"""Real git checkouts for tests."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    options = ("user.name=t", "user.email=t@example.com", "protocol.file.allow=always", "init.defaultBranch=main")
    argv = ["git", *(word for option in options for word in ("-c", option)), *arguments]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True, env=variables).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def commit(folder: Path, message: str = "x") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def checkout(folder: Path, files: dict[str, str]) -> Path:
    """A new repository with one commit of `files`, which are old enough for the index to be trusted about them."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    write(folder, files)
    time.sleep(0.02)
    commit(folder)
    return folder
