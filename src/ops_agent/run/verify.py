"""verify: fmt, init, validate and plan for every affected root and environment, linters for changed workflows.

The run's proof. Source rules have passed before (`judge_sources`): init and plan execute what the llm wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ops_agent.config.settings import Settings
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.plan import PlanCounts, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, CredentialLease, TerraformWorkspace, World
from ops_agent.model.terraform import Environment, FetchedModules, Layout, TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, Evidence, TargetVerification, Verification
from ops_agent.model.work_item import WorkItem
from ops_agent.plan.dangers import dangers_of
from ops_agent.plan.reading import read_plan
from ops_agent.plan.values import has_sensitive
from ops_agent.terraform.layout import affected_roots, discover_layout, targets, unsettled_by
from ops_agent.terraform.modules import locked_providers, module_files

# What the base commit plans, asked once in a run: repair rounds change the head alone.


class BasePlans:
    """Plans of base commits, by commit, target and the account of the lease (None: with mocked providers).

    The pipeline makes one for each run and hands it to every round. A plan that failed is not kept: the next round asks
    again.

    The state, or what a data source reads, may move between two rounds. The head is planned anew in each, so what is
    shown and what is dangerous is never old. Old is only what is subtracted, and a change is subtracted when its values
    before *and* after are those of the base's plan: where the state moved, the values before differ, and the change
    counts as ours. So an old plan of the base rather blames this change for too much. It is never older than the run
    (`timeout_minutes`).
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, TerraformTarget, str | None], TerraformPlan] = {}

    def known(self, commit: str, target: TerraformTarget | None, lease: CredentialLease | None) -> TerraformPlan | None:
        """The plan that was kept; None when there is none, or no target."""
        return self._kept.get((commit, target, _account(lease))) if target else None

    def keep(self, commit: str, target: TerraformTarget, lease: CredentialLease | None, plan: TerraformPlan) -> None:
        self._kept[commit, target, _account(lease)] = plan


def _account(lease: CredentialLease | None) -> str | None:
    return lease.account if lease else None


# What a change set causes: the head's plan minus what the base commit's plan shows already.


def own_changes(head: TerraformPlan, base: TerraformPlan | None) -> frozenset[str]:
    """Addresses whose change differs from the base's (drift, and changes that stood before, are not ours).

    Without a base plan (a new root) every change is. Where a sensitive value is masked on either side it counts as
    different: equal masks prove nothing.
    """
    before = {change.address: change for change in base.changes} if base else {}
    return frozenset(
        change.address
        for change in head.changes
        if change.action is not ResourceAction.NO_OP and not _same(change, before.get(change.address))
    )


def own_outputs(head: TerraformPlan, base: TerraformPlan | None) -> frozenset[str]:
    """Names of outputs whose change differs from the base's, by the same rules. A value that is not known yet is told
    by its references.
    """
    before = {output.name: output for output in base.outputs} if base else {}
    return frozenset(
        output.name for output in head.outputs if output != before.get(output.name) or has_sensitive(output.after)
    )


def mocked_difference(head: TerraformPlan, base: TerraformPlan | None) -> TerraformPlan:
    """Two plans from nothing, with mocked providers, as one plan: created, updated and deleted are what the source
    says.

    It cannot show a replace (which attribute forces one is the provider's and the state's knowledge), a move, an
    import, drift, or anything that depends on what is in the account.
    """
    before = {change.address: change for change in base.changes if _exists(change)} if base else {}
    after = {change.address: change for change in head.changes if _exists(change)}
    changes: list[ResourceChange] = []
    for address, change in after.items():
        old = before.get(address)
        if old is None:
            changes.append(change)
        elif not _same(change, old):
            names = _differing(old.after, change.after)
            changes.append(replace(change, action=ResourceAction.UPDATE, before=old.after, changed_attributes=names))
    for address, old in before.items():
        if address not in after:
            changes.append(replace(old, action=ResourceAction.DELETE, before=old.after, after=None))
    kinds = [change.action for change in changes]
    counts = PlanCounts(
        add=kinds.count(ResourceAction.CREATE),
        change=kinds.count(ResourceAction.UPDATE),
        destroy=kinds.count(ResourceAction.DELETE),
    )
    shown = tuple(changes)
    addresses = {change.address for change in shown}
    dangers = {
        (d.address, d.rule, d.what): d
        for d in (*(d for d in head.dangers if d.address in addresses), *dangers_of(shown))
    }
    outputs = tuple(o for o in head.outputs if base is None or o not in base.outputs)
    return replace(
        head, changes=shown, counts=counts, dangers=tuple(dangers.values()), outputs=outputs, drift=(), text=""
    )


def _exists(change: ResourceChange) -> bool:
    return change.mode == "managed" and change.action is ResourceAction.CREATE


def _same(change: ResourceChange, old: ResourceChange | None) -> bool:
    if old is None or (change.action, change.previous_address, change.import_id) != (
        old.action,
        old.previous_address,
        old.import_id,
    ):
        return False
    return change.before == old.before and change.after == old.after and not has_sensitive(change.after)


def _differing(old: Any, new: Any) -> tuple[str, ...]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return ()
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


