"""What an expression's value is in one environment, as far as the source shows it: variable files, locals, defaults,
arguments of module calls.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ops_agent.guard.functions import MAX_ITEMS, bounded, call, operate
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import (
    UNKNOWN,
    Attribute,
    Block,
    Environment,
    Expression,
    ExpressionKind,
    TerraformRoot,
    TerraformSource,
    TerraformTarget,
)

MAX_STEPS, MAX_INSTANCES, MAX_LOOP, MAX_VALUES, MAX_ROUNDS = 40, 300, 200, 50, 10_000
INPUT, ELSEWHERE, UNSEEN = "input", "elsewhere", "unseen"
_UNSEEN = re.compile(r"file.*|templatefile|uuid|.*timestamp|bcrypt|rsadecrypt")
NO_ENVIRONMENT = Environment(name="any environment", account=None, backend_file=None)
_META = frozenset({"source", "version", "providers", "count", "for_each", "depends_on"})


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression with the scope that gives it meaning, and the `module` block whose argument it is (`each`)."""

    expression: Expression
    scope: Scope
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of one module instance. `directory` is `path.module`, `iterators` what a `for`, `each` or `count` gives;
    `known` remembers values, so that a name is evaluated once. `rounds` is how often all loops around run together.
    """

    region: str
    directory: str = "."
    variables: dict[str, Bound] = field(default_factory=dict)
    locals: dict[str, Bound] = field(default_factory=dict)
    iterators: dict[str, object] = field(default_factory=dict)
    known: dict[int, object] = field(default_factory=dict)
    rounds: int = 1

    def in_round(self, rounds: int, **names: object) -> Scope:
        """The scope in one of `rounds` of a loop that gives `names`."""
        return replace(self, iterators={**self.iterators, **names}, rounds=self.rounds * rounds)

    def bound(self, reference: Expression) -> Bound | None:
        """What `var.x` or `local.x` is; None for other references and for what has no value here."""
        if reference.kind is not ExpressionKind.REFERENCE or len(reference.steps) < 2:
            return None
        names = {"var": self.variables, "local": self.locals}.get(str(reference.steps[0]), {})
        return names.get(str(reference.steps[1]))


@dataclass(frozen=True, slots=True)
class Instance:
    """One module as a root calls it. `path` are the names of the calls (`module.a.module.b`, empty for the root),
    `root` the root's directory, `named` its blocks by the names of SourceTree.named.
    """

    directory: str
    path: str
    root: str
    files: tuple[tuple[str, TerraformSource], ...]
    scope: Scope
    named: Mapping[str, tuple[Block, ...]]

    def blocks(self, *types: str) -> Iterator[tuple[str, Block]]:
        """Top-level blocks with their file."""
        return ((path, block) for path, source in self.files for block in source.of_type(*types))


def instances_of(target: TerraformTarget, tree: SourceTree) -> tuple[Instance, ...]:
    """The root and every call of a module below it whose files are here, with the environment's values; bounded."""
    key = ("instances", target.root.path, target.environment.name, target.environment.var_files)
    return tree.remembered(key, lambda: _instances(target, tree))


def _instances(target: TerraformTarget, tree: SourceTree) -> tuple[Instance, ...]:
    scope = Scope(tree.policy.region)
    given: dict[str, Bound] = {}
    for path in (*tree.loaded_silently(target.root.path), *target.environment.var_files):
        source = tree.terraform(path) if path in tree.paths else None
        if isinstance(source, TerraformSource):
            given.update({a.name: Bound(a.expression, scope) for a in source.attributes})
    found: list[Instance] = []
    _collect(target.root.path, "", scope, given, tree, found)
    return tuple(found)


def instances_in(directory: str, tree: SourceTree) -> tuple[Instance, ...]:
    """Every instance of one module, in each environment of the roots that reach it; without values when none does."""

    def instances() -> tuple[Instance, ...]:
        alone = TerraformTarget(root=TerraformRoot(path=directory, environments=()), environment=NO_ENVIRONMENT)
        every = [t for root in tree.roots_of(directory) for t in all_targets(root)] or [alone]
        return tuple(i for t in every for i in instances_of(t, tree) if i.directory == directory)

    return tree.remembered(("instances in", directory), instances)


