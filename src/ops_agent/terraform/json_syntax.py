"""Terraform's JSON syntax (`.tf.json`, `.tfvars.json`) -> TerraformSource, with lines; strings are templates of HCL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]

from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind, TerraformSource, Unreadable
from ops_agent.terraform.hcl import MAX_BYTES, MAX_NESTING, read_template

_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "action": 2, "list": 2}
_LABELS |= dict.fromkeys(("provider", "variable", "output", "module", "check"), 1)
_INNER_LABELS = dict.fromkeys(("provisioner", "backend", "dynamic", "provider_meta"), 1)
_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class _Value:
    """A JSON value with its line: `content` is a scalar, a list of _Value, or a list of (key, _Value)."""

    kind: str
    content: object
    line: int

    @property
    def members(self) -> list[tuple[str, _Value]]:
        return self.content if self.kind == "object" else []  # type: ignore[return-value]

    @property
    def bodies(self) -> list[_Value]:
        """The objects that this value stands for: itself, or those in its list."""
        if self.kind == "list":
            return [v for v in self.content if v.kind == "object"]  # type: ignore[attr-defined]
        return [self] if self.kind == "object" else []


class _Refused(Exception):
    def __init__(self, what: str, line: int) -> None:
        self.unreadable = Unreadable(what=what, line=line)


@lru_cache(maxsize=512)
def read_terraform_json(content: bytes, *, variables: bool = False) -> TerraformSource | Unreadable:
    """One JSON file (UTF-8 bytes); `variables` says that it is a variable file, whose keys are plain values."""
    if len(content) > MAX_BYTES:
        return Unreadable(what=f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        top = _Reader(content.decode()).whole()
        if top.kind != "object":
            return Unreadable(what="it is not one JSON object", line=1)
        if variables:
            return TerraformSource(attributes=tuple(_attribute(key, value) for key, value in top.members))
        return TerraformSource(blocks=tuple(_top_blocks(top)))
    except _Refused as refused:
        return refused.unreadable
    except UnicodeDecodeError:
        return Unreadable(what="it is not UTF-8")


def _top_blocks(top: _Value) -> Iterator[Block]:
    for key, value in top.members:
        if key != "//":
            yield from _blocks(key, (), value, _LABELS.get(key, 0))


def _blocks(type_: str, labels: tuple[str, ...], value: _Value, missing: int) -> Iterator[Block]:
    for body in value.bodies:
        if missing:
            for label, inner in body.members:
                if label != "//":
                    yield from _blocks(type_, (*labels, label), inner, missing - 1)
            continue
        attributes: list[Attribute] = []
        blocks: list[Block] = []
        for key, inner in body.members:
            if key != "//":
                attributes.append(_attribute(key, inner))
                blocks.extend(_blocks(key, (), inner, _INNER_LABELS.get(key, 0)))
        text = " ".join([type_, *labels, *(f"{a.name} = {a.expression.text}" for a in attributes)])
        yield Block(
            type=type_, labels=labels, attributes=tuple(attributes), blocks=tuple(blocks), line=body.line, text=text
        )


def _attribute(name: str, value: _Value) -> Attribute:
    return Attribute(name=name, expression=_expression(value), line=value.line)


def _expression(value: _Value) -> Expression:
    if value.kind == "object":
        children: list[Expression] = []
        for key, inner in value.members:
            children += [_text(key, inner.line), _expression(inner)]
        text = (
            "{ " + " , ".join(f"{k.text} = {v.text}" for k, v in zip(children[::2], children[1::2], strict=True)) + " }"
        )
        return Expression(kind=ExpressionKind.OBJECT, text=text, line=value.line, children=tuple(children))
    if value.kind == "list":
        items = tuple(_expression(v) for v in value.content)  # type: ignore[attr-defined]
        return Expression(
            kind=ExpressionKind.TUPLE,
            text="[ " + " , ".join(i.text for i in items) + " ]",
            line=value.line,
            children=items,
        )
    if isinstance(value.content, str):
        return _text(value.content, value.line)
    return Expression(kind=ExpressionKind.LITERAL, text=str(value.content), line=value.line, value=value.content)  # type: ignore[arg-type]


def _text(text: str, line: int) -> Expression:
    if "${" not in text and "%{" not in text:
        return Expression(kind=ExpressionKind.LITERAL, text=repr(text), line=line, value=text)
    template = read_template(text)
    if isinstance(template, Unreadable):
        raise _Refused(f"a template in a string cannot be read: {template.what}", line)
    return replace(_moved(template, line), text=repr(text))


def _moved(expression: Expression, line: int) -> Expression:
    """The same expression at the string's line; a template that is one interpolation is that expression."""
    parts = [c for c in expression.children if c.kind is not ExpressionKind.LITERAL or str(c.value).strip()]
    if expression.kind is ExpressionKind.TEMPLATE and len(parts) == 1:
        return _moved(parts[0], line)
    return Expression(
        kind=expression.kind,
        line=line,
        value=expression.value,
        name=expression.name,
        steps=expression.steps,
        children=tuple(_moved(c, line) for c in expression.children),
    )


class _Reader:
    """A strict JSON reader that knows lines: duplicate keys, deep nesting and trailing text are refused."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0

    def whole(self) -> _Value:
        value = self._value(0)
        self._skip()
        if self._at != len(self._text):
            raise self._no("there is text after the end")
        return value

    def _no(self, what: str) -> _Refused:
        return _Refused(f"it is not JSON that can be read without doubt: {what}", self._now())

    def _now(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _skip(self) -> str:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> _Value:
        if depth > MAX_NESTING:
            raise self._no(f"brackets are nested deeper than {MAX_NESTING}")
        start = self._skip()
        line = self._now()
        if start == "{":
            return _Value("object", self._members(depth), line)
        if start == "[":
            return _Value("list", self._items(depth), line)
        if start == '"':
            return _Value("text", self._string(), line)
        for word, meaning in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return _Value("word", meaning, line)
        number = _NUMBER.match(self._text, self._at)
        if not number:
            raise self._no("a value is missing")
        self._at = number.end()
        return _Value("number", float(number[0]) if set(number[0]) & set(".eE") else int(number[0]), line)

    def _string(self) -> str:
        try:
            text, self._at = scanstring(self._text, self._at + 1, True)
        except JSONDecodeError as error:
            raise self._no("a string is broken") from error
        return str(text)

    def _members(self, depth: int) -> list[tuple[str, _Value]]:
        members: list[tuple[str, _Value]] = []
        seen: set[str] = set()
        for _ in self._elements("}"):
            if self._skip() != '"':
                raise self._no("a key is missing")
            key = self._string()
            if key in seen and key != "//":
                raise self._no(f"the key `{key}` is given twice")
            seen.add(key)
            if self._skip() != ":":
                raise self._no("a colon is missing")
            self._at += 1
            members.append((key, self._value(depth + 1)))
        return members

    def _items(self, depth: int) -> list[_Value]:
        return [self._value(depth + 1) for _ in self._elements("]")]

    def _elements(self, close: str) -> Iterator[None]:
        self._at += 1
        if self._skip() == close:
            self._at += 1
            return
        while True:
            yield
            after = self._skip()
            self._at += 1
            if after == close:
                return
            if after != ",":
                raise self._no("a comma or a closing bracket is missing")
