"""A tool is a typed function with a docstring: what the llm is told about it, and whether what it sends fits, both come from there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from ops_agent.domain.conversation import ToolSpec

MAX_TEXT = 1_200_000
MAX_ITEMS = 100


@cache
def spec_of(tool: Callable[..., Any]) -> ToolSpec:
    """Name, description (the docstring) and a strict JSON schema (of the parameters after the first, which is the workbench)."""
    return ToolSpec(
        name=tool.__name__, description=inspect.getdoc(tool) or "", input_schema=_object_schema(_parameters(tool), _optional(tool))
    )


def problems_of(tool: Callable[..., Any], arguments: Mapping[str, Any]) -> list[str]:
    """What is wrong with `arguments`, one sentence each without quoting long values; empty when they fit."""
    return list(_object_problems("", arguments, _parameters(tool), _optional(tool)))


@cache
def _parameters(tool: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(tool, include_extras=True)
    return {name: hints[name] for name in list(inspect.signature(tool).parameters)[1:]}


@cache
def _optional(tool: Callable[..., Any]) -> frozenset[str]:
    return frozenset(n for n, p in inspect.signature(tool).parameters.items() if p.default is not inspect.Parameter.empty)


def _object_schema(fields: Mapping[str, Any], optional: frozenset[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _schema(hint) for name, hint in fields.items()},
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }


def _schema(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is Annotated:
        inner, words = get_args(hint)
        return {**_schema(inner), "description": words}
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if get_origin(hint) is list:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if is_typeddict(hint):
        return _object_schema(get_type_hints(hint, include_extras=True), frozenset())
    return {"type": {str: "string", int: "integer", bool: "boolean"}[hint]}


def _object_problems(where: str, value: Any, fields: Mapping[str, Any], optional: frozenset[str]) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{where or 'the arguments'}: an object is wanted"]
    unknown = [k for k in value if k not in fields]
    found = [f"{len(unknown)} unknown field(s), the first is {str(unknown[0])[:60]!r}"] if unknown else []
    found += [f"{where}{name}: is missing" for name in fields if name not in value and name not in optional]
    for name, hint in fields.items():
        if name in value:
            found += _value_problems(f"{where}{name}", value[name], hint)
    return found


def _value_problems(where: str, value: Any, hint: Any) -> list[str]:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return [] if isinstance(value, str) and value in get_args(hint) else [f"{where}: one of {', '.join(get_args(hint))} is wanted"]
    if get_origin(hint) is list:
        return _list_problems(where, value, get_args(hint)[0])
    if is_typeddict(hint):
        return _object_problems(f"{where}.", value, get_type_hints(hint, include_extras=True), frozenset())
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        return [f"{where}: {_NAMES[hint]} is wanted"]
    if isinstance(value, str):
        return _text_problems(where, value)
    return [f"{where}: the number is out of range"] if hint is int and not -(2**31) < value < 2**31 else []


def _list_problems(where: str, value: Any, item: Any) -> list[str]:
    if not isinstance(value, list):
        return [f"{where}: a list is wanted"]
    if len(value) > MAX_ITEMS:
        return [f"{where}: at most {MAX_ITEMS} entries"]
    return [problem for number, entry in enumerate(value) for problem in _value_problems(f"{where}[{number}]", entry, item)][:20]


def _text_problems(where: str, value: str) -> list[str]:
    if len(value) > MAX_TEXT:
        return [f"{where}: at most {MAX_TEXT:,} characters, these are {len(value):,}"]
    try:
        value.encode()
    except UnicodeEncodeError:
        return [f"{where}: this is not valid Unicode"]
    return []


_NAMES = {str: "a text", int: "a whole number", bool: "true or false"}
