"""The action's own scripts, taken out of action.yml and run by bash as a runner does: nothing of the workspace or the user takes part."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from doors.door_files import run_script
from ops_agent.demo.github import EmbeddedGitHub

BASH = ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail"]


class Runner:
    """A runner's folders, and an environment in which everything that could be evil is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temp, self.workspace, self.home, self.action = (folder / name for name in ("temp", "workspace", "home", "action"))
        for place in (self.temp, self.workspace, self.home, self.action / "requirements", self.action / "src/ops_agent"):
            place.mkdir(parents=True)
        (self.action / "src/ops_agent/__init__.py").write_text("print('ours')\n")
        self.output, self.evil = folder / "output", folder / "evil-was-here"
        trap = f"open({str(self.evil)!r}, 'a').write(__file__)\n"
        for name in (
            "json.py",
            "sitecustomize.py",
            "usercustomize.py",
            "pip.py",
            "venv.py",
            "anthropic/__init__.py",
            "ops_agent/__init__.py",
        ):
            place = self.workspace / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(trap)
        (self.workspace / "startup.py").write_text(trap)
        (self.workspace / "pyproject.toml").write_text("[build-system]\nrequires=['evil']\n")

    def environment(self, **more: str) -> dict[str, str]:
        known = {
            "PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
            "HOME": str(self.home),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(self.output),
            "PYTHONPATH": str(self.workspace),
            "PYTHONSTARTUP": str(self.workspace / "startup.py"),
            "PYTHONHOME": "/nonexistent",
            "PYTHONUSERBASE": str(self.workspace),
            "ACTION_PATH": str(self.action),
            "PIP_CONFIG_FILE": "/dev/null",
        }
        return known | more

    def start(self, step: str, **more: str) -> subprocess.Popen[str]:
        script = self.folder / f"{step}.sh"
        script.write_text(run_script(step))
        return subprocess.Popen(
            [*BASH, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.workspace,
            env=self.environment(**more),
        )

    def run(self, step: str, **more: str) -> tuple[int, str]:
        process = self.start(step, **more)
        said, _ = process.communicate(timeout=100)
        return process.returncode, said


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def evil_index() -> Iterator[tuple[str, list[str]]]:
    """A package index that notes who asks."""
    asked: list[str] = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple", asked
    server.shutdown()
    server.server_close()


def lock_a_wheel(runner: Runner, *, tampered: bool = False) -> None:
    """A locked requirement that needs no network: a small wheel by its hash."""
    wheel = runner.action / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.py", "there = True\n")
        archive.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        archive.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("small-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes() + (b"!" if tampered else b"")).hexdigest()
    (runner.action / "requirements/runtime.txt").write_text(f"small @ {wheel.as_uri()} --hash=sha256:{digest}\n")


def test_the_installation_ignores_the_users_pip_configuration_and_the_workspace(runner: Runner, evil_index: tuple[str, list[str]]) -> None:
    """K03, K04: evil pip.conf, PIP_* variables, pyproject.toml, pip.py and sitecustomize.py all around."""
    index, asked = evil_index
    evil = f"[global]\nindex-url = {index}\nextra-index-url = {index}\ntarget = {runner.home}\n"
    for place in (".pip/pip.conf", ".config/pip/pip.conf"):
        (runner.home / place).parent.mkdir(parents=True, exist_ok=True)
        (runner.home / place).write_text(evil)
    (runner.workspace / "pip.conf").write_text(evil)
    lock_a_wheel(runner)

    code, said = runner.run(
        "install", PIP_INDEX_URL=index, PIP_EXTRA_INDEX_URL=index, PIP_TARGET=str(runner.home), PIP_NO_REQUIRE_HASHES="1"
    )

    assert code == 0, said
    assert asked == [] and not runner.evil.exists()
    python = runner.output.read_text().removeprefix("python=").strip()
    assert Path(python).is_relative_to(runner.temp)
    shown = subprocess.run([python, "-I", "-c", "import small, ops_agent"], capture_output=True, text=True, env=runner.environment())
    assert (shown.returncode, shown.stdout) == (0, "ours\n"), shown.stderr


def test_a_wheel_that_is_not_the_locked_one_ends_the_installation(runner: Runner) -> None:
    """K03."""
    lock_a_wheel(runner, tampered=True)
    code, said = runner.run("install")
    assert code != 0 and "DO NOT MATCH THE HASHES" in said
    assert not runner.output.exists()


def test_a_runner_without_a_usable_python_is_told_what_to_do(runner: Runner) -> None:
    empty = runner.folder / "bin"
    empty.mkdir()
    (empty / "mktemp").symlink_to("/usr/bin/mktemp")
    old = empty / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    code, said = runner.run("install", PATH=str(empty))
    assert code == 6
    assert said.startswith("::error title=ops-agent::No Python 3.11, 3.12 or 3.13") and "actions/setup-python" in said


def test_an_interpreter_that_holds_ops_agent_already_is_used_as_it_is(runner: Runner) -> None:
    code, _ = runner.run("install", OPS_AGENT_PYTHON=sys.executable)
    assert code == 0 and runner.output.read_text() == f"python={sys.executable}\n"


def test_files_of_the_workspace_are_never_imported(runner: Runner) -> None:
    """K04, X12: json.py, sitecustomize.py and a package `ops_agent` in the working directory and on PYTHONPATH."""
    code, said = runner.run("run", OPS_AGENT_PYTHON=sys.executable, OPS_AGENT_COMMAND="--version")
    assert code == 0 and said.startswith("ops-agent "), said
    assert not runner.evil.exists()


def test_python_takes_the_place_of_the_steps_shell(runner: Runner) -> None:
    """N04, X10: the process that the runner started is Python itself, in RUNNER_TEMP."""
    stub = runner.folder / "python"
    stub.write_text(f"#!{sys.executable}\nimport os, sys\nprint(os.getpid(), os.getcwd(), *sys.argv[1:])\n")
    stub.chmod(0o755)
    process = runner.start("run", OPS_AGENT_PYTHON=str(stub), OPS_AGENT_COMMAND="run", PYTHONHOME="", PYTHONPATH="")
    said, _ = process.communicate(timeout=20)
    assert said.split() == [str(process.pid), str(runner.temp), "-I", "-m", "ops_agent", "run"]


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
