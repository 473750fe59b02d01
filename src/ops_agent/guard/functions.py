"""Terraform's functions over known values, as far as text, lists and maps are put together with them."""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote_plus

from ops_agent.model.terraform import UNKNOWN

MAX_TEXT, MAX_ITEMS = 20_000, 1_000
# One name for all that `fileset` finds: below its directory, never climbing.
ANY_FILE = "any-file"


def call(name: str, arguments: list[Any]) -> object:
    if name == "try" and arguments:
        return arguments[0]
    if name == "coalesce":
        return next((a for a in arguments if a is not None and a != ""), UNKNOWN)
    known = _KNOWN.get(name)
    try:
        return UNKNOWN if known is None else bounded(known(*arguments))
    except (TypeError, ValueError, AttributeError, LookupError, RecursionError):
        return UNKNOWN


def operate(operator: str, operands: list[Any]) -> object:
    """The value of an operator over known operands of one type, UNKNOWN for others."""
    known = _OPERATORS.get(operator)
    if known is None or len(operands) != 2 or type(operands[0]) is not type(operands[1]) or UNKNOWN in operands:
        return UNKNOWN
    try:
        return bounded(known(*operands))
    except TypeError:
        return UNKNOWN


def bounded(value: object) -> object:
    most = MAX_TEXT if isinstance(value, str) else MAX_ITEMS
    return UNKNOWN if isinstance(value, str | list | dict) and len(value) > most else value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, float) and not value.is_integer():
        return str(value)
    raise TypeError


def _join(separator: str, *lists: Any) -> str:
    return _text(separator).join(_text(i) for part in lists for i in (part if isinstance(part, list) else [part]))


def _format(pattern: str, *arguments: Any) -> object:
    parts = pattern.replace("%d", "%s").replace("%v", "%s").replace("%q", '"%s"').split("%s")
    if len(parts) != len(arguments) + 1 or "%" in "".join(parts):
        return UNKNOWN
    return parts[0] + "".join(f"{_text(a)}{p}" for a, p in zip(arguments, parts[1:], strict=True))


def _replace(text: str, old: str, new: str) -> object:
    is_pattern = len(old) > 1 and old.startswith("/") and old.endswith("/")
    return UNKNOWN if is_pattern or text.count(old) * len(new) > MAX_TEXT else text.replace(old, new)


def _substr(text: str, start: int, length: int) -> str:
    first = start if start >= 0 else len(text) + start
    return text[first:] if length < 0 else text[first : first + length]


def _flat(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield from _flat(item) if isinstance(item, list) else [item]


def _lookup(table: dict[str, Any], key: Any, *default: Any) -> object:
    return UNKNOWN if key is UNKNOWN else table.get(_text(key), default[0] if default else UNKNOWN)


def _all_known(items: list[Any]) -> list[Any]:
    if not isinstance(items, list) or UNKNOWN in items:
        raise TypeError
    return items


def climbs(path: str) -> bool:
    """True when a relative path or pattern can lead out of its directory."""
    return path.startswith(("/", "~")) or ".." in path.split("/")


_OPERATORS: Final[dict[str, Callable[[Any, Any], object]]] = {
    "==": lambda a, b: UNKNOWN if isinstance(a, list | dict) else a == b,
    "!=": lambda a, b: UNKNOWN if isinstance(a, list | dict) else a != b,
    "&&": lambda a, b: a and b,
    "||": lambda a, b: a or b,
    "+": lambda a, b: a + b if isinstance(a, int | float) else UNKNOWN,
    "-": lambda a, b: a - b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_KNOWN: Final[dict[str, Callable[..., Any]]] = {
    **dict.fromkeys(("tolist", "tomap", "sensitive", "nonsensitive", "ephemeralasnull"), lambda value: value),
    "tostring": lambda value: None if value is None else _text(value),
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "trimspace": lambda text: _text(text).strip(),
    "trimprefix": lambda text, cut: _text(text).removeprefix(cut),
    "trimsuffix": lambda text, cut: _text(text).removesuffix(cut),
    "replace": _replace,
    "substr": _substr,
    "split": lambda separator, text: text.split(separator) if separator else list(text),
    "join": _join,
    "format": _format,
    "concat": lambda *lists: [i for part in lists for i in part],
    "flatten": lambda items: list(_flat(items)),
    "toset": lambda items: sorted({_text(i) for i in _all_known(items)}),
    "distinct": lambda items: list(dict.fromkeys(_all_known(items))),
    "compact": lambda items: [i for i in _all_known(items) if i not in ("", None)],
    "element": lambda items, index: items[index % len(items)],
    "one": lambda items: None if not items else items[0] if len(items) == 1 else UNKNOWN,
    "textdecodebase64": lambda text, encoding: base64.b64decode(text, validate=True).decode(encoding),
    "urldecode": unquote_plus,
    "length": len,
    "keys": sorted,
    "values": lambda table: [table[k] for k in sorted(table)],
    "merge": lambda *maps: {k: v for m in maps for k, v in m.items()},
    "lookup": _lookup,
    "base64decode": lambda text: base64.b64decode(text, validate=True).decode(),
    "base64encode": lambda text: base64.b64encode(text.encode()).decode(),
    "jsondecode": json.loads,
    "pathexpand": lambda path: path,
    "abspath": lambda path: path,
    "basename": lambda path: posixpath.basename(path.rstrip("/")),
    "dirname": lambda path: posixpath.dirname(path) or ".",
    "fileset": lambda directory, pattern: [ANY_FILE] if directory and not climbs(pattern) else UNKNOWN,
}
