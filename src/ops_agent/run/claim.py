"""claim: take an item, and release it. One branch, one comment, one run (docs/decisions/0002-claim-and-lock.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ops_agent.config.settings import Settings
from ops_agent.issue.admission import advised
from ops_agent.issue.claims import (
    DONE_STATES,
    LEASE_MARGIN_SECONDS,
    ClaimAction,
    PullRequestRecord,
    Seen,
    SeenClaim,
    branch_name,
    claims_among,
    decide,
    holder,
    is_our_branch,
    is_own_earlier_attempt,
    pull_request_record,
)
from ops_agent.issue.rounds import asked_for, asks, said_by
from ops_agent.model.change_set import KeptPatch
from ops_agent.model.errors import Conflict, GitHubError, NotPermitted, OpsAgentError, as_error
from ops_agent.model.event import ActorKind, PullRequest, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import Branches, PullRequests, Reporter, World
from ops_agent.model.review import ReviewRound
from ops_agent.model.work_item import Claim, WorkItem
from ops_agent.pages.issue_comment import ANSWER_MARK, stopped_text
from ops_agent.run.permissions import PermissionReader
from ops_agent.run.progress import Phase, Progress, comment_text, move_card
from ops_agent.run.publish import conclude, find_overlaps

_RETRY_SECONDS = 2.0
_MAX_ATTEMPTS = 12
_SECONDS_WHEN_CANCELLED = 2.0


def claim(world: World, settings: Settings, item: WorkItem, run: RunIdentity) -> Claim | Stopped:
    """The right to work on `item`, or why not (`duplicate`, `declined`, `stale`, `not_permitted`, `config_error`).

    Creating the branch is the lock; the comment on the issue is the lease. Nothing is written in a dry run.
    """
    branch = branch_name(settings.branch_prefix, item)
    if not is_our_branch(branch, settings.branch_prefix, item):
        return Stopped(
            Conclusion.CONFIG_ERROR,
            f"{branch} cannot be one of our branches: it must be `branch_prefix` and a number, not the base branch.",
            "Correct the inputs `branch_prefix` and `base_branch`.",
        )
    base = world.branches.head(item.target.full_name, item.base_branch)
    if base is None:
        return Stopped(
            Conclusion.CONFIG_ERROR,
            f"There is no branch {item.base_branch} in {item.target.full_name} (renamed, or the repository is empty).",
            "Correct the input `base_branch`, or make a first commit, and re-apply the label.",
        )
    wanted = Claim(branch=branch, base_commit=base, head_commit=base, comment_id=None)
    if settings.dry_run:
        return wanted
    return _Claiming(world, settings, item, run, wanted).take_or_refuse()


@dataclass(frozen=True, slots=True)
class _Claiming:
    """One attempt to claim. `wanted` is the claim on a branch that is new."""

    world: World
    settings: Settings
    item: WorkItem
    run: RunIdentity
    wanted: Claim

    @property
    def _repository(self) -> str:
        return self.item.target.full_name

    def take_or_refuse(self) -> Claim | Stopped:
        lease = self.settings.limits.timeout_seconds + LEASE_MARGIN_SECONDS
        branches, clock = self.world.branches, self.world.clock
        created, began = False, clock.monotonic()
        for _ in range(_MAX_ATTEMPTS):
            seen = self._observe(waited=clock.monotonic() - began)
            action = decide(self.item, self.run, seen, lease)
            if isinstance(action, Stopped):
                return action
            if action is ClaimAction.FINISH:
                return self._finish(seen)
            if not created and seen.open is None:
                created = branches.create(self._repository, self.wanted.branch, self.wanted.base_commit)
            if not created:
                action = decide(self.item, self.run, replace(seen, branch_exists=True), lease)
            if action is not ClaimAction.WAIT:
                return self._take(seen, created)
            clock.sleep(_RETRY_SECONDS)
        raise GitHubError(
            f"The branch {self.wanted.branch} of {self._repository} is taken and released again and again; "
            "this run gave up."
        )

    def _observe(self, waited: float) -> Seen:
        """What GitHub shows of the item's pull requests and claims."""
        issues, repository = self.world.issues, self._repository
        permissions = PermissionReader(issues, self.settings.labels.allowed_bots)
        found = self.world.pull_requests.of_branch(repository, self.wanted.branch)
        trusted = [p for p in found if permissions.trusts(repository, p)]
        # A bot's that is closed may be ours, from before the token was changed: what a person closed stays closed.
        counting = tuple(
            p
            for p in found
            if p in trusted or p.merged or (not p.is_open and p.author is not None and p.author.kind is ActorKind.BOT)
        )
        in_the_way = (p for p in found if p.is_open and p.base_branch == self.item.base_branch and p not in trusted)
        held = holder(claims_among(issues.comments(self.item.issue.ref), issues.viewer().id))
        finished = None
        if held and held.record.state not in DONE_STATES and not is_own_earlier_attempt(held.record, self.run):
            finished = issues.run_is_finished(held.record.repository, held.record.run_id)
        current = next((p for p in counting if p.is_open), counting[0] if counting else None)
        published = pull_request_record(current.body) if current else None
        asked = self._asked(permissions, current, published) if current is not None and current.is_open else None
        return Seen(
            pull_requests=counting,
            in_the_way=next(in_the_way, None),
            published=published,
            asked=asked,
            holder=held,
            holder_finished=finished,
            waited=waited,
            now=self.world.clock.now(),
        )

    def _asked(
        self, permissions: PermissionReader, current: PullRequest, published: PullRequestRecord | None
    ) -> ReviewRound | None:
        """What people who may write ask for on the pull request; None when that is nothing."""
        reviews, threads = self.world.pull_requests.discussion(self._repository, current.number)
        found = asked_for(
            reviews,
            threads,
            writers=permissions.writers(self._repository, said_by(reviews, threads)),
            ours=self.world.issues.viewer().id,
            since=published.at if published else 0.0,
            before=self.item.approval.at,
        )
        if found.left_out:
            what = "A comment" if found.left_out == 1 else f"{found.left_out} comments"
            self.world.reporter.annotate("warning", f"{what} of the review changed after the approval: left out.")
        return found if asks(found) else None

    def _finish(self, seen: Seen) -> Stopped:
        """The pull request is open, but its run died before the last steps: do them, without asking the llm again."""
        world, pull_request, held, published = self.world, seen.open, seen.holder, seen.published
        assert pull_request is not None and held is not None and published is not None  # noqa: S101 - what FINISH means
        finished = replace(
            self.wanted,
            base_commit=published.base,
            head_commit=pull_request.head_commit,
            comment_id=held.comment_id,
        )
        progress = Progress(world, self.item, finished, self.run)
        paths = world.pull_requests.files(self._repository, pull_request.number)
        overlaps = find_overlaps(
            world.pull_requests,
            world.reporter,
            self._repository,
            self.settings.branch_prefix,
            self.wanted.branch,
            paths,
        )
        conclude(world, self.settings.board.status_review, progress, pull_request, published.labels, overlaps)
        return Stopped(
            Conclusion.DUPLICATE,
            f"Pull request #{pull_request.number} was published by an earlier attempt; "
            f"its last steps are done ({pull_request.url}).",
            "Review the pull request.",
            quiet=True,
        )

    def _take(self, seen: Seen, created: bool) -> Claim | Stopped:
        world, item, wanted = self.world, self.item, self.wanted
        claimed = wanted
        try:
            found = wanted if created else self._found_branch(seen)
            if isinstance(found, Stopped):
                return found
            claimed = replace(found, existing=seen.open)
            comment_id = self._comment(claimed, seen.holder)
            if isinstance(comment_id, Stopped):
                return comment_id
            claimed = replace(claimed, comment_id=comment_id)
            is_empty = claimed.existing is None and claimed.head_commit == claimed.base_commit
            if is_empty and claimed.base_commit != wanted.base_commit:
                claimed = self._renewed(claimed)
            note = move_card(world.board, world.reporter, item.issue, self.settings.board.status_in_progress)
        except OpsAgentError as broken:
            Progress(world, item, claimed, self.run).write(Phase.STOPPED, _reason(world.redact, broken, None, item))
            if created:
                _delete_untouched(world.branches, world.pull_requests, world.reporter, item, wanted)
            raise
        if note or claimed.base_commit != found.base_commit:
            claimed = replace(claimed, notes=(note,) if note else ())
            Progress(world, item, claimed, self.run).write(Phase.CLAIMED, "")
        return claimed

    def _found_branch(self, seen: Seen) -> Claim | Stopped:
        """The claim on an existing branch. What is on it stays: it is brought up to the newest base by a merge commit.
        A branch without a commit of its own has its head as its base.
        """
        branches, repository, wanted = self.world.branches, self._repository, self.wanted
        head = branches.head(repository, wanted.branch)
        if head is None:  # deleted since; the release of another run came in between
            if not branches.create(repository, wanted.branch, wanted.base_commit):
                raise Conflict(
                    f"The branch {wanted.branch} of {repository} was deleted and made again while it was claimed."
                )
            head = wanted.base_commit
        if head == wanted.base_commit:
            return wanted
        own = branches.commits_between(repository, wanted.base_commit, head)
        if not own and seen.open is None:
            return replace(wanted, base_commit=head, head_commit=head)
        ours = self.world.issues.viewer().id
        others = tuple(
            f"{commit[:12]} by {author.login if author else 'an author without a GitHub account'}"
            for commit, author in own
            if author is None or author.id != ours
        )
        return self._up_to_date(replace(wanted, others=others, round=self._round(seen, head)), head)

    def _round(self, seen: Seen, head: str) -> ReviewRound | None:
        if seen.open is None:
            return None
        number = (seen.published.rounds if seen.published else 0) + 1
        return replace(seen.asked or ReviewRound(number=0, head=""), number=number, head=head)

    def _up_to_date(self, found: Claim, head: str) -> Claim | Stopped:
        """`found` at the commit that merges the newest base; with `conflicts` at `head`."""
        branches, repository, base = self.world.branches, self._repository, self.item.base_branch
        try:
            is_merged = branches.merge(repository, found.branch, found.base_commit, f"Merge {base} into {found.branch}")
        except NotPermitted as refused:
            return Stopped(
                refused.conclusion,
                f"The newest commit of {base} could not be merged into {found.branch}: {refused}",
                "Update the branch by hand, then re-apply the label.",
            )
        if not is_merged:
            return replace(found, head_commit=head, conflicts=True)
        merged = branches.head(repository, found.branch)
        if merged is None:
            raise Conflict(f"The branch {found.branch} of {repository} was deleted while it was claimed.")
        return replace(found, head_commit=merged)

    def _renewed(self, claimed: Claim) -> Claim:
        """The branch made anew at today's base. Only the holder of the claim calls this, so no other run uses it."""
        branches, base = self.world.branches, self.wanted.base_commit
        branches.delete(self._repository, claimed.branch)
        if not branches.create(self._repository, claimed.branch, base):
            found = branches.head(self._repository, claimed.branch)
            if found is None:
                raise Conflict(f"The branch {claimed.branch} of {self._repository} was deleted while it was claimed.")
            base = found
        return replace(claimed, base_commit=base, head_commit=base)

    def _comment(self, claimed: Claim, before: SeenClaim | None) -> int | Stopped:
        """Write our claim and see whether it is in force. The comment of our own ended attempt is edited, any other is
        replaced.
        """
        issues, ref = self.world.issues, self.item.issue.ref
        after = before.comment_id if before else 0
        if before is not None and is_own_earlier_attempt(before.record, self.run):
            comment_id = before.comment_id
            text = comment_text(self.item, claimed, self.run, Phase.CLAIMED, after=before.record.after)
            issues.update_comment(ref.repository, comment_id, text)
        else:
            text = comment_text(self.item, claimed, self.run, Phase.CLAIMED, after=after)
            comment_id = issues.create_comment(ref, text).id
        comments, mine = issues.comments(ref), issues.viewer().id
        found = claims_among(comments, mine)
        winner = holder(found)
        if winner is None or winner.comment_id != comment_id:
            issues.delete_comment(ref.repository, comment_id)
            return Stopped(
                Conclusion.DUPLICATE,
                "Another run took this issue at the same instant."
                if winner
                else "The claim was withdrawn at the same instant.",
                "Wait until it has ended.",
                quiet=True,
            )
        answers = [c.id for c in comments if c.author.id == mine and c.body.startswith(ANSWER_MARK)]
        for other in (*(one.comment_id for one in found), *answers):
            if other != comment_id:
                issues.delete_comment(ref.repository, other)
        return comment_id


