"""verify: fmt, init, validate and plan for every affected root and environment.

The run's proof. Source rules have passed before (`judge_sources`): init and plan execute what the llm wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ops_agent.config.settings import Settings
from ops_agent.guard.needs import not_with_role
from ops_agent.guard.tree import source_tree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, CloudIdentity, CredentialLease, Terraform, TerraformWorkspace, World
from ops_agent.model.terraform import Environment, FetchedModules, Layout, TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification, Verification
from ops_agent.plan.difference import own_changes, own_outputs, standards_beside
from ops_agent.run.base_failures import BaseFailures
from ops_agent.run.offline import Opened, offline_bases, verify_offline
from ops_agent.run.target import (
    BasePlans,
    Head,
    Work,
    all_pass,
    fmt,
    lock_path,
    opened,
    read,
    redacted,
    validated,
    verified,
    with_modules,
    work_of,
)
from ops_agent.run.uncalled import check_module, uncalled_modules
from ops_agent.terraform.buckets import named_buckets
from ops_agent.terraform.layout import LayoutUses, unsettled_by
from ops_agent.terraform.links import target_of
from ops_agent.terraform.module_sources import module_files
from ops_agent.terraform.modules import by_directory, directory_of

T = TypeVar("T")


def verify(
    world: World,
    settings: Settings,
    base: BaseTree,
    changes: ChangeSet,
    tree: Path,
    base_plans: BasePlans | None = None,
) -> Verification:
    """All checks over `tree`, which holds base plus `changes`. A failed check is a value; what is broken is raised:
    ToolchainError (no engine, the sandbox leaks, an engine that died), PolicyViolation (another account), AwsError,
    NoSpace, Cancelled. `base_plans` is what earlier rounds of the run planned, and gets what this one plans.

    Provider starts: with r roots and p targets that are planned with a lease, of which bp exist on the base commit too
    and were not planned in an earlier round (in a first round: all that exist there), it is `V*r + P*(p + bp) + S*(2*p
    + bp)`, where validate, plan and show start a provider V = 2, P = 3 and S = 1 times. A root of which m targets are
    planned offline, bm of them with a base as above, starts it `M*(m + bm) + 3 + 4 + 1` times more: M = 1 for a mocked
    run (Terraform 1.11: 9), 3 for the plan of the bases, 4 for that of what differs (3 where all of it is created), 1
    for the schemas. Measured with AWS 3.39, asserted by tests/adapters/terraform/test_terraform_providers.py.
    """
    known = BasePlans() if base_plans is None else base_plans
    terraform, redact = world.terraform, world.redact
    engine = terraform.engine()
    terraform.self_test()
    files = source_tree(base, settings.policy)
    sources = files.with_changes(changes)
    before, after = files.layout, sources.layout
    roots, modules = LayoutUses(after).affected(changes.paths), uncalled_modules(sources, changes)
    with ExitStack() as stack:
        why = partial(_not_with_role, terraform, base, settings.policy, changes)
        work = _leased(world.cloud, work_of(settings.environments, before, roots), stack, why)
        head = Head(
            terraform=terraform,
            engine=engine,
            redact=redact,
            policy=settings.policy,
            base=base,
            changes=changes,
            tree=tree,
            buckets=_named_buckets(base, before, roots) if any(w.lease for w in work) else frozenset(),
            sources=sources,
        )
        # Before any job, so that nothing of the llm's runs beside the tokens of module hosts; init reports what failed.
        fetched = fetch_modules(terraform, redact, base, roots)
        unknown = [w for w in work if w.base is not None and w.base_plan(known, base.commit) is None]
        offline: dict[str, list[Work]] = {}
        for w in work:
            if w.lease is None:
                offline.setdefault(w.target.root.path, []).append(w)
        untouched = known.tree or (stack.enter_context(world.scratch(base)).root if unknown or modules else tree)
        validating = {w.target.root.path: w.target for w in reversed(work)}
        # The longest first, so that at the end no job runs alone.
        jobs: dict[str, Callable[[], object]] = {
            f"head {w.target}": partial(_verify_target, head, w, validates=validating[w.target.root.path] is w.target)
            for w in work
            if w.lease is not None
        }
        jobs |= {
            f"base {w.target}": partial(
                _plan_base, head, w, untouched, known.failures, validates=validating[w.target.root.path] is w.target
            )
            for w in unknown
            if w.lease is not None
        }
        jobs |= {
            f"offline {path}": partial(_verify_offline, head, same, known, untouched, validating[path])
            for path, same in offline.items()
        }
        jobs |= {f"fmt {root.path}": partial(fmt, head, root) for root in roots}
        jobs |= {
            f"module {one.path}": partial(check_module, head, one, sources, known.failures, untouched)
            for one in modules
        }
        done = run_all(terraform, jobs)
    for w in unknown:
        plan = done.get(f"base {w.target}")
        if w.base is not None and isinstance(plan, TerraformPlan):
            known[base.commit, w.base, w.account] = plan
    made = [_compared(w, done[f"head {w.target}"], w.base_plan(known, base.commit)) for w in work if w.lease]
    made += [target for path in offline for target in _several(done[f"offline {path}"])]
    order = {str(w.target): number for number, w in enumerate(work)}
    checks = [check for check in fetched if check.status is CheckStatus.PASSED]
    checks += layout_checks(before, after)
    checks += [result for root in roots if isinstance(result := done[f"fmt {root.path}"], CheckResult)]
    checks += [result for one in modules for result in _several(done[f"module {one.path}"])]
    return Verification(
        engine=engine if roots or modules else "",
        checks=tuple(checks),
        uncalled=tuple(one.path for one in modules),
        targets=tuple(
            known.failures.excuse(one, head.read) for one in sorted(made, key=lambda one: order[str(one.target)])
        ),
    )


def layout_checks(before: Layout, after: Layout) -> tuple[CheckResult, ...]:
    """A failed check when nothing would prove the change in an environment that only the base can plan."""
    if not (lost := unsettled_by(before, after)):
        return ()
    return (CheckResult(name="layout", subject=lost[0].place.path, status=CheckStatus.FAILED, findings=lost),)


def _named_buckets(base: BaseTree, before: Layout, roots: Iterable[TerraformRoot]) -> frozenset[str]:
    """S3 buckets that the base commit's own files of `roots` name in full."""
    known = {root.path: root for root in before.roots}
    own = [known[root.path] for root in roots if root.path in known]
    directories = {directory for root in own for directory in (root.path, *root.local_modules)}
    files = {path for root in own for e in root.environments for path in (e.backend_file, *e.var_files)}
    return named_buckets(
        base.read(path).decode(errors="replace")
        for path, entry in base.entries().items()
        if entry.is_regular and (path in files or (path.endswith(".tf") and directory_of(path) in directories))
    )


