"""Builders for tests: each gives a valid value, and takes the fields that the test is about as keywords."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ops_agent.config.settings import BoardSettings, LabelSettings, LlmSettings, Settings
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Comment,
    Dispatched,
    Issue,
    IssueRef,
    Labelled,
    Repository,
    RunIdentity,
)
from ops_agent.model.work_item import Approval, Criterion, Request, WorkItem, content_hash

REPOSITORY = Repository(owner="DrivvenConsulting", name="orders", id=4711, default_branch="main")
MARIA = Actor(login="maria", id=101, kind=ActorKind.USER)
OUR_BOT = Actor(login="ops-agent[bot]", id=900, kind=ActorKind.BOT)
BASE = "a" * 40
BODY = """## Description
The orders service loses messages when the consumer is down.

## User Stories
- As an operator I want failed messages to be kept.

## Acceptance Criteria
- [ ] An SQS queue exists in dev and prod
- [ ] Messages that fail five times land in a dead-letter queue

## Assumptions
- The queue names follow the service name.
"""


def settings_with(**values: Any) -> Settings:
    """Settings by the names of their fields, whichever group a field is in."""
    groups: dict[str, Any] = {
        group: shape(**{f.name: values.pop(f.name) for f in fields(shape) if f.name in values})
        for group, shape in {"labels": LabelSettings, "board": BoardSettings, "llm": LlmSettings}.items()
    }
    return Settings(**groups, **values)


def issue(**fields: Any) -> Issue:
    built = Issue(
        ref=IssueRef(repository="DrivvenConsulting/orders", number=12),
        id=5012,
        node_id="I_12",
        title="[ops] Queue for orders",
        body=BODY,
        is_open=True,
        is_pull_request=False,
        labels=("ready",),
        author=MARIA,
        url="https://github.com/DrivvenConsulting/orders/issues/12",
    )
    return replace(built, **fields)


def labelled(**fields: Any) -> Labelled:
    return replace(Labelled(repository=REPOSITORY, issue=issue(), label="ready", sender=MARIA), **fields)


def dispatched(**fields: Any) -> Dispatched:
    return replace(Dispatched(repository=REPOSITORY, sender=MARIA, issues=(issue().ref,)), **fields)


def run(**fields: Any) -> RunIdentity:
    built = RunIdentity(
        repository="DrivvenConsulting/orders", run_id=77, attempt=1, actor="maria", triggering_actor="maria"
    )
    return replace(built, **fields)


def comment(
    body: str, author: Actor = OUR_BOT, number: int = 1, at: str = "2026-11-18T09:00:00Z", edited: str = ""
) -> Comment:
    return Comment(id=number, author=author, body=body, created_at=at, updated_at=edited or at)


def work_item(**fields: Any) -> WorkItem:
    snapshot = issue()
    built = WorkItem(
        issue=snapshot,
        title=snapshot.title,
        request=Request(
            description="The orders service loses messages when the consumer is down.",
            criteria=(
                Criterion(id="AC1", text="An SQS queue exists in dev and prod"),
                Criterion(id="AC2", text="Messages that fail five times land in a dead-letter queue"),
            ),
        ),
        removed={},
        approval=Approval(
            by=MARIA, event_id=9001, at="2026-11-20T10:00:00Z", content_hash=content_hash(snapshot.title, snapshot.body)
        ),
        target=REPOSITORY,
        base_branch="main",
    )
    return replace(built, **fields)
