"""parents: our one comment on a parent issue, made by a dispatch of it and brought up to date by every later run.

It is computed from what GitHub shows, never from what a run remembers: whichever run writes last says how things are.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import advised
from ops_agent.issue.claims import DONE_STATES, claims_among, holder, issue_branch
from ops_agent.issue.selection import Selection
from ops_agent.model.errors import GitHubError, NotFound, NotPermitted
from ops_agent.model.event import Closed, Comment, Dispatched, Event, IssueRef, RunIdentity
from ops_agent.model.ports import World
from ops_agent.pages.issue_comment import ANSWER_MARK
from ops_agent.pages.job_summary import SENTENCES
from ops_agent.pages.parent_comment import Row, parent_comment, remembered_pulls
from ops_agent.run.answer import answer
from ops_agent.run.select import standing

_ENDED = re.compile(r"(?m)^\*\*([a-z_]+)\*\*: ")


MAX_ANSWERS = 50
"""How many waiting sub-issues of a parent are answered in one run: GitHub limits how fast comments are made."""


def tell_selection(world: World, settings: Settings, event: Event, selection: Selection, run: RunIdentity) -> None:
    """Answer what the event named and what was not selected, keep the approvals that wait, and say on every parent how
    its sub-issues stand.
    """
    named = event.issues if isinstance(event, Dispatched) else selection.order
    waiting = [one for one in selection.declined if one.why.waiting is not None and one.ref not in named]
    told = [*(one for one in selection.declined if one.ref in named), *waiting[:MAX_ANSWERS]]
    for one in told:
        why = advised(one.why, by_dispatch=isinstance(event, Dispatched))
        answer(world, one.ref, why, run, dry_run=settings.dry_run)
    starting = {item.ref for item in selection.items}
    for parent in selection.parents:
        tell_parent(world, settings, parent, run, starting=starting, creates=True)
    if isinstance(event, Closed):
        tell_parent_of(world, settings, event.issue.ref, run)


def tell_parent(
    world: World,
    settings: Settings,
    parent: IssueRef,
    run: RunIdentity,
    *,
    starting: Collection[IssueRef] = (),
    creates: bool = False,
) -> None:
    """Say on `parent` where its sub-issues stand; those `starting` begin now. Only a dispatch of the parent `creates`
    the comment. A failure is a warning only.
    """
    if settings.dry_run or not run.run_id:
        return
    try:
        own = world.issues.viewer().id
        comments = world.issues.comments(parent)
        ours = [c for c in comments if c.author.id == own and c.body.startswith(ANSWER_MARK)]
        if not ours and not creates:
            return
        text = _text(world, settings, parent, run, starting, ours)
        if not text:
            return
        if ours:
            world.issues.update_comment(parent.repository, ours[0].id, text)
        else:
            world.issues.create_comment(parent, text)
        for other in ours[1:]:
            world.issues.delete_comment(parent.repository, other.id)
    except GitHubError as error:
        if not creates and isinstance(error, (NotFound, NotPermitted)):
            return  # a parent in a repository that this token does not reach
        world.reporter.annotate("warning", world.redact(f"The comment on {parent} could not be written: {error}"))


def tell_parent_of(world: World, settings: Settings, ref: IssueRef, run: RunIdentity) -> None:
    """The same for the parent of `ref`, if it has one that has such a comment."""
    if settings.dry_run or not run.run_id:
        return
    try:
        parent = world.issues.parent(ref)
    except GitHubError:
        return
    if parent is not None:
        tell_parent(world, settings, parent, run)


def _text(
    world: World,
    settings: Settings,
    parent: IssueRef,
    run: RunIdentity,
    starting: Collection[IssueRef],
    ours: list[Comment],
) -> str:
    """Empty when `parent` is no parent of work items."""
    selection = standing(world, settings, parent, run)
    if not selection.order or selection.order == (parent,):
        return ""
    target = settings.target_repository or run.repository
    opened = {p.head_branch: p for p in world.pull_requests.open_with_prefix(target, settings.branch_prefix)}
    known = {issue.ref: issue for issue in selection.items}
    known |= {one.ref: one.issue for one in selection.declined if one.issue is not None}
    declined = {one.ref: one.why for one in selection.declined}
    rows, pulls = [], remembered_pulls(ours[0].body) if ours else {}
    for ref in selection.order:
        issue = known.get(ref)
        pull = opened.get(issue_branch(settings.branch_prefix, issue, target)) if issue is not None else None
        if pull is not None and target == parent.repository:
            pulls[ref.number] = pull.number
        if issue is not None and not issue.is_open:
            state, then = "closed", ""
        elif pull is not None:
            state, then = f"worked on: pull request #{pull.number} is open", "Review it; a person merges."
        elif ref in declined:
            state, then = declined[ref].reason, declined[ref].remedy
        elif ref in starting:
            state, then = "starts now", "A run works on it; its comment shows how far it is."
        else:
            state, then = _run_of(world, ref)
        rows.append(Row(ref=ref, title=issue.title if issue else "", state=state, then=then))
    return world.redact(parent_comment(parent, rows, pulls, run))


def _run_of(world: World, ref: IssueRef) -> tuple[str, str]:
    """How the last run of a ready item without a pull request stands, and what to do."""
    own = world.issues.viewer().id
    comments = {c.id: c for c in world.issues.comments(ref)}
    held = holder(claims_among(comments.values(), own))
    if held is None:
        return "ready", "Dispatch this issue again, or apply the label to the sub-issue."
    if held.record.state not in DONE_STATES:
        return "a run is at work", "Its comment shows how far it is."
    found = _ENDED.search(comments[held.comment_id].body)
    sentence = next((said for end, said in SENTENCES.items() if found and end.value == found[1]), None)
    if found is None or sentence is None:
        return "worked on", "Its comment says what to do."
    return f"{found[1]}: {sentence}", f"The comment on #{ref.number} says what to do."
