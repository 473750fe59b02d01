"""publish: one commit on our branch, one pull request, then labels, board and comment. Each step reads first,
then writes, then verifies, so that the next attempt completes a run that died.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from ops_agent.config.settings import LabelSettings, Settings
from ops_agent.issue.admission import withdrawn
from ops_agent.issue.claims import PullRequestRecord, epoch, is_our_branch, untrusted_pull_request
from ops_agent.model.change_set import ChangeSet, Proposal, needs_workflows_permission
from ops_agent.model.errors import (
    Conflict,
    GitHubError,
    NeedsWorkflowsPermission,
    NotFound,
    NotPermitted,
    PolicyViolation,
)
from ops_agent.model.event import IssueRef, PullRequest
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, Branches, Issues, PullRequests, Reporter, World
from ops_agent.model.work_item import Claim, WorkItem, content_hash
from ops_agent.pages.fragments import joined, with_notes
from ops_agent.pages.issue_comment import published_text
from ops_agent.pages.rounds import THIS_COMMIT
from ops_agent.pages.verified import stamped
from ops_agent.run.commit import as_patch, commit, moved_paths, split_by_abilities
from ops_agent.run.permissions import PermissionReader
from ops_agent.run.progress import Phase, Progress, move_card
from ops_agent.text.markdown import as_kept, code

MAX_BODY_CHARACTERS = 65_000
_NAMED_PATHS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The item's pull request. `left_out` are workflow files that the token may not write (offered as a patch).

    In a dry run nothing was written: the pull request has number 0 and carries the text.
    """

    pull_request: PullRequest
    updated: bool
    commit: str
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


def publish(
    world: World,
    settings: Settings,
    progress: Progress,
    changes: ChangeSet,
    proposal: Proposal,
    unfinished: Stopped | None = None,
    edits: ChangeSet | None = None,
    start: BaseTree | None = None,
) -> Published | Stopped:
    """The item's pull request (`unfinished`: why it is no success), or `cancelled`, `stale`, `not_permitted`,
    `needs_workflows_permission`. `edits` are what our branch does not hold yet of `changes` (None: all), `start` as for
    `run.commit.commit`.

    Raises PolicyViolation when what would be written, or what GitHub made of it, is not the branch plus `edits`.
    """
    edits = changes if edits is None else edits
    item, claim, repository = progress.item, progress.claim, progress.item.target.full_name
    if not is_our_branch(claim.branch, settings.branch_prefix, item):
        raise PolicyViolation(f"{claim.branch} is not a branch that ops-agent may write to.")
    ask = partial(world.issues.token_abilities, repository)
    written, left = split_by_abilities(edits, ask, proposal.patch_only)
    kept = replace(changes, changes=tuple(c for c in changes.changes if c.path not in left.paths))
    if not kept.changes and proposal.patch_only.issuperset(left.paths):
        return _offered(left)
    if not kept.changes:
        return _needs_workflows("The token may not write workflow files, and the change holds nothing else.", left)
    proposal = replace(
        proposal,
        draft=proposal.stays_draft or {"true": True, "false": False}.get(settings.draft, proposal.draft),
        labels=tuple(dict.fromkeys((*settings.pr_labels, *proposal.labels))),
    )
    if settings.dry_run:
        world.reporter.line("Dry run: nothing was written.")
        imagined = _imagined(item, claim, proposal)
        return Published(pull_request=imagined, updated=False, commit=claim.head_commit, dry_run=True)
    edited = _still_wanted(world.issues, item, settings.labels)
    if isinstance(edited, Stopped):
        return edited
    moved = _base_moved(world.branches, item, claim, kept.paths)
    if isinstance(moved, Stopped):
        return moved
    overlaps = find_overlaps(
        world.pull_requests, world.reporter, repository, settings.branch_prefix, claim.branch, kept.paths
    )
    notes = [world.redact(note) for note in (*edited, *moved, *_overlap_notes(overlaps))]
    text = _final_text(item, claim, kept, proposal, notes)
    try:
        made = commit(world.branches, repository, claim, written, text.commit_headline, text.commit_body, start)
    except NeedsWorkflowsPermission as refused:
        workflows = tuple(c for c in edits.changes if needs_workflows_permission(c.path))
        return _needs_workflows(str(refused), replace(kept, changes=workflows))
    except Conflict as conflict:
        again = "Re-apply the label: the next run starts from the branch as it is then."
        return Stopped(Conclusion.STALE, str(conflict), again)
    text = replace(text, body=text.body.replace(THIS_COMMIT, made[:12]))
    unanswered = _answer(world, progress, proposal, made)
    permissions = PermissionReader(world.issues, settings.labels.allowed_bots)
    sent = _open_or_update(world.pull_requests, permissions, progress, text)
    if isinstance(sent, Stopped):
        return sent
    pull_request, warnings = _as_kept_by_github(world.pull_requests, repository, sent, text)
    warnings = (*unanswered, *warnings)
    if as_kept(pull_request.body) != as_kept(text.body):
        world.reporter.summary(world.redact(text.body))
    if proposal.overflow:
        world.reporter.summary(world.redact(proposal.overflow))
    warnings = conclude(
        world, settings.board.status_review, progress, pull_request, text.labels, overlaps, warnings, unfinished
    )
    return Published(
        pull_request=pull_request,
        updated=claim.existing is not None,
        commit=made,
        left_out=left.paths,
        warnings=warnings,
    )


