"""answer: what stands on an issue that this run does not work on. One comment, edited in place: never two, and no old
advice.

Which comment that is: the one of the last run that worked on the issue, else our earlier answer, else a new one. While
another run is at work its own comment says so, and is left alone: it is that run's lease.
"""

from __future__ import annotations

from ops_agent.issue.claims import DONE_STATES, SeenClaim, claims_among, holder, is_own_earlier_attempt
from ops_agent.model.errors import GitHubError
from ops_agent.model.event import Comment, IssueRef, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.pages.issue_comment import ANSWER_MARK, answer_comment, with_later_end

ANSWERED = (Conclusion.NEEDS_INFO, Conclusion.DECLINED, Conclusion.CONTENT_CHANGED)
"""What is worth a new comment on an issue that was not admitted. The other conclusions concern the workflow's author,
or an issue that nobody watches any more: they only bring a comment up to date that is there.
"""


def answer(
    world: World, ref: IssueRef, stopped: Stopped, run: RunIdentity, *, dry_run: bool, admitted: bool = False
) -> None:
    """Write on `ref` why it is not worked on and what to do, unless `stopped` is quiet. `admitted`: it was admitted,
    so that every conclusion is worth a comment. A failure is a warning only.
    """
    if stopped.quiet or dry_run or not run.run_id:
        return
    try:
        own = world.issues.viewer().id
        comments = [c for c in world.issues.comments(ref) if c.author.id == own]
        held = holder(claims_among(comments, own))
        answers = [c for c in comments if c.body.startswith(ANSWER_MARK)]
        if held is not None and _is_at_work(world, held, run):
            return
        _write(world, ref, stopped, run, held, comments, answers, creates=admitted or stopped.conclusion in ANSWERED)
    except GitHubError as error:
        world.reporter.annotate("warning", world.redact(f"The answer could not be written on {ref}: {error}"))


def _is_at_work(world: World, held: SeenClaim, run: RunIdentity) -> bool:
    """Unknown counts as at work, unless it is an earlier attempt of this very run."""
    record = held.record
    if record.state in DONE_STATES or is_own_earlier_attempt(record, run):
        return False
    return not world.issues.run_is_finished(record.repository, record.run_id)


def _write(
    world: World,
    ref: IssueRef,
    stopped: Stopped,
    run: RunIdentity,
    held: SeenClaim | None,
    comments: list[Comment],
    answers: list[Comment],
    *,
    creates: bool,
) -> None:
    issues, kept = world.issues, answers[-1] if answers else None
    if held is not None:
        kept = next(c for c in comments if c.id == held.comment_id)
        text = with_later_end(kept.body, held.record, stopped, ref.repository, run)
    else:
        text = answer_comment(stopped, ref.repository, run)
    if kept is not None:
        issues.update_comment(ref.repository, kept.id, world.redact(text))
    elif creates:
        issues.create_comment(ref, world.redact(text))
    for other in answers:
        if kept is not None and other.id != kept.id:
            issues.delete_comment(ref.repository, other.id)
