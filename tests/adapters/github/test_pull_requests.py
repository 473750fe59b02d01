"""Pull requests and their reviews."""

from __future__ import annotations

import pytest

from adapters.github.calls import PREFIX, change_set, file_change, host, name, open_pull
from ops_agent.model.errors import NotPermitted
from run.github_world import BOT_ID, Workplace


def test_the_setting_that_forbids_pull_requests_is_named(here: Workplace) -> None:
    here.repository.actions_may_open_pull_requests = False
    found = host(here, here.github.actions_token(here.repository))
    base = here.repository.head()
    found.branches.create(name(here), f"{PREFIX}12", base)
    found.branches.commit(name(here), f"{PREFIX}12", base, "h", "b", change_set(base, file_change("a", b"1")))
    with pytest.raises(NotPermitted) as refused:
        found.pull_requests.create(name(here), f"{PREFIX}12", "main", "t", "b", False)
    assert "Allow GitHub Actions to create and approve pull requests" in refused.value.hint


def test_a_pull_request_is_created_once_and_updated_in_place(here: Workplace) -> None:
    made = open_pull(here)
    again = host(here).pull_requests.create(name(here), f"{PREFIX}12", "main", "t2", "b2", False)
    assert (
        again.number == made.number
        and made.draft
        and made.is_open
        and not made.merged
        and made.author is not None
        and made.author.id == BOT_ID
    )
    changed = host(here).pull_requests.update(name(here), made.number, "new title", "new body")
    assert (changed.title, changed.body) == ("new title", "new body")
    host(here).pull_requests.set_draft(made, False)
    host(here).issues.add_labels(name(here), made.number, ("one", "two"))
    (found,) = host(here).pull_requests.of_branch(name(here), f"{PREFIX}12")
    assert not found.draft and set(found.labels) == {"one", "two"}


def test_where_there_are_no_drafts_the_pull_request_is_made_ready(here: Workplace) -> None:
    refusal = {
        "message": "Validation Failed",
        "errors": [{"message": "Draft pull requests are not supported in this repository."}],
    }
    here.github.faults.on("POST /repos/{owner}/{repo}/pulls").answer(422, body=refusal)
    assert open_pull(here).draft is False


def test_pull_requests_are_found_by_branch_and_by_prefix(here: Workplace) -> None:
    one, two = open_pull(here, 12), open_pull(here, 13, "b")
    here.repository.pull_request(one.number).close(by="maria")
    assert [(p.number, p.is_open) for p in host(here).pull_requests.of_branch(name(here), f"{PREFIX}12")] == [
        (one.number, False)
    ]
    assert [p.number for p in host(here).pull_requests.open_with_prefix(name(here), PREFIX)] == [two.number]
    assert host(here).pull_requests.files(name(here), two.number) == ("b",)


def test_reviews_of_a_deleted_account_are_read(here: Workplace) -> None:
    """Their author is null."""
    made = open_pull(here)
    here.repository.pull_request(made.number).review("CHANGES_REQUESTED", "please", by="maria")
    (found,) = host(here).pull_requests.reviews(name(here), made.number)
    assert (found.verdict, found.author.login, found.body) == ("CHANGES_REQUESTED", "maria", "please")
    body = [{"id": 1, "user": None, "state": "COMMENTED", "body": None, "submitted_at": "2026-11-20T10:00:00Z"}]
    here.github.faults.on("reviews").answer(200, body=body)
    assert host(here).pull_requests.reviews(name(here), made.number)[0].author.login == "ghost"


def test_a_pull_request_of_a_fork_is_never_ours_even_when_the_fork_is_gone(here: Workplace) -> None:
    """GitHub shows no repository then; a branch of our own repository always has one."""
    made = open_pull(here)
    seen = host(here).http.get(f"/repos/{name(here)}/pulls/{made.number}", "reading", lambda found: found)
    for gone in (None, {"full_name": "stranger/orders"}):
        here.github.faults.on("GET /repos/{owner}/{repo}/pulls", times=2).answer(
            200, body=[{**seen, "head": {**seen["head"], "repo": gone}}]
        )
        assert host(here).pull_requests.of_branch(name(here), f"{PREFIX}12") == ()
        assert host(here).pull_requests.open_with_prefix(name(here), PREFIX) == ()
