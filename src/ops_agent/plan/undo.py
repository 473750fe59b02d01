"""What it takes to undo a change after it was applied: one word and a reason, from what the resource holds and what
protects it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.plan.configuration import without_key
from ops_agent.plan.dangers import DELETION_WINDOWS, is_protected, lost_with
from ops_agent.plan.losses import binds, is_recovery, losses, one_way


class Undo(StrEnum):
    """The hardest first."""

    LOSES_DATA = "loses data"
    ONE_WAY = "one-way"
    CANNOT_TELL = "cannot tell"
    HOLDS_DATA = "loses data once in use"
    """It is new and empty: what is stored in it from now on is lost when it is destroyed again."""
    PROTECTED = "protected"
    DELAYED = "delayed"
    RECREATE = "recreate"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Assessment:
    """A word and one clause that says what to do, or what is lost."""

    word: Undo
    why: str


_BY_ACTION: Final = {
    ResourceAction.CREATE: Assessment(Undo.PLAIN, "destroy it"),
    ResourceAction.UPDATE: Assessment(Undo.PLAIN, "restore the old values"),
    ResourceAction.MOVE: Assessment(Undo.PLAIN, "move it back; only the state changes"),
    ResourceAction.IMPORT: Assessment(Undo.PLAIN, "remove it from the state"),
    ResourceAction.FORGET: Assessment(Undo.RECREATE, "import it by its id"),
    ResourceAction.REPLACE_FORGET: Assessment(Undo.RECREATE, "import it by its id"),
}
_DAYS: Final = 30
"""Between a destroy and the deletion of a key or a secret, when its window is not set (AWS provider)."""
_HELD_BY_THE_CODE: Final = frozenset(
    {
        "its value is deleted",
        "activity in the account is no longer recorded",
        "certificates that it signed can be neither renewed nor revoked",
        "its name or address is released and may not be available again",
        "everything attached to it stops working",
    }
)
"""What is lost with a resource and was never written to it by anybody: undoing its creation loses nothing."""


def undo_of(
    change: ResourceChange, made: frozenset[str] = frozenset(), prevented: Collection[str] = frozenset()
) -> Assessment:
    """How `change` can be undone. `made`: what the plan creates (`losses.made_here`); `prevented`: `type.name` of the
    resources whose code has `prevent_destroy`.
    """
    if change.action.destroys:
        return _after_destroy(change)
    if change.action is ResourceAction.CREATE:
        return _after_create(change, prevented)
    if change.action is ResourceAction.CANNOT_TELL:
        return Assessment(Undo.CANNOT_TELL, change.why)
    lost = [loss for loss in losses(change, made) if not is_recovery(loss)]
    if certain := [loss for loss in lost if loss.certain]:
        deletes = certain[0].rule == "plan/loses-data"
        return Assessment(Undo.LOSES_DATA if deletes else Undo.ONE_WAY, certain[0].what)
    if ways := list(one_way(change)):
        return Assessment(Undo.ONE_WAY, ways[0])
    if lost:
        return Assessment(Undo.CANNOT_TELL, lost[0].what)
    return _BY_ACTION.get(change.action, Assessment(Undo.PLAIN, "nothing real changes"))


def _after_create(change: ResourceChange, prevented: Collection[str]) -> Assessment:
    if bound := binds(change):
        return Assessment(Undo.ONE_WAY, bound)
    lost = lost_with(change.type)
    holds = lost if lost not in _HELD_BY_THE_CODE else ""
    loses = f"; then {holds}" if holds else ""
    name = ".".join(without_key(change.address).split(".")[-2:])
    if name in prevented:
        return Assessment(Undo.PROTECTED, f"remove `prevent_destroy`, then destroy it{loses}")
    if switch := is_protected(change.new):
        return Assessment(Undo.PROTECTED, f"switch `{switch}` off, then destroy it{loses}")
    if change.type in DELETION_WINDOWS and (days := _window(change.type, change.new)):
        return Assessment(Undo.DELAYED, f"destroy it: it is deleted {days} days later{loses}")
    if change.type == "aws_s3_bucket" and change.new.get("force_destroy") is not True:
        return Assessment(Undo.HOLDS_DATA, f"empty it, then destroy it{loses}")
    if holds:
        return Assessment(Undo.HOLDS_DATA, f"destroy it{loses}")
    return _BY_ACTION[ResourceAction.CREATE]


def _after_destroy(change: ResourceChange) -> Assessment:
    lost = lost_with(change.type)
    if change.type in DELETION_WINDOWS and (days := _window(change.type, change.old)):
        return Assessment(Undo.LOSES_DATA, f"the deletion can be cancelled for {days} days; then {lost}")
    if lost:
        return Assessment(Undo.LOSES_DATA, lost)
    if change.type.startswith(("aws_", "terraform_data")):
        return Assessment(Undo.RECREATE, "create it again; it gets a new id")
    return Assessment(Undo.CANNOT_TELL, f"{change.type} is not a known type")


def _window(type_: str, values: dict[str, object]) -> int:
    days = values.get(DELETION_WINDOWS[type_])
    return days if isinstance(days, int) and not isinstance(days, bool) else _DAYS
