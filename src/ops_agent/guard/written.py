"""What the sources write where a plan knows no value: literals stay, and a reference stands for what only the apply
shows (`arn:aws:s3:::${aws_s3_bucket.b.id}/x`), as in an offline plan. So literal actions, principals and hosts are
judged although an ARN in the same text is not known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ops_agent.guard.functions import call
from ops_agent.guard.values import Instance, Scope, evaluate, for_rounds, rounds_of, scopes_of
from ops_agent.model.terraform import UNKNOWN, UNSEEN, Block, Expression, ExpressionKind
from ops_agent.terraform.statements import Module, config_address, parts_of

_DEEPEST: Final = 40
_PASSING: Final = frozenset({"concat", "merge", "flatten", "tolist", "toset", "tomap", "compact", "distinct", "join"})
"""Functions that leave the texts in their arguments as they are; `format` and others may change a reference."""


class Written:
    """The resources of one root in one environment. `instances` is called when the first one is asked for."""

    def __init__(self, instances: Callable[[], Iterable[Instance]]) -> None:
        self._find = instances
        self._instances: dict[Module, Instance] | None = None
        self._modules: dict[int, Module] = {}
        self._resources: dict[str, tuple[dict[str, Any], ...]] = {}

    def resource(self, address: str) -> tuple[dict[str, Any], ...]:
        """The arguments of a resource or data source, nested blocks as lists: of the instance at `address`, or of all
        of them when it is not known by its key. UNSEEN is in the place of what the sources do not show.
        """
        if self._instances is None:
            self._instances = {}
            for one in self._find():
                names = tuple(one.path.split(".")[1::2])
                self._instances.setdefault(names, one)
                self._modules[id(one.scope)] = names
        if address not in self._resources:
            module, place = config_address(address)
            instance = self._instances.get(module)
            key = parts_of(address)[-1][1].strip('[]"')
            found: list[dict[str, Any]] = []
            for block in instance.named.get(place, ()) if instance is not None else ():
                scopes = list(scopes_of(block, instance.scope)) if instance is not None else []
                own = [scope for scope in scopes if key and key in _keys(scope)]
                found += [self._block(block, scope, module) for scope in own or scopes]
            self._resources[address] = tuple(found)
        return self._resources[address]

    def _block(self, block: Block, scope: Scope, module: Module) -> dict[str, Any]:
        found: dict[str, Any] = {a.name: self._value(a.expression, scope, module, _DEEPEST) for a in block.attributes}
        for inner in block.blocks:
            bodies = [b for b in inner.blocks if b.type == "content"] if inner.type == "dynamic" else [inner]
            rounds = ((body, inside) for inside in rounds_of(inner, scope) for body in bodies)
            found.setdefault(inner.kind, []).extend(self._block(body, inside, module) for body, inside in rounds)
        return found

    def _value(self, expression: Expression, scope: Scope, module: Module, left: int) -> Any:
        """The value with references in it; UNSEEN for what the sources do not show."""
        if left <= 0:
            return UNSEEN

        def inner(one: Expression, where: Scope = scope) -> Any:
            return self._value(one, where, module, left - 1)

        parts = expression.children
        match expression.kind:
            case ExpressionKind.TEMPLATE:
                return "".join(_text(inner(one)) for one in parts)
            case ExpressionKind.TUPLE:
                return [inner(one) for one in parts]
            case ExpressionKind.OBJECT:
                return {_text(inner(key)): inner(value) for key, value in expression.pairs}
            case ExpressionKind.CALL if expression.name == "jsonencode" and len(parts) == 1:
                return json.dumps(inner(parts[0]))
            case ExpressionKind.CALL if expression.name in _PASSING:
                return _seen(call(expression.name, [inner(one) for one in parts]))
            case ExpressionKind.CONDITIONAL:
                chosen = evaluate(parts[0], scope)
                return inner(parts[1 if chosen else 2]) if isinstance(chosen, bool) else UNSEEN
            case ExpressionKind.FOR if (rounds := for_rounds(expression, scope)) is not None:
                if not expression.condition and not expression.is_map:
                    return [inner(parts[1], one) for one in rounds]
            case ExpressionKind.REFERENCE:
                return self._reference(expression, scope, module, left)
        return _seen(evaluate(expression, scope))

    def _reference(self, expression: Expression, scope: Scope, module: Module, left: int) -> Any:
        steps = expression.steps
        if (bound := scope.bound(expression)) is not None:
            where = self._modules.get(id(bound.scope), module)
            return _seen(_stepped(self._value(bound.expression, bound.scope, where, left - 1), steps[2:]))
        if steps[0] == "module" and len(steps) > 2:
            return self._output(steps, module, left)
        known = evaluate(expression, scope)
        named = [str(step) for step in steps if isinstance(step, str)]
        if known is not UNKNOWN or len(named) < 2 or "_" not in named[named[0] == "data"]:
            return _seen(known)
        prefix = "".join(f"module.{name}." for name in module)
        # Without keys: which of several resources it is does not matter, only that it is one of these.
        return f"${{{prefix}{'.'.join(named[: 4 if named[0] == 'data' else 3])}}}"

    def _output(self, steps: Sequence[Any], module: Module, left: int) -> Any:
        """What a called module's output is: its name follows the call's, or the key of one of several calls."""
        called = (*module, str(steps[1]))
        instance = (self._instances or {}).get(called)
        for at in (2, 3) if instance is not None else ():
            for _, block in instance.blocks("output") if instance is not None and len(steps) > at else ():
                value = block.attribute("value") if block.label == steps[at] else None
                if instance is not None and value is not None:
                    found = self._value(value.expression, instance.scope, called, left - 1)
                    return _seen(_stepped(found, steps[at + 1 :]))
        return UNSEEN


def _keys(scope: Scope) -> set[str]:
    """The key of an instance, as its address writes it."""
    names = (scope.iterators.get("each"), "key"), (scope.iterators.get("count"), "index")
    return {str(one[name]) for one, name in names if isinstance(one, dict) and one.get(name) is not UNKNOWN}


def _stepped(value: Any, path: Sequence[Any]) -> Any:
    """What is below a value, or an attribute of the resource that it refers to."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, UNSEEN)
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
            value = value[step]
        elif isinstance(value, str) and value.startswith("${") and value != UNSEEN:
            value = f"{value[:-1]}.{step}}}" if isinstance(step, str) else value
        else:
            return UNSEEN
    return value


def _seen(value: Any) -> Any:
    return UNSEEN if value is UNKNOWN else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else UNSEEN
