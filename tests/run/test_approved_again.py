"""The same issue once more, after a publication, and after a person's changes, against the embedded GitHub."""

from __future__ import annotations

import pytest

from ops_agent.model.outcome import Conclusion
from ops_agent.model.work_item import Claim
from ops_agent.run.publish import Published
from run.github_world import BOT_ID, Workplace, changes, proposal
from run.publication_runs import NO, Run, published, stopped


def test_the_same_text_approved_again_is_a_duplicate_and_writes_nothing(here: Workplace) -> None:
    """Label removed and applied again."""
    published(here)
    before = len(here.github.recorder.writes)
    answer = stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DUPLICATE)
    assert "already holds this very text" in answer.reason and len(here.github.recorder.writes) == before


def test_changed_text_updates_the_same_branch_and_pull_request(here: Workplace) -> None:
    first = published(here)
    here.issue.edit(body="## Description\nTwo queues.\n", by="maria")
    again = Run(here, event_id=9002, run_id=78)
    held = again.claim()
    assert (
        isinstance(held, Claim) and held.existing is not None and held.head_commit == first.commit != held.base_commit
    )
    out = again.publish(changes(held.base_commit, infra__other_dot_tf="y"), proposal(body="Two.\n\nCloses #12"))
    assert isinstance(out, Published) and out.updated and out.pull_request.number == first.pull_request.number
    (pull,) = here.repository.pull_requests
    assert "Two." in pull.body and len(here.claim_comments()) == 1
    assert {f.path for f in pull.files} == {"infra/other.tf", "infra/queue.tf", "infra/variables.tf"}
    assert "was updated" in here.claim_comments()[0]


@pytest.mark.parametrize(
    ("who", "verdict", "asks"),
    [
        ("maria", "CHANGES_REQUESTED", True),
        ("maria", "COMMENTED", True),
        ("maria", "APPROVED", False),
        ("joao", "CHANGES_REQUESTED", False),
        ("ops-agent[bot]", "COMMENTED", False),
    ],
)
def test_only_a_writers_review_that_asks_for_more_reopens_the_work(
    here: Workplace, who: str, verdict: str, asks: bool
) -> None:
    published(here)
    here.clock.sleep(60)
    here.repository.pull_requests[0].review(verdict, "hm", by=who)
    answer = Run(here, event_id=9002, run_id=78).claim()
    assert isinstance(answer, Claim) is asks


def test_a_pull_request_that_a_person_closed_is_not_reopened(here: Workplace) -> None:
    """Nothing is written for it either, even when its branch is gone."""
    published(here)
    here.repository.pull_requests[0].close(by="maria")
    here.repository.delete_branch("ops-agent/issue-12")
    here.issue.edit(body="other", by="maria")
    before = len(here.github.recorder.writes)
    answer = stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DECLINED)
    assert "closed by a person" in answer.reason and len(here.github.recorder.writes) == before and here.branches == {}


def test_after_a_merge_there_is_nothing_left_to_do(here: Workplace) -> None:
    published(here)
    here.repository.pull_requests[0].merge(by="maria")
    assert "merged" in stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DUPLICATE).reason


def test_commits_of_people_stay_and_are_continued_on_the_newest_base(here: Workplace) -> None:
    first = published(here)
    theirs = here.repository.commit("ops-agent/issue-12", {"hand.tf": "x"}, "by hand", by="maria")
    newest = here.repository.commit("main", {"README.md": "new"}, "meanwhile", by="joao")
    here.issue.edit(body="other", by="maria")
    again = Run(here, event_id=9002, run_id=78)
    held = again.claim()
    assert isinstance(held, Claim) and held.base_commit == newest and not held.conflicts
    assert here.repository.store.commits[held.head_commit].parents == (theirs, newest)
    assert held.others == (f"{theirs[:12]} by maria",)
    out = again.publish(changes(newest, infra__other_dot_tf="y"))
    assert isinstance(out, Published) and theirs in here.repository.store.history(out.commit)
    assert first.commit in here.repository.store.history(out.commit)
    assert here.repository.file("ops-agent/issue-12", "hand.tf") == b"x"