# Jobs that start children, side by side, as many at once as this machine carries.

T = TypeVar("T")


def run_all(world: World, jobs: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Every job's result; jobs begin in their order.

    The first exception ends all: what runs is finished or, when the run is cancelled, killed.
    """
    with ThreadPoolExecutor(max_workers=world.terraform.parallel(), thread_name_prefix="verify") as pool:
        try:  # around the submissions too: the first job runs while the others are handed in
            futures: dict[str, Future[T]] = {name: pool.submit(job) for name, job in jobs.items()}
            running = set(futures.values())
            while running:
                # With a time limit, so that an interrupt is seen at once, whichever thread the system hands it to.
                done, running = wait(running, timeout=0.5, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            return {name: future.result() for name, future in futures.items()}
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                world.terraform.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# One root in one environment: its checks and its plan, or, without a role, its checks and a mocked look.

_LOCK_FILE = ".terraform.lock.hcl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is verified: the head's files (`tree` on disk; `read(path)` gives bytes, None where there is no file) and
    their identity.
    """

    policy: Policy
    base_commit: str
    change_set: str
    tree: Path
    read: Callable[[str], bytes | None]
    engine: str
    redact: Callable[[str], str]


def verify_target(
    world: World,
    sources: Sources,
    target: TerraformTarget,
    lease: CredentialLease | None,
    unplanned: str | None,
    *,
    validates: bool = True,
) -> TargetVerification:
    """init, validate, plan, each only after the one before passed. Without a lease: init without backend, validate, a
    mocked look.

    `validate` reads no variable file and no state, so one target of a root `validates` for all of them.
    """
    checks: list[CheckResult] = []
    plan: TerraformPlan | None = None
    with world.terraform.workspace(
        sources.tree, target, lease, providers=sources.policy.allowed_providers
    ) as workspace:
        for run in (workspace.init, *((partial(_validate, workspace, target),) if validates else ())):
            checks.append(redacted(run(), sources.redact))
            if checks[-1].status is CheckStatus.FAILED:
                break
        else:
            result, plan = _planned(sources, workspace, lease, target)
            checks.append(redacted(result, sources.redact))
        placeholders, lock_file, modules = workspace.placeholders, workspace.lock_file_update, workspace.modules
    verification = TargetVerification(
        target=target,
        checks=tuple(checks),
        plan=plan,
        unplanned=unplanned,
        mocked=lease is None and plan is not None,
        placeholders=placeholders,
    )
    evidence = replace(
        _evidence(sources, target, lease, plan, lock_file), modules=tuple(sources.redact(name) for name in modules)
    )
    return replace(verification, evidence=evidence if plan is not None else None, lock_file=lock_file)


def _validate(workspace: TerraformWorkspace, target: TerraformTarget) -> CheckResult:
    return replace(workspace.validate(), subject=target.root.path)


def plan_base(
    world: World, sources: Sources, untouched: Path, target: TerraformTarget, lease: CredentialLease | None
) -> TerraformPlan | None:
    """The plan of the base commit's files, to be subtracted; None when they cannot be planned."""
    with world.terraform.workspace(untouched, target, lease, providers=sources.policy.allowed_providers) as workspace:
        if workspace.init().status is CheckStatus.FAILED:
            return None
        return _planned(sources, workspace, lease, target, text=False)[1]


def redacted(check: CheckResult, redact: Callable[[str], str]) -> CheckResult:
    """The check with no secret in its texts."""
    findings = tuple(replace(f, what=redact(f.what)) for f in check.findings)
    return replace(check, findings=findings, output=redact(check.output))


def _planned(
    sources: Sources,
    workspace: TerraformWorkspace,
    lease: CredentialLease | None,
    target: TerraformTarget,
    *,
    text: bool = True,
) -> tuple[CheckResult, TerraformPlan | None]:
    if lease is None:
        result, document = workspace.mocked_plan()
        account = target.environment.account
        return result, read_plan(
            document, "", sources.policy, redact=sources.redact, account=account
        ) if document is not None else None
    result, files = workspace.plan(with_text=text)
    if files is None:
        return result, None
    return result, read_plan(
        files.json_path.read_bytes(), files.text, sources.policy, redact=sources.redact, account=lease.account
    )


def _evidence(
    sources: Sources,
    target: TerraformTarget,
    lease: CredentialLease | None,
    plan: TerraformPlan | None,
    lock_file: bytes | None,
) -> Evidence:
    root = target.root.path
    locked = lock_file or sources.read(_LOCK_FILE if root == "." else f"{root}/{_LOCK_FILE}")
    variables = [sources.read(path) or b"" for path in target.environment.var_files]
    return Evidence(
        base_commit=sources.base_commit,
        change_set=sources.change_set,
        engine=sources.engine,
        account=lease.account if lease else None,
        lock_file=_digest(locked) if locked is not None else None,
        var_files=_digest(b"\x00".join(variables)) if variables else None,
        policy=_digest(repr(sorted(asdict(sources.policy).items())).encode()),
        plan_json=plan.canonical_hash if plan else None,
        providers=locked_providers(locked) if locked is not None else (),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Lock files of roots that got a new allow-listed provider: their entries come from our code, never from the llm.

LOCK_FILE = ".terraform.lock.hcl"


def with_lock_files(base: BaseTree, changes: ChangeSet, verification: Verification) -> ChangeSet:
    """`changes` plus the lock files that the verification had to complete. The guard has judged `changes` without them."""
    completed: dict[str, bytes] = {}
    for target in verification.targets:
        if target.lock_file is not None:
            root = target.target.root.path
            completed[LOCK_FILE if root == "." else f"{root}/{LOCK_FILE}"] = target.lock_file
    entries = base.entries()
    added = [
        FileChange(path=path, before=base.read(path) if path in entries else None, after=content)
        for path, content in completed.items()
    ]
    return ChangeSet(
        base_commit=changes.base_commit,
        changes=tuple(sorted((*changes.changes, *added), key=lambda change: change.path)),
    )


# Modules from outside the repository, fetched before anything that the llm wrote is run: by what the base commit calls.


def fetched_modules(world: World, base: BaseTree, roots: Iterable[TerraformRoot]) -> FetchedModules:
    """What the base's calls of remote modules brought, for the rules to read. Raises what `fetch_modules` does."""
    calling = _calling(base, roots)
    if calling:
        world.terraform.self_test()
    for root, files in calling:
        world.terraform.fetch_modules(root, files)
    return FetchedModules.joined(world.terraform.fetched_modules(root) for root, _ in calling)


def fetch_modules(world: World, base: BaseTree, roots: Iterable[TerraformRoot]) -> tuple[CheckResult, ...]:
    """One check for each of `roots` that calls a remote module on the base commit. A root that is new there calls none.

    Raises ToolchainError, NoSpace, Cancelled; what a module host does is a failed check.
    """
    return tuple(
        redacted(world.terraform.fetch_modules(root, files), world.redact) for root, files in _calling(base, roots)
    )


def _calling(base: BaseTree, roots: Iterable[TerraformRoot]) -> list[tuple[TerraformRoot, Mapping[str, bytes]]]:
    """Those of `roots` that call a remote module on the base, each with the files that a fetch needs."""
    paths = tuple(path for path, entry in base.entries().items() if entry.is_regular)
    return [(root, files) for root in roots if (files := module_files(root, paths, base.read))]


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

    ToolchainError (no engine, the sandbox leaks, an engine that died), PolicyViolation (another account), AwsError,
    NoSpace, Cancelled. `base_plans` is what earlier rounds of the run planned already, and takes up what this one
    plans.

    Provider starts: with r roots, p planned targets and m mocked ones, of which bp and bm stand on the base commit too
    and were not planned in an earlier round (in a first round: all that stand there), it is `V*r + P*(p + bp) + S*(2*p
    + bp) + M*(m + bm)`, where validate, plan, show and a mocked look start a provider V = 2, P = 3, S = 1 and M = 1
    (Terraform 1.11: 3) times; measured with AWS 3.39, held by tests/terraform/test_terraform_providers.py.
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
        # Before any job, so that nothing of the llm's runs beside the tokens of module hosts; what failed is told by
        # init.
        modules = [check for check in fetch_modules(world, base, roots) if check.status is CheckStatus.PASSED]
        asked = {
            w.target: w.base
            for w in work
            if w.base is not None and base_plans.known(base.commit, w.base, w.lease) is None
        }
        untouched = stack.enter_context(world.scratch(base)).root if asked else tree
        first = {w.target.root.path: w.target for w in reversed(work)}
        # The longest first, so that at the end no job runs alone.
        jobs: dict[str, Callable[[], object]] = {
            f"head {w.target}": partial(
                verify_target,
                world,
                sources,
                w.target,
                w.lease,
                w.unplanned,
                validates=first[w.target.root.path] is w.target,
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
        checks = (
            CheckResult(name="layout", subject=lost[0].place.path, status=CheckStatus.FAILED, findings=lost),
            *checks,
        )
    return Verification(
        engine=engine if roots else "",
        checks=(*modules, *checks, *(redacted(check, world.redact) for check in linted)),
        targets=tuple(
            _target(w, done[f"head {w.target}"], base_plans.known(base.commit, w.base, w.lease)) for w in work
        ),
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
        policy=settings.policy,
        base_commit=base.commit,
        change_set=changes.digest,
        tree=tree,
        read=read,
        engine=engine,
        redact=world.redact,
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


def _plan_work(
    world: World, settings: Settings, before: Layout, roots: Iterable[TerraformRoot], stack: ExitStack
) -> tuple[_Work, ...]:
    """What to do for each target. Leases are opened here, one per environment, before any Terraform runs: a wrong
    account stops all.
    """
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
            found.append(
                _Work(target=target, unplanned=unplanned, lease=lease, base=_plannable(on_base.get(str(target))))
            )
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
    findings = tuple(f if f.place.path in changes.paths else replace(f, pre_existing=True) for f in result.findings)
    blocked = any(f.blocks for f in findings)
    status = (
        CheckStatus.FAILED if blocked or (result.status is CheckStatus.FAILED and not findings) else CheckStatus.PASSED
    )
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
