"""verify: fmt, init, validate and plan for every affected root and environment, linters for changed workflows.

The run's proof. Source rules have passed before (`judge_sources`): init and plan execute what the llm wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ops_agent.core.sources.layout import affected_roots, discover_layout, targets
from ops_agent.core.sources.layout_changes import unsettled_by
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.layout import Environment, Layout, TerraformRoot, TerraformTarget
from ops_agent.domain.terraform_plan import TerraformPlan
from ops_agent.domain.verification import CheckResult, CheckStatus, TargetVerification, Verification
from ops_agent.domain.work_item import WorkItem
from ops_agent.ports import BaseTree, CredentialLease, World
from ops_agent.settings import Settings
from ops_agent.stages.modules import fetch_modules
from ops_agent.stages.verify_base import BasePlans
from ops_agent.stages.verify_differences import mocked_difference, own_changes, own_outputs
from ops_agent.stages.verify_jobs import run_all
from ops_agent.stages.verify_targets import Sources, plan_base, redacted, verify_target


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One target: why it is not planned, or the lease to plan with; its counterpart on the base commit, if it has one."""

    target: TerraformTarget
    unplanned: str | None
    lease: CredentialLease | None
    base: TerraformTarget | None


def verify(
    world: World,
    settings: Settings,
    item: WorkItem,  # noqa: ARG001  every stage is handed the item
    base: BaseTree,
    changes: ChangeSet,
    tree: Path,
    base_plans: BasePlans | None = None,
) -> Verification:
    """All checks over `tree`, which holds base plus `changes`. A failed check is a value; raised is what is broken:

    ToolchainError (no engine, the sandbox leaks, an engine that died), PolicyViolation (another account), AwsError, NoSpace, Cancelled.
    `base_plans` is what earlier rounds of the run planned already, and takes up what this one plans.

    Provider starts: with r roots, p planned targets and m mocked ones, of which bp and bm stand on the base commit too and were not
    planned in an earlier round (in a first round: all that stand there), it is `V*r + P*(p + bp) + S*(2*p + bp) + M*(m + bm)`, where
    validate, plan, show and a mocked look start a provider V = 2, P = 3, S = 1 and M = 1 (Terraform 1.11: 3) times; measured with AWS
    3.39, held by tests/terraform/test_terraform_providers.py.
    """
    base_plans = base_plans or BasePlans()
    engine = world.terraform.engine()
    world.terraform.self_test()
    sources = _sources(settings, base, changes, tree, engine, world)
    before, after = _layouts(settings, base, changes)
    roots = affected_roots(after, changes.paths)
    workflows = tuple(c.path for c in changes.changes if c.after is not None and c.path in after.workflows)
    with ExitStack() as stack:
        work = _plan_work(world, settings, before, roots, stack)
        # Before any job, so that nothing of the llm's runs beside the tokens of module hosts; what failed is told by init.
        modules = [check for check in fetch_modules(world, base, roots) if check.status is CheckStatus.PASSED]
        asked = {w.target: w.base for w in work if w.base is not None and base_plans.known(base.commit, w.base, w.lease) is None}
        untouched = stack.enter_context(world.scratch(base)).root if asked else tree
        first = {w.target.root.path: w.target for w in reversed(work)}
        # The longest first, so that at the end no job runs alone.
        jobs: dict[str, Callable[[], object]] = {
            f"head {w.target}": partial(
                verify_target, world, sources, w.target, w.lease, w.unplanned, validates=first[w.target.root.path] is w.target
            )
            for w in work
        }
        for w in work:
            if w.target in asked:
                jobs[f"base {w.target}"] = partial(plan_base, world, sources, untouched, asked[w.target], w.lease)
        for root in roots:
            jobs[f"fmt {root.path}"] = partial(_fmt, world, changes, tree, root)
        done = run_all(world, jobs)
    for w in work:
        plan = done.get(f"base {w.target}")
        if isinstance(plan, TerraformPlan):
            base_plans.keep(base.commit, asked[w.target], w.lease, plan)
    linted = world.linters.check(tree, workflows) if workflows else ()
    checks = tuple(result for root in roots if isinstance(result := done[f"fmt {root.path}"], CheckResult))
    if lost := unsettled_by(before, after):
        checks = (CheckResult(name="layout", subject=lost[0].place.path, status=CheckStatus.FAILED, findings=lost), *checks)
    return Verification(
        engine=engine if roots else "",
        checks=(*modules, *checks, *(redacted(check, world.redact) for check in linted)),
        targets=tuple(_target(w, done[f"head {w.target}"], base_plans.known(base.commit, w.base, w.lease)) for w in work),
    )


