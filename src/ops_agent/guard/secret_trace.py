"""From an expression to the secrets of the state behind it: through variables, locals, modules, resources, `for`,
`each` and `self`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ops_agent.guard.influences import blocks_called, name_of
from ops_agent.guard.secret_places import holds_secret, named_like_a_secret
from ops_agent.guard.values import Instance, Scope
from ops_agent.model.terraform import Block, Expression, ExpressionKind, Step
from ops_agent.terraform.modules import local_source

_MOST = 5_000
_VALUES = frozenset({"values", "one"})
_SHAPE = frozenset({"length", "keys", "values", "toset", "tomap", "tolist", "one"})
_NO_SOURCE = frozenset({"path", "count", "terraform"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What names mean where an expression stands: a module's scope, the block (`self`, `each`), the iterators of `for`
    around it.
    """

    scope: Scope
    block: Block | None = None
    iterators: Mapping[str, _Found | None] = field(default_factory=dict)

    def inside(self, loop: Expression) -> Surroundings:
        """Within a `for`: its last iterator is an element of the collection; the first of two is a key, which tells
        nothing.
        """
        *keys, element = loop.name.split(",")
        return replace(self, iterators={**self.iterators, **dict.fromkeys(keys), element: (loop.children[0], self)})


_Found = tuple[Expression, Surroundings]


class SecretTrace:
    """Of one root in one environment."""

    def __init__(self, instances: tuple[Instance, ...]) -> None:
        self._instances = instances
        self._clean: set[tuple[int, str, bool]] = set()
        self._by_scope = {id(i.scope): i for i in instances}
        self._sensitive = {
            (id(i.scope), block.labels[0])
            for i in instances
            for _, source in i.files
            for block in source.of_type("variable")
            if block.labels and _says(block, "sensitive", "ephemeral")
        }

    def secret(self, expression: Expression, around: Surroundings, *, of_state: bool = False) -> str | None:
        """The name of a secret that `expression` holds or depends on, None when there is none; with `of_state`
        variables do not count.
        """
        seen: set[tuple[int, str]] = set()
        pending = [(expression, around)]
        while pending:
            for reference, scope in self._references(*pending.pop()):
                name = ".".join("*" if step is None else str(step) for step in reference.steps)
                if (id(scope), name) in seen or (id(scope), name, of_state) in self._clean:
                    continue
                seen.add((id(scope), name))
                is_variable = reference.steps[0] == "var"
                if len(seen) > _MOST or (self._is_secret(reference, scope) and not (of_state and is_variable)):
                    return name
                pending += self._sources(reference, scope)
        self._clean |= {(*key, of_state) for key in seen}
        return None

    def tells_shape_only(self, expression: Expression, around: Surroundings) -> bool:
        """True for something with `for_each` or `count` that is named whole, and for its number or keys: they are open
        in every plan.
        """
        if expression.kind is ExpressionKind.CALL and expression.name in _SHAPE and len(expression.children) == 1:
            return self.tells_shape_only(expression.children[0], around)
        if expression.kind is not ExpressionKind.REFERENCE or expression.steps[0] in around.iterators:
            return False
        steps = expression.steps[:-1] if expression.steps[-1] is None and not expression.children else expression.steps
        instance, name = self._by_scope.get(id(around.scope)), name_of(expression)
        if instance is None or name != ".".join(str(s) for s in steps):
            return False
        return any(b.members & {"for_each", "count"} for b in blocks_called(instance, name))

    def _references(self, value: Expression, around: Surroundings) -> Iterator[tuple[Expression, Scope]]:
        """Every reference inside `value`, with iterators, `each` and `self` replaced by what they stand for."""
        pending = [(value, around)]
        seen: set[tuple[int, tuple[Step, ...]]] = set()  # loops in loops lead to one collection by many ways
        while pending:
            expression, where = pending.pop()
            match expression.kind:
                case ExpressionKind.REFERENCE:
                    pending += [(c, where) for c in expression.children]
                    over = where.iterators.get(str(expression.steps[0]))
                    if over is not None:
                        if (id(over[0]), expression.steps) in seen:
                            continue
                        seen.add((id(over[0]), expression.steps))
                    meant = _meant(expression, where)
                    if meant is None:
                        continue
                    if meant[0] is expression:
                        yield expression, where.scope
                    else:
                        pending.append(meant)
                case ExpressionKind.FOR:
                    pending += [(c, where.inside(expression)) for c in expression.children[1:]]
                    if not self.tells_shape_only(expression.children[0], where):
                        pending.append((expression.children[0], where))
                case _:
                    taken = taken_from(expression)
                    pending += [(c, where) for c in (expression.children if taken is None else (taken,))]

    def _is_secret(self, reference: Expression, scope: Scope) -> bool:
        kind, *rest = reference.steps
        instance = self._by_scope.get(id(scope))
        if kind == "var":
            return (id(scope), str(rest[0]) if rest else "") in self._sensitive
        if kind in ("local", *_NO_SOURCE) or instance is None:
            return False
        blocks = list(blocks_called(instance, name_of(reference)))
        if kind == "module":
            return self._is_secret_output(instance, blocks, rest[1:])
        kind, type_, *rest = reference.steps if kind in ("data", "ephemeral") else ("resource", *reference.steps)
        if not blocks and not str(type_).startswith("aws_"):
            return False
        steps = rest[1:]
        if steps and (
            any("for_each" in b.members for b in blocks)
            or (not isinstance(steps[0], str) and any("count" in b.members for b in blocks))
        ):
            steps = steps[1:]  # the key or number of one instance
        return holds_secret(str(kind), str(type_), steps)

    def _is_secret_output(self, instance: Instance, calls: list[Block], steps: list[Step]) -> bool:
        wanted = {s for s in steps if isinstance(s, str)}
        for call in calls:
            called = local_source(instance.directory, call)
            if called is None:
                return any(named_like_a_secret(s) for s in wanted)
            outputs = [
                b for i in self._instances if i.directory == called for _, s in i.files for b in s.of_type("output")
            ]
            if any(_says(b, "sensitive", "ephemeral") for b in outputs if not wanted or b.labels[0] in wanted):
                return True
        return False

    def _sources(self, reference: Expression, scope: Scope) -> list[_Found]:
        """Where the value comes from: a bound variable or local, an output of a module, the argument of the same name."""
        name = name_of(reference)
        kind, _, rest = name.partition(".")
        if kind in ("var", "local"):
            bound = (scope.variables if kind == "var" else scope.locals).get(rest)
            if bound is None:
                return []
            value, further = bound.expression, reference.steps[2:]
            if further and value.kind is ExpressionKind.REFERENCE:
                value = replace(value, steps=(*value.steps, *further))
            return [(value, Surroundings(bound.scope, bound.block))]
        instance = self._by_scope.get(id(scope))
        found: list[_Found] = []
        for block in blocks_called(instance, name) if instance is not None else ():
            wanted = {step for step in reference.steps[2:] if isinstance(step, str)}
            wanted |= {"input"} if "output" in wanted else set()  # `terraform_data` gives back what it was given
            called = (
                local_source(instance.directory, block) if block.type == "module" and instance is not None else None
            )
            if called is not None:
                for other in (i for i in self._instances if i.directory == called):
                    outputs = [
                        b for _, s in other.files for b in s.of_type("output") if not wanted or b.labels[0] in wanted
                    ]
                    found += [
                        (a.expression, Surroundings(other.scope))
                        for b in outputs
                        for a in b.attributes
                        if a.name == "value"
                    ]
            else:
                around = Surroundings(scope, block)
                found += [
                    (a.expression, around) for b in block.walk() for a in b.attributes if not wanted or a.name in wanted
                ]
        return found


