"""The part of an expression that a path into its value leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, TypeVar

from ops_agent.model.terraform import Expression, ExpressionKind, Step

Path = tuple[Step, ...]
KEYS: Final = "\0keys"
"""A step that asks for the keys of a map (for a set or list: its elements)."""

# What these say is not all in their parts: operators, directives of templates, grouping.
_NOT_WRITTEN = frozenset({ExpressionKind.OTHER, ExpressionKind.FOR})

# A path into their value is a path into one of their arguments.
_ONE_OF = frozenset({"toset", "tolist", "tomap", "try", "coalesce", "merge"})


class Around(Protocol):
    """Where an expression stands."""

    def inside(self: Self, loop: Expression) -> Self: ...


Self = TypeVar("Self", bound=Around)


def narrowed(value: Expression, path: Path, around: Self) -> Iterator[tuple[Expression, Self]]:
    """The expressions that stand at `path` in `value`, each with its surroundings; None in it means every element. What
    cannot be told apart stays whole.

    A reference takes the rest of the path along. Of a conditional and a `for` all that they can give is followed, not
    what decides. Nothing comes when nothing stands there.
    """
    if not path:
        yield value, around
        return
    step, rest = path[0], path[1:]
    match value.kind:
        case ExpressionKind.OBJECT:
            keys, items = value.children[::2], value.children[1::2]
            if step == KEYS:
                yield from ((key, around) for key in keys)
            elif any(key.kind is not ExpressionKind.LITERAL for key in keys):
                yield value, around
            else:
                for key, item in zip(keys, items, strict=True):
                    if step is None or str(key.value) == str(step):
                        yield from narrowed(item, rest, around)
        case ExpressionKind.TUPLE if step in (None, KEYS):
            for item in value.children:
                yield from narrowed(item, rest, around)
        case ExpressionKind.TUPLE if isinstance(step, int):
            for item in value.children[step : step + 1]:
                yield from narrowed(item, rest, around)
        case ExpressionKind.CALL if value.name in _ONE_OF:
            for child in value.children:
                yield from narrowed(child, path, around)
        case ExpressionKind.CONDITIONAL:
            for child in value.children[1:]:
                yield from narrowed(child, path, around)
        case ExpressionKind.FOR if not (step == KEYS and str(value.value).startswith("v")):
            given = value.children[2 if str(value.value).startswith("kv") and step != KEYS else 1]
            yield from narrowed(given, () if step == KEYS else rest, around.inside(value))
        case ExpressionKind.REFERENCE if step != KEYS:
            yield (
                Expression(kind=value.kind, line=value.line, steps=(*value.steps, *path), children=value.children),
                around,
            )
        case _:
            yield value, around


def written(expression: Expression) -> str | None:
    """One text for all expressions that mean the same as `expression`; None when its parts do not tell all of it."""
    if any(inner.kind in _NOT_WRITTEN for inner in expression.walk()):
        return None
    return _written(expression)


def _written(expression: Expression) -> str:
    inside = ", ".join(_written(child) for child in expression.children)
    own = (expression.kind.value, expression.value, expression.name, expression.steps)
    return f"{own!r}({inside})"
