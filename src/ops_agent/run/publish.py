"""Publish: one commit by API on our branch, one pull request, and the comment. Every step looks first, then does, then
verifies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ops_agent.config.settings import Settings
from ops_agent.issue.claims import (
    MOST_BODY_CHARACTERS,
    CommitStep,
    PullRequestRecord,
    as_patch,
    commit_steps,
    is_our_branch,
    is_workflow,
    link_problem,
    moved_paths,
    split_by_abilities,
    stranger_in_the_way,
    tree_problems,
    unwritable,
)
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import (
    Conflict,
    GitHubError,
    NeedsWorkflowsPermission,
    NotFound,
    NotPermitted,
    PolicyViolation,
)
from ops_agent.model.event import RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.proposal import Claim, Proposal, PullRequest
from ops_agent.model.work_item import WorkItem, content_hash
from ops_agent.run.conclude import conclude, is_strangers
from ops_agent.run.propose import find_overlaps, in_sentences
from ops_agent.text.markdown import as_kept, code

# Up to the commit: is it still wanted, has the base moved, and is what GitHub made of it exactly base plus changes?

_NAMED_PATHS = 5


def still_wanted(world: World, settings: Settings, item: WorkItem) -> tuple[str, ...] | Stopped:
    """Look at the issue again before anything is written. An edit of its text lets the approved text finish and is
    noted.
    """
    again = "Put the label again when the work is still wanted."
    try:
        live = world.issues.issue(item.issue.ref)
    except NotFound as gone:
        return _committing_stale(
            f"The issue is gone since the run began: {gone}",
            "Nothing was published. Open a new issue when the work is still wanted.",
        )
    if not live.is_open:
        return _committing_stale(
            "The issue was closed while the run was at work.",
            "Nothing was published. Reopen it and put the label again.",
        )
    if live.locked:
        return _committing_stale(
            "The issue was locked while the run was at work.",
            "Nothing was published. Unlock it and put the label again.",
        )
    triggers = {label.casefold() for label in settings.labels.label_trigger}
    if not item.approval.by_dispatch and not triggers & {label.casefold() for label in live.labels}:
        return _committing_stale(
            "The approving label was taken off while the run was at work.", f"Nothing was published. {again}"
        )
    if content_hash(live.title, live.body) != item.approval.content_hash:
        return ("The issue's text was edited after its approval; this change implements the approved text.",)
    return ()


def base_moved(world: World, item: WorkItem, claim: Claim, changes: ChangeSet) -> tuple[str, ...] | Stopped:
    """A note when the base branch has moved on without touching our files, `stale` when it touched one (M08)."""
    repository = item.target.full_name
    now = world.branches.head(repository, item.base_branch)
    if now is None:
        return _committing_stale(
            f"The branch {item.base_branch} is gone.", "Correct the input `base_branch` and put the label again."
        )
    if now == claim.base_commit:
        return ()
    moved = moved_paths(
        world.branches.tree(repository, claim.base_commit).entries(), world.branches.tree(repository, now).entries()
    )
    common = sorted(moved & set(changes.paths))
    if common:
        return _committing_stale(
            f"{item.base_branch} has moved on since the run began and changed files of this change: {', '.join(common[:_NAMED_PATHS])}.",
            "Nothing was published. "
            + (
                "Put the label again for a new start."
                if claim.existing is None
                else "Settle the pull request by hand, or close it and open a new issue."
            ),
        )
    return (
        f"Made and planned on {claim.base_commit[:12]}; {code(item.base_branch)} has moved on to {now[:12]} since, in other files.",
    )


def commit(world: World, item: WorkItem, claim: Claim, changes: ChangeSet, text: Proposal) -> str:
    """The commit on our branch whose tree is base plus `changes`: made now, or found there from an attempt that died
    after it.

    Raises Conflict when the branch moved, PolicyViolation when the tree that GitHub reports is another one.
    """
    repository = item.target.full_name
    base = world.branches.tree(repository, claim.base_commit)
    problems = unwritable(base.entries(), changes)
    if problems:
        raise PolicyViolation(f"The change cannot be committed: {'; '.join(problems[:_NAMED_PATHS])}.")
    head = base if claim.head_commit == claim.base_commit else world.branches.tree(repository, claim.head_commit)
    steps = commit_steps(base.entries(), head.entries(), changes)
    made = claim.head_commit
    if steps:
        writes = ChangeSet(
            base_commit=claim.head_commit, changes=tuple(_file_change(base, head, step) for step in steps)
        )
        made = world.branches.commit(
            repository, claim.branch, claim.head_commit, text.commit_headline, text.commit_body, writes
        )
    differences = tree_problems(base.entries(), changes, world.branches.tree(repository, made).entries())
    if differences:
        raise PolicyViolation(
            f"The commit {made[:12]} is not base plus changes: {'; '.join(differences[:_NAMED_PATHS])}."
        )
    return made


def _file_change(base: BaseTree, head: BaseTree, step: CommitStep) -> FileChange:
    before = head.entries().get(step.path)
    return FileChange(
        path=step.path,
        before=None if before is None else b"",
        after=base.read(step.path) if step.restore else step.content,
    )


def _committing_stale(reason: str, remedy: str) -> Stopped:
    return Stopped(conclusion=Conclusion.STALE, reason=reason, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The pull request that now is the item's. `left_out` are workflow files that the token may not write (offered as a
    patch).

    In a dry run nothing was written: `pull_request` has number 0 and carries the text.
    """

    pull_request: PullRequest
    updated: bool
    commit: str
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    dry_run: bool = False