def _leased(
    cloud: CloudIdentity, work: Iterable[Work], stack: ExitStack, not_with_role: Callable[[TerraformTarget], str]
) -> tuple[Work, ...]:
    """`work` with a lease where its environment has a role, else with the reason why there is none. Leases are opened
    here, one for each environment, before any Terraform runs: a wrong account stops all.
    """
    leases: dict[tuple[str, str | None], CredentialLease] = {}
    found = []
    for w in work:
        environment = w.target.environment
        unplanned = _unplanned(cloud, w.target.root, environment) or not_with_role(w.target)
        if unplanned:
            found.append(replace(w, unplanned=unplanned))
            continue
        key = (environment.name, environment.account)
        if key not in leases:
            leases[key] = stack.enter_context(cloud.lease(environment))
        base = None if w.base is not None and w.base.environment.unsettled else w.base
        found.append(replace(w, lease=leases[key], base=base))
    return tuple(found)


def _unplanned(cloud: CloudIdentity, root: TerraformRoot, environment: Environment) -> str | None:
    if environment.unsettled:
        return environment.unsettled
    if not root.environments and root.has_backend:
        return f"no environment of `{root.path}` was found"
    return cloud.unplanned_reason(environment)


def _not_with_role(
    terraform: Terraform, base: BaseTree, policy: Policy, changes: ChangeSet, target: TerraformTarget
) -> str:
    """Why a target is planned without its account although there is a role, on the base or with the changes; empty when
    it is planned with it.
    """
    tree = with_modules(terraform, base, policy, target.root)
    sides = (tree.with_changes(changes), tree) if changes.changes else (tree,)
    return "; ".join(dict.fromkeys(found.what for side in sides for found in not_with_role(side, target)))


