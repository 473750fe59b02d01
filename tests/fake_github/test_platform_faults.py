"""Faults happen at the planned call, before or after its effect, and the recorder reports what happened."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

R = "/repos/DrivvenConsulting/orders"
COMMENT = f"{R}/issues/12/comments"
POST_COMMENT = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments"


def test_the_recorder_numbers_each_request_with_its_operation(org: Any) -> None:
    wire = org.app
    wire.get(f"{R}/issues/12")
    wire("POST", COMMENT, {"body": "Working"})
    wire.query("query Who { viewer { login } }")
    calls = org.github.recorder.calls
    assert [(c.number, c.operation, c.status, c.writes) for c in calls] == [
        (1, "GET /repos/{owner}/{repo}/issues/{issue_number}", 200, False),
        (2, POST_COMMENT, 201, True),
        (3, "query viewer", 200, False),
    ]
    assert (
        calls[1].body == {"body": "Working"}
        and calls[1].answer["body"] == "Working"
        and calls[1].token == "ops-agent[bot]"
    )
    org.github.recorder.restart()
    wire.get(R)
    assert [c.number for c in org.github.recorder.calls] == [1]


@pytest.mark.parametrize(("after", "comments"), [(False, 0), (True, 1)])
def test_a_dropped_connection_before_did_nothing_and_after_did_everything(org: Any, after: bool, comments: int) -> None:
    fault = org.github.faults.on(POST_COMMENT)
    fault.drop_after() if after else fault.drop_before()
    with pytest.raises(requests.ConnectionError):
        org.app("POST", COMMENT, {"body": "Working"})
    assert len(org.issue.comments) == comments
    call = org.github.recorder.calls[-1]
    assert (call.status, call.answer, call.committed) == (0, None, after)
    assert org.app("POST", COMMENT, {"body": "Working"}).status_code == 201


@pytest.mark.parametrize(("after", "comments"), [(False, 0), (True, 1)])
def test_a_5xx_comes_before_or_after_the_deed(org: Any, after: bool, comments: int) -> None:
    org.github.faults.at(1).answer(502, after=after)
    assert org.app("POST", COMMENT, {"body": "Working"}).status_code == 502
    assert len(org.issue.comments) == comments
    assert org.app.get(COMMENT) is not None


def test_a_secondary_rate_limit_names_its_wait(org: Any) -> None:
    org.github.faults.at(1).secondary_rate_limit(retry_after=3)
    org.github.faults.at(2).secondary_rate_limit(retry_after=None, status=429)
    first, second = org.app("GET", R), org.app("GET", R)
    assert (first.status_code, first.headers["Retry-After"]) == (403, "3")
    assert second.status_code == 429 and "Retry-After" not in second.headers
    assert "secondary rate limit" in first.json()["message"]


def test_a_malformed_answer_comes_after_the_deed(org: Any) -> None:
    org.github.faults.on(POST_COMMENT).malformed()
    answer = org.app("POST", COMMENT, {"body": "Working"})
    with pytest.raises(ValueError):
        answer.json()
    assert len(org.issue.comments) == 1


def test_a_delay_delays(org: Any) -> None:
    org.github.faults.at(1).delay(0.2)
    began = time.monotonic()
    org.app.get(R)
    assert time.monotonic() - began >= 0.2


def test_a_person_acts_in_the_middle_of_a_call(org: Any) -> None:
    """An edit exactly between two calls of a run."""
    org.github.faults.at(2).run(lambda: org.issue.edit(body="Other words", by="tom"))
    org.github.faults.at(2).run(lambda: org.issue.close(by="tom"), after=True)
    before, during, after = (org.app.get(f"{R}/issues/12") for _ in range(3))
    assert before["body"] != during["body"] == "Other words"
    assert (during["state"], after["state"]) == ("open", "closed")


def test_times_and_skip_choose_which_calls_are_hit(org: Any) -> None:
    org.github.faults.on(POST_COMMENT, times=2, skip=1).answer(500)
    statuses = [org.app("POST", COMMENT, {"body": str(i)}).status_code for i in range(4)]
    assert statuses == [201, 500, 500, 201]


def test_a_fault_can_name_the_operation_or_one_path(org: Any) -> None:
    org.github.faults.on("GET /repos/{owner}/{repo}/issues/{issue_number}").answer(500)
    org.github.faults.on("/issues/99").answer(503)
    assert [org.app("GET", f"{R}/issues/{n}").status_code for n in (12, 12, 99)] == [500, 200, 503]


def test_a_server_that_is_gone_from_call_k_answers_nothing_any_more(org: Any) -> None:
    org.github.faults.at(2, onwards=True).drop_before()
    org.app.get(R)
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            org.app("GET", R)
    org.github.faults.clear()
    org.app.get(R)


def test_a_kept_connection_is_closed_by_stop(org: Any) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {org.app.token}"
    assert session.get(org.github.base_url + R, timeout=5).status_code == 200
    url = org.github.base_url + R
    org.github.stop()
    with pytest.raises(requests.ConnectionError):
        session.get(url, timeout=5)
