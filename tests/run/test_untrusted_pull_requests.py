"""People without write permission near our branch. GitHub lets anybody who can read a repository open a pull request
between two of its branches (godotengine/godot#6971, github/docs#7730), and write into its body whatever they like: a
record of ours as well."""

from __future__ import annotations

import pytest

from fake_github.objects import PullRequest, open_pull_request
from ops_agent.issue.claims import PullRequestRecord
from ops_agent.model.outcome import Conclusion
from ops_agent.model.work_item import Claim
from ops_agent.run.publish import Published
from run.github_world import Workplace
from run.publication_runs import Run, published, stopped

BRANCH = "ops-agent/issue-12"
STRANGER, WRITER = "joao", "maria"


def forged(here: Workplace, base: str) -> str:
    """The body of a pull request that claims to be ours, made from `base`, for the very text of the issue."""
    item = here.item()
    record = PullRequestRecord(
        issue=str(item.issue.ref),
        key=item.key,
        content=item.approval.content_hash,
        base=base,
        changes="c",
        at=0,
        labels=("deploy",),
    )
    return f"Closes #12\n\n{record.line}"


def open_by(who: str, here: Workplace, body: str) -> PullRequest:
    return open_pull_request(here.repository, head=BRANCH, base="main", title="Queue", body=body, by=who, draft=False)


def commit_without_pull_request(here: Workplace) -> Run:
    """The commit is on the branch, and GitHub did not let us open the pull request."""
    here.repository.actions_may_open_pull_requests = False
    run = Run(here, token=here.github.actions_token(here.repository))
    run.release(stopped(run.publish(), Conclusion.NOT_PERMITTED))
    return run


def again(here: Workplace) -> Run:
    here.issue.edit(body="## Description\nTwo queues.\n", by=WRITER)
    return Run(here, event_id=9002, run_id=78, token=here.github.actions_token(here.repository))


def evil_commit(here: Workplace) -> str:
    """A commit that is not on the base branch, such as a fork's, which the repository's API serves too."""
    head = here.repository.head()
    here.repository.create_branch("fork", head)
    commit = here.repository.commit(
        "fork", {"infra/evil.tf": 'data "external" "x" {}\n', ".github/workflows/x.yml": "on: push\n"}, "x", by=STRANGER
    )
    here.repository.delete_branch("fork")
    return commit


@pytest.mark.parametrize("who", [STRANGER, WRITER])
def test_a_forged_record_never_makes_a_run_start_from_another_commit(here: Workplace, who: str) -> None:
    """An untrusted pull request is not ours, and what a writer's record names as its base is not asked for."""
    commit_without_pull_request(here)
    open_by(who, here, forged(here, evil_commit(here)))
    answer = again(here).claim()
    assert isinstance(answer, Claim) == (who == WRITER)
    if isinstance(answer, Claim):
        assert answer.base_commit == here.repository.head()
    assert "infra/evil.tf" not in here.repository.files(BRANCH)


def test_an_untrusted_pull_request_from_our_branch_is_reported_and_left_alone(here: Workplace) -> None:
    commit_without_pull_request(here)
    theirs = open_by(STRANGER, here, "mine")
    here.repository.actions_may_open_pull_requests = True
    answer = stopped(again(here).claim(), Conclusion.STALE)
    assert f"#{theirs.number}" in answer.reason and "Close it" in answer.remedy
    assert (theirs.body, theirs.state, theirs.comments) == ("mine", "open", [])
    theirs.close(by=WRITER)
    out = again(here).publish()
    assert isinstance(out, Published) and out.pull_request.number != theirs.number


def test_a_closed_untrusted_pull_request_stops_no_run(here: Workplace) -> None:
    """Only what people who may write have closed stays closed; otherwise any account could end an item for good."""
    commit_without_pull_request(here)
    open_by(STRANGER, here, "mine").close(by=STRANGER)
    here.repository.actions_may_open_pull_requests = True
    assert isinstance(again(here).publish(), Published)


def test_a_pull_request_that_an_earlier_account_of_ours_opened_and_a_person_closed_stays_closed(
    here: Workplace,
) -> None:
    """After a change from GITHUB_TOKEN to an App."""
    here.repository.actions_may_open_pull_requests = True
    assert isinstance(Run(here, token=here.github.actions_token(here.repository)).publish(), Published)
    here.repository.pull_requests[0].close(by=WRITER)
    here.issue.edit(body="other", by=WRITER)
    stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DECLINED)


def test_an_untrusted_pull_request_opened_just_before_ours_does_not_get_our_text(here: Workplace) -> None:
    """Between our commit and our pull request: GitHub answers that one exists already."""
    run = Run(here)
    assert isinstance(run.claim(), Claim)
    here.github.faults.on("POST /repos/{owner}/{repo}/pulls").run(lambda: open_by(STRANGER, here, "mine"))
    answer = stopped(run.publish(), Conclusion.STALE)
    (theirs,) = here.repository.pull_requests
    assert theirs.body == "mine" and "may not write" in answer.reason
    run.release(answer)
    assert "Close it" in here.claim_comments()[0] and len(here.branches) == 1


def test_an_untrusted_pull_request_to_another_base_does_not_stop_ours(here: Workplace) -> None:
    run = Run(here)
    assert isinstance(run.claim(), Claim)
    here.repository.create_branch("develop", here.repository.head())
    at_work = here.github.faults.on("POST /repos/{owner}/{repo}/pulls")
    at_work.run(
        lambda: open_pull_request(
            here.repository, head=BRANCH, base="develop", title="x", body="x", by=STRANGER, draft=False
        )
    )
    out = run.publish()
    assert isinstance(out, Published) and len(here.repository.pull_requests) == 2


def test_a_thousand_reviews_by_one_account_cost_one_permission_request(here: Workplace) -> None:
    published(here)
    here.clock.sleep(60)
    for _ in range(50):
        here.repository.pull_requests[0].review("CHANGES_REQUESTED", "more", by=STRANGER)
    here.github.recorder.restart()
    stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DUPLICATE)
    assert len(here.github.recorder.of("collaborators")) == 1


@pytest.mark.parametrize("base", ["f" * 40, "../../../other/repository/compare/x"])
def test_the_base_that_a_record_names_decides_nothing(here: Workplace, base: str) -> None:
    """Whoever may write may edit our comment and our pull request."""
    published(here)
    pull = here.repository.pull_requests[0]
    pull.edit(body=pull.body.replace(f'"base":"{here.repository.head()}"', f'"base":"{base}"'), by=WRITER)
    comment = here.issue.comments[0]
    comment.edit(body=comment.body.replace(f'"base":"{here.repository.head()}"', f'"base":"{base}"'))
    newest = here.repository.commit("main", {"README.md": "new"}, "meanwhile", by=WRITER)
    here.issue.edit(body="other", by=WRITER)
    held = Run(here, event_id=9002, run_id=78).claim()
    assert isinstance(held, Claim) and held.base_commit == newest