# Up to the commit: is the change still wanted, and has the base branch moved?


def _still_wanted(issues: Issues, item: WorkItem, labels: LabelSettings) -> tuple[str, ...] | Stopped:
    """Look at the issue again before anything is written. After an edit the approved text is finished, with a note."""
    try:
        live = issues.issue(item.issue.ref)
    except NotFound as gone:
        return _stale(
            f"The issue is gone since the run began: {gone}", "Open a new issue when the work is still wanted."
        )
    stopped = withdrawn(labels, item, live)
    if stopped is not None:
        return replace(stopped, remedy=f"Nothing was published. {stopped.remedy}")
    if content_hash(live.title, live.body) != item.approval.content_hash:
        return ("The issue's text was edited after its approval; this change implements the approved text.",)
    return ()


def _base_moved(branches: Branches, item: WorkItem, claim: Claim, paths: tuple[str, ...]) -> tuple[str, ...] | Stopped:
    """A note when the base branch has moved on without touching our files, `stale` when it touched one."""
    repository = item.target.full_name
    now = branches.head(repository, item.base_branch)
    if now is None:
        return Stopped(
            Conclusion.STALE,
            f"The branch {item.base_branch} is gone.",
            "Correct the input `base_branch` and re-apply the label.",
        )
    if now == claim.base_commit:
        return ()
    before, after = (branches.tree(repository, commit).entries() for commit in (claim.base_commit, now))
    common = sorted(moved_paths(before, after) & set(paths))
    if common:
        named = ", ".join(common[:_NAMED_PATHS])
        return _stale(
            f"{item.base_branch} has moved on since the run began and changed files of this change: {named}.",
            "Re-apply the label: the next run starts from the newest base.",
        )
    made_on, moved = claim.base_commit[:12], f"{code(item.base_branch)} has moved on to {now[:12]}"
    return (f"Made and planned on {made_on}; {moved} since, in other files.",)


def _stale(reason: str, remedy: str) -> Stopped:
    return Stopped(Conclusion.STALE, reason, f"Nothing was published. {remedy}")


# The text: exactly one closing keyword, and a record of what the pull request was made of.

_KEYWORD = r"(?:close[sd]?|fix(?:es|ed)?|resolve[sd]?)"
_TARGET = (
    r"(?:(?P<repo>[\w.-]+/[\w.-]+)?#(?P<n>\d+)|gh-(?P<gh>\d+)"
    r"|https?://[^\s/]+/(?P<url>[\w.-]+/[\w.-]+)/(?:issues|pull)/(?P<un>\d+))"
)
_CLOSING = re.compile(rf"(?<![\w-]){_KEYWORD}:?\s*{_TARGET}", re.IGNORECASE)


def closing_references(text: str, repository: str) -> tuple[IssueRef, ...]:
    """Every issue that `text` in `repository` would close. Code counts too: a body may become a commit message."""
    found = []
    for match in _CLOSING.finditer(text):
        number = match["n"] or match["gh"] or match["un"]
        found.append(IssueRef(repository=(match["repo"] or match["url"] or repository).casefold(), number=int(number)))
    return tuple(found)


def link_problem(texts: tuple[str, ...], repository: str, issue: IssueRef) -> str | None:
    """Why title, body and commit message do not hold exactly one closing keyword, for `issue` only; None: they do. An
    issue that is a file (a local run) has none.
    """
    found = [ref for text in texts for ref in closing_references(text, repository)]
    own = IssueRef(repository=issue.repository.casefold(), number=issue.number)
    others = sorted({str(ref) for ref in found if ref != own})
    if others:
        return f"the text would close {', '.join(others)}"
    if len(found) != (1 if issue.number else 0):
        return f"the text has {len(found)} closing keywords for {issue} instead of one"
    return None


