"""`verify`: rules, plan and dangers of anybody's pull request, without a model. What it finds is written into the text
of our own pull request, or into one comment on anybody else's.

The head is read through the API as data. Nothing of it is executed before it passed the source rules, and then only in
the sandbox; of a fork nothing is executed at all. Policy and baseline are those of the base branch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial

from ops_agent.config.baseline import BASELINE_FILE, excuse, fingerprint, read_baseline, require_usable
from ops_agent.config.policy_file import narrow_by_policy_file
from ops_agent.config.settings import Settings
from ops_agent.guard.data import table
from ops_agent.guard.disputes import with_disputes
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.issue.admission import labellers
from ops_agent.issue.claims import PullRequestRecord, pull_request_record
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import GitHubError, NotFound, NotPermitted, as_error
from ops_agent.model.event import Actor, IssueRef, PullRequest, RunIdentity
from ops_agent.model.finding import Dispute, Verdict
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, CheckReport, Clock, Issues, World
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification, Verification
from ops_agent.model.work_item import PERMITTING_LABELS, Criterion
from ops_agent.pages.criteria import recorded
from ops_agent.pages.fragments import counted
from ops_agent.pages.verified import (
    IN_THE_TEXT,
    NOTHING,
    Verified,
    as_edited,
    body_of,
    comment_of,
    short_comment,
    summary_of,
    verified_commits,
)
from ops_agent.plan.evidence import prove
from ops_agent.run.admit import TIMELINE_WAITS
from ops_agent.run.checkout import rules_for_people
from ops_agent.run.judge import judge_plans, judge_sources, merge_effects
from ops_agent.run.merged import Merged, merge, read_of
from ops_agent.run.needs import find_needs, lines_of
from ops_agent.run.permissions import PermissionReader
from ops_agent.run.publish import MAX_BODY_CHARACTERS, keep_comment, link_problem
from ops_agent.run.target import redacted
from ops_agent.run.verify import verify
from ops_agent.terraform.layout import targets
from ops_agent.text.markdown import as_kept, cell, code

CHECK_NAME = "ops-agent verify"
MAX_TITLE = 200
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """How the verification of one pull request ended. `overflow` did not fit into its text."""

    ending: Stopped
    pull_request: PullRequest | None = None
    verification: Verification | None = None
    warnings: tuple[str, ...] = ()
    overflow: str = ""


def verify_pull_request(
    world: World, settings: Settings, ref: IssueRef, default_branch: str, run: RunIdentity
) -> VerifyResult:
    """Verify the pull request `ref` and write what was found where people see it.

    The input `base_branch`, or the `default_branch`, is the branch that is trusted: what is on it was reviewed. Policy
    file and baseline are read there, and a pull request to another branch is not planned.

    Raises what `run.verify.verify` does, ConfigError for an unusable policy file or baseline, and GitHubError.
    """
    repository = ref.repository
    try:
        pull = world.pull_requests.pull_request(repository, ref.number)
    except NotFound:
        return VerifyResult(
            ending=Stopped(Conclusion.DECLINED, f"{ref} is no pull request.", "Give the number of a pull request.")
        )
    trusted_branch = settings.base_branch or default_branch
    check = partial(_report, world, repository, pull, trusted_branch, run)
    try:
        return _verify(world, settings, repository, pull, trusted_branch, run, check)
    except Exception as broken:
        error = as_error(broken)
        if pull.is_open and not settings.dry_run:  # or what was said of this commit before would go on to count
            with suppress(GitHubError):
                check("failure", f"could not be verified: {error.conclusion}", cell(f"{error} {error.hint}"))
        raise


def _verify(
    world: World,
    settings: Settings,
    repository: str,
    pull: PullRequest,
    trusted_branch: str,
    run: RunIdentity,
    check: Callable[[str, str, str], None],
) -> VerifyResult:
    ref = _ref(repository, pull)
    base_head, trusted_head = (world.branches.head(repository, b) for b in (pull.base_branch, trusted_branch))
    if not pull.is_open or base_head is None or trusted_head is None:
        return VerifyResult(ending=_superseded(f"{ref} is closed, or its base branch is gone."), pull_request=pull)
    newest, trusted = (world.branches.tree(repository, commit) for commit in (base_head, trusted_head))
    settings = narrow_by_policy_file(settings, trusted)
    for notice in settings.notices:
        world.reporter.annotate("warning", notice)
    settings = replace(settings, policy=replace(settings.policy, owner=repository.partition("/")[0]))
    with world.reporter.stage("judge"):
        merged = merge(world.branches, repository, newest, pull.head_commit, settings.policy, pull.merge_commit)
        record = own_record(world.issues, settings, repository, pull)
        own = _OwnPullRequest(world, repository, pull, record, merged) if record is not None else None
        untrusted = _untrusted(repository, pull, trusted_branch)
        said = recorded(pull.body) if own else None
        disputes = said.disputes if said is not None else ()
        verdict, unplanned = _judged(world, settings, merged, untrusted, disputes, is_ours=bool(own and own.is_ours))
    verification = Verification(engine="", targets=not_planned(merged.after, merged.changes, unplanned))
    asked = (ref, *([record.ref] if record and record.ref else []))
    labels = labels_by_writers(world.issues, world.clock, settings, asked)
    if not unplanned and merged.concerns_terraform:
        with world.reporter.stage("verify"), world.scratch(merged.head) as scratch:
            layout = source_tree(merged.base, settings.policy).layout
            needs = lines_of(find_needs(world, settings, merged.base, layout))
            for line in needs:
                world.reporter.line(line)
            made = verify(world, settings, merged.base, merged.changes, scratch.root)
            verification = replace(made, notes=needs)
        verdict = judge_plans(labels, verdict, verification)
    verdict = _excused(trusted, merged, verdict, datetime.fromtimestamp(world.clock.now(), UTC).date())
    if merged.unread:
        failed = CheckResult(name="files", subject=".", status=CheckStatus.FAILED, findings=merged.unread)
        verification = replace(verification, checks=(redacted(failed, world.redact), *verification.checks))
    evaluated = own is None or (said is not None and not unplanned)
    if said is not None and evaluated:
        criteria = [Criterion(id=id_, text="") for id_ in said.ids]
        proofs = prove(criteria, said.answers, verification.targets, merged.read_base, merged.read_head)
        verification = replace(verification, criteria=proofs)
    verified = Verified(
        head_commit=pull.head_commit,
        base_branch=pull.base_branch,
        base_commit=base_head,
        changes=merged.changes,
        verdict=verdict,
        verification=verification,
        merges=merge_effects(settings.policy, merged.base, pull.base_branch, merged.changes.written),
        notes=tuple(world.redact(note) for note in (*merged.notes, *(own.notes if own else ()))),
        said=said,
        evaluated=evaluated,
        run=run,
        redact=world.redact,
    )
    ending = _ending(verified, merged)
    result = VerifyResult(ending=ending, pull_request=pull, verification=verification)
    if settings.dry_run:
        world.reporter.line("Dry run: nothing was written.")
        return result
    with world.reporter.stage("publish"):
        if (moved := _moved_on(world, repository, pull, base_head, own is not None)) is not None:
            return replace(result, ending=moved)
        overflow, warnings = "", list[str]()
        planned = all(target.plan for target in verification.targets)
        is_clear = planned and not verified.unfinished and not merged.lost_roots
        conclusion = "failure" if ending.conclusion.exit_code else "success" if is_clear else "neutral"
        try:
            from_us = is_from_us(world.issues, settings, repository, pull)
            overflow = _written(world, repository, verified, pull, from_us, merged.concerns_us)
        except NotPermitted as refused:  # it may be locked; the job's summary has all of it
            warnings.append(f"Nothing could be written into the pull request: {refused}")
            overflow = "\n\n".join(comment_of(verified))
        try:
            check(conclusion, verified.headline, summary_of(verified, world.redact(ending.reason)))
        except NotPermitted as refused:
            warnings.append(f"The check run could not be written: {refused} The job's own result says the same.")
    return replace(result, overflow=overflow, warnings=tuple(warnings))


# Judging and planning.


def _untrusted(repository: str, pull: PullRequest, trusted_branch: str) -> str:
    """Why nothing of a pull request may be executed, whatever is in it; empty when it may. Everybody who may push can
    make a branch that is the base of another.
    """
    if pull.head_repository != repository.lower():
        return "the pull request comes from a fork: its files are judged, and nothing of it is executed"
    if pull.base_branch != trusted_branch:
        return f"the base is not `{trusted_branch}`: files are judged, and nothing is executed"
    return ""


def _judged(
    world: World,
    settings: Settings,
    merged: Merged,
    untrusted: str,
    disputes: tuple[Dispute, ...],
    *,
    is_ours: bool,
) -> tuple[Verdict, str]:
    """The verdict over the sources, and why nothing may be executed (empty: it may). `disputes`: of our own agent.

    What moves the state asks people for a decision only; where the state is then read from, a plan does not try.
    """
    rules = {} if is_ours else {"table": rules_for_people("agent")}
    verdict = judge_sources(
        world, settings, merged.base, merged.changes, fetches=not (untrusted or merged.conflicts), **rules
    )
    verdict = with_disputes(verdict, disputes)
    moved = [f for f in verdict.findings if f.rule in table("people")["decision"] and not f.pre_existing]
    if untrusted:
        return verdict, untrusted
    if verdict.blocked:
        return verdict, "the guard blocks the change, so nothing of it is executed"
    if merged.conflicts:
        return verdict, "the base branch has changed the same files"
    if moved:
        return verdict, f"{moved[0].place} changes where the state is kept"
    return verdict, "" if not merged.unread else "changed files could not be read"


def not_planned(after: SourceTree, changes: ChangeSet, why: str) -> tuple[TargetVerification, ...]:
    found = targets(after.affected_roots(changes.paths)) if why else ()
    return tuple(TargetVerification(target=target, checks=(), unplanned=why) for target in found)


def _excused(trusted: BaseTree, merged: Merged, verdict: Verdict, today: date) -> Verdict:
    """The verdict without what the baseline of the base branch excuses. Whether anything is executed was decided
    before: an entry lets people merge, it does not let code run here.
    """
    entry = trusted.entries().get(BASELINE_FILE)
    if entry is None or not entry.is_regular:
        return verdict
    entries, problems = read_baseline(trusted.read(BASELINE_FILE))
    require_usable(problems, f"of the commit {trusted.commit[:12]}")

    def text(path: str) -> str:
        return (merged.read_head(path) or b"").decode(errors="replace")

    prints = {finding: fingerprint(finding, text) for finding in verdict.findings}
    kept, _ = excuse(verdict.findings, prints, entries, today, whole=False)
    return replace(verdict, findings=kept)


def labels_by_writers(issues: Issues, clock: Clock, settings: Settings, refs: tuple[IssueRef, ...]) -> tuple[str, ...]:
    """Labels that lift a rule and that a person who may write put on one of `refs`."""
    readers, found = PermissionReader(issues, settings.labels.allowed_bots), set[str]()
    for ref in refs:
        try:
            live, putters = issues.issue(ref), dict[str, Actor]()
            wanted = {label.casefold() for label in live.labels} & set(PERMITTING_LABELS)
            for seconds in (0.0, *TIMELINE_WAITS) if wanted else ():  # the timeline may be behind the event
                clock.sleep(seconds)
                putters = labellers(settings.board, live, issues.timeline(ref))
                if wanted <= putters.keys():
                    break
        except NotFound:
            continue
        writers = readers.writers(ref.repository, putters.values())
        found |= {label for label, actor in putters.items() if actor.id in writers}
    return tuple(label for label in PERMITTING_LABELS if label in found)


def _ending(verified: Verified, merged: Merged) -> Stopped:
    verdict, verification = verified.verdict, verified.verification
    if verdict.blocked:
        reason = f"{counted(len(verdict.blocking), 'finding')} of the guard block this pull request."
        remedy = "Correct what is named, or ask a person with write permission for the label that the finding names."
        return Stopped(Conclusion.BLOCKED_BY_POLICY, reason, remedy, findings=verdict.blocking)
    if failed := verification.failed:
        only_plans = all(check.name == "plan" for check in failed)
        conclusion = Conclusion.PLAN_FAILED if only_plans else Conclusion.CHECKS_FAILED
        return Stopped(conclusion, f"{counted(len(failed), 'check')} failed.", "Correct what the checks name.")
    if verification.refuted:
        ids = ", ".join(proof.criterion_id for proof in verification.refuted)
        remedy = "Correct the change, or the issue."
        return Stopped(Conclusion.CHECKS_FAILED, f"The evidence for {ids} does not hold any more.", remedy)
    if not merged.concerns_us:
        return Stopped(Conclusion.NO_CHANGES, "The pull request changes no Terraform and no workflow.", "")
    return Stopped(Conclusion.VERIFIED, "", "")


# Our own pull requests.


def is_from_us(issues: Issues, settings: Settings, repository: str, pull: PullRequest) -> bool:
    """Whether our account opened a pull request from a branch of ours."""
    is_of_branch = pull.head_repository == repository.lower() and pull.head_branch.startswith(settings.branch_prefix)
    return is_of_branch and pull.author is not None and pull.author.id == issues.viewer().id


def own_record(issues: Issues, settings: Settings, repository: str, pull: PullRequest) -> PullRequestRecord | None:
    """The record of a pull request that is from us; None for everybody else's, and when people took it out."""
    record = pull_request_record(pull.body) if is_from_us(issues, settings, repository, pull) else None
    return record if record is not None and record.ref is not None else None


