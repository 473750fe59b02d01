"""judge: the guard before anything is executed, and again over the plans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache

from ops_agent.config.settings import Settings
from ops_agent.guard.judge import judge
from ops_agent.guard.paths import is_action, is_workflow
from ops_agent.guard.pins import UsedAction, find_uses, is_commit, pin, uses_in
from ops_agent.guard.rule import Rule
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.conversation import CriterionAnswer
from ops_agent.model.errors import ToolchainError
from ops_agent.model.finding import Finding, Place, Verdict
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, Branches, Linters, Scratch, ScratchRefusal, Terraform, World
from ops_agent.model.terraform import FetchedModules, TerraformRoot
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.model.work_item import WorkItem
from ops_agent.model.workflow import Lint
from ops_agent.pages.fragments import grouped
from ops_agent.pages.results import is_own
from ops_agent.plan.configuration import without_key
from ops_agent.plan.evidence import ReadFile, prove
from ops_agent.plan.findings import LIFTED_BY, PLAN_TABLE
from ops_agent.run.uncalled import uncalled_modules
from ops_agent.run.verify import fetched_modules
from ops_agent.workflows.merging import MergeEffect, what_a_merge_does

_MAX_PLACES = 5
_PLAN_RULES = tuple(rule.id for rule in PLAN_TABLE)


def pin_actions(branches: Branches, policy: Policy, scratch: Scratch) -> tuple[UsedAction, ...]:
    """Replace tags of allow-listed actions in the changed workflows by their commits; returns what was pinned.

    GitHub is asked about allow-listed names only: what the llm wrote reaches no other address. Call it before
    `change_set` is judged.
    """
    changes, resolve = scratch.change_set(), cache(branches.resolve_action)
    wanted = [u for u in find_uses(changes) if not is_commit(u.ref) and _is_allowed(u, policy)]
    found = {(u.uses, u.ref): resolve(u.uses, u.ref) for u in wanted}
    commits = {tag: commit for tag, commit in found.items() if commit is not None}
    for before, after in zip(changes.written.changes, pin(changes.written, commits).changes, strict=True):
        if after.after is not None and after.after != before.after:
            scratch.write(after.path, after.after)
    return tuple(u for u in wanted if (u.uses, u.ref) in commits)


def format_files(
    terraform: Terraform,
    policy: Policy,
    scratch: Scratch,
    is_done: Callable[[TerraformRoot, SourceTree, ChangeSet], bool] = lambda *_: False,
) -> tuple[str, ...]:
    """Format the changed Terraform files of the roots and modules that are not done; returns the paths of the files
    that it rewrote. Formatting parses and runs nothing.
    """
    changes = scratch.change_set()
    written = {change.path: change.leads_to or change.path for change in changes.changes if change.after is not None}
    if not any(path.endswith((".tf", ".tfvars", ".tofu")) for path in written):
        return ()
    tree = source_tree(scratch.base, policy).with_changes(changes)
    found: dict[str, bytes] = {}
    for root in (*tree.affected_roots(changes.paths), *uncalled_modules(tree, changes)):
        if is_done(root, tree, changes):
            continue
        terraform.self_test()
        found |= {written[p]: c for p, c in terraform.formatted(scratch.root, root).items() if p in written}
    for path, content in found.items():
        scratch.write(path, content)
    return tuple(sorted(found))


def judge_sources(
    world: World,
    settings: Settings,
    base: BaseTree,
    changes: ChangeSet,
    *,
    table: tuple[Rule, ...] = TABLE,
    fetches: bool = True,
) -> Verdict:
    """Every source rule of `table` over the change set and the modules from outside, fetched by the base's files alone
    (not at all unless it `fetches`).
    """
    tree = source_tree(base, settings.policy)
    return judge(
        changes,
        tree.with_fetched(_fetched(world.terraform, base, tree, changes)) if fetches else tree,
        settings.policy,
        limits=settings.limits,
        known_pins=_known_pins(world.branches, tree, changes),
        lint=lint(world.linters, changes),
        table=table,
    )


def lint(linters: Linters, changes: ChangeSet) -> Lint:
    """What the linters report about the changed workflows, before and after. Raises ToolchainError."""
    workflows = [change for change in changes.changes if is_workflow(change.path)]
    before = {change.path: change.before for change in workflows if change.before is not None}
    after = {change.path: change.after for change in workflows if change.after is not None}
    return Lint(base=linters.check(before), head=linters.check(after))


def judge_plans(labels_by_writers: tuple[str, ...], verdict: Verdict, verification: Verification) -> Verdict:
    """The source verdict plus the blocking findings of the plans, and what planned values lack by the standards.

    A label by a writer lifts the rules that it is for, never another one.
    """
    found = [f for target in verification.targets for f in _of_plan(target, labels_by_writers)]
    found += _standards(verification.targets)
    ran = _PLAN_RULES if any(target.plan for target in verification.targets) else ()
    return replace(verdict, findings=(*verdict.findings, *found), rules_run=(*verdict.rules_run, *ran))


def merge_effects(
    policy: Policy, base: BaseTree, base_branch: str, changes: ChangeSet | None = None
) -> tuple[MergeEffect, ...]:
    """What workflows apply, and when; with `changes` only what a merge of them starts. A merge runs the workflows as
    they are then: what `changes` adds is marked.
    """
    tree = source_tree(base, policy)
    before = _effects(tree, base_branch, changes)
    if changes is None or not any(is_workflow(path) or is_action(path) for path in changes.paths):
        return before
    after = _effects(tree.with_changes(changes), base_branch, changes)
    return tuple(replace(effect, is_new=effect not in before) for effect in after)


def _effects(tree: SourceTree, base_branch: str, changes: ChangeSet | None) -> tuple[MergeEffect, ...]:
    def read(path: str) -> bytes | None:
        return tree.read(path) if path in tree.paths else None

    return what_a_merge_does(tree.layout, read, base_branch, changes.paths if changes else None)


def prove_criteria(
    item: WorkItem, answers: tuple[CriterionAnswer, ...], verification: Verification, base: BaseTree, scratch: Scratch
) -> Verification:
    """`verification` with a proof for each acceptance criterion of `item`."""
    proofs = prove(item.request.criteria, answers, verification.targets, *readers(base, scratch))
    return replace(verification, criteria=proofs)


def readers(base: BaseTree, scratch: Scratch) -> tuple[ReadFile, ReadFile]:
    """For evidence: what reads a file without the change, and with it."""
    entries = base.entries()

    def before(path: str) -> bytes | None:
        return base.read(path) if path in entries and entries[path].is_regular else None

    def after(path: str) -> bytes | None:
        try:
            return scratch.read(path)
        except ScratchRefusal:
            return None

    return before, after


def _fetched(terraform: Terraform, base: BaseTree, tree: SourceTree, changes: ChangeSet) -> FetchedModules:
    roots = tree.with_changes(changes).affected_roots(changes.paths)
    try:
        return fetched_modules(terraform, base, roots)
    except ToolchainError:  # verify raises it again, before anything of the change is run
        return FetchedModules()


def _is_allowed(used: UsedAction, policy: Policy) -> bool:
    return used.name.casefold() in {u.casefold() for u in policy.allowed_uses}


def _known_pins(branches: Branches, tree: SourceTree, changes: ChangeSet) -> frozenset[str]:
    """Commits that are used on the base branch already, and those that are what the tag beside them means."""
    known = {_pin(u) for path in tree.workflows for u in uses_in(path, tree.read(path)) if is_commit(u.ref)}
    resolve = cache(branches.resolve_action)
    for used in find_uses(changes):
        is_new_pin = is_commit(used.ref) and _pin(used) not in known and _is_allowed(used, tree.policy)
        if is_new_pin and used.tag and not is_commit(used.tag) and resolve(used.uses, used.tag) == used.ref:
            known.add(_pin(used))
    return frozenset(known)


def _pin(used: UsedAction) -> str:
    return f"{used.uses}@{used.ref}".casefold()


def _of_plan(target: TargetVerification, labels: tuple[str, ...]) -> list[Finding]:
    """What blocks in the danger list, with its root as the place and the target in its words."""
    if target.plan is None:
        return []
    place = Place(path=target.target.root.path)
    changed = {change.address for change in target.plan.changes}
    return [
        replace(
            danger,
            place=place,
            what=f"`{danger.address}` in {target.target}: {danger.what}",
            pre_existing=target.own is not None and danger.address in changed - target.own,
        )
        for danger in target.plan.dangers
        if danger.blocks and LIFTED_BY.get(danger.rule) not in labels
    ]


def _standards(targets: Iterable[TargetVerification]) -> Iterator[Finding]:
    """What this change leaves out, once for each resource of the code, in whatever instances and environments."""
    planned = grouped((target.target.root.path, target) for target in targets if target.plan)
    for same in planned.values():
        found = grouped(
            (replace(one, address=without_key(one.address), pre_existing=False), (one, target))
            for target in same
            for one in (target.plan.standards if target.plan else ())
            if is_own(one, target)
        )
        for finding, rows in found.items():
            places = list(dict.fromkeys(str(target.target) for _, target in rows))
            only = "" if len(places) == len(same) and len(planned) == 1 else f" in {', '.join(places[:_MAX_PLACES])}"
            yield replace(finding, what=f"{finding.what}{only}", pre_existing=all(one.pre_existing for one, _ in rows))
