"""after_merge: a pull request of ours was merged or closed by a person. Its card moves as the inputs say, and the
comments on the issue and its parent say what there is to do now.
"""

from __future__ import annotations

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import same
from ops_agent.issue.claims import claims_among, holder, issue_branch, pull_request_record
from ops_agent.model.errors import GitHubError
from ops_agent.model.event import Issue, IssueRef, PullRequest, PullRequestClosed, Repository, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.pages.issue_comment import concluded_comment
from ops_agent.run.admit import found_or_none
from ops_agent.run.parents import tell_parent_of
from ops_agent.run.permissions import PermissionReader
from ops_agent.run.progress import move_card


def after_pull_request(
    world: World, settings: Settings, event: PullRequestClosed, run: RunIdentity
) -> tuple[IssueRef | None, Stopped]:
    """The issue, and `concluded`; `declined` for a pull request that is not ours, about which nothing is written.

    Raises GitHubError when GitHub cannot be asked.
    """
    pull_request = world.pull_requests.pull_request(event.repository.full_name, event.number)
    issue = _issue_of(world, settings, event.repository, pull_request)
    if issue is None:
        reason = f"#{event.number} is no pull request of ops-agent."
        return None, Stopped(Conclusion.DECLINED, reason, "Nothing.", quiet=True)
    if pull_request.is_open:
        reason = f"#{event.number} is open again."
        return issue.ref, Stopped(Conclusion.STALE, reason, "Nothing: it is reviewed as before.")
    if not settings.dry_run:
        board = settings.board
        status = board.status_done if pull_request.merged else board.status_not_merged
        ours = (board.status_in_progress, board.status_review)
        note = move_card(world.board, world.reporter, issue, status, only_from=ours) if status else ""
        _say(world, issue, pull_request, note, run)
        tell_parent_of(world, settings, issue.ref, run)
    how = "merged" if pull_request.merged else "closed without a merge"
    return issue.ref, Stopped(Conclusion.CONCLUDED, f"Pull request #{event.number} was {how}.", "")


def _issue_of(world: World, settings: Settings, repository: Repository, found: PullRequest) -> Issue | None:
    """The issue that the record names, when its branch of ours is the head, and when we, or a person who may write,
    opened the pull request.
    """
    record, name = pull_request_record(found.body), repository.full_name
    ref = record.ref if record is not None else None
    if (
        ref is None
        or not same(found.head_repository, name)
        or not same(ref.repository.partition("/")[0], repository.owner)
    ):
        return None
    issue = found_or_none(lambda: world.issues.issue(ref))
    if issue is None or found.head_branch != issue_branch(settings.branch_prefix, issue, name):
        return None
    trusts = PermissionReader(world.issues, settings.labels.allowed_bots).trusts(name, found)
    return issue if trusts else None


def _say(world: World, issue: Issue, found: PullRequest, note: str, run: RunIdentity) -> None:
    """The comment of the run that opened it. A failure is a warning only."""
    try:
        held = holder(claims_among(world.issues.comments(issue.ref), world.issues.viewer().id))
        if held is not None and held.record.state == "published" and held.record.branch == found.head_branch:
            text = concluded_comment(held.record, found, issue, note, run)
            world.issues.update_comment(issue.ref.repository, held.comment_id, world.redact(text))
    except GitHubError as error:
        world.reporter.annotate("warning", world.redact(f"The comment on {issue.ref} could not be edited: {error}"))
