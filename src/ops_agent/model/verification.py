"""All checks over one change set: fmt, init, validate, plan per target, and the linters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ops_agent.model.finding import Finding
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.terraform import TerraformTarget


class CheckStatus(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check. `name` is fmt, init, validate, plan, actionlint, zizmor...; `subject` is a root, a target or a file.

    `findings` carry file and line; `output` is capped, redacted text for people; `seconds` is wall time.
    """

    name: str
    subject: str
    status: CheckStatus
    findings: tuple[Finding, ...] = ()
    output: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a plan was made from. Hashes are SHA-256 hex; `account` is what STS said; `modules` are those from outside
    the repository, one line each: a tag or a branch can move, so the line names the commit. `providers` are the
    lock file's, with their versions.
    """

    base_commit: str
    change_set: str
    engine: str
    account: str | None = None
    lock_file: str | None = None
    var_files: str | None = None
    policy: str | None = None
    plan_json: str | None = None
    modules: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVerification:
    """One root in one environment.

    `plan` is the head's plan; `own` the addresses whose change this change set causes (after subtraction of the base's
    plan), None when the base could not be planned; `own_outputs` the same for names of outputs; `unplanned` says why
    there is no plan; `mocked` marks a plan against mocked providers. `placeholders` are required variables that got an
    invented value; `lock_file` is the root's lock file with entries that our code had to add.
    """

    target: TerraformTarget
    checks: tuple[CheckResult, ...]
    plan: TerraformPlan | None = None
    own: frozenset[str] | None = None
    own_outputs: frozenset[str] | None = None
    unplanned: str | None = None
    mocked: bool = False
    evidence: Evidence | None = None
    placeholders: tuple[str, ...] = ()
    lock_file: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The proof. Passed when no check failed; what was not run is named, never counted as passed.

    `engine` is empty when nothing ran on it.
    """

    engine: str
    checks: tuple[CheckResult, ...] = ()
    targets: tuple[TargetVerification, ...] = ()

    @property
    def all_checks(self) -> tuple[CheckResult, ...]:
        return self.checks + tuple(c for t in self.targets for c in t.checks)

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.all_checks if c.status is CheckStatus.FAILED)

    @property
    def passed(self) -> bool:
        return not self.failed
