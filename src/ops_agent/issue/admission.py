"""Whether an issue may be worked on: decisions only, over facts that `stages/admit.py` gathered.

Three questions in the order of what they cost: `before_asking` (the event alone), `who_must_write` and `refuse_people`
(permissions), `decide` (everything else). A "no" is a Stopped; nothing here raises.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ops_agent.config.settings import Settings
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Comment,
    Dispatched,
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
from ops_agent.model.ports import BoardCard
from ops_agent.model.work_item import Approval, content_hash

# Whether an issue is one of ours: its title starts with exactly the prefix, or it carries the role label.


def same(left: str, right: str) -> bool:
    """Labels, logins and status names are compared without case, as GitHub does."""
    return left.casefold() == right.casefold()


def has_prefix(title: str, prefix: str) -> bool:
    """True when `title` in NFC starts with `prefix`, code point by code point, and no mark or invisible character
    continues it.
    """
    normal = unicodedata.normalize("NFC", title)
    following = normal[len(prefix) : len(prefix) + 1]
    continued = bool(following) and unicodedata.category(following)[0] in "MC"
    return normal.startswith(unicodedata.normalize("NFC", prefix)) and not continued


def is_ours(settings: Settings, issue: Issue) -> bool:
    role = settings.labels.role_label
    return has_prefix(issue.title, settings.labels.title_prefix) or (
        bool(role) and any(same(label, role) for label in issue.labels)
    )


def lacks_identity(settings: Settings, ref: IssueRef) -> Stopped:
    role = f" or carries the label `{settings.labels.role_label}`" if settings.labels.role_label else ""
    return Stopped(
        conclusion=Conclusion.DECLINED,
        reason=(
            f"{ref} is not a work item of ops-agent: only an issue whose title starts with exactly "
            f"`{settings.labels.title_prefix}`{role} is."
        ),
        remedy=f"Start its title with `{settings.labels.title_prefix}` when it is infrastructure work, and put the label again.",
        quiet=True,
    )


# Whether an item is ready: the board's status where it can be read, else the label that bears the status's name.


def stands_for_ready(settings: Settings, label: str) -> bool:
    """True for `ready` and for a label named like the board's status; `[ops]` as a label says whose work it is, not
    that it is ready.
    """
    return label.casefold() in ("ready", settings.board.status_ready.casefold())


def board_complaint(settings: Settings, card: BoardCard | str) -> str | None:
    """Why the board cannot be a gate (M13: no access, not on it, no such column), None when it can."""
    if isinstance(card, str):
        return card.rstrip(".")
    if not any(name.casefold() == settings.board.status_ready.casefold() for _, name in card.options):
        return f"the board has no status `{settings.board.status_ready}`"
    return None


def is_ready(settings: Settings, card: BoardCard) -> bool:
    return (card.status or "").casefold() == settings.board.status_ready.casefold()


def was_started(settings: Settings, card: BoardCard) -> bool:
    """True for the statuses that ops-agent itself gives; with a branch of ours they mean that the item was Ready once."""
    started = {name.casefold() for name in (settings.board.status_in_progress, settings.board.status_review) if name}
    return (card.status or "").casefold() in started


def readiness(
    settings: Settings,
    issue: Issue,
    card: BoardCard | str,
    *,
    dispatched: bool,
    ready_label: bool,
    claimed_before: bool,
) -> tuple[str, ...] | Stopped:
    """Warnings (none when the board says Ready), or the reason why the item is not ready.

    `ready_label`: a writer put the label that stands for the status. `dispatched`: a writer named this item by hand,
    which stands for it too. `claimed_before`: our branch for the item exists, so that a re-run or a new approval may go
    on from In Progress.
    """
    complaint = board_complaint(settings, card)
    if complaint is None and isinstance(card, BoardCard):
        if is_ready(settings, card) or (claimed_before and was_started(settings, card)):
            return ()
        status = f"`{card.status}`" if card.status else "a column without a status"
        return Stopped(
            conclusion=Conclusion.DECLINED,
            reason=f"{issue.ref} stands in {status} on the board, not in `{settings.board.status_ready}`.",
            remedy=f"Move it to `{settings.board.status_ready}` when it may be worked on, and put the label again.",
        )
    if ready_label or dispatched:
        by = "the label `ready`" if ready_label else "the dispatch"
        return (f"The board was not used ({complaint}); {by} stands for `{settings.board.status_ready}`.",)
    return Stopped(
        conclusion=Conclusion.DECLINED,
        reason=f"Whether {issue.ref} is ready is not known: the board was not used ({complaint}) and no writer put the label `ready`.",
        remedy="Put the label `ready` on it, or give the token access to the board.",
    )


# Whether an approval still stands, and covers the words that the issue holds now (A07, A08, A13 of the security bar).

ALLOW_DESTROY = "allow-destroy"
_LABEL_AGAIN = "Read the issue as it stands now and put the label again."


def approving_event(event: Labelled, events: tuple[IssueEvent, ...]) -> IssueEvent | None:
    """The newest timeline entry in which the sender put this label; None when the timeline does not show it (yet)."""
    for entry in reversed(events):
        if (
            entry.kind == "labeled"
            and entry.label == event.label
            and entry.actor is not None
            and entry.actor.id == event.sender.id
        ):
            return entry
    return None


def labellers(settings: Settings, issue: Issue, events: tuple[IssueEvent, ...]) -> dict[str, Actor]:
    """Who put those labels of `issue` that only count when a writer put them: `allow-destroy`, and the label that
    stands for Ready.
    """
    found: dict[str, Actor] = {}
    for label in issue.labels:
        if same(label, ALLOW_DESTROY) or stands_for_ready(settings, label):
            put = [
                entry
                for entry in events
                if entry.kind == "labeled" and entry.label is not None and same(entry.label, label)
            ]
            if put and put[-1].actor is not None:
                found[label.casefold()] = put[-1].actor
    return found


def approve(
    event: Event, ref: IssueRef, run: RunIdentity, live: Issue, events: tuple[IssueEvent, ...], now: str
) -> Approval | Stopped:
    """The approval, or why it is void. A dispatch approves `live` as it is `now` (ISO 8601 UTC), a label only the words
    of its payload.
    """
    if not live.is_open:
        closed = isinstance(event, Labelled) and event.issue.is_open
        conclusion = Conclusion.STALE if closed or run.attempt > 1 else Conclusion.DECLINED
        return _admission_approval_stop(
            conclusion, f"{ref} is closed.", "Reopen it and put the label again when the work is still wanted."
        )
    if isinstance(event, Dispatched):
        words = content_hash(live.title, live.body)
        return Approval(by=event.sender, event_id=run.run_id, at=now, content_hash=words, by_dispatch=True)
    if not any(same(event.label, label) for label in live.labels):
        return _admission_approval_stop(Conclusion.STALE, f"The label `{event.label}` was taken off {ref}.")
    put = approving_event(event, events)
    if put is None:
        return _admission_approval_stop(
            Conclusion.STALE, f"The timeline of {ref} does not show that `{event.sender.login}` put the label."
        )
    later = events[events.index(put) + 1 :]
    if any(entry.kind == "unlabeled" and entry.label == event.label for entry in later):
        return _admission_approval_stop(
            Conclusion.STALE,
            f"The label `{event.label}` was taken off {ref} and put again by someone else, who has a run of their own.",
        )
    if any(entry.kind == "renamed" for entry in later):
        return _admission_approval_stop(Conclusion.CONTENT_CHANGED, f"{ref} was renamed after the label was put.")
    approved = content_hash(event.issue.title, event.issue.body)
    if approved != content_hash(live.title, live.body):
        part = "title" if event.issue.title != live.title else "body"
        return _admission_approval_stop(
            Conclusion.CONTENT_CHANGED, f"The {part} of {ref} is no longer what it was when the label was put."
        )
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


def _admission_approval_stop(conclusion: Conclusion, reason: str, remedy: str = _LABEL_AGAIN) -> Stopped:
    return Stopped(conclusion=conclusion, reason=reason, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What GitHub said when the run started. `writers` are ids of accounts that may write (allowed bots included).

    `target` None: there is no such repository, or the token cannot see it. `base_exists` and `claimed_before` are about
    `base_branch` and our own branch in the target. `now` is ISO 8601 UTC.
    """

    live: Issue
    events: tuple[IssueEvent, ...]
    card: BoardCard | str
    blockers: tuple[Issue, ...]
    target: Repository | None
    base_branch: str
    base_exists: bool
    claimed_before: bool
    writers: frozenset[int]
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A yes: whose approval, over which snapshot of the issue, in which repository."""

    snapshot: Issue
    approval: Approval
    target: Repository
    labels_by_writers: tuple[str, ...]
    warnings: tuple[str, ...]


def target_name(settings: Settings, run: RunIdentity) -> str:
    return settings.target_repository or run.repository


def before_asking(settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> Stopped | None:
    """What the event itself already rules out: no request is made for it (A02, A03, A04, A05, A06)."""
    own, other = (name.partition("/")[0] for name in (run.repository, target_name(settings, run)))
    if not same(own, other) or not same(own, ref.repository.partition("/")[0]):
        return _stop(
            Conclusion.CONFIG_ERROR,
            f"{ref} and {target_name(settings, run)} do not both belong to {own}, which owns the workflow.",
            f"Name issues and a `target_repository` of {own}.",
        )
    if isinstance(event, Labelled):
        if not any(same(event.label, label) for label in settings.labels.label_trigger):
            return _stop(
                Conclusion.DECLINED,
                f"The label `{_word(event.label)}` does not start ops-agent.",
                f"Put one of the labels {', '.join(f'`{label}`' for label in settings.labels.label_trigger)} to start it.",
                quiet=True,
            )
        if ref != event.issue.ref:
            return _stop(
                Conclusion.NOT_AUTHORISED,
                f"The label was put on {event.issue.ref}, which approves nothing for {ref}.",
                f"Put the label on {ref}, or dispatch the workflow with its number.",
                quiet=True,
            )
        if event.issue.is_pull_request:
            return _pull_request(ref)
        if not is_ours(settings, event.issue):
            return lacks_identity(settings, ref)
    if event.sender.kind is not ActorKind.USER and not _allowed_bot(settings, event.sender):
        return _stop(
            Conclusion.NOT_AUTHORISED,
            f"`{_word(event.sender.login)}` (id {event.sender.id}) is a {event.sender.kind.value}, and no bot is trusted by its name.",
            f"Ask a person with write permission, or add the id {event.sender.id} to `allowed_bots`.",
            quiet=True,
        )
    return None


def who_must_write(settings: Settings, event: Event, run: RunIdentity) -> tuple[str, ...]:
    """Logins whose permission must be write or more: who asked, and who started this attempt of the run (A12)."""
    logins = [] if _allowed_bot(settings, event.sender) else [event.sender.login]
    if not same(run.triggering_actor, event.sender.login):
        logins.append(run.triggering_actor)
    return tuple(logins)


def refuse_people(permissions: Mapping[tuple[str, str], Permission]) -> Stopped | None:
    """`permissions` by (repository, login): everyone of `who_must_write` on every repository that the run touches (A01,
    A09, A12, A17).
    """
    for (repository, login), permission in permissions.items():
        if not permission.may_write:
            return _stop(
                Conclusion.NOT_AUTHORISED,
                f"`{_word(login)}` has the permission `{permission.value}` on {repository}, and asking for work needs write.",
                f"Ask a person with write permission on {repository} to put the label or to start the workflow.",
                quiet=True,
            )
    return None


def decide(settings: Settings, event: Event, ref: IssueRef, run: RunIdentity, facts: Facts) -> Admission | Stopped:
    """Yes with the approval, or the first reason why not."""
    approval = approve(event, ref, run, facts.live, facts.events, facts.now)
    if isinstance(approval, Stopped):
        return approval
    if facts.live.is_pull_request:
        return _pull_request(ref)
    if not is_ours(settings, facts.live):
        return lacks_identity(settings, ref)
    target = _usable_target(settings, run, facts)
    if isinstance(target, Stopped):
        return target
    put_by_writers = tuple(
        label for label, actor in labellers(settings, facts.live, facts.events).items() if actor.id in facts.writers
    )
    if isinstance(event, Labelled):
        put_by_writers += (event.label,)
    ready = readiness(
        settings,
        facts.live,
        facts.card,
        dispatched=isinstance(event, Dispatched),
        ready_label=any(stands_for_ready(settings, label) for label in put_by_writers),
        claimed_before=facts.claimed_before,
    )
    if isinstance(ready, Stopped):
        return ready
    blockers = tuple(issue.ref for issue in facts.blockers if issue.is_open)
    if blockers:
        return blocked_by(ref, blockers)
    return Admission(
        snapshot=event.issue if isinstance(event, Labelled) else facts.live,
        approval=approval,
        target=target,
        labels_by_writers=(ALLOW_DESTROY,) if ALLOW_DESTROY in put_by_writers else (),
        warnings=ready,
    )


def blocked_by(ref: IssueRef, blockers: tuple[IssueRef, ...]) -> Stopped:
    names = ", ".join(f"#{b.number}" if b.repository == ref.repository else str(b) for b in blockers)
    return _stop(
        Conclusion.DECLINED,
        f"{ref} is blocked by {names}, which {'is' if len(blockers) == 1 else 'are'} still open.",
        f"Put the label again when {names} {'is' if len(blockers) == 1 else 'are'} closed.",
    )


def _usable_target(settings: Settings, run: RunIdentity, facts: Facts) -> Repository | Stopped:
    """A20 of the security bar: a repository and a branch to work in, or a precise question."""
    name = target_name(settings, run)
    if facts.target is None:
        return _ask(
            f"The repository {name} does not exist, or the token cannot see it.",
            "Which repository is the change for, and may the token read it?",
        )
    if facts.target.archived or facts.target.disabled:
        kind = "archived" if facts.target.archived else "disabled"
        return _stop(
            Conclusion.CONFIG_ERROR,
            f"The repository {name} is {kind}: nothing can be written to it.",
            "Unarchive it, or name another `target_repository`.",
        )
    if not facts.base_exists:
        return _ask(
            f"{name} has no branch `{facts.base_branch}`.",
            f"Which branch of {name} should the pull request go to (input `base_branch`)?",
        )
    return facts.target


def _allowed_bot(settings: Settings, actor: Actor) -> bool:
    return actor.kind is ActorKind.BOT and actor.id in settings.labels.allowed_bots


def _pull_request(ref: IssueRef) -> Stopped:
    return _stop(
        Conclusion.DECLINED, f"{ref} is a pull request, not an issue.", "Put the label on an issue.", quiet=True
    )


def _ask(reason: str, question: str) -> Stopped:
    return Stopped(
        conclusion=Conclusion.NEEDS_INFO,
        reason=reason,
        remedy="Answer the question, correct the inputs or the issue, and put the label again.",
        questions=(question,),
    )


def _stop(conclusion: Conclusion, reason: str, remedy: str, quiet: bool = False) -> Stopped:
    return Stopped(conclusion=conclusion, reason=reason, remedy=remedy, quiet=quiet)


def _word(name: str) -> str:
    """A login or label from a payload, printable and short."""
    return "".join(c if c.isprintable() and c != "`" else "?" for c in name[:60])
