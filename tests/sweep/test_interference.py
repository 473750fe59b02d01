"""People, settings and tokens change in the middle of whole runs: every run ends in a defined way, and nothing that
belongs to somebody else is touched.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pytest

from ops_agent.model.outcome import Conclusion
from run.github_world import BOT_ID, OWNER
from sweep.sweep_doubles import BODY, FILES, QUEUE, QUEUE_FILE, WORKFLOW_FILE, finished, working, write
from sweep.sweep_world import PERSON, End, IssueScenario, SweepGitHub

BRANCH = "ops-agent/issue-12"


def _published(scenario: IssueScenario, end: End) -> None:
    seen = scenario.seen()
    assert end.conclusion == "published", end.reporter.said
    assert (list(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (
        [BRANCH],
        1,
        1,
        "In Review",
    )
    assert seen["commits"] == {BRANCH: 1}


def _nothing_published(scenario: IssueScenario) -> None:
    assert scenario.branches == ()
    assert scenario.repository.pull_requests == []


@pytest.mark.parametrize(
    "when", ["in the conversation", "mutation createCommitOnBranch", "POST /repos/{owner}/{repo}/pulls", "/labels"]
)
def test_a_token_that_expires_in_the_middle_leaves_work_that_the_next_attempt_completes(
    sweep_github: SweepGitHub, scenario: IssueScenario, when: str
) -> None:
    """The end is defined, no text holds a secret, and nothing blocks the next attempt."""
    first, payload = scenario.token, scenario.labelled()
    if when == "in the conversation":
        end = scenario.run(payload, between=lambda: sweep_github.github.revoke(first))
    else:
        skip = 1 if when.endswith("/pulls") else 0  # the first is the probe of the token's permissions
        sweep_github.github.faults.on(when, skip=skip).run(lambda: sweep_github.github.revoke(first))
        end = scenario.run(payload)
    assert first not in sweep_github.github.tokens, "the token was to expire in the middle"
    assert first not in end.reporter.said
    assert first not in str(scenario.seen())
    if when == "/labels":
        assert (end.exit_code, end.conclusion) == (0, "published"), "what fails after the pull request is a warning"
        assert any("labels could not be added" in text for _, text in end.reporter.annotations)
    else:
        assert (end.exit_code, end.conclusion) == (4, "github_failed"), end.reporter.said
        assert "Start the run again; nothing was lost." in end.reporter.said
        assert float(end.reporter.outputs["total_cost_usd"]) > 0, "what the agent cost until then is reported"
        assert "was not asked" not in end.reporter.said
    scenario.token = sweep_github.github.app_token("ops-agent", bot_id=BOT_ID)
    again = scenario.run(payload, attempt=2)
    assert again.exit_code == 0, again.reporter.said
    seen = scenario.seen()
    assert (list(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (
        [BRANCH],
        1,
        1,
        "In Review",
    )
    assert seen["pulls"][0][4] == ["infra"]


def test_a_cancelled_run_releases_the_item_and_reports_its_cost(scenario: IssueScenario) -> None:
    """The signal comes between two turns."""

    def cancel() -> None:
        raise KeyboardInterrupt

    end = scenario.run(scenario.labelled(), between=cancel)
    assert (end.exit_code, end.conclusion, end.reporter.outputs["total_cost_usd"]) == (
        Conclusion.CANCELLED.exit_code,
        "cancelled",
        "0.0100",
    )
    _nothing_published(scenario)
    assert scenario.board.column(scenario.issue) == "Ready"


@pytest.mark.parametrize(
    ("bug", "conclusion"),
    [(ZeroDivisionError("a detail"), "internal_error"), (OSError(errno.ENOSPC, "a detail"), "no_space")],
    ids=["bug", "full disk"],
)
def test_an_unforeseen_error_releases_the_item_before_it_is_reported(
    scenario: IssueScenario, bug: Exception, conclusion: str
) -> None:
    """No card stays In Progress for a run that has ended, and the bug's own message is in no published text."""

    def happen() -> None:
        raise bug

    payload = scenario.labelled()
    end = scenario.run(payload, between=happen)
    assert (end.conclusion, end.exit_code, end.reporter.outputs["total_cost_usd"]) == (
        conclusion,
        Conclusion(conclusion).exit_code,
        "0.0100",
    )
    assert "a detail" not in end.reporter.said
    _nothing_published(scenario)
    (comment,) = scenario.issue.comments
    assert f"**{conclusion}**" in comment.body
    assert "a detail" not in comment.body
    assert scenario.board.column(scenario.issue) == "Ready"
    _published(scenario, scenario.run(payload, attempt=2))


