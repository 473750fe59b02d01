"""Claim an item, and give it back: one branch, one comment, one run at work (docs/decisions/0002-claim-and-lock.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ops_agent.config.settings import Settings
from ops_agent.issue.claims import (
    DONE_STATES,
    LEASE_MARGIN_SECONDS,
    Seen,
    SeenClaim,
    Step,
    branch_name,
    claims_among,
    decide,
    epoch,
    holder,
    is_our_branch,
    is_own_earlier_attempt,
    pull_request_record,
)
from ops_agent.model.errors import Conflict, GitHubError, NotFound, OpsAgentError, as_error
from ops_agent.model.event import RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.model.proposal import Claim
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.progress import stopped_text
from ops_agent.run.admit import People
from ops_agent.run.conclude import conclude, of_our_branch
from ops_agent.run.progress import Phase, begin, comment_text, put_back, start, write

# What our branch stands on when it exists already: its base commit, its head, and whether anybody else wrote to it.

_NAMED_AUTHORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """`outdated`: the branch has no commit of its own and the base has moved on, so it may be made anew."""

    base: str
    head: str
    outdated: bool = False


def find_ground(world: World, item: WorkItem, wanted: Claim, seen: Seen) -> Ground | Stopped:
    """Base and head of the existing branch. `stale` when others committed to it (M07) or nobody knows where it was made
    from.
    """
    repository = item.target.full_name
    head = world.branches.head(repository, wanted.branch)
    if head is None:  # deleted since; the release of another run came in between
        if not world.branches.create(repository, wanted.branch, wanted.base_commit):
            raise Conflict(
                f"The branch {wanted.branch} of {repository} was deleted and made again while it was claimed."
            )
        head = wanted.base_commit
    if head == wanted.base_commit:
        return Ground(base=head, head=head)
    known = seen.published.base if seen.published else seen.holder.record.base if seen.holder else None
    if (
        known is not None
        and known != wanted.base_commit
        and not _is_on_base(world, repository, known, wanted.base_commit)
    ):
        return _stale(
            f"The branch {wanted.branch} is said to be made from {known[:12]}, which is no commit of {item.base_branch}.",
            "Close its pull request, if there is one, and delete the branch",
        )
    own = world.branches.commits_between(repository, known or wanted.base_commit, head)
    if not own and seen.open is None:
        return Ground(base=head, head=head, outdated=True)
    foreign = [
        author.login if author else "somebody without a GitHub account"
        for _, author in own
        if author is None or author.id != _me(world)
    ]
    if foreign:
        names = ", ".join(sorted(set(foreign))[:_NAMED_AUTHORS])
        return _stale(
            f"The branch {wanted.branch} holds commits of {names}.",
            "Finish it by hand, or take these commits off the branch",
        )
    if known is None:
        return _stale(
            f"The branch {wanted.branch} holds commits, but nothing says what it was made from.", "Delete the branch"
        )
    return Ground(base=known, head=head)


def fresh_branch(world: World, item: WorkItem, claimed: Claim, base: str) -> Claim:
    """The branch at today's base. Called by the holder of the claim only, so no run of ours stands on the old one."""
    repository = item.target.full_name
    world.branches.delete(repository, claimed.branch)
    if not world.branches.create(repository, claimed.branch, base):
        found = world.branches.head(repository, claimed.branch)
        if found is None:
            raise Conflict(f"The branch {claimed.branch} of {repository} was deleted while it was claimed.")
        base = found
    return replace(claimed, base_commit=base, head_commit=base)


def _is_on_base(world: World, repository: str, commit: str, base: str) -> bool:
    """Records can be edited by everybody who may write, and GitHub serves the commits of every fork: only what passed
    the base branch is a place to start from, since what stands there is not judged again."""
    try:
        return not world.branches.commits_between(repository, base, commit)
    except NotFound:
        return False


def _me(world: World) -> int:
    return world.issues.viewer().id


def _stale(reason: str, remedy: str) -> Stopped:
    return Stopped(conclusion=Conclusion.STALE, reason=reason, remedy=f"{remedy}, then put the label again.")


# Why a run ended, as one value and as text for people: a "no", an error of ours, a cancellation or a bug.


def as_stopped(why: Stopped | BaseException) -> Stopped:
    if isinstance(why, Stopped):
        return why
    error = as_error(why)
    return Stopped(conclusion=error.conclusion, reason=str(error), remedy=error.hint, findings=error.findings)


def stopped_says(world: World, stopped: Stopped) -> str:
    """Markdown for the comment. When the redaction fails, only the conclusion is told."""
    try:
        return world.redact(stopped_text(stopped))
    except Exception:
        return f"**{stopped.conclusion.value}**: the reason is withheld, because its redaction failed."


