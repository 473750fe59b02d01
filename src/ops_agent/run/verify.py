"""verify: fmt, init, validate and plan for every affected root and environment.

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
from typing import TypeVar

from ops_agent.config.settings import Settings
from ops_agent.guard.data import words
from ops_agent.guard.tree import source_tree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.plan import TerraformPlan
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
from ops_agent.plan.difference import mocked_difference, own_changes, own_outputs
from ops_agent.plan.reading import read_plan
from ops_agent.run.base_failures import BaseFailures, read_file
from ops_agent.terraform.buckets import named_buckets
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.layout import LayoutUses, targets, unsettled_by
from ops_agent.terraform.module_sources import module_files
from ops_agent.terraform.modules import LOCK_FILE, directory_of, locked_providers

T = TypeVar("T")


class BasePlans(dict[tuple[str, TerraformTarget, str | None], TerraformPlan]):
    """Plans of base commits, by commit, target and the account of the lease (None: with mocked providers).

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

    def base_plan(self, known: BasePlans, commit: str) -> TerraformPlan | None:
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

    Provider starts: with r roots, p planned targets and m mocked ones, of which bp and bm exist on the base commit too
    and were not planned in an earlier round (in a first round: all that exist there), it is `V*r + P*(p + bp) + S*(2*p
    + bp) + M*(m + bm)`, where validate, plan, show and a mocked plan start a provider V = 2, P = 3, S = 1 and M = 1
    (Terraform 1.11: 3) times; measured with AWS 3.39, asserted by tests/adapters/terraform/test_terraform_providers.py.
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
        untouched = known.tree or (stack.enter_context(world.scratch(base)).root if unknown else tree)
        validating = {w.target.root.path: w.target for w in reversed(work)}
        # The longest first, so that at the end no job runs alone.
        jobs: dict[str, Callable[[], object]] = {
            f"head {w.target}": partial(_verify_target, head, w, validates=validating[w.target.root.path] is w.target)
            for w in work
        }
        jobs |= {
            f"base {w.target}": partial(
                _plan_base, head, w, untouched, known.failures, validates=validating[w.target.root.path] is w.target
            )
            for w in unknown
        }
        jobs |= {f"fmt {root.path}": partial(_fmt, head, root) for root in roots}
        done = run_all(terraform, jobs)
    for w in unknown:
        plan = done[f"base {w.target}"]
        if w.base is not None and isinstance(plan, TerraformPlan):
            known[base.commit, w.base, w.account] = plan
    checks = [check for check in modules if check.status is CheckStatus.PASSED]
    if lost := unsettled_by(before, after):
        failed = CheckResult(name="layout", subject=lost[0].place.path, status=CheckStatus.FAILED, findings=lost)
        checks.append(failed)
    checks += [result for root in roots if isinstance(result := done[f"fmt {root.path}"], CheckResult)]
    return Verification(
        engine=engine if roots else "",
        checks=tuple(checks),
        targets=tuple(
            known.failures.excuse(_compared(w, done[f"head {w.target}"], w.base_plan(known, base.commit)), head.read)
            for w in work
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
    on_base = {str(target): target for target in targets(before.roots) if not target.environment.unsettled}
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
            found.append(_Work(target=target, unplanned=unplanned, lease=lease, base=on_base.get(str(target))))
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
    """init, validate, plan, each only after the one before passed. Without a lease: init without backend, validate, a
    mocked plan.

    `validate` reads no variable file and no state, so one target of a root `validates` for all of them.
    """
    target, plan = work.target, None
    checks: list[CheckResult] = []

    def passes(check: CheckResult) -> bool:
        checks.append(redacted(check, head.redact))
        return check.status is not CheckStatus.FAILED

    with head.terraform.workspace(
        head.tree, target, work.lease, providers=head.policy.allowed_providers, buckets=head.buckets
    ) as workspace:
        if passes(workspace.init()) and (
            not validates or passes(replace(workspace.validate(), subject=target.root.path))
        ):
            result, plan = _planned(head, work, target, workspace)
            passes(result)
        placeholders, lock_file = workspace.placeholders, workspace.lock_file_update
        modules = tuple(head.redact(name) for name in workspace.modules)
    return TargetVerification(
        target=target,
        checks=tuple(checks),
        plan=plan,
        unplanned=work.unplanned,
        mocked=work.lease is None and plan is not None,
        placeholders=placeholders,
        evidence=_evidence(head, work, plan, lock_file, modules) if plan is not None else None,
        lock_file=lock_file,
        prevented=_prevented(head.tree, target.root) if plan is not None else frozenset(),
    )


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
        result, plan = _planned(head, work, target, workspace, with_text=False)
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
        for w in work:
            if w.base is None or not goes_on(w.base, None):
                continue
            steps = partial(goes_on, w.base)
            validates = validating[w.target.root.path] is w
            plan = _plan_base(own, w, known.tree, known.failures, validates=validates, goes_on=steps)
            if plan is not None:
                known[base.commit, w.base, w.account] = plan


def _planned(
    head: _Head, work: _Work, target: TerraformTarget, workspace: TerraformWorkspace, *, with_text: bool = True
) -> tuple[CheckResult, TerraformPlan | None]:
    text, account = "", work.account or target.environment.account
    if work.lease is None:
        result, document = workspace.mocked_plan()
    else:
        result, files = workspace.plan(with_text=with_text)
        document, text = (files.json_path.read_bytes(), files.text) if files else (None, "")
    if document is None:
        return result, None
    return result, read_plan(
        document, text, head.policy, redact=head.redact, account=account, known_accounts=words("known_accounts")
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


def _compared(work: _Work, head: object, before: TerraformPlan | None) -> TargetVerification:
    """The head's verification, compared with the base's plan; mocked plans become one difference."""
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
