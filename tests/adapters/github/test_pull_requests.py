"""Pull requests and their reviews."""

from __future__ import annotations

import pytest

from adapters.github.calls import PREFIX, change_set, file_change, host, name, open_pull
from fake_github.objects import APP_PERMISSIONS
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


def test_a_discussion_has_reviews_threads_and_when_they_were_edited(here: Workplace) -> None:
    """The author of a deleted account is null; GraphQL leaves out the `[bot]` of a bot."""
    made = open_pull(here)
    pull = here.repository.pull_request(made.number)
    pull.review("CHANGES_REQUESTED", "please", by="maria", lines={("b", 1): "rename it"})
    pull.reply(pull.threads[0].comments[0].id, "done", by="ops-agent[bot]")
    here.clock.sleep(60)
    pull.threads[0].comments[0].edit("delete it")
    reviews, (thread,) = host(here).pull_requests.discussion(name(here), made.number)
    assert [(r.verdict, r.author.login, r.body) for r in reviews] == [
        ("CHANGES_REQUESTED", "maria", "please"),
        ("COMMENTED", "ops-agent[bot]", ""),
    ]
    first, second = thread.comments
    assert (thread.path, thread.line, thread.id) == ("b", 1, first.id)
    assert (first.body, bool(first.edited_at), second.author.login) == ("delete it", True, "ops-agent[bot]")
    assert not second.edited_at
    nobody = {
        "fullDatabaseId": "1",
        "author": None,
        "state": "COMMENTED",
        "body": "x",
        "submittedAt": "2026-11-20T10:00:00Z",
    }
    none = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    said = {**none, "nodes": [nobody]}
    body = {"data": {"repository": {"pullRequest": {"reviews": said, "reviewThreads": none}}}}
    here.github.faults.on("query repository").answer(200, body=body)
    reviews, _ = host(here).pull_requests.discussion(name(here), made.number)
    assert reviews[0].author.login == "ghost"


def test_any_number_of_reviews_and_threads_is_read_to_the_end(here: Workplace) -> None:
    """Or whoever may read the repository could hide a writer's."""
    made = open_pull(here)
    pull = here.repository.pull_request(made.number)
    for number in range(130):
        pull.review("COMMENTED", f"{number}", by="joao", lines={("b", 1): f"{number}"})
    pull.review("COMMENTED", "the last", by="maria")
    here.github.recorder.restart()
    reviews, threads = host(here).pull_requests.discussion(name(here), made.number)
    assert [r.body for r in reviews] == [*map(str, range(130)), "the last"]
    assert [t.comments[0].body for t in threads] == [*map(str, range(130))]
    assert len(here.github.recorder.calls) == 3


def test_a_reply_whose_answer_is_lost_is_not_sent_twice(here: Workplace) -> None:
    made = open_pull(here)
    pull = here.repository.pull_request(made.number)
    pull.review("COMMENTED", "", by="maria", lines={("b", 1): "rename it"})
    here.github.faults.on("/replies").drop_after()
    host(here).pull_requests.reply(name(here), made.number, pull.threads[0].comments[0].id, "<!-- mark -->\ndone")
    assert [c.author.login for c in pull.threads[0].comments] == ["maria", "ops-agent[bot]"]


def test_failed_checks_have_annotations_and_the_end_of_the_log_of_a_job(here: Workplace) -> None:
    made = open_pull(here)
    note = {"path": "b", "start_line": 3, "message": "too short"}
    here.repository.add_check("lint", made.head_commit, "failure", log="a\n" * 30_000 + "the end", annotations=[note])
    here.repository.add_check("build", made.head_commit, "success")
    token = here.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="read")
    (found,) = host(here, token).pull_requests.failed_checks(name(here), made.head_commit)
    assert (found.name, found.conclusion, found.annotations) == ("lint", "failure", ("b:3: too short",))
    assert found.log.endswith("the end") and len(found.log) <= 20_000
    token = here.github.app_token("ops-agent", bot_id=BOT_ID, contents="write", checks="read")
    assert host(here, token).pull_requests.failed_checks(name(here), made.head_commit)[0].log == ""


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
