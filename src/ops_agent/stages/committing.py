"""Up to the commit: is it still wanted, has the base moved, and is what GitHub made of it exactly base plus changes?"""

from __future__ import annotations

from ops_agent.core.claims.publication import CommitStep, commit_steps, moved_paths, tree_problems, unwritable
from ops_agent.core.texts.neutral import code
from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.proposal import Claim, Proposal
from ops_agent.domain.work_item import WorkItem, content_hash
from ops_agent.errors import NotFound, PolicyViolation
from ops_agent.ports import BaseTree, World
from ops_agent.settings import Settings

_NAMED_PATHS = 5


def still_wanted(world: World, settings: Settings, item: WorkItem) -> tuple[str, ...] | Stopped:
    """Look at the issue again before anything is written. An edit of its text lets the approved text finish and is noted."""
    again = "Put the label again when the work is still wanted."
    try:
        live = world.code_host.issue(item.issue.ref)
    except NotFound as gone:
        return _stale(
            f"The issue is gone since the run began: {gone}", "Nothing was published. Open a new issue when the work is still wanted."
        )
    if not live.is_open:
        return _stale("The issue was closed while the run was at work.", "Nothing was published. Reopen it and put the label again.")
    if live.locked:
        return _stale("The issue was locked while the run was at work.", "Nothing was published. Unlock it and put the label again.")
    triggers = {label.casefold() for label in settings.label_trigger}
    if not item.approval.by_dispatch and not triggers & {label.casefold() for label in live.labels}:
        return _stale("The approving label was taken off while the run was at work.", f"Nothing was published. {again}")
    if content_hash(live.title, live.body) != item.approval.content_hash:
        return ("The issue's text was edited after its approval; this change implements the approved text.",)
    return ()


def base_moved(world: World, item: WorkItem, claim: Claim, changes: ChangeSet) -> tuple[str, ...] | Stopped:
    """A note when the base branch has moved on without touching our files, `stale` when it touched one (M08)."""
    host, repository = world.code_host, item.target.full_name
    now = host.branch_head(repository, item.base_branch)
    if now is None:
        return _stale(f"The branch {item.base_branch} is gone.", "Correct the input `base_branch` and put the label again.")
    if now == claim.base_commit:
        return ()
    moved = moved_paths(host.base_tree(repository, claim.base_commit).entries(), host.base_tree(repository, now).entries())
    common = sorted(moved & set(changes.paths))
    if common:
        return _stale(
            f"{item.base_branch} has moved on since the run began and changed files of this change: {', '.join(common[:_NAMED_PATHS])}.",
            "Nothing was published. "
            + (
                "Put the label again for a new start."
                if claim.existing is None
                else "Settle the pull request by hand, or close it and open a new issue."
            ),
        )
    return (f"Made and planned on {claim.base_commit[:12]}; {code(item.base_branch)} has moved on to {now[:12]} since, in other files.",)


def commit(world: World, item: WorkItem, claim: Claim, changes: ChangeSet, text: Proposal) -> str:
    """The commit on our branch whose tree is base plus `changes`: made now, or found there from an attempt that died after it.

    Raises Conflict when the branch moved, PolicyViolation when the tree that GitHub reports is another one.
    """
    host, repository = world.code_host, item.target.full_name
    base = host.base_tree(repository, claim.base_commit)
    problems = unwritable(base.entries(), changes)
    if problems:
        raise PolicyViolation(f"The change cannot be committed: {'; '.join(problems[:_NAMED_PATHS])}.")
    head = base if claim.head_commit == claim.base_commit else host.base_tree(repository, claim.head_commit)
    steps = commit_steps(base.entries(), head.entries(), changes)
    made = claim.head_commit
    if steps:
        writes = ChangeSet(base_commit=claim.head_commit, changes=tuple(_file_change(base, head, step) for step in steps))
        made = host.commit_changes(repository, claim.branch, claim.head_commit, text.commit_headline, text.commit_body, writes)
    differences = tree_problems(base.entries(), changes, host.base_tree(repository, made).entries())
    if differences:
        raise PolicyViolation(f"The commit {made[:12]} is not base plus changes: {'; '.join(differences[:_NAMED_PATHS])}.")
    return made


def _file_change(base: BaseTree, head: BaseTree, step: CommitStep) -> FileChange:
    before = head.entries().get(step.path)
    return FileChange(
        path=step.path,
        before=None if before is None else b"",
        after=base.read(step.path) if step.restore else step.content,
    )


def _stale(reason: str, remedy: str) -> Stopped:
    return Stopped(conclusion=Conclusion.STALE, reason=reason, remedy=remedy)
