"""People, settings and tokens change in the middle of whole runs: every end is defined, and nothing of anybody else's
is touched.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pytest

from ops_agent.model.outcome import Conclusion
from publication.github_world import BOT_ID, OWNER
from sweep.sweep_doubles import BODY, FILES, QUEUE, QUEUE_FILE, WORKFLOW_FILE, finished, working, write
from sweep.sweep_world import PERSON, End, Play, Theatre

BRANCH = "ops-agent/issue-12"


def _published(play: Play, end: End) -> None:
    seen = play.seen()
    assert end.conclusion == "published", end.reporter.said
    assert (list(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (
        [BRANCH],
        1,
        1,
        "In Review",
    )
    assert seen["commits"] == {BRANCH: 1}


def _nothing_published(play: Play) -> None:
    assert play.branches == ()
    assert play.repository.pull_requests == []


@pytest.mark.parametrize(
    "when", ["in the conversation", "mutation createCommitOnBranch", "POST /repos/{owner}/{repo}/pulls", "/labels"]
)
def test_a_token_that_expires_in_the_middle_leaves_work_that_the_next_attempt_completes(
    theatre: Theatre, play: Play, when: str
) -> None:
    """M17: a defined end, no secret anywhere, and nothing that blocks the next attempt."""
    first, payload = play.token, play.labelled()
    if when == "in the conversation":
        end = play.run(payload, between=lambda: theatre.github.revoke(first))
    else:
        skip = 1 if when.endswith("/pulls") else 0  # the first is the probe of the token's permissions
        theatre.github.faults.on(when, skip=skip).run(lambda: theatre.github.revoke(first))
        end = play.run(payload)
    assert first not in theatre.github.tokens, "the token was to expire in the middle"
    assert first not in end.reporter.said
    assert first not in str(play.seen())
    if when == "/labels":
        assert (end.exit_code, end.conclusion) == (0, "published"), "what fails after the pull request is a warning"
        assert any("labels could not be put" in text for _, text in end.reporter.annotations)
    else:
        assert (end.exit_code, end.conclusion) == (4, "github_failed"), end.reporter.said
        assert "Start the run again; nothing was lost." in end.reporter.said
        assert float(end.reporter.outputs["total_cost_usd"]) > 0, "what the agent cost until then is told"
        assert "was not asked" not in end.reporter.said
    play.token = theatre.github.app_token("ops-agent", bot_id=BOT_ID)
    again = play.run(payload, attempt=2)
    assert again.exit_code == 0, again.reporter.said
    seen = play.seen()
    assert (list(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (
        [BRANCH],
        1,
        1,
        "In Review",
    )
    assert seen["pulls"][0][4] == ["infra"]


def test_a_cancelled_run_gives_the_item_back_and_tells_what_it_cost(play: Play) -> None:
    """N01: the signal comes between two turns."""

    def cancel() -> None:
        raise KeyboardInterrupt

    end = play.run(play.labelled(), between=cancel)
    assert (end.exit_code, end.conclusion, end.reporter.outputs["total_cost_usd"]) == (
        Conclusion.CANCELLED.exit_code,
        "cancelled",
        "0.0100",
    )
    _nothing_published(play)
    assert play.board.column(play.issue) == "Ready"


@pytest.mark.parametrize(
    ("bug", "conclusion"),
    [(ZeroDivisionError("a detail"), "internal_error"), (OSError(errno.ENOSPC, "a detail"), "no_space")],
    ids=["bug", "full disk"],
)
def test_what_nobody_foresaw_gives_the_item_back_before_it_is_reported(
    play: Play, bug: Exception, conclusion: str
) -> None:
    """Nobody waits at a card that says In Progress for a run that is gone; the bug's words stay out of everything."""

    def happen() -> None:
        raise bug

    payload = play.labelled()
    end = play.run(payload, between=happen)
    assert (end.conclusion, end.exit_code, end.reporter.outputs["total_cost_usd"]) == (
        conclusion,
        Conclusion(conclusion).exit_code,
        "0.0100",
    )
    assert "a detail" not in end.reporter.said
    _nothing_published(play)
    (comment,) = play.issue.comments
    assert f"**{conclusion}**" in comment.body
    assert "a detail" not in comment.body
    assert play.board.column(play.issue) == "Ready"
    _published(play, play.run(payload, attempt=2))


GONE: dict[str, Callable[[Theatre, Play], object]] = {
    "closed": lambda _, play: play.issue.close(by=PERSON),
    "locked": lambda _, play: play.issue.lock(by=PERSON),
    "label taken off": lambda _, play: play.issue.remove_label("ready", by=PERSON),
    "deleted": lambda _, play: play.issue.delete(),
    "transferred": lambda theatre, play: play.issue.transfer(
        theatre.github.add_repository(f"{OWNER}/{play.name}-new", dict(FILES))
    ),
}


@pytest.mark.parametrize("what", GONE)
def test_an_issue_that_is_withdrawn_in_the_middle_is_not_published(theatre: Theatre, play: Play, what: str) -> None:
    """M12."""
    end = play.run(play.labelled(), between=lambda: GONE[what](theatre, play))
    assert end.conclusion == "stale", end.reporter.said
    _nothing_published(play)


def test_a_base_that_moves_elsewhere_is_said_in_the_pull_request(play: Play) -> None:
    """M08."""
    end = play.run(
        play.labelled(), between=lambda: play.repository.commit("main", {"README.md": "# new\n"}, "docs", by=PERSON)
    )
    _published(play, end)
    assert "has moved on to" in play.repository.pull_requests[0].body
    assert play.repository.file(BRANCH, "README.md") == b"# orders\n"


