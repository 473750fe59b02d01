"""Whether an approval still stands, and covers the words that the issue holds now (A07, A08, A13 of the security bar)."""

from __future__ import annotations

from datetime import datetime

from ops_agent.core.intake.admission_identity import same
from ops_agent.core.intake.admission_readiness import stands_for_ready
from ops_agent.domain.event import Actor, ActorKind, Comment, Dispatched, Event, Issue, IssueEvent, IssueRef, Labelled, RunIdentity
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.work_item import Approval, content_hash
from ops_agent.settings import Settings

ALLOW_DESTROY = "allow-destroy"
_LABEL_AGAIN = "Read the issue as it stands now and put the label again."


def approving_event(event: Labelled, events: tuple[IssueEvent, ...]) -> IssueEvent | None:
    """The newest timeline entry in which the sender put this label; None when the timeline does not show it (yet)."""
    for entry in reversed(events):
        if entry.kind == "labeled" and entry.label == event.label and entry.actor is not None and entry.actor.id == event.sender.id:
            return entry
    return None


def labellers(settings: Settings, issue: Issue, events: tuple[IssueEvent, ...]) -> dict[str, Actor]:
    """Who put those labels of `issue` that only count when a writer put them: `allow-destroy`, and the label that stands for Ready."""
    found: dict[str, Actor] = {}
    for label in issue.labels:
        if same(label, ALLOW_DESTROY) or stands_for_ready(settings, label):
            put = [entry for entry in events if entry.kind == "labeled" and entry.label is not None and same(entry.label, label)]
            if put and put[-1].actor is not None:
                found[label.casefold()] = put[-1].actor
    return found


def approve(event: Event, ref: IssueRef, run: RunIdentity, live: Issue, events: tuple[IssueEvent, ...], now: str) -> Approval | Stopped:
    """The approval, or why it is void. A dispatch approves `live` as it is `now` (ISO 8601 UTC), a label only the words of its payload."""
    if not live.is_open:
        closed = isinstance(event, Labelled) and event.issue.is_open
        conclusion = Conclusion.STALE if closed or run.attempt > 1 else Conclusion.DECLINED
        return _stop(conclusion, f"{ref} is closed.", "Reopen it and put the label again when the work is still wanted.")
    if isinstance(event, Dispatched):
        words = content_hash(live.title, live.body)
        return Approval(by=event.sender, event_id=run.run_id, at=now, content_hash=words, by_dispatch=True)
    if not any(same(event.label, label) for label in live.labels):
        return _stop(Conclusion.STALE, f"The label `{event.label}` was taken off {ref}.")
    put = approving_event(event, events)
    if put is None:
        return _stop(Conclusion.STALE, f"The timeline of {ref} does not show that `{event.sender.login}` put the label.")
    later = events[events.index(put) + 1 :]
    if any(entry.kind == "unlabeled" and entry.label == event.label for entry in later):
        return _stop(
            Conclusion.STALE,
            f"The label `{event.label}` was taken off {ref} and put again by someone else, who has a run of their own.",
        )
    if any(entry.kind == "renamed" for entry in later):
        return _stop(Conclusion.CONTENT_CHANGED, f"{ref} was renamed after the label was put.")
    approved = content_hash(event.issue.title, event.issue.body)
    if approved != content_hash(live.title, live.body):
        part = "title" if event.issue.title != live.title else "body"
        return _stop(Conclusion.CONTENT_CHANGED, f"The {part} of {ref} is no longer what it was when the label was put.")
    return Approval(by=event.sender, event_id=put.id, at=put.at, content_hash=approved)


def usable_comments(comments: tuple[Comment, ...], writers: frozenset[int], before: str) -> tuple[Comment, ...]:
    """Comments of people who may write, made and last edited strictly before `before` (ISO 8601 UTC; A14, A15)."""
    limit = datetime.fromisoformat(before)
    return tuple(
        comment
        for comment in comments
        if comment.author.kind is ActorKind.USER
        and comment.author.id in writers
        and datetime.fromisoformat(comment.created_at) < limit
        and datetime.fromisoformat(comment.updated_at) < limit
    )


def _stop(conclusion: Conclusion, reason: str, remedy: str = _LABEL_AGAIN) -> Stopped:
    return Stopped(conclusion=conclusion, reason=reason, remedy=remedy)
