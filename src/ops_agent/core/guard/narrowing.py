"""The part of an expression that a path into its value leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops_agent.domain.terraform_source import Expression, ExpressionKind, Step

Path = tuple[Step, ...]
KEYS: Final = "\0keys"
"""A step that asks for the keys of a map (for a set or list: its elements)."""

# What these say is not all in their parts: operators, directives of templates, grouping.
_NOT_WRITTEN = frozenset({ExpressionKind.OTHER, ExpressionKind.FOR})


def narrowed(value: Expression, path: Path) -> Iterator[Expression]:
    """The expressions that stand at `path` in `value`; None in it means every element. What cannot be told apart stays whole.

    A reference takes the rest of the path along. Nothing comes when nothing stands there.
    """
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    match value.kind:
        case ExpressionKind.OBJECT:
            keys, items = value.children[::2], value.children[1::2]
            if step == KEYS:
                yield from keys
            elif any(key.kind is not ExpressionKind.LITERAL for key in keys):
                yield value
            else:
                for key, item in zip(keys, items, strict=True):
                    if step is None or str(key.value) == str(step):
                        yield from narrowed(item, rest)
        case ExpressionKind.TUPLE if step in (None, KEYS):
            for item in value.children:
                yield from narrowed(item, rest)
        case ExpressionKind.TUPLE if isinstance(step, int):
            for item in value.children[step : step + 1]:
                yield from narrowed(item, rest)
        case ExpressionKind.CALL if value.name in ("toset", "tolist", "tomap") and len(value.children) == 1:
            yield from narrowed(value.children[0], path)
        case ExpressionKind.REFERENCE if step != KEYS:
            yield Expression(kind=value.kind, line=value.line, steps=(*value.steps, *path), children=value.children)
        case _:
            yield value


def written(expression: Expression) -> str | None:
    """One text for all expressions that mean the same as `expression`; None when its parts do not tell all of it."""
    if any(inner.kind in _NOT_WRITTEN for inner in expression.walk()):
        return None
    return _written(expression)


def _written(expression: Expression) -> str:
    inside = ", ".join(_written(child) for child in expression.children)
    own = (expression.kind.value, expression.value, expression.name, expression.steps)
    return f"{own!r}({inside})"
