"""The action's own install step, as a runner executes it: seconds and bytes, with and without what an earlier job or
step left.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import yaml

from bench.frame import ROOT, Column, Figure, take_turns

_IMPORTS = "import gc; gc.set_threshold(50_000, 20, 20); import ops_agent.cli, anthropic.types"


def measure(runs: int) -> Figure:
    figure = Figure(
        title="Installation",
        how=(
            "The step `install` of action.yml, by bash in an empty environment, from this machine's package index; "
            "then the product and its SDKs are imported for the first time. The last rows are the same step where a "
            "self-hosted runner kept the wheels, and where an earlier step of the job used the action."
        ),
        columns=(
            Column(name="install", unit="s", digits=1),
            Column(name="its processor time", unit="s", digits=1),
            Column(name="first import", unit="s"),
            Column(name="environment", unit="MB", digits=0),
            Column(name="kept", unit="MB", digits=0),
        ),
        compare=False,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tools, temp = Path(folder) / "tools", Path(folder) / "temp"
        for place in (tools, temp):
            place.mkdir()
        figure.samples = take_turns(
            {
                "a hosted runner's job": partial(_once, Path(folder), temp, None, new=True),
                "a self-hosted runner's next job": partial(_once, Path(folder), temp, tools, new=True),
                "a second step of the job": partial(_once, Path(folder), temp, tools, new=False),
            },
            runs,
        )
    return figure


def _once(folder: Path, temp: Path, tools: Path | None, *, new: bool) -> Mapping[str, float]:
    action = folder / "action"
    if new:
        shutil.rmtree(temp)
        temp.mkdir()
        shutil.rmtree(action, ignore_errors=True)  # a runner checks the action out for each job
        for part in ("src/ops_agent", "requirements"):
            shutil.copytree(ROOT / part, action / part, ignore=shutil.ignore_patterns("__pycache__"))
    steps = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    script = next(step["run"] for step in steps if step["id"] == "install")
    output = folder / "output"
    output.unlink(missing_ok=True)
    reach = ("PIP_CERT", "PIP_INDEX_URL", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
    environment = {name: os.environ[name] for name in reach if name in os.environ} | {
        "PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(output),
        "ACTION_PATH": str(action),
        "MAY_EMBED": "false",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    if tools is not None:
        environment |= {"RUNNER_ENVIRONMENT": "self-hosted", "RUNNER_TOOL_CACHE": str(tools)}
    began, used = time.monotonic(), _processor_seconds()
    subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", script], env=environment, check=True)  # noqa: S603
    installed, used = time.monotonic(), _processor_seconds() - used
    python = output.read_text(encoding="utf-8").removeprefix("python=").strip()
    subprocess.run([python, "-I", "-c", _IMPORTS], check=True)  # noqa: S603
    imported = time.monotonic()
    return {
        "install": installed - began,
        "its processor time": used,
        "first import": imported - installed,
        "environment": _megabytes(temp),
        "kept": _megabytes(tools) if tools is not None else 0.0,
    }


def _megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _processor_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
