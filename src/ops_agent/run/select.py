"""select: from an event to the items that may run now, in order. Reads GitHub, writes nothing.

A label or a closed blocker is about single issues, which are admitted here as they are when they run. A dispatch may
name a parent. Requests for one with n sub-issues: one for the parent, one per page of 100 sub-issues, one for 50 cards
of those that are open and ours, and one for each that is ready and blocked. Two more (timeline, permission) where a
label replaces the board.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

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
from ops_agent.issue.selection import (
    Candidate,
    Declined,
    Selection,
    choose,
    is_parent,
    refuse_blocked,
    refuse_candidate,
)
from ops_agent.model.event import Actor, ActorKind, Closed, Dispatched, Event, Issue, IssueRef, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BoardCard, World
from ops_agent.model.work_item import Approval, content_hash
from ops_agent.run.admit import UNKNOWN_ORDER, admit, found_or_none
from ops_agent.run.permissions import PermissionReader

MAX_FREED = 50
"""GitHub's limit for the issues that one issue blocks."""


def select(world: World, settings: Settings, event: Event, run: RunIdentity) -> Selection:
    """What to run for `event`. Each item is admitted again when it runs: a selection is no permission.

    Raises GitHubError when GitHub cannot be asked.
    """
    if not isinstance(event, Dispatched):
        return _admitted(world, settings, event, run)
    for ref in event.issues:
        refused = before_asking(settings, event, ref, run)
        if refused is not None:
            return Selection(items=(), refused=refused)
    permissions = PermissionReader(world.issues, settings.labels.allowed_bots)
    repositories = (run.repository, *(ref.repository for ref in event.issues))
    refused = permissions.refuse(who_must_write(settings.labels, event, run), repositories)
    if refused is not None:
        return Selection(items=(), refused=refused)
    return _Selecting(world, settings, event.sender, run, permissions).among(event.issues)


def standing(world: World, settings: Settings, parent: IssueRef, run: RunIdentity) -> Selection:
    """What a dispatch of `parent` would select now, for people to read. It starts nothing."""
    nobody = Actor(login=run.actor, id=0, kind=ActorKind.USER)
    permissions = PermissionReader(world.issues, settings.labels.allowed_bots)
    return _Selecting(world, settings, nobody, run, permissions).among((parent,))


def _admitted(world: World, settings: Settings, event: Event, run: RunIdentity) -> Selection:
    """The labelled issue, or those of its own repository that waited for the closed one, open and approved."""
    assert not isinstance(event, Dispatched)  # noqa: S101 - the caller's
    issues = (event.issue,) if not isinstance(event, Closed) else _freed(world, event)
    items: list[Issue] = []
    declined: list[Declined] = []
    warnings: list[str] = []
    for issue in issues:
        admitted = admit(world, settings, event, issue.ref, run)
        if not isinstance(admitted, Stopped):
            items.append(admitted.issue)
            warnings += admitted.warnings
        elif admitted.conclusion in (Conclusion.NOT_AUTHORISED, Conclusion.CONFIG_ERROR):
            return Selection(items=(), refused=admitted)
        else:
            declined.append(Declined(ref=issue.ref, issue=issue, why=admitted))
    nothing = f"Nothing waited for {event.issue.ref}." if isinstance(event, Closed) else ""
    unique = tuple(dict.fromkeys(warnings))
    return Selection(
        items=tuple(items),
        declined=tuple(declined),
        warnings=unique,
        order=tuple(issue.ref for issue in issues),
        nothing=nothing,
    )


def _freed(world: World, event: Closed) -> tuple[Issue, ...]:
    """Open issues of the closed one's repository that it blocked, of those that the run is for."""
    here = event.issue.ref.repository
    found = [one for one in world.issues.blocked(event.issue.ref) if one.is_open and one.ref.repository == here]
    return tuple(one for one in found if not event.only or one.ref in event.only)[:MAX_FREED]


@dataclass(frozen=True, slots=True)
class _Selecting:
    """One selection of a dispatch, after the people were found to have the right to it."""

    world: World
    settings: Settings
    sender: Actor
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
        blocked = refuse_blocked(ready, known, self._approval)
        parents = {c.parent for c in candidates if c.parent is not None}
        return replace(choose(candidates, {**stopped, **blocked}, warnings), parents=tuple(sorted(parents)))

    def _approval(self, issue: Issue) -> Approval:
        """Of the text as it is now."""
        now = datetime.fromtimestamp(self.world.clock.now(), tz=UTC).isoformat(timespec="seconds")
        words = content_hash(issue.title, issue.body)
        return Approval(by=self.sender, event_id=self.run.run_id, at=now, content_hash=words, by_dispatch=True)

    def _candidates(self, named: Iterable[IssueRef]) -> list[Candidate]:
        issues = self.world.issues
        found: dict[IssueRef, Candidate] = {}
        for ref in named:
            issue = found_or_none(lambda ref=ref: issues.issue(ref))  # type: ignore[misc]
            children: tuple[Issue, ...] = ()
            if issue is not None and is_parent(self.settings.labels, issue):
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
        by_hand = candidate.parent is None
        return readiness(settings.board, issue, card, dispatched=by_hand, ready_label=by_label, claimed_before=claimed)

    def _writer_put_ready(self, issue: Issue) -> bool:
        """Whether a writer added the label that replaces the board."""
        settings = self.settings
        if not any(means_ready(settings.board, label) for label in issue.labels):
            return False
        applied = labellers(settings.board, issue, self.world.issues.timeline(issue.ref))
        writers = self.permissions.writers(issue.ref.repository, applied.values())
        return any(means_ready(settings.board, label) and actor.id in writers for label, actor in applied.items())

    def _blockers(self, issue: Issue) -> tuple[Issue, ...] | None:
        """None when GitHub does not know of blockers."""
        return () if issue.open_blockers == 0 else found_or_none(lambda: self.world.issues.blockers(issue.ref))
