"""Can a change be taken back by merging its inverse? One word and a reason for each change, computed from its kind and type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ops_agent.core.plans.plan_types import STATEFUL
from ops_agent.domain.terraform_plan import ResourceAction, ResourceChange


class Reversibility(StrEnum):
    """`reversible`: the inverse change gives back what was. `recreatable`: it gives back an equal thing with another identity."""

    REVERSIBLE = "reversible"
    RECREATABLE = "recreatable"
    IRREVERSIBLE = "irreversible"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A word and one clause that says why."""

    word: Reversibility
    why: str


_ONE_WAY: Final[dict[str, str]] = {
    "engine_version": "an upgraded engine cannot be downgraded",
    "allocated_storage": "storage can grow and not shrink",
    "storage_encrypted": "encryption cannot be changed in place",
    "enable_key_rotation": "rotated key material stays",
    "retention_in_days": "log lines that a shorter retention drops do not come back",
    "backup_retention_period": "backups that a shorter retention drops do not come back",
    "message_retention_seconds": "messages that a shorter retention drops do not come back",
    "ttl": "items that expire do not come back",
    "lifecycle_rule": "objects that expire do not come back",
    "rule": "what a rule expires does not come back",
}
_SHRINKS: Final = frozenset({"retention_in_days", "backup_retention_period", "message_retention_seconds"})
_TIMED: Final[dict[str, str]] = {
    "aws_kms_key": "deletion_window_in_days",
    "aws_secretsmanager_secret": "recovery_window_in_days",
}


def reversibility(change: ResourceChange) -> Assessment:
    """How `change` can be taken back after it was applied."""
    if change.action.destroys:
        return _after_destruction(change)
    match change.action:
        case ResourceAction.CREATE:
            return _is(Reversibility.REVERSIBLE, "destroy it again")
        case ResourceAction.UPDATE:
            return _after_update(change)
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


def _after_update(change: ResourceChange) -> Assessment:
    before = change.before if isinstance(change.before, dict) else {}
    after = change.after if isinstance(change.after, dict) else {}
    for name in change.changed_attributes:
        old, new = before.get(name), after.get(name)
        if name in _SHRINKS and isinstance(old, int | float) and isinstance(new, int | float) and new >= old:
            continue
        if name in _ONE_WAY and old not in (None, [], {}):
            return _is(Reversibility.IRREVERSIBLE, _ONE_WAY[name])
    return _is(Reversibility.REVERSIBLE, "set the old values again")


def _is(word: Reversibility, why: str) -> Assessment:
    return Assessment(word=word, why=why)
