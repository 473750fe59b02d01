"""What is verified of one target, with its account or without: opened, initialised, read, and what it was made from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ops_agent.guard.data import words
from ops_agent.guard.providers import BESIDE_A_ROLE, installable
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.guard.values import instances_of
from ops_agent.guard.written import Written
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.plan import OfflineSide, ResourceChange, TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, CredentialLease, Terraform, TerraformWorkspace
from ops_agent.model.terraform import Layout, TerraformRoot, TerraformSource, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, Evidence, TargetVerification
from ops_agent.plan.reading import read_plan
from ops_agent.run.base_failures import BaseFailures, read_file
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.layout import targets
from ops_agent.terraform.modules import LOCK_FILE, locked_providers


class BasePlans(dict[tuple[str, TerraformTarget, str | None], TerraformPlan | OfflineSide | str]):
    """Plans of base commits, by commit, target and the account of the lease (None: what the offline plan has to know,
    or why there is no such thing).

    The pipeline makes one for each run and hands it to every round: repair rounds change the head alone. A plan that
    failed is not kept, so the next round asks again. `tree` holds the base commit's files while the run lasts; without
    it `verify` makes a tree. `failures` is what the base fails by itself.

    The state, or what a data source reads, may change between two rounds. The head is planned anew in each that changes
    a file, so what is shown and what is dangerous is of these files. Old is only what is subtracted, and a change is
    subtracted when its values before *and* after are those of the base's plan: where the state changed, the values
    before differ, and the change is shown. The worst that a plan of minutes ago can do is to take this change for too
    much. It is never older than the run.
    """

    def __init__(self, plans: Mapping[tuple[str, TerraformTarget, str | None], TerraformPlan] | None = None) -> None:
        super().__init__(plans or {})
        self.tree: Path | None = None
        self.failures = BaseFailures()
        self._offline: dict[str, threading.RLock] = {}

    def offline(self, root: TerraformRoot) -> threading.RLock:
        """Held by who plans a root offline, so that its base is planned once: the tool `check` may ask for it while the
        thread of base_first.py makes it.
        """
        return self._offline.setdefault(root.path, threading.RLock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is verified: the head's files on disk (`tree`), their identity, and what they are verified with.

    `buckets` are the S3 buckets that the base commit names: with those of backend and state the only ones that a plan
    may reach. `sources` are the head's files as the rules read them.
    """

    terraform: Terraform
    engine: str
    redact: Callable[[str], str]
    policy: Policy
    base: BaseTree
    changes: ChangeSet
    tree: Path
    buckets: frozenset[str]
    sources: SourceTree | None = None

    @property
    def base_commit(self) -> str:
        return self.base.commit

    def providers(self, root: TerraformRoot, lease: CredentialLease | None) -> tuple[str, ...]:
        """What may be installed for a root: the allow-list and what its base has; where a role's credentials are, only
        what may run beside them.
        """
        found = installable(self.policy, with_modules(self.terraform, self.base, self.policy, root), root)
        return found if lease is None else tuple(address for address in found if address in BESIDE_A_ROLE)

    def read(self, path: str) -> bytes | None:
        return read_file(self.tree, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One target; the same target on the base commit, if any; the lease to plan with, or why there is none."""

    target: TerraformTarget
    base: TerraformTarget | None
    unplanned: str | None = None
    lease: CredentialLease | None = None

    @property
    def account(self) -> str | None:
        return self.lease.account if self.lease else None

    def base_plan(self, known: BasePlans, commit: str) -> TerraformPlan | OfflineSide | str | None:
        return known.get((commit, self.base, self.account)) if self.base else None


def work_of(wanted: tuple[str, ...], before: Layout, roots: Iterable[TerraformRoot]) -> tuple[Work, ...]:
    """Every target of `roots` in the environments `wanted` (empty: in all), without a lease."""
    on_base = {str(target): target for target in targets(before.roots)}
    found = (target for target in targets(roots) if not wanted or target.environment.name in wanted)
    return tuple(Work(target=target, base=on_base.get(str(target))) for target in found)


def with_modules(terraform: Terraform, base: BaseTree, policy: Policy, root: TerraformRoot) -> SourceTree:
    """The base with the modules from outside that were fetched for a root."""
    fetched, tree = terraform.fetched_modules(root), source_tree(base, policy)
    return tree.with_fetched(fetched) if fetched.files else tree


def opened(head: Head, work: Work) -> AbstractContextManager[TerraformWorkspace]:
    providers = head.providers(work.target.root, work.lease)
    return head.terraform.workspace(head.tree, work.target, work.lease, providers=providers, buckets=head.buckets)


def validated(head: Head, target: TerraformTarget, workspace: TerraformWorkspace) -> CheckResult:
    """`validate` reads no variable file and no state, so one target of a root does it for all."""
    return redacted(replace(workspace.validate(), subject=target.root.path), head.redact)


def all_pass(checks: Iterable[CheckResult]) -> bool:
    return all(check.status is not CheckStatus.FAILED for check in checks)


def verified(
    head: Head, work: Work, workspace: TerraformWorkspace, checks: Iterable[CheckResult], plan: TerraformPlan | None
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


def read(head: Head, work: Work, document: bytes, text: str, untold: Collection[ResourceChange] = ()) -> TerraformPlan:
    """The plan, with its dangers. Those of a base's plan are never shown, so it may be read with the head's sources."""
    sources, target = head.sources, work.target
    written = Written(lambda: instances_of(target, sources) if sources is not None else ())
    return read_plan(
        document,
        text,
        head.policy,
        redact=head.redact,
        account=work.account or work.target.environment.account,
        known_accounts=words("known_accounts"),
        untold=untold,
        written=written.resource,
    )


def fmt(head: Head, root: TerraformRoot) -> CheckResult:
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
    head: Head, work: Work, plan: TerraformPlan, lock_file: bytes | None, modules: tuple[str, ...]
) -> Evidence:
    locked = lock_file or head.read(lock_path(work.target))
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


def lock_path(target: TerraformTarget) -> str:
    return LOCK_FILE if target.root.path == "." else f"{target.root.path}/{LOCK_FILE}"
