"""select: from an event to the items that may run now, in order. Reads GitHub, writes nothing.

Requests for a parent with n sub-issues: one for the parent, one per page of 100 sub-issues, one for 50 cards of those
that are open and ours, and one for each that is ready and blocked. Two more (timeline, permission) where a label
replaces the board.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import (
    before_asking,
    board_complaint,
    labellers,
    means_ready,
    readiness,
    was_started,
    who_must_write,
)
from ops_agent.issue.selection import Candidate, Selection, choose, is_parent, refuse_blocked, refuse_candidate
from ops_agent.model.event import Dispatched, Event, Issue, IssueRef, Labelled, RunIdentity
from ops_agent.model.outcome import Stopped
from ops_agent.model.ports import BoardCard, World
from ops_agent.run.admit import UNKNOWN_ORDER, found_or_none
from ops_agent.run.permissions import PermissionReader


def select(world: World, settings: Settings, event: Event, run: RunIdentity) -> Selection:
    """What to run for `event`. Each item is admitted again when it runs: a selection is no permission.

    Raises GitHubError when GitHub cannot be asked.
    """
    named = event.issues if isinstance(event, Dispatched) else (event.issue.ref,)
    for ref in named:
        refused = before_asking(settings, event, ref, run)
        if refused is not None:
            return Selection(items=(), refused=refused)
    permissions = PermissionReader(world.issues, settings.labels.allowed_bots)
    repositories = (run.repository, *(ref.repository for ref in named))
    refused = permissions.refuse(who_must_write(settings.labels, event, run), repositories)
    if refused is not None:
        return Selection(items=(), refused=refused)
    return _Selecting(world, settings, event, run, permissions).among(named)


@dataclass(frozen=True, slots=True)
class _Selecting:
    """One selection, after the people were found to have the right to it."""

    world: World
    settings: Settings
    event: Event
    run: RunIdentity
    permissions: PermissionReader

    def among(self, named: Iterable[IssueRef]) -> Selection:
        candidates = self._candidates(named)
        stopped = {c.ref: why for c in candidates if (why := refuse_candidate(self.settings.labels, c)) is not None}
        open_and_ours = [(c, c.issue) for c in candidates if c.ref not in stopped and c.issue is not None]
        cards = self.world.board.cards_of(tuple(issue for _, issue in open_and_ours))
        warnings: list[str] = []
        ready: list[Issue] = []
        for candidate, issue in open_and_ours:
            answer = self._readiness(candidate, issue, cards[candidate.ref])
            if isinstance(answer, Stopped):
                stopped[candidate.ref] = answer
            else:
                warnings += answer
                ready.append(issue)
        blockers = {issue.ref: self._blockers(issue) for issue in ready}
        if None in blockers.values():
            warnings.append(UNKNOWN_ORDER)
        known = {ref: found or () for ref, found in blockers.items()}
        return choose(candidates, {**stopped, **refuse_blocked(ready, known)}, warnings)

    def _candidates(self, named: Iterable[IssueRef]) -> list[Candidate]:
        issues = self.world.issues
        found: dict[IssueRef, Candidate] = {}
        for ref in named:
            issue = found_or_none(lambda ref=ref: issues.issue(ref))  # type: ignore[misc]
            children: tuple[Issue, ...] = ()
            if issue is not None and isinstance(self.event, Dispatched) and is_parent(self.settings.labels, issue):
                children = issues.sub_issues(ref)
            for child in children:
                found.setdefault(child.ref, Candidate(ref=child.ref, issue=child, parent=ref))
            if not children:
                # Naming an item by hand is more than being a child of a parent that was named before it.
                found[ref] = Candidate(ref=ref, issue=issue)
        return list(found.values())

    def _readiness(self, candidate: Candidate, issue: Issue, card: BoardCard | str) -> tuple[str, ...] | Stopped:
        settings, claimed, by_label = self.settings, False, False
        if was_started(settings.board, card):
            branch = f"{settings.branch_prefix}{issue.ref.number}"
            claimed = self.world.branches.head(settings.target_repository or self.run.repository, branch) is not None
        elif board_complaint(settings.board, card) is not None:
            by_label = self._writer_put_ready(issue)
        by_hand = isinstance(self.event, Dispatched) and candidate.parent is None
        return readiness(settings.board, issue, card, dispatched=by_hand, ready_label=by_label, claimed_before=claimed)

    def _writer_put_ready(self, issue: Issue) -> bool:
        """Whether a writer added the label that replaces the board."""
        settings = self.settings
        if isinstance(self.event, Labelled) and means_ready(settings.board, self.event.label):
            return True
        if not any(means_ready(settings.board, label) for label in issue.labels):
            return False
        applied = labellers(settings.board, issue, self.world.issues.timeline(issue.ref))
        writers = self.permissions.writers(issue.ref.repository, applied.values())
        return any(means_ready(settings.board, label) and actor.id in writers for label, actor in applied.items())

    def _blockers(self, issue: Issue) -> tuple[Issue, ...] | None:
        """None when GitHub does not know of blockers."""
        return () if issue.open_blockers == 0 else found_or_none(lambda: self.world.issues.blockers(issue.ref))
