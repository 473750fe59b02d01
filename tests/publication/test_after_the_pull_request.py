"""The last steps, once the pull request exists: labels, other pull requests, the board."""

from __future__ import annotations

import pytest

from ops_agent.domain.proposal import Claim
from ops_agent.stages.claim import claim
from ops_agent.stages.publish import Published, publish
from publication.github_world import Stage, changes, proposal, settings
from publication.publication_runs import Run, published


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


def test_the_card_goes_to_review_where_one_is_configured(here: Stage) -> None:
    published(here, given={"status_review": "in review"})
    assert here.column() == "In Review"
