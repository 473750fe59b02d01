"""The builder reads like prose, its payloads are valid by the published schemas, and the platform starts fast."""

from __future__ import annotations

from typing import Any

import pytest

from fake_github.platform import EmbeddedGitHub
from github_descriptions import Checker, validate_webhook


def test_labelling_gives_the_payload_issues_labeled(org: Any) -> None:
    payload = org.github.label(org.issue, "ready", by="tom")
    assert validate_webhook(payload, "issues$labeled") == []
    assert (payload["action"], payload["label"]["name"], payload["sender"]["login"]) == ("labeled", "ready", "tom")
    assert payload["issue"]["labels"][0]["name"] == "ready" and payload["repository"]["default_branch"] == "main"
    assert payload["organization"]["login"] == "DrivvenConsulting"
    assert [e.actor.login for e in org.issue.events("labeled")] == ["tom"]


def test_a_broken_payload_is_noticed(org: Any) -> None:
    payload = org.github.label(org.issue, "ready", by="tom")
    del payload["sender"]
    assert any("sender" in problem for problem in validate_webhook(payload, "issues$labeled"))


def test_a_dispatch_gives_the_payload_workflow_dispatch(org: Any) -> None:
    payload = org.github.dispatch(org.orders, by="maria", inputs={"issue_number": "12"})
    assert validate_webhook(payload, "workflow_dispatch$event") == []


def test_closing_gives_the_payload_closed(org: Any) -> None:
    payload = org.github.close_event(org.issue, by="tom")
    assert validate_webhook(payload, "issues$closed") == [] and payload["issue"]["state"] == "closed"
    org.orders.commit("feature", {"b.txt": "b\n"}, "B", by="maria")
    pull = org.orders.open_pull_request("B", "", head="feature", by="maria")
    pull.merge(by="maria")
    payload = org.github.pull_request_event(pull, "closed", by="maria")
    assert validate_webhook(payload, "pull_request$closed") == [] and payload["pull_request"]["merged"]


def test_a_push_to_a_pull_request_gives_the_payload_synchronize(org: Any) -> None:
    org.orders.commit("feature", {"b.txt": "b\n"}, "B", by="maria")
    pull = org.orders.open_pull_request("B", "", head="feature", by="maria")
    commits = {"before": org.orders.head(), "after": pull.head_commit}
    payload = org.github.pull_request_event(pull, "synchronize", by="maria") | commits
    assert validate_webhook(payload, "pull_request$synchronize") == []


def test_putting_a_label_twice_is_one_event_and_removing_it_another(org: Any) -> None:
    org.github.label(org.issue, "ready", by="maria")
    org.github.label(org.issue, "Ready", by="maria")
    org.issue.remove_label("ready", by="maria")
    org.github.label(org.issue, "ready", by="maria")
    assert [e.kind for e in org.issue.timeline] == ["labeled", "unlabeled", "labeled"]


def test_a_wrong_word_in_the_builder_is_an_error(org: Any) -> None:
    with pytest.raises(ValueError, match="role"):
        org.orders.add_person("eve", role="owner")
    with pytest.raises(KeyError, match="nobody"):
        org.github.label(org.issue, "ready", by="nobody")
    with pytest.raises(KeyError, match="Redy"):
        org.board.put(org.issue, "Redy")
    with pytest.raises(ValueError, match="taken"):
        org.orders.add_issue("again", author="maria", number=12)


def test_the_clock_is_the_callers() -> None:
    github = EmbeddedGitHub(clock=lambda: 1_763_632_800.9)
    orders = github.add_repository("o/r", {"a": "b"})
    assert orders.created_at == "2025-11-20T10:00:00Z"
    assert orders.store.commits[orders.head()].author.at == 1_763_632_800


def test_the_checker_notices_a_departure_in_request_and_answer(unchecked: Any) -> None:
    unchecked.app("GET", "/repos/DrivvenConsulting/orders/issues/12", surprise="1")
    unchecked.app("PATCH", "/repos/DrivvenConsulting/orders/issues/12", {"state": "opened", "more": True})
    unchecked.app("GET", "/repos/DrivvenConsulting/orders/nothing")
    unchecked.app("POST", "/graphql", {"query": "{ viewer { shoeSize } }"})
    calls = unchecked.github.recorder.calls
    unchecked.app("GET", "/repos/DrivvenConsulting/orders")
    del calls[-1].answer["full_name"]
    unchecked.app("GET", "/repos/DrivvenConsulting/orders")
    calls[-1].status = 418
    problems = "\n".join(Checker().problems(unchecked.github.recorder))
    for expected in ("'surprise'", "opened", "'more'", "no such operation", "shoeSize", "full_name", "418"):
        assert expected in problems, expected
    with pytest.raises(AssertionError, match="departures"):
        Checker().assert_all_valid(unchecked.github.recorder)
