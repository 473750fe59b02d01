"""The runner's signals at the action's entry: a run that hangs on GitHub ends in seconds, whatever process it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from entry_points.action_runner import Runner
from entry_points.hanging_github import event_variables, hanging_github, wait_for_the_run

__all__ = ["hanging_github"]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_the_runners_signal_ends_a_run_in_seconds(runner: Runner, hanging_github: str, number: int, code: int) -> None:
    """The run hangs on GitHub, the signal goes to the step's entry process."""
    process = runner.start(
        "run", OPS_AGENT_PYTHON=sys.executable, OPS_AGENT_COMMAND="run", **event_variables(runner, hanging_github)
    )
    wait_for_the_run(hanging_github)
    began = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == code, said
    assert time.monotonic() - began < 5 and "Traceback" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_as_process_1_a_run_still_hears_sigterm(runner: Runner, hanging_github: str) -> None:
    """In a container Python is process 1, for which the kernel has no default actions."""
    inner = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        sys.executable,
        "-I",
        "-m",
        "ops_agent",
        "run",
    ]
    variables = runner.environment(**event_variables(runner, hanging_github))
    process = subprocess.Popen(
        inner, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=runner.temp, env=variables
    )
    wait_for_the_run(hanging_github)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(child), signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert time.monotonic() - began < 5