def ours_to(world: World, settings: Settings, repository: str, base_branch: str) -> tuple[int, ...]:
    """The numbers of our open pull requests to `base_branch`, oldest first."""
    found = world.pull_requests.open_with_prefix(repository, settings.branch_prefix)
    ours = (p for p in found if p.base_branch == base_branch and own_record(world.issues, settings, repository, p))
    return tuple(sorted(pull.number for pull in ours))


@dataclass(frozen=True)
class _OwnPullRequest:
    world: World
    repository: str
    pull: PullRequest
    record: PullRequestRecord
    merged: Merged

    @cached_property
    def is_ours(self) -> bool:
        """Whether the head holds exactly what was published, by content: names of authors can be forged."""
        contents = ((path, read_of(self.merged.pushed_tree, path)) for path in self.merged.pushed)
        changes = tuple(FileChange(path=path, before=None, after=content) for path, content in contents)
        return ChangeSet(base_commit=self.record.base, changes=changes).digest == self.record.changes

    @property
    def notes(self) -> tuple[str, ...]:
        """Which commits people added; what they merged from the base branch is none."""
        if self.is_ours:
            return ()
        ours, base = self.world.issues.viewer().id, self.merged.merge_base
        commits = self.world.branches.commits_between(self.repository, base, self.pull.head_commit)
        theirs = [
            f"{commit[:12]}{f' by {code(author.login)}' if author else ''}"
            for commit, author in commits
            if author is None or author.id != ours
        ]
        shown = f"{', '.join(theirs[:_NAMED])}{f' and {len(theirs) - _NAMED} more' if len(theirs) > _NAMED else ''}"
        who = f"People added {counted(len(theirs), 'commit')}: {shown}" if theirs else "The files are other ones"
        return (f"**Not only the agent's work.** {who}; the agent's words are about its own change.",)


