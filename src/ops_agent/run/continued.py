"""A branch that holds work already, ours and people's: where the agent starts, and what of it is whose.

What people committed is theirs: a finding about it is shown and needs a decision, and blocks nothing. What the agent
adds is judged as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from ops_agent.agent.rounds import MAX_DIFF, round_prompt, threads_to_answer
from ops_agent.config.settings import Settings
from ops_agent.guard.data import table
from ops_agent.guard.tree import source_tree
from ops_agent.issue.claims import epoch
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.conversation import Briefing
from ops_agent.model.errors import GitHubError
from ops_agent.model.finding import Finding, Place, Severity, Verdict
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, Scratch, World
from ops_agent.model.review import FailedCheck, ReviewRound
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.model.work_item import Claim, WorkItem
from ops_agent.run.checkout import rules_for_people
from ops_agent.run.commit import as_patch
from ops_agent.run.judge import judge_plans, judge_sources
from ops_agent.run.merged import merge, merge_with_marks
from ops_agent.run.target import BasePlans
from ops_agent.run.verify import verify
from ops_agent.terraform.layout import targets
from ops_agent.terraform.links import FollowedTree
from ops_agent.text.merging import BETWEEN, OURS, THEIRS

_NAMED = 5
_MAX_COMPARED = 100_000
_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """`head` is what the scratch tree starts with, as Terraform sees it, and `stored` as git stores it; `changes` are
    what is on the branch already, against `base`. `conflicts` are files that hold both sides between marks; `unread`
    are findings about files that nobody can judge.
    """

    base: BaseTree
    head: BaseTree
    stored: BaseTree
    changes: ChangeSet
    conflicts: tuple[str, ...] = ()
    unread: tuple[Finding, ...] = ()


def start_of(world: World, settings: Settings, repository: str, claim: Claim, newest: BaseTree) -> Start | Stopped:
    """Where the agent starts; `stale` when branch and base conflict in files that are not for it to settle."""
    if claim.head_commit == claim.base_commit:
        base = FollowedTree(newest)
        nothing = ChangeSet(base_commit=newest.commit, changes=())
        return Start(base=base, head=base, stored=newest, changes=nothing)
    hopeless: tuple[str, ...] = ()
    if claim.conflicts:
        found, hopeless = merge_with_marks(world.branches, repository, newest, claim.head_commit, settings.policy)
    else:
        found = merge(world.branches, repository, newest, claim.head_commit, settings.policy)
    if hopeless:
        named = ", ".join(f"`{path}`" for path in hopeless[:_NAMED])
        return Stopped(
            Conclusion.STALE,
            f"{claim.branch} and the base branch conflict in {named}, which is not for the agent to settle.",
            "Merge the base branch into the branch by hand, then re-apply the label.",
        )
    return Start(
        base=found.base,
        head=found.head,
        stored=found.laid,
        changes=found.changes,
        conflicts=found.conflicts,
        unread=found.unread,
    )


def with_round(world: World, item: WorkItem, claim: Claim, start: Start, briefing: Briefing) -> Briefing:
    """The briefing with what is on the branch, what writers ask for, and what had failed on the commit that they saw
    when they approved. Words are as they were when the claim was made: none is read again.
    """
    if claim.head_commit == claim.base_commit:
        return briefing
    checks = _failed_checks(world, item, claim.round) if claim.round is not None else ()
    prompt = round_prompt(
        briefing.boundary, claim.round, checks, claim.others, start.conflicts, _diff(start.changes.written)
    )
    threads = tuple(threads_to_answer(claim.round))
    return replace(briefing, task=f"{briefing.task.rstrip()}\n\n{world.redact(prompt)}", threads=threads)


def _failed_checks(world: World, item: WorkItem, asked: ReviewRound) -> tuple[FailedCheck, ...]:
    try:
        found = world.pull_requests.failed_checks(item.target.full_name, asked.head)
    except GitHubError as error:
        world.reporter.annotate("warning", f"The checks of the pull request could not be read: {error}")
        return ()
    return tuple(check for check in found if epoch(check.at) <= epoch(item.approval.at))


def _diff(changes: ChangeSet) -> str:
    """Of the files that are small enough to compare, until there is more than is shown."""
    parts, size = list[str](), 0
    for change in changes.changes:
        is_large = max(len(change.before or b""), len(change.after or b"")) > _MAX_COMPARED
        parts.append(
            f"{change.path}: too large to show\n" if is_large else as_patch(replace(changes, changes=(change,)))
        )
        size += len(parts[-1])
        if size > MAX_DIFF:
            break
    return "".join(parts)


class Continued:
    """ports.Scratch, over the tree of a branch: `base` and `change_set` are against the base branch, `edits` against
    the branch as it was.
    """

    def __init__(self, inner: Scratch, start: Start) -> None:
        self.inner, self.base, self.root = inner, start.base, inner.root
        self._there = {change.path: change for change in start.changes.changes}

    def read(self, path: str) -> bytes:
        return self.inner.read(path)

    def write(self, path: str, content: bytes) -> None:
        self.inner.write(path, content)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def paths(self) -> tuple[str, ...]:
        return self.inner.paths()

    def edits(self) -> ChangeSet:
        return self.inner.change_set()

    def change_set(self) -> ChangeSet:
        found = dict(self._there)
        for change in self.edits().changes:
            there = self._there.get(change.path)
            found[change.path] = replace(change, before=there.before) if there is not None else change
        changed = (change for _, change in sorted(found.items()) if change.before != change.after)
        return ChangeSet(base_commit=self.base.commit, changes=tuple(changed))


@contextmanager
def scratch_of(world: World, start: Start) -> Iterator[Continued]:
    """A fresh tree of the branch, removed at the end."""
    with world.scratch(start.head) as inner:
        yield Continued(inner, start)


class Judging:
    """The judge of one run: over sources, then over plans. For a branch that holds commits of people it asks whose a
    finding is.
    """

    def __init__(self, world: World, settings: Settings, start: Start, others: tuple[str, ...]) -> None:
        self._world, self._settings, self._start, self._others = world, settings, start, others
        self._planned: frozenset[_Key] | None = None

    def sources(self, scratch: Continued) -> tuple[Verdict, str]:
        """The verdict over the sources, and why nothing may be executed although the agent did nothing that blocks;
        empty: it may.
        """
        changes, start = scratch.change_set(), self._start
        verdict = self._judged(changes)
        verdict = replace(verdict, findings=(*_marks(scratch, start.conflicts), *verdict.findings))
        if not self._others:
            return verdict, ""
        own = judge_sources(self._world, self._settings, start.head, scratch.edits(), fetches=False)
        mine = {_key(finding) for finding in own.blocking}
        theirs = {_key(f) for f in verdict.blocking if _key(f) not in mine and _key(f, lines=False) in self._known}
        if not theirs and not start.unread:
            return verdict, ""
        rules = rules_for_people("agent")
        people = judge_sources(self._world, self._settings, start.base, changes, table=rules, fetches=False)
        as_people = {_key(finding): finding for finding in people.findings}
        kept = tuple(
            _of_people(as_people[_key(f)]) if _key(f) in theirs else f
            for f in verdict.findings
            if _key(f) not in theirs or _key(f) in as_people
        )
        verdict = replace(verdict, findings=(*kept, *map(_of_people, start.unread)))
        moves = any(f.rule in table("people")["decision"] and not f.pre_existing for f in people.findings)
        if any(_key(f) in theirs for f in people.blocking):
            return verdict, "the guard refuses what people committed, so nothing of the branch is executed"
        if moves:
            return verdict, "commits of people change where the state is kept"
        return verdict, "files that people committed could not be read" if start.unread else ""

    def plans(self, labels: tuple[str, ...], verdict: Verdict, verification: Verification, known: BasePlans) -> Verdict:
        """The verdict with the plans; what the branch would do without the agent's edits needs a decision."""
        found = judge_plans(labels, verdict, verification)
        if not found.blocked or not self._others:
            return found
        if self._planned is None:
            with self._world.scratch(self._start.head) as tree:
                made = verify(self._world, self._settings, self._start.base, self._start.changes, tree.root, known)
            before = judge_plans(labels, Verdict(findings=(), rules_run=()), made)
            self._planned = frozenset(_key(finding) for finding in before.blocking)
        findings = (_of_people(f) if f.blocks and _key(f) in self._planned else f for f in found.findings)
        return replace(found, findings=tuple(findings))

    def not_executed(self, changes: ChangeSet, why: str) -> Verification:
        """The verification of a change of which nothing is executed."""
        after = source_tree(self._start.base, self._settings.policy).with_changes(changes)
        unplanned = (
            TargetVerification(target=target, checks=(), unplanned=why)
            for target in targets(after.affected_roots(changes.paths))
        )
        return Verification(engine="", targets=tuple(unplanned))

    def _judged(self, changes: ChangeSet) -> Verdict:
        return judge_sources(self._world, self._settings, self._start.base, changes)

    @cached_property
    def _known(self) -> frozenset[_Key]:
        """What blocks the branch as it was, on whatever line."""
        return frozenset(_key(finding, lines=False) for finding in self._judged(self._start.changes).blocking)


