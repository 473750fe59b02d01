"""How a run can end: the closed list of conclusions, with exit code and retryability (architecture.md, exit codes)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ops_agent.model.finding import Finding


class Conclusion(StrEnum):
    """The value of the output `conclusion`. The word comes from code, never from the llm."""

    PUBLISHED = "published"
    UPDATED = "updated"
    NO_CHANGES = "no_changes"
    DUPLICATE = "duplicate"
    DECLINED = "declined"
    NEEDS_INFO = "needs_info"
    NEEDS_SPLIT = "needs_split"
    INFEASIBLE = "infeasible"
    CHECKS_FAILED = "checks_failed"
    PLAN_FAILED = "plan_failed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    NO_PROGRESS = "no_progress"
    CONFIG_ERROR = "config_error"
    BLOCKED_BY_POLICY = "blocked_by_policy"
    NOT_AUTHORISED = "not_authorised"
    CONTENT_CHANGED = "content_changed"
    STALE = "stale"
    REDACTION_FAILED = "redaction_failed"
    GITHUB_FAILED = "github_failed"
    RATE_LIMITED = "rate_limited"
    NOT_PERMITTED = "not_permitted"
    NEEDS_WORKFLOWS_PERMISSION = "needs_workflows_permission"
    LLM_FAILED = "llm_failed"
    TOOLCHAIN_FAILED = "toolchain_failed"
    AWS_FAILED = "aws_failed"
    NO_SPACE = "no_space"
    INTERNAL_ERROR = "internal_error"
    CANCELLED = "cancelled"

    @property
    def exit_code(self) -> int:
        """The exit code of the command, see the table in docs/outcomes.md."""
        return _EXIT_CODES[self]

    @property
    def retryable(self) -> bool:
        """True when starting the same run again can end differently without a person changing anything."""
        return self in _RETRYABLE


_EXIT_CODES: dict[Conclusion, int] = {
    Conclusion.PUBLISHED: 0,
    Conclusion.UPDATED: 0,
    Conclusion.NO_CHANGES: 0,
    Conclusion.DUPLICATE: 0,
    Conclusion.DECLINED: 0,
    Conclusion.NEEDS_INFO: 0,
    Conclusion.NEEDS_SPLIT: 0,
    Conclusion.INFEASIBLE: 0,
    Conclusion.CHECKS_FAILED: 1,
    Conclusion.PLAN_FAILED: 1,
    Conclusion.BUDGET_EXHAUSTED: 1,
    Conclusion.NO_PROGRESS: 1,
    Conclusion.CONFIG_ERROR: 2,
    Conclusion.BLOCKED_BY_POLICY: 3,
    Conclusion.NOT_AUTHORISED: 3,
    Conclusion.CONTENT_CHANGED: 3,
    Conclusion.STALE: 3,
    Conclusion.REDACTION_FAILED: 3,
    Conclusion.GITHUB_FAILED: 4,
    Conclusion.RATE_LIMITED: 4,
    Conclusion.NOT_PERMITTED: 4,
    Conclusion.NEEDS_WORKFLOWS_PERMISSION: 4,
    Conclusion.LLM_FAILED: 5,
    Conclusion.TOOLCHAIN_FAILED: 6,
    Conclusion.AWS_FAILED: 6,
    Conclusion.NO_SPACE: 6,
    Conclusion.INTERNAL_ERROR: 70,
    Conclusion.CANCELLED: 130,
}

_RETRYABLE = frozenset(
    {
        Conclusion.BUDGET_EXHAUSTED,
        Conclusion.NO_PROGRESS,
        Conclusion.GITHUB_FAILED,
        Conclusion.RATE_LIMITED,
        Conclusion.LLM_FAILED,
        Conclusion.AWS_FAILED,
        Conclusion.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A stage's "no": a value, not an exception.

    `reason` is one sentence for the issue; `remedy` says what to do now; `findings` name file and line where there is
    one. `questions` (needs_info) and `proposed_issues` (needs_split, infeasible) are put to people as lists. `quiet`
    means that nothing is written to GitHub about it: the event was none of ours, or the person had no right to make us
    write. `patch` is a unified diff offered to people when it could not be pushed.
    """

    conclusion: Conclusion
    reason: str
    remedy: str
    findings: tuple[Finding, ...] = ()
    questions: tuple[str, ...] = ()
    proposed_issues: tuple[str, ...] = ()
    quiet: bool = False
    patch: str = ""