def _sources(settings: Settings, base: BaseTree, changes: ChangeSet, tree: Path, engine: str, world: World) -> Sources:
    changed = {c.path: c.after for c in changes.changes}

    def read(path: str) -> bytes | None:
        if path in changed:
            return changed[path]
        try:
            return base.read(path)
        except KeyError:
            return None

    return Sources(
        policy=settings.policy, base_commit=base.commit, change_set=changes.digest, tree=tree, read=read, engine=engine, redact=world.redact
    )


def _layouts(settings: Settings, base: BaseTree, changes: ChangeSet) -> tuple[Layout, Layout]:
    """The base commit's layout and the head's."""
    regular = frozenset(path for path, entry in base.entries().items() if entry.is_regular)
    changed = {c.path: c.after for c in changes.changes}
    present = {path: content for path, content in changed.items() if content is not None}
    before = discover_layout(regular, base.read, settings.policy)
    after = discover_layout(
        (regular - changed.keys()) | present.keys(),
        lambda path: present[path] if path in present else base.read(path),
        settings.policy,
    )
    return before, after


def _plan_work(world: World, settings: Settings, before: Layout, roots: Iterable[TerraformRoot], stack: ExitStack) -> tuple[_Work, ...]:
    """What to do for each target. Leases are opened here, one per environment, before any Terraform runs: a wrong account stops all."""
    leases: dict[tuple[str, str | None], CredentialLease] = {}
    on_base = {str(target): target for target in targets(before.roots)}
    found = []
    for root in roots:
        for environment in root.environments or (Environment(name="default", account=None, backend_file=None),):
            if settings.environments and environment.name not in settings.environments:
                continue
            unplanned = _unplanned(world, root, environment)
            key = (environment.name, environment.account)
            if unplanned is None and key not in leases:
                leases[key] = stack.enter_context(world.cloud.lease(environment))
            target = TerraformTarget(root=root, environment=environment)
            lease = leases[key] if unplanned is None else None
            found.append(_Work(target=target, unplanned=unplanned, lease=lease, base=_plannable(on_base.get(str(target)))))
    return tuple(found)


def _unplanned(world: World, root: TerraformRoot, environment: Environment) -> str | None:
    if environment.unsettled:
        return environment.unsettled
    if not root.environments and root.has_backend:
        return f"no environment of `{root.path}` was found"
    return world.cloud.unplanned_reason(environment)


def _plannable(target: TerraformTarget | None) -> TerraformTarget | None:
    """The base's target, unless it cannot be told there which files are its own."""
    return None if target is None or target.environment.unsettled else target


def _fmt(world: World, changes: ChangeSet, tree: Path, root: TerraformRoot) -> CheckResult:
    """fmt of one root. Files that the change did not touch are named, and do not fail it."""
    result = world.terraform.fmt(tree, root)
    findings = tuple(f if f.place.path in changes.paths else replace(f, pre_existing=True, blocks=False) for f in result.findings)
    blocked = any(f.blocks for f in findings)
    status = CheckStatus.FAILED if blocked or (result.status is CheckStatus.FAILED and not findings) else CheckStatus.PASSED
    return redacted(replace(result, findings=findings, status=status), world.redact)


def _target(work: _Work, head: object, before: TerraformPlan | None) -> TargetVerification:
    """The head's verification with what the base's plan, or the mocked look, says about it."""
    if not isinstance(head, TargetVerification):
        raise TypeError(f"the job of {work.target} gave {type(head).__name__}")
    if head.plan is None or (before is None and work.base is not None):
        # Nothing to compare; a mocked plan alone would show every resource as new.
        return replace(head, plan=None, mocked=False) if head.mocked else head
    if head.mocked:
        difference = mocked_difference(head.plan, before)
        own, names = frozenset(c.address for c in difference.changes), frozenset(o.name for o in difference.outputs)
        return replace(head, plan=difference, own=own, own_outputs=names)
    return replace(head, own=own_changes(head.plan, before), own_outputs=own_outputs(head.plan, before))
