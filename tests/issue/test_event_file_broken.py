"""An event file that is not one of GitHub's is refused quickly, naming the place."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from issue.event_payloads import HERE, payload, refused
from ops_agent.adapters.github.event_file import LARGEST_EVENT_BYTES, read_event
from ops_agent.model.errors import ConfigError

DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
BROKEN = {
    "not JSON": (b'{"action": "labeled",}', "line 1, column"),
    "empty": (b"", "not JSON"),
    "deep objects": (DEEP, "nested too deeply"),
    "deep lists": (b"[" * 200_000, "nested too deeply"),
    "a key twice": (json.dumps(payload()).replace('"sender":', '"sender": 1, "sender":').encode(), "'sender' twice"),
    "not UTF-8": (b'{"action": "\xff"}', "UTF-8 at byte"),
    "NaN": (b'{"action": NaN}', "NaN"),
    "a number of 5,000 digits": (b'{"action": ' + b"9" * 5_000 + b"}", "unusable value"),
    "too large": (b" " * (LARGEST_EVENT_BYTES + 1), "larger than"),
    "a list": (b"[]", "event should be an object"),
    "half a surrogate": (json.dumps(payload(action="\ud800")).encode(), "surrogate"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_event_file_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    assert words in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sender.id", "101"),
        ("sender.id", True),
        ("sender.id", -1),
        ("sender.type", "Enterprise"),
        ("sender", None),
        ("issue.number", 1.5),
        ("issue.title", ["x"]),
        ("issue.body", 3),
        ("issue.labels", "ready"),
        ("issue.labels", [{"name": None}]),
        ("issue.state", None),
        ("label", "ready"),
        ("repository.archived", "no"),
        ("repository.owner", None),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_path(tmp_path: Path, path: str, value: Any) -> None:
    broken: Any = payload()
    *parents, last = path.split(".")
    inner = broken
    for key in parents:
        inner = inner[key]
    inner[last] = value
    assert f"event.{path}" in refused(tmp_path, broken)


def test_a_file_of_50_mb_or_full_of_tiny_values_stays_under_256_mb(tmp_path: Path) -> None:
    """Measured in a process of its own with an address-space limit as the net.

    VmHWM counts from exec on; ru_maxrss would carry over what the test's own process held.
    """
    file = tmp_path / "event.json"
    script = (
        "import re, sys\n"
        "from ops_agent.adapters.github.event_file import read_event\n"
        "from ops_agent.model.errors import ConfigError\n"
        "env = {'GITHUB_EVENT_PATH': sys.argv[1], 'GITHUB_EVENT_NAME': 'issues', 'GITHUB_REPOSITORY': 'o/r', "
        "'GITHUB_RUN_ID': '1',"
        " 'GITHUB_RUN_ATTEMPT': '1', 'GITHUB_ACTOR': 'a', 'GITHUB_TRIGGERING_ACTOR': 'a'}\n"
        "try: read_event(env)\n"
        "except ConfigError: print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    for content in (
        b'{"action": "' + b"x" * 50_000_000 + b'"}',
        b"[" + b"{}," * (LARGEST_EVENT_BYTES // 3 - 2) + b"{}]",
    ):
        file.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", script, str(file)],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
        )
        assert int(done.stdout) < 256 * 1024


def test_a_file_that_is_missing_or_not_a_file_is_refused(tmp_path: Path) -> None:
    assert "regular file" in refused(tmp_path, payload(), GITHUB_EVENT_PATH="/dev/zero")
    assert "cannot be read" in refused(tmp_path, payload(), GITHUB_EVENT_PATH=str(tmp_path / "none"))


def test_an_event_file_that_is_something_else_is_refused_with_a_full_sentence(tmp_path: Path) -> None:
    said = refused(tmp_path, {})
    assert said == "the event file (GITHUB_EVENT_PATH) is not what GitHub sends for `issues`: an empty object"
    said = refused(tmp_path, {"action": "labeled", "repository": {}})
    assert said.endswith("for `issues`: it lacks event.issue, event.label, event.sender")
    assert "'opened'" in refused(tmp_path, {"action": "opened"}), "another action is the better news"


def test_every_variable_of_a_job_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_event({"GITHUB_EVENT_NAME": "issues", "GITHUB_REPOSITORY": HERE, "GITHUB_ACTOR": ""})
    assert str(caught.value) == (
        "this is no GitHub Actions job: GITHUB_EVENT_PATH, GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT, GITHUB_ACTOR, "
        "GITHUB_TRIGGERING_ACTOR are not set"
    )
    assert "--issue-file" in caught.value.hint
