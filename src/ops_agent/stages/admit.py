"""Admission: from an event and an issue to a WorkItem, or to the reason why not. It reads GitHub and writes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from ops_agent.core.intake.admission import Admission, Facts, before_asking, decide, target_name
from ops_agent.core.intake.admission_approval import approving_event, usable_comments
from ops_agent.core.intake.admission_readiness import is_ready, was_started
from ops_agent.core.intake.cleaning import clean, clean_line
from ops_agent.core.intake.work_items import missing, parse_request
from ops_agent.domain.event import ActorKind, Event, Issue, IssueEvent, IssueRef, Labelled, Repository, RunIdentity
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.work_item import WorkItem
from ops_agent.errors import NotFound
from ops_agent.ports import BoardCard, World
from ops_agent.settings import Settings
from ops_agent.stages.people import People, repository_or_none

# GitHub's timeline is written after the webhook is sent; a run on a fast runner can be there first.
TIMELINE_WAITS = (1.0, 2.0, 4.0)


def admit(world: World, settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> WorkItem | Stopped:
    """The work item for `ref`, with the snapshot that was approved, cleaned and parsed; or why it may not be worked on.

    Raises GitHubError when GitHub cannot be asked; nothing was written then.
    """
    refused = before_asking(settings, event, ref, run)
    if refused is not None:
        return refused
    people = People(world.code_host, settings)
    target = repository_or_none(world.code_host, target_name(settings, run))
    refused = people.refuse(event, run, (run.repository, ref.repository, *((target.full_name,) if target else ())))
    if refused is not None:
        return refused
    try:
        live = world.code_host.issue(ref)
    except NotFound:
        return _gone(event, ref)
    now = datetime.fromtimestamp(world.clock.now(), tz=UTC).isoformat(timespec="seconds")
    events = _timeline(world, event, ref)
    facts, warnings = _gather(world, settings, people, live, events, target, now)
    admission = decide(settings, event, ref, run, facts)
    if isinstance(admission, Stopped):
        return admission
    return _work_item(world, settings, people, admission, warnings)


def _timeline(world: World, event: Event, ref: IssueRef) -> tuple[IssueEvent, ...]:
    events = world.code_host.issue_events(ref)
    for seconds in TIMELINE_WAITS:
        if not isinstance(event, Labelled) or approving_event(event, events) is not None:
            break
        world.clock.sleep(seconds)
        events = world.code_host.issue_events(ref)
    return events


def _gather(
    world: World, settings: Settings, people: People, live: Issue, events: tuple[IssueEvent, ...], target: Repository | None, now: str
) -> tuple[Facts, tuple[str, ...]]:
    host, warnings = world.code_host, []
    try:
        blockers = host.blockers(live.ref)
    except NotFound:  # a GitHub Enterprise Server without issue dependencies
        blockers = ()
        warnings.append("This GitHub does not tell which issues block this one; their order was not checked.")
    card = world.board.card(live)
    base_branch = settings.base_branch or (target.default_branch if target else "")
    started = isinstance(card, BoardCard) and not is_ready(settings, card) and was_started(settings, card)
    own_branch = f"{settings.branch_prefix}{live.ref.number}"
    facts = Facts(
        live=live,
        events=events,
        card=card,
        blockers=blockers,
        target=target,
        base_branch=base_branch,
        base_exists=target is not None and host.branch_head(target.full_name, base_branch) is not None,
        claimed_before=started and target is not None and host.branch_head(target.full_name, own_branch) is not None,
        writers=people.writers_of_labels(live, events),
        now=now,
    )
    return facts, tuple(warnings)


def _work_item(world: World, settings: Settings, people: People, admission: Admission, warnings: tuple[str, ...]) -> WorkItem | Stopped:
    snapshot = admission.snapshot
    title, body = clean_line(snapshot.title), clean(snapshot.body)
    removed = dict(title.removed)
    comments: list[str] = []
    sources = [body]
    if settings.include_comments:
        every = world.code_host.comments(snapshot.ref)
        authors = {c.author.id: c.author for c in every if c.author.kind is ActorKind.USER}
        writers = frozenset(id_ for id_, author in authors.items() if people.may_write(snapshot.ref.repository, author))
        for comment in usable_comments(every, writers, admission.approval.at):
            cleaned = clean(comment.body)
            sources.append(cleaned)
            comments.append(f"{comment.author.login}, {comment.created_at}:\n{cleaned.text}")
    for cleaned in sources:
        for sort, count in cleaned.removed.items():
            removed[sort] = removed.get(sort, 0) + count
    request = parse_request(body.text)
    questions = missing(request, body.removed)
    if questions:
        return Stopped(
            conclusion=Conclusion.NEEDS_INFO,
            reason=f"{snapshot.ref} does not say what should be done.",
            remedy="Answer the questions in the issue's text and put the label again.",
            questions=questions,
        )
    try:
        parent = world.code_host.parent(snapshot.ref)
    except NotFound:
        parent = None
    return WorkItem(
        issue=snapshot,
        title=title.text,
        request=request,
        removed=removed,
        approval=admission.approval,
        target=admission.target,
        base_branch=settings.base_branch or admission.target.default_branch,
        parent=parent,
        labels_by_writers=admission.labels_by_writers,
        comments=tuple(comments),
        warnings=admission.warnings + warnings,
    )


def _gone(event: Event, ref: IssueRef) -> Stopped:
    if isinstance(event, Labelled):
        return Stopped(
            conclusion=Conclusion.STALE,
            reason=f"{ref} was deleted or transferred after the label was put.",
            remedy="Put the label on the issue where it stands now.",
        )
    return Stopped(
        conclusion=Conclusion.NEEDS_INFO,
        reason=f"{ref} does not exist, was transferred, or the token cannot see it.",
        remedy="Dispatch the workflow with the number of an existing issue.",
        questions=(f"Which issue should be worked on? There is no {ref}.",),
    )
