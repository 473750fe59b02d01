"""Selection: from an event to the items that may run now, in order. Reads GitHub, writes nothing.

Requests for a parent with n sub-issues: one for the parent, one per page of 100 sub-issues, one for 50 cards of those
that are open and ours, and one for each that is ready and blocked. Two more (timeline, permission) where a label has to
stand for the board.
"""

from __future__ import annotations

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import (
    before_asking,
    board_complaint,
    is_ready,
    labellers,
    readiness,
    stands_for_ready,
    target_name,
    was_started,
)
from ops_agent.issue.selection import Candidate, Selection, choose, eligible, is_parent, refuse_blocked
from ops_agent.model.errors import NotFound
from ops_agent.model.event import Dispatched, Event, Issue, IssueRef, Labelled, RunIdentity
from ops_agent.model.outcome import Stopped
from ops_agent.model.ports import BoardCard, World
from ops_agent.run.admit import People


def select(world: World, settings: Settings, event: Event, run: RunIdentity) -> Selection:
    """What to run for `event`. Admission is asked again for each item when it runs: a selection is a proposal, not a
    permission.

    Raises GitHubError when GitHub cannot be asked.
    """
    named = event.issues if isinstance(event, Dispatched) else (event.issue.ref,)
    for ref in named:
        refused = before_asking(settings, event, ref, run)
        if refused is not None:
            return Selection(items=(), refused=refused)
    people = People(world.issues, settings)
    refused = people.refuse(event, run, (run.repository, *(ref.repository for ref in named)))
    if refused is not None:
        return Selection(items=(), refused=refused)
    candidates = _candidates(world, settings, event, named)
    stopped: dict[IssueRef, Stopped] = {}
    warnings: list[str] = []
    ready: list[Issue] = []
    cards = world.board.cards_of(
        tuple(c.issue for c in candidates if c.issue is not None and eligible(settings, c) is None)
    )
    for candidate in candidates:
        why = eligible(settings, candidate)
        if why is None and candidate.issue is not None:
            answer = _readiness(world, settings, people, event, run, candidate, candidate.issue, cards[candidate.ref])
            if isinstance(answer, Stopped):
                why = answer
            else:
                warnings += answer
                ready.append(candidate.issue)
        if why is not None:
            stopped[candidate.ref] = why
    blockers = {issue.ref: _blockers(world, issue, warnings) for issue in ready}
    return choose(candidates, {**stopped, **refuse_blocked(ready, blockers)}, warnings)


def _candidates(world: World, settings: Settings, event: Event, named: tuple[IssueRef, ...]) -> list[Candidate]:
    found: dict[IssueRef, Candidate] = {}
    for ref in named:
        issue = _issue(world, ref)
        children = (
            world.issues.sub_issues(ref)
            if issue and isinstance(event, Dispatched) and is_parent(settings, issue)
            else ()
        )
        for child in children:
            found.setdefault(child.ref, Candidate(ref=child.ref, issue=child, parent=ref))
        if not children:
            # Naming an item by hand is more than being a child of a parent that was named before it.
            found[ref] = Candidate(ref=ref, issue=issue)
    return list(found.values())


def _issue(world: World, ref: IssueRef) -> Issue | None:
    try:
        return world.issues.issue(ref)
    except NotFound:
        return None


def _readiness(
    world: World,
    settings: Settings,
    people: People,
    event: Event,
    run: RunIdentity,
    candidate: Candidate,
    issue: Issue,
    card: BoardCard | str,
) -> tuple[str, ...] | Stopped:
    claimed = ready_label = False
    if isinstance(card, BoardCard) and not is_ready(settings, card) and was_started(settings, card):
        branch = f"{settings.branch_prefix}{issue.ref.number}"
        claimed = world.branches.head(target_name(settings, run), branch) is not None
    elif board_complaint(settings, card) is not None:
        ready_label = isinstance(event, Labelled) and stands_for_ready(settings, event.label)
        if not ready_label and any(stands_for_ready(settings, label) for label in issue.labels):
            events = world.issues.timeline(issue.ref)
            writers = people.writers_of_labels(issue, events)
            put = labellers(settings, issue, events)
            ready_label = any(stands_for_ready(settings, label) and actor.id in writers for label, actor in put.items())
    by_hand = isinstance(event, Dispatched) and candidate.parent is None
    return readiness(settings, issue, card, dispatched=by_hand, ready_label=ready_label, claimed_before=claimed)


def _blockers(world: World, issue: Issue, warnings: list[str]) -> tuple[Issue, ...]:
    try:
        return () if issue.open_blockers == 0 else world.issues.blockers(issue.ref)
    except NotFound:  # a GitHub Enterprise Server without issue dependencies
        warnings.append("This GitHub does not tell which issues block others; their order was not checked.")
        return ()
