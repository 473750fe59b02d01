"""What publication does when the world is not as it was: over the wire against the embedded GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.proposal import Claim, Proposal
from ops_agent.errors import GitHubError, PolicyViolation, RateLimited
from ops_agent.ports import World
from ops_agent.stages.claim import claim, release
from ops_agent.stages.progress import Phase, tell
from ops_agent.stages.publish import Published, publish
from publication.github_world import Stage, Theatre, changes, proposal, settings


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    built = Theatre()
    yield built
    built.github.stop()


@pytest.fixture
def here(theatre: Theatre) -> Stage:
    return theatre.stage()


class Run:
    """One run with its own adapters: claim, then publish a stub change set."""

    def __init__(
        self, here: Stage, event_id: int = 9001, token: str | None = None, given: dict[str, Any] | None = None, **identity: Any
    ) -> None:
        self.here, self.settings = here, settings(**(given or {}))
        self.world: World = here.world(token)
        self.item, self.identity = here.item(event_id=event_id), here.run(**identity)
        self.held: Claim | None = None

    def claim(self) -> Claim | Stopped:
        found = claim(self.world, self.settings, self.item, self.identity)
        self.held = found if isinstance(found, Claim) else None
        return found

    def publish(self, change_set: ChangeSet | None = None, text: Proposal | None = None) -> Published | Stopped:
        held = self.held or self.claim()
        assert isinstance(held, Claim), held
        given = change_set or changes(held.base_commit)
        return publish(self.world, self.settings, self.item, held, self.identity, given, text or proposal(self.item.issue.ref.number))

    def release(self, why: Stopped | BaseException) -> None:
        assert self.held is not None
        release(self.world, self.settings, self.item, self.held, self.identity, why)

    @property
    def said(self) -> str:
        return "\n".join(text for _, text in self.world.reporter.annotations)  # type: ignore[attr-defined]


def published(here: Stage, **options: Any) -> Published:
    out = Run(here, **options).publish()
    assert isinstance(out, Published), out
    return out


def stopped(answer: object, conclusion: Conclusion) -> Stopped:
    assert isinstance(answer, Stopped), answer
    assert answer.conclusion is conclusion, answer
    return answer


NO = Stopped(conclusion=Conclusion.NEEDS_INFO, reason="It is not said which queue.", remedy="Say it.", questions=("Which queue?",))


# --- once, again, and after a person's hand ------------------------------------------------------------------------------------------


def test_the_same_text_approved_again_is_a_duplicate_and_writes_nothing(here: Stage) -> None:
    """M15: label removed and put again."""
    published(here)
    before = len(here.github.recorder.writes)
    answer = stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DUPLICATE)
    assert "already holds this very text" in answer.reason and len(here.github.recorder.writes) == before


def test_changed_text_updates_the_same_branch_and_pull_request(here: Stage) -> None:
    """M05."""
    first = published(here)
    here.issue.edit(body="## Description\nTwo queues.\n", by="maria")
    again = Run(here, event_id=9002, run_id=78)
    held = again.claim()
    assert isinstance(held, Claim) and held.existing is not None and held.head_commit == first.commit != held.base_commit
    out = again.publish(changes(held.base_commit, infra__other_dot_tf="y"), proposal(body="Two.\n\nCloses #12"))
    assert isinstance(out, Published) and out.updated and out.pull_request.number == first.pull_request.number
    (pull,) = here.repository.pull_requests
    assert "Two." in pull.body and [f.path for f in pull.files] == ["infra/other.tf"] and len(here.claim_comments()) == 1
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
def test_only_a_writers_review_that_asks_for_more_reopens_the_work(here: Stage, who: str, verdict: str, asks: bool) -> None:
    published(here)
    here.clock.sleep(60)
    here.repository.pull_requests[0].review(verdict, "hm", by=who)
    answer = Run(here, event_id=9002, run_id=78).claim()
    assert isinstance(answer, Claim) is asks


def test_a_pull_request_that_a_person_closed_is_not_reopened(here: Stage) -> None:
    """M06: and nothing is written for it, even when its branch is gone."""
    published(here)
    here.repository.pull_requests[0].close(by="maria")
    here.repository.delete_branch("ops-agent/issue-12")
    here.issue.edit(body="other", by="maria")
    before = len(here.github.recorder.writes)
    answer = stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DECLINED)
    assert "closed by a person" in answer.reason and len(here.github.recorder.writes) == before and here.branches == {}


def test_after_a_merge_there_is_nothing_left_to_do(here: Stage) -> None:
    published(here)
    here.repository.pull_requests[0].merge(by="maria")
    assert "merged" in stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.DUPLICATE).reason


def test_commits_of_others_on_our_branch_stop_the_run(here: Stage) -> None:
    """M07."""
    published(here)
    here.repository.commit("ops-agent/issue-12", {"hand.tf": "x"}, "by hand", by="maria")
    here.issue.edit(body="other", by="maria")
    answer = stopped(Run(here, event_id=9002, run_id=78).claim(), Conclusion.STALE)
    assert "maria" in answer.reason and '"state":"published"' in here.claim_comments()[0]


def test_a_branch_that_moves_during_the_run_stops_it(here: Stage) -> None:
    """M07: optimistic locking."""
    at_work = Run(here)
    at_work.claim()
    here.repository.commit("ops-agent/issue-12", {"hand.tf": "x"}, "by hand", by="maria")
    stopped(at_work.publish(), Conclusion.STALE)
    assert here.repository.pull_requests == []


def test_a_dead_run_that_left_an_untouched_old_branch_gets_a_fresh_one(here: Stage) -> None:
    Run(here).claim()
    here.repository.add_run(77, status="completed")
    moved = here.repository.commit("main", {"infra/main.tf": "new"}, "meanwhile", by="maria")
    held = Run(here, event_id=9002, run_id=78).claim()
    assert isinstance(held, Claim) and held.base_commit == held.head_commit == moved == here.branches["ops-agent/issue-12"]


def test_a_pull_request_opened_by_hand_from_our_branch_is_taken_over(here: Stage) -> None:
    """After M10 a person follows the compare link."""
    here.repository.actions_may_open_pull_requests = False
    first = Run(here, token=here.github.actions_token(here.repository))
    stopped(first.publish(), Conclusion.NOT_PERMITTED)
    person = here.world(here.github.classic_token("maria", "repo")).code_host
    person.create_pull_request(here.repository.full_name, "ops-agent/issue-12", "main", "By hand", "mine", False)
    first.release(NO)
    out = Run(here, event_id=9002, run_id=78, token=here.github.actions_token(here.repository)).publish()
    assert isinstance(out, Published) and out.updated and len(here.repository.pull_requests) == 1
    assert "Closes #12" in here.repository.pull_requests[0].body


# --- the issue and the base while we work --------------------------------------------------------------------------------------------


def _transfer(here: Stage) -> None:
    here.issue.transfer(here.github.add_repository(f"{here.repository.full_name}-new", {"a": "b"}))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (lambda here: here.issue.close(by="maria"), "closed"),
        (lambda here: here.issue.delete(), "gone"),
        (_transfer, "gone"),
        (lambda here: here.issue.lock(by="maria"), "locked"),
        (lambda here: here.issue.remove_label("ready", by="maria"), "label was taken off"),
    ],
)  # fmt: skip
def test_an_issue_that_is_no_longer_wanted_is_not_published(here: Stage, what: Callable[[Stage], None], says: str) -> None:
    """M12."""
    at_work = Run(here)
    at_work.claim()
    what(here)
    assert says in stopped(at_work.publish(), Conclusion.STALE).reason
    assert here.repository.pull_requests == [] and here.branches["ops-agent/issue-12"] == here.repository.head()


def test_text_edited_during_the_run_lets_the_approved_text_finish_and_says_so(here: Stage) -> None:
    """T10."""
    at_work = Run(here)
    at_work.claim()
    here.issue.edit(body="something else", by="maria")
    out = at_work.publish()
    assert isinstance(out, Published) and "edited after its approval" in here.repository.pull_requests[0].body


def test_a_dispatched_run_needs_no_label(here: Stage) -> None:
    at_work = Run(here)
    at_work.item = replace(at_work.item, approval=replace(at_work.item.approval, by_dispatch=True))
    at_work.claim()
    here.issue.remove_label("ready", by="maria")
    assert isinstance(at_work.publish(), Published)


def test_a_base_that_moved_elsewhere_is_stated(here: Stage) -> None:
    """M08."""
    at_work = Run(here)
    at_work.claim()
    here.repository.commit("main", {"README.md": "new"}, "meanwhile", by="maria")
    assert isinstance(at_work.publish(), Published)
    assert "has moved on" in here.repository.pull_requests[0].body


def test_a_base_that_changed_the_same_file_stops_the_run(here: Stage) -> None:
    """M08."""
    at_work = Run(here)
    at_work.claim()
    here.repository.commit("main", {"infra/variables.tf": "new"}, "meanwhile", by="maria")
    assert "infra/variables.tf" in stopped(at_work.publish(), Conclusion.STALE).reason
    assert here.repository.pull_requests == []


# --- rules, permissions, settings -----------------------------------------------------------------------------------------------------


def test_a_forbidden_pull_request_keeps_the_branch_and_names_setting_and_link(here: Stage) -> None:
    """M10."""
    here.repository.actions_may_open_pull_requests = False
    at_work = Run(here, token=here.github.actions_token(here.repository))
    answer = stopped(at_work.publish(), Conclusion.NOT_PERMITTED)
    link = f"https://github.com/{here.repository.full_name}/compare/main...ops-agent/issue-12"
    assert link in answer.remedy and "Allow GitHub Actions to create and approve pull requests" in answer.remedy
    at_work.release(answer)
    assert here.branches["ops-agent/issue-12"] != here.repository.head()
    (comment,) = [c.body for c in here.issue.comments]
    assert link in comment and '"state":"stopped"' in comment


WORKFLOW = {"_dot_github__workflows__ci_dot_yml": "on: pull_request\n", "infra__queue_dot_tf": "x"}


def test_workflow_files_are_left_out_when_the_token_may_not_write_them(here: Stage) -> None:
    """F01, T11."""
    at_work = Run(here, token=here.github.actions_token(here.repository))
    held = at_work.claim()
    assert isinstance(held, Claim)
    out = at_work.publish(changes(held.base_commit, **WORKFLOW))
    assert isinstance(out, Published) and out.left_out == (".github/workflows/ci.yml",)
    assert [f.path for f in here.repository.pull_requests[0].files] == ["infra/queue.tf"]


def test_a_change_of_workflow_files_only_is_offered_as_a_patch(here: Stage) -> None:
    """M11."""
    at_work = Run(here, token=here.github.actions_token(here.repository))
    held = at_work.claim()
    assert isinstance(held, Claim)
    answer = stopped(
        at_work.publish(changes(held.base_commit, _dot_github__workflows__ci_dot_yml="on: x\n")), Conclusion.NEEDS_WORKFLOWS_PERMISSION
    )
    assert "+on: x" in answer.patch
    at_work.release(answer)
    (comment,) = [c.body for c in here.issue.comments]
    assert "+on: x" in comment and here.branches == {}


def test_a_token_that_turns_out_not_to_write_workflows_gets_a_patch(here: Stage) -> None:
    """M11: GitHub did not tell beforehand."""
    at_work = Run(
        here, token=here.github.fine_grained_token("maria", [here.repository], contents="write", pull_requests="write", issues="write")
    )
    held = at_work.claim()
    assert isinstance(held, Claim)
    answer = stopped(at_work.publish(changes(held.base_commit, **WORKFLOW)), Conclusion.NEEDS_WORKFLOWS_PERMISSION)
    assert "without `workflow" in answer.reason and "+on: pull_request" in answer.patch and "infra" not in answer.patch


def test_a_commit_that_is_not_what_was_asked_for_is_refused(here: Stage) -> None:
    """J04, J05: the tree that GitHub made is read back."""
    at_work = Run(here)
    at_work.claim()
    real = here.repository.commit

    def tampering(branch: str, files: dict[str, Any], *arguments: Any, **options: Any) -> str:
        return real(branch, {**files, "evil.sh": "x"}, *arguments, **options)

    here.repository.commit = tampering  # type: ignore[method-assign]
    with pytest.raises(PolicyViolation, match=r"evil\.sh"):
        at_work.publish()
    assert here.repository.pull_requests == []


@pytest.mark.parametrize("body", ["no link", "Closes #12\nCloses #12", "Closes #12, fixes #1", "Closes #13"])
def test_a_text_without_exactly_one_closing_keyword_is_never_sent(here: Stage, body: str) -> None:
    """R26-R28."""
    at_work = Run(here)
    at_work.claim()
    before = len(here.github.recorder.writes)
    with pytest.raises(PolicyViolation, match="cannot be published"):
        at_work.publish(text=proposal(body=body))
    assert len(here.github.recorder.writes) == before


def test_a_claim_of_another_branch_is_never_written(here: Stage) -> None:
    """J02."""
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    for branch in ("main", "ops-agent/issue-12/../../main", "other"):
        at_work.held = replace(held, branch=branch)
        with pytest.raises(PolicyViolation):
            at_work.publish()


def test_a_change_through_a_symlink_is_refused(here: Stage) -> None:
    """J05."""
    here.repository.commit("main", {"link": "/etc"}, "a link", by="maria", modes={"link": "120000"})
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    change = FileChange(path="link/passwd", before=None, after=b"x")
    with pytest.raises(PolicyViolation, match="inside of link"):
        at_work.publish(ChangeSet(base_commit=held.base_commit, changes=(change,)))


@pytest.mark.parametrize(
    ("setting", "ready_text", "draft"), [("auto", False, False), ("auto", True, True), ("true", False, True), ("false", True, False)]
)
def test_draft_or_ready(here: Stage, setting: str, ready_text: bool, draft: bool) -> None:
    """J07."""
    out = Run(here, given={"draft": setting}).publish(text=proposal(draft=ready_text))
    assert isinstance(out, Published) and here.repository.pull_requests[0].draft is draft is out.pull_request.draft


def test_a_draft_becomes_ready_when_the_next_run_passes(here: Stage) -> None:
    Run(here).publish(text=proposal(draft=True))
    here.issue.edit(body="other", by="maria")
    assert isinstance(Run(here, event_id=9002, run_id=78).publish(), Published)
    assert here.repository.pull_requests[0].draft is False


def test_a_dry_run_writes_nothing_at_all(here: Stage) -> None:
    at_work = Run(here, given={"dry_run": True})
    held = at_work.claim()
    out = at_work.publish()
    at_work.release(NO)
    assert isinstance(held, Claim) and isinstance(out, Published) and out.dry_run and out.pull_request.body == proposal().body
    assert here.github.recorder.writes == []


def test_a_base_that_is_not_the_default_branch_is_said_in_the_comment(here: Stage) -> None:
    """T5: GitHub ignores the keyword there."""
    here.repository.commit("develop", {"x": "y"}, "develop", by="maria")
    at_work = Run(here)
    at_work.item = replace(at_work.item, base_branch="develop")
    assert isinstance(at_work.publish(), Published)
    (comment,) = here.claim_comments()
    assert "not to the default branch `main`" in comment and here.repository.pull_requests[0].url in comment


@pytest.mark.parametrize(("prefix", "base"), [("", "main"), ("main", "main12")])
def test_a_prefix_that_could_name_another_branch_claims_nothing(here: Stage, prefix: str, base: str) -> None:
    at_work = Run(here, given={"branch_prefix": prefix})
    at_work.item = replace(at_work.item, base_branch=base)
    stopped(at_work.claim(), Conclusion.CONFIG_ERROR)
    assert here.github.recorder.writes == []


def test_a_base_branch_that_is_not_there_is_a_configuration_error(here: Stage) -> None:
    """M19."""
    at_work = Run(here)
    at_work.item = replace(at_work.item, base_branch="master")
    assert "no branch master" in stopped(at_work.claim(), Conclusion.CONFIG_ERROR).reason


def test_a_repository_that_forbids_our_branches_leaves_nothing_behind(here: Stage) -> None:
    """M09."""
    here.repository.protect("ops-agent/*", "creation")
    with pytest.raises(GitHubError, match="creations being restricted"):
        Run(here).claim()
    assert here.claim_comments() == [] and here.column() == "Ready"


def test_a_claim_that_cannot_be_written_down_gives_the_branch_back(here: Stage) -> None:
    here.github.faults.on("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", times=None).answer(403, body={"message": "no"})
    with pytest.raises(GitHubError):
        Run(here).claim()
    assert here.branches == {}


# --- after the pull request exists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation", ["POST /repos/{owner}/{repo}/issues/{issue_number}/labels", "GET /repos/{owner}/{repo}/pulls/{pull_number}/files"]
)
def test_what_fails_after_the_pull_request_is_a_warning(here: Stage, operation: str) -> None:
    """M20."""
    other = here.add_issue(20)
    held = claim(here.world(), settings(), here.item(other), here.run(run_id=90))
    assert isinstance(held, Claim)
    publish(
        here.world(), settings(), here.item(other), held, here.run(run_id=90), changes(held.base_commit, x="y"), proposal(20, labels=())
    )
    here.github.faults.on(operation, times=None).answer(500)
    at_work = Run(here)
    out = at_work.publish()
    assert isinstance(out, Published) and at_work.said
    assert '"state":"published"' in here.claim_comments()[0]


def test_a_text_that_github_does_not_keep_is_a_warning_and_goes_to_the_summary(here: Stage) -> None:
    published(here)
    here.issue.edit(body="other", by="maria")
    at_work = Run(here, event_id=9002, run_id=78)
    at_work.claim()
    here.repository.pull_requests[0].edit = lambda **_: None  # type: ignore[method-assign]  # answers 200, keeps the old text
    out = at_work.publish(text=proposal(body="new text\n\nCloses #12"))
    assert isinstance(out, Published) and "another text" in out.warnings[0]
    assert "new text" in at_work.world.reporter.summaries[0]  # type: ignore[attr-defined]


def test_what_did_not_fit_goes_to_the_summary(here: Stage) -> None:
    at_work = Run(here)
    at_work.publish(text=proposal(overflow="the rest of the plan"))
    assert at_work.world.reporter.summaries == ["the rest of the plan"]  # type: ignore[attr-defined]


def test_files_in_common_are_said_in_both_pull_requests_once(here: Stage) -> None:
    """R68."""
    other = here.add_issue(20)
    first = Run(here, run_id=90)
    first.item = here.item(other)
    assert isinstance(first.publish(), Published)
    published(here)
    here.issue.edit(body="again", by="maria")
    assert isinstance(Run(here, event_id=9002, run_id=78).publish(), Published)
    mine, theirs = here.repository.pull_requests[0], here.repository.pull_requests[1]
    assert f"#{theirs.number} changes files in common: `infra/queue.tf`, `infra/variables.tf`" in mine.body
    assert len(theirs.comments) == 1 and f"#{mine.number} changes files in common" in theirs.comments[0].body


# --- the board, the comment, the release ----------------------------------------------------------------------------------------------


def test_the_card_goes_to_review_where_one_is_configured(here: Stage) -> None:
    published(here, given={"status_review": "in review"})
    assert here.column() == "In Review"


def test_without_board_access_the_intended_column_is_written_down_once(here: Stage) -> None:
    """R21, M13."""
    at_work = Run(here, token=here.github.actions_token(here.repository))
    held = at_work.claim()
    assert isinstance(held, Claim)
    tell(at_work.world, at_work.item, held, at_work.identity, Phase.WORKING, "turn 1")
    assert at_work.said.count("The intended column is **In Progress**") == 1
    (comment,) = [c.body for c in here.issue.comments]
    assert comment.count("The intended column is **In Progress**") == 1 and "turn 1" in comment


def test_a_stopped_run_gives_everything_back_and_says_why(here: Stage) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(NO)
    assert here.branches == {} and here.column() == "Ready"
    (comment,) = here.claim_comments()
    assert "**needs_info**: It is not said which queue." in comment and "- Which queue?" in comment and "**What to do:** Say it." in comment


def test_after_a_stop_a_new_approval_tries_again_and_the_same_one_does_not(here: Stage) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(NO)
    stopped(Run(here, run_id=78).claim(), Conclusion.DUPLICATE)
    assert isinstance(Run(here, attempt=2).claim(), Claim)
    assert len(here.claim_comments()) == 1


def test_a_card_that_a_person_moved_stays(here: Stage) -> None:
    at_work = Run(here)
    at_work.claim()
    here.board.put(here.issue, "Done")
    at_work.release(NO)
    assert here.column() == "Done"


def test_a_failed_update_leaves_branch_pull_request_and_card(here: Stage) -> None:
    published(here)
    here.issue.edit(body="other", by="maria")
    again = Run(here, event_id=9002, run_id=78)
    again.claim()
    again.release(NO)
    assert len(here.branches) == 1 and here.repository.pull_requests[0].state == "open" and here.column() == "In Progress"


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (KeyboardInterrupt(), "**cancelled**"),
        (RateLimited("GitHub's rate limit is used up."), "**rate_limited**"),
        (ValueError("token ghs_secret"), "**internal_error**"),
    ],
)
def test_every_end_is_told_and_no_bug_tells_its_data(here: Stage, why: BaseException, says: str) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(why)
    (comment,) = here.claim_comments()
    assert says in comment and "ghs_secret" not in comment


def test_a_cancelled_run_begins_no_further_step_after_two_seconds(here: Stage) -> None:
    """N01: the comment comes first; what is left, the next run settles."""
    at_work = Run(here)
    at_work.claim()
    here.github.faults.on("PATCH /repos/{owner}/{repo}/issues/comments").run(lambda: here.clock.sleep(3))
    at_work.release(KeyboardInterrupt())
    assert "**cancelled**" in here.claim_comments()[0] and len(here.branches) == 1 and here.column() == "In Progress"
    assert isinstance(Run(here, attempt=2).claim(), Claim)


def test_a_release_never_fails(here: Stage) -> None:
    at_work = Run(here)
    at_work.claim()
    here.github.faults.at(1, onwards=True).answer(500)
    at_work.release(NO)
    assert "could not" in at_work.said


def test_a_reason_whose_redaction_fails_is_withheld(here: Stage) -> None:
    """G05."""
    at_work = Run(here)
    at_work.claim()

    def fails(text: str) -> str:
        raise RuntimeError

    at_work.world = replace(at_work.world, redact=fails)
    at_work.release(NO)
    (comment,) = here.claim_comments()
    assert "withheld" in comment and "which queue" not in comment


HOSTILE = "@org/team closes #1 <!-- ops-agent:claim {} --> <img src=x> [x](http://evil) ![y](http://evil)\n# Heading\n```"


def test_hostile_text_in_a_reason_is_neutral_in_the_comment(here: Stage) -> None:
    """G07."""
    at_work = Run(here)
    at_work.claim()
    at_work.release(replace(NO, reason=HOSTILE, questions=(HOSTILE,)))
    body = here.claim_comments()[0].split("-->", 1)[1].split("<sub>")[0]
    for bad in (r"@org", r"#1 ", r"(?<!\\)<(img|!--)", r"(?<!\\)\]\(", r"^# Heading", r"(?<!\\)```"):
        assert not re.search(bad, body, re.MULTILINE), bad


def test_progress_is_told_at_most_every_twenty_seconds_but_each_phase_at_once(here: Stage) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)

    def edits() -> int:
        return len(here.github.recorder.of("PATCH /repos/{owner}/{repo}/issues/comments"))

    def say(phase: Phase, text: str) -> int:
        before = edits()
        tell(at_work.world, at_work.item, held, at_work.identity, phase, text)
        return edits() - before

    assert [say(Phase.WORKING, f"turn {n}") for n in range(5)] == [1, 0, 0, 0, 0]
    here.clock.sleep(21)
    assert say(Phase.WORKING, "turn 6, $0.41") == 1
    assert say(Phase.VERIFYING, "") == 1 and say(Phase.WORKING, "again") == 1
    assert "turn 6" not in here.claim_comments()[0] and "Now: again" in here.claim_comments()[0]


def test_a_deleted_progress_comment_is_left_alone(here: Stage) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    here.issue.comments[0].delete()
    for phase in (Phase.WORKING, Phase.VERIFYING, Phase.WORKING):
        tell(at_work.world, at_work.item, held, at_work.identity, phase, "x")
    assert len(at_work.world.reporter.annotations) == 1 and here.issue.comments == []  # type: ignore[attr-defined]
    assert isinstance(at_work.publish(), Published)


def test_a_marker_written_by_somebody_else_takes_nothing(here: Stage) -> None:
    """J08."""
    at_work = Run(here)
    at_work.claim()
    forged = here.claim_comments()[0]
    here.issue.comments[0].delete()
    here.repository.delete_branch("ops-agent/issue-12")
    here.issue.comment(forged, by="joao")
    assert isinstance(Run(here, event_id=9002, run_id=78).claim(), Claim)


def test_no_run_ever_forces_merges_approves_or_touches_another_branch(here: Stage) -> None:
    """J03: over everything that this module's runs did."""
    published(here)
    calls = here.github.recorder.writes
    allowed = ("POST /repos/{owner}/{repo}/git/refs", "DELETE /repos/{owner}/{repo}/git/refs", "/comments", "/labels", "/pulls", "mutation")
    assert calls and all(any(a in c.operation for a in allowed) for c in calls)
    assert not any("force" in str(c.body) or "merge" in c.operation or "approve" in str(c.body).lower() for c in calls)
    assert all(name == "main" or name.startswith("ops-agent/issue-") for name in here.repository.branches)