_LOOK_AGAIN_SECONDS = 2.0
_MOST_LOOKS = 12
_SECONDS_WHEN_CANCELLED = 2.0


def claim(world: World, settings: Settings, item: WorkItem, run: RunIdentity) -> Claim | Stopped:
    """The right to work on `item`, or why not (`duplicate`, `declined`, `stale`, `config_error`).

    Creating the branch is the lock; the comment on the issue is the lease. Nothing is written in a dry run.
    """
    branch = branch_name(settings.branch_prefix, item)
    if not is_our_branch(branch, settings.branch_prefix, item):
        return Stopped(
            conclusion=Conclusion.CONFIG_ERROR,
            reason=f"{branch} cannot be a branch of ours: it must be `branch_prefix` and a number, and not the base branch.",
            remedy="Correct the inputs `branch_prefix` and `base_branch`.",
        )
    base = world.branches.head(item.target.full_name, item.base_branch)
    if base is None:
        return Stopped(
            conclusion=Conclusion.CONFIG_ERROR,
            reason=f"There is no branch {item.base_branch} in {item.target.full_name} (renamed, or the repository is empty).",
            remedy="Correct the input `base_branch`, or make a first commit, and put the label again.",
        )
    if settings.dry_run:
        return Claim(branch=branch, base_commit=base, head_commit=base, comment_id=None)
    return _claim(world, settings, item, run, Claim(branch=branch, base_commit=base, head_commit=base, comment_id=None))


def _claim(world: World, settings: Settings, item: WorkItem, run: RunIdentity, wanted: Claim) -> Claim | Stopped:
    repository, branch = item.target.full_name, wanted.branch
    created, began = False, world.clock.monotonic()
    for _ in range(_MOST_LOOKS):
        seen = _look(world, settings, item, run, branch, waited=world.clock.monotonic() - began)
        step = decide(item, run, seen, settings.limits.timeout_seconds + LEASE_MARGIN_SECONDS)
        if isinstance(step, Stopped):
            return step
        if step is Step.FINISH:
            return _finish(world, settings, item, run, wanted, seen)
        created = created or (seen.open is None and world.branches.create(repository, branch, wanted.base_commit))
        if not created:
            step = decide(
                item, run, replace(seen, branch_exists=True), settings.limits.timeout_seconds + LEASE_MARGIN_SECONDS
            )
        if step is not Step.WAIT:
            return _take(world, settings, item, run, wanted, seen, created)
        world.clock.sleep(_LOOK_AGAIN_SECONDS)
    raise GitHubError(f"The branch {branch} of {repository} is taken and released again and again; this run gave up.")


def _take(
    world: World, settings: Settings, item: WorkItem, run: RunIdentity, wanted: Claim, seen: Seen, created: bool
) -> Claim | Stopped:
    try:
        ground: Ground | Stopped = Ground(base=wanted.base_commit, head=wanted.base_commit)
        if not created:
            ground = find_ground(world, item, wanted, seen)
        if isinstance(ground, Stopped):
            return ground
        claimed = replace(wanted, base_commit=ground.base, head_commit=ground.head, existing=seen.open)
        comment_id = _comment(world, item, run, claimed, seen.holder)
        if isinstance(comment_id, Stopped):
            return comment_id
        begin(item, comment_id, run)
        claimed = replace(claimed, comment_id=comment_id)
        if ground.outdated:
            claimed = fresh_branch(world, item, claimed, wanted.base_commit)
        note = start(world, settings, item)
    except OpsAgentError:
        if created:
            _delete_untouched(world, item, wanted)
        raise
    if note or claimed.base_commit != ground.base:
        claimed = replace(claimed, notes=(note,) if note else ())
        write(world, item, claimed, run, Phase.CLAIMED, "")
    return claimed


def _comment(world: World, item: WorkItem, run: RunIdentity, claimed: Claim, before: SeenClaim | None) -> int | Stopped:
    """Write our claim and see whether it is the one in force: an own dead attempt's comment is edited, anybody else's
    is replaced.
    """
    ref = item.issue.ref
    if before is not None and is_own_earlier_attempt(before.record, run):
        comment_id = before.comment_id
        text = comment_text(item, claimed, run, Phase.CLAIMED, "", after=before.record.after)
        world.issues.update_comment(ref.repository, comment_id, text)
    else:
        text = comment_text(item, claimed, run, Phase.CLAIMED, "", after=before.comment_id if before else 0)
        comment_id = world.issues.create_comment(ref, text).id
    found = claims_among(world.issues.comments(ref), world.issues.viewer().id)
    winner = holder(found)
    if winner is None or winner.comment_id != comment_id:
        world.issues.delete_comment(ref.repository, comment_id)
        return Stopped(
            conclusion=Conclusion.DUPLICATE,
            reason="Another run took this issue at the same instant."
            if winner
            else "The claim was withdrawn at the same instant.",
            remedy="Wait until it has ended.",
        )
    for other in found:
        if other.comment_id != comment_id:
            world.issues.delete_comment(ref.repository, other.comment_id)
    return comment_id


