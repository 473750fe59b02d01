"""Our counts against Terraform's own summary line: two readers of one plan must agree, or the plan is refused."""

from __future__ import annotations

import re

from ops_agent.domain.terraform_plan import PlanCounts, ResourceAction, ResourceChange
from ops_agent.errors import ToolchainError

_LINE = re.compile(r"^Plan: ((?:[0-9]+ to [a-z]+(?:, )?)+)\.(?: Actions: [0-9]+ to invoke\.)?$", re.MULTILINE)
_PART = re.compile(r"([0-9]+) to ([a-z]+)")


def summary_of(text: str) -> dict[str, int] | None:
    """`{"add": 1, "change": 0, ...}` from the line `Plan: 1 to add, ...` of `terraform show`; None when there is no such line.

    The line stands at the margin. Text of people never does: `show` indents every value. The last one is Terraform's.
    """
    lines = _LINE.findall(text)
    return {word: int(number) for number, word in _PART.findall(lines[-1])} if lines else None


def check_summary(text: str, counts: PlanCounts, changes: tuple[ResourceChange, ...]) -> None:
    """Raises ToolchainError when `text` summarises another change than `counts`."""
    told = summary_of(text)
    kept = sum(change.action is ResourceAction.REPLACE_FORGET for change in changes)
    if told is None:
        if counts.add or counts.change or counts.destroy or counts.import_:
            raise ToolchainError(f"Terraform's text has no summary line, its JSON says {counts.line}")
        return
    ours = {"change": counts.change, "destroy": counts.destroy, "import": counts.import_}
    differing = [word for word, number in ours.items() if told.get(word, 0) != number]
    if not counts.add - kept <= told.get("add", 0) <= counts.add:
        differing.append("add")
    if "forget" in told and not counts.forget - kept <= told["forget"] <= counts.forget:
        differing.append("forget")
    unknown = told.keys() - {"add", "change", "destroy", "import", "forget"}
    if differing or unknown:
        words = ", ".join(sorted({*differing, *unknown}))
        raise ToolchainError(f"Terraform's summary ({_as_line(told)}) and its JSON ({counts.line}) differ in: {words}")


def _as_line(told: dict[str, int]) -> str:
    return ", ".join(f"{number} to {word}" for word, number in told.items())
