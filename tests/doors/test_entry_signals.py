"""The runner's signals at the action's entry: a run that hangs on GitHub ends in seconds, whatever process it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from doors.door_runner import Runner
from ops_agent.demo.github import EmbeddedGitHub


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_the_runners_signal_ends_a_run_in_seconds(runner: Runner, hanging_github: str, number: int, code: int) -> None:
    """N01, N02 at the door: the run hangs on GitHub, the signal goes to the step's entry process."""
    process = runner.start("run", OPS_AGENT_PYTHON=sys.executable, OPS_AGENT_COMMAND="run", **event_variables(runner, hanging_github))
    wait_for_the_run(hanging_github)
    began = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == code, said
    assert time.monotonic() - began < 5 and "Traceback" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_as_process_1_a_run_still_hears_sigterm(runner: Runner, hanging_github: str) -> None:
    """N05: in a container Python is process 1, for which the kernel has no default actions."""
    inner = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-I", "-m", "ops_agent", "run"]
    variables = runner.environment(**event_variables(runner, hanging_github))
    process = subprocess.Popen(inner, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=runner.temp, env=variables)
    wait_for_the_run(hanging_github)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(child), signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert time.monotonic() - began < 5


_ASKED: dict[str, threading.Event] = {}


@pytest.fixture
def hanging_github() -> Iterator[str]:
    """A GitHub that takes requests and never answers."""
    asked, release = threading.Event(), threading.Event()

    class Silence(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            release.wait(60)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Silence)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    _ASKED[url] = asked
    yield url
    release.set()
    server.shutdown()
    server.server_close()


def wait_for_the_run(url: str) -> None:
    assert _ASKED[url].wait(60), "the run never asked GitHub"


def event_variables(runner: Runner, url: str) -> dict[str, str]:
    github = EmbeddedGitHub()
    repository = github.add_repository("DrivvenConsulting/orders", {"README.md": "orders\n"})
    repository.add_person("maria", role="write")
    issue = repository.add_issue("[ops] Queue", "## Acceptance Criteria\n- [ ] a queue\n", author="maria")
    event = runner.folder / "event.json"
    event.write_text(json.dumps(github.label(issue, "ready", by="maria")))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": url,
        "GITHUB_EVENT_NAME": "issues",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "DrivvenConsulting/orders",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_ACTOR": "maria",
        "GITHUB_TRIGGERING_ACTOR": "maria",
        "GITHUB_STEP_SUMMARY": str(runner.folder / "summary"),
        "INPUT_GITHUB_TOKEN": "ghs_token",
        "INPUT_ANTHROPIC_API_KEY": "sk-ant-key",
        "PYTHONHOME": "",
    }