def release(
    world: World,
    settings: Settings,
    progress: Progress,
    why: Stopped | BaseException,
    patch: KeptPatch | None = None,
) -> None:
    """Give the item back: why and what to do in the comment, where the `patch` is, if any, the card back to Ready (to
    review, when there is a pull request), an untouched branch deleted.

    Never raises an OpsAgentError: the run ends for another reason already. A pull request and a branch with commits
    stay. A cancelled run has no time: what has not begun within two seconds is left to the next run.
    """
    if settings.dry_run:
        return
    item, claimed = progress.item, progress.claim
    began = world.clock.monotonic()

    def in_time() -> bool:
        return not isinstance(why, KeyboardInterrupt) or world.clock.monotonic() - began < _SECONDS_WHEN_CANCELLED

    progress.write(Phase.STOPPED, _reason(world.redact, why, patch, item))
    status = settings.board.status_ready if claimed.existing is None else settings.board.status_review
    if status and in_time():
        move_card(
            world.board,
            world.reporter,
            item.issue,
            status,
            only_from=(settings.board.status_in_progress,),
            is_known=True,
        )
    if claimed.existing is None and in_time():
        _delete_untouched(world.branches, world.pull_requests, world.reporter, item, claimed)


def _reason(redact: Callable[[str], str], why: Stopped | BaseException, patch: KeptPatch | None, item: WorkItem) -> str:
    """Why the run ended, as Markdown, with links for numbers of the item's repository. When the redaction fails, only
    the conclusion is shown.
    """
    if isinstance(why, BaseException):
        error = as_error(why)
        why, patch = Stopped(error.conclusion, str(error), error.hint, findings=error.findings), error.patch
    try:
        why = advised(why, by_dispatch=item.approval.by_dispatch)
        return redact(stopped_text(why, item.own_repository, has_patch=patch is not None))
    except Exception:
        return f"**{why.conclusion.value}**: the reason is withheld, because its redaction failed."


def _delete_untouched(
    branches: Branches, pull_requests: PullRequests, reporter: Reporter, item: WorkItem, claim: Claim
) -> None:
    """Delete the branch when it is where we made it and no pull request was ever made of it."""
    repository = item.target.full_name
    try:
        untouched = branches.head(repository, claim.branch) == claim.base_commit
        if untouched and not pull_requests.of_branch(repository, claim.branch):
            branches.delete(repository, claim.branch)
    except GitHubError as error:
        reporter.annotate("warning", f"The branch {claim.branch} could not be deleted: {error}")