def test_a_branch_that_conflicts_with_the_newest_base_is_left_as_it_is(here: Workplace) -> None:
    first = published(here)
    here.repository.commit("main", {"infra/variables.tf": 'variable "theirs" {}\n'}, "meanwhile", by="maria")
    here.issue.edit(body="other", by="maria")
    held = Run(here, event_id=9002, run_id=78).claim()
    assert isinstance(held, Claim) and held.conflicts and held.head_commit == first.commit


def test_a_base_that_the_token_may_not_merge_ends_the_run_before_any_money_is_spent(here: Workplace) -> None:
    published(here)
    here.repository.commit("main", {".github/workflows/ci.yml": "on: pull_request\n"}, "meanwhile", by="maria")
    here.issue.edit(body="other", by="maria")
    token = here.github.app_token("ops-agent", bot_id=BOT_ID, contents="write", issues="write", pull_requests="write")
    answer = stopped(Run(here, event_id=9002, run_id=78, token=token).claim(), Conclusion.NEEDS_WORKFLOWS_PERMISSION)
    assert "Update the branch by hand" in answer.remedy


def test_a_branch_that_moves_during_the_run_stops_it(here: Workplace) -> None:
    """Optimistic locking."""
    at_work = Run(here)
    at_work.claim()
    here.repository.commit("ops-agent/issue-12", {"hand.tf": "x"}, "by hand", by="maria")
    stopped(at_work.publish(), Conclusion.STALE)
    assert here.repository.pull_requests == []


def test_a_dead_run_that_left_an_untouched_old_branch_gets_a_fresh_one(here: Workplace) -> None:
    Run(here).claim()
    here.repository.add_run(77, status="completed")
    moved = here.repository.commit("main", {"infra/main.tf": "new"}, "meanwhile", by="maria")
    held = Run(here, event_id=9002, run_id=78).claim()
    assert (
        isinstance(held, Claim) and held.base_commit == held.head_commit == moved == here.branches["ops-agent/issue-12"]
    )


def test_a_pull_request_opened_by_hand_from_our_branch_is_taken_over(here: Workplace) -> None:
    """When Actions may not open pull requests, a person follows the compare link."""
    here.repository.actions_may_open_pull_requests = False
    first = Run(here, token=here.github.actions_token(here.repository))
    stopped(first.publish(), Conclusion.NOT_PERMITTED)
    person = here.world(here.github.classic_token("maria", "repo"))
    person.pull_requests.create(here.repository.full_name, "ops-agent/issue-12", "main", "By hand", "mine", False)
    first.release(NO)
    out = Run(here, event_id=9002, run_id=78, token=here.github.actions_token(here.repository)).publish()
    assert isinstance(out, Published) and out.updated and len(here.repository.pull_requests) == 1
    assert "Closes #12" in here.repository.pull_requests[0].body


def test_a_draft_becomes_ready_when_the_next_run_passes(here: Workplace) -> None:
    Run(here).publish(text=proposal(draft=True))
    here.issue.edit(body="other", by="maria")
    assert isinstance(Run(here, event_id=9002, run_id=78).publish(), Published)
    assert here.repository.pull_requests[0].draft is False


