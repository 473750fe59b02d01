"""verify: fmt, init, validate and plan for every affected root and environment.

The run's proof. Source rules have passed before (`judge_sources`): init and plan execute what the llm wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ops_agent.config.settings import Settings
from ops_agent.guard.data import words
from ops_agent.guard.tree import source_tree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.plan import OfflineSide, ResourceChange, TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, CloudIdentity, CredentialLease, Terraform, TerraformWorkspace, World
from ops_agent.model.terraform import (
    Environment,
    FetchedModules,
    Layout,
    TerraformRoot,
    TerraformSource,
    TerraformTarget,
)
from ops_agent.model.verification import CheckResult, CheckStatus, Evidence, TargetVerification, Verification
from ops_agent.plan.difference import own_changes, own_outputs
from ops_agent.plan.reading import read_plan
from ops_agent.run.base_failures import BaseFailures, read_file
from ops_agent.terraform.buckets import named_buckets
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.layout import LayoutUses, targets, unsettled_by
from ops_agent.terraform.module_sources import module_files
from ops_agent.terraform.modules import LOCK_FILE, directory_of, locked_providers

T = TypeVar("T")


class BasePlans(dict[tuple[str, TerraformTarget, str | None], TerraformPlan | OfflineSide]):
    """Plans of base commits, by commit, target and the account of the lease (None: what the offline plan has to know).

    The pipeline makes one for each run and hands it to every round: repair rounds change the head alone. A plan that
    failed is not kept, so the next round asks again. `tree` holds the base commit's files while the run lasts; without
    it `verify` makes a tree. `failures` is what the base fails by itself.

    The state, or what a data source reads, may change between two rounds. The head is planned anew in each, so what is
    shown and what is dangerous is never old. Old is only what is subtracted, and a change is subtracted when its values
    before *and* after are those of the base's plan: where the state changed, the values before differ, and the change
    counts as ours. So an old plan of the base rather blames this change for too much. It is never older than the run.
    """

    def __init__(self, plans: Mapping[tuple[str, TerraformTarget, str | None], TerraformPlan] | None = None) -> None:
        super().__init__(plans or {})
        self.tree: Path | None = None
        self.failures = BaseFailures()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What is verified: the head's files on disk (`tree`), their identity, and what they are verified with.

    `buckets` are the S3 buckets that the base commit names: with those of backend and state the only ones that a plan
    may reach.
    """

    terraform: Terraform
    engine: str
    redact: Callable[[str], str]
    policy: Policy
    base_commit: str
    changes: ChangeSet
    tree: Path
    buckets: frozenset[str]

    def read(self, path: str) -> bytes | None:
        return read_file(self.tree, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One target: why it is not planned, or the lease to plan with; the same target on the base commit, if any."""

    target: TerraformTarget
    unplanned: str | None
    lease: CredentialLease | None
    base: TerraformTarget | None

    @property
    def account(self) -> str | None:
        return self.lease.account if self.lease else None

    def base_plan(self, known: BasePlans, commit: str) -> TerraformPlan | OfflineSide | None:
        return known.get((commit, self.base, self.account)) if self.base else None


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
    run (Terraform 1.11: 9), 3 for the plan of the bases, 4 for that of what differs, 1 for the schemas. Measured with
    AWS 3.39, asserted by tests/adapters/terraform/test_terraform_providers.py.
    """
    known = BasePlans() if base_plans is None else base_plans
    terraform, redact = world.terraform, world.redact
    engine = terraform.engine()
    terraform.self_test()
    files = source_tree(base, settings.policy)
    before, after = files.layout, files.with_changes(changes).layout
    roots = LayoutUses(after).affected(changes.paths)
    with ExitStack() as stack:
        work = _work(world.cloud, settings.environments, before, roots, stack)
        head = _Head(
            terraform=terraform,
            engine=engine,
            redact=redact,
            policy=settings.policy,
            base_commit=base.commit,
            changes=changes,
            tree=tree,
            buckets=_named_buckets(base, before, roots) if any(w.lease for w in work) else frozenset(),
        )
        # Before any job, so that nothing of the llm's runs beside the tokens of module hosts; init reports what failed.
        modules = fetch_modules(terraform, redact, base, roots)
        unknown = [w for w in work if w.base is not None and w.base_plan(known, base.commit) is None]
        offline: dict[str, list[_Work]] = {}
        for w in work:
            if w.lease is None:
                offline.setdefault(w.target.root.path, []).append(w)
        untouched = known.tree or (stack.enter_context(world.scratch(base)).root if unknown else tree)
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
        jobs |= {f"fmt {root.path}": partial(_fmt, head, root) for root in roots}
        done = run_all(terraform, jobs)
    for w in unknown:
        plan = done.get(f"base {w.target}")
        if w.base is not None and isinstance(plan, TerraformPlan):
            known[base.commit, w.base, w.account] = plan
    verified = [_compared(w, done[f"head {w.target}"], w.base_plan(known, base.commit)) for w in work if w.lease]
    verified += [target for path in offline for target in _targets(done[f"offline {path}"])]
    order = {str(w.target): number for number, w in enumerate(work)}
    checks = [check for check in modules if check.status is CheckStatus.PASSED]
    if lost := unsettled_by(before, after):
        failed = CheckResult(name="layout", subject=lost[0].place.path, status=CheckStatus.FAILED, findings=lost)
        checks.append(failed)
    checks += [result for root in roots if isinstance(result := done[f"fmt {root.path}"], CheckResult)]
    return Verification(
        engine=engine if roots else "",
        checks=tuple(checks),
        targets=tuple(
            known.failures.excuse(one, head.read) for one in sorted(verified, key=lambda one: order[str(one.target)])
        ),
    )


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


def _work(
    cloud: CloudIdentity, wanted: tuple[str, ...], before: Layout, roots: Iterable[TerraformRoot], stack: ExitStack
) -> tuple[_Work, ...]:
    """What to do for each target, of the environments `wanted` (empty: of all). Leases are opened here, one for each
    environment, before any Terraform runs: a wrong account stops all.
    """
    leases: dict[tuple[str, str | None], CredentialLease] = {}
    on_base = {str(target): target for target in targets(before.roots)}
    found = []
    for root in roots:
        for environment in root.environments or (Environment(name="default", account=None, backend_file=None),):
            if wanted and environment.name not in wanted:
                continue
            unplanned, lease = _unplanned(cloud, root, environment), None
            if unplanned is None:
                key = (environment.name, environment.account)
                if key not in leases:
                    leases[key] = stack.enter_context(cloud.lease(environment))
                lease = leases[key]
            target = TerraformTarget(root=root, environment=environment)
            base = on_base.get(str(target))
            if lease is not None and base is not None and base.environment.unsettled:
                base = None
            found.append(_Work(target=target, unplanned=unplanned, lease=lease, base=base))
    return tuple(found)


def _unplanned(cloud: CloudIdentity, root: TerraformRoot, environment: Environment) -> str | None:
    if environment.unsettled:
        return environment.unsettled
    if not root.environments and root.has_backend:
        return f"no environment of `{root.path}` was found"
    return cloud.unplanned_reason(environment)


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


def _verify_target(head: _Head, work: _Work, *, validates: bool) -> TargetVerification:
    """init, validate, plan, each only after the one before passed, with a lease.

    `validate` reads no variable file and no state, so one target of a root `validates` for all of them.
    """
    plan = None
    with _opened(head, work) as workspace:
        checks = _initialised(head, work.target, workspace, validates=validates)
        if _all_pass(checks):
            result, plan = _planned(head, work, workspace)
            checks.append(redacted(result, head.redact))
        return _verified(head, work, workspace, checks, plan)


def _verify_offline(
    head: _Head, work: Sequence[_Work], known: BasePlans, untouched: Path, validating: TerraformTarget
) -> tuple[TargetVerification, ...]:
    """The same for all targets of one root without a lease: init without backend, validate, and one offline plan for
    all of them, which is the difference to the base by itself.
    """
    with ExitStack() as stack:
        opened = [(w, stack.enter_context(_opened(head, w))) for w in work]
        checks = [_initialised(head, w.target, one, validates=w.target is validating) for w, one in opened]
        ready = [number for number, results in enumerate(checks) if _all_pass(results)]
        plans: dict[int, TerraformPlan] = {}
        if ready:
            bases = _offline_bases(head, [work[number] for number in ready], known, untouched)
            found = head.terraform.plan_offline([opened[number][1] for number in ready], bases)
            for number, (result, offline) in zip(ready, found, strict=True):
                checks[number].append(redacted(result, head.redact))
                if offline is not None:
                    plans[number] = _read(head, work[number], offline.document, "", offline.untold)
        return tuple(
            _verified(head, w, one, checks[number], plans.get(number)) for number, (w, one) in enumerate(opened)
        )


def _offline_bases(
    head: _Head,
    work: Sequence[_Work],
    known: BasePlans,
    untouched: Path,
    goes_on: Callable[[TerraformTarget, CheckResult], bool] = lambda *_: True,
) -> list[OfflineSide | str | None]:
    """For each of `work`, of one root, what the offline plan has to know of its base: from `known`, or made now and
    kept there. None where the base has no such target, a text where its base cannot be planned: then the root is
    validated, to say what is wrong there. `goes_on` gets each result; nothing more is done when it answers False.
    """
    found: dict[str, OfflineSide | str] = {}

    def passes(target: TerraformTarget, check: CheckResult) -> bool:
        check = redacted(check, head.redact)
        known.failures.note(check, untouched)
        return goes_on(target, check) and check.status is not CheckStatus.FAILED

    with ExitStack() as stack:
        ready = []
        for w in work:
            if w.base is None:
                continue
            if isinstance(known_side := w.base_plan(known, head.base_commit), OfflineSide):
                found[str(w.target)] = known_side
                continue
            providers = head.policy.allowed_providers
            workspace = stack.enter_context(head.terraform.workspace(untouched, w.base, None, providers=providers))
            if passes(w.base, workspace.init()):
                ready.append((w, w.base, workspace))
            else:
                found[str(w.target)] = "`init` fails"
        made = head.terraform.offline_bases([workspace for *_, workspace in ready]) if ready else []
        for (w, base, workspace), side in zip(ready, made, strict=True):
            if isinstance(side, OfflineSide):
                known[head.base_commit, base, None] = side
            elif not any(isinstance(other, str) for other in found.values()):
                passes(base, replace(workspace.validate(), subject=base.root.path))
            found[str(w.target)] = side
    return [found.get(str(w.target)) for w in work]


def _opened(head: _Head, work: _Work) -> AbstractContextManager[TerraformWorkspace]:
    providers = head.policy.allowed_providers
    return head.terraform.workspace(head.tree, work.target, work.lease, providers=providers, buckets=head.buckets)


def _initialised(
    head: _Head, target: TerraformTarget, workspace: TerraformWorkspace, *, validates: bool
) -> list[CheckResult]:
    checks = [redacted(workspace.init(), head.redact)]
    if validates and _all_pass(checks):
        checks.append(redacted(replace(workspace.validate(), subject=target.root.path), head.redact))
    return checks


def _all_pass(checks: Iterable[CheckResult]) -> bool:
    return all(check.status is not CheckStatus.FAILED for check in checks)


def _verified(
    head: _Head, work: _Work, workspace: TerraformWorkspace, checks: Iterable[CheckResult], plan: TerraformPlan | None
) -> TargetVerification:
    """What was found of a target, and what its plan was made from. An offline plan is all this change's own."""
    lock_file, is_offline = workspace.lock_file_update, plan is not None and work.lease is None
    modules = tuple(head.redact(name) for name in workspace.modules)
    return TargetVerification(
        target=work.target,
        checks=tuple(checks),
        plan=plan,
        own=frozenset(c.address for c in plan.changes) if plan is not None and is_offline else None,
        own_outputs=frozenset(o.name for o in plan.outputs) if plan is not None and is_offline else None,
        unplanned=work.unplanned,
        offline=is_offline,
        placeholders=workspace.placeholders,
        evidence=_evidence(head, work, plan, lock_file, modules) if plan is not None else None,
        lock_file=lock_file,
        prevented=_prevented(head.tree, work.target.root) if plan is not None else frozenset(),
    )


def _targets(made: object) -> tuple[TargetVerification, ...]:
    if not isinstance(made, tuple):
        raise TypeError(f"the job of a root gave {type(made).__name__}")
    return made


def _prevented(tree: Path, root: TerraformRoot) -> frozenset[str]:
    """`type.name` of the resources of a root and its local modules with `prevent_destroy`: no plan says so."""
    files = (path for directory in (root.path, *root.local_modules) for path in sorted((tree / directory).glob("*.tf")))
    sources = (read_terraform(content) for path in files if b"prevent_destroy" in (content := path.read_bytes()))
    return frozenset(
        ".".join(block.labels)
        for source in sources
        if isinstance(source, TerraformSource)
        for block in source.of_type("resource")
        if any(inner.type == "lifecycle" and inner.literal("prevent_destroy") is True for inner in block.blocks)
    )


def _plan_base(
    head: _Head,
    work: _Work,
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

    providers = head.policy.allowed_providers
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
        work = _work(world.cloud, settings.environments, layout, layout.roots, stack)
        own = _Head(
            terraform=world.terraform,
            engine=world.terraform.engine(),
            redact=world.redact,
            policy=settings.policy,
            base_commit=base.commit,
            changes=ChangeSet(base_commit=base.commit, changes=()),
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
                _offline_bases(own, same, known, known.tree, goes_on)
                continue
            steps = partial(goes_on, w.base)
            validates = validating[w.target.root.path] is w
            plan = _plan_base(own, w, known.tree, known.failures, validates=validates, goes_on=steps)
            if plan is not None:
                known[base.commit, w.base, w.account] = plan


def _planned(
    head: _Head, work: _Work, workspace: TerraformWorkspace, *, with_text: bool = True
) -> tuple[CheckResult, TerraformPlan | None]:
    result, files = workspace.plan(with_text=with_text)
    return result, _read(head, work, files.json_path.read_bytes(), files.text) if files else None


def _read(
    head: _Head, work: _Work, document: bytes, text: str, untold: Collection[ResourceChange] = ()
) -> TerraformPlan:
    return read_plan(
        document,
        text,
        head.policy,
        redact=head.redact,
        account=work.account or work.target.environment.account,
        known_accounts=words("known_accounts"),
        untold=untold,
    )


def _fmt(head: _Head, root: TerraformRoot) -> CheckResult:
    """fmt of one root. Files that the change did not touch are named, and do not fail it."""
    result = head.terraform.fmt(head.tree, root)
    findings = tuple(
        f if f.place.path in head.changes.paths else replace(f, pre_existing=True) for f in result.findings
    )
    only_others = bool(findings) and not any(f.blocks for f in findings)
    status = CheckStatus.PASSED if only_others else result.status
    return redacted(replace(result, findings=findings, status=status), head.redact)


def redacted(check: CheckResult, redact: Callable[[str], str]) -> CheckResult:
    """The check with no secret in its texts."""
    findings = tuple(replace(f, what=redact(f.what)) for f in check.findings)
    return replace(check, findings=findings, output=redact(check.output))


def _evidence(
    head: _Head, work: _Work, plan: TerraformPlan, lock_file: bytes | None, modules: tuple[str, ...]
) -> Evidence:
    locked = lock_file or head.read(_lock_path(work.target))
    variables = [head.read(path) or b"" for path in work.target.environment.var_files]
    return Evidence(
        base_commit=head.base_commit,
        change_set=head.changes.digest,
        engine=head.engine,
        account=work.account,
        lock_file=_digest(locked) if locked is not None else None,
        var_files=_digest(b"\x00".join(variables)) if variables else None,
        policy=_digest(repr(sorted(asdict(head.policy).items())).encode()),
        plan_json=plan.canonical_hash,
        modules=modules,
        providers=locked_providers(locked) if locked is not None else (),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _compared(work: _Work, head: object, before: object) -> TargetVerification:
    """The head's verification, compared with the base's plan."""
    if not isinstance(head, TargetVerification):
        raise TypeError(f"the job of {work.target} gave {type(head).__name__}")
    planned = before if isinstance(before, TerraformPlan) else None
    if head.plan is None or (planned is None and work.base is not None):
        return head
    return replace(head, own=own_changes(head.plan, planned), own_outputs=own_outputs(head.plan, planned))


def with_lock_files(base: BaseTree, changes: ChangeSet, verification: Verification) -> ChangeSet:
    """`changes` plus the lock files that the verification had to complete for new allow-listed providers. Their entries
    come from our code, never from the llm, so the guard has judged `changes` without them.
    """
    completed = {_lock_path(t.target): t.lock_file for t in verification.targets if t.lock_file is not None}
    entries = base.entries()
    added = [
        FileChange(path=path, before=base.read(path) if path in entries else None, after=content)
        for path, content in completed.items()
    ]
    return replace(changes, changes=tuple(sorted((*changes.changes, *added), key=lambda change: change.path)))


def _lock_path(target: TerraformTarget) -> str:
    return LOCK_FILE if target.root.path == "." else f"{target.root.path}/{LOCK_FILE}"


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
    paths = tuple(path for path, entry in base.entries().items() if entry.is_regular)
    return [(root, files) for root in roots if (files := module_files(root, paths, base.read))]
