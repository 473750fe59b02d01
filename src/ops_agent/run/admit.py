"""admit: from an event and an issue to a WorkItem, or to the reason why not. Reads GitHub; `answer` writes it."""

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
    labellers,
    usable_comments,
    was_started,
    who_must_write,
)
from ops_agent.issue.request import missing, parse_request
from ops_agent.issue.visible_text import clean, clean_line
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import ActorKind, Comment, Event, IssueEvent, IssueRef, Labelled, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import Clock, Issues, World
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.issue_comment import stopped_text
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
    live = found_or_none(lambda: issues.issue(ref))
    if live is None:
        return _gone(event, ref)

    now = datetime.fromtimestamp(world.clock.now(), tz=UTC).isoformat(timespec="seconds")
    events = _timeline(issues, world.clock, event, ref)
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
        writers=permissions.writers(ref.repository, labellers(settings.board, live, events).values()),
        now=now,
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
        warnings=admission.warnings,
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


MARK = "<!-- ops-agent:answer -->"
ANSWERED = (Conclusion.NEEDS_INFO, Conclusion.DECLINED, Conclusion.CONTENT_CHANGED)
"""The other conclusions concern the workflow's author, or an issue that nobody watches any more."""


def answer(world: World, ref: IssueRef, stopped: Stopped, run: RunIdentity, *, dry_run: bool) -> None:
    """Write on `ref` why it is not worked on and what to do, unless `stopped` is quiet or not in ANSWERED.

    One comment, edited in place, found by its mark and our account's id. A failure is a warning only.
    """
    if stopped.quiet or stopped.conclusion not in ANSWERED or dry_run or not run.run_id:
        return
    by = f"[run {run.run_id}, attempt {run.attempt}]({run.url})"
    why = stopped_text(stopped, ref.repository)
    text = world.redact(f"{MARK}\n\n### ops-agent did not take this issue\n\n{why}\n\n<sub>{by}</sub>\n")
    issues = world.issues
    try:
        own = issues.viewer().id
        mine = [c for c in issues.comments(ref) if c.author.id == own and c.body.startswith(MARK)]
        if mine:
            issues.update_comment(ref.repository, mine[-1].id, text)
        else:
            issues.create_comment(ref, text)
    except GitHubError as error:
        world.reporter.annotate("warning", world.redact(f"The answer could not be written on {ref}: {error}"))
