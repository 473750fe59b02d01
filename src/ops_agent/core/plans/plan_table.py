"""What a change set does to each resource of one plan, and whether it can be taken back."""

from __future__ import annotations

from typing import Final

from ops_agent.core.plans.data_losses import made_here
from ops_agent.core.plans.plan_rendering import share
from ops_agent.core.plans.plan_reversibility import Reversibility, reversibility
from ops_agent.core.texts.neutral import cell, code
from ops_agent.domain.verification import TargetVerification

MOST_ROWS: Final = 25
_ORDER: Final = tuple(Reversibility)


def changes_table(target: TargetVerification) -> str:
    """What this change set does to each resource, and whether it can be taken back; the hardest to take back first. Empty: nothing."""
    if target.plan is None:
        return ""
    made = made_here(target.plan.changes)
    rows = [(reversibility(change, made), change) for change in share(target, target.plan).own if change.mode == "managed"]
    rows.sort(key=lambda row: (-_ORDER.index(row[0].word), row[1].address))
    if not rows:
        return ""
    lines = ["| Change | Resource | Taking it back |", "|---|---|---|"]
    for back, change in rows[:MOST_ROWS]:
        kind = f"**{change.action.value.upper()}**" if change.action.destroys else change.action.value
        moved = f" (was {code(change.previous_address)})" if change.previous_address else ""
        lines.append(f"| {kind} | {code(change.address)}{moved} | {back.word.value}: {cell(back.why)} |")
    if len(rows) > MOST_ROWS:
        lines.append(f"| | {len(rows) - MOST_ROWS} more, see the plan | |")
    return "\n".join(lines)
