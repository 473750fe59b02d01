"""Terraform's JSON syntax (`.tf.json`, `.tfvars.json`) -> TerraformSource; strings are templates of HCL.

The agent may not write it. Files of the base are read for what they call and set, so their blocks have no lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, NoReturn

from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind, TerraformSource, Unreadable
from ops_agent.terraform.hcl_tree_sitter import MAX_BYTES, MAX_NESTING, read_template

_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "action": 2, "list": 2}
_LABELS |= dict.fromkeys(("provider", "variable", "output", "module", "check"), 1)
_COMMENT = "//"
_INNER_LABELS = dict.fromkeys(("provisioner", "backend", "dynamic", "provider_meta"), 1)


class _Refused(ValueError):
    pass


@lru_cache(maxsize=256)
def read_terraform_json(content: bytes, *, variables: bool = False) -> TerraformSource | Unreadable:
    """One JSON file (UTF-8 bytes); `variables` says that it is a variable file, whose keys are plain values."""
    if len(content) > MAX_BYTES:
        return Unreadable(what=f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        top = json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_constant)
        if not isinstance(top, dict):
            raise _Refused("it is not one JSON object")
        if variables:
            return TerraformSource(attributes=tuple(_attribute(key, value, 1) for key, value in top.items()))
        blocks = (b for key, value in _members(top) for b in _blocks(key, (), value, _LABELS.get(key, 0), 1))
        return TerraformSource(blocks=tuple(blocks))
    except _Refused as refused:
        return Unreadable(what=str(refused))
    except (ValueError, RecursionError) as error:
        return Unreadable(what="it is not JSON that can be read without doubt", line=getattr(error, "lineno", 0))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise _Refused("a key is given twice")
    return dict(pairs)


def _constant(name: str) -> NoReturn:
    raise _Refused(f"`{name}` is no JSON")


def _blocks(type_: str, labels: tuple[str, ...], value: Any, missing: int, depth: int) -> Iterator[Block]:
    for body in value if isinstance(value, list) else [value]:
        if not isinstance(body, dict):
            continue
        if missing:
            for label, inner in _members(body):
                yield from _blocks(type_, (*labels, label), inner, missing - 1, depth + 1)
            continue
        attributes = tuple(_attribute(key, inner, depth + 1) for key, inner in _members(body))
        blocks = (b for k, inner in _members(body) for b in _blocks(k, (), inner, _INNER_LABELS.get(k, 0), depth + 1))
        text = " ".join([type_, *labels, *(f"{a.name} = {a.expression.text}" for a in attributes)])
        yield Block(type=type_, labels=labels, attributes=attributes, blocks=tuple(blocks), line=0, text=text)


def _members(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Of a block; in an expression `//` is a key like any other."""
    return [(key, value) for key, value in body.items() if key != _COMMENT]


def _attribute(name: str, value: Any, depth: int) -> Attribute:
    return Attribute(name=name, expression=_expression(value, depth), line=0)


def _expression(value: Any, depth: int) -> Expression:
    if depth > MAX_NESTING:
        raise _Refused(f"brackets are nested deeper than {MAX_NESTING}")
    if isinstance(value, dict):
        pairs = [(_text(key), _expression(inner, depth + 1)) for key, inner in value.items()]
        text = "{ " + " , ".join(f"{k.text} = {v.text}" for k, v in pairs) + " }"
        children = tuple(part for pair in pairs for part in pair)
        return Expression(kind=ExpressionKind.OBJECT, text=text, line=0, children=children)
    if isinstance(value, list):
        items = tuple(_expression(inner, depth + 1) for inner in value)
        text = "[ " + " , ".join(i.text for i in items) + " ]"
        return Expression(kind=ExpressionKind.TUPLE, text=text, line=0, children=items)
    if isinstance(value, str):
        return _text(value)
    return Expression(kind=ExpressionKind.LITERAL, text=str(value), line=0, value=value)


def _text(text: str) -> Expression:
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise _Refused("half a character is escaped")
    if "${" not in text and "%{" not in text:
        return Expression(kind=ExpressionKind.LITERAL, text=repr(text), line=0, value=text)
    template = read_template(text)
    if isinstance(template, Unreadable):
        raise _Refused(f"a template in a string cannot be read: {template.what}")
    return replace(_plain(template), text=repr(text))


def _plain(expression: Expression) -> Expression:
    """A template that is one interpolation is that expression."""
    parts = [c for c in expression.children if c.kind is not ExpressionKind.LITERAL or str(c.value).strip()]
    if expression.kind is ExpressionKind.TEMPLATE and len(parts) == 1:
        return _plain(parts[0])
    return replace(expression, line=0, children=tuple(_plain(c) for c in expression.children))