def _final_text(item: WorkItem, claim: Claim, changes: ChangeSet, proposal: Proposal, notes: Sequence[str]) -> Proposal:
    """The proposal with notes about merging and the record. Raises PolicyViolation when it may not be sent."""
    record = PullRequestRecord(
        issue=str(item.issue.ref),
        key=item.key,
        content=item.approval.content_hash,
        base=claim.base_commit,
        changes="" if claim.others else changes.digest,
        at=int(epoch(item.approval.at)),
        labels=proposal.labels,
        rounds=claim.round.number if claim.round else 0,
    )
    body = stamped(joined(with_notes(proposal.body.rstrip(), notes), proposal.rounds, record.line))
    if len(body) > MAX_BODY_CHARACTERS:
        raise PolicyViolation(
            f"The pull request's text has {len(body):,} characters; GitHub takes {MAX_BODY_CHARACTERS:,}."
        )
    texts = (proposal.title, body, f"{proposal.commit_headline}\n\n{proposal.commit_body}")
    if problem := link_problem(texts, item.target.full_name, item.issue.ref):
        raise PolicyViolation(f"The pull request cannot be published: {problem}.")
    return replace(proposal, body=body)


# The pull request.


def _answer(world: World, progress: Progress, proposal: Proposal, made: str) -> tuple[str, ...]:
    """Answer the threads, each once for an approval; returns warnings. Before the text, whose record ends the round."""
    repository, existing = progress.item.target.full_name, progress.claim.existing
    if existing is None or not proposal.replies:
        return ()
    _, threads = world.pull_requests.discussion(repository, existing.number)
    mark, problems = f"<!-- ops-agent:reply {progress.item.key} -->", list[str]()
    answered = {t.id for t in threads for c in t.comments if c.body.startswith(mark)}
    for thread, text in proposal.replies:
        if thread not in answered:
            body = f"{mark}\n{text.replace(THIS_COMMIT, made[:12])}"
            try:
                world.pull_requests.reply(repository, existing.number, thread, body)
            except GitHubError as error:
                problems.append(f"A thread of the review could not be answered: {error}")
                world.reporter.annotate("warning", problems[-1])
    return tuple(problems)


def _open_or_update(
    pull_requests: PullRequests, permissions: PermissionReader, progress: Progress, text: Proposal
) -> PullRequest | Stopped:
    item, claim, repository = progress.item, progress.claim, progress.item.target.full_name
    if claim.existing is not None:
        return pull_requests.update(repository, claim.existing.number, text.title, text.body)
    try:
        sent = pull_requests.create(repository, claim.branch, item.base_branch, text.title, text.body, text.draft)
    except (NotPermitted, Conflict) as refused:
        link = f"{progress.run.server_url}/{repository}/compare/{item.base_branch}...{claim.branch}?expand=1"
        return Stopped(
            refused.conclusion,
            f"The commit is on the branch {claim.branch}, but the pull request could not be opened: {refused}",
            f"Open it by hand at {link} or: {refused.hint}",
        )
    return sent if permissions.trusts(repository, sent) else untrusted_pull_request(sent)


def _as_kept_by_github(
    pull_requests: PullRequests, repository: str, sent: PullRequest, text: Proposal
) -> tuple[PullRequest, tuple[str, ...]]:
    """Read back what GitHub keeps (an oversize update is answered 200 and dropped), and set the draft state."""
    warnings = []
    kept = next((p for p in pull_requests.of_branch(repository, sent.head_branch) if p.number == sent.number), sent)
    if (kept.title.strip(), as_kept(kept.body)) != (text.title.strip(), as_kept(text.body)):
        kept = pull_requests.update(repository, kept.number, text.title, text.body)
    if as_kept(kept.body) != as_kept(text.body):
        warnings.append(
            "GitHub keeps another text of the pull request than the one that was sent; the run's summary has it."
        )
    if kept.draft != text.draft:
        try:
            pull_requests.set_draft(kept, text.draft)
            kept = replace(kept, draft=text.draft)
        except GitHubError as error:
            warnings.append(f"The pull request could not be set to {'draft' if text.draft else 'ready'}: {error}")
    return kept, tuple(warnings)


