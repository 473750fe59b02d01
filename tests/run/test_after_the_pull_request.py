"""The last steps, once the pull request exists: labels, other pull requests, the board."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops_agent.model.work_item import Claim
from ops_agent.run.claim import claim
from ops_agent.run.progress import Progress
from ops_agent.run.publish import Published, publish
from run.github_world import Workplace, changes, proposal, settings
from run.publication_runs import Run, published


@pytest.mark.parametrize(
    "operation",
    ["POST /repos/{owner}/{repo}/issues/{issue_number}/labels", "GET /repos/{owner}/{repo}/pulls/{pull_number}/files"],
)
def test_what_fails_after_the_pull_request_is_a_warning(here: Workplace, operation: str) -> None:
    other = here.add_issue(20)
    world, item, run = here.world(), here.item(other), here.run(run_id=90)
    held = claim(world, settings(), item, run)
    assert isinstance(held, Claim)
    given = changes(held.base_commit, x="y")
    publish(world, settings(), Progress(world, item, held, run), given, proposal(20, labels=()))
    here.github.faults.on(operation, times=None).answer(500)
    at_work = Run(here)
    out = at_work.publish()
    assert isinstance(out, Published) and at_work.said
    assert '"state":"published"' in here.claim_comments()[0]


def test_a_text_that_github_does_not_keep_is_a_warning_and_goes_to_the_summary(here: Workplace) -> None:
    published(here)
    here.issue.edit(body="other", by="maria")
    at_work = Run(here, event_id=9002, run_id=78)
    at_work.claim()
    # Answers 200 and keeps the old text.
    here.repository.pull_requests[0].edit = lambda **_: None  # type: ignore[method-assign]
    out = at_work.publish(text=proposal(body="new text\n\nCloses #12"))
    assert isinstance(out, Published) and "another text" in out.warnings[0]
    assert "new text" in at_work.world.reporter.summaries[0]  # type: ignore[attr-defined]


def test_text_that_does_not_fit_goes_to_the_job_summary(here: Workplace) -> None:
    at_work = Run(here)
    at_work.publish(text=proposal(overflow="the rest of the plan"))
    assert at_work.world.reporter.summaries == ["the rest of the plan"]  # type: ignore[attr-defined]


def test_both_pull_requests_mention_files_in_common_once(here: Workplace) -> None:
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


def test_the_card_goes_to_review_where_one_is_configured(here: Workplace) -> None:
    published(here, given={"status_review": "in review"})
    assert here.column() == "In Review"


def test_notes_and_overflow_are_redacted(here: Workplace) -> None:
    """File names and titles of other pull requests are untrusted text."""
    path = "infra__s3cr3t_dot_tf"
    other = Run(here, run_id=90)
    other.item = here.item(here.add_issue(20))
    held = other.claim()
    assert isinstance(held, Claim)
    assert isinstance(other.publish(changes(held.base_commit, **{path: "x"}), proposal(20)), Published)
    at_work = Run(here)
    at_work.world = replace(at_work.world, redact=lambda text: text.replace("s3cr3t", "***"))
    mine = at_work.claim()
    assert isinstance(mine, Claim)
    out = at_work.publish(changes(mine.base_commit, **{path: "y"}), proposal(overflow="the plan's s3cr3t"))
    assert isinstance(out, Published) and "changes files in common: `infra/***.tf`" in out.pull_request.body
    assert at_work.world.reporter.summaries == ["the plan's ***"]  # type: ignore[attr-defined]


def test_the_configured_labels_and_those_of_the_proposal_are_applied_once(here: Workplace) -> None:
    published(here, given={"pr_labels": ("infra", "ops-agent")})
    assert sorted(here.repository.pull_requests[0].label_names) == ["infra", "ops-agent"]


def test_a_title_changed_by_another_run_is_set_again(here: Workplace) -> None:
    """The answer is lost, and a person who may write edits in between."""
    here.github.faults.on("POST /repos/{owner}/{repo}/pulls").run(
        lambda: here.repository.pull_requests[0].edit(title="theirs", by="maria"), after=True
    )
    out = Run(here).publish()
    assert (
        isinstance(out, Published)
        and out.warnings == ()
        and here.repository.pull_requests[0].title == "Queue for orders"
    )


def test_a_draft_state_that_cannot_be_set_is_a_warning(here: Workplace) -> None:
    Run(here).publish(text=proposal(draft=True))
    here.issue.edit(body="other", by="maria")
    here.github.faults.on("markPullRequestReadyForReview", times=None).answer(500)
    out = Run(here, event_id=9002, run_id=78).publish()
    assert isinstance(out, Published) and "could not be set to ready" in out.warnings[0]


def test_line_ends_that_github_changes_make_no_second_edit_and_no_warning(here: Workplace) -> None:
    at_work = Run(here)
    here.github.recorder.restart()
    out = at_work.publish(text=proposal(body="One line.\r\nTwo lines.\r\n\r\nCloses #12\r\n"))
    assert isinstance(out, Published) and out.warnings == ()
    assert here.github.recorder.of("PATCH /repos/{owner}/{repo}/pulls") == []
