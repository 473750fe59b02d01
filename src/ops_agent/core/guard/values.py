"""What an expression's value is in one environment, as far as the source tells: variable files, locals, defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ops_agent.core.guard.trees import SourceTree
from ops_agent.core.sources.module_calls import local_source
from ops_agent.domain.layout import TerraformTarget
from ops_agent.domain.terraform_source import UNKNOWN, Block, Expression, ExpressionKind, Step, TerraformSource

MAX_STEPS = 40
MAX_INSTANCES = 300
_META = frozenset({"source", "version", "providers", "count", "for_each", "depends_on"})


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression with the scope that gives it meaning, and the `module` block where it is an argument of a call (`each`)."""

    expression: Expression
    scope: Scope
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of one module instance. `region` is what `data "aws_region"` answers in it."""

    region: str
    variables: dict[str, Bound] = field(default_factory=dict)
    locals: dict[str, Bound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """One module as a root calls it: its directory, its readable files, its scope."""

    directory: str
    files: tuple[tuple[str, TerraformSource], ...]
    scope: Scope


def instances_of(target: TerraformTarget, tree: SourceTree) -> tuple[Instance, ...]:
    """The root and every call of a local module below it (bounded), each with the values that it gets in this environment."""
    scope = Scope(tree.policy.region)
    root = target.root.path
    prefix = "" if root == "." else f"{root}/"
    silent = sorted(p for p in tree.paths if p.startswith(prefix) and "/" not in p[len(prefix) :] and _loads_silently(p[len(prefix) :]))
    given: dict[str, Bound] = {}
    for path in (*silent, *target.environment.var_files):
        source = tree.terraform(path) if path in tree.paths else None
        if isinstance(source, TerraformSource):
            given.update({a.name: Bound(a.expression, scope) for a in source.attributes})
    found: list[Instance] = []
    _collect(root, scope, given, tree, found, depth=0)
    return tuple(found)


def _loads_silently(name: str) -> bool:
    return name in ("terraform.tfvars", "terraform.tfvars.json") or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def _collect(directory: str, scope: Scope, given: dict[str, Bound], tree: SourceTree, found: list[Instance], depth: int) -> None:
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
    found.append(Instance(directory, files, scope))
    for _, source in files:
        for block in source.of_type("module"):
            called = local_source(directory, block)
            if called is not None and called != directory:
                arguments = {a.name: Bound(a.expression, scope, block) for a in block.attributes if a.name not in _META}
                _collect(called, Scope(scope.region), arguments, tree, found, depth + 1)


def possible_values(expression: Expression, scope: Scope, steps: int = MAX_STEPS) -> tuple[object, ...]:
    """What `expression` can be: one value, both results of a conditional, or UNKNOWN."""
    if expression.kind is ExpressionKind.CONDITIONAL and len(expression.children) == 3 and steps > 0:
        chosen = evaluate(expression.children[0], scope, steps - 1)
        results = expression.children[1:] if not isinstance(chosen, bool) else (expression.children[1 if chosen else 2],)
        return tuple(v for r in results for v in possible_values(r, scope, steps - 1))
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
            parts = [evaluate(c, scope, steps - 1) for c in expression.children]
            return "".join(str(p) for p in parts) if all(isinstance(p, str | int) for p in parts) else UNKNOWN
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
            return _call(expression, scope, steps)
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
    bound = _bound(expression, scope)
    if bound is None:
        return UNKNOWN
    value = evaluate(bound.expression, bound.scope, steps - 1)
    computed = iter(expression.children)
    for step in path[2:]:
        key: object = step
        if step is None:
            index = next(computed, None)
            key = evaluate(index, scope, steps - 1) if index is not None else UNKNOWN
        value = _item(value, key)
    return value


def _item(value: object, key: object | Step) -> object:
    if isinstance(value, dict):
        return value.get(str(key), UNKNOWN) if key is not UNKNOWN else UNKNOWN
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    return UNKNOWN


def _call(expression: Expression, scope: Scope, steps: int) -> object:
    values = [evaluate(c, scope, steps - 1) for c in expression.children]
    match expression.name, values:
        case "tostring" | "lower" | "trimspace", [str(text)]:
            return text.lower() if expression.name == "lower" else text
        case "upper", [str(text)]:
            return text.upper()
        case "lookup", [dict(table), key, *default]:
            return table.get(str(key), default[0] if default else UNKNOWN) if key is not UNKNOWN else UNKNOWN
        case "coalesce" | "try", [first, *_] if first not in (UNKNOWN, None, ""):
            return first
        case "join", [str(separator), *lists]:
            items = [i for part in lists for i in (part if isinstance(part, list) else [part])]
            return separator.join(str(i) for i in items) if all(isinstance(i, str | int) for i in items) else UNKNOWN
        case "concat", _ if all(isinstance(v, list) for v in values):
            return [i for v in values if isinstance(v, list) for i in v]
        case "format", [str(pattern), *arguments] if all(isinstance(a, str | int) for a in arguments):
            return _format(pattern, arguments)
        case "replace", [str(text), str(old), str(new)] if not old.startswith("/"):
            return text.replace(old, new)
        case _:
            return UNKNOWN


def _format(pattern: str, arguments: list[object]) -> object:
    parts = pattern.replace("%d", "%s").replace("%v", "%s").split("%s")
    if len(parts) != len(arguments) + 1 or "%" in "".join(parts):
        return UNKNOWN
    return parts[0] + "".join(f"{a}{p}" for a, p in zip(arguments, parts[1:], strict=True))


def texts(value: object) -> Iterator[str]:
    """Every string inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
