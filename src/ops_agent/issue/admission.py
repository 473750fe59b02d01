"""Whether an issue may be worked on: decisions only, over facts that `run/admit.py` gathered.

Asked in the order of what they cost: `before_asking` (the event alone), `who_must_write` and `refuse_people`
(permissions), `decide` (everything else). A refusal is a Stopped; nothing here raises.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from ops_agent.config.settings import BoardSettings, LabelSettings, Settings
from ops_agent.issue.near_misses import is_nearly, may_be_parent, misspelt
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Closed,
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
from ops_agent.model.work_item import PERMITTING_LABELS, Approval, WorkItem, content_hash

_config_error = partial(Stopped, Conclusion.CONFIG_ERROR)
_declined = partial(Stopped, Conclusion.DECLINED)
_AGAIN = "start the workflow again"
_not_authorised = partial(Stopped, Conclusion.NOT_AUTHORISED, quiet=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What GitHub said when the run started. `writers` are ids of accounts that may write (allowed bots included).

    `target` None: there is no such repository, or the token cannot see it. `base_exists` and `claimed_before` are about
    `base_branch` and our own branch in the target. `waiting` is the approval that our comment keeps, read only when a
    blocker was closed. `now` is ISO 8601 UTC.
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
    waiting: Approval | None = None


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
        return _config_error(
            f"{ref} and {target} do not both belong to {own}, which owns the workflow.",
            f"Name issues and a `target_repository` of {own}.",
        )
    if isinstance(event, Labelled):
        if not _has(labels.label_trigger, event.label):
            return _declined(
                f"The label `{_word(event.label)}` does not start ops-agent.",
                f"Apply one of the labels {', '.join(f'`{label}`' for label in labels.label_trigger)} to start it.",
                quiet=True,
            )
        if ref != event.issue.ref:
            return _not_authorised(
                f"The label was applied to {event.issue.ref}, which approves nothing for {ref}.",
                f"Apply the label to {ref}, or dispatch the workflow with its number.",
            )
        refused = refuse_identity(labels, event.issue)
        if refused is not None and refused.quiet and not may_be_parent(event.issue):
            return refused
    sender = event.sender
    if isinstance(event, Closed):  # no request for work: what counts is the approval that waited
        return None
    if sender.kind is not ActorKind.USER and not is_allowed_bot(labels.allowed_bots, sender):
        return _not_authorised(
            f"`{_word(sender.login)}` (id {sender.id}) is a {sender.kind.value} that `allowed_bots` does not name.",
            f"Ask a person with write permission, or add the bot's login or the id {sender.id} to `allowed_bots`.",
        )
    return None


def who_must_write(labels: LabelSettings, event: Event, run: RunIdentity) -> tuple[str, ...]:
    """Logins whose permission must be write or more: who asked, and who started this attempt of the run.

    Anybody may close an issue: what starts then was approved before, by a person whom `decide` asks for.
    """
    if isinstance(event, Closed):
        return (run.triggering_actor,) if run.attempt > 1 else ()
    logins = [] if is_allowed_bot(labels.allowed_bots, event.sender) else [event.sender.login]
    if not same(run.triggering_actor, event.sender.login):
        logins.append(run.triggering_actor)
    return tuple(logins)


def refuse_people(permissions: Mapping[tuple[str, str], Permission]) -> Stopped | None:
    """`permissions` by (repository, login): everyone of `who_must_write` on every repository that the run touches."""
    for (repository, login), permission in permissions.items():
        if not permission.may_write:
            return _not_authorised(
                f"`{_word(login)}` has the permission `{permission.value}` on {repository}; starting work needs write.",
                f"Ask a person with write permission on {repository} to apply the label or to start the workflow.",
            )
    return None


def decide(settings: Settings, event: Event, ref: IssueRef, run: RunIdentity, facts: Facts) -> Admission | Stopped:
    """The admission with its approval, or the first reason against it."""
    approval = _approve(event, ref, run, facts)
    if isinstance(approval, Stopped):
        return approval
    if refused := refuse_identity(settings.labels, facts.live):
        return refused
    target = _usable_target(settings.target_repository or run.repository, facts)
    if isinstance(target, Stopped):
        return target
    by_writers = {
        label
        for label, actor in labellers(settings.board, facts.live, facts.events).items()
        if actor.id in facts.writers
    }
    if isinstance(event, Labelled):
        by_writers.add(event.label)
    warnings = readiness(
        settings.board,
        facts.live,
        facts.card,
        dispatched=isinstance(event, Dispatched),
        ready_label=any(means_ready(settings.board, label) for label in by_writers),
        claimed_before=facts.claimed_before,
    )
    if isinstance(warnings, Stopped):
        return warnings
    if blockers := tuple(issue.ref for issue in facts.blockers if issue.is_open):
        return blocked_by(ref, blockers, approval)
    return Admission(
        snapshot=event.issue if isinstance(event, Labelled) else facts.live,
        approval=approval,
        target=target,
        labels_by_writers=tuple(label for label in PERMITTING_LABELS if label in by_writers),
        warnings=warnings,
    )


def is_ours(labels: LabelSettings, issue: Issue) -> bool:
    """True when the title starts with exactly the prefix, or the issue carries the role label."""
    by_label = bool(labels.role_label) and _has(issue.labels, labels.role_label)
    return by_label or _has_prefix(issue.title, labels.title_prefix)


def refuse_identity(labels: LabelSettings, issue: Issue) -> Stopped | None:
    """Why `issue` is not a work item of ops-agent, ready or not; None when it is one. Quiet unless it nearly is."""
    if issue.is_pull_request:
        return _declined(f"{issue.ref} is a pull request, not an issue.", "Choose an issue.", quiet=True)
    if is_ours(labels, issue):
        return None
    if is_nearly(issue.title, labels.title_prefix):
        return misspelt(issue, labels.title_prefix)
    role = f" or carries the label `{labels.role_label}`" if labels.role_label else ""
    rule = f"only an issue whose title starts with exactly `{labels.title_prefix}`{role} is"
    return _declined(
        f"{issue.ref} is not a work item of ops-agent: {rule}.",
        f"Start its title with `{labels.title_prefix}` when it is infrastructure work, and re-apply the label.",
        quiet=True,
    )


def means_ready(board: BoardSettings, label: str) -> bool:
    """True for `ready` and for a label named like the board's status; `[ops]` as a label only says whose work it is."""
    return same(label, "ready") or same(label, board.status_ready)


