"""How the rules, settings and permissions of a repository or token affect a publication."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops_agent.model.errors import GitHubError
from ops_agent.model.outcome import Conclusion
from ops_agent.model.work_item import Claim
from ops_agent.run.publish import Published
from run.github_world import Workplace, changes, proposal
from run.publication_runs import NO, Run, stopped


def test_a_forbidden_pull_request_keeps_the_branch_and_names_setting_and_link(here: Workplace) -> None:
    here.repository.actions_may_open_pull_requests = False
    at_work = Run(here, token=here.github.actions_token(here.repository))
    answer = stopped(at_work.publish(), Conclusion.NOT_PERMITTED)
    link = f"https://github.com/{here.repository.full_name}/compare/main...ops-agent/issue-12"
    assert link in answer.remedy and "Allow GitHub Actions to create and approve pull requests" in answer.remedy
    at_work.release(answer)
    assert here.branches["ops-agent/issue-12"] != here.repository.head()
    (comment,) = [c.body for c in here.issue.comments]
    assert link in comment and '"state":"stopped"' in comment


def test_a_commit_that_github_does_not_see_yet_is_waited_for_and_then_kept_with_a_link(here: Workplace) -> None:
    invalid = {"resource": "PullRequest", "field": "head", "code": "invalid"}
    body = {"message": "Validation Failed", "errors": [invalid]}
    pulls = "POST /repos/{owner}/{repo}/pulls"
    here.github.faults.on(pulls, times=None).answer(422, body=body)
    at_work = Run(here)
    answer = stopped(at_work.publish(), Conclusion.GITHUB_FAILED)
    assert f"{here.repository.full_name}/compare/main...ops-agent/issue-12" in answer.remedy
    asked = here.github.recorder.of(pulls)
    assert here.branches["ops-agent/issue-12"] != here.repository.head() and 3 <= len(asked) <= 6
    at_work.release(answer)

    here.github.faults.clear()
    here.github.faults.on(pulls, times=2).answer(422, body=body)
    assert isinstance(Run(here, event_id=9002).publish(), Published)
    assert len(here.repository.pull_requests) == 1


WORKFLOW = {"_dot_github__workflows__ci_dot_yml": "on: pull_request\n", "infra__queue_dot_tf": "x"}


def test_workflow_files_are_left_out_when_the_token_may_not_write_them(here: Workplace) -> None:
    at_work = Run(here, token=here.github.actions_token(here.repository))
    held = at_work.claim()
    assert isinstance(held, Claim)
    out = at_work.publish(changes(held.base_commit, **WORKFLOW))
    assert isinstance(out, Published) and out.left_out == (".github/workflows/ci.yml",)
    assert [f.path for f in here.repository.pull_requests[0].files] == ["infra/queue.tf"]


def test_a_change_of_workflow_files_only_is_offered_as_a_patch(here: Workplace) -> None:
    at_work = Run(here, token=here.github.actions_token(here.repository))
    held = at_work.claim()
    assert isinstance(held, Claim)
    answer = stopped(
        at_work.publish(changes(held.base_commit, _dot_github__workflows__ci_dot_yml="on: x\n")),
        Conclusion.NEEDS_WORKFLOWS_PERMISSION,
    )
    assert "+on: x" in answer.patch
    at_work.release(answer)
    (comment,) = [c.body for c in here.issue.comments]
    assert "+on: x" in comment and here.branches == {}


def test_a_token_that_turns_out_not_to_write_workflows_gets_a_patch(here: Workplace) -> None:
    """GitHub did not show it beforehand."""
    at_work = Run(
        here,
        token=here.github.fine_grained_token(
            "maria", [here.repository], contents="write", pull_requests="write", issues="write"
        ),
    )
    held = at_work.claim()
    assert isinstance(held, Claim)
    answer = stopped(at_work.publish(changes(held.base_commit, **WORKFLOW)), Conclusion.NEEDS_WORKFLOWS_PERMISSION)
    assert "without `workflow" in answer.reason and "+on: pull_request" in answer.patch and "infra" not in answer.patch


CI = ".github/workflows/ci.yml"


def test_a_workflow_that_the_guard_offers_as_a_patch_is_never_committed(here: Workplace) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    out = at_work.publish(changes(held.base_commit, **WORKFLOW), proposal(patch_only=frozenset({CI})))
    assert isinstance(out, Published) and out.left_out == (CI,)
    assert [f.path for f in here.repository.pull_requests[0].files] == ["infra/queue.tf"]


def test_a_change_of_such_workflows_only_ends_with_the_patch_for_a_person(here: Workplace) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    change = changes(held.base_commit, _dot_github__workflows__ci_dot_yml="on: x\n")
    answer = stopped(at_work.publish(change, proposal(patch_only=frozenset({CI}))), Conclusion.BLOCKED_BY_POLICY)
    assert "+on: x" in answer.patch and "Review the patch" in answer.remedy
    assert not here.repository.pull_requests


@pytest.mark.parametrize(
    ("setting", "ready_text", "draft"),
    [("auto", False, False), ("auto", True, True), ("true", False, True), ("false", True, False)],
)
def test_the_draft_input_overrides_the_proposal(here: Workplace, setting: str, ready_text: bool, draft: bool) -> None:
    out = Run(here, given={"draft": setting}).publish(text=proposal(draft=ready_text))
    assert isinstance(out, Published) and here.repository.pull_requests[0].draft is draft is out.pull_request.draft


def test_what_is_disputed_is_a_draft_whatever_the_input_says(here: Workplace) -> None:
    out = Run(here, given={"draft": "false"}).publish(text=replace(proposal(draft=True), stays_draft=True))
    assert isinstance(out, Published) and here.repository.pull_requests[0].draft


def test_a_dry_run_writes_nothing_at_all(here: Workplace) -> None:
    at_work = Run(here, given={"dry_run": True})
    held = at_work.claim()
    out = at_work.publish()
    at_work.release(NO)
    assert (
        isinstance(held, Claim)
        and isinstance(out, Published)
        and out.dry_run
        and out.pull_request.body == proposal().body
    )
    assert here.github.recorder.writes == []


def test_a_base_that_is_not_the_default_branch_is_mentioned_in_the_comment(here: Workplace) -> None:
    """GitHub ignores the keyword there."""
    here.repository.commit("develop", {"x": "y"}, "develop", by="maria")
    at_work = Run(here)
    at_work.item = replace(at_work.item, base_branch="develop")
    assert isinstance(at_work.publish(), Published)
    (comment,) = here.claim_comments()
    assert "not to the default branch `main`" in comment and here.repository.pull_requests[0].url in comment


def test_a_base_branch_that_is_not_there_is_a_configuration_error(here: Workplace) -> None:
    at_work = Run(here)
    at_work.item = replace(at_work.item, base_branch="master")
    assert "no branch master" in stopped(at_work.claim(), Conclusion.CONFIG_ERROR).reason


def test_a_ruleset_that_forbids_our_branches_leaves_nothing_behind(here: Workplace) -> None:
    here.repository.protect("ops-agent/*", "creation")
    with pytest.raises(GitHubError, match="creations being restricted"):
        Run(here).claim()
    assert here.claim_comments() == [] and here.column() == "Ready"


def test_a_claim_whose_comment_cannot_be_written_deletes_its_branch(here: Workplace) -> None:
    here.github.faults.on("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", times=None).answer(
        403, body={"message": "no"}
    )
    with pytest.raises(GitHubError):
        Run(here).claim()
    assert here.branches == {}


def test_a_dry_run_releases_nothing_that_another_run_holds(here: Workplace) -> None:
    other, dry = Run(here), Run(here, given={"dry_run": True}, run_id=78)
    other.claim()
    dry.claim()
    before = here.seen()
    dry.release(NO)
    assert here.seen() == before and here.column() == "In Progress"
