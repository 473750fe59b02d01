"""What flows into an expression: the text of every variable's value, local, data source, resource and module behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ops_agent.core.guard.trees import SourceTree
from ops_agent.core.guard.values import Instance, Scope
from ops_agent.core.sources.module_calls import local_source
from ops_agent.domain.terraform_source import Block, Expression, ExpressionKind

_OWN = frozenset({"each", "count", "path", "self", "terraform"})
_MOST = 5_000


@dataclass
class Influences:
    """Of one root in one environment."""

    instances: tuple[Instance, ...]
    tree: SourceTree
    _by_scope: dict[int, Instance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_scope = {id(i.scope): i for i in self.instances}

    def of(self, values: Iterable[tuple[str, Expression]], instance: Instance) -> frozenset[str]:
        """One text for each thing that `values`, as they stand in `instance`, depend on. What is beyond the limit counts as one more."""
        found: set[str] = set()
        seen: set[tuple[int, str]] = set()
        pending = [(expression, instance.scope) for _, expression in values]
        while pending:
            expression, scope = pending.pop()
            for inner in expression.walk():
                if inner.kind is not ExpressionKind.REFERENCE or inner.steps[0] in _OWN:
                    continue
                name = name_of(inner)
                if (id(scope), name) in seen:
                    continue
                seen.add((id(scope), name))
                if len(seen) > _MOST:
                    return frozenset({*found, "more"})
                for text, value, where in self._behind(name, scope):
                    found.add(text)
                    if value is not None:
                        pending.append((value, where))
        return frozenset(found)

    def _behind(self, name: str, scope: Scope) -> Iterator[tuple[str, Expression | None, Scope]]:
        kind, _, rest = name.partition(".")
        if kind in ("var", "local"):
            bound = (scope.variables if kind == "var" else scope.locals).get(rest)
            if bound is not None:
                yield f"{name} = {bound.expression.text}", bound.expression, bound.scope
            return
        instance = self._by_scope.get(id(scope))
        for block in blocks_called(instance, name) if instance is not None else ():
            yield block.text, None, scope
            for inner in block.walk():
                for attribute in inner.attributes:
                    yield block.text, attribute.expression, scope
            called = local_source(instance.directory, block) if block.type == "module" and instance is not None else None
            if called is not None:
                yield from ((text, None, scope) for text in self._of_module(called))

    def _of_module(self, directory: str) -> Iterator[str]:
        pending, seen = [directory], {directory}
        while pending:
            here = pending.pop()
            for path, source in self.tree.module(here):
                for block in source.blocks:
                    yield f"{path}: {block.text}"
                    called = local_source(here, block) if block.type == "module" else None
                    if called is not None and called not in seen:
                        seen.add(called)
                        pending.append(called)


def name_of(reference: Expression) -> str:
    """`var.x`, `local.x`, `module.x`, `data.type.x`, `type.x`; a step that is computed ends it."""
    length = 3 if reference.steps[0] in ("data", "ephemeral") else 2
    return ".".join(str(step) for step in reference.steps[:length])


def blocks_called(instance: Instance, name: str) -> Iterator[Block]:
    """The resource, data, ephemeral or module blocks of `instance` that references call `name`."""
    for _, source in instance.files:
        for block in source.blocks:
            prefix = "" if block.type == "resource" else f"{block.type}."
            if block.type in ("resource", "data", "ephemeral", "module") and f"{prefix}{'.'.join(block.labels)}" == name:
                yield block
