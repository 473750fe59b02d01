"""The event file: which events are ours, and what of their payloads is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from issue.event_payloads import GITHUB, HERE, environment_of, payload, read, refused
from ops_agent.adapters.github.event_file import is_about_a_pull_request, read_closed_pull_request
from ops_agent.model.errors import ConfigError
from ops_agent.model.event import ActorKind, Closed, Dispatched, IssueRef, Labelled


def test_every_field_of_a_label_event_is_read(tmp_path: Path) -> None:
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
    """Admission declines it."""
    event, _ = read(tmp_path, payload(issue={**payload()["issue"], "pull_request": {"url": "x"}}))
    assert isinstance(event, Labelled) and event.issue.is_pull_request


@pytest.mark.parametrize(
    "name",
    ["pull_request_target", "issue_comment", "workflow_run", "push", "schedule", "repository_dispatch", "Issues"],
)
def test_every_other_event_is_refused(tmp_path: Path, name: str) -> None:
    assert name in refused(tmp_path, payload(), name)


@pytest.mark.parametrize("action", ["opened", "edited", "unlabeled", "transferred"])
def test_every_other_action_is_refused(tmp_path: Path, action: str) -> None:
    assert action in refused(tmp_path, payload(action=action))


def test_a_closed_issue_is_read_with_those_that_the_run_is_for(tmp_path: Path) -> None:
    closed = payload(action="closed", issue={**payload()["issue"], "state": "closed"})
    del closed["label"]
    event, _ = read(tmp_path, closed)
    assert isinstance(event, Closed) and (event.issue.ref.number, event.only) == (12, ())
    event, _ = read(tmp_path, closed, issue_number="13")
    assert isinstance(event, Closed) and [ref.number for ref in event.only] == [13]


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
def test_of_a_pull_request_only_its_end_is_an_event(tmp_path: Path, name: str) -> None:
    """Whether it was merged is read from GitHub."""
    file, environment = tmp_path / "event.json", environment_of(tmp_path, name)
    assert is_about_a_pull_request(environment)
    closed = {**payload(action="closed"), "pull_request": {"number": 31, "merged": True}}
    file.write_text(json.dumps(closed))
    event, run = read_closed_pull_request(environment)
    assert (event.number, event.sender.login, run.run_id) == (31, "maria", 77)
    for other in (
        {**closed, "action": "opened"},
        {**closed, "action": "synchronize"},
        {**closed, "pull_request": None},
        {**closed, "repository": {**closed["repository"], "full_name": "someone/else"}},
    ):
        file.write_text(json.dumps(other))
        with pytest.raises(ConfigError):
            read_closed_pull_request(environment)


def test_an_event_of_another_repository_is_refused(tmp_path: Path) -> None:
    assert "other" in refused(tmp_path, payload(), GITHUB_REPOSITORY="DrivvenConsulting/other")


def test_a_label_event_with_another_issue_number_is_refused(tmp_path: Path) -> None:
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
    ("name", "value"),
    [
        ("GITHUB_RUN_ID", "x"),
        ("GITHUB_RUN_ATTEMPT", "0"),
        ("GITHUB_SERVER_URL", "http://github.com"),
        ("GITHUB_ACTOR", ""),
    ],
)
def test_impossible_run_variables_are_refused(tmp_path: Path, name: str, value: str) -> None:
    assert name in refused(tmp_path, payload(), **{name: value})
