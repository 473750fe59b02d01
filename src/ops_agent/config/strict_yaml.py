"""A strict reader of YAML: scalars stay text and keep their lines; what two readers read in two ways is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ops_agent.model.terraform import Unreadable

MAX_BYTES = 120_000
MAX_DEPTH = 30
MAX_ELEMENTS = 20_000
_TRUTHY = frozenset({"true", "false", "yes", "no", "y", "n", "on", "off"})


@dataclass(frozen=True, slots=True)
class YamlNode:
    """`kind` is text, list or map; `items` are a list's elements, `members` a map's pairs, `quoted` a text's style."""

    kind: str
    line: int
    text: str = ""
    quoted: bool = False
    items: tuple[YamlNode, ...] = ()
    members: tuple[tuple[str, YamlNode], ...] = ()

    def get(self, key: str) -> YamlNode | None:
        return next((value for name, value in self.members if name == key), None)

    @property
    def plain(self) -> Any:
        """Text, lists and dictionaries."""
        if self.kind == "text":
            return self.text
        return [i.plain for i in self.items] if self.kind == "list" else {k: v.plain for k, v in self.members}

    @property
    def canonical(self) -> str:
        """Equal for two spellings of the same thing."""
        return json.dumps(self.plain, sort_keys=True)

    def maps(self) -> Iterator[YamlNode]:
        """Every mapping inside, itself first."""
        if self.kind == "map":
            yield self
        for inner in (*self.items, *(value for _, value in self.members)):
            yield from inner.maps()

    def texts(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], YamlNode]]:
        """Every text inside with its path."""
        if self.kind == "text":
            yield path, self
        for number, item in enumerate(self.items):
            yield from item.texts((*path, str(number)))
        for key, value in self.members:
            yield from value.texts((*path, key))


class _Refused(Exception):
    def __init__(self, what: str, line: int = 0) -> None:
        self.unreadable = Unreadable(what=what, line=line)


def read_yaml(content: bytes, *, aliases: bool = False) -> YamlNode | Unreadable:
    """One document. Refused: merge keys, tags, tabs, several documents, duplicate keys, odd `on`, great size.

    Anchors are refused too, or with `aliases` written out where they are used, within the bounds of a plain document.
    """
    try:
        return _read(content, aliases)
    except _Refused as refused:
        return refused.unreadable


def _read(content: bytes, aliases: bool) -> YamlNode:
    if len(content) > MAX_BYTES:
        raise _Refused(f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise _Refused("it is not UTF-8") from error
    for odd, name in (
        ("\t", "a tab"),
        ("\x00", "a NUL byte"),
        ("\ufeff", "a byte order mark"),
        ("\x85", "NEL"),
        ("\u2028", "U+2028"),
        ("\u2029", "U+2029"),
    ):
        if odd in text:
            raise _Refused(f"it holds {name}", text.count("\n", 0, text.index(odd)) + 1)
    if "\r" in text.replace("\r\n", ""):
        raise _Refused("it holds a carriage return that does not end a line")
    try:
        return _document(_events(text), aliases)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _Refused(
            f"it is not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}", mark.line + 1 if mark else 0
        ) from error
    except (RecursionError, ValueError) as error:
        raise _Refused("it is not YAML that can be read safely") from error


def _events(text: str) -> Iterator[Any]:
    """PyYAML's events, one by one: too deep or too much is refused before the rest is read (cost grows with depth)."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > MAX_ELEMENTS:
            what = (
                f"is nested deeper than {MAX_DEPTH}"
                if depth > MAX_DEPTH
                else f"has more than {MAX_ELEMENTS:,} elements"
            )
            raise _Refused(f"it {what}", event.start_mark.line + 1 if event.start_mark else 0)
        if not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
            yield event


def _document(stream: Iterator[Any], aliases: bool) -> YamlNode:
    start = next(stream, None)
    if not isinstance(start, yaml.DocumentStartEvent):
        raise _Refused("it does not hold exactly one document")
    if start.version or start.tags:
        raise _Refused("it holds a YAML directive", 1)
    node = _Composer(stream, aliases).node(next(stream))
    if next(stream, None) is not None:
        raise _Refused("it does not hold exactly one document")
    return node


class _Composer:
    """Makes nodes of events. What an alias repeats counts as if it were written out, so that a few lines of anchors in
    anchors cannot become millions of nodes.
    """

    def __init__(self, stream: Iterator[Any], aliases: bool) -> None:
        self._stream, self._aliases = stream, aliases
        self._anchors: dict[str, YamlNode] = {}
        self._elements, self._characters = 0, 0

    def node(self, event: Any, depth: int = 0) -> YamlNode:
        line, anchor = event.start_mark.line + 1, event.anchor
        if anchor is not None and not self._aliases:
            raise _Refused("anchors and aliases are not read", line)
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(anchor, line, depth)
        if event.tag is not None:
            raise _Refused("tags are not read", line)
        node = self._plain(event, line, depth)
        if anchor is not None:
            if anchor in self._anchors:
                raise _Refused(f"the anchor `{anchor}` is given twice", line)
            self._anchors[anchor] = node
        return node

    def _plain(self, event: Any, line: int, depth: int) -> YamlNode:
        if isinstance(event, yaml.ScalarEvent):
            if any("\ud800" <= c <= "\udfff" for c in event.value):
                raise _Refused("half a character is escaped", line)
            return YamlNode("text", line, text=event.value, quoted=event.style in ("'", '"'))
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(inner := next(self._stream), yaml.SequenceEndEvent):
                items.append(self.node(inner, depth + 1))
            return YamlNode("list", line, items=tuple(items))
        members: list[tuple[str, YamlNode]] = []
        seen: set[str] = set()
        while not isinstance(inner := next(self._stream), yaml.MappingEndEvent):
            if inner.anchor is not None:
                raise _Refused("a key has an anchor or is an alias", inner.start_mark.line + 1)
            key = self.node(inner, depth + 1)
            _check_key(key, seen, depth)
            members.append((key.text, self.node(next(self._stream), depth + 1)))
        return YamlNode("map", line, members=tuple(members))

    def _repeated(self, anchor: str, line: int, depth: int) -> YamlNode:
        node = self._anchors.get(anchor)
        if node is None:
            raise _Refused(f"the alias `{anchor}` has no anchor before it, or is inside of it", line)
        pending = [(node, depth)]
        while pending:
            one, deep = pending.pop()
            self._elements += 1
            self._characters += len(one.text) + sum(len(key) for key, _ in one.members)
            if deep > MAX_DEPTH or self._elements > MAX_ELEMENTS or self._characters > MAX_BYTES:
                raise _Refused("it is too deep or too much once its aliases are written out", line)
            pending += [(inner, deep + 1) for inner in (*one.items, *(value for _, value in one.members))]
        return replace(node, line=line)


def _check_key(key: YamlNode, seen: set[str], depth: int) -> None:
    if key.kind != "text":
        raise _Refused("a key is not plain text", key.line)
    if key.text == "<<":
        raise _Refused("merge keys are not read", key.line)
    if key.text.casefold() in seen:
        raise _Refused(f"the key `{key.text}` is given twice", key.line)
    seen.add(key.text.casefold())
    if depth == 0 and key.text.casefold() in _TRUTHY and key.text != "on":
        raise _Refused("a key at the top is a truth value for some readers: write `on:`", key.line)
