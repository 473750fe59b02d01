"""Which names carry what: a secret of the state, or a value that a change sets.

Names are followed through variables, locals, loops, modules, resources and data sources. Parts that cannot be
separated count as whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ops_agent.guard.marks import Path, holds_secret, named_like_a_secret
from ops_agent.guard.parts import KEYS, Placed, Position, is_taken_apart, keys_of, looked_up, step_into
from ops_agent.guard.values import Instance
from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind, PathStep

MAX_NAMES = 5_000
_PLAIN = frozenset({"try", "coalesce", "sensitive", "nonsensitive", "tostring", "lookup", "one"})
_SHAPE = frozenset({"length", "keys", "values", "toset", "tomap", "tolist", "one"})
_Behind = tuple[str, Placed | None]


class Taint:
    """Follows the names of one root in one environment."""

    def __init__(self, instances: tuple[Instance, ...]) -> None:
        self._by_scope = {id(i.scope): i for i in instances}
        self._by_path = {i.path: i for i in instances}
        self._clean: set[tuple[int, Path, bool]] = set()

    def secret(self, value: Expression, where: Position, *, variables: bool = True) -> str | None:
        """The name of a secret that `value` holds or depends on, or None. With `variables`, sensitive ones count."""
        seen: set[tuple[int, Path]] = set()
        pending = [(value, where)]
        while pending:
            for reference, at in self._references(*pending.pop(), secrets=True):
                key = (id(at.scope), reference.steps)
                if key in seen or (*key, variables) in self._clean:
                    continue
                seen.add(key)
                if len(seen) > MAX_NAMES or self._is_secret(reference, at, variables):
                    return ".".join(s for s in reference.steps if isinstance(s, str) and s != KEYS)
                pending += [placed for _, placed in self._behind(reference, at, computed=False) if placed is not None]
        self._clean |= {(*key, variables) for key in seen}
        return None

    def behind(self, value: Expression, where: Position) -> frozenset[str]:
        """One text for each thing that `value` depends on: another set means another value. `...` means too many."""
        found: set[str] = set()
        seen: set[tuple[int, Path]] = set()
        pending = [(value, where)]
        while pending:
            for reference, at in self._references(*pending.pop(), secrets=False):
                if (id(at.scope), reference.steps) in seen:
                    continue
                seen.add((id(at.scope), reference.steps))
                if len(seen) > MAX_NAMES:
                    return frozenset({*found, "..."})
                for text, placed in self._behind(reference, at, computed=True):
                    found.add(text)
                    pending += [placed] if placed is not None else []
        return frozenset(found)

    def is_shape(self, value: Expression, where: Position) -> bool:
        """True for all instances of a block with `count` or `for_each`, their number or keys: plans show those."""
        if value.function in _SHAPE and len(value.children) == 1:
            return self.is_shape(value.children[0], where)
        if value.kind is not ExpressionKind.REFERENCE or value.steps[0] in where.iterators:
            return False
        _, blocks, _ = self._blocks(value, where)
        rest = value.steps[3 if value.steps[0] in ("data", "ephemeral") else 2 :]
        is_whole = rest == () or (rest == (None,) and not value.children)
        return is_whole and any(b.members & {"for_each", "count"} for b in blocks)

    def _references(self, value: Expression, where: Position, *, secrets: bool) -> Iterator[Placed]:
        """The references inside `value`, with `each`, `self` and iterators replaced by what they are."""
        pending, seen = [(value, where)], set[tuple[int, int, Path]]()
        while pending:
            inner, at = pending.pop()
            if inner.kind is ExpressionKind.REFERENCE:
                pending += [(c, at) for c in inner.children]
                if inner.steps[-1] == KEYS and self.is_shape(replace(inner, steps=inner.steps[:-1]), at):
                    continue
                loop = at.iterators.get(str(inner.steps[0]))
                key = (id(at.scope), id(at.block if loop is None else loop[0]), inner.steps)
                meant = None if key in seen else self._iterated(inner, at, secrets)
                if meant is not None:
                    seen.add(key)
                    pending += meant
                elif key not in seen and len(inner.steps) > 1 and inner.steps[0] not in ("path", "terraform"):
                    yield inner, at
            elif secrets and (asked := self._reveals_little(inner, at)) is not None:
                pending += asked
            elif inner.name in ("length", "keys") and len(inner.children) == 1:
                pending += step_into(inner.children[0], (KEYS,), at)
            elif inner.kind is ExpressionKind.OTHER and inner.steps:
                pending += [(c, at) for c in inner.children[1:]]
                pending += step_into(inner.children[0], inner.steps, at)
            elif (found := looked_up(inner)) is not None:
                pending += [(c, at) for c in inner.children[2:]]
                pending += step_into(inner.children[0], found, at)
            elif inner.kind is ExpressionKind.FOR:
                pending += [(c, at.inside(inner)) for c in inner.children[1:]]
                over = inner.children[0]
                pending += [] if is_taken_apart(over) or self.is_shape(over, at) else [(over, at)]
            else:
                pending += [(c, at) for c in inner.children]

    def _reveals_little(self, value: Expression, where: Position) -> list[Placed] | None:
        """For a number of instances, and for whether there is a value at all, the indices in it: nothing else of it
        can reveal a secret. None for every other expression.
        """
        if value.name in ("==", "!="):
            nothing = [c.kind is ExpressionKind.LITERAL and c.value in (None, "") for c in value.children]
            others = [c for c, is_nothing in zip(value.children, nothing, strict=True) if not is_nothing]
            is_asked = any(nothing) and all(c.kind is ExpressionKind.REFERENCE or c.function == "one" for c in others)
            return self._indices([(c, where) for c in others]) if is_asked else None
        return [] if value.function in ("length", "keys") and self.is_shape(value, where) else None

    def _indices(self, pending: list[Placed]) -> list[Placed] | None:
        """The indices in names of values; None where something is computed: `local.x == ""` may ask how a secret
        begins.
        """
        found: list[Placed] = []
        seen: set[tuple[int, Path]] = set()
        while pending:
            value, at = pending.pop()
            if value.function in _PLAIN:
                pending += [(c, at) for c in value.children]
            elif value.kind is ExpressionKind.REFERENCE:
                found += [(c, at) for c in value.children]  # `local.m[secret] == ""` asks what the secret is
                key = (id(at.scope), value.steps)
                meant = self._iterated(value, at, True)
                if meant is not None:
                    pending += [] if key in seen else meant
                elif key not in seen and value.steps[0] in ("var", "local", "module"):
                    pending += [placed for _, placed in self._behind(value, at, computed=False) if placed is not None]
                seen.add(key)
            elif value.kind is not ExpressionKind.LITERAL:
                return None
        return found

    def _iterated(self, reference: Expression, where: Position, secrets: bool) -> list[Placed] | None:
        """What a name that a loop gives means; None for every other name."""
        head, rest = reference.steps[0], reference.steps[1:]
        if head in where.iterators:
            over, around, step = where.iterators[str(head)]
            if step is None:
                return list(step_into(over, (step, *rest), around))
            if not secrets:
                return [(over, around)]
            return [] if self.is_shape(over, around) else list(keys_of(over, around))
        block = where.block
        if block is None:
            return None
        if head == "self":
            own: Path = block.labels if block.type == "resource" else (block.type, *block.labels)
            many: Path = (None,) if block.members & {"for_each", "count"} else ()
            return [(replace(reference, steps=(*own, *many, *rest)), replace(where, block=None))]
        of_block = block.attribute({"each": "for_each", "count": "count"}.get(str(head), ""))
        loops = [(of_block.expression, Position(where.scope))] if of_block is not None else []
        loops += [(loop.expression, where) for loop in _dynamic(block, head)]
        if not loops:
            return None
        if rest[:1] == ("value",):
            return [part for loop, at in loops for part in step_into(loop, (None, *rest[1:]), at)]
        return [] if secrets else loops

    def _blocks(self, reference: Expression, where: Position) -> tuple[str, tuple[Block, ...], Path]:
        """The kind of what is referred to, its blocks, and the steps below one instance of it."""
        steps, instance = reference.steps, self._by_scope.get(id(where.scope))
        kind = str(steps[0]) if steps[0] in ("data", "ephemeral", "module") else "resource"
        length = 3 if kind in ("data", "ephemeral") else 2
        blocks = instance.named.get(".".join(map(str, steps[:length])), ()) if instance is not None else ()
        rest = steps[length:]
        is_key = bool(rest) and (not isinstance(rest[0], str) or any("for_each" in b.members for b in blocks))
        return kind, blocks, rest[1:] if is_key else rest

    def _is_secret(self, reference: Expression, where: Position, variables: bool) -> bool:
        instance, steps = self._by_scope.get(id(where.scope)), reference.steps
        if steps[0] == "local" or instance is None:
            return False
        if steps[0] == "var":
            declared = instance.named.get(f"variable.{steps[1]}", ())
            return variables and any(_has_on(b, "sensitive", "ephemeral") for b in declared)
        kind, blocks, rest = self._blocks(reference, where)
        if kind == "module":
            outputs = self._outputs(reference, where)
            if outputs is None:
                return any(isinstance(s, str) and named_like_a_secret(s) for s in rest[:1])
            return variables and any(_has_on(b, "sensitive", "ephemeral") for _, b in outputs)
        type_, plain = str(steps[0] if kind == "resource" else steps[1]), tuple(s for s in rest if s != KEYS)
        return bool(blocks or type_.startswith("aws_")) and holds_secret(kind, type_, plain)

    def _outputs(self, reference: Expression, where: Position) -> list[tuple[Instance, Block]] | None:
        """The outputs of a module call that are asked for; None when its files are not here."""
        caller = self._by_scope.get(id(where.scope))
        path = f"{caller.path}.module.{reference.steps[1]}".lstrip(".") if caller is not None else ""
        called = self._by_path.get(path)
        if called is None:
            return None
        wanted = next((s for s in self._blocks(reference, where)[2] if isinstance(s, str)), None)
        return [(called, b) for _, b in called.blocks("output") if wanted is None or b.label == wanted]

    def _behind(self, reference: Expression, where: Position, *, computed: bool) -> Iterator[_Behind]:
        """What a reference means. `computed`: what AWS makes of arguments depends on all of them."""
        steps = reference.steps
        name = ".".join(map(str, steps[:3]))
        if steps[0] in ("var", "local"):
            bound = where.scope.bound(reference)
            if bound is not None:
                yield from _parts(name, bound.expression, steps[2:], Position(bound.scope, bound.block))
            yield from self._declared(name, where)
            return
        kind, blocks, rest = self._blocks(reference, where)
        outputs = self._outputs(reference, where) if kind == "module" else None
        for called, output in outputs or ():
            value = output.attribute("value")
            if value is not None:
                yield from _parts(name, value.expression, rest[1:], Position(called.scope))
        for block in blocks if outputs is None else ():
            at = Position(where.scope, block)
            is_given_back = rest[:1] == ("output",) and block.label == "terraform_data"
            attribute = block.attribute("input" if is_given_back else str(rest[0])) if rest else None
            inner = [b for b in block.blocks if rest and b.kind == rest[0]]
            if attribute is not None:
                yield from _parts(name, attribute.expression, rest[1:], at)
            elif inner or not rest or computed or kind == "module":
                for part in inner or [block]:
                    yield f"{name}: {part.text}", None
                    yield from ((name, (a.expression, at)) for b in part.walk() for a in b.attributes)

    def _declared(self, name: str, where: Position) -> Iterator[_Behind]:
        """What the declaration of a variable puts in where a caller gives nothing: `optional(string, "...")`."""
        instance = self._by_scope.get(id(where.scope))
        declared = f"{name.replace('var.', 'variable.', 1)}.".split(".")[:2]
        for block in instance.named.get(".".join(declared), ()) if instance is not None else ():
            type_ = block.attribute("type")
            if type_ is not None and "optional" in type_.expression.text:
                yield f"{name}: {type_.expression.text}", None


def _parts(name: str, whole: Expression, path: Path, where: Position) -> Iterator[_Behind]:
    """What is at `path` of an expression, with a text that is another one when the part is."""
    for part, at in step_into(whole, path, where):
        yield f"{name}: {part.spelling}", (part, at)


def _has_on(block: Block, *names: str) -> bool:
    return any(a.name in names and a.expression.value is not False for a in block.attributes)


def _dynamic(block: Block, name: PathStep) -> Iterator[Attribute]:
    """What the `dynamic` blocks in `block` whose iterator is `name` run over: several may have the same name."""
    for inner in block.walk():
        iterator, loop = inner.attribute("iterator"), inner.attribute("for_each")
        named = iterator.expression.steps[:1] if iterator is not None else inner.labels[:1]
        if inner.type == "dynamic" and named == (name,) and loop is not None:
            yield loop
