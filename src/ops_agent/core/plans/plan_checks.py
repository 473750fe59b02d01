"""`check` blocks that fail while planning: Terraform only warns, in a text that no reviewer of the pull request sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ops_agent.core.plans.plan_values import blocks
from ops_agent.domain.terraform_plan import Danger, Severity

_FAILED: Final = {"fail": "fails", "error": "cannot be evaluated"}


def failed_checks(plan: dict[str, Any]) -> Iterator[Danger]:
    """A notice for each `check` block that does not hold; conditions of resources and variables stop the plan by themselves."""
    for check in blocks(plan.get("checks")):
        address = check.get("address")
        if isinstance(address, dict) and address.get("kind") == "check" and check.get("status") in _FAILED:
            problems = [problem for instance in blocks(check.get("instances")) for problem in blocks(instance.get("problems"))]
            words = "; ".join(str(problem.get("message"))[:300] for problem in problems[:3])
            yield Danger(
                address=str(address.get("to_display", "check")),
                why=f"the check {_FAILED[check['status']]}: {words or 'it says no more'}",
                rule="plan/check-failed",
                severity=Severity.NOTICE,
            )
