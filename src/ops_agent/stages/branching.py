"""What our branch stands on when it exists already: its base commit, its head, and whether anybody else wrote to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ops_agent.core.claims.claiming import Seen
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.proposal import Claim
from ops_agent.domain.work_item import WorkItem
from ops_agent.errors import Conflict, NotFound
from ops_agent.ports import World

_NAMED_AUTHORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """`outdated`: the branch has no commit of its own and the base has moved on, so it may be made anew."""

    base: str
    head: str
    outdated: bool = False


def find_ground(world: World, item: WorkItem, wanted: Claim, seen: Seen) -> Ground | Stopped:
    """Base and head of the existing branch. `stale` when others committed to it (M07) or nobody knows where it was made from."""
    host, repository = world.code_host, item.target.full_name
    head = host.branch_head(repository, wanted.branch)
    if head is None:  # deleted since; the release of another run came in between
        if not host.create_branch(repository, wanted.branch, wanted.base_commit):
            raise Conflict(f"The branch {wanted.branch} of {repository} was deleted and made again while it was claimed.")
        head = wanted.base_commit
    if head == wanted.base_commit:
        return Ground(base=head, head=head)
    known = seen.published.base if seen.published else seen.holder.record.base if seen.holder else None
    if known is not None and known != wanted.base_commit and not _is_on_base(world, repository, known, wanted.base_commit):
        return _stale(
            f"The branch {wanted.branch} is said to be made from {known[:12]}, which is no commit of {item.base_branch}.",
            "Close its pull request, if there is one, and delete the branch",
        )
    own = host.branch_commits(repository, known or wanted.base_commit, head)
    if not own and seen.open is None:
        return Ground(base=head, head=head, outdated=True)
    foreign = [
        author.login if author else "somebody without a GitHub account" for _, author in own if author is None or author.id != _me(world)
    ]
    if foreign:
        names = ", ".join(sorted(set(foreign))[:_NAMED_AUTHORS])
        return _stale(f"The branch {wanted.branch} holds commits of {names}.", "Finish it by hand, or take these commits off the branch")
    if known is None:
        return _stale(f"The branch {wanted.branch} holds commits, but nothing says what it was made from.", "Delete the branch")
    return Ground(base=known, head=head)


def fresh_branch(world: World, item: WorkItem, claimed: Claim, base: str) -> Claim:
    """The branch at today's base. Called by the holder of the claim only, so no run of ours stands on the old one."""
    host, repository = world.code_host, item.target.full_name
    host.delete_branch(repository, claimed.branch)
    if not host.create_branch(repository, claimed.branch, base):
        found = host.branch_head(repository, claimed.branch)
        if found is None:
            raise Conflict(f"The branch {claimed.branch} of {repository} was deleted while it was claimed.")
        base = found
    return replace(claimed, base_commit=base, head_commit=base)


def _is_on_base(world: World, repository: str, commit: str, base: str) -> bool:
    """Records can be edited by everybody who may write, and GitHub serves the commits of every fork: only what passed the base branch is
    a place to start from, since what stands there is not judged again."""
    try:
        return not world.code_host.branch_commits(repository, base, commit)
    except NotFound:
        return False


def _me(world: World) -> int:
    return world.code_host.viewer().id


def _stale(reason: str, remedy: str) -> Stopped:
    return Stopped(conclusion=Conclusion.STALE, reason=reason, remedy=f"{remedy}, then put the label again.")
