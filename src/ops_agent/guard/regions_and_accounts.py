"""AWS regions and account ids in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.text.aws_regions import REGION, SHORT_REGION, region_of

_REGION = re.compile(rf"(?<![a-z0-9]){REGION}(?![0-9])", re.IGNORECASE)
_ACCOUNT = re.compile(r"(?<![0-9a-zA-Z.])([0-9]{12})(?![0-9a-zA-Z]|\.[0-9])")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d")
_IN_ADDRESS = re.compile(r"(?:arn:[^:\s]*:[^:\s]*:[^:\s]*:|//|^)([0-9]{12})(?=[:.])")


def foreign_regions(text: str, region: str) -> tuple[str, ...]:
    """Regions in `text` other than `region`, each once and as it is written: first whole names, then the short names in
    zone ids and hosts.
    """
    names = [found[0] for found in _REGION.finditer(text) if found[0].lower() != region]
    short = [found[0] for found in SHORT_REGION.finditer(text) if region_of(found) != region]
    return tuple(dict.fromkeys(names + short))


def accounts_in(text: str) -> Iterator[str]:
    """Numbers of exactly 12 digits, as account ids do in ARNs, registries and policies."""
    return (m[1] for m in _ACCOUNT.finditer(text))


def real_accounts(text: str) -> Iterator[str]:
    """Account ids in a text: not identifiers and times of twelve digits, except as the account of an address."""
    in_addresses = set(_IN_ADDRESS.findall(text))
    plain = _UUID.sub("", text)
    yield from (a for a in accounts_in(text) if a in in_addresses or (a in plain and not _TIME.fullmatch(a)))
