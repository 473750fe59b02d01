"""How a run can end: the closed list of conclusions (docs/outcomes.md), and a stage that declines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ops_agent.model.finding import Finding
from ops_agent.model.work_item import Approval

_AGAIN = True


class Conclusion(StrEnum):
    """The value of the output `conclusion`. The word comes from code, never from the llm.

    `retryable`: starting the same run again can end differently without a person changing anything.
    """

    exit_code: int
    retryable: bool

    PUBLISHED = "published", 0
    UPDATED = "updated", 0
    VERIFIED = "verified", 0
    CONCLUDED = "concluded", 0
    NO_CHANGES = "no_changes", 0
    DUPLICATE = "duplicate", 0
    DECLINED = "declined", 0
    NEEDS_INFO = "needs_info", 0
    NEEDS_SPLIT = "needs_split", 0
    INFEASIBLE = "infeasible", 0
    CHECKS_FAILED = "checks_failed", 1
    PLAN_FAILED = "plan_failed", 1
    BUDGET_EXHAUSTED = "budget_exhausted", 1, _AGAIN
    NO_PROGRESS = "no_progress", 1, _AGAIN
    CONFIG_ERROR = "config_error", 2
    BLOCKED_BY_POLICY = "blocked_by_policy", 3
    NOT_AUTHORISED = "not_authorised", 3
    CONTENT_CHANGED = "content_changed", 3
    STALE = "stale", 3
    REDACTION_FAILED = "redaction_failed", 3
    GITHUB_FAILED = "github_failed", 4, _AGAIN
    RATE_LIMITED = "rate_limited", 4, _AGAIN
    NOT_PERMITTED = "not_permitted", 4
    NEEDS_WORKFLOWS_PERMISSION = "needs_workflows_permission", 4
    LLM_FAILED = "llm_failed", 5, _AGAIN
    TOOLCHAIN_FAILED = "toolchain_failed", 6
    AWS_FAILED = "aws_failed", 6, _AGAIN
    NO_SPACE = "no_space", 6
    INTERNAL_ERROR = "internal_error", 70
    CANCELLED = "cancelled", 130, _AGAIN

    def __new__(cls, word: str, exit_code: int, retryable: bool = False) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.exit_code, member.retryable = exit_code, retryable
        return member


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stage declines: a value, not an exception.

    `reason` is one sentence for the issue, `said` the agent's own reason; `remedy` says what to do now; `findings` name
    file and line where there is one. `questions` (needs_info) and `proposed_issues` (needs_split, infeasible) are put
    to people as lists. `quiet`: nothing is written to GitHub, because the event does not concern ops-agent or the
    person had no right to make us write. `patch` is a unified diff offered to people when it could not be pushed.
    `waiting` is an approval that is in force as soon as nothing blocks the issue any more.
    """

    conclusion: Conclusion
    reason: str
    remedy: str
    findings: tuple[Finding, ...] = ()
    said: str = ""
    questions: tuple[str, ...] = ()
    proposed_issues: tuple[str, ...] = ()
    quiet: bool = False
    patch: str = ""
    waiting: Approval | None = None
