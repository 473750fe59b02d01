"""The event file: which events are ours, and what of their payloads is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from issue.event_payloads import GITHUB, HERE, payload, read, refused
from ops_agent.model.event import ActorKind, Dispatched, IssueRef, Labelled


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
