"""Terraform's functions over values that are known, as far as text, lists and maps are put together with them."""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote_plus

from ops_agent.model.terraform import UNKNOWN

MOST_TEXT = 20_000
MOST_ITEMS = 1_000
# One name stands for all that `fileset` finds: below its directory, never climbing.
ANY_FILE = "any-file"

_UNCHANGED = frozenset({"tolist", "tomap", "sensitive", "nonsensitive", "ephemeralasnull"})


def call(name: str, arguments: list[Any]) -> object:
    """The value of `name(arguments...)` (str, int, float, bool, None, list, dict); UNKNOWN for other functions and for
    odd or huge ones.
    """
    if name == "try" and arguments:
        return arguments[0]
    if name == "coalesce":
        return next((a for a in arguments if a is not None and a != ""), UNKNOWN)
    known = _KNOWN.get(name)
    if known is None:
        return UNKNOWN
    try:
        return bounded(known(*arguments))
    except (TypeError, ValueError, AttributeError, LookupError, RecursionError):
        return UNKNOWN


def bounded(value: object) -> object:
    """`value`, or UNKNOWN when it has grown beyond what is worth to look at."""
    if isinstance(value, str):
        return value if len(value) <= MOST_TEXT else UNKNOWN
    if isinstance(value, list | dict):
        return value if len(value) <= MOST_ITEMS else UNKNOWN
    return value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
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
    return UNKNOWN if is_pattern or text.count(old) * len(new) > MOST_TEXT else text.replace(old, new)


def _substr(text: str, start: int, length: int) -> str:
    first = start if start >= 0 else len(text) + start
    return text[first:] if length < 0 else text[first : first + length]


def _flat(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield from _flat(item) if isinstance(item, list) else [item]


def _lookup(table: dict[str, Any], key: Any, *default: Any) -> object:
    return UNKNOWN if key is UNKNOWN else table.get(_text(key), default[0] if default else UNKNOWN)


def _range(*numbers: int) -> object:
    first, last = numbers[:2] if len(numbers) > 1 else (0, numbers[0])
    found = range(first, last, numbers[2] if len(numbers) > 2 else 1 if last >= first else -1)
    return list(found) if len(found) <= MOST_ITEMS else UNKNOWN


def _merged(*maps: Any) -> dict[str, Any]:
    return {k: v for m in maps for k, v in m.items()}


def _of_lists(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose first argument is a list of known items."""

    def checked(items: Any, *rest: Any) -> Any:
        if not isinstance(items, list) or UNKNOWN in items:
            raise TypeError
        return make(items, *rest)

    return checked


def _as_text(make: Callable[..., Any]) -> Callable[..., Any]:
    return lambda text, *rest: make(_text(text), *rest)


_KNOWN: Final[dict[str, Callable[..., Any]]] = {
    **dict.fromkeys(_UNCHANGED, lambda value: value),
    "tostring": lambda value: None if value is None else _text(value),
    "tonumber": int,
    "parseint": int,
    "lower": _as_text(str.lower),
    "upper": _as_text(str.upper),
    "title": _as_text(str.title),
    "trimspace": _as_text(str.strip),
    "chomp": _as_text(lambda text: text.rstrip("\r\n")),
    "trim": _as_text(lambda text, cut: text.strip(cut)),
    "trimprefix": _as_text(str.removeprefix),
    "trimsuffix": _as_text(str.removesuffix),
    "strrev": _as_text(lambda text: text[::-1]),
    "indent": lambda count, text: text.replace("\n", "\n" + " " * min(count, 40)),
    "replace": _replace,
    "substr": _substr,
    "split": lambda separator, text: text.split(separator) if separator else list(text),
    "join": _join,
    "format": _format,
    "concat": lambda *lists: [i for part in lists for i in part],
    "flatten": lambda items: list(_flat(items)),
    "reverse": lambda items: items[::-1],
    "sort": _of_lists(sorted),
    "toset": _of_lists(lambda items: sorted({_text(i) for i in items})),
    "distinct": _of_lists(lambda items: list(dict.fromkeys(items))),
    "compact": _of_lists(lambda items: [i for i in items if i not in ("", None)]),
    "slice": lambda items, start, end: items[start:end],
    "element": lambda items, index: items[index % len(items)],
    "one": lambda items: items[0] if items else None,
    "length": len,
    "keys": sorted,
    "values": lambda table: [table[k] for k in sorted(table)],
    "merge": _merged,
    "zipmap": lambda keys, items: dict(zip(map(_text, keys), items, strict=True)),
    "lookup": _lookup,
    "range": _range,
    "base64decode": lambda text: base64.b64decode(text, validate=True).decode(),
    "base64encode": lambda text: base64.b64encode(text.encode()).decode(),
    "urldecode": unquote_plus,
    "jsondecode": json.loads,
    "basename": lambda path: posixpath.basename(path.rstrip("/")),
    "dirname": lambda path: posixpath.dirname(path) or ".",
    "fileset": lambda directory, pattern: [ANY_FILE] if directory and not climbs(pattern) else UNKNOWN,
}


def climbs(path: str) -> bool:
    """True when a relative path or pattern can lead out of its directory."""
    return path.startswith(("/", "~")) or ".." in path.split("/")
