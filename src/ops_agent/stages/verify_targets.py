"""One root in one environment: its checks and its plan, or, without a role, its checks and a mocked look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ops_agent.core.plans.reading_plans import read_plan
from ops_agent.core.sources.locked_providers import locked_providers
from ops_agent.domain.layout import TerraformTarget
from ops_agent.domain.policy import Policy
from ops_agent.domain.terraform_plan import TerraformPlan
from ops_agent.domain.verification import CheckResult, CheckStatus, Evidence, TargetVerification
from ops_agent.ports import CredentialLease, TerraformWorkspace, World

_LOCK_FILE = ".terraform.lock.hcl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is verified: the head's files (`tree` on disk; `read(path)` gives bytes, None where there is no file) and their identity."""

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
    """init, validate, plan, each only after the one before passed. Without a lease: init without backend, validate, a mocked look.

    `validate` reads no variable file and no state, so one target of a root `validates` for all of them.
    """
    checks: list[CheckResult] = []
    plan: TerraformPlan | None = None
    with world.terraform.workspace(sources.tree, target, lease, providers=sources.policy.allowed_providers) as workspace:
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
    evidence = replace(_evidence(sources, target, lease, plan, lock_file), modules=tuple(sources.redact(name) for name in modules))
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
    sources: Sources, workspace: TerraformWorkspace, lease: CredentialLease | None, target: TerraformTarget, *, text: bool = True
) -> tuple[CheckResult, TerraformPlan | None]:
    if lease is None:
        result, document = workspace.mocked_plan()
        account = target.environment.account
        return result, read_plan(document, "", sources.policy, redact=sources.redact, account=account) if document is not None else None
    result, files = workspace.plan(with_text=text)
    if files is None:
        return result, None
    return result, read_plan(files.json_path.read_bytes(), files.text, sources.policy, redact=sources.redact, account=lease.account)


def _evidence(
    sources: Sources, target: TerraformTarget, lease: CredentialLease | None, plan: TerraformPlan | None, lock_file: bytes | None
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
