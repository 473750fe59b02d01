"""Parts of values: where an expression is, and which parts of it a path (`["a"][0].b`) can lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ops_agent.guard.marks import Path
from ops_agent.guard.values import Scope
from ops_agent.model.terraform import Block, Expression, ExpressionKind, PathStep

_MAX_STEPS = 20
# A path into the value of these is a path into one of their arguments, or into an element of one.
_ONE_OF = frozenset(
    {"toset", "tolist", "tomap", "try", "coalesce", "merge", "concat", "compact", "distinct", "values"}
    | {"sensitive", "nonsensitive"}
)
_ELEMENT_OF = frozenset({"element", "one", "lookup"})
_SHIFTING = frozenset({"concat", "compact", "distinct", "values", "flatten"})
_AS_MANY = frozenset({"merge", "try", "coalesce", "tomap", "tolist", "concat", "values", "sensitive", "nonsensitive"})
KEYS: Final = "\0keys"
"""A step that asks for the keys of a map."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where an expression is: a module's scope, the block around it (`each`, `count`, `self`), and what the iterators
    of `for` run over.
    """

    scope: Scope
    block: Block | None = None
    iterators: Mapping[str, tuple[Expression, Position, PathStep]] = field(default_factory=dict)

    def inside(self, loop: Expression) -> Position:
        """Within a `for`."""
        *keys, element = loop.name.split(",")
        names = {**dict.fromkeys(keys, (loop.children[0], self, KEYS)), element: (loop.children[0], self, None)}
        return replace(self, iterators={**self.iterators, **names})

    def walk(self, expression: Expression) -> Iterator[tuple[Expression, Position]]:
        """`expression` and every one inside it, each with its own position."""
        pending = [(expression, self)]
        while pending:
            inner, where = pending.pop()
            yield inner, where
            within = where.inside(inner) if inner.kind is ExpressionKind.FOR else where
            pending += [(c, where if n == 0 else within) for n, c in enumerate(inner.children)]


Placed = tuple[Expression, Position]


def step_into(value: Expression, path: Path, where: Position) -> Iterator[Placed]:
    """The parts of `value` that `path` can lead to; None in it means every element."""
    kind, parts = value.kind, value.children
    if not path:
        yield value, where
    elif kind is ExpressionKind.REFERENCE:
        yield replace(value, text="", steps=(*value.steps, *path)[:_MAX_STEPS]), where
    elif path[0] == KEYS and looked_up(value) is None:
        yield from keys_of(value, where)
    elif kind is ExpressionKind.OBJECT and all(k.kind is ExpressionKind.LITERAL for k in parts[::2]):
        for key, item in value.pairs:
            if path[0] is None or not isinstance(key.value, str) or key.value == str(path[0]):
                yield from step_into(item, path[1:], where)
    elif kind is ExpressionKind.TUPLE and not isinstance(path[0], str | bool):
        for item in parts if path[0] is None else parts[path[0] : path[0] + 1]:
            yield from step_into(item, path[1:], where)
    elif value.function in _SHIFTING:  # an index counts in the result, not in an argument
        yield from _elements(value, path[1:], where)
    elif (found := looked_up(value)) is not None:
        yield from step_into(parts[0], (*found, *path), where)
        for default in parts[2:]:
            yield from step_into(default, path, where)
    elif value.function in _ONE_OF | _ELEMENT_OF:
        for part in parts:
            yield from step_into(part, path if value.name in _ONE_OF else (None, *path), where)
    elif kind is ExpressionKind.CONDITIONAL:
        yield parts[0], where
        for part in parts[1:]:
            yield from step_into(part, path, where)
    elif kind is ExpressionKind.FOR:
        within = where.inside(value)
        yield from keys_of(value, where)  # whether there is such an element depends on them
        yield from step_into(parts[2 if value.is_map else 1], path[1:], within)
    else:
        yield value, where


def looked_up(value: Expression) -> Path | None:
    """The key of `lookup(map, "key", default)`; None for any other expression, and for a key that is computed."""
    is_lookup = value.function == "lookup" and len(value.children) in (2, 3)
    key = value.children[1].value if is_lookup else None
    return (key,) if isinstance(key, str) else None


def keys_of(value: Expression, where: Position) -> Iterator[Placed]:
    """What can be a key of `value` or an element of a set, and what decides how many elements there are."""
    kind, parts = value.kind, value.children
    if kind is ExpressionKind.OBJECT:
        yield from ((key, where) for key in parts[::2])
    elif kind is ExpressionKind.FOR:
        yield from keys_of(parts[0], where)
        key = parts[1:2] if value.is_map else ()
        yield from ((part, where.inside(value)) for part in (*key, *value.condition))
    elif kind is ExpressionKind.CONDITIONAL:
        yield parts[0], where
        for part in parts[1:]:
            yield from keys_of(part, where)
    elif value.name == "toset":
        yield from step_into(parts[0], (None,), where)
    elif value.name in _AS_MANY:
        for part in parts:
            yield from keys_of(part, where)
    elif looked_up(value) is not None:
        yield from step_into(value, (KEYS,), where)
    elif kind is ExpressionKind.REFERENCE:
        yield replace(value, text="", steps=(*value.steps, KEYS)[:_MAX_STEPS]), where
    elif kind is not ExpressionKind.TUPLE:
        yield value, where


def _elements(value: Expression, path: Path, where: Position) -> Iterator[Placed]:
    """What `path` leads to in any element of a list that a function makes."""
    for part in value.children:
        for element, at in step_into(part, (None,), where):
            is_list = element.kind is ExpressionKind.TUPLE or element.name in _SHIFTING
            is_list |= element.kind is ExpressionKind.FOR and not element.is_map
            if value.name == "flatten" and is_list:
                yield from _elements(replace(value, children=(element,)), path, at)
                continue
            yield from step_into(element, path, at)
            if value.name == "flatten" and element.kind is not ExpressionKind.OBJECT:
                yield from step_into(element, (None, *path), at)


def is_taken_apart(collection: Expression) -> bool:
    """True for a collection whose elements are followed one by one."""
    kinds = (ExpressionKind.LITERAL, ExpressionKind.OBJECT, ExpressionKind.TUPLE, ExpressionKind.REFERENCE)
    return all(e.kind in kinds or e.name in _ONE_OF for e in collection.walk())
