"""The deterministic judge over what the llm wrote: every rule over everything that the change touches, on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ops_agent.guard.paths import is_backend_file, is_workflow
from ops_agent.guard.rule import (
    ChangedPath,
    Hit,
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
from ops_agent.guard.tree import Files, SourceTree, called_on, workflows_of
from ops_agent.guard.values import all_targets
from ops_agent.model.briefing import Limits
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.finding import Finding, Place, Severity, Verdict
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import FetchedModules, TerraformRoot, Unreadable
from ops_agent.model.workflow import Lint, LintEntries
from ops_agent.terraform.modules import directory_of, is_configuration
from ops_agent.workflows.reader import read_workflow

_MAX_FINDINGS = 50


def judge(
    changes: ChangeSet,
    base: Files | SourceTree,
    policy: Policy,
    *,
    limits: Limits | None = None,
    known_pins: frozenset[str] | None = None,
    lint: Lint | None = None,
    fetched: FetchedModules | None = None,
    table: tuple[Rule, ...] = TABLE,
) -> Verdict:
    """All findings over `changes` against the files of `base`. Pure; a rule that crashes on what the change touches, and
    a changed file that cannot be read, block.

    A finding that the base has already is marked `pre_existing`, in whatever file and line it is now. `known_pins` are
    the commits of actions that our code trusts (`owner/name@commit`); None leaves that question out. `lint` is what
    the linters report about the changed workflows; a workflow that it leaves out blocks. `fetched` are the modules from
    outside that the base calls: what flows into them is judged as for those of the repository.
    """
    before = base if isinstance(base, SourceTree) else SourceTree(base, policy, fetched or FetchedModules())
    after = before.with_changes(changes)
    whole = WholeChange(changes=changes, base=before, head=after, policy=policy, limits=limits or Limits())
    paths = (ChangedPath(change=c, layout=before.layout, policy=policy) for c in changes.changes)
    lint = lint or Lint(base={}, head={})
    trusted = _of_workflows(before, changes, known_pins, lint)
    existing = list(_of_side(changes, before, policy, trusted))
    trusted = replace(trusted, lint=lint.head)
    arriving = [
        whole,
        *paths,
        *_of_side(changes, after, policy, trusted),
        *_newly_reached(changes, before, after, policy),
    ]
    unread = {s.path for s in existing if isinstance(s, UnreadableFile) and is_workflow(s.path)}
    unread |= {path for path, entries in lint.base.items() if any(e.kind == "unreadable" for e in entries)}
    findings: list[Finding] = []
    for rule in table:
        known, unknown = _judged(rule, existing)
        excuses = _Excuses(before, after, [hit for _, hit in known], unread | set(unknown))
        hits, crashes = _judged(rule, arriving)
        found = [_finding(rule, hit, pre_existing=excuses.take(where, hit)) for where, hit in hits]
        for old in (False, True):  # a new finding is shown behind any number of old ones
            findings += list(dict.fromkeys(f for f in found if f.pre_existing is old))[:_MAX_FINDINGS]
        for where, crash in crashes.items():
            findings.append(_crashed(rule, where, crash, blocks=where in changes.paths or where not in unknown))
    findings += [
        _not_linted(c.path)
        for c in changes.changes
        if is_workflow(c.path) and c.after is not None and c.path not in lint.head
    ]
    findings.sort(key=lambda f: (f.severity is not Severity.DANGER, f.place, f.rule, f.what))
    kinds = {type(subject) for subject in arriving}
    return Verdict(
        findings=tuple(findings),
        rules_run=tuple(r.id for r in table if any(issubclass(kind, r.subject) for kind in kinds)),
    )


class _Excuses:
    """The hits of one rule on the base: each excuses one hit of the change. `unknown` are subjects of the base on which
    the rule crashed, and workflows that could not be read: lines that the change leaves as they were are excused there.
    """

    def __init__(self, before: SourceTree, after: SourceTree, hits: list[Hit], unknown: set[str]) -> None:
        self._before, self._after, self._unknown = before, after, unknown
        self._under: dict[str, list[frozenset[str]]] = {}
        for hit in hits:
            self._under.setdefault(hit.anchor, []).append(_circumstances(hit, before))

    def take(self, where: str, hit: Hit) -> bool:
        """True when the base has this hit already, under the same or worse circumstances; it excuses no second one,
        unless it `excuses_all`.
        """
        left, now = self._under.get(hit.anchor, []), _circumstances(hit, self._after)
        fitting = min((under for under in left if now <= under), key=len, default=None)
        if fitting is None:
            return where in self._unknown and self._is_untouched(hit)
        if not hit.excuses_all:
            left.remove(fitting)
        return True

    def _is_untouched(self, hit: Hit) -> bool:
        if hit.path not in self._before.paths or hit.path not in self._after.paths:
            return False
        before, after = (tree.read(hit.path).split(b"\n") for tree in (self._before, self._after))
        return before == after or after[hit.line - 1 : hit.line][:1] in [[line] for line in before]


def _circumstances(hit: Hit, tree: SourceTree) -> frozenset[str]:
    """Code that no plan loaded does not excuse code that a plan loads."""
    reached = directory_of(hit.path) in tree.reached_directories
    return hit.under | {"loaded by a plan"} if reached else hit.under


@dataclass(frozen=True, slots=True)
class _Trusted:
    """What is already trusted: commits of actions (None: not checked), GitHub environments, container images; and what
    the linters report.
    """

    pins: frozenset[str] | None
    environments: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    lint: LintEntries = field(default_factory=dict)


def _of_workflows(base: SourceTree, changes: ChangeSet, pins: frozenset[str] | None, lint: Lint) -> _Trusted:
    """Commits of actions, environments and images that workflows of the base name in so many words; read only when a
    workflow changes.
    """
    if not any(is_workflow(p) for p in changes.paths):
        return _Trusted(pins)
    jobs = [j for w in workflows_of(base).values() for j in w.jobs]
    used = frozenset(uses.casefold() for j in jobs for uses in (j.uses, *(s.uses for s in j.steps)) if uses)
    return _Trusted(
        None if pins is None else pins | used,
        frozenset(j.environment for j in jobs if j.environment and "${{" not in j.environment),
        frozenset(i.image for j in jobs for i in j.images),
        lint.base,
    )


def _of_side(changes: ChangeSet, tree: SourceTree, policy: Policy, trusted: _Trusted) -> Iterator[Subject]:
    for path in changes.paths:
        if path in tree.paths:
            yield from _of_file(path, tree, policy, trusted)
    for root in tree.affected_roots(changes.paths):
        for target in all_targets(root):
            yield RootInEnvironment(target=target, tree=tree, policy=policy)
        yield from _unread(root, changes, tree)


def _unread(root: TerraformRoot, changes: ChangeSet, tree: SourceTree) -> Iterator[Subject]:
    """Files beside the change that no reader can read, so that nothing in them is judged: they are mentioned."""
    for directory in (root.path, *root.local_modules):
        for path, reason in tree.unread(directory):
            if path not in changes.paths:
                yield UnreadableFile(path=path, reason=reason, text=tree.read(path).decode(errors="replace"))


def _newly_reached(changes: ChangeSet, before: SourceTree, after: SourceTree, policy: Policy) -> Iterator[Subject]:
    """Modules that nothing called on the base: calling one makes its code run, so the caller answers for it."""
    for directory in sorted(after.reached_directories - before.reached_directories):
        for path in after.configurations(directory):
            if path not in changes.paths:
                yield from _of_file(path, after, policy, _Trusted(None))


def _of_file(path: str, tree: SourceTree, policy: Policy, trusted: _Trusted) -> Iterator[Subject]:
    content = tree.read(path)
    text = content.decode(errors="replace")
    yield TextFile(path=path, text=text, policy=policy)
    kind = _kind(path, tree)
    if kind is not None:
        source = tree.judged(path) if path in tree.changed else tree.terraform(path)
        if isinstance(source, Unreadable):
            yield UnreadableFile(path=path, reason=source, text=text)
        else:
            yield TerraformFile(path=path, kind=kind, source=source, tree=tree, policy=policy)
    elif is_workflow(path):
        workflow, file = read_workflow(content), None
        if isinstance(workflow, Unreadable):
            yield UnreadableFile(path=path, reason=workflow, text=text)
        else:
            file = WorkflowFile(
                path=path,
                workflow=workflow,
                policy=policy,
                known_pins=trusted.pins,
                known_environments=trusted.environments,
                known_images=trusted.images,
                called_on=called_on(path, tree),
            )
            yield file
        yield LintedWorkflow(path=path, entries=trusted.lint.get(path, ()), file=file)


def _kind(path: str, tree: SourceTree) -> str | None:
    if is_configuration(path):
        return "configuration"
    if path.endswith((".tfvars", ".tfvars.json")):
        return "variables"
    return "backend" if path in tree.backend_files or is_backend_file(path) else None


def _judged(rule: Rule, subjects: list[Subject]) -> tuple[list[tuple[str, Hit]], dict[str, Exception]]:
    """The rule's hits with their subjects, and where it crashed; what it found before that counts."""
    hits: list[tuple[str, Hit]] = []
    crashes: dict[str, Exception] = {}
    for subject in subjects:
        if isinstance(subject, rule.subject):
            try:
                hits.extend((_name_of(subject), hit) for hit in rule.function(subject))
            except Exception as crash:
                crashes[_name_of(subject)] = crash
    return hits, crashes


