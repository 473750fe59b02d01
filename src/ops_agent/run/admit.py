"""Admission: from an event and an issue to a WorkItem, or to the reason why not. It reads GitHub and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import (
    Admission,
    Facts,
    approving_event,
    before_asking,
    decide,
    is_ready,
    labellers,
    refuse_people,
    target_name,
    usable_comments,
    was_started,
    who_must_write,
)
from ops_agent.issue.request import missing, parse_request
from ops_agent.issue.visible_text import clean, clean_line
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Event,
    Issue,
    IssueEvent,
    IssueRef,
    Labelled,
    Permission,
    Repository,
    RunIdentity,
)
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BoardCard, Issues, World
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.progress import stopped_text

# What accounts may do, asked of GitHub once per repository and login; shared by admission and selection.


@dataclass(slots=True)
class People:
    """Who is not known to GitHub has no permission; every other failure is raised, so that the run fails closed (A17)."""

    issues: Issues
    settings: Settings
    known: dict[tuple[str, str], Permission] = field(default_factory=dict)

    def permission(self, repository: str, login: str) -> Permission:
        key = (repository, login.casefold())
        if key not in self.known:
            try:
                self.known[key] = self.issues.permission(repository, login)
            except NotFound:
                self.known[key] = Permission.NONE
        return self.known[key]

    def may_write(self, repository: str, actor: Actor) -> bool:
        if actor.kind is not ActorKind.USER:
            return actor.kind is ActorKind.BOT and actor.id in self.settings.labels.allowed_bots
        return self.permission(repository, actor.login).may_write

    def refuse(self, event: Event, run: RunIdentity, repositories: Iterable[str]) -> Stopped | None:
        """Why who asked, or who started this attempt, has no right to; None when they may write in all `repositories`."""
        names = tuple(dict.fromkeys(repositories))
        return refuse_people(
            {
                (n, login): self.permission(n, login)
                for login in who_must_write(self.settings, event, run)
                for n in names
            }
        )

    def writers_of_labels(self, issue: Issue, events: tuple[IssueEvent, ...]) -> frozenset[int]:
        """Ids of the accounts that put a label which counts only from a writer, and that may write."""
        put_by = {actor.id: actor for actor in labellers(self.settings, issue, events).values()}
        return frozenset(id_ for id_, actor in put_by.items() if self.may_write(issue.ref.repository, actor))


def repository_or_none(issues: Issues, name: str) -> Repository | None:
    """The repository, None when there is no such one or the token cannot see it."""
    try:
        return issues.repository(name)
    except NotFound:
        return None


# GitHub's timeline is written after the webhook is sent; a run on a fast runner can be there first.
TIMELINE_WAITS = (1.0, 2.0, 4.0)


def admit(world: World, settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> WorkItem | Stopped:
    """The work item for `ref`, with the snapshot that was approved, cleaned and parsed; or why it may not be worked on.

    Raises GitHubError when GitHub cannot be asked; nothing was written then.
    """
    refused = before_asking(settings, event, ref, run)
    if refused is not None:
        return refused
    people = People(world.issues, settings)
    target = repository_or_none(world.issues, target_name(settings, run))
    refused = people.refuse(event, run, (run.repository, ref.repository, *((target.full_name,) if target else ())))
    if refused is not None:
        return refused
    try:
        live = world.issues.issue(ref)
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
    events = world.issues.timeline(ref)
    for seconds in TIMELINE_WAITS:
        if not isinstance(event, Labelled) or approving_event(event, events) is not None:
            break
        world.clock.sleep(seconds)
        events = world.issues.timeline(ref)
    return events


def _gather(
    world: World,
    settings: Settings,
    people: People,
    live: Issue,
    events: tuple[IssueEvent, ...],
    target: Repository | None,
    now: str,
) -> tuple[Facts, tuple[str, ...]]:
    warnings = []
    try:
        blockers = world.issues.blockers(live.ref)
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
        base_exists=target is not None and world.branches.head(target.full_name, base_branch) is not None,
        claimed_before=started and target is not None and world.branches.head(target.full_name, own_branch) is not None,
        writers=people.writers_of_labels(live, events),
        now=now,
    )
    return facts, tuple(warnings)


def _work_item(
    world: World, settings: Settings, people: People, admission: Admission, warnings: tuple[str, ...]
) -> WorkItem | Stopped:
    snapshot = admission.snapshot
    title, body = clean_line(snapshot.title), clean(snapshot.body)
    removed = dict(title.removed)
    comments: list[str] = []
    sources = [body]
    if settings.include_comments:
        every = world.issues.comments(snapshot.ref)
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
        parent = world.issues.parent(snapshot.ref)
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


# The answer on the issue when an item was not admitted: one comment, edited in place; nothing else is written.

MARK = "<!-- ops-agent:answer -->"
# The others concern whoever wired the workflow, or an issue that nobody waits at any more.
ANSWERED = (Conclusion.NEEDS_INFO, Conclusion.DECLINED, Conclusion.CONTENT_CHANGED)


def answer(world: World, settings: Settings, ref: IssueRef, stopped: Stopped, run: RunIdentity) -> None:
    """Say on `ref` why it is not worked on and what to do. Silent for a quiet `stopped`, for other conclusions and in a
    dry run.

    Our earlier answer is found by its mark and our account's id, and edited. A failure is a warning: the outcome stands
    without it.
    """
    if stopped.quiet or stopped.conclusion not in ANSWERED or settings.dry_run or not run.run_id:
        return
    by = f"[run {run.run_id}, attempt {run.attempt}]({run.url})"
    text = world.redact(
        f"{MARK}\n\n### ops-agent did not take this issue\n\n{stopped_text(stopped)}\n\n<sub>{by}</sub>\n"
    )
    try:
        own = world.issues.viewer().id
        mine = [c for c in world.issues.comments(ref) if c.author.id == own and c.body.startswith(MARK)]
        if mine:
            world.issues.update_comment(ref.repository, mine[-1].id, text)
        else:
            world.issues.create_comment(ref, text)
    except GitHubError as error:
        world.reporter.annotate("warning", world.redact(f"The answer could not be written on {ref}: {error}"))
