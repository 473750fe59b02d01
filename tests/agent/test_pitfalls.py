"""Pitfalls of resource types: the data is right in form, and the agent is given those that concern the work, once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from agent.agent_doubles import SMALL
from agent.briefings import briefing, fixed_boundary  # noqa: F401 - the fixture is for every test here
from builders import work_item
from ops_agent.agent.pitfalls import (
    MAX_PITFALLS,
    Pitfall,
    known_pitfalls,
    pitfalls_of_change,
    pitfalls_of_text,
    service_words,
)
from ops_agent.guard.data import table
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.work_item import Request

PAGES = {"docs.aws.amazon.com", "repost.aws", "registry.terraform.io", "developer.hashicorp.com", "docs.github.com"}
"""Who documents AWS, the provider, Terraform, and the identity of workflows."""


def ids(pitfalls: Iterable[Pitfall]) -> set[str]:
    return {one.id for one in pitfalls}


def change(path: str, after: str, before: str | None = None) -> ChangeSet:
    old = None if before is None else before.encode()
    return ChangeSet(base_commit="0" * 40, changes=(FileChange(path=path, before=old, after=after.encode()),))


def known_type(type_: str) -> bool:
    service, _, rest = type_.removeprefix("aws_").partition("_")
    return (rest or "-") in table("aws_types").get(service, ())


def test_every_pitfall_is_one_short_sentence_about_known_types_with_the_page_that_says_so() -> None:
    known = known_pitfalls()
    assert len(known) >= 90
    assert not [name for name, count in Counter(one.id for one in known).items() if count > 1]
    assert not [says for says, count in Counter(one.says for one in known).items() if count > 1]
    for one in known:
        assert one.types and all(map(known_type, one.types)), one.id
        assert 60 <= len(one.says) <= 220 and one.says.endswith(".") and "\n" not in one.says, one.id
        title, address = one.source
        assert title and urlsplit(address).scheme == "https" and urlsplit(address).hostname in PAGES, one.id
        if urlsplit(address).hostname == "registry.terraform.io":
            assert re.fullmatch(r"Resource: aws_\w+", title), one.id
            assert address.endswith("/docs/resources/" + title.removeprefix("Resource: aws_")), one.id
        assert not one.since or re.fullmatch(r"[0-9]+(\.[0-9]+)*", one.since), one.id
        assert re.search(r"\b[0-9]{12}\b", one.says) is None, one.id


def test_every_type_has_words_that_an_issue_uses_for_it() -> None:
    prefixes = service_words()
    assert all(any(type_.startswith(p) for p in prefixes) for one in known_pitfalls() for type_ in one.types)
    assert all(any(t.startswith(p) for one in known_pitfalls() for t in one.types) for p in prefixes)
    for one in known_pitfalls():
        own = max((p for p in prefixes if one.types[0].startswith(p)), key=len)
        text = " and ".join(word.removesuffix("*") for word in (*prefixes[own][:1], *one.words[:1]))
        assert one.id in ids(pitfalls_of_text(text)) or len(pitfalls_of_text(text)) == MAX_PITFALLS, one.id


@pytest.mark.parametrize(
    ("issue", "given"),
    [
        ("A queue `orders` with a DLQ and a function that reads it", {"sqs-visibility-timeout"}),
        ("A queue `orders` with a dead-letter queue", {"sqs-dead-letter-retention"}),
        ("Alarms that notify the team by an encrypted topic", {"sns-alarm-managed-key"}),
        ("A bucket that archives exports after 30 days", {"s3-infrequent-access"}),
        ("A Lambda in our VPC", {"lambda-vpc-network", "lambda-vpc-role"}),
        ("A custom domain for the Cognito login", {"cognito-domain-certificate"}),
        ("A deploy role for GitHub Actions by OIDC", {"iam-oidc-immutable-subject"}),
        ("The container needs the secret of the payment provider", {"secret-value-first"}),
        ("A second index on the orders table in DynamoDB", {"dynamodb-one-index"}),
        ("A Fargate service with auto scaling", {"ecs-desired-count"}),
    ],
)
def test_an_issue_is_given_the_pitfalls_of_what_it_names(issue: str, given: set[str]) -> None:
    assert given <= ids(pitfalls_of_text(issue))


@pytest.mark.parametrize("issue", ["", "Sessions of users expire", "Say in the README who owns this album of charts"])
def test_an_issue_that_names_no_resource_is_given_none(issue: str) -> None:
    assert pitfalls_of_text(issue) == ()


def test_however_much_an_issue_names_it_is_given_a_dozen_lines_and_no_service_crowds_out_another() -> None:
    everything = " ".join(word.removesuffix("*") for words in service_words().values() for word in words)
    assert len(pitfalls_of_text(everything)) == MAX_PITFALLS
    both = pitfalls_of_text("A Fargate service in a VPC with a Redis cache")
    assert {one.types[0].split("_")[1] for one in both} >= {"ecs", "elasticache"} or len(both) < MAX_PITFALLS


def test_a_change_is_given_the_pitfalls_of_the_blocks_that_it_adds_or_edits() -> None:
    queue = 'resource "aws_sqs_queue" "q" {\n  name = "q"\n}\n'
    fifo = queue.replace('"q"\n}', '"q.fifo"\n  fifo_queue = true\n}')
    assert "sqs-fifo-name" in ids(pitfalls_of_change(change("infra/q.tf", fifo, queue), ()))
    assert "sqs-fifo-name" not in ids(pitfalls_of_change(change("infra/q.tf", queue), ()))
    added = f'{queue}resource "aws_s3_bucket_notification" "n" {{\n  bucket = "b"\n}}\n'
    found = ids(pitfalls_of_change(change("infra/q.tf", added, queue), ()))
    assert {name.split("-")[0] for name in found} == {"s3"}, "the queue is as it was"
    moved = f"# a comment\n\n{queue}"
    for untouched in (change("infra/q.tf", moved, queue), change("a.md", fifo), change("infra/q.tf", "{")):
        assert pitfalls_of_change(untouched, ()) == ()


def test_the_first_message_holds_the_pitfalls_of_the_issue_and_none_for_one_without() -> None:
    asks = replace(work_item(), request=Request(description="A queue `orders` with a dead-letter queue"))
    made = briefing(SMALL, item=asks)
    lines = {one.id: one.line for one in known_pitfalls()}
    assert "sqs-dead-letter-retention" in made.pitfalls
    assert all(f"\n- {lines[name]}\n" in made.task for name in made.pitfalls)
    none = briefing(
        SMALL, item=replace(work_item(), title="[ops] Names", request=Request(description="Say who owns it"))
    )
    assert none.pitfalls == () and "Pitfalls" not in none.task
