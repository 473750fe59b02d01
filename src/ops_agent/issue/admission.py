"""Whether an issue may be worked on: decisions only, over facts that `run/admit.py` gathered.

Three questions in the order of what they cost: `before_asking` (the event alone), `who_must_write` and `refuse_people`
(permissions), `decide` (everything else). A refusal is a Stopped; nothing here raises.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ops_agent.config.settings import BoardSettings, LabelSettings, Settings
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


def is_ours(labels: LabelSettings, issue: Issue) -> bool:
    by_label = bool(labels.role_label) and any(same(label, labels.role_label) for label in issue.labels)
    return by_label or has_prefix(issue.title, labels.title_prefix)


def lacks_identity(labels: LabelSettings, ref: IssueRef) -> Stopped:
    role = f" or carries the label `{labels.role_label}`" if labels.role_label else ""
    prefix = labels.title_prefix
    return Stopped(
        Conclusion.DECLINED,
        f"{ref} is not a work item of ops-agent: only an issue whose title starts with exactly `{prefix}`{role} is.",
        f"Start its title with `{prefix}` when it is infrastructure work, and put the label again.",
        quiet=True,
    )


# Whether an item is ready: the board's status where it can be read, else the label that bears the status's name.


def means_ready(board: BoardSettings, label: str) -> bool:
    """True for `ready` and for a label named like the board's status; `[ops]` as a label only marks whose work it is."""
    return same(label, "ready") or same(label, board.status_ready)


def board_complaint(board: BoardSettings, card: BoardCard | str) -> str | None:
    """Why the board cannot decide (no access, not on it, no such column), None when it can."""
    if isinstance(card, str):
        return card.rstrip(".")
    if not any(same(name, board.status_ready) for _, name in card.options):
        return f"the board has no status `{board.status_ready}`"
    return None


def was_started(board: BoardSettings, card: BoardCard | str) -> bool:
    """True for a card that is not ready but in a status that ops-agent itself gives; with a branch of ours that means
    that the item was ready once.
    """
    started = (name for name in (board.status_in_progress, board.status_review) if name)
    return (
        isinstance(card, BoardCard) and not _is_ready(board, card) and any(same(card.status or "", s) for s in started)
    )


def _is_ready(board: BoardSettings, card: BoardCard) -> bool:
    return same(card.status or "", board.status_ready)


def readiness(
    board: BoardSettings,
    issue: Issue,
    card: BoardCard | str,
    *,
    dispatched: bool,
    ready_label: bool,
    claimed_before: bool,
) -> tuple[str, ...] | Stopped:
    """Warnings (none when the board says Ready), or the reason why the item is not ready.

    `ready_label`: a writer put the label that means ready. `dispatched`: a writer named this item by hand, which counts
    as much. `claimed_before`: our branch for the item exists, so that a re-run or a new approval may go on from In
    Progress.
    """
    complaint = board_complaint(board, card)
    if complaint is None and isinstance(card, BoardCard):
        if _is_ready(board, card) or (claimed_before and was_started(board, card)):
            return ()
        status = f"`{card.status}`" if card.status else "a column without a status"
        return Stopped(
            Conclusion.DECLINED,
            f"{issue.ref} is in {status} on the board, not in `{board.status_ready}`.",
            f"Move it to `{board.status_ready}` when it may be worked on, and put the label again.",
        )
    if ready_label or dispatched:
        by = "the label `ready`" if ready_label else "the dispatch"
        return (f"The board was not used ({complaint}); {by} counts as `{board.status_ready}`.",)
    return Stopped(
        Conclusion.DECLINED,
        f"Whether {issue.ref} is ready is not known: the board was not used ({complaint}) and no writer put the label "
        "`ready`.",
        "Put the label `ready` on it, or give the token access to the board.",
    )


# Whether an approval is still valid, and covers the words that the issue holds now.

ALLOW_DESTROY = "allow-destroy"
_LABEL_AGAIN = "Read the issue as it is now and put the label again."


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


def labellers(board: BoardSettings, issue: Issue, events: tuple[IssueEvent, ...]) -> dict[str, Actor]:
    """Who put those labels of `issue` that only count when a writer put them: `allow-destroy`, and the label that
    means ready.
    """
    found: dict[str, Actor] = {}
    for label in issue.labels:
        if same(label, ALLOW_DESTROY) or means_ready(board, label):
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
        return _void(
            conclusion, f"{ref} is closed.", "Reopen it and put the label again when the work is still wanted."
        )
    if isinstance(event, Dispatched):
        words = content_hash(live.title, live.body)
        return Approval(by=event.sender, event_id=run.run_id, at=now, content_hash=words, by_dispatch=True)
    if not any(same(event.label, label) for label in live.labels):
        return _void(Conclusion.STALE, f"The label `{event.label}` was taken off {ref}.")
    put = approving_event(event, events)
    if put is None:
        return _void(
            Conclusion.STALE, f"The timeline of {ref} does not show that `{event.sender.login}` put the label."
        )
    later = events[events.index(put) + 1 :]
    if any(entry.kind == "unlabeled" and entry.label == event.label for entry in later):
        return _void(
            Conclusion.STALE,
            f"The label `{event.label}` was taken off {ref} and put again by someone else, who has a run of their own.",
        )
    if any(entry.kind == "renamed" for entry in later):
        return _void(Conclusion.CONTENT_CHANGED, f"{ref} was renamed after the label was put.")
    approved = content_hash(event.issue.title, event.issue.body)
    if approved != content_hash(live.title, live.body):
        part = "title" if event.issue.title != live.title else "body"
        return _void(
            Conclusion.CONTENT_CHANGED, f"The {part} of {ref} is no longer what it was when the label was put."
        )
    return Approval(by=event.sender, event_id=put.id, at=put.at, content_hash=approved)