def test_after_a_stop_a_new_approval_tries_again_and_the_same_one_does_not(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(NO)
    stopped(Run(here, run_id=78).claim(), Conclusion.DUPLICATE)
    assert isinstance(Run(here, attempt=2).claim(), Claim)
    assert len(here.claim_comments()) == 1


def test_a_failed_update_leaves_branch_pull_request_and_card(here: Workplace) -> None:
    published(here)
    here.issue.edit(body="other", by="maria")
    again = Run(here, event_id=9002, run_id=78)
    again.claim()
    again.release(NO)
    assert (
        len(here.branches) == 1 and here.repository.pull_requests[0].state == "open" and here.column() == "In Progress"
    )


def test_a_run_whose_end_is_unknown_holds_the_item_for_its_time_limit_and_a_margin(here: Workplace) -> None:
    """A token without `actions: read` cannot ask for runs."""
    blind = here.github.actions_token(here.repository)
    assert isinstance(Run(here, token=blind).claim(), Claim)
    lease = Run(here).settings.limits.timeout_seconds + 600
    here.clock.sleep(lease - 60)
    stopped(Run(here, event_id=9002, run_id=78, token=blind).claim(), Conclusion.DUPLICATE)
    here.clock.sleep(120)
    assert isinstance(Run(here, event_id=9003, run_id=79, token=blind).claim(), Claim)


def test_a_review_from_before_the_last_publication_asks_for_nothing_more(here: Workplace) -> None:
    published(here)
    here.clock.sleep(60)
    here.repository.pull_requests[0].review("CHANGES_REQUESTED", "more", by="maria")
    here.clock.sleep(60)
    again = Run(here, event_id=9002, run_id=78)
    assert isinstance(again.publish(text=proposal(body="More.\n\nCloses #12")), Published)
    stopped(Run(here, event_id=9003, run_id=79).claim(), Conclusion.DUPLICATE)


def test_our_own_review_asks_for_nothing_even_when_our_account_may_write(here: Workplace) -> None:
    """A person's token: the account that publishes is one that may write."""
    person = here.github.classic_token("maria", "repo", "workflow")
    published(here, token=person)
    here.clock.sleep(60)
    here.repository.pull_requests[0].review("COMMENTED", "as said", by="maria")
    stopped(Run(here, event_id=9002, run_id=78, token=person).claim(), Conclusion.DUPLICATE)


def test_a_commit_without_a_github_account_counts_as_one_of_people(here: Workplace) -> None:
    """GitHub names no author then."""
    published(here)
    head = here.repository.commit("ops-agent/issue-12", {"hand.tf": "x"}, "by hand", by="maria")
    here.issue.edit(body="other", by="maria")
    body = {"commits": [{"sha": head, "author": None}]}
    here.github.faults.on("GET /repos/{owner}/{repo}/compare").answer(200, body=body)
    held = Run(here, event_id=9002, run_id=78).claim()
    assert isinstance(held, Claim) and held.others == (f"{head[:12]} by an author without a GitHub account",)


def test_a_branch_that_another_run_made_again_is_taken_at_its_head(here: Workplace) -> None:
    """An untouched old branch is replaced; the faster run decides the commit that it is made from."""
    Run(here).claim()
    here.repository.add_run(77, status="completed")
    moved = here.repository.commit("main", {"infra/main.tf": "new"}, "meanwhile", by="maria")

    def faster() -> None:
        here.repository.create_branch(
            "ops-agent/issue-12", here.repository.commit("main", {"infra/b.tf": "b"}, "later", by="maria")
        )

    here.github.faults.on("POST /repos/{owner}/{repo}/git/refs", skip=1).run(faster)
    held = Run(here, event_id=9002, run_id=78).claim()
    assert (
        isinstance(held, Claim) and held.base_commit == held.head_commit == here.branches["ops-agent/issue-12"] != moved
    )


@pytest.mark.parametrize("allowed", [(), ("reviewer[bot]",)])
def test_a_bots_review_counts_only_where_its_name_is_allowed(here: Workplace, allowed: tuple[str, ...]) -> None:
    published(here)
    here.clock.sleep(60)
    here.github.add_account("reviewer[bot]")
    here.repository.pull_requests[0].review("CHANGES_REQUESTED", "more", by="reviewer[bot]")
    answer = Run(here, event_id=9002, run_id=78, given={"allowed_bots": allowed}).claim()
    assert isinstance(answer, Claim) is bool(allowed)


def test_a_round_that_stops_puts_the_card_back_to_review(here: Workplace) -> None:
    published(here, given={"status_review": "In Review"})
    here.issue.edit(body="other", by="maria")
    again = Run(here, event_id=9002, run_id=78, given={"status_review": "In Review"})
    again.claim()
    assert here.column() == "In Progress"
    again.release(NO)
    assert here.column() == "In Review"
