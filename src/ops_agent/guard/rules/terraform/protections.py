"""What keeps a standing resource from being destroyed or changed unseen, base against head, in the values of each
environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ops_agent.guard.rule import Hit, WholeChange
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Instance, Scope, evaluate, instances_of
from ops_agent.model.terraform import UNKNOWN, Block, Expression, ExpressionKind, TerraformTarget
from ops_agent.terraform.layout import affected_roots, targets

_ON: Final = frozenset(
    {
        "lifecycle.prevent_destroy",
        "lifecycle.create_before_destroy",
        "deletion_protection",
        "deletion_protection_enabled",
    }
    | {
        "enable_deletion_protection",
        "termination_protection",
        "enable_termination_protection",
        "disable_api_termination",
    }
    | {"disable_api_stop", "skip_destroy", "retain_on_delete", "point_in_time_recovery.enabled", "versioning.enabled"}
    | {"versioning_configuration.status", "copy_tags_to_snapshot", "multi_az"}
)
_OFF: Final = frozenset(
    {"skip_final_snapshot", "force_destroy", "force_delete", "force_destroy_backup", "delete_automated_backups"}
)
_NUMBERS: Final = frozenset(
    {"recovery_window_in_days", "deletion_window_in_days", "backup_retention_period", "snapshot_retention_limit"}
    | {"automated_snapshot_retention_period", "retention_in_days", "backup_retention_limit"}
)
_IGNORED, _TRIGGERS = "lifecycle.ignore_changes", "lifecycle.replace_triggered_by"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class _Standing:
    """A resource as it is written: its place, and what its protections say."""

    path: str
    block: Block
    values: dict[str, object]


_Side = dict[tuple[str, int, str], _Standing]


def weakened_protection(change: WholeChange) -> Iterator[Hit]:
    """A protection of a resource is taken away or loosened.

    `prevent_destroy`, deletion protection, final snapshots and waiting times are what is left when a plan is wrong;
    `ignore_changes` hides from every later plan what differs. The values are those of each environment, so a variable
    file can loosen one too.

    Remedy: Leave the protection in place; if the issue asks for this, say in the pull request why.
    """
    seen: set[tuple[str, str]] = set()
    for target in targets(affected_roots(change.head.layout, change.changes.paths)):
        before, after = _side(target, change.base), _side(target, change.head)
        moved = _moved(target, change.head)
        for key, old in before.items():
            new = after.get(key) or after.get((key[0], key[1], moved.get(key[2], key[2])))
            for what in _lost(old, new):
                place = new or old
                if (place.path, what) not in seen:
                    seen.add((place.path, what))
                    yield Hit(
                        path=place.path,
                        line=place.block.line if new else 0,
                        what=what,
                        anchor=f"{place.block.text} {what}",
                    )
        for key, new in after.items():
            if key not in before and new.values.get(_IGNORED) == _ALL and (new.path, new.block.name) not in seen:
                seen.add((new.path, new.block.name))
                what = f"`{new.block.name}` ignores all changes: no plan will show what differs"
                yield Hit(path=new.path, line=new.block.line, what=what, anchor=new.block.text)


def _side(target: TerraformTarget, tree: SourceTree) -> _Side:
    found: _Side = {}
    counts: dict[str, int] = {}
    if not tree.configurations(target.root.path):
        return found
    for instance in instances_of(target, tree):
        number = counts[instance.directory] = counts.get(instance.directory, -1) + 1
        for path, block in _resources(instance):
            values = {".".join(p): _value(".".join(p), a.expression, instance.scope) for p, a in block.arguments()}
            found[instance.directory, number, ".".join(block.labels)] = _Standing(path, block, values)
    return found


def _resources(instance: Instance) -> Iterator[tuple[str, Block]]:
    for path, source in instance.files:
        yield from ((path, b) for b in source.of_type("resource") if len(b.labels) == 2)


def _value(name: str, expression: Expression, scope: Scope) -> object:
    if name in (_IGNORED, _TRIGGERS):
        return _ALL if expression.steps == (_ALL,) else frozenset(_spelled(c) for c in expression.children)
    return evaluate(expression, scope) if name in _ON | _OFF | _NUMBERS else None


def _spelled(expression: Expression) -> str:
    if expression.kind is ExpressionKind.LITERAL:
        return str(expression.value)
    return ".".join("*" if s is None else str(s) for s in expression.steps)


def _moved(target: TerraformTarget, tree: SourceTree) -> dict[str, str]:
    """Old name -> new name of resources, as `moved` blocks of the root and its modules say."""
    found = {}
    for instance in instances_of(target, tree):
        for _, source in instance.files:
            for block in source.of_type("moved"):
                ends = {a.name: _spelled(a.expression) for a in block.attributes}
                found[ends.get("from", "")] = ends.get("to", "")
    return found


def _lost(old: _Standing, new: _Standing | None) -> Iterator[str]:
    name = old.block.name
    if new is None:
        kept = sorted(k for k, v in old.values.items() if k in _ON and _is_on(v))
        if kept:
            yield f"`{name}` is taken out, and `{'`, `'.join(kept)}` with it"
        return
    for key in sorted(_ON):
        if _is_on(old.values.get(key)) and not _is_on(new.values.get(key)):
            yield f"`{key}` of `{name}` {_word(new.values.get(key))}"
    for key in sorted(_OFF):
        if not _is_on(old.values.get(key)) and _is_on(new.values.get(key), unknown=True):
            yield f"`{key}` of `{name}` {'is switched on' if _is_on(new.values.get(key)) else 'is no longer told by the source'}"
    for key in sorted(_NUMBERS):
        first, second = old.values.get(key), new.values.get(key)
        if isinstance(first, int) and not isinstance(second, int):
            yield f"`{key}` of `{name}` was {first} and {_word(second)}"
        elif isinstance(first, int) and isinstance(second, int) and _is_less(key, second, first):
            yield f"`{key}` of `{name}` falls from {first} to {second}"
    for key in (_IGNORED, _TRIGGERS):
        first, second = old.values.get(key, frozenset()), new.values.get(key, frozenset())
        if second == _ALL and first != _ALL:
            yield f"`{name}` ignores all changes: no plan will show what differs"
        elif isinstance(first, frozenset) and isinstance(second, frozenset) and second - first:
            yield f"`{key}` of `{name}` now names `{'`, `'.join(sorted(second - first))}`"


def _is_on(value: object, *, unknown: bool = False) -> bool:
    return value is True or value in ("true", "Enabled", "enabled") or (unknown and value is UNKNOWN)


def _is_less(key: str, second: int, first: int) -> bool:
    if key == "retention_in_days":  # 0 keeps log lines for ever
        return 0 < second < first or (first == 0 < second)
    return second < first


def _word(value: object) -> str:
    return (
        "is taken away"
        if value is None
        else "is switched off"
        if value is not UNKNOWN
        else "is no longer told by the source"
    )
