"""The event file: GitHub's payloads are read whole, everything else is refused quickly and with its place."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.adapters.github.event_file import LARGEST_EVENT_BYTES, read_event
from ops_agent.core.intake.selection_references import parse_references
from ops_agent.domain.event import ActorKind, Dispatched, Event, IssueRef, Labelled, RunIdentity
from ops_agent.errors import ConfigError

HERE = "DrivvenConsulting/orders"
GITHUB = "https://github.com"


def account(**fields: Any) -> dict[str, Any]:
    return {"login": "maria", "id": 101, "type": "User", **fields}


def payload(**fields: Any) -> dict[str, Any]:
    built: dict[str, Any] = {
        "action": "labeled",
        "label": {"name": "ready", "id": 3},
        "issue": {
            "number": 12,
            "id": 5012,
            "node_id": "I_12",
            "title": "[ops] Queue",
            "body": "text",
            "state": "open",
            "labels": [{"name": "ready"}],
            "user": account(login="joao", id=102),
            "html_url": f"{GITHUB}/{HERE}/issues/12",
            "locked": False,
        },
        "repository": {
            "id": 4711,
            "name": "orders",
            "full_name": HERE,
            "owner": {"login": "DrivvenConsulting"},
            "default_branch": "main",
            "archived": False,
        },
        "sender": account(),
    }
    return {**built, **fields}


def read(tmp_path: Path, content: Any, name: str = "issues", issue_number: str = "", **variables: str) -> tuple[Event, RunIdentity]:
    file = tmp_path / "event.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    environment = {
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REPOSITORY": HERE,
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_ACTOR": "maria",
        "GITHUB_TRIGGERING_ACTOR": "joao",
        **variables,
    }
    return read_event(environment, issue_number)


def refused(*args: Any, **variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(*args, **variables)
    assert caught.value.hint
    return str(caught.value)


def test_a_label_event_is_read_whole(tmp_path: Path) -> None:
    event, run = read(tmp_path, payload())
    assert isinstance(event, Labelled)
    assert (event.label, event.sender.id, event.sender.kind) == ("ready", 101, ActorKind.USER)
    assert (event.issue.ref, event.issue.title, event.issue.is_open, event.issue.is_pull_request) == (
        IssueRef(repository=HERE, number=12),
        "[ops] Queue",
        True,
        False,
    )
    assert event.repository.default_branch == "main"
    assert (run.run_id, run.attempt, run.triggering_actor, run.server_url) == (77, 2, "joao", GITHUB)


def test_an_issue_without_body_or_author_is_read(tmp_path: Path) -> None:
    event, _ = read(tmp_path, payload(issue={**payload()["issue"], "body": None, "user": None}))
    assert isinstance(event, Labelled)
    assert (event.issue.body, event.issue.author.login) == ("", "ghost")


def test_a_pull_request_under_the_name_of_an_issue_is_marked(tmp_path: Path) -> None:
    """A06: admission declines it."""
    event, _ = read(tmp_path, payload(issue={**payload()["issue"], "pull_request": {"url": "x"}}))
    assert isinstance(event, Labelled) and event.issue.is_pull_request


@pytest.mark.parametrize(
    "name", ["pull_request_target", "issue_comment", "workflow_run", "push", "schedule", "repository_dispatch", "Issues"]
)
def test_every_other_event_is_refused(tmp_path: Path, name: str) -> None:
    """A11."""
    assert name in refused(tmp_path, payload(), name)


@pytest.mark.parametrize("action", ["opened", "edited", "unlabeled", "transferred"])
def test_every_other_action_is_refused(tmp_path: Path, action: str) -> None:
    """A11."""
    assert action in refused(tmp_path, payload(action=action))


def test_an_event_of_another_repository_is_refused(tmp_path: Path) -> None:
    """A16."""
    assert "other" in refused(tmp_path, payload(), GITHUB_REPOSITORY="DrivvenConsulting/other")


def test_a_label_event_keeps_to_its_own_issue(tmp_path: Path) -> None:
    assert read(tmp_path, payload(), issue_number="#12")
    assert "another issue" in refused(tmp_path, payload(), "issues", "13")


def test_a_dispatch_names_issues_by_its_form_or_by_the_input(tmp_path: Path) -> None:
    form = {**payload(), "inputs": {"issue_number": "12,14"}}
    event, _ = read(tmp_path, form, "workflow_dispatch")
    assert isinstance(event, Dispatched) and [ref.number for ref in event.issues] == [12, 14]
    event, _ = read(tmp_path, form, "workflow_dispatch", "14")
    assert isinstance(event, Dispatched) and [ref.number for ref in event.issues] == [14]
    assert "names no issue" in refused(tmp_path, {**payload(), "inputs": None}, "workflow_dispatch")


@pytest.mark.parametrize(
    "word",
    [
        *(
            "12;id",
            "-1",
            "1e3",
            "０１",
            "1" + "0" * 30,
            "",
            " ",
            "0",
            "012",
            "12,",
            ",12",
            "12,12",
            "12,#12",
            "##12",
            "12 14",
            "12\n14",
            "+1",
            "1.0",
        ),
        *("orders#12", "²", "12\u200b", "https://evil.example/DrivvenConsulting/orders/issues/12", f"{GITHUB}/{HERE}/pull/12"),
        *(f"{GITHUB}/someone-else/orders/issues/12", f"{GITHUB}/{HERE}/issues/12?x=1", f"{GITHUB}.evil.example/{HERE}/issues/12"),
        ",".join(str(number) for number in range(1, 102)),
    ],
)
def test_words_that_name_no_issue_are_refused_at_parsing(word: str) -> None:
    """A10."""
    with pytest.raises(ConfigError):
        parse_references(word, HERE, GITHUB)


def test_numbers_lists_and_addresses_name_issues() -> None:
    def named(word: str, server: str = GITHUB) -> list[str]:
        return [str(ref) for ref in parse_references(word, HERE, server)]

    assert named(" 12 , #14 ") == [f"{HERE}#12", f"{HERE}#14"]
    assert named(f"{GITHUB}/drivvenconsulting/ORDERS/issues/3") == [f"{HERE}#3"]
    assert named(f"{GITHUB}/DrivvenConsulting/billing/issues/3, 3") == ["DrivvenConsulting/billing#3", f"{HERE}#3"]
    assert named(f"https://ghes.example/{HERE}/issues/9", "https://ghes.example") == [f"{HERE}#9"]


@given(st.text(alphabet="0123456789#, /:;-e\u0660\u200bх", max_size=30))
def test_any_word_gives_issues_with_positive_numbers_each_once_or_is_refused(word: str) -> None:
    try:
        refs = parse_references(word, HERE, GITHUB)
    except ConfigError:
        return
    assert refs and len(set(refs)) == len(refs) and all(0 < ref.number < 10**9 and ref.repository == HERE for ref in refs)


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
    """A18."""
    content, words = BROKEN[case]
    started = time.process_time()
    assert words in refused(tmp_path, content)
    assert time.process_time() - started < 2


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
    """A18."""
    broken: Any = payload()
    *parents, last = path.split(".")
    inner = broken
    for key in parents:
        inner = inner[key]
    inner[last] = value
    assert f"event.{path}" in refused(tmp_path, broken)


def test_a_file_of_50_mb_or_full_of_tiny_values_stays_under_256_mb_and_2_seconds(tmp_path: Path) -> None:
    """A18, measured in a process of its own (processor seconds: the machine is shared) with an address-space limit as the net.

    VmHWM counts from exec on; ru_maxrss would carry over what the test's own process held.
    """
    file = tmp_path / "event.json"
    script = (
        "import re, sys, time\n"
        "from ops_agent.adapters.github.event_file import read_event\n"
        "from ops_agent.errors import ConfigError\n"
        "env = {'GITHUB_EVENT_PATH': sys.argv[1], 'GITHUB_EVENT_NAME': 'issues', 'GITHUB_REPOSITORY': 'o/r', 'GITHUB_RUN_ID': '1',"
        " 'GITHUB_RUN_ATTEMPT': '1', 'GITHUB_ACTOR': 'a', 'GITHUB_TRIGGERING_ACTOR': 'a'}\n"
        "started = time.process_time()\n"
        "try: read_event(env)\n"
        "except ConfigError: print(time.process_time() - started, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    for content in (b'{"action": "' + b"x" * 50_000_000 + b'"}', b"[" + b"{}," * (LARGEST_EVENT_BYTES // 3 - 2) + b"{}]"):
        file.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", script, str(file)],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
        )
        seconds, kilobytes = done.stdout.split()
        assert float(seconds) < 2 and int(kilobytes) < 256 * 1024


def test_a_file_that_is_missing_or_not_a_file_is_refused(tmp_path: Path) -> None:
    assert "regular file" in refused(tmp_path, payload(), GITHUB_EVENT_PATH="/dev/zero")
    assert "cannot be read" in refused(tmp_path, payload(), GITHUB_EVENT_PATH=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("GITHUB_RUN_ID", "x"), ("GITHUB_RUN_ATTEMPT", "0"), ("GITHUB_SERVER_URL", "http://github.com"), ("GITHUB_ACTOR", "")],
)
def test_run_variables_that_cannot_be_are_refused(tmp_path: Path, name: str, value: str) -> None:
    assert name in refused(tmp_path, payload(), **{name: value})


def test_an_event_file_that_is_something_else_says_so_whole(tmp_path: Path) -> None:
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
