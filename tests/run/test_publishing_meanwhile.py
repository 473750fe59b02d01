"""The issue and the base while a run is at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ops_agent.model.outcome import Conclusion
from ops_agent.run.publish import Published
from run.github_world import Workplace
from run.publication_runs import Run, stopped


def _transfer(here: Workplace) -> None:
    here.issue.transfer(here.github.add_repository(f"{here.repository.full_name}-new", {"a": "b"}))


@pytest.mark.parametrize(
    ("what", "says", "conclusion"),
    [
        (lambda here: here.issue.close(by="maria"), "closed", Conclusion.CANCELLED),
        (lambda here: here.issue.delete(), "gone", Conclusion.STALE),
        (_transfer, "gone", Conclusion.STALE),
        (lambda here: here.issue.lock(by="maria"), "locked", Conclusion.STALE),
        (lambda here: here.issue.remove_label("ready", by="maria"), "`ready` was taken off", Conclusion.CANCELLED),
    ],
)  # fmt: skip
def test_an_issue_that_is_no_longer_wanted_is_not_published(
    here: Workplace, what: Callable[[Workplace], None], says: str, conclusion: Conclusion
) -> None:
    at_work = Run(here)
    at_work.claim()
    what(here)
    assert says in stopped(at_work.publish(), conclusion).reason
    assert here.repository.pull_requests == [] and here.branches["ops-agent/issue-12"] == here.repository.head()


def test_text_edited_during_the_run_lets_the_approved_text_finish_and_is_noted(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    here.issue.edit(body="something else", by="maria")
    out = at_work.publish()
    assert isinstance(out, Published) and "edited after its approval" in here.repository.pull_requests[0].body


def test_a_dispatched_run_needs_no_label(here: Workplace) -> None:
    at_work = Run(here)
    at_work.item = replace(at_work.item, approval=replace(at_work.item.approval, by_dispatch=True))
    at_work.item = replace(at_work.item, issue=replace(at_work.item.issue, labels=()))
    at_work.claim()
    here.issue.remove_label("ready", by="maria")
    assert isinstance(at_work.publish(), Published)


def test_a_base_that_moved_in_other_files_is_noted(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    here.repository.commit("main", {"README.md": "new"}, "meanwhile", by="maria")
    assert isinstance(at_work.publish(), Published)
    assert "has moved on" in here.repository.pull_requests[0].body


def test_a_base_that_changed_the_same_file_stops_the_run(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    here.repository.commit("main", {"infra/variables.tf": "new"}, "meanwhile", by="maria")
    assert "infra/variables.tf" in stopped(at_work.publish(), Conclusion.STALE).reason
    assert here.repository.pull_requests == []