def conclude(
    world: World,
    status_review: str,
    progress: Progress,
    pull_request: PullRequest,
    labels: tuple[str, ...],
    overlaps: tuple[Overlap, ...],
    warnings: tuple[str, ...] = (),
    unfinished: Stopped | None = None,
) -> tuple[str, ...]:
    """The last steps, each repeatable: labels, other pull requests, board, comment. Returns all warnings; a step that
    fails adds one. The comment's state `published` comes last and means that all is done.
    """
    problems = list(warnings)
    item, claim, repository = progress.item, progress.claim, progress.item.target.full_name

    def attempt(what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except GitHubError as error:
            problems.append(f"{what}: {error}")
            world.reporter.annotate("warning", problems[-1])

    if missing := tuple(label for label in dict.fromkeys(labels) if label not in pull_request.labels):
        add = partial(world.issues.add_labels, repository, pull_request.number, missing)
        attempt("The labels could not be added", add)
    for overlap in overlaps:
        text = world.redact(overlap.comment(pull_request.number))
        other = IssueRef(repository=repository, number=overlap.number)
        attempt(
            f"The comment on #{overlap.number} about files in common could not be written",
            partial(keep_comment, world.issues, other, text),
        )
    if status_review:
        note = move_card(world.board, world.reporter, item.issue, status_review)
        problems += [note] if note else []
    shown = published_text(pull_request, item, claim.existing is not None, tuple(problems), unfinished)
    progress.write(Phase.PUBLISHED, world.redact(shown))
    return tuple(problems)


# Our open pull requests that touch the same files: mentioned in both.

_MAX_PULL_REQUESTS = 30
_MAX_PATHS = 5
_MAX_SENTENCES = 5
_MAX_PATH_CHARACTERS = 100
_WHAT_TO_DO = (
    "Merge one first. Then merge the base branch into the other's branch, settle what conflicts, and plan it again: "
    "neither plan knows of the other change. Or close the other and open a new issue for it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Another of our open pull requests and the files that both change."""

    number: int
    paths: tuple[str, ...]

    @property
    def sentence(self) -> str:
        shown = ", ".join(code(path[-_MAX_PATH_CHARACTERS:]) for path in self.paths[:_MAX_PATHS])
        more = f" and {len(self.paths) - _MAX_PATHS} more" if len(self.paths) > _MAX_PATHS else ""
        return f"changes files in common: {shown}{more}."

    def comment(self, number: int) -> str:
        """For the other pull request, about ours with this number. The first line marks it: there is one."""
        return f"<!-- ops-agent:overlap {number} -->\n#{number} {self.sentence} {_WHAT_TO_DO}\n"


def find_overlaps(
    pull_requests: PullRequests, reporter: Reporter, repository: str, prefix: str, branch: str, paths: tuple[str, ...]
) -> tuple[Overlap, ...]:
    """One request, and one more for each of our open pull requests (at most 30). A failure is a warning."""
    found = []
    try:
        others = [p for p in pull_requests.open_with_prefix(repository, prefix) if p.head_branch != branch]
        for other in others[:_MAX_PULL_REQUESTS]:
            common = sorted(set(pull_requests.files(repository, other.number)) & set(paths))
            if common:
                found.append(Overlap(number=other.number, paths=tuple(common)))
    except GitHubError as error:
        reporter.annotate("warning", f"Open pull requests could not be compared: {error}")
    return tuple(found)


def _overlap_notes(overlaps: tuple[Overlap, ...]) -> tuple[str, ...]:
    """For the pull request's text, which has little space: the first few, how many more there are, and what to do."""
    if not overlaps:
        return ()
    more = len(overlaps) - _MAX_SENTENCES
    rest = (f"{more} more open pull requests of ops-agent change files in common.",) if more > 0 else ()
    return (*(f"#{overlap.number} {overlap.sentence}" for overlap in overlaps[:_MAX_SENTENCES]), *rest, _WHAT_TO_DO)


def keep_comment(issues: Issues, ref: IssueRef, text: str, *, creates: bool = True) -> None:
    """One comment, edited in place, found by its first line and our account's id. Of two runs that write it at
    once, the one with the lower id stays.
    """
    mark, mine = text.partition("\n")[0], issues.viewer().id

    def kept() -> list[tuple[int, str]]:
        return sorted((c.id, c.body) for c in issues.comments(ref) if c.author.id == mine and c.body.startswith(mark))

    found = kept()
    if not found and creates:
        issues.create_comment(ref, text)
        found = kept()
    for first, body in found[:1]:
        if as_kept(body) != as_kept(text):
            issues.update_comment(ref.repository, first, text)
    for other, _ in found[1:]:
        with suppress(NotFound):
            issues.delete_comment(ref.repository, other)


# Ends.


def _imagined(item: WorkItem, claim: Claim, proposal: Proposal) -> PullRequest:
    return PullRequest(
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


def _offered(left: ChangeSet) -> Stopped:
    return Stopped(
        conclusion=Conclusion.BLOCKED_BY_POLICY,
        reason="The change holds only workflows that could use an AWS identity or a secret on a pull request before a "
        "review.",
        remedy="Review the patch and apply it by hand, or ask for a workflow whose steps only check out and plan.",
        patch=as_patch(left),
    )


def _needs_workflows(reason: str, left: ChangeSet) -> Stopped:
    return Stopped(
        Conclusion.NEEDS_WORKFLOWS_PERMISSION,
        reason,
        NeedsWorkflowsPermission.default_hint,
        patch=as_patch(left),
    )