WITHDRAWN = ("closed", "label taken off")
GONE: dict[str, Callable[[SweepGitHub, IssueScenario], object]] = {
    "closed": lambda _, scenario: scenario.issue.close(by=PERSON),
    "locked": lambda _, scenario: scenario.issue.lock(by=PERSON),
    "label taken off": lambda _, scenario: scenario.issue.remove_label("ready", by=PERSON),
    "deleted": lambda _, scenario: scenario.issue.delete(),
    "transferred": lambda sweep_github, scenario: scenario.issue.transfer(
        sweep_github.github.add_repository(f"{OWNER}/{scenario.name}-new", dict(FILES))
    ),
}


@pytest.mark.parametrize("what", GONE)
def test_an_issue_that_is_withdrawn_in_the_middle_is_not_published(
    sweep_github: SweepGitHub, scenario: IssueScenario, what: str
) -> None:
    end = scenario.run(scenario.labelled(), between=lambda: GONE[what](sweep_github, scenario))
    assert end.conclusion == ("cancelled" if what in WITHDRAWN else "stale"), end.reporter.said
    _nothing_published(scenario)


@pytest.mark.parametrize("what", GONE)
def test_an_issue_that_is_withdrawn_ends_the_run_before_the_next_answer_is_paid_for(
    sweep_github: SweepGitHub, scenario: IssueScenario, what: str
) -> None:
    """It is looked at every thirty seconds; what was changed until then is kept as a patch."""

    def happen() -> None:
        GONE[what](sweep_github, scenario)
        scenario.clock.sleep(31)

    end = scenario.run(scenario.labelled(), between=happen)
    assert (end.llm_requests, end.conclusion) == (2, "cancelled" if what in WITHDRAWN else "stale"), end.reporter.said
    assert end.reporter.outputs["patch"] and end.reporter.outputs["total_cost_usd"] == "0.0200"
    _nothing_published(scenario)
    if what in WITHDRAWN:
        (comment,) = scenario.issue.comments
        assert "**cancelled**" in comment.body and "kept as a patch" in comment.body
        assert scenario.board.column(scenario.issue) == "Ready"


def test_a_look_at_the_issue_that_fails_ends_nothing(sweep_github: SweepGitHub, scenario: IssueScenario) -> None:
    def happen() -> None:
        scenario.clock.sleep(31)
        sweep_github.github.faults.on("GET /repos/{owner}/{repo}/issues/{issue_number}", times=5).answer(502)

    end = scenario.run(scenario.labelled(), between=happen)
    assert end.conclusion == "published", end.reporter.said


def test_a_base_that_moves_in_other_files_is_noted_in_the_pull_request(scenario: IssueScenario) -> None:
    end = scenario.run(
        scenario.labelled(),
        between=lambda: scenario.repository.commit("main", {"README.md": "# new\n"}, "docs", by=PERSON),
    )
    _published(scenario, end)
    assert "has moved on to" in scenario.repository.pull_requests[0].body
    assert scenario.repository.file(BRANCH, "README.md") == b"# orders\n"


def test_a_base_that_changes_our_file_stops_the_run_and_a_new_label_starts_afresh(scenario: IssueScenario) -> None:
    end = scenario.run(
        scenario.labelled(),
        between=lambda: scenario.repository.commit("main", {QUEUE_FILE: "# mine\n"}, "queue", by=PERSON),
    )
    assert end.conclusion == "stale", end.reporter.said
    _nothing_published(scenario)
    assert scenario.board.column(scenario.issue) == "Ready"
    end = scenario.run(scenario.labelled(), run_id=78)
    _published(scenario, end)
    assert scenario.repository.file(BRANCH, QUEUE_FILE) == QUEUE.encode()


def test_a_commit_of_a_person_during_the_run_stops_it_and_the_next_one_goes_on_from_there(
    scenario: IssueScenario,
) -> None:
    """Nothing is forced, and nobody's commit is thrown away."""

    def push() -> None:
        scenario.repository.commit(BRANCH, {"infra/by_hand.tf": "# by hand\n"}, "by hand", by=PERSON)

    end = scenario.run(scenario.labelled(), between=push)
    assert end.conclusion == "stale", end.reporter.said
    assert "starts from the branch as it is then" in scenario.issue.comments[0].body
    theirs = scenario.repository.branches[BRANCH]
    assert scenario.repository.pull_requests == []
    again = scenario.run(scenario.labelled(), run_id=78)
    assert again.conclusion == "published", again.reporter.said
    (pull,) = scenario.repository.pull_requests
    assert scenario.repository.store.commits[pull.head_commit].parents == (theirs,)
    assert f"Commits of people on this branch: {theirs[:12]} by {PERSON}" in pull.body


@pytest.mark.parametrize("branch", ["stays", "deleted"])
def test_a_pull_request_that_a_person_closed_stays_closed(scenario: IssueScenario, branch: str) -> None:
    """For the next attempt and for a new label."""
    payload = scenario.labelled()
    _published(scenario, scenario.run(payload))
    scenario.repository.pull_requests[0].close(by=PERSON)
    if branch == "deleted":
        scenario.repository.delete_branch(BRANCH)
    before = scenario.seen()
    assert scenario.run(payload, attempt=2).llm_requests == 0
    end = scenario.run(scenario.labelled(), run_id=78)
    assert (end.conclusion, end.llm_requests) == ("declined", 0), end.reporter.said
    after = scenario.seen()
    assert {**after, "comments": None} == {**before, "comments": None}