def publish(
    world: World,
    settings: Settings,
    item: WorkItem,
    claim: Claim,
    run: RunIdentity,
    changes: ChangeSet,
    proposal: Proposal,
) -> Published | Stopped:
    """The item's pull request, or `stale`, `not_permitted`, `needs_workflows_permission`.

    Raises PolicyViolation when what would be written, or what GitHub made of it, is not base plus `changes`.
    """
    if not is_our_branch(claim.branch, settings.branch_prefix, item):
        raise PolicyViolation(f"{claim.branch} is not a branch that ops-agent may write to.")
    kept, left = changes, ChangeSet(base_commit=changes.base_commit, changes=())
    if any(is_workflow(path) for path in changes.paths):
        kept, left = split_by_abilities(changes, world.issues.token_abilities(item.target.full_name))
    if not kept.changes:
        return _needs_workflows("The token may not write workflow files, and the change holds nothing else.", left)
    if settings.dry_run:
        return _dry(world, item, claim, proposal, left)
    notes = still_wanted(world, settings, item)
    if isinstance(notes, Stopped):
        return notes
    moved = base_moved(world, item, claim, kept)
    if isinstance(moved, Stopped):
        return moved
    overlaps = find_overlaps(world, settings, item, claim.branch, kept.paths)
    notes = tuple(world.redact(note) for note in (*notes, *moved, *in_sentences(overlaps)))
    text = _text(world, settings, item, claim, kept, proposal, notes)
    try:
        made = commit(world, item, claim, kept, text)
    except NeedsWorkflowsPermission as refused:
        return _needs_workflows(
            str(refused),
            ChangeSet(base_commit=kept.base_commit, changes=tuple(c for c in kept.changes if is_workflow(c.path))),
        )
    except Conflict as conflict:
        return _stale(str(conflict), "Look at the branch; put the label again when the other change is settled.")
    opened = _open(world, settings, item, claim, run, text)
    if isinstance(opened, Stopped):
        return opened
    pull_request, warnings = opened
    if proposal.overflow:
        world.reporter.summary(world.redact(proposal.overflow))
    warnings = conclude(world, settings, item, claim, run, pull_request, text.labels, kept.paths, warnings, overlaps)
    return Published(
        pull_request=pull_request,
        updated=claim.existing is not None,
        commit=made,
        warnings=warnings,
        left_out=left.paths,
    )


