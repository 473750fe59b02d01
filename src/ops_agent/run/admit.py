"""admit: from an event and an issue to a WorkItem, or to the reason why not. Reads GitHub, writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import (
    Admission,
    Facts,
    approving_event,
    before_asking,
    decide,
    is_ours,
    labellers,
    refuse_identity,
    usable_comments,
    was_started,
    who_must_write,
)
from ops_agent.issue.near_misses import is_nearly, labelled_parent, may_be_parent
from ops_agent.issue.request import missing, parse_request
from ops_agent.issue.visible_text import clean, clean_line
from ops_agent.issue.waiting import kept_approval
from ops_agent.model.errors import NotFound
from ops_agent.model.event import (
    ActorKind,
    Closed,
    Comment,
    Event,
    Issue,
    IssueEvent,
    IssueRef,
    Labelled,
    RunIdentity,
)
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import Clock, Issues, World
from ops_agent.model.work_item import Approval, WorkItem
from ops_agent.run.permissions import PermissionReader

T = TypeVar("T")

TIMELINE_WAITS = (1.0, 2.0, 4.0)
"""GitHub's timeline is written after the webhook is sent; a run on a fast runner can be there first."""


def admit(world: World, settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> WorkItem | Stopped:
    """The work item for `ref`, with the snapshot that was approved, cleaned and parsed; or why it may not be worked on.

    Raises GitHubError when GitHub cannot be asked; nothing was written then.
    """
    refused = before_asking(settings, event, ref, run)
    if refused is not None:
        return refused
    issues, permissions = world.issues, PermissionReader(world.issues, settings.labels.allowed_bots)
    target = found_or_none(lambda: issues.repository(settings.target_repository or run.repository))
    repositories = (run.repository, ref.repository, *((target.full_name,) if target else ()))
    refused = permissions.refuse(who_must_write(settings.labels, event, run), repositories)
    if refused is not None:
        return refused
    if isinstance(event, Labelled):
        refused = refuse_identity(settings.labels, event.issue)
        if refused is not None:
            return _for_a_parent(issues, settings, event.issue) or refused
    live = found_or_none(lambda: issues.issue(ref))
    if live is None:
        return _gone(event, ref)

    now = datetime.fromtimestamp(world.clock.now(), tz=UTC).isoformat(timespec="seconds")
    events = _timeline(issues, world.clock, event, ref)
    waiting = kept_approval(issues.comments(ref), issues.viewer().id) if isinstance(event, Closed) else None
    blockers = found_or_none(lambda: issues.blockers(ref))
    card = world.board.card(live)
    started = was_started(settings.board, card)
    base_branch = settings.base_branch or (target.default_branch if target else "")

    def exists(branch: str) -> bool:
        return target is not None and world.branches.head(target.full_name, branch) is not None

    facts = Facts(
        live=live,
        events=events,
        card=card,
        blockers=blockers or (),
        target=target,
        base_branch=base_branch,
        base_exists=exists(base_branch),
        claimed_before=started and exists(f"{settings.branch_prefix}{ref.number}"),
        writers=permissions.writers(ref.repository, labellers(settings.board, live, events).values())
        | _approvers(permissions, repositories, waiting),
        now=now,
        waiting=waiting,
    )
    admission = decide(settings, event, ref, run, facts)
    if isinstance(admission, Stopped):
        return admission
    comments = _writers_comments(issues, permissions, admission) if settings.include_comments else ()
    item = _work_item(admission, base_branch, comments)
    if isinstance(item, Stopped):
        return item
    warnings = (*item.warnings, *(() if blockers is not None else (UNKNOWN_ORDER,)))
    return replace(item, parent=found_or_none(lambda: issues.parent(ref)), warnings=warnings)


def _for_a_parent(issues: Issues, settings: Settings, issue: Issue) -> Stopped | None:
    """Advice for the person who labelled a parent of work items."""
    if not may_be_parent(issue) or is_nearly(issue.title, settings.labels.title_prefix):
        return None
    children = found_or_none(lambda: issues.sub_issues(issue.ref)) or ()
    ours = [child for child in children if child.is_open and is_ours(settings.labels, child)]
    return labelled_parent(issue, ours) if ours else None


def _approvers(
    permissions: PermissionReader, repositories: tuple[str, ...], waiting: Approval | None
) -> frozenset[int]:
    """Who gave the approval that waits, while they still may write wherever the run writes."""
    if waiting is None or not all(permissions.may_write(name, waiting.by) for name in dict.fromkeys(repositories)):
        return frozenset()
    return frozenset({waiting.by.id})


NOT_LISTED = (
    "What stands beside the acceptance criteria without being an item of a list or a row of a table is no criterion."
)
UNKNOWN_ORDER = "This GitHub does not show which issues block others; their order was not checked."
"""For a GitHub Enterprise Server without issue dependencies."""


def found_or_none(read: Callable[[], T]) -> T | None:
    """What `read` returns; None when it is not there or the token cannot see it."""
    try:
        return read()
    except NotFound:
        return None


def _timeline(issues: Issues, clock: Clock, event: Event, ref: IssueRef) -> tuple[IssueEvent, ...]:
    events = issues.timeline(ref)
    for seconds in TIMELINE_WAITS:
        if not isinstance(event, Labelled) or approving_event(event, events) is not None:
            break
        clock.sleep(seconds)
        events = issues.timeline(ref)
    return events


def _writers_comments(issues: Issues, permissions: PermissionReader, admission: Admission) -> tuple[Comment, ...]:
    """The comments of people who may write, as they were before the approval."""
    ref = admission.snapshot.ref
    comments = issues.comments(ref)
    writers = permissions.writers(ref.repository, (c.author for c in comments if c.author.kind is ActorKind.USER))
    return usable_comments(comments, writers, admission.approval.at)


def _work_item(admission: Admission, base_branch: str, comments: tuple[Comment, ...]) -> WorkItem | Stopped:
    snapshot = admission.snapshot
    title, body = clean_line(snapshot.title), clean(snapshot.body)
    said = [clean(comment.body) for comment in comments]
    request = parse_request(body.text)
    questions = missing(request, body.removed)
    if questions:
        return Stopped(
            Conclusion.NEEDS_INFO,
            f"{snapshot.ref} does not say what should be done.",
            "Answer the questions in the issue's text and re-apply the label.",
            questions=questions,
        )
    removed: Counter[str] = Counter()
    for cleaned in (title, body, *said):
        removed.update(cleaned.removed)
    return WorkItem(
        issue=snapshot,
        title=title.text,
        request=request,
        removed=dict(removed),
        approval=admission.approval,
        target=admission.target,
        base_branch=base_branch,
        labels_by_writers=admission.labels_by_writers,
        comments=tuple(
            f"{comment.author.login}, {comment.created_at}:\n{cleaned.text}"
            for comment, cleaned in zip(comments, said, strict=True)
        ),
        warnings=(*admission.warnings, *((NOT_LISTED,) if request.beside_criteria else ())),
    )


def _gone(event: Event, ref: IssueRef) -> Stopped:
    if isinstance(event, Labelled):
        return Stopped(
            Conclusion.STALE,
            f"{ref} was deleted or transferred after the label was added.",
            "Add the label to the issue where it is now.",
        )
    return Stopped(
        Conclusion.NEEDS_INFO,
        f"{ref} does not exist, was transferred, or the token cannot see it.",
        "Dispatch the workflow with the number of an existing issue.",
        questions=(f"Which issue should be worked on? There is no {ref}.",),
    )