def run_all(terraform: Terraform, jobs: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Every job's result. Jobs start children of `terraform`: they begin in their order, as many at once as this
    machine carries.

    The first exception ends all: what runs is finished or, when the run is cancelled, killed.
    """
    with ThreadPoolExecutor(max_workers=terraform.parallel(), thread_name_prefix="verify") as pool:
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
                terraform.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _verify_target(head: Head, work: Work, *, validates: bool) -> TargetVerification:
    """init, validate, plan, each only after the one before passed, with a lease."""
    plan = None
    with opened(head, work) as workspace:
        checks = _initialised(head, work, workspace, validates=validates)
        if all_pass(checks):
            result, plan = _planned(head, work, workspace)
            checks.append(redacted(result, head.redact))
        return verified(head, work, workspace, checks, plan)


def _initialised(head: Head, work: Work, workspace: TerraformWorkspace, *, validates: bool) -> list[CheckResult]:
    checks = [redacted(workspace.init(), head.redact)]
    if validates and all_pass(checks):
        checks.append(validated(head, work.target, workspace))
    return checks


def _verify_offline(
    head: Head, work: Sequence[Work], known: BasePlans, untouched: Path, validating: TerraformTarget
) -> tuple[TargetVerification, ...]:
    """The same for all targets of one root without a lease: init without backend, validate, and an offline plan."""
    with ExitStack() as stack:
        found = []
        for w in work:
            workspace = stack.enter_context(opened(head, w))
            checks = _initialised(head, w, workspace, validates=w.target is validating)
            found.append(Opened(work=w, workspace=workspace, checks=tuple(checks)))
        return verify_offline(head, found, known, untouched)


def _several(made: object) -> tuple[Any, ...]:
    """What a job that looks at a whole root or module found."""
    if not isinstance(made, tuple):
        raise TypeError(f"the job of a root or module gave {type(made).__name__}")
    return made


def _plan_base(
    head: Head,
    work: Work,
    untouched: Path,
    failures: BaseFailures,
    *,
    validates: bool,
    goes_on: Callable[[CheckResult], bool] = lambda _: True,
) -> TerraformPlan | None:
    """The plan of the base commit's files, to be subtracted; None when they cannot be planned, and `failures` has why.

    Validated only without a plan, to say what is wrong there. `goes_on` gets each result; the plan is left out when it
    answers False.
    """
    if work.base is None:
        return None
    target = work.base

    def passes(check: CheckResult) -> bool:
        check = redacted(check, head.redact)
        failures.note(check, untouched)
        return goes_on(check) and check.status is not CheckStatus.FAILED

    providers = head.providers(target.root, work.lease)
    with head.terraform.workspace(untouched, target, work.lease, providers=providers, buckets=None) as workspace:
        if not passes(workspace.init()):
            return None
        result, plan = _planned(head, work, workspace, with_text=False)
        passes(result)
        if plan is None and validates:
            passes(replace(workspace.validate(), subject=target.root.path))
        return plan


def plan_bases(
    world: World,
    settings: Settings,
    base: BaseTree,
    layout: Layout,
    known: BasePlans,
    goes_on: Callable[[TerraformTarget, CheckResult | None], bool],
) -> None:
    """init, validate and plan of the base's own targets, one after another, into `known`, whose `tree` has the files.

    `goes_on` is asked before each target (None) and after each step. Raises what `verify` does.
    """
    if known.tree is None:
        raise ValueError("the base's files are not on disk")
    with ExitStack() as stack:
        nothing = ChangeSet(base_commit=base.commit, changes=())
        why = partial(_not_with_role, world.terraform, base, settings.policy, nothing)
        work = _leased(world.cloud, work_of(settings.environments, layout, layout.roots), stack, why)
        own = Head(
            terraform=world.terraform,
            engine=world.terraform.engine(),
            redact=world.redact,
            policy=settings.policy,
            base=base,
            changes=nothing,
            tree=known.tree,
            buckets=frozenset(),
        )
        validating = {w.target.root.path: w for w in reversed(work)}
        offline: set[str] = set()
        for w in work:
            if w.base is None or (w.lease is None and w.target.root.path in offline) or not goes_on(w.base, None):
                continue
            if w.lease is None:
                offline.add(w.target.root.path)
                same = [one for one in work if one.lease is None and one.target.root.path == w.target.root.path]
                offline_bases(own, same, known, known.tree, goes_on)
                continue
            steps = partial(goes_on, w.base)
            validates = validating[w.target.root.path] is w
            plan = _plan_base(own, w, known.tree, known.failures, validates=validates, goes_on=steps)
            if plan is not None:
                known[base.commit, w.base, w.account] = plan


def _planned(
    head: Head, work: Work, workspace: TerraformWorkspace, *, with_text: bool = True
) -> tuple[CheckResult, TerraformPlan | None]:
    result, files = workspace.plan(with_text=with_text)
    return result, read(head, work, files.json_path.read_bytes(), files.text) if files else None


def _compared(work: Work, head: object, before: object) -> TargetVerification:
    """The head's verification, compared with the base's plan."""
    if not isinstance(head, TargetVerification):
        raise TypeError(f"the job of {work.target} gave {type(head).__name__}")
    planned = before if isinstance(before, TerraformPlan) else None
    if head.plan is None or (planned is None and work.base is not None):
        return head
    plan = replace(head.plan, standards=standards_beside(head.plan, planned))
    return replace(head, plan=plan, own=own_changes(plan, planned), own_outputs=own_outputs(plan, planned))


def with_lock_files(base: BaseTree, changes: ChangeSet, verification: Verification) -> ChangeSet:
    """`changes` plus the lock files that the verification had to complete for new allow-listed providers. Their entries
    come from our code, never from the llm, so the guard has judged `changes` without them.
    """
    entries = base.entries()
    completed = {lock_path(t.target): t.lock_file for t in verification.targets if t.lock_file is not None}
    completed = {target_of(path, entries) or path: content for path, content in completed.items()}
    added = [
        FileChange(path=path, before=base.read(path) if path in entries else None, after=content)
        for path, content in completed.items()
    ]
    return replace(changes, changes=tuple(sorted((*changes.changes, *added), key=lambda change: change.path)))


def fetched_modules(terraform: Terraform, base: BaseTree, roots: Iterable[TerraformRoot]) -> FetchedModules:
    """What the base's calls of modules from outside brought, for the rules to read: fetched before anything that the
    llm wrote is run. Raises what `fetch_modules` does.
    """
    calling = _calling(base, roots)
    if calling:
        terraform.self_test()
    for root, files in calling:
        terraform.fetch_modules(root, files)
    return FetchedModules.joined(terraform.fetched_modules(root) for root, _ in calling)


def fetch_modules(
    terraform: Terraform, redact: Callable[[str], str], base: BaseTree, roots: Iterable[TerraformRoot]
) -> tuple[CheckResult, ...]:
    """One check for each of `roots` that calls a remote module on the base commit. A root that is new there calls none.

    Raises ToolchainError, NoSpace, Cancelled; what a module host does is a failed check.
    """
    return tuple(redacted(terraform.fetch_modules(root, files), redact) for root, files in _calling(base, roots))


def _calling(base: BaseTree, roots: Iterable[TerraformRoot]) -> list[tuple[TerraformRoot, Mapping[str, bytes]]]:
    """Those of `roots` that call a remote module on the base, each with the files that a fetch needs."""
    files_of = by_directory(path for path, entry in base.entries().items() if entry.is_regular)
    own = ((root, [p for d in (root.path, *root.local_modules) for p in files_of.get(d, ())]) for root in roots)
    return [(root, files) for root, paths in own if (files := module_files(root, paths, base.read))]
