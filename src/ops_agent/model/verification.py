"""All checks over one change set: fmt, init, validate, plan per target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ops_agent.model.finding import Finding
from ops_agent.model.plan import OutputChange, ResourceChange, TerraformPlan
from ops_agent.model.terraform import TerraformTarget


class CheckStatus(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ON_BASE = "already failing on the base"
    """The base commit fails this check in the same way, so it says nothing about the change."""
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check. `name` is fmt, init, validate, plan...; `subject` is a root, a target or a file.

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
    """What a plan was made from. Hashes are SHA-256 hex; `account` is what STS said; `modules` are the remote ones with
    the commit that came, because a tag or a branch can move; `providers` the lock file's, with their versions.
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
    there is no plan with the account; `offline` marks a plan without it. `placeholders` are required variables that got
    an invented value; `lock_file` is the root's lock file with entries that our code had to add; `prevented` are
    resources (`type.name`) whose code has `prevent_destroy`.
    """

    target: TerraformTarget
    checks: tuple[CheckResult, ...]
    plan: TerraformPlan | None = None
    own: frozenset[str] | None = None
    own_outputs: frozenset[str] | None = None
    unplanned: str | None = None
    offline: bool = False
    evidence: Evidence | None = None
    placeholders: tuple[str, ...] = ()
    lock_file: bytes | None = None
    prevented: frozenset[str] = frozenset()

    @property
    def caused(self) -> tuple[ResourceChange, ...]:
        """The plan's changes that this change set causes; all of them when the base could not be planned."""
        found = self.plan.changes if self.plan else ()
        return tuple(change for change in found if self.own is None or change.address in self.own)

    @property
    def caused_outputs(self) -> tuple[OutputChange, ...]:
        found = self.plan.outputs if self.plan else ()
        return tuple(output for output in found if self.own_outputs is None or output.name in self.own_outputs)

    @property
    def pending(self) -> tuple[ResourceChange, ...]:
        """The plan's changes that an apply of the base branch would make too."""
        found = self.plan.changes if self.plan else ()
        return tuple(change for change in found if self.own is not None and change.address not in self.own)

    @property
    def pending_outputs(self) -> tuple[OutputChange, ...]:
        found = self.plan.outputs if self.plan else ()
        return tuple(o for o in found if self.own_outputs is not None and o.name not in self.own_outputs)


class ProofState(StrEnum):
    """What is known about an acceptance criterion."""

    BY_PLAN = "proved by plan"
    BY_FILE = "proved by file"
    SEEN = "seen in the file"
    """The code says it. No plan has loaded the file, or a plan shows nothing of what comes of it."""
    CLAIMED = "claimed only"
    REFUTED = "not met"
    """Evidence that the agent named does not hold."""
    PARTLY = "partly met"
    """The agent says that a part of it is met."""
    OPEN = "open"
    """The agent says that it is not met, or says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionProof:
    """The state of one criterion. `where`: the environments in which all of its evidence holds; `files`: what else was
    looked at; `on_base`: all of it holds without the change; `why` says what is missing, in code's words and values
    that are masked. `undecided`: evidence is named, and whether it holds cannot be told.
    """

    criterion_id: str
    state: ProofState
    where: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    on_base: bool = False
    why: str = ""
    undecided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The proof: passed when no check failed. `engine` is empty when nothing ran on it. `uncalled`: the directories of
    changed modules that no root calls, of which there is no plan. `notes`: what the repository asks for and this was
    not checked with, such as another version; sentences.
    """

    engine: str
    checks: tuple[CheckResult, ...] = ()
    uncalled: tuple[str, ...] = ()
    targets: tuple[TargetVerification, ...] = ()
    criteria: tuple[CriterionProof, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def providers(self) -> tuple[str, ...]:
        """What the plans ran on, with versions, each once."""
        return tuple(dict.fromkeys(p for t in self.targets for p in (t.evidence.providers if t.evidence else ())))

    @property
    def all_checks(self) -> tuple[CheckResult, ...]:
        return self.checks + tuple(c for t in self.targets for c in t.checks)

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.all_checks if c.status is CheckStatus.FAILED)

    @property
    def failing_on_base(self) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.all_checks if c.status is CheckStatus.ON_BASE)

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def refuted(self) -> tuple[CriterionProof, ...]:
        return tuple(proof for proof in self.criteria if proof.state is ProofState.REFUTED)

    @property
    def undecided(self) -> tuple[CriterionProof, ...]:
        return tuple(proof for proof in self.criteria if proof.undecided)