def all_targets(root: TerraformRoot) -> tuple[TerraformTarget, ...]:
    """A root in each of its environments; in one without files and name when it has none."""
    environments = root.environments or (NO_ENVIRONMENT,)
    return tuple(TerraformTarget(root=root, environment=e) for e in environments)


def affected_targets(tree: SourceTree, changed: Sequence[str]) -> Iterator[TerraformTarget]:
    """The roots that a change of these paths can affect, in their environments, and with each changed variable file
    that belongs to none: a pipeline may name it.
    """
    for root in tree.affected_roots(changed):
        yield from all_targets(root)
    for path in (p for p in changed if p.endswith(".tfvars") and p in tree.paths):
        for root in tree.affected_roots((path,)):
            if not any(path in e.var_files for e in root.environments):
                alone = Environment(name=path, account=None, backend_file=None, var_files=(path,))
                yield TerraformTarget(root=root, environment=alone)


def _collect(
    directory: str, path: str, scope: Scope, given: dict[str, Bound], tree: SourceTree, found: list[Instance]
) -> None:
    if path.count(".") > 2 * MAX_STEPS or len(found) >= MAX_INSTANCES:
        return
    instance = Instance(
        directory,
        path,
        found[0].directory if found else directory,
        tuple(tree.module(directory)),
        scope,
        tree.named(directory),
    )
    for _, block in instance.blocks("variable", "locals"):
        default = block.attribute("default") if block.type == "variable" else None
        if block.type == "locals":
            scope.locals.update({a.name: Bound(a.expression, scope) for a in block.attributes})
        elif default is not None:
            scope.variables[block.label] = Bound(default.expression, scope)
    scope.variables.update(given)
    found.append(instance)
    for _, block in instance.blocks("module"):
        called = tree.called(directory, block)
        if called is not None and called != directory:
            arguments = {a.name: Bound(a.expression, scope, block) for a in block.attributes if a.name not in _META}
            below = Scope(scope.region, posixpath.relpath(called, instance.root))
            _collect(called, f"{path}.module.{'.'.join(block.labels)}".lstrip("."), below, arguments, tree, found)


def scopes_of(block: Block, scope: Scope) -> Iterator[Scope]:
    """The scope in each instance of a block: what `each` and `count` are, as far as the source shows it."""
    count = block.attribute("count")
    number = evaluate(count.expression, scope) if count is not None else None
    if isinstance(number, int) and 0 < number <= MAX_LOOP:
        each: list[tuple[object, object]] = [(UNKNOWN, UNKNOWN)]
    else:
        number, each = 1, _pairs(block, scope)
    for index in range(number):
        for key, value in each:
            names = {"each": {"key": key, "value": value}, "count": {"index": index}}
            yield scope.in_round(number * len(each), **names)


def _pairs(block: Block, scope: Scope) -> list[tuple[object, object]]:
    """Keys and values of `for_each`, unknown ones when the source does not show them or they are too many."""
    over = block.attribute("for_each")
    collection = evaluate(over.expression, scope) if over is not None else None
    pairs: list[tuple[object, object]] = []
    if isinstance(collection, dict):
        pairs = list(collection.items())
    elif isinstance(collection, list):
        pairs = [(one, one) for one in collection]
    return pairs if 0 < len(pairs) <= MAX_LOOP else [(UNKNOWN, UNKNOWN)]


def arguments_in(block: Block, scope: Scope) -> Iterator[tuple[Attribute, Scope]]:
    """Every argument at any depth, in each instance of the block and each round of a `dynamic` block around it; of very
    many rounds only the first ones.
    """
    left = iter(range(MAX_ROUNDS))

    def walk(part: Block, rounds: Iterable[Scope], is_first: bool) -> Iterator[tuple[Attribute, Scope]]:
        for inside in rounds:
            if not is_first and next(left, None) is None:
                return
            yield from ((attribute, inside) for attribute in part.attributes)
            for inner in part.blocks:
                yield from walk(inner, rounds_of(inner, inside), is_first)
            is_first = False

    return walk(block, scopes_of(block, scope), True)


