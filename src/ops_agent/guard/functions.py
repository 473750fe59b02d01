"""Terraform's functions over known values, as far as text, lists and maps are put together with them."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import math
import posixpath
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice, product
from typing import Any, Final
from urllib.parse import unquote_plus

from ops_agent.model.terraform import UNKNOWN

MAX_TEXT, MAX_ITEMS, _MAX_SEARCHED = 20_000, 1_000, 200
_LARGEST = 10**30
_VERB = re.compile(r"%([-+ 0]*)([0-9]{0,5}(?:\.[0-9]{1,3})?)([%svtqdbxXof])")
_GROUP = re.compile(r"\$(?=\{[0-9]\}|[0-9](?!\w))\{?([0-9])\}?")
_REPEATS = re.compile(r"[*+?{]")
_ODD_PATTERN = re.compile(r"\)[*+?{]|\(\?|\[\[:|\\[^dwsDWS.\-/+*?()\[\]{}^$|]|[*+?}][*+]")
# One name for all that `fileset` finds: below its directory, never climbing.
ANY_FILE = "any-file"


_NOT_UNDERSTOOD = (
    *(TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError),
    *(StopIteration, re.error, zlib.error),
)


def call(name: str, arguments: list[Any]) -> object:
    if name == "try" and arguments:
        return arguments[0]
    if name == "coalesce":
        return next((a for a in arguments if a is not None and a != ""), UNKNOWN)
    known = _KNOWN.get(name)
    try:
        return UNKNOWN if known is None else bounded(known(*arguments))
    except _NOT_UNDERSTOOD:
        return UNKNOWN


def operate(operator: str, operands: list[Any]) -> object:
    """The value of an operator over known operands of one type, UNKNOWN for others."""
    known = _OPERATORS.get(operator)
    if known is None or len(operands) != 2 or type(operands[0]) is not type(operands[1]) or UNKNOWN in operands:
        return UNKNOWN
    try:
        return bounded(known(*operands))
    except (TypeError, ArithmeticError):
        return UNKNOWN


def bounded(value: object) -> object:
    if isinstance(value, int | float):
        return value if abs(value) < _LARGEST else UNKNOWN
    most = MAX_TEXT if isinstance(value, str) else MAX_ITEMS
    return UNKNOWN if isinstance(value, str | list | dict) and len(value) > most else value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError


def _join(separator: str, *lists: Any) -> str:
    return _text(separator).join(_text(i) for part in lists for i in (part if isinstance(part, list) else [part]))


def _format(pattern: str, *arguments: Any) -> str:
    """Terraform's `format`. Raises LookupError, TypeError or ValueError for what is not understood here."""
    left = list(arguments)

    def one(verb: re.Match[str]) -> str:
        flags, width, kind = verb[1], verb[2], verb[3]
        if kind == "%":
            return "%"
        if int(width.partition(".")[0] or 0) > MAX_TEXT:
            raise ValueError
        value = left.pop(0)
        if kind in "svt":
            if "0" in flags:
                raise ValueError
            return f"%{flags}{width}s" % _text(value)
        if kind == "q":
            return json.dumps(_text(value))
        if kind == "b":
            return format(int(value), f"{flags}{width}b")
        return f"%{flags}{width}{kind}" % (_number(value) if kind == "f" else int(_number(value)))

    text = _VERB.sub(one, pattern)
    if left or "%" in _VERB.sub("", pattern):
        raise ValueError
    return text


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        return float(value) if "." in value or "e" in value.lower() else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _found(pattern: str, text: str) -> Iterator[re.Match[str]]:
    """Raises ValueError for a pattern that Python could read otherwise than Terraform, or not in linear time."""
    is_odd = _ODD_PATTERN.search(pattern) or len(_REPEATS.findall(pattern)) > 2
    if is_odd or len(text) > _MAX_SEARCHED or "\n" in text:
        raise ValueError
    for found in re.finditer(pattern, text, re.ASCII):
        if not found[0]:
            raise ValueError
        yield found


def _regex(pattern: str, text: str) -> object:
    first = next(_found(pattern, text))
    return list(first.groups()) or first[0]


def _replace(text: str, old: str, new: str) -> str:
    if not (len(old) > 1 and old.startswith("/") and old.endswith("/")):
        if text.count(old) * len(new) > MAX_TEXT:
            raise ValueError
        return text.replace(old, new)
    if "$" in _GROUP.sub("", new):
        raise ValueError
    pieces, end = [""], 0
    for found in _found(old[1:-1], text):
        pieces.append(text[end : found.start()])
        pieces += [found[int(one)] or "" if n % 2 else one for n, one in enumerate(_GROUP.split(new))]
        end = found.end()
    return "".join([*pieces, text[end:]])