def _text(
    world: World,
    settings: Settings,
    item: WorkItem,
    claim: Claim,
    changes: ChangeSet,
    proposal: Proposal,
    notes: tuple[str, ...],
) -> Proposal:
    """The proposal with notes (above everything: they are about merging), record and final labels and draft state.

    Checked for exactly one closing keyword before anything is sent.
    """
    labels = tuple(dict.fromkeys((*settings.pr_labels, *proposal.labels)))
    record = PullRequestRecord(
        issue=str(item.issue.ref),
        key=item.key,
        content=item.approval.content_hash,
        base=claim.base_commit,
        changes=changes.digest,
        at=int(world.clock.now()),
        labels=labels,
    )
    alert = "> [!WARNING]\n" + "\n>\n".join(f"> {note}" for note in notes) if notes else ""
    body = "\n\n".join(part for part in (alert, proposal.body.rstrip(), record.line) if part)
    if len(body) > MOST_BODY_CHARACTERS:
        raise PolicyViolation(
            f"The pull request's text has {len(body):,} characters; GitHub takes {MOST_BODY_CHARACTERS:,}."
        )
    said = (proposal.title, body, f"{proposal.commit_headline}\n\n{proposal.commit_body}")
    problem = link_problem(said, item.target.full_name, item.issue.ref)
    if problem:
        raise PolicyViolation(f"The pull request cannot be published: {problem}.")
    draft = {"true": True, "false": False}.get(settings.draft, proposal.draft)
    return replace(proposal, body=body, labels=labels, draft=draft)


def _open(
    world: World, settings: Settings, item: WorkItem, claim: Claim, run: RunIdentity, text: Proposal
) -> tuple[PullRequest, tuple[str, ...]] | Stopped:
    """Create the pull request or update it in place, and read back what GitHub keeps (an oversize update is answered
    200 and dropped).
    """
    repository, warnings = item.target.full_name, []
    if claim.existing is None:
        try:
            sent = world.pull_requests.create(
                repository, claim.branch, item.base_branch, text.title, text.body, text.draft
            )
        except NotPermitted as refused:
            link = f"{run.server_url}/{repository}/compare/{item.base_branch}...{claim.branch}?expand=1"
            return Stopped(
                conclusion=Conclusion.NOT_PERMITTED,
                reason=f"The commit is on the branch {claim.branch}, but the pull request could not be opened: {refused}",
                remedy=f"Open it by hand at {link} or: {refused.hint}",
            )
        if is_strangers(world, settings, item, sent):
            return stranger_in_the_way(sent)
    else:
        sent = world.pull_requests.update(repository, claim.existing.number, text.title, text.body)
    kept = next((p for p in world.pull_requests.of_branch(repository, claim.branch) if p.number == sent.number), sent)
    if (kept.title.strip(), as_kept(kept.body)) != (text.title.strip(), as_kept(text.body)):
        kept = world.pull_requests.update(repository, kept.number, text.title, text.body)
    if as_kept(kept.body) != as_kept(text.body):
        warnings.append(
            "GitHub keeps another text of the pull request than the one that was sent; the run's summary has it."
        )
        world.reporter.summary(world.redact(text.body))
    if kept.draft != text.draft:
        try:
            world.pull_requests.set_draft(kept, text.draft)
            kept = replace(kept, draft=text.draft)
        except GitHubError as error:
            warnings.append(f"The pull request could not be set to {'draft' if text.draft else 'ready'}: {error}")
    return kept, tuple(warnings)


def _dry(world: World, item: WorkItem, claim: Claim, proposal: Proposal, left: ChangeSet) -> Published:
    imagined = PullRequest(
        number=0,
        node_id="",
        url="",
        title=proposal.title,
        body=proposal.body,
        head_branch=claim.branch,
        head_commit=claim.head_commit,
        base_branch=item.base_branch,
        is_open=False,
        merged=False,
        draft=proposal.draft,
        labels=proposal.labels,
    )
    world.reporter.line("Dry run: nothing was written.")
    return Published(pull_request=imagined, updated=False, commit=claim.head_commit, left_out=left.paths, dry_run=True)


def _needs_workflows(reason: str, left: ChangeSet) -> Stopped:
    return Stopped(
        conclusion=Conclusion.NEEDS_WORKFLOWS_PERMISSION,
        reason=reason,
        remedy=NeedsWorkflowsPermission.default_hint,
        patch=as_patch(left),
    )


def _stale(reason: str, remedy: str) -> Stopped:
    return Stopped(conclusion=Conclusion.STALE, reason=reason, remedy=remedy)
