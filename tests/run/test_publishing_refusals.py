"""What is never written, whatever the input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import PolicyViolation
from ops_agent.model.outcome import Conclusion
from ops_agent.model.work_item import Claim
from run.github_world import Workplace, proposal
from run.publication_runs import Run, published, stopped


def test_a_commit_that_is_not_what_was_asked_for_is_refused(here: Workplace) -> None:
    """The tree that GitHub made is read back."""
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
def test_a_text_without_exactly_one_closing_keyword_is_never_sent(here: Workplace, body: str) -> None:
    at_work = Run(here)
    at_work.claim()
    before = len(here.github.recorder.writes)
    with pytest.raises(PolicyViolation, match="cannot be published"):
        at_work.publish(text=proposal(body=body))
    assert len(here.github.recorder.writes) == before


def test_a_claim_of_another_branch_is_never_written(here: Workplace) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    for branch in ("main", "ops-agent/issue-12/../../main", "other"):
        at_work.held = replace(held, branch=branch)
        with pytest.raises(PolicyViolation):
            at_work.publish()


def test_a_change_through_a_symlink_is_refused(here: Workplace) -> None:
    here.repository.commit("main", {"link": "/etc"}, "a link", by="maria", modes={"link": "120000"})
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    change = FileChange(path="link/passwd", before=None, after=b"x")
    with pytest.raises(PolicyViolation, match="inside of link"):
        at_work.publish(ChangeSet(base_commit=held.base_commit, changes=(change,)))


@pytest.mark.parametrize(("prefix", "base"), [("", "main"), ("main", "main12")])
def test_a_prefix_that_could_name_another_branch_claims_nothing(here: Workplace, prefix: str, base: str) -> None:
    at_work = Run(here, given={"branch_prefix": prefix})
    at_work.item = replace(at_work.item, base_branch=base)
    stopped(at_work.claim(), Conclusion.CONFIG_ERROR)
    assert here.github.recorder.writes == []


def test_a_claim_marker_by_another_account_claims_nothing(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    forged = here.claim_comments()[0]
    here.issue.comments[0].delete()
    here.repository.delete_branch("ops-agent/issue-12")
    here.issue.comment(forged, by="joao")
    assert isinstance(Run(here, event_id=9002, run_id=78).claim(), Claim)


def test_no_run_ever_forces_merges_approves_or_touches_another_branch(here: Workplace) -> None:
    """Checked over all requests of the runs in this module."""
    published(here)
    calls = here.github.recorder.writes
    allowed = (
        "POST /repos/{owner}/{repo}/git/refs",
        "DELETE /repos/{owner}/{repo}/git/refs",
        "/comments",
        "/labels",
        "/pulls",
        "mutation",
    )
    assert calls and all(any(a in c.operation for a in allowed) for c in calls)
    assert not any("force" in str(c.body) or "merge" in c.operation or "approve" in str(c.body).lower() for c in calls)
    assert all(name == "main" or name.startswith("ops-agent/issue-") for name in here.repository.branches)


@pytest.mark.parametrize("where", ["title", "commit_headline", "commit_body"])
def test_a_closing_keyword_anywhere_else_is_never_sent(here: Workplace, where: str) -> None:
    """A commit message closes issues as well."""
    at_work = Run(here)
    at_work.claim()
    with pytest.raises(PolicyViolation, match="would close"):
        at_work.publish(text=proposal(**{where: "Fixes #3"}))
    assert here.repository.pull_requests == [] and here.branches == {"ops-agent/issue-12": here.repository.head()}
