"""Where an expression stands: the names that mean something else there than outside (`each`, `count`, iterators of
`for` and `dynamic`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ops_agent.guard.narrowing import KEYS, Path
from ops_agent.guard.values import Scope
from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind


@dataclass(frozen=True, slots=True)
class Position:
    """A module's scope, the top-level block around the expression (None outside of one), what the iterators of `for`
    around it run over.
    """

    scope: Scope
    block: Block | None = None
    iterators: Mapping[str, tuple[Expression, Position, Path]] = field(default_factory=dict)

    def walk(self, expression: Expression) -> Iterator[tuple[Expression, Position]]:
        """`expression` and every one inside it, each with its own position."""
        pending = [(expression, self)]
        while pending:
            inner, where = pending.pop()
            yield inner, where
            if inner.kind is ExpressionKind.FOR:
                pending.append((inner.children[0], where))
                pending += [(child, where.inside(inner)) for child in inner.children[1:]]
            else:
                pending += [(child, where) for child in inner.children]

    def loop(self, steps: Path) -> tuple[Expression, Position, Path] | None:
        """What a name that only a loop gives runs over, the position of that, and the path into it; None for every
        other name.
        """
        head, rest = str(steps[0]), steps[1:]
        if head in self.iterators:
            collection, where, path = self.iterators[head]
            return collection, where, path if path == (KEYS,) else (*path, *rest)
        if self.block is None:
            return None
        if head == "count":
            number = self.block.attribute("count")
            return (number.expression, Position(self.scope), ()) if number is not None else None
        over = self.block.attribute("for_each") if head == "each" else _dynamic(self.block, head)
        if over is None:
            return None
        path = (None, *rest[1:]) if rest[:1] == ("value",) else (KEYS,) if rest[:1] == ("key",) else ()
        return over.expression, self if head != "each" else Position(self.scope), path

    def inside(self, loop: Expression) -> Position:
        """Within a `for`."""
        *keys, element = loop.name.split(",")
        over = loop.children[0]
        names = {**dict.fromkeys(keys, (over, self, (KEYS,))), element: (over, self, (None,))}
        return replace(self, iterators={**self.iterators, **names})


def _dynamic(block: Block, name: str) -> Attribute | None:
    """What the `dynamic` block in `block` whose iterator is `name` runs over."""
    for inner in block.walk():
        if inner.type == "dynamic":
            iterator = inner.attribute("iterator")
            if (iterator.expression.steps[:1] if iterator is not None else inner.labels[:1]) == (name,):
                return inner.attribute("for_each")
    return None
