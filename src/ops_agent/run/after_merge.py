"""after_merge: a pull request of ours was merged or closed by a person. Its card moves as the inputs say, and the
comments on the issue and its parent say what there is to do now.
"""

from __future__ import annotations

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import same
from ops_agent.issue.claims import claims_among, holder, pull_request_record
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import Issue, IssueRef, PullRequest, PullRequestClosed, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.pages.issue_comment import concluded_comment
from ops_agent.run.parents import tell_parent_of
from ops_agent.run.permissions import PermissionReader
from ops_agent.run.progress import move_card


def after_pull_request(
    world: World, settings: Settings, event: PullRequestClosed, run: RunIdentity
) -> tuple[IssueRef | None, Stopped]:
    """The issue, and `concluded`; `declined` for a pull request that is not ours, about which nothing is written.

    Raises GitHubError when GitHub cannot be asked.
    """
    repository = event.repository.full_name
    pull_request = world.pull_requests.pull_request(repository, event.number)
    ref = _issue_of(world, settings, repository, pull_request)
    if ref is None:
        return None, Stopped(
            Conclusion.DECLINED, f"#{event.number} is no pull request of ops-agent.", "Nothing.", quiet=True
        )
    if pull_request.is_open:
        return ref, Stopped(Conclusion.STALE, f"#{event.number} is open again.", "Nothing: it is reviewed as before.")
    how = "merged" if pull_request.merged else "closed without a merge"
    done = Stopped(Conclusion.CONCLUDED, f"Pull request #{event.number} was {how}.", "")
    try:
        issue = world.issues.issue(ref)
    except NotFound:
        return ref, done
    if settings.dry_run:
        return ref, done
    board = settings.board
    status, note = board.status_done if pull_request.merged else board.status_not_merged, ""
    if status:
        ours = (board.status_in_progress, board.status_review)
        note = move_card(world.board, world.reporter, issue, status, only_from=ours)
    _say(world, issue, pull_request, note, run)
    tell_parent_of(world, settings, ref, run)
    return ref, done


def _issue_of(world: World, settings: Settings, repository: str, found: PullRequest) -> IssueRef | None:
    """The issue of a pull request that we, or a person who may write, opened from our branch for that issue."""
    record, prefix = pull_request_record(found.body), settings.branch_prefix
    ref = record.ref if record is not None else None
    if ref is None or not same(found.head_repository, repository):
        return None
    if found.head_branch.removeprefix(prefix).partition("-")[0] != str(ref.number):
        return None
    if not found.head_branch.startswith(prefix) or not same(
        *(n.partition("/")[0] for n in (ref.repository, repository))
    ):
        return None
    trusts = PermissionReader(world.issues, settings.labels.allowed_bots).trusts(repository, found)
    return ref if trusts else None


def _say(world: World, issue: Issue, found: PullRequest, note: str, run: RunIdentity) -> None:
    """The comment of the run that opened it. A failure is a warning only."""
    try:
        held = holder(claims_among(world.issues.comments(issue.ref), world.issues.viewer().id))
        if held is not None and held.record.state == "published" and held.record.branch == found.head_branch:
            text = concluded_comment(held.record, found, issue, note, run)
            world.issues.update_comment(issue.ref.repository, held.comment_id, world.redact(text))
    except GitHubError as error:
        world.reporter.annotate("warning", world.redact(f"The comment on {issue.ref} could not be edited: {error}"))