def test_a_base_that_changes_our_file_stops_the_run_and_a_new_label_starts_afresh(play: Play) -> None:
    """M08."""
    end = play.run(
        play.labelled(), between=lambda: play.repository.commit("main", {QUEUE_FILE: "# mine\n"}, "queue", by=PERSON)
    )
    assert end.conclusion == "stale", end.reporter.said
    _nothing_published(play)
    assert play.board.column(play.issue) == "Ready"
    end = play.run(play.labelled(), run_id=78)
    _published(play, end)
    assert play.repository.file(BRANCH, QUEUE_FILE) == QUEUE.encode()


def test_a_commit_of_a_person_on_our_branch_stops_the_run_and_stays(play: Play) -> None:
    """M07: nothing is forced, in this run and in the next."""

    def push() -> None:
        play.repository.commit(BRANCH, {"infra/by_hand.tf": "# by hand\n"}, "by hand", by=PERSON)

    payload = play.labelled()
    end = play.run(payload, between=push)
    assert end.conclusion == "stale", end.reporter.said
    head = play.repository.branches[BRANCH]
    again = play.run(play.labelled(), run_id=78)
    assert again.conclusion == "stale", again.reporter.said
    assert play.repository.branches == {"main": play.repository.head(), BRANCH: head}
    assert play.repository.file(BRANCH, "infra/by_hand.tf") == b"# by hand\n"
    assert play.repository.pull_requests == []


@pytest.mark.parametrize("branch", ["stays", "deleted"])
def test_a_pull_request_that_a_person_closed_stays_closed(play: Play, branch: str) -> None:
    """M06: for the next attempt and for a new label."""
    payload = play.labelled()
    _published(play, play.run(payload))
    play.repository.pull_requests[0].close(by=PERSON)
    if branch == "deleted":
        play.repository.delete_branch(BRANCH)
    before = play.seen()
    assert play.run(payload, attempt=2).llm_requests == 0
    end = play.run(play.labelled(), run_id=78)
    assert (end.conclusion, end.llm_requests) == ("declined", 0), end.reporter.said
    after = play.seen()
    assert {**after, "comments": None} == {**before, "comments": None}


def test_a_ruleset_that_forbids_our_branch_ends_the_run_without_a_trace(play: Play) -> None:
    """M09."""
    play.repository.protect("ops-agent/*", "creation")
    end = play.run(play.labelled())
    assert (end.exit_code, end.conclusion, end.llm_requests) == (4, "not_permitted", 0), end.reporter.said
    assert ".." not in end.reporter.summaries[-1], "GitHub's words end with a full stop of their own"
    _nothing_published(play)
    assert (play.board.column(play.issue), play.issue.comments) == ("Ready", [])


def test_a_repository_where_actions_may_not_open_pull_requests_keeps_the_commit_and_says_how_to_go_on(
    play: Play,
) -> None:
    """M10: the next attempt opens the pull request from the same commit, once it may."""
    play.repository.actions_may_open_pull_requests = False
    play.token = play.github.actions_token(play.repository)
    only_terraform = (write(QUEUE_FILE, QUEUE), finished())
    end = play.run(play.labelled(), only_terraform)
    assert end.conclusion == "not_permitted", end.reporter.said
    assert f"/compare/main...{BRANCH}?expand=1" in play.issue.comments[0].body
    commit = play.repository.branches[BRANCH]
    play.repository.actions_may_open_pull_requests = True
    again = play.run(play.labelled(), only_terraform, run_id=78)
    assert again.conclusion == "published", again.reporter.said
    assert play.repository.branches[BRANCH] == commit
    assert (len(play.repository.pull_requests), len(play.issue.comments)) == (1, 1)


def test_two_items_at_once_in_one_process_do_not_mix(theatre: Theatre, play: Play) -> None:
    """Two runs that meet in the middle of their conversations: each writes its own files, branch, pull request and
    comment.
    """
    other = play.add_issue(13, BODY.replace("failed", "are late"))
    meeting = threading.Barrier(2, timeout=30)
    ends: dict[int, End] = {}

    def work(number: int, run_id: int) -> None:
        content = QUEUE.replace("dead", f"q{number}")
        replies = (write(f"infra/q{number}.tf", content), finished())
        ends[number] = play.run(payloads[number], replies, run_id=run_id, between=meeting.wait)

    payloads = {12: play.labelled(), 13: play.labelled(other)}
    threads = [threading.Thread(target=work, args=(12, 77)), threading.Thread(target=work, args=(13, 78))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [ends[n].conclusion for n in (12, 13)] == ["published", "published"]
    for issue in (play.issue, other):
        branch, path = f"ops-agent/issue-{issue.number}", f"infra/q{issue.number}.tf"
        assert set(play.repository.files(branch)) == {*FILES, path}
        (pull_request,) = (p for p in play.repository.pull_requests if p.head == branch)
        assert [closed.number for closed in pull_request.closes] == [issue.number]
        (comment,) = issue.comments
        assert f"/pull/{pull_request.number})" in comment.body
        assert play.board.column(issue) == "In Review"


def test_a_workflow_file_is_published_beside_the_terraform(play: Play) -> None:
    """What these runs publish is what the agent wrote, its action pinned to the tag's commit."""
    end = play.run(play.labelled(), working())
    _published(play, end)
    text = (play.repository.file(BRANCH, WORKFLOW_FILE) or b"").decode()
    pinned = play.github.repositories["actions/checkout"].tags["v7"]
    assert f"actions/checkout@{pinned} # v7" in text
