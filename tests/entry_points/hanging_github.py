"""A GitHub that takes requests and never answers, and the variables of a run that hangs on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from entry_points.action_runner import Runner
from fake_github.platform import EmbeddedGitHub

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
