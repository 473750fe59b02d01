"""Can a change be taken back by merging its inverse? One word and a reason for each change, computed from its kind and
type.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.plan.losses import RECOVERY_OFF, losses, one_way
from ops_agent.plan.values import STATEFUL


class Reversibility(StrEnum):
    """`reversible`: the inverse change gives back what was. `recreatable`: it gives back an equal thing with another
    identity.
    """

    REVERSIBLE = "reversible"
    RECREATABLE = "recreatable"
    IRREVERSIBLE = "irreversible"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A word and one clause that says why."""

    word: Reversibility
    why: str


_TIMED: Final[dict[str, str]] = {
    "aws_kms_key": "deletion_window_in_days",
    "aws_secretsmanager_secret": "recovery_window_in_days",
}


def reversibility(change: ResourceChange, made: frozenset[str] = frozenset()) -> Assessment:
    """How `change` can be taken back after it was applied. `made`: what the plan creates (`data_losses.made_here`)."""
    if change.action.destroys:
        return _after_destruction(change)
    lost = [loss for loss in losses(change, made) if loss.rule != RECOVERY_OFF]
    certain = [*(loss.what for loss in lost if loss.certain), *one_way(change)]
    if certain:
        return _is(Reversibility.IRREVERSIBLE, certain[0])
    if lost:
        return _is(Reversibility.UNKNOWN, lost[0].what)
    match change.action:
        case ResourceAction.CREATE:
            return _is(Reversibility.REVERSIBLE, "destroy it again")
        case ResourceAction.UPDATE:
            return _is(Reversibility.REVERSIBLE, "set the old values again")
        case ResourceAction.MOVE:
            return _is(Reversibility.REVERSIBLE, "move it back; nothing real changes")
        case ResourceAction.IMPORT:
            return _is(Reversibility.REVERSIBLE, "let go of it again")
        case ResourceAction.FORGET | ResourceAction.REPLACE_FORGET:
            return _is(Reversibility.RECREATABLE, "import it again by its id")
        case _:
            return _is(Reversibility.REVERSIBLE, "nothing real changes")


def _after_destruction(change: ResourceChange) -> Assessment:
    loss = STATEFUL.get(change.type)
    window = _TIMED.get(change.type)
    before = change.before if isinstance(change.before, dict) else {}
    days = before.get(window) if window else None
    if loss and isinstance(days, int) and days > 0:
        return _is(Reversibility.IRREVERSIBLE, f"{loss}, {days} days after the apply")
    if loss:
        return _is(Reversibility.IRREVERSIBLE, loss)
    if change.type.startswith(("aws_", "terraform_data")):
        return _is(Reversibility.RECREATABLE, "it can be made again, with a new id")
    return _is(Reversibility.UNKNOWN, f"{change.type} is not a type that this tool knows")


def _is(word: Reversibility, why: str) -> Assessment:
    return Assessment(word=word, why=why)