def written(start: Start, scratch: Continued, changes: ChangeSet) -> ChangeSet:
    """What the commit writes on the branch: the agent's edits, and files of `changes` that code completed."""
    edits = {change.path: change for change in scratch.edits().written.changes}
    made = {change.path: change for change in scratch.change_set().changes}
    entries = start.head.entries()
    for change in changes.changes:
        if change.path not in made or made[change.path].after != change.after:
            there = start.head.read(change.path) if change.path in entries else None
            edits[change.path] = FileChange(path=change.path, before=there, after=change.after)
    kept = tuple(change for _, change in sorted(edits.items()) if change.before != change.after)
    return ChangeSet(base_commit=start.head.commit, changes=kept)


def _key(finding: Finding, *, lines: bool = True) -> _Key:
    place = str(finding.place) if lines else finding.place.path
    return finding.rule, place, finding.what, finding.address


def _of_people(finding: Finding) -> Finding:
    """A person decides about what people committed."""
    severity = max(finding.severity, Severity.DECISION)
    return replace(finding, severity=severity, what=f"{finding.what} (committed by people)")


def _marks(scratch: Scratch, conflicts: tuple[str, ...]) -> tuple[Finding, ...]:
    """Files in which a conflict is not settled."""
    return tuple(
        Finding(
            rule="check/conflict",
            title="A conflict with the base branch",
            what="both sides are between marks",
            place=Place(path=path),
            remedy="Write what holds both changes, and take the lines with the marks away.",
        )
        for path in conflicts
        if path in scratch.paths() and any(mark in scratch.read(path) for mark in (OURS, BETWEEN, THEIRS))
    )
