"""Whether an issue may be worked on: decisions only, over facts that `stages/admit.py` gathered.

Three questions in the order of what they cost: `before_asking` (the event alone), `who_must_write` and `refuse_people` (permissions),
`decide` (everything else). A "no" is a Stopped; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ops_agent.core.intake.admission_approval import ALLOW_DESTROY, approve, labellers
from ops_agent.core.intake.admission_identity import is_ours, lacks_identity, same
from ops_agent.core.intake.admission_readiness import readiness, stands_for_ready
from ops_agent.domain.event import (
    Actor,
    ActorKind,
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
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.work_item import Approval
from ops_agent.ports import BoardCard
from ops_agent.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What GitHub said when the run started. `writers` are ids of accounts that may write (allowed bots included).

    `target` None: there is no such repository, or the token cannot see it. `base_exists` and `claimed_before` are about `base_branch` and
    our own branch in the target. `now` is ISO 8601 UTC.
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
        if not any(same(event.label, label) for label in settings.label_trigger):
            return _stop(
                Conclusion.DECLINED,
                f"The label `{_word(event.label)}` does not start ops-agent.",
                f"Put one of the labels {', '.join(f'`{label}`' for label in settings.label_trigger)} to start it.",
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
    """`permissions` by (repository, login): everyone of `who_must_write` on every repository that the run touches (A01, A09, A12, A17)."""
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
    put_by_writers = tuple(label for label, actor in labellers(settings, facts.live, facts.events).items() if actor.id in facts.writers)
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
            f"{name} has no branch `{facts.base_branch}`.", f"Which branch of {name} should the pull request go to (input `base_branch`)?"
        )
    return facts.target


def _allowed_bot(settings: Settings, actor: Actor) -> bool:
    return actor.kind is ActorKind.BOT and actor.id in settings.allowed_bots


def _pull_request(ref: IssueRef) -> Stopped:
    return _stop(Conclusion.DECLINED, f"{ref} is a pull request, not an issue.", "Put the label on an issue.", quiet=True)


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