def board_complaint(board: BoardSettings, card: BoardCard | str) -> str | None:
    """Why the board cannot decide (no access, not on it, no such column; empty: there is none), None when it can."""
    if isinstance(card, str):
        return card.rstrip(".")
    if not _has((name for _, name in card.options), board.status_ready):
        return f"the board has no status `{board.status_ready}`"
    return None


def was_started(board: BoardSettings, card: BoardCard | str) -> bool:
    """True for a card that is not ready but in a status that ops-agent itself gives; with a branch of ours that means
    that the item was ready once.
    """
    if isinstance(card, str) or not card.status or same(card.status, board.status_ready):
        return False
    return _has((board.status_in_progress, board.status_review), card.status)


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

    The board's status decides where it can be read. `ready_label`: a writer applied the label that means ready.
    `dispatched`: a writer named this item by hand, which counts as much. `claimed_before`: our branch for the item
    exists, so that a re-run or a new approval may go on from In Progress.
    """
    complaint = board_complaint(board, card)
    if complaint is None and isinstance(card, BoardCard):
        if same(card.status or "", board.status_ready) or (claimed_before and was_started(board, card)):
            return ()
        status = f"`{card.status}`" if card.status else "a column without a status"
        return _declined(
            f"{issue.ref} is in {status} on the board, not in `{board.status_ready}`.",
            f"Move it to `{board.status_ready}` when it may be worked on, and re-apply the label.",
        )
    if ready_label or dispatched:
        by = "the label `ready`" if ready_label else "the dispatch"
        return (f"The board was not used ({complaint}); {by} counts as `{board.status_ready}`.",) if complaint else ()
    why = f"the board was not used ({complaint})" if complaint else "there is no board"
    return _declined(
        f"Whether {issue.ref} is ready is not known: {why} and no writer applied the label `ready`.",
        "Apply the label `ready`, or give the token access to the board." if complaint else "Apply the label `ready`.",
    )


def blocked_by(ref: IssueRef, blockers: tuple[IssueRef, ...], waiting: Approval) -> Stopped:
    """`waiting` is what was approved: it is in force when the last of `blockers` is closed."""
    names = ", ".join(f"#{b.number}" if b.repository == ref.repository else str(b) for b in blockers)
    verb = "is" if len(blockers) == 1 else "are"
    return _declined(
        f"{ref} is blocked by {names}, which {verb} still open.",
        f"Nothing: it starts when {names} {verb} closed, if it still has its label or is still ready and its text is "
        "the same. (Where no workflow listens to `issues: closed`, re-apply the label then.)",
        waiting=waiting,
    )


def approving_event(event: Labelled, events: tuple[IssueEvent, ...]) -> IssueEvent | None:
    """The newest timeline entry in which the sender applied this label; None when the timeline lacks it (yet)."""
    wanted = ("labeled", event.label, event.sender.id)
    return next((e for e in reversed(events) if e.actor and (e.kind, e.label, e.actor.id) == wanted), None)


def labellers(board: BoardSettings, issue: Issue, events: tuple[IssueEvent, ...]) -> dict[str, Actor]:
    """Who applied those labels of `issue` that only count when a writer did: those that permit, and the label that
    means ready. Keys are in lower case.
    """
    newest = {e.label.casefold(): e.actor for e in events if e.kind == "labeled" and e.label is not None}
    counting = (label for label in issue.labels if _has(PERMITTING_LABELS, label) or means_ready(board, label))
    return {label.casefold(): actor for label in counting if (actor := newest.get(label.casefold())) is not None}


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


def withdrawn(labels: LabelSettings, item: WorkItem, live: Issue) -> Stopped | None:
    """Why the run for `item` ends now that its issue is `live`: a person took back what they had approved.

    That is the label that was applied. A dispatched issue need not have a label; one that had, and has none any more,
    is withdrawn too.
    """
    if not live.is_open:
        return Stopped(
            Conclusion.CANCELLED, "The issue was closed during the run.", "Reopen it and re-apply the label."
        )
    if live.locked:
        return Stopped(Conclusion.STALE, "The issue was locked during the run.", "Unlock it and re-apply the label.")
    approving = (item.approval.label,) if item.approval.label else labels.label_trigger
    had = [label for label in approving if item.approval.label or _has(item.issue.labels, label)]
    if had and not any(_has(live.labels, label) for label in had):
        named = " or ".join(f"`{_word(label)}`" for label in had)
        return Stopped(
            Conclusion.CANCELLED,
            f"The label {named} was taken off the issue during the run.",
            "Re-apply the label when the work is still wanted.",
        )
    return None


def advised(stopped: Stopped, *, by_dispatch: bool) -> Stopped:
    """The same end; after a dispatch with advice for somebody who may have no label to apply again."""
    if not by_dispatch:
        return stopped
    remedy = stopped.remedy.replace("Re-apply the label, or start", "Start").replace(
        " (or start the workflow again)", ""
    )
    for written, instead in (("Re-apply the label", "Start the workflow again"), ("re-apply the label", _AGAIN)):
        remedy = remedy.replace(written, instead)
    return replace(stopped, remedy=remedy)


def same(left: str, right: str) -> bool:
    """Labels, logins and status names are compared without case, as GitHub does."""
    return left.casefold() == right.casefold()


def _approve(event: Event, ref: IssueRef, run: RunIdentity, facts: Facts) -> Approval | Stopped:
    """The approval, or why it is void. A dispatch approves the issue as it is now, a label only the words of its
    payload; who closes another issue approves nothing.
    """
    live, events = facts.live, facts.events
    if not live.is_open:
        closed_since = isinstance(event, Labelled) and event.issue.is_open
        conclusion = Conclusion.STALE if closed_since or run.attempt > 1 else Conclusion.DECLINED
        remedy = "Reopen it and re-apply the label when the work is still wanted."
        return Stopped(conclusion, f"{ref} is closed.", remedy)
    words = content_hash(live.title, live.body)
    if isinstance(event, Dispatched):
        return Approval(by=event.sender, event_id=run.run_id, at=facts.now, content_hash=words, by_dispatch=True)
    if isinstance(event, Closed):
        return _waited(event, ref, facts, words)
    if not _has(live.labels, event.label):
        return _void(Conclusion.STALE, f"The label `{event.label}` was removed from {ref}.")
    applied = approving_event(event, events)
    if applied is None:
        who = event.sender.login
        return _void(Conclusion.STALE, f"The timeline of {ref} does not show that `{who}` applied the label.")
    if void := _void_since(ref, applied, events):
        return void
    if content_hash(event.issue.title, event.issue.body) != words:
        part = "title" if event.issue.title != live.title else "body"
        return _void(Conclusion.CONTENT_CHANGED, f"The {part} of {ref} changed after the label was applied.")
    return Approval(by=event.sender, event_id=applied.id, at=applied.at, content_hash=words, label=event.label)


def _waited(event: Closed, ref: IssueRef, facts: Facts, words: str) -> Approval | Stopped:
    """The approval that waited until `event`, or why it is none any more."""
    kept = facts.waiting
    if kept is None:
        reason = f"{event.issue.ref} was closed, and no approval of {ref} waited for that."
        return _declined(reason, f"Apply the label to {ref} to start it.", quiet=True)
    if kept.by.id not in facts.writers:
        reason = f"`{_word(kept.by.login)}`, who approved {ref}, may not write any more."
        return _void(Conclusion.STALE, reason)
    if kept.content_hash != words:
        return _void(Conclusion.CONTENT_CHANGED, f"The text of {ref} changed after it was approved.")
    if kept.by_dispatch:
        return kept
    applied = next((e for e in facts.events if (e.id, e.kind, e.label) == (kept.event_id, "labeled", kept.label)), None)
    if applied is None or applied.actor is None or applied.actor.id != kept.by.id:
        return _void(Conclusion.STALE, f"The timeline of {ref} does not show the approval that our comment keeps.")
    if not _has(facts.live.labels, kept.label):
        return _void(Conclusion.STALE, f"The label `{_word(kept.label)}` was removed from {ref}.")
    return _void_since(ref, applied, facts.events) or kept


def _void_since(ref: IssueRef, applied: IssueEvent, events: tuple[IssueEvent, ...]) -> Stopped | None:
    """What happened after the label was `applied` that takes its meaning away."""
    later = events[events.index(applied) + 1 :]
    if any(entry.kind == "unlabeled" and entry.label == applied.label for entry in later):
        reason = f"The label `{applied.label}` was removed from {ref} and applied again by someone else"
        return _void(Conclusion.STALE, f"{reason}, who has a run of their own.")
    if any(entry.kind == "renamed" for entry in later):
        return _void(Conclusion.CONTENT_CHANGED, f"{ref} was renamed after the label was applied.")
    return None


def _void(conclusion: Conclusion, reason: str) -> Stopped:
    return Stopped(conclusion, reason, "Read the issue as it is now and re-apply the label.")


def _usable_target(name: str, facts: Facts) -> Repository | Stopped:
    """A repository and a branch to work in, or a precise question."""
    if facts.target is None:
        return _ask(
            f"The repository {name} does not exist, or the token cannot see it.",
            "Which repository is the change for, and may the token read it?",
        )
    if facts.target.archived or facts.target.disabled:
        kind = "archived" if facts.target.archived else "disabled"
        return _config_error(
            f"The repository {name} is {kind}: nothing can be written to it.",
            "Unarchive it, or name another `target_repository`.",
        )
    if not facts.base_exists:
        return _ask(
            f"{name} has no branch `{facts.base_branch}`.",
            f"Which branch of {name} should the pull request go to (input `base_branch`)?",
        )
    return facts.target


def _ask(reason: str, question: str) -> Stopped:
    remedy = "Answer the question, correct the inputs or the issue, and re-apply the label."
    return Stopped(Conclusion.NEEDS_INFO, reason, remedy, questions=(question,))


def _has(names: Iterable[str], wanted: str) -> bool:
    return any(same(name, wanted) for name in names)


def _has_prefix(title: str, prefix: str) -> bool:
    """True when `title` in NFC starts with `prefix`, code point by code point, and no mark or invisible character
    continues it.
    """
    normal = unicodedata.normalize("NFC", title)
    following = normal[len(prefix) : len(prefix) + 1]
    continued = bool(following) and unicodedata.category(following)[0] in "MC"
    return normal.startswith(unicodedata.normalize("NFC", prefix)) and not continued


def is_allowed_bot(allowed: Collection[int | str], actor: Actor) -> bool:
    """A login counts only for an account of type Bot, and only in the form that GitHub keeps for Apps (`name[bot]`):
    no person can have such a login, and no other App can have it while this one exists.
    """
    if actor.kind is not ActorKind.BOT:
        return False
    return actor.id in allowed or actor.login.casefold() in allowed


def _word(name: str) -> str:
    """A login or label from a payload, printable and short."""
    return "".join(c if c.isprintable() and c != "`" else "?" for c in name[:60])
