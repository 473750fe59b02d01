"""AWS regions and account ids in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

_REGION = re.compile(
    r"(?<![a-z0-9])((?:af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov|us-isob?|us-isof|eu-isoe|eusc-de)"
    r"-(?:central|north|south|east|west|northeast|northwest|southeast|southwest)-\d{1,2})(?![0-9])",
    re.IGNORECASE,
)
_ZONE_ID = re.compile(r"(?<![a-z0-9])([a-z]{3,5}\d{1,2})-az\d(?![0-9])", re.IGNORECASE)
_ACCOUNT = re.compile(r"(?<![0-9a-zA-Z.])([0-9]{12})(?![0-9a-zA-Z]|\.[0-9])")
_SHORT = {"central": "c", "north": "n", "south": "s", "east": "e", "west": "w"}
_SHORT |= {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d")
_IN_ADDRESS = re.compile(r"(?:arn:[^:\s]*:[^:\s]*:[^:\s]*:|//|^)([0-9]{12})(?=[:.])")


def foreign_regions(text: str, region: str) -> tuple[str, ...]:
    """Region names and availability zone ids in `text` that are not of `region`, in order, as written."""
    found = [m[1] for m in _REGION.finditer(text) if m[1].lower() != region]
    return tuple(dict.fromkeys(found + [m[0] for m in _ZONE_ID.finditer(text) if m[1].lower() != _short(region)]))


def accounts_in(text: str) -> Iterator[str]:
    """Numbers of exactly 12 digits, as account ids do in ARNs, registries and policies."""
    return (m[1] for m in _ACCOUNT.finditer(text))


def _short(region: str) -> str:
    *start, direction, number = region.split("-")
    return "".join(start)[:4] + _SHORT.get(direction, "") + number


def real_accounts(text: str) -> Iterator[str]:
    """Account ids in a text: not identifiers and times of twelve digits, except as the account of an address."""
    in_addresses = set(_IN_ADDRESS.findall(text))
    plain = _UUID.sub("", text)
    yield from (a for a in accounts_in(text) if a in in_addresses or (a in plain and not _TIME.fullmatch(a)))
