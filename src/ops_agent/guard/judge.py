"""The judge over what the llm wrote: every rule over everything that the change touches, on the base and on the
head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ops_agent.guard.paths import is_backend_file, is_workflow
from ops_agent.guard.rule import (
    ChangedPath,
    LintedWorkflow,
    RootInEnvironment,
    Rule,
    Subject,
    TerraformFile,
    TextFile,
    UnreadableFile,
    WholeChange,
    WorkflowFile,
)
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory, SourceTree, called_on
from ops_agent.guard.values import all_targets
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import as_error
from ops_agent.model.finding import Finding, Identity, Place, Severity, Verdict
from ops_agent.model.policy import Limits, Policy
from ops_agent.model.terraform import FetchedModules, Unreadable
from ops_agent.model.workflow import Lint, LintEntries, LintEntry, Workflow, renamed_job
from ops_agent.terraform.environments import is_deployed
from ops_agent.terraform.modules import directory_of, is_configuration

CRASHED = "guard/rule-crashed"
_MAX_FINDINGS = 50
_WHOLE = "."
_FIRST = (Severity.DECISION, Severity.WARNING)


def judge(
    changes: ChangeSet,
    base: FilesInMemory | SourceTree,
    policy: Policy,
    *,
    limits: Limits | None = None,
    known_pins: frozenset[str] | None = None,
    lint: Lint | None = None,
    fetched: FetchedModules | None = None,
    table: tuple[Rule, ...] = TABLE,
    most: int = _MAX_FINDINGS,
) -> Verdict:
    """All findings over `changes` against the files of `base`. Pure.

    A rule that crashes on what the change touches blocks, and so does a changed file that cannot be read.

    A finding that the base has already is marked `pre_existing`, in whatever file and line it is now. `known_pins` are
    the commits of actions that our code trusts (`owner/name@commit`); None leaves that question out. `lint` is what
    the linters report about the changed workflows; a workflow that it leaves out blocks. `fetched` are the modules from
    outside that the base calls: what flows into them is judged as for those of the repository. Of one rule there are at
    most `most` findings.
    """
    before = base if isinstance(base, SourceTree) else SourceTree(base, policy, fetched or FetchedModules())
    after = before.with_changes(changes)
    lint = lint or Lint(base={}, head={})
    existing = [*_of_side(changes, before, before, after, known_pins, lint.base)]
    arriving = [
        WholeChange(changes=changes, base=before, head=after, limits=limits or Limits()),
        *(ChangedPath(change=change, base=before) for change in changes.changes),
        *_of_side(changes, after, before, after, known_pins, lint.head),
        *_newly_reached(changes, before, after),
    ]
    unread = {s.path for s in existing if isinstance(s, UnreadableFile) and is_workflow(s.path)}
    unread |= {path for path, entries in lint.base.items() if any(e.kind == "unreadable" for e in entries)}
    findings: list[Finding] = []
    for rule in table:
        known, unknown = _judged(rule, existing)
        excuses = _Excuses(before, after, [finding for _, finding in known], unread | set(unknown))
        new, crashes = _judged(rule, arriving)
        found = [_completed(finding, rule, pre_existing=excuses.take(where, finding)) for where, finding in new]
        for old in (False, True):  # a new finding is shown behind any number of old ones
            findings += list(dict.fromkeys(f for f in found if f.pre_existing is old))[:most]
        if _WHOLE in crashes:  # by the files of the change, or by others?
            unknown |= _judged(rule, [_unchanged(changes, before)])[1]
        for where, crash in crashes.items():
            findings.append(_crashed(rule, where, crash, blocks=where in changes.paths or where not in unknown))
    written = [change.path for change in changes.changes if change.after is not None and is_workflow(change.path)]
    findings += [_not_linted(path) for path in written if path not in lint.head]
    # Dangers first: a list is cut at some length, and what a reviewer must not miss is not to drown in it.
    findings.sort(key=lambda f: (f.severity not in _FIRST, f.place, f.rule, f.what))
    kinds = {type(subject) for subject in arriving}
    return Verdict(
        findings=tuple(findings),
        rules_run=tuple(r.id for r in table if any(issubclass(kind, r.subject) for kind in kinds)),
    )


def judge_existing(tree: SourceTree) -> tuple[Finding, ...]:
    """What the rules find in the Terraform that could be deployed, in the roots and the workflows of a tree that nobody
    changes; a rule that crashes there is a finding too. Nothing of it blocks. Pure.

    The second reader and the linters are not asked.
    """
    subjects: list[Subject] = []
    for path in sorted(tree.paths):
        if is_workflow(path):
            subjects += [*_of_file(path, tree), *_of_workflow(path, tree, tree, tree, None, ())]
        elif is_deployed(path) and _kind(path, tree):
            subjects += _of_file(path, tree)
    files = tuple(
        FileChange(path=s.path, before=content, after=content)
        for s in subjects
        if isinstance(s, TextFile)
        for content in (tree.read(s.path),)
    )
    subjects.append(_unchanged(ChangeSet(base_commit="0" * 40, changes=files), tree))
    subjects += (RootInEnvironment(target=target, tree=tree) for r in tree.layout.roots for target in all_targets(r))
    findings: list[Finding] = []
    for rule in TABLE:
        found, crashes = _judged(rule, subjects)
        findings += dict.fromkeys(_completed(finding, rule, pre_existing=True) for _, finding in found)
        findings += (_crashed(rule, where, crash, blocks=False) for where, crash in crashes.items())
    return tuple(findings)


class _Excuses:
    """The findings of one rule on the base: each excuses one of the change. `unknown` are subjects of the base on which
    the rule crashed, and workflows that could not be read: lines that the change leaves as they were are excused there.
    """

    def __init__(self, before: SourceTree, after: SourceTree, findings: list[Finding], unknown: set[str]) -> None:
        self._before, self._after, self._unknown = before, after, unknown
        self._under: dict[str, list[frozenset[str]]] = {}
        for finding in findings:
            self._under.setdefault(_identity(finding).anchor, []).append(_circumstances(finding, before))

    def take(self, where: str, finding: Finding) -> bool:
        """True when the base has this finding, in the same or worse circumstances; once, unless it `excuses_all`."""
        identity, now = _identity(finding), _circumstances(finding, self._after)
        left = self._under.get(identity.anchor, [])
        fitting = min((under for under in left if now <= under), key=len, default=None)
        if fitting is None:
            return where in self._unknown and self._is_untouched(finding.place)
        if not identity.excuses_all:
            left.remove(fitting)
        return True

    def _is_untouched(self, place: Place) -> bool:
        if place.path not in self._before.paths or place.path not in self._after.paths:
            return False
        before, after = (tree.read(place.path).split(b"\n") for tree in (self._before, self._after))
        return before == after or any(line in before for line in after[max(place.line - 1, 0) : place.line])


def _identity(finding: Finding) -> Identity:
    return finding.identity or Identity(anchor=finding.what)


def _circumstances(finding: Finding, tree: SourceTree) -> frozenset[str]:
    """Code that no plan loaded does not excuse code that a plan loads."""
    under = _identity(finding).under
    return under | {"loaded by a plan"} if directory_of(finding.place.path) in tree.reached_directories else under


def _of_side(
    changes: ChangeSet,
    tree: SourceTree,
    base: SourceTree,
    head: SourceTree,
    pins: frozenset[str] | None,
    lint: LintEntries,
) -> Iterator[Subject]:
    """What the change touches, on the side `tree`, and the workflows that a changed one calls after it."""
    for path in (*changes.paths, *_called_by(changes.paths, head)):
        if path in tree.paths:
            yield from _of_file(path, tree)
            if is_workflow(path):
                yield from _of_workflow(path, tree, base, head, pins, lint.get(path, ()))
    for root in tree.affected_roots(changes.paths):
        yield from (RootInEnvironment(target=target, tree=tree) for target in all_targets(root))
        for directory in (root.path, *root.local_modules):
            for path, reason in tree.unread(directory):
                if path not in changes.paths:  # nothing in it is judged, which is mentioned
                    yield UnreadableFile(path=path, reason=reason, text=_text(path, tree), tree=tree)


def _called_by(paths: Collection[str], tree: SourceTree) -> list[str]:
    """Reusable workflows of the repository that one of `paths` calls, through any number of others, without `paths`."""
    found = list(paths)
    for path in found:
        jobs = workflow.jobs if isinstance(workflow := tree.workflows.get(path), Workflow) else ()
        called = (job.uses.removeprefix("./") for job in jobs if job.uses.startswith("./"))
        found += [c for c in dict.fromkeys(called) if c in tree.workflows and c not in found]
    return found[len(paths) :]


def _newly_reached(changes: ChangeSet, before: SourceTree, after: SourceTree) -> Iterator[Subject]:
    """Modules that nothing called on the base: calling one makes its code run, so the caller answers for it."""
    for directory in sorted(set(after.reached_directories) - set(before.reached_directories)):
        for path in after.configurations(directory):
            if path not in changes.paths:
                yield from _of_file(path, after)


def _of_file(path: str, tree: SourceTree) -> Iterator[Subject]:
    text = _text(path, tree)
    yield TextFile(path=path, text=text, tree=tree)
    kind = _kind(path, tree)
    if kind is not None:
        source = tree.judged(path) if path in tree.changed else tree.terraform(path)
        if isinstance(source, Unreadable):
            yield UnreadableFile(path=path, reason=source, text=text, tree=tree)
        else:
            yield TerraformFile(path=path, kind=kind, source=source, tree=tree)


def _of_workflow(
    path: str,
    tree: SourceTree,
    base: SourceTree,
    head: SourceTree,
    pins: frozenset[str] | None,
    entries: tuple[LintEntry, ...],
) -> Iterator[Subject]:
    workflow, file = tree.workflows[path], None
    later = head.workflows.get(path)
    if tree is base and isinstance(workflow, Workflow) and isinstance(later, Workflow):
        names = _successors(workflow, later)
        workflow = workflow.with_job_names(names)
        entries = tuple(replace(entry, route=renamed_job(entry.route, names)) for entry in entries)
    if isinstance(workflow, Unreadable):
        yield UnreadableFile(path=path, reason=workflow, text=_text(path, tree), tree=tree)
    else:
        events = called_on(path, tree)
        file = WorkflowFile(path=path, workflow=workflow, tree=tree, base=base, pins=pins, called_on=events)
        yield file
    yield LintedWorkflow(path=path, entries=entries, file=file)


def _successors(before: Workflow, after: Workflow) -> dict[str, str]:
    """Jobs that are gone -> new jobs in their place, by what their steps have in common: a job with as many rights that
    has another name is no new one.
    """
    kept = {job.id for job in before.jobs} & {job.id for job in after.jobs}
    gone = [job for job in before.jobs if job.id not in kept]
    names: dict[str, str] = {}
    for job in after.jobs:
        if gone and job.id not in kept:
            steps = {step.text for step in job.steps}
            nearest = max(gone, key=lambda old: len(steps.intersection(step.text for step in old.steps)))
            gone.remove(nearest)
            names[nearest.id] = job.id
    return names


def _text(path: str, tree: SourceTree) -> str:
    return tree.read(path).decode(errors="replace")


def _kind(path: str, tree: SourceTree) -> str | None:
    if is_configuration(path):
        return "configuration"
    if path.endswith((".tfvars", ".tfvars.json")):
        return "variables"
    return "backend" if path in tree.backend_files or is_backend_file(path) else None


def _judged(rule: Rule, subjects: list[Subject]) -> tuple[list[tuple[str, Finding]], dict[str, Exception]]:
    """What the rule finds, with the names of its subjects, and where it crashed; what it found before that counts."""
    findings: list[tuple[str, Finding]] = []
    crashes: dict[str, Exception] = {}
    for subject in subjects:
        if isinstance(subject, rule.subject):
            try:
                findings.extend((_name_of(subject), finding) for finding in rule.function(subject))
            except Exception as crash:
                crashes[_name_of(subject)] = crash
    return findings, crashes


def _unchanged(changes: ChangeSet, tree: SourceTree) -> WholeChange:
    """The change as if it wrote what is there."""
    same = tuple(replace(change, after=change.before) for change in changes.changes if change.before is not None)
    return WholeChange(changes=replace(changes, changes=same), base=tree, head=tree, limits=Limits())


def _name_of(subject: Subject) -> str:
    match subject:
        case WholeChange():
            return _WHOLE
        case ChangedPath():
            return subject.change.path
        case RootInEnvironment():
            return str(subject.target)
    return subject.path


def _completed(finding: Finding, rule: Rule, *, pre_existing: bool) -> Finding:
    return replace(
        finding,
        rule=rule.id,
        title=rule.title,
        remedy=rule.remedy,
        severity=rule.severity,
        pre_existing=pre_existing,
        identity=None,
    )


def _crashed(rule: Rule, where: str, crash: Exception, *, blocks: bool) -> Finding:
    """When a rule crashes, nothing that the change touches may pass."""
    return Finding(
        rule=CRASHED,
        title="A rule could not judge the change",
        place=Place(path=where),
        what=f"the rule `{rule.id}` crashed: {as_error(crash)}",
        remedy=(
            "Write the file in a plainer form; if it stays, this is a bug in ops-agent: please report it with the file."
        ),
        severity=Severity.BLOCKS if blocks else Severity.NOTICE,
    )


def _not_linted(path: str) -> Finding:
    return Finding(
        rule="guard/not-linted",
        title="The linters did not check a changed workflow",
        place=Place(path=path),
        what="neither zizmor nor actionlint checked it",
        remedy="This is a bug in ops-agent: please report it.",
    )