def rounds_of(block: Block, scope: Scope) -> list[Scope]:
    """The scope in each round of a `dynamic` block; that around it for another one."""
    if block.type != "dynamic":
        return [scope]
    iterator = block.attribute("iterator")
    name = ".".join(map(str, iterator.expression.steps)) if iterator is not None else block.label
    pairs = _pairs(block, scope)
    return [scope.in_round(len(pairs), **{name: {"key": key, "value": value}}) for key, value in pairs]


def possible_values(expression: Expression, scope: Scope, steps: int = MAX_STEPS) -> tuple[object, ...]:
    """What `expression` can be: one value, both results of a conditional, or UNKNOWN."""
    if expression.kind is ExpressionKind.CONDITIONAL and len(expression.children) == 3 and steps > 0:
        chosen = evaluate(expression.children[0], scope, steps - 1)
        results = (
            expression.children[1:] if not isinstance(chosen, bool) else (expression.children[1 if chosen else 2],)
        )
        found = tuple(v for r in results for v in possible_values(r, scope, steps - 1))
        return found if len(found) <= MAX_VALUES else (UNKNOWN,)
    bound = scope.bound(expression)
    if bound is not None and len(expression.steps) == 2 and steps > 0:
        return possible_values(bound.expression, bound.scope, steps - 1)
    return (evaluate(expression, scope, steps),)


def evaluate(expression: Expression, scope: Scope, steps: int = MAX_STEPS) -> object:
    """The value (str, int, float, bool, None, list, dict), or UNKNOWN. Bounded: a cycle of locals is UNKNOWN."""
    if steps <= 0:
        return UNKNOWN
    parts = expression.children
    match expression.kind:
        case ExpressionKind.LITERAL:
            return expression.value
        case ExpressionKind.TEMPLATE:
            return call("join", ["", *(evaluate(c, scope, steps - 1) for c in parts)])
        case ExpressionKind.TUPLE:
            return [evaluate(c, scope, steps - 1) for c in parts]
        case ExpressionKind.OBJECT:
            keys, values = ([evaluate(c, scope, steps - 1) for c in parts[n::2]] for n in (0, 1))
            return {str(k): v for k, v in zip(keys, values, strict=True)} if UNKNOWN not in keys else UNKNOWN
        case ExpressionKind.CONDITIONAL:
            results = possible_values(expression, scope, steps)
            return results[0] if all(v == results[0] for v in results) else UNKNOWN
        case ExpressionKind.REFERENCE:
            return _reference(expression, scope, steps)
        case ExpressionKind.CALL:
            return call(expression.name, [evaluate(c, scope, steps - 1) for c in parts])
        case ExpressionKind.FOR:
            return _loop(expression, scope, steps)
        case ExpressionKind.OTHER if expression.steps:
            return _stepped(evaluate(parts[0], scope, steps - 1), expression.steps, parts[1:], scope, steps)
        case ExpressionKind.OTHER if expression.name:
            return operate(expression.name, [evaluate(c, scope, steps - 1) for c in parts])
        case _:
            return UNKNOWN


def _reference(expression: Expression, scope: Scope, steps: int) -> object:
    path = expression.steps
    if path[:2] == ("data", "aws_region") and path[-1] in ("name", "id", "region"):
        return scope.region or UNKNOWN
    if path[0] in scope.iterators:
        return _stepped(scope.iterators[str(path[0])], path[1:], expression.children, scope, steps)
    if path in (("path", "module"), ("path", "root")):
        return scope.directory if path[1] == "module" else "."
    bound = scope.bound(expression)
    if bound is None:
        return UNKNOWN
    key, known = id(bound.expression), bound.scope.known
    if key not in known:
        known[key] = UNKNOWN  # while it is being found: a name that leads back to itself has no value
        known[key] = evaluate(bound.expression, bound.scope, steps - 1)
    return _stepped(known[key], path[2:], expression.children, scope, steps)


