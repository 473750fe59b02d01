"""What an expression's value is in one environment, as far as the source tells: variable files, locals, defaults."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ops_agent.guard.functions import bounded, call
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import UNKNOWN, Block, Expression, ExpressionKind, Step, TerraformSource, TerraformTarget

MAX_STEPS = 40
MAX_INSTANCES = 300
MAX_LOOP = 200
MAX_VALUES = 50
_META = frozenset({"source", "version", "providers", "count", "for_each", "depends_on"})


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression with the scope that gives it meaning, and the `module` block where it is an argument of a call
    (`each`).
    """

    expression: Expression
    scope: Scope
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of one module instance.

    `region` is what `data "aws_region"` answers in it, `directory` what `path.module` is, `iterators` what a `for` (or
    `each`) binds, and `known` what its names were found to be: a name is evaluated once.
    """

    region: str
    directory: str = "."
    variables: dict[str, Bound] = field(default_factory=dict)
    locals: dict[str, Bound] = field(default_factory=dict)
    iterators: dict[str, object] = field(default_factory=dict)
    known: dict[int, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """One module as a root calls it: its directory, its readable files, its scope, its blocks by the names of
    SourceTree.named.
    """

    directory: str
    files: tuple[tuple[str, TerraformSource], ...]
    scope: Scope
    named: Mapping[str, tuple[Block, ...]]


def instances_of(target: TerraformTarget, tree: SourceTree) -> tuple[Instance, ...]:
    """The root and every call of a local module below it (bounded), each with the values that it gets in this
    environment. A tree remembers them.
    """
    key = (target.root.path, target.environment.name, target.environment.var_files)
    if key not in tree.instances:
        tree.instances[key] = _instances_of(target, tree)
    return tree.instances[key]


def _instances_of(target: TerraformTarget, tree: SourceTree) -> tuple[Instance, ...]:
    scope = Scope(tree.policy.region)
    root = target.root.path
    silent = tree.loaded_silently(root)
    given: dict[str, Bound] = {}
    for path in (*silent, *target.environment.var_files):
        source = tree.terraform(path) if path in tree.paths else None
        if isinstance(source, TerraformSource):
            given.update({a.name: Bound(a.expression, scope) for a in source.attributes})
    found: list[Instance] = []
    _collect(root, scope, given, tree, found, depth=0)
    return tuple(found)


def _collect(
    directory: str, scope: Scope, given: dict[str, Bound], tree: SourceTree, found: list[Instance], depth: int
) -> None:
    if depth > MAX_STEPS or len(found) >= MAX_INSTANCES:
        return
    files = tuple(tree.module(directory))
    for _, source in files:
        for block in source.blocks:
            if block.type == "variable" and block.labels:
                default = block.attribute("default")
                if default:
                    scope.variables[block.labels[0]] = Bound(default.expression, scope)
            elif block.type == "locals":
                scope.locals.update({a.name: Bound(a.expression, scope) for a in block.attributes})
    scope.variables.update(given)
    found.append(Instance(directory, files, scope, tree.named(directory)))
    for _, source in files:
        for block in source.of_type("module"):
            called = tree.called(directory, block)
            if called is not None and called != directory:
                arguments = {a.name: Bound(a.expression, scope, block) for a in block.attributes if a.name not in _META}
                below = posixpath.relpath(called, found[0].directory)
                _collect(called, Scope(scope.region, below), arguments, tree, found, depth + 1)


def possible_values(expression: Expression, scope: Scope, steps: int = MAX_STEPS) -> tuple[object, ...]:
    """What `expression` can be: one value, both results of a conditional, or UNKNOWN."""
    if expression.kind is ExpressionKind.CONDITIONAL and len(expression.children) == 3 and steps > 0:
        chosen = evaluate(expression.children[0], scope, steps - 1)
        results = (
            expression.children[1:] if not isinstance(chosen, bool) else (expression.children[1 if chosen else 2],)
        )
        found = tuple(v for r in results for v in possible_values(r, scope, steps - 1))
        return found if len(found) <= MAX_VALUES else (UNKNOWN,)
    bound = _bound(expression, scope)
    if bound is not None and len(expression.steps) == 2 and steps > 0:
        return possible_values(bound.expression, bound.scope, steps - 1)
    return (evaluate(expression, scope, steps),)


def evaluate(expression: Expression, scope: Scope, steps: int = MAX_STEPS) -> object:
    """The value (str, int, float, bool, None, list, dict), or UNKNOWN. Bounded: a cycle of locals is UNKNOWN."""
    if steps <= 0:
        return UNKNOWN
    match expression.kind:
        case ExpressionKind.LITERAL:
            return expression.value
        case ExpressionKind.TEMPLATE:
            return call("join", ["", *(evaluate(c, scope, steps - 1) for c in expression.children)])
        case ExpressionKind.TUPLE:
            return [evaluate(c, scope, steps - 1) for c in expression.children]
        case ExpressionKind.OBJECT:
            keys = [evaluate(c, scope, steps - 1) for c in expression.children[::2]]
            values = [evaluate(c, scope, steps - 1) for c in expression.children[1::2]]
            return {str(k): v for k, v in zip(keys, values, strict=True)} if UNKNOWN not in keys else UNKNOWN
        case ExpressionKind.CONDITIONAL:
            values = list(possible_values(expression, scope, steps))
            return values[0] if all(v == values[0] for v in values) else UNKNOWN
        case ExpressionKind.REFERENCE:
            return _look_up(expression, scope, steps)
        case ExpressionKind.CALL:
            return call(expression.name, [evaluate(c, scope, steps - 1) for c in expression.children])
        case ExpressionKind.FOR:
            return _loop(expression, scope, steps)
        case ExpressionKind.OTHER if expression.steps:
            first, *computed = expression.children
            return _stepped(evaluate(first, scope, steps - 1), expression.steps, computed, scope, steps)
        case _:
            return UNKNOWN


def _bound(expression: Expression, scope: Scope) -> Bound | None:
    if expression.kind is not ExpressionKind.REFERENCE or len(expression.steps) < 2:
        return None
    names = {"var": scope.variables, "local": scope.locals}.get(str(expression.steps[0]))
    return names.get(str(expression.steps[1])) if names is not None else None


def _look_up(expression: Expression, scope: Scope, steps: int) -> object:
    path = expression.steps
    if path[:2] == ("data", "aws_region") and path[-1] in ("name", "id", "region"):
        return scope.region
    if path[0] in scope.iterators:
        return _stepped(scope.iterators[str(path[0])], path[1:], expression.children, scope, steps)
    if path in (("path", "module"), ("path", "root")):
        return scope.directory if path[1] == "module" else "."
    bound = _bound(expression, scope)
    if bound is None:
        return UNKNOWN
    key, known = id(bound.expression), bound.scope.known
    if key not in known:
        known[key] = UNKNOWN  # while it is being found: a name that leads back to itself has no value
        known[key] = evaluate(bound.expression, bound.scope, steps - 1)
    return _stepped(known[key], path[2:], expression.children, scope, steps)


def _stepped(value: object, path: tuple[Step, ...], indices: Sequence[Expression], scope: Scope, steps: int) -> object:
    computed = iter(indices)
    for step in path:
        key: object = step
        if step is None:
            index = next(computed, None)
            key = evaluate(index, scope, steps - 1) if index is not None else UNKNOWN
        value = _item(value, key)
    return value


def _loop(expression: Expression, scope: Scope, steps: int) -> object:
    collection = evaluate(expression.children[0], scope, steps - 1)
    pairs = (
        sorted(collection.items())
        if isinstance(collection, dict)
        else list(enumerate(collection))
        if isinstance(collection, list)
        else None
    )
    if pairs is None or len(pairs) > MAX_LOOP or "c" in str(expression.value):
        return UNKNOWN
    *keys, element = expression.name.split(",")
    inner = [replace(scope, iterators={**scope.iterators, **dict.fromkeys(keys, k), element: v}) for k, v in pairs]
    results = [[evaluate(c, s, steps - 1) for c in expression.children[1:]] for s in inner]
    if str(expression.value).startswith("k"):
        return {str(k): v for k, v in results} if all(k is not UNKNOWN for k, _ in results) else UNKNOWN
    return bounded([v for (v,) in results])


def _item(value: object, key: object | Step) -> object:
    if isinstance(value, dict):
        return value.get(str(key), UNKNOWN) if key is not UNKNOWN else UNKNOWN
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    return UNKNOWN


def depends_on_source_alone(expression: Expression, scope: Scope) -> bool:
    """True when everything that `expression` needs stands in the source: no resource, data source or variable without a
    value.
    """
    seen: set[int] = set()
    pending = [(expression, scope, frozenset[str]())]
    while pending:
        value, where, inside = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if value.kind is ExpressionKind.FOR:
            names = inside | frozenset(value.name.split(","))
            pending += [(value.children[0], where, inside), *((c, where, names) for c in value.children[1:])]
            continue
        pending += [(c, where, inside) for c in value.children]
        if value.kind is ExpressionKind.REFERENCE and value.steps[0] not in inside and value.steps[0] != "path":
            bound = _bound(value, where)
            if bound is None:
                return False
            pending.append((bound.expression, bound.scope, frozenset()))
    return True


def texts(value: object) -> Iterator[str]:
    """Every string inside a value. A list or map that is in it many times is looked at once: names for names for names
    grow fast.
    """
    pending, seen = [value], set[int]()
    while pending:
        inner = pending.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, list | dict) and id(inner) not in seen:
            seen.add(id(inner))
            pending += (
                reversed(inner)
                if isinstance(inner, list)
                else [p for k, v in reversed(inner.items()) for p in (v, str(k))]
            )
