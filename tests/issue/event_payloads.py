"""GitHub's payloads as dictionaries, and the reader at a file of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops_agent.adapters.github.event_file import read_event
from ops_agent.model.errors import ConfigError
from ops_agent.model.event import Event, RunIdentity

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


def read(
    tmp_path: Path, content: Any, name: str = "issues", issue_number: str = "", **variables: str
) -> tuple[Event, RunIdentity]:
    file = tmp_path / "event.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_event(environment_of(tmp_path, name) | variables, issue_number)


def environment_of(tmp_path: Path, name: str) -> dict[str, str]:
    """Of a job that was started by the event `name`."""
    return {
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REPOSITORY": HERE,
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_ACTOR": "maria",
        "GITHUB_TRIGGERING_ACTOR": "joao",
    }


def refused(*args: Any, **variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(*args, **variables)
    assert caught.value.hint
    return str(caught.value)