# What is written: our text, or one comment.


def _moved_on(world: World, repository: str, pull: PullRequest, base_head: str, is_own: bool) -> Stopped | None:
    """Why another run's result counts: the head has moved, or somebody wrote about a newer base meanwhile."""
    live = world.pull_requests.pull_request(repository, pull.number)
    if not live.is_open or live.head_commit != pull.head_commit or live.base_branch != pull.base_branch:
        return _superseded(f"#{pull.number} has moved on to {live.head_commit[:12]} since this run began.")
    now = world.branches.head(repository, pull.base_branch)
    ours = world.issues.viewer().id
    texts = [c.body for c in world.issues.comments(_ref(repository, pull)) if c.author.id == ours]
    texts += [live.body] if is_own else []
    if now != base_head and any(verified_commits(text) == (live.head_commit, now) for text in texts):
        return _superseded(f"A newer run has verified #{pull.number} on {str(now)[:12]} already.")
    return None


def _superseded(reason: str) -> Stopped:
    return Stopped(Conclusion.DUPLICATE, reason, "The run of the newest commit counts.")


def _ref(repository: str, pull: PullRequest) -> IssueRef:
    return IssueRef(repository=repository, number=pull.number)


def _written(
    world: World, repository: str, verified: Verified, pull: PullRequest, from_us: bool, concerns: bool
) -> str:
    """Write our text or the comment; returns what did not fit."""
    ref = _ref(repository, pull)
    if from_us:
        live = world.pull_requests.pull_request(repository, pull.number)
        body, overflow = body_of(verified, live.body) or ("", "")
        record = pull_request_record(live.body) if 0 < len(body) <= MAX_BODY_CHARACTERS else None
        is_kept = bool(record and record.ref and not link_problem((live.title, body), repository, record.ref))
        body = body if is_kept else as_edited(live.body)
        if as_kept(body) != as_kept(live.body) and len(body) <= MAX_BODY_CHARACTERS:
            world.pull_requests.update(repository, pull.number, live.title, body)
        if is_kept:
            keep_comment(world.issues, ref, short_comment(verified, IN_THE_TEXT), creates=False)
            return overflow
    text, overflow = comment_of(verified) if concerns else (short_comment(verified, NOTHING), "")
    keep_comment(world.issues, ref, text, creates=concerns)
    return overflow


def _report(
    world: World,
    repository: str,
    pull: PullRequest,
    trusted_branch: str,
    run: RunIdentity,
    conclusion: str,
    title: str,
    summary: str,
) -> None:
    """The check run on the head. It has the name that a rule can require only where all can be planned: a commit may be
    the head of several pull requests, and a pull request may get another base.
    """
    is_fork = pull.head_repository != repository.lower()
    other = "fork" if is_fork else pull.base_branch if pull.base_branch != trusted_branch else ""
    check = CheckReport(
        name=world.redact(f"{CHECK_NAME} ({other})" if other else CHECK_NAME)[:MAX_TITLE],
        conclusion=conclusion,
        title=world.redact(title)[:MAX_TITLE],
        summary=world.redact(summary),
        url=run.url if run.run_id else "",
    )
    world.pull_requests.report_check(repository, pull.head_commit, check)