def usable_comments(comments: tuple[Comment, ...], writers: frozenset[int], before: str) -> tuple[Comment, ...]:
    """Comments of people who may write, made and last edited strictly before `before` (ISO 8601 UTC)."""
    limit = datetime.fromisoformat(before)
    return tuple(
        comment
        for comment in comments
        if comment.author.kind is ActorKind.USER
        and comment.author.id in writers
        and datetime.fromisoformat(comment.created_at) < limit
        and datetime.fromisoformat(comment.updated_at) < limit
    )


def _void(conclusion: Conclusion, reason: str, remedy: str = _LABEL_AGAIN) -> Stopped:
    return Stopped(conclusion, reason, remedy)


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
    """An admitted issue: whose approval, over which snapshot of the issue, in which repository."""

    snapshot: Issue
    approval: Approval
    target: Repository
    labels_by_writers: tuple[str, ...]
    warnings: tuple[str, ...]


def before_asking(settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> Stopped | None:
    """What the event itself already rules out: no request is made for it."""
    labels, target = settings.labels, settings.target_repository or run.repository
    own, *others = (name.partition("/")[0] for name in (run.repository, target, ref.repository))
    if not all(same(own, other) for other in others):
        return Stopped(
            Conclusion.CONFIG_ERROR,
            f"{ref} and {target} do not both belong to {own}, which owns the workflow.",
            f"Name issues and a `target_repository` of {own}.",
        )
    if isinstance(event, Labelled):
        if not any(same(event.label, label) for label in labels.label_trigger):
            return Stopped(
                Conclusion.DECLINED,
                f"The label `{_word(event.label)}` does not start ops-agent.",
                f"Put one of the labels {', '.join(f'`{label}`' for label in labels.label_trigger)} to start it.",
                quiet=True,
            )
        if ref != event.issue.ref:
            return Stopped(
                Conclusion.NOT_AUTHORISED,
                f"The label was put on {event.issue.ref}, which approves nothing for {ref}.",
                f"Put the label on {ref}, or dispatch the workflow with its number.",
                quiet=True,
            )
        if event.issue.is_pull_request:
            return _pull_request(ref)
        if not is_ours(labels, event.issue):
            return lacks_identity(labels, ref)
    if event.sender.kind is not ActorKind.USER and not _allowed_bot(labels, event.sender):
        return Stopped(
            Conclusion.NOT_AUTHORISED,
            f"`{_word(event.sender.login)}` (id {event.sender.id}) is a {event.sender.kind.value}, and no bot is trusted by its name.",
            f"Ask a person with write permission, or add the id {event.sender.id} to `allowed_bots`.",
            quiet=True,
        )
    return None


def who_must_write(labels: LabelSettings, event: Event, run: RunIdentity) -> tuple[str, ...]:
    """Logins whose permission must be write or more: who asked, and who started this attempt of the run."""
    logins = [] if _allowed_bot(labels, event.sender) else [event.sender.login]
    if not same(run.triggering_actor, event.sender.login):
        logins.append(run.triggering_actor)
    return tuple(logins)


def refuse_people(permissions: Mapping[tuple[str, str], Permission]) -> Stopped | None:
    """`permissions` by (repository, login): everyone of `who_must_write` on every repository that the run touches."""
    for (repository, login), permission in permissions.items():
        if not permission.may_write:
            return Stopped(
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
    if not is_ours(settings.labels, facts.live):
        return lacks_identity(settings.labels, ref)
    target = _usable_target(settings.target_repository or run.repository, facts)
    if isinstance(target, Stopped):
        return target
    put_by_writers = tuple(
        label
        for label, actor in labellers(settings.board, facts.live, facts.events).items()
        if actor.id in facts.writers
    )
    if isinstance(event, Labelled):
        put_by_writers += (event.label,)
    ready = readiness(
        settings.board,
        facts.live,
        facts.card,
        dispatched=isinstance(event, Dispatched),
        ready_label=any(means_ready(settings.board, label) for label in put_by_writers),
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
    return Stopped(
        Conclusion.DECLINED,
        f"{ref} is blocked by {names}, which {'is' if len(blockers) == 1 else 'are'} still open.",
        f"Put the label again when {names} {'is' if len(blockers) == 1 else 'are'} closed.",
    )


def _usable_target(name: str, facts: Facts) -> Repository | Stopped:
    """A repository and a branch to work in, or a precise question."""
    if facts.target is None:
        return _ask(
            f"The repository {name} does not exist, or the token cannot see it.",
            "Which repository is the change for, and may the token read it?",
        )
    if facts.target.archived or facts.target.disabled:
        kind = "archived" if facts.target.archived else "disabled"
        return Stopped(
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


def _allowed_bot(labels: LabelSettings, actor: Actor) -> bool:
    return actor.kind is ActorKind.BOT and actor.id in labels.allowed_bots


def _pull_request(ref: IssueRef) -> Stopped:
    return Stopped(
        Conclusion.DECLINED, f"{ref} is a pull request, not an issue.", "Put the label on an issue.", quiet=True
    )


def _ask(reason: str, question: str) -> Stopped:
    return Stopped(
        Conclusion.NEEDS_INFO,
        reason,
        "Answer the question, correct the inputs or the issue, and put the label again.",
        questions=(question,),
    )


def _word(name: str) -> str:
    """A login or label from a payload, printable and short."""
    return "".join(c if c.isprintable() and c != "`" else "?" for c in name[:60])
