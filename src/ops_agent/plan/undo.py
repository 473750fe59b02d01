"""Can a change be undone by merging its inverse? One word and a reason for each, computed from its kind and type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.plan.dangers import DELETION_WINDOWS, lost_with
from ops_agent.plan.losses import is_recovery, losses, one_way


class Reversibility(StrEnum):
    """`reversible`: the inverse change restores what was. `recreatable`: it creates an equal thing with a new id."""

    REVERSIBLE = "reversible"
    RECREATABLE = "recreatable"
    IRREVERSIBLE = "irreversible"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Assessment:
    """A word and one clause that says why."""

    word: Reversibility
    why: str


_BY_ACTION: Final = {
    ResourceAction.CREATE: Assessment(Reversibility.REVERSIBLE, "destroy it"),
    ResourceAction.UPDATE: Assessment(Reversibility.REVERSIBLE, "restore the old values"),
    ResourceAction.MOVE: Assessment(Reversibility.REVERSIBLE, "move it back; only the state changes"),
    ResourceAction.IMPORT: Assessment(Reversibility.REVERSIBLE, "remove it from the state"),
    ResourceAction.FORGET: Assessment(Reversibility.RECREATABLE, "import it by its id"),
    ResourceAction.REPLACE_FORGET: Assessment(Reversibility.RECREATABLE, "import it by its id"),
}


def reversibility(change: ResourceChange, made: frozenset[str] = frozenset()) -> Assessment:
    """How `change` can be undone after it was applied. `made`: what the plan creates (`losses.made_here`)."""
    if change.action.destroys:
        return _after_destroy(change)
    lost = [loss for loss in losses(change, made) if not is_recovery(loss)]
    certain = [*(loss.what for loss in lost if loss.certain), *one_way(change)]
    if certain:
        return Assessment(Reversibility.IRREVERSIBLE, certain[0])
    if lost:
        return Assessment(Reversibility.UNKNOWN, lost[0].what)
    return _BY_ACTION.get(change.action, Assessment(Reversibility.REVERSIBLE, "nothing real changes"))


def _after_destroy(change: ResourceChange) -> Assessment:
    if lost := lost_with(change.type):
        days = change.old.get(DELETION_WINDOWS.get(change.type, ""))
        later = f", {days} days after the apply" if isinstance(days, int) and days > 0 else ""
        return Assessment(Reversibility.IRREVERSIBLE, f"{lost}{later}")
    if change.type.startswith(("aws_", "terraform_data")):
        return Assessment(Reversibility.RECREATABLE, "create it again; it gets a new id")
    return Assessment(Reversibility.UNKNOWN, f"{change.type} is not a known type")