def _substr(text: str, start: int, length: int) -> str:
    first = start if start >= 0 else len(text) + start
    return text[first:] if length < 0 else text[first : first + length]


def _subnet(prefix: str, bits: int, number: int) -> str:
    network = ipaddress.ip_network(prefix, strict=False)
    first, size = int(network.network_address), network.max_prefixlen - network.prefixlen - bits
    if number >= 2**bits or size < 0:
        raise ValueError
    return str(ipaddress.ip_network((first + (number << size), network.prefixlen + bits)))


def _digest(name: str, text: str) -> str:
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _unpacked(data: bytes) -> str:
    unpacking = zlib.decompressobj(wbits=31)
    text = unpacking.decompress(data, MAX_TEXT)
    if not unpacking.eof:
        raise ValueError
    return text.decode()


def _flat(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield from _flat(item) if isinstance(item, list) else [item]


def _lookup(table: dict[str, Any], key: Any, *default: Any) -> object:
    return UNKNOWN if key is UNKNOWN else table.get(_text(key), default[0] if default else UNKNOWN)


def _all_known(items: list[Any]) -> list[Any]:
    if not isinstance(items, list) or UNKNOWN in items:
        raise TypeError
    return items


def _set(items: Iterable[Any]) -> list[str]:
    return sorted({_text(i) for i in items})


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
    "*": lambda a, b: a * b if isinstance(a, int | float) else UNKNOWN,
    "/": lambda a, b: a // b if a % b == 0 else a / b,
    "%": lambda a, b: a % b if isinstance(a, int | float) else UNKNOWN,
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
    "formatlist": lambda pattern, *lists: [
        _format(pattern, *(one[n] if isinstance(one, list) else one for one in lists))
        for n in range(max(len(one) for one in lists if isinstance(one, list)))
    ],
    "regex": _regex,
    "regexall": lambda pattern, text: [list(m.groups()) or m[0] for m in _found(pattern, text)],
    "strrev": lambda text: _text(text)[::-1],
    "trim": lambda text, cut: _text(text).strip(cut),
    "title": lambda text: re.sub(r"\b[a-z]", lambda first: first[0].upper(), _text(text)),
    "reverse": lambda items: _all_known(items)[::-1],
    "sort": lambda items: sorted(_text(i) for i in _all_known(items)),
    "slice": lambda items, start, end: items[start:end],
    "range": lambda *bounds: [n for n, _ in zip(range(*bounds), range(MAX_ITEMS + 1), strict=False)],
    "setunion": lambda *sets: _set(i for one in sets for i in _all_known(one)),
    "setintersection": lambda first, *sets: _set(i for i in _all_known(first) if all(i in one for one in sets)),
    "setsubtract": lambda first, second: _set(i for i in _all_known(first) if i not in _all_known(second)),
    "setproduct": lambda *sets: [list(pair) for pair in islice(product(*sets), MAX_ITEMS + 1)],
    "chunklist": lambda items, size: [items[n : n + size] for n in range(0, len(items), size)],
    "coalescelist": lambda *lists: next(one for one in lists if one),
    "matchkeys": lambda items, keys, wanted: [i for i, k in zip(items, keys, strict=True) if k in wanted],
    "zipmap": lambda keys, items: dict(zip(_all_known(keys), items, strict=True)),
    "tonumber": _number,
    "parseint": int,
    "max": max,
    "min": min,
    "floor": math.floor,
    "ceil": math.ceil,
    "cidrhost": lambda prefix, number: str(ipaddress.ip_network(prefix, strict=False)[number]),
    "cidrsubnet": _subnet,
    "base64gunzip": lambda text: _unpacked(base64.b64decode(text, validate=True)),
    "concat": lambda *lists: [i for part in lists for i in part],
    "flatten": lambda items: list(_flat(items)),
    "toset": lambda items: _set(_all_known(items)),
    "distinct": lambda items: list(dict.fromkeys(_all_known(items))),
    "compact": lambda items: [i for i in _all_known(items) if i not in ("", None)],
    "element": lambda items, index: items[index % len(items)],
    "one": lambda items: None if not items else items[0] if len(items) == 1 else UNKNOWN,
    **{name: partial(_digest, name) for name in ("md5", "sha1", "sha256", "sha512")},
    "base64sha256": lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
    "base64sha512": lambda text: base64.b64encode(hashlib.sha512(text.encode()).digest()).decode(),
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