def test_a_ruleset_that_forbids_our_branch_ends_the_run_without_a_trace(scenario: IssueScenario) -> None:
    scenario.repository.protect("ops-agent/*", "creation")
    end = scenario.run(scenario.labelled())
    assert (end.exit_code, end.conclusion, end.llm_requests) == (4, "not_permitted", 0), end.reporter.said
    assert ".." not in end.reporter.summaries[-1], "GitHub's words end with a full stop of their own"
    _nothing_published(scenario)
    assert (scenario.board.column(scenario.issue), scenario.issue.comments) == ("Ready", [])


def test_a_ruleset_that_refuses_every_commit_ends_the_run_before_the_llm_is_asked(scenario: IssueScenario) -> None:
    scenario.repository.protect("ops-agent/*", "update")
    end = scenario.run(scenario.labelled())
    assert (end.exit_code, end.conclusion, end.llm_requests) == (4, "not_permitted", 0), end.reporter.said
    _nothing_published(scenario)
    (comment,) = scenario.issue.comments
    assert "updates are restricted" in comment.body and "target branches" in comment.body
    assert scenario.board.column(scenario.issue) == "Ready"


def test_a_path_that_a_ruleset_restricts_is_refused_when_it_is_written(scenario: IssueScenario) -> None:
    restricted = {"restricted_file_paths": [QUEUE_FILE]}
    scenario.repository.protect("ops-agent/*", "file_path_restriction", parameters=restricted)
    end = scenario.run(scenario.labelled(), (write(QUEUE_FILE, QUEUE), finished()))
    assert end.conclusion == "blocked_by_policy", end.reporter.said


def test_a_repository_where_actions_may_not_open_pull_requests_keeps_the_commit_and_explains_how_to_go_on(
    scenario: IssueScenario,
) -> None:
    """The next attempt opens the pull request from the same commit, once it may."""
    scenario.repository.actions_may_open_pull_requests = False
    scenario.token = scenario.github.actions_token(scenario.repository)
    only_terraform = (write(QUEUE_FILE, QUEUE), finished())
    end = scenario.run(scenario.labelled(), only_terraform)
    assert end.conclusion == "not_permitted", end.reporter.said
    assert f"/compare/main...{BRANCH}?expand=1" in scenario.issue.comments[0].body
    commit = scenario.repository.branches[BRANCH]
    scenario.repository.actions_may_open_pull_requests = True
    again = scenario.run(scenario.labelled(), only_terraform, run_id=78)
    assert again.conclusion == "published", again.reporter.said
    assert scenario.repository.branches[BRANCH] == commit
    assert (len(scenario.repository.pull_requests), len(scenario.issue.comments)) == (1, 1)


def test_two_items_at_once_in_one_process_do_not_mix(sweep_github: SweepGitHub, scenario: IssueScenario) -> None:
    """Two runs that meet in the middle of their conversations: each writes its own files, branch, pull request and
    comment.
    """
    other = scenario.add_issue(13, BODY.replace("failed", "are late"))
    meeting = threading.Barrier(2, timeout=30)
    ends: dict[int, End] = {}

    def work(number: int, run_id: int) -> None:
        content = QUEUE.replace("dead", f"q{number}")
        replies = (write(f"infra/q{number}.tf", content), finished())
        ends[number] = scenario.run(payloads[number], replies, run_id=run_id, between=meeting.wait)

    payloads = {12: scenario.labelled(), 13: scenario.labelled(other)}
    threads = [threading.Thread(target=work, args=(12, 77)), threading.Thread(target=work, args=(13, 78))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [ends[n].conclusion for n in (12, 13)] == ["published", "published"]
    for issue in (scenario.issue, other):
        branch, path = f"ops-agent/issue-{issue.number}", f"infra/q{issue.number}.tf"
        assert set(scenario.repository.files(branch)) == {*FILES, path}
        (pull_request,) = (p for p in scenario.repository.pull_requests if p.head == branch)
        assert [closed.number for closed in pull_request.closes] == [issue.number]
        (comment,) = issue.comments
        assert f"/pull/{pull_request.number})" in comment.body
        assert scenario.board.column(issue) == "In Review"


def test_a_workflow_file_is_published_beside_the_terraform(scenario: IssueScenario) -> None:
    """What these runs publish is what the agent wrote, its action pinned to the tag's commit."""
    end = scenario.run(scenario.labelled(), working())
    _published(scenario, end)
    text = (scenario.repository.file(BRANCH, WORKFLOW_FILE) or b"").decode()
    pinned = scenario.github.repositories["actions/checkout"].tags["v7"]
    assert f"actions/checkout@{pinned} # v7" in text
