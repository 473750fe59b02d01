"""Regions and accounts that one planned value names, in whatever form AWS writes them: ARNs, hosts, zones, policies, encoded scripts."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

REGION: Final = (
    r"(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-gov|-iso[a-z]?|-de)?"
    r"-(?:central|east|north|northeast|northwest|south|southeast|southwest|west)-[0-9]{1,2}"
)
SHORTEST: Final = 8
"""Shorter texts name no place: `use1-az1` has eight characters."""
_WHOLE = re.compile(rf"({REGION})(?:[a-z]|-[a-z]{{3}}-[0-9]{{1,2}}[a-z])?")
_WHOLE_LIST = re.compile(rf"{REGION}(?:[\s,;|/]+{REGION})+")
_INSIDE = re.compile(rf"(?<![a-z0-9])({REGION})(?![0-9])")
_INSIDE_ZONE = re.compile(REGION)
_SHORT = re.compile(r"(?<![a-z0-9])(af|ap|ca|cn|eu|il|me|mx|sa|us|usg)(n|s|e|w|c|ne|nw|se|sw)([0-9]{1,2})(?=-az[0-9]|\.cache\.)")
_DIRECTIONS: Final = {"n": "north", "s": "south", "e": "east", "w": "west", "c": "central"} | {
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
_ARN = re.compile(r"(?<![a-z0-9])arn:[a-z*?][a-z0-9*?-]{0,20}:[a-z0-9*?-]{0,60}:([a-z0-9*?-]{0,40}):([0-9*?]{0,20})(?=[:\s\"',\]})]|$)")
_SEPARATORS = re.compile(r"[\s\"'`,;<>(){}\[\]]+")
_OF_AWS: Final = ("amazonaws", "amazoncognito", "awsapprunner", ".aws", "aws.")
_POOL = re.compile(rf"(?<![a-z0-9])({REGION})[_:](?=[A-Za-z0-9])")
_REGISTRY = re.compile(r"(?<![0-9])([0-9]{12})\.dkr[.-]ecr")
_QUEUE_HOST = re.compile(r"amazonaws\.com(?:\.cn)?/([0-9]{12})/")
_ACCOUNT = re.compile(r"[0-9]{12}")
_ACCOUNT_KEY = re.compile(r"(?i)(?:account(?:_?id)?|owner(?:_?id)?|principal|registry_?id|shared_?id|user_?id|^aws)s?$")
_REGION_KEY = re.compile(r"(?i)(?:.+_)?region(?:_name|s)?")
_PRINCIPAL_KEY = re.compile(r"(?i)(?:aws|.*principal(?:arn|account)?s?)")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{24,}+={0,2}\s*")
_MOST_DECODED: Final = 1_000_000
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What one value names. `regions` may hold patterns (`us-*`); `everyone`: principals of every account."""

    regions: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    everyone: bool = False


NOTHING: Final = Found()
_LEAST_ENCODED: Final = 24
_HINT = re.compile(r"[-.:{\[\"]|[0-9]{12}")
"""What a short text must hold to name a place at all."""


def places_in(key: str, text: str) -> Found:
    """What `text` names when it stands under `key` (the nearest attribute or map key). Total, and linear in the text's length."""
    if len(text) < SHORTEST or (len(text) < _LEAST_ENCODED and not _HINT.search(text)):
        return NOTHING
    regions: set[str] = set()
    accounts: set[str] = set()
    everyone = False
    for inner_key, inner in _layers(key, text, _DEEPEST):
        lowered, name = inner.casefold(), inner_key.rsplit(":", 1)[-1]
        regions.update(_regions(lowered))
        if "-" in inner and len(inner) <= 30 and _REGION_KEY.fullmatch(name) and not any(char.isspace() for char in inner):
            regions.add(_WHOLE.sub(r"\1", lowered))
        for region, owner in _ARN.findall(lowered) if "arn:" in lowered else ():
            regions.update({region} if region else ())
            accounts.update({owner} if _ACCOUNT.fullmatch(owner) else ())
            everyone = everyone or ("*" in owner and _PRINCIPAL_KEY.fullmatch(name) is not None)
        if "." in lowered:
            accounts.update(_REGISTRY.findall(lowered))
            accounts.update(_QUEUE_HOST.findall(lowered))
        if len(inner) == 12 and _ACCOUNT.fullmatch(inner) and _ACCOUNT_KEY.search(name):
            accounts.add(inner)
    if not (regions or accounts or everyone):
        return NOTHING
    return Found(frozenset(regions), frozenset(accounts), everyone)


def _regions(text: str) -> Iterator[str]:
    if "-az" in text or ".cache." in text:
        for area, direction, number in _SHORT.findall(text):
            yield f"{'us-gov' if area == 'usg' else area}-{_DIRECTIONS[direction]}-{number}"
    if "-" not in text or not _INSIDE_ZONE.search(text):
        return
    if whole := _WHOLE.fullmatch(text):
        yield whole.group(1)
    elif _WHOLE_LIST.fullmatch(text):
        yield from _INSIDE.findall(text)
    yield from _POOL.findall(text)
    if "aws" in text or "amazon" in text:
        for token in _SEPARATORS.split(text):
            if any(mark in token for mark in _OF_AWS):
                yield from _INSIDE.findall(token)


def _layers(key: str, text: str, depth: int) -> Iterator[tuple[str, str]]:
    """`text` itself, and what it holds in another form: the strings of JSON, the text behind base64 and gzip. At most `depth` deep."""
    yield key, text
    if depth <= 0:
        return
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        try:
            parsed = json.loads(stripped)
        except (ValueError, RecursionError):
            parsed = None
        for inner_key, inner in _strings(parsed, key):
            yield from _layers(inner_key, inner, depth - 1)
    elif len(text) >= _LEAST_ENCODED and _BASE64.fullmatch(text):
        decoded = _decoded(text)
        if decoded:
            yield from _layers(key, decoded, depth - 1)


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every string, number of 12 digits and long key below `value`, each with the key that it stands under."""
    stack: list[tuple[str, Any]] = [(key, value)]
    while stack:
        name, item = stack.pop()
        if isinstance(item, dict):
            for inner, element in item.items():
                stack.append((str(inner), element))
                if len(inner) >= SHORTEST:
                    yield name, inner
        elif isinstance(item, list):
            stack.extend((name, element) for element in item)
        elif isinstance(item, str):
            yield name, item
        elif isinstance(item, int) and not isinstance(item, bool) and 10**11 <= item < 10**12:
            yield name, str(item)


def _decoded(text: str) -> str:
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = zlib.decompressobj(wbits=31).decompress(raw, _MOST_DECODED)
        except zlib.error:
            return ""
    decoded = raw[:_MOST_DECODED].decode("utf-8", errors="replace")
    readable = sum(char.isprintable() or char in "\n\r\t" for char in decoded[:200])
    return decoded if readable * 10 >= len(decoded[:200]) * 9 else ""
