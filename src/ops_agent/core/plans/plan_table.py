"""What a change set does to each resource of all plans, and whether it can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops_agent.core.plans.data_losses import made_here
from ops_agent.core.plans.plan_rendering import names_of, share
from ops_agent.core.plans.plan_reversibility import Reversibility, reversibility
from ops_agent.core.texts.neutral import cell, code
from ops_agent.domain.terraform_plan import ResourceChange
from ops_agent.domain.verification import TargetVerification

MOST_ROWS: Final = 60
_ORDER: Final = (Reversibility.IRREVERSIBLE, Reversibility.UNKNOWN, Reversibility.RECREATABLE, Reversibility.REVERSIBLE)


def changes_table(targets: Sequence[TargetVerification]) -> str:
    """One table over all plans, the hardest to take back first; what several of them have is one row. Empty: nothing changes."""
    planned = [target for target in targets if target.plan is not None]
    owners: dict[tuple[int, str, str, str, str], list[TargetVerification]] = {}
    for target in planned:
        for row in dict.fromkeys(_rows(target)):
            owners.setdefault(row, []).append(target)
    if not owners:
        return ""
    alike = all(len(where) == len(planned) for where in owners.values())
    head = f"What changes in {names_of(planned)}{', alike' if len(planned) > 1 else ''}:" if alike else "What changes:"
    columns = ("Change", "Resource", "Taking it back") if alike else ("Change", "Resource", "Where", "Taking it back")
    lines = [f"{head}\n", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (_, _, kind, resource, back), where in sorted(owners.items(), key=lambda entry: entry[0])[:MOST_ROWS]:
        lines.append(f"| {' | '.join((kind, resource, back) if alike else (kind, resource, names_of(where), back))} |")
    if len(owners) > MOST_ROWS:
        lines.append(f"\nand {len(owners) - MOST_ROWS:,} more: see the plans")
    return "\n".join(lines)


def _rows(target: TargetVerification) -> list[tuple[int, str, str, str, str]]:
    """(rank, address, change, resource, taking it back); the first two order the rows."""
    if target.plan is None:
        return []
    made = made_here(target.plan.changes)
    return [_row(change, made) for change in share(target, target.plan).own if change.mode == "managed"]


def _row(change: ResourceChange, made: frozenset[str]) -> tuple[int, str, str, str, str]:
    back = reversibility(change, made)
    kind = f"**{change.action.value.upper()}**" if change.action.destroys else change.action.value
    moved = f" (was {code(change.previous_address)})" if change.previous_address else ""
    return _ORDER.index(back.word), change.address, kind, f"{code(change.address)}{moved}", f"{back.word.value}: {cell(back.why)}"