def _stepped(value: object, path: Sequence[Any], indices: Sequence[Expression], scope: Scope, steps: int) -> object:
    computed = iter(indices)
    for step in path:
        index = next(computed, None) if step is None else None
        key = step if step is not None else UNKNOWN if index is None else evaluate(index, scope, steps - 1)
        if isinstance(value, dict) and key is not UNKNOWN:
            value = value.get(str(key), UNKNOWN)
        else:
            is_item = isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value)
            value = value[key] if is_item else UNKNOWN  # type: ignore[index]
    return value


def _loop(expression: Expression, scope: Scope, steps: int) -> object:
    found, rounds = [], for_rounds(expression, scope, steps)
    if rounds is None:
        return UNKNOWN
    for inner in rounds:
        results = [evaluate(c, inner, steps - 1) for c in expression.children[1:]]
        is_kept = results.pop() if expression.condition else True
        if not isinstance(is_kept, bool):
            return UNKNOWN
        found += [results] if is_kept else []
    if expression.is_map:
        return {str(k): v for k, v in found} if all(k is not UNKNOWN for k, _ in found) else UNKNOWN
    return bounded([v for (v,) in found])


def for_rounds(loop: Expression, scope: Scope, steps: int = MAX_STEPS) -> list[Scope] | None:
    """The scope in each round of a `for`; None when its collection is not known, or it runs too often."""
    over = evaluate(loop.children[0], scope, steps - 1)
    if not isinstance(over, dict | list) or len(over) > MAX_LOOP or len(over) * scope.rounds > MAX_ROUNDS:
        return None
    items = sorted(over.items()) if isinstance(over, dict) else list(enumerate(over))
    *keys, element = loop.name.split(",")
    return [scope.in_round(len(items), **dict.fromkeys(keys, k), **{element: v}) for k, v in items]


def with_scopes(expression: Expression, scope: Scope) -> Iterator[tuple[Expression, Scope]]:
    """`expression` and every one inside it, in each round of the loops around it, as far as they are known and few."""
    pending, left = [(expression, scope)], MAX_ITEMS
    while pending:
        inner, at = pending.pop()
        yield inner, at
        rounds = [at]
        if inner.kind is ExpressionKind.FOR:
            known = for_rounds(inner, at)
            names = dict.fromkeys(inner.name.split(","), UNKNOWN)
            rounds = (
                known
                if known is not None and len(known) <= left
                else [replace(at, iterators={**at.iterators, **names})]
            )
            left -= len(rounds)
        pending += [(c, s) for n, c in enumerate(inner.children) for s in (rounds if n else [at])]


def sources_of(expression: Expression, scope: Scope) -> frozenset[str]:
    """What a value needs beside constants: INPUT for variables that nothing in the repository gives one, ELSEWHERE for
    what resources, data sources and the like provide, UNSEEN for content of files, moments and chance.
    """
    pending, seen, found = [(expression, scope)], set[int](), set[str]()
    while pending:
        inner, where = pending.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        loop = inner.name.split(",") if inner.kind is ExpressionKind.FOR else ()
        inside = replace(where, iterators={**where.iterators, **dict.fromkeys(loop, UNKNOWN)}) if loop else where
        pending += [(c, inside) for c in inner.children]
        if _UNSEEN.fullmatch(inner.function):
            found.add(UNSEEN)
        if inner.kind is ExpressionKind.REFERENCE and inner.steps[0] not in ("path", *where.iterators):
            bound = where.bound(inner)
            if bound is not None:
                pending.append((bound.expression, bound.scope))
            else:
                found.add(INPUT if inner.steps[0] == "var" else ELSEWHERE)
    return frozenset(found)


def texts(value: object) -> Iterator[str]:
    """Every string inside a value. A list or map that is in it many times is visited once: names of names grow fast."""
    pending, seen = [value], set[int]()
    while pending:
        inner = pending.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, list | dict) and id(inner) not in seen:
            seen.add(id(inner))
            items = inner if isinstance(inner, list) else [p for pair in inner.items() for p in pair]
            pending += reversed(items)