def _look(world: World, settings: Settings, item: WorkItem, run: RunIdentity, branch: str, waited: float) -> Seen:
    found = of_our_branch(world, settings, item, branch)
    held = holder(claims_among(world.issues.comments(item.issue.ref), world.issues.viewer().id))
    current = next((p for p in found.counting if p.is_open), found.counting[0] if found.counting else None)
    published = pull_request_record(current.body) if current else None
    finished = None
    if held is not None and held.record.state not in DONE_STATES and not is_own_earlier_attempt(held.record, run):
        finished = world.issues.run_is_finished(held.record.repository, held.record.run_id)
    reviewed = False
    if (
        current is not None
        and current.is_open
        and published is not None
        and published.content == item.approval.content_hash
    ):
        reviewed = _reviewed_since(world, settings, item, current.number, published.at)
    return Seen(
        pull_requests=found.counting,
        strangers=found.strangers,
        published=published,
        reviewed=reviewed,
        holder=held,
        holder_finished=finished,
        waited=waited,
        now=world.clock.now(),
    )


def _reviewed_since(world: World, settings: Settings, item: WorkItem, number: int, published_at: int) -> bool:
    """Whether somebody who may write asked for something after the publication; an approval asks for nothing."""
    repository = item.target.full_name
    people = People(world.issues, settings)
    for review in world.pull_requests.reviews(repository, number):
        asks = review.verdict in ("CHANGES_REQUESTED", "COMMENTED") and epoch(review.at) > published_at
        if asks and review.author.id != world.issues.viewer().id and people.may_write(repository, review.author):
            return True
    return False


def _finish(world: World, settings: Settings, item: WorkItem, run: RunIdentity, wanted: Claim, seen: Seen) -> Stopped:
    """The pull request is out, but its run died before the last steps: do them, without asking the llm again."""
    pull_request, held = seen.open, seen.holder
    assert pull_request is not None and held is not None and seen.published is not None  # noqa: S101 - what FINISH means
    finished = replace(
        wanted, base_commit=seen.published.base, head_commit=pull_request.head_commit, comment_id=held.comment_id
    )
    begin(item, held.comment_id, run)
    paths = world.pull_requests.files(item.target.full_name, pull_request.number)
    conclude(world, settings, item, finished, run, pull_request, seen.published.labels, paths, ())
    return Stopped(
        conclusion=Conclusion.DUPLICATE,
        reason=f"Pull request #{pull_request.number} was published by an earlier attempt; its last steps are done ({pull_request.url}).",
        remedy="Review the pull request.",
    )


def release(
    world: World, settings: Settings, item: WorkItem, claim: Claim, run: RunIdentity, why: Stopped | BaseException
) -> None:
    """Give the item back: why and what to do in the comment, the card back to Ready, an untouched branch deleted.

    Never raises an OpsAgentError: the run ends for another reason already. A pull request and a branch with commits
    stay. A cancelled run has no time (N01): what is not begun within two seconds is left to the next run.
    """
    if settings.dry_run:
        return
    began = world.clock.monotonic()

    def in_time() -> bool:
        return not isinstance(why, KeyboardInterrupt) or world.clock.monotonic() - began < _SECONDS_WHEN_CANCELLED

    write(world, item, claim, run, Phase.STOPPED, stopped_says(world, as_stopped(why)))
    if claim.existing is None and in_time():
        put_back(world, settings, item)
    if claim.existing is None and in_time():
        _delete_untouched(world, item, claim)


def _delete_untouched(world: World, item: WorkItem, claim: Claim) -> None:
    """Delete the branch when it stands where we made it and no pull request was ever made of it."""
    repository = item.target.full_name
    try:
        untouched = world.branches.head(repository, claim.branch) == claim.base_commit
        if untouched and not world.pull_requests.of_branch(repository, claim.branch):
            world.branches.delete(repository, claim.branch)
    except GitHubError as error:
        world.reporter.annotate("warning", f"The branch {claim.branch} could not be deleted: {error}")