def _meant(reference: Expression, where: Surroundings) -> _Found | None:
    """The reference itself, or what an iterator, `each` or `self` stands for; None for what leads nowhere."""
    head, *rest = reference.steps
    if head in where.iterators:
        bound = where.iterators[str(head)]
        return None if bound is None else (_element(bound[0], tuple(rest)), bound[1])
    block = where.block
    if head == "each":
        over = block.attribute("for_each") if block is not None else None
        if over is None or rest[:1] != ["value"]:
            return None
        return _element(over.expression, tuple(rest[1:])), replace(where, block=None)
    if head == "self":
        if block is None or block.type not in ("resource", "data"):
            return None
        own: tuple[Step, ...] = block.labels if block.type == "resource" else ("data", *block.labels)
        own = (*own, None) if block.members & {"for_each", "count"} else own
        return replace(reference, steps=(*own, *rest)), where
    return None if head in _NO_SOURCE else (reference, where)


def _element(collection: Expression, rest: tuple[Step, ...]) -> Expression:
    if collection.kind is ExpressionKind.REFERENCE:
        return replace(collection, steps=(*collection.steps, None, *rest))
    return Expression(kind=ExpressionKind.OTHER, line=collection.line, steps=(None, *rest), children=(collection,))


def taken_from(expression: Expression) -> Expression | None:
    """`values(x)[0].arn` as a reference into `x`; None for everything else."""
    first = (
        expression.children[0]
        if expression.kind is ExpressionKind.OTHER and expression.steps and expression.children
        else None
    )
    if first is None or first.kind is not ExpressionKind.CALL or first.name not in _VALUES or len(first.children) != 1:
        return None
    (inner,) = first.children
    if inner.kind is not ExpressionKind.REFERENCE:
        return None
    return replace(inner, steps=(*inner.steps, *expression.steps), children=(*inner.children, *expression.children[1:]))


def _says(block: Block, *names: str) -> bool:
    return any(a.name in names and a.expression.value is not False for a in block.attributes)