def _name_of(subject: Subject) -> str:
    match subject:
        case WholeChange():
            return "."
        case ChangedPath():
            return subject.change.path
        case RootInEnvironment():
            return str(subject.target)
    return subject.path


def _finding(rule: Rule, hit: Hit, *, pre_existing: bool) -> Finding:
    return Finding(
        rule=rule.id,
        title=rule.title,
        place=Place(path=hit.path, line=hit.line),
        what=hit.what,
        remedy=rule.remedy,
        severity=Severity.BLOCKS if rule.blocks else Severity.DANGER if rule.leads else Severity.NOTICE,
        pre_existing=pre_existing,
    )


def _crashed(rule: Rule, where: str, crash: Exception, *, blocks: bool) -> Finding:
    """A rule that cannot judge must let nothing pass that the change touches."""
    return Finding(
        rule="guard/rule-crashed",
        title="A rule could not judge the change",
        place=Place(path=where),
        what=f"the rule `{rule.id}` crashed: {type(crash).__name__}",
        remedy=(
            "Write the file in a plainer form; if it stays, this is a bug in ops-agent: please report it with the file."
        ),
        severity=Severity.BLOCKS if blocks else Severity.NOTICE,
    )


def _not_linted(path: str) -> Finding:
    return Finding(
        rule="guard/not-linted",
        title="The linters did not look at a changed workflow",
        place=Place(path=path),
        what="neither zizmor nor actionlint looked at it",
        remedy="This is a bug in ops-agent: please report it.",
    )
