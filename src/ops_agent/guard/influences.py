"""What flows into an expression: through variables, locals, loops, modules, resources and data sources, as far as the
source tells.

A value is followed by the path that is asked for: who reads `var.jobs["a"].command` does not depend on `var.jobs["b"]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ops_agent.guard.narrowing import Path, narrowed, written
from ops_agent.guard.positions import Position
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Bound, Instance, Scope
from ops_agent.model.terraform import Block, Expression, ExpressionKind

_OWN = frozenset({"path", "terraform"})
_MOST, _MOST_PARTS, _LONGEST = 5_000, 150_000, 20
# What AWS makes up whatever the arguments say; the addresses that EKS modules and everyone's EKS code look at.
_MADE_BY_AWS = {
    "aws_eks_cluster": frozenset({"identity", "endpoint", "certificate_authority", "cluster_id", "created_at"})
}

_Placed = tuple[Expression, Position]


@dataclass
class Influences:
    """Of one root in one environment."""

    instances: tuple[Instance, ...]
    tree: SourceTree
    _by_scope: dict[int, Instance] = field(default_factory=dict)
    _by_directory: dict[str, list[Instance]] = field(default_factory=dict)
    _left: int = _MOST_PARTS

    def __post_init__(self) -> None:
        self._by_scope = {id(i.scope): i for i in self.instances}
        for instance in self.instances:
            self._by_directory.setdefault(instance.directory, []).append(instance)

    @property
    def is_spent(self) -> bool:
        """True when so much was followed in all that the next answers are cut short."""
        return self._left < 0

    def of(self, values: Iterable[_Placed], *, computed: bool = True) -> frozenset[str]:
        """One text for each thing that `values` depend on. What is beyond the limit counts as one more.

        Without `computed` what AWS tells of a resource or data source depends on nothing.
        """
        found: set[str] = set()
        seen: set[tuple[int, int, int, Path]] = set()
        pending = list(values)
        while pending:
            value, position = pending.pop()
            for inner, where in position.walk(value):
                self._left -= 1
                if self.is_spent:
                    return frozenset({*found, "more"})
                if inner.kind is not ExpressionKind.REFERENCE or inner.steps[0] in _OWN:
                    continue
                over = where.iterators.get(str(inner.steps[0]))
                key = (id(where.scope), id(where.block), id(over[0]) if over is not None else 0, inner.steps)
                if key in seen:
                    continue
                seen.add(key)
                if len(seen) > _MOST:
                    return frozenset({*found, "more"})
                for text, deeper in self._behind(inner, where, computed):
                    found.add(text)
                    pending += deeper
        return frozenset(found)

    def _behind(self, reference: Expression, where: Position, computed: bool) -> Iterator[tuple[str, list[_Placed]]]:
        loop = where.loop(reference.steps)
        if loop is not None:
            collection, around, path = loop
            yield from _followed(str(reference.steps[0]), collection, around, path)
            return
        name = name_of(reference)
        kind, _, rest = name.partition(".")
        path = reference.steps[3 if kind in ("data", "ephemeral") else 2 :]
        if kind in ("var", "local"):
            bound = (where.scope.variables if kind == "var" else where.scope.locals).get(rest)
            if bound is not None:
                yield from _bound(name, bound, path)
            if kind == "var":
                yield from self._declared(rest, where.scope)
            return
        instance = self._by_scope.get(id(where.scope))
        blocks = list(blocks_called(instance, name)) if instance is not None else []
        if kind == "self" and where.block is not None:
            yield from _of_block("self", where.block, reference.steps[1:], Position(where.scope, where.block), computed)
        for block in blocks:
            position = Position(where.scope, block)
            if block.type == "module" and instance is not None:
                yield from self._of_module(instance, block, path, position)
            else:
                many = "for_each" in block.members or (
                    "count" in block.members and not isinstance(path[0] if path else None, str)
                )
                yield from _of_block(name, block, path[1:] if many else path, position, computed)

    def _declared(self, name: str, scope: Scope) -> Iterator[tuple[str, list[_Placed]]]:
        """What a variable's declaration puts in where a caller gives nothing: `optional(string, "...")`, the default in
        place of null.
        """
        instance = self._by_scope.get(id(scope))
        for block in blocks_called(instance, f"variable.{name}") if instance is not None else ():
            type_, default = block.attribute("type"), block.attribute("default")
            if type_ is not None and any(e.name == "optional" and len(e.children) > 1 for e in type_.expression.walk()):
                yield f"type of {name}: {type_.expression.text}", []
            if default is not None and block.attribute("nullable") is not None:
                yield f"default of {name}: {default.expression.text}", [(default.expression, Position(scope))]

    def _of_module(
        self, caller: Instance, block: Block, path: Path, position: Position
    ) -> Iterator[tuple[str, list[_Placed]]]:
        """The outputs that are asked for; everything that is handed to a module whose files are not here."""
        called = self.tree.called(caller.directory, block)
        instances = self._by_directory.get(called, []) if called is not None else []
        if not instances:
            yield block.text, _all_of(block, position)
            return
        wanted = {step for step in path if isinstance(step, str)}
        for instance in instances:
            for output in (b for _, source in instance.files for b in source.of_type("output")):
                value = output.attribute("value")
                if value is not None and (not wanted or output.labels[:1] == () or output.labels[0] in wanted):
                    yield f"{output.name}: {value.expression.text}", [(value.expression, Position(instance.scope))]


def _bound(name: str, bound: Bound, path: Path) -> Iterator[tuple[str, list[_Placed]]]:
    yield from _followed(name, bound.expression, Position(bound.scope, bound.block), path)


def _followed(name: str, value: Expression, position: Position, path: Path) -> Iterator[tuple[str, list[_Placed]]]:
    for leaf, where in narrowed(value, path[:_LONGEST], position):
        text = value.text if leaf is value and value.text else written(leaf)
        shown = ".".join("*" if step is None else str(step) for step in path)
        yield f"{name} {shown}: {value.text if text is None else text}", [(leaf, where)]


def _of_block(
    name: str, block: Block, path: Path, position: Position, computed: bool
) -> Iterator[tuple[str, list[_Placed]]]:
    """The argument that is asked for; everything in the block when the provider computes what is asked for."""
    wanted = path[0] if path and isinstance(path[0], str) else None
    if wanted in _MADE_BY_AWS.get(block.labels[0] if block.type == "resource" else "", ()):
        return
    attribute = block.attribute(wanted) if wanted is not None else None
    if attribute is not None:
        yield from _followed(f"{name}.{wanted}", attribute.expression, position, path[1:])
        return
    inner = [b for b in block.blocks if b.kind == wanted]
    if not inner and wanted is not None and not computed and block.labels[:1] and block.labels[0].startswith("aws_"):
        return
    for part in inner or [block]:
        yield f"{name}: {part.text}", _all_of(part, position)


def _all_of(block: Block, position: Position) -> list[_Placed]:
    return [(a.expression, position) for b in block.walk() for a in b.attributes]


def name_of(reference: Expression) -> str:
    """`var.x`, `local.x`, `module.x`, `data.type.x`, `type.x`; a step that is computed ends it."""
    length = 3 if reference.steps[0] in ("data", "ephemeral") else 2
    return ".".join(str(step) for step in reference.steps[:length])


def blocks_called(instance: Instance, name: str) -> tuple[Block, ...]:
    """The blocks of `instance` that references call `name` (see SourceTree.named)."""
    return instance.named.get(name, ())
