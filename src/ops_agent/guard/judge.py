"""The deterministic judge over what the llm wrote: every rule over everything that the change touches, on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ops_agent.guard.paths import is_backend_file, is_workflow
from ops_agent.guard.rule import (
    ChangedPath,
    Hit,
    RootInEnvironment,
    RootWithValues,
    Rule,
    Subject,
    TerraformFile,
    TextFile,
    UnreadableFile,
    WholeChange,
    WorkflowFile,
)
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import Files, SourceTree, called_on, head_of, workflows_of
from ops_agent.guard.values import Instance, instances_of
from ops_agent.model.briefing import Limits
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.finding import Finding, Place, Severity, Verdict
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Environment, FetchedModules, TerraformTarget, Unreadable
from ops_agent.terraform.layout import affected_roots, targets
from ops_agent.terraform.modules import is_configuration
from ops_agent.workflows.reader import read_workflow

_MAX_FINDINGS = 50


def judge(
    changes: ChangeSet,
    base: Files,
    policy: Policy,
    *,
    limits: Limits | None = None,
    known_pins: frozenset[str] | None = None,
    fetched: FetchedModules | None = None,
    table: tuple[Rule, ...] = TABLE,
) -> Verdict:
    """All findings over `changes` against the files of `base`. Pure; a rule that crashes, and a file that cannot be
    read, block.

    A finding whose code stands on the base already, touched by nobody, is marked `pre_existing`, wherever it moved to.
    `known_pins` are the commits of actions that our code vouches for (`owner/name@commit`); None leaves that question
    out. `fetched` are the modules from outside that the base calls: what flows into them is judged as for those of the
    repository.
    """
    before = SourceTree(base, policy, fetched or FetchedModules())
    after = head_of(before, changes)
    whole = WholeChange(changes=changes, base=before, head=after, policy=policy, limits=limits or Limits())
    once: list[Subject] = [
        whole,
        *(ChangedPath(change=c, layout=before.layout, policy=policy) for c in changes.changes),
    ]
    vouched = _Vouched(known_pins, *_of_workflows(before, changes))
    standing = list(_of_side(changes, before, policy, vouched))
    arriving = [*once, *_of_side(changes, after, policy, vouched), *_newly_reached(changes, before, after, policy)]
    findings: list[Finding] = []
    for rule in table:
        known = Counter(_identity(hit, before) for hit in _standing_hits(rule, standing))
        new: list[Finding] = []
        old: list[Finding] = []
        for hit in _hits(rule, arriving, new):
            identity = next((i for i in _acceptable(hit, after) if known[i] > 0), None)
            if identity is not None:
                known[identity] -= 1
            (new if identity is None else old).append(_finding(rule, hit, pre_existing=identity is not None))
        findings += [*dict.fromkeys(new)][:_MAX_FINDINGS] + [*dict.fromkeys(old)][:_MAX_FINDINGS]
    leading = frozenset(r.id for r in table if r.leads)
    findings.sort(key=lambda f: (f.rule not in leading, f.place, f.rule, f.what))
    kinds = {type(subject) for subject in arriving}
    return Verdict(
        findings=tuple(findings),
        rules_run=tuple(r.id for r in table if any(issubclass(kind, r.subject) for kind in kinds)),
    )


@dataclass(frozen=True, slots=True)
class _Vouched:
    """What people vouch for: commits of actions (None: nobody looked), GitHub environments, container images."""

    pins: frozenset[str] | None
    environments: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()


def _of_workflows(base: SourceTree, changes: ChangeSet) -> tuple[frozenset[str], frozenset[str]]:
    """Environments and images that workflows of the base name in so many words; read only when a workflow changes."""
    if not any(is_workflow(p) for p in changes.paths):
        return frozenset(), frozenset()
    jobs = [j for w in workflows_of(base).values() for j in w.jobs]
    environments = frozenset(j.environment for j in jobs if j.environment and "${{" not in j.environment)
    return environments, frozenset(i.image for j in jobs for i in j.images)


def _identity(hit: Hit, tree: SourceTree) -> tuple[str, bool]:
    """What makes two hits the same: the code they stand in, and whether a plan loads it."""
    return hit.anchor, (hit.path.rpartition("/")[0] or ".") in tree.reached_directories


def _acceptable(hit: Hit, tree: SourceTree) -> tuple[tuple[str, bool], ...]:
    """Standing hits that excuse this one. Code that no plan loaded does not excuse code that a plan loads."""
    anchor, reached = _identity(hit, tree)
    return ((anchor, True),) if reached else ((anchor, False), (anchor, True))


def _of_side(changes: ChangeSet, tree: SourceTree, policy: Policy, vouched: _Vouched) -> Iterator[Subject]:
    for path in changes.paths:
        if path in tree.paths:
            yield from _of_file(path, tree, policy, vouched)
    for target in _targets(tree, changes):
        own, fetched = _instances(target, tree)
        yield RootInEnvironment(target=target, tree=tree, policy=policy, instances=own, fetched=fetched)
    for target in _loose_values(tree, changes):
        own, fetched = _instances(target, tree)
        yield RootWithValues(target=target, tree=tree, policy=policy, instances=own, fetched=fetched)


def _instances(target: TerraformTarget, tree: SourceTree) -> tuple[tuple[Instance, ...], tuple[Instance, ...]]:
    found = instances_of(target, tree)
    own, fetched = (
        [i for i in found if (i.directory in tree.fetched.directories) is outside] for outside in (False, True)
    )
    return tuple(own), tuple(fetched)


def _loose_values(tree: SourceTree, changes: ChangeSet) -> Iterator[TerraformTarget]:
    for path in (p for p in changes.paths if p.endswith(".tfvars")):
        for root in affected_roots(tree.layout, (path,)):
            if not any(path in e.var_files for e in root.environments):
                yield TerraformTarget(
                    root=root, environment=Environment(name=path, account=None, backend_file=None, var_files=(path,))
                )


def _targets(tree: SourceTree, changes: ChangeSet) -> Iterator[TerraformTarget]:
    """Every root that the change can affect, in each of its environments; in one without files and name when it has
    none yet.
    """
    for root in affected_roots(tree.layout, changes.paths):
        yield from targets((root,))
        if not root.environments:
            yield TerraformTarget(
                root=root, environment=Environment(name="any environment", account=None, backend_file=None)
            )


def _newly_reached(changes: ChangeSet, before: SourceTree, after: SourceTree, policy: Policy) -> Iterator[Subject]:
    """Modules that stood unused on the base: calling one makes its code run, so the caller answers for it."""
    for directory in sorted(after.reached_directories - before.reached_directories):
        for path in after.configurations(directory):
            if path not in changes.paths:
                yield from _of_file(path, after, policy, _Vouched(None))


def _of_file(path: str, tree: SourceTree, policy: Policy, vouched: _Vouched) -> Iterator[Subject]:
    content = tree.read(path)
    text = content.decode(errors="replace")
    yield TextFile(path=path, text=text, policy=policy)
    kind = _kind(path, tree)
    if kind is not None:
        source = tree.terraform(path, checked=True)
        if isinstance(source, Unreadable):
            yield UnreadableFile(path=path, reason=source, text=text)
        else:
            yield TerraformFile(path=path, kind=kind, source=source, tree=tree, policy=policy)
    elif is_workflow(path):
        workflow = read_workflow(content)
        if isinstance(workflow, Unreadable):
            yield UnreadableFile(path=path, reason=workflow, text=text)
        else:
            yield WorkflowFile(
                path=path,
                workflow=workflow,
                policy=policy,
                known_pins=vouched.pins,
                known_environments=vouched.environments,
                known_images=vouched.images,
                called_on=called_on(path, tree),
            )


def _kind(path: str, tree: SourceTree) -> str | None:
    if is_configuration(path):
        return "configuration"
    if path.endswith((".tfvars", ".tfvars.json")):
        return "variables"
    named = any(e.backend_file == path for r in tree.layout.roots for e in r.environments)
    return "backend" if named or is_backend_file(path) else None


def _standing_hits(rule: Rule, subjects: list[Subject]) -> list[Hit]:
    try:
        return [hit for s in subjects if isinstance(s, rule.subject) for hit in rule.function(s)]
    except Exception:  # nothing is known of the base then, so everything counts as new
        return []


def _hits(rule: Rule, subjects: list[Subject], findings: list[Finding]) -> list[Hit]:
    hits: list[Hit] = []
    for subject in subjects:
        if not isinstance(subject, rule.subject):
            continue
        try:
            hits.extend(rule.function(subject))
        except Exception as crash:  # a rule that cannot judge must not let anything pass
            findings.append(_crashed(rule, getattr(subject, "path", "."), crash))
    return hits


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


def _crashed(rule: Rule, path: str, crash: Exception) -> Finding:
    return Finding(
        rule="guard/rule-crashed",
        title="A rule could not judge the change",
        place=Place(path=path),
        what=f"the rule `{rule.id}` crashed: {type(crash).__name__}",
        remedy=(
            "Write the file in a plainer form; if it stays, this is a bug in ops-agent: please report it with the file."
        ),
    )
