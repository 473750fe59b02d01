"""Regions and accounts that a plan names: `region` arguments of AWS 6, provider blocks, and every planned value, in
whatever form AWS writes them (ARNs, hosts, zones, policies, encoded scripts).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import SENSITIVE, Hidden, ResourceChange
from ops_agent.model.policy import ROOT, Policy
from ops_agent.plan.configuration import provider_regions, resources_with_region, without_key
from ops_agent.plan.findings import finding
from ops_agent.plan.masking import Leaf, leaves, parsed_json
from ops_agent.text.aws_regions import REGION, SHORT_REGION, region_of

_LEAST: Final = 8
"""Shorter texts name no place: `use1-az1` has eight characters."""
_WHOLE = re.compile(rf"({REGION})(?:[a-z]|-[a-z]{{3}}-[0-9]{{1,2}}[a-z])?")
_WHOLE_LIST = re.compile(rf"{REGION}(?:[\s,;|/]+{REGION})+")
_INSIDE = re.compile(rf"(?<![a-z0-9])({REGION})(?![0-9])")
_INSIDE_ZONE = re.compile(REGION)
_ARN = re.compile(
    r"(?<![a-z0-9])arn:[a-z*?][a-z0-9*?-]{0,20}:[a-z0-9*?-]{0,60}:"
    r"([a-z0-9*?-]{0,40}):([0-9*?]{0,20})(?=[:\s\"',\]})]|$)"
)
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
_MAX_DECODED: Final = 1_000_000
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


def regions_and_accounts_in(key: str, text: str) -> Found:
    """What `text` names as the value of `key` (the nearest attribute or map key). Never raises; linear."""
    if len(text) < _LEAST or (len(text) < _LEAST_ENCODED and not _HINT.search(text)):
        return NOTHING
    regions: set[str] = set()
    accounts: set[str] = set()
    everyone = False
    for inner_key, inner in _layers(key, text, _DEEPEST):
        lowered, name = inner.casefold(), inner_key.rsplit(":", 1)[-1]
        regions.update(_regions(lowered))
        if "-" in inner and len(inner) <= 30 and _REGION_KEY.fullmatch(name) and len(inner.split()) == 1:
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
        yield from map(region_of, SHORT_REGION.finditer(text))
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
    """`text`, and what it holds in another form: strings of JSON, text behind base64 and gzip; `depth` deep at most."""
    yield key, text
    if depth <= 0:
        return
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        for inner_key, inner in _strings(parsed_json(stripped), key):
            yield from _layers(inner_key, inner, depth - 1)
    elif len(text) >= _LEAST_ENCODED and _BASE64.fullmatch(text):
        decoded = _decoded(text)
        if decoded:
            yield from _layers(key, decoded, depth - 1)


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every string, number of 12 digits and long key below `value`, each with the key above it."""
    stack: list[tuple[str, Any]] = [(key, value)]
    while stack:
        name, item = stack.pop()
        if isinstance(item, dict):
            for inner, element in item.items():
                stack.append((str(inner), element))
                if len(inner) >= _LEAST:
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
            raw = zlib.decompressobj(wbits=31).decompress(raw, _MAX_DECODED)
        except zlib.error:
            return ""
    decoded = raw[:_MAX_DECODED].decode("utf-8", errors="replace")
    readable = sum(char.isprintable() or char in "\n\r\t" for char in decoded[:200])
    return decoded if readable * 10 >= len(decoded[:200]) * 9 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionsAndAccounts:
    """Regions and accounts, sorted, and the findings about them."""

    regions: tuple[str, ...]
    accounts: tuple[str, ...]
    findings: tuple[Finding, ...]


class RegionAndAccountFinder:
    """Every region and account that what changes names. Fed with one change after the other."""

    def __init__(self, policy: Policy, account: str | None, known_accounts: Collection[str] = ()) -> None:
        self._policy = policy
        self._account = account
        self._public = frozenset(known_accounts)
        self._ours = {number: name for name, number in policy.accounts.items()}
        self._regions: set[str] = set()
        self._accounts: set[str] = {account} if account else set()
        self._findings: list[Finding] = []
        self._known: dict[Leaf, Found] = {}
        self._without: set[Leaf] = set()
        self._hidden: list[ResourceChange] = []

    def add(self, change: ResourceChange, strings: Set[Leaf]) -> None:
        """What `change` sets: `strings` are its planned leaves. An import brings all of what is there."""
        if change.import_id is not None:
            strings = {*leaves(change.after), ("import", change.import_id)}
        self.add_strings(change.address, strings)
        if isinstance(change.new.get("region"), Hidden):
            self._hidden.append(change)

    def add_strings(self, address: str, strings: Set[Leaf]) -> None:
        """What `address` (a resource or a provider action) sets."""
        regions: set[str] = set()
        accounts: set[str] = set()
        everyone = False
        for leaf in strings - self._without:
            found = self._known.get(leaf) or regions_and_accounts_in(*leaf)
            if found is NOTHING:
                self._without.add(leaf)
                continue
            self._known[leaf] = found
            regions |= found.regions
            accounts |= found.accounts
            everyone = everyone or found.everyone
        self._note(address, regions, accounts)
        if everyone:
            self._findings.append(finding("foreign-principal", address, "names principals of every account (`*`)"))

    def found(self, plan: dict[str, Any]) -> RegionsAndAccounts:
        """All that was found, and what the configuration says of providers and of regions that cannot be seen."""
        found, self._findings = self._findings, []
        for provider, region in provider_regions(plan):
            if region is None:
                why = (
                    "takes its region from a value that the plan does not resolve: cannot tell where its resources are"
                )
                self._findings.append(finding("unresolved-region", provider, why))
            else:
                self._note(provider, {region}, set())
        explicit = frozenset(resources_with_region(plan)) if self._hidden else frozenset()
        hidden = (one for change in self._hidden for one in _hidden_region(change, explicit))
        return RegionsAndAccounts(
            regions=tuple(sorted(self._regions)),
            accounts=tuple(sorted(self._accounts)),
            findings=(*self._findings, *found, *hidden),
        )

    def _note(self, address: str, regions: set[str], accounts: set[str]) -> None:
        ours = self._policy.region
        foreign = {region for region in regions if region != ours and not fnmatchcase(ours, region)}
        self._regions |= foreign | (regions & {ours})
        self._accounts |= accounts
        for region in sorted(foreign):
            self._findings.append(finding("foreign-region", address, f"names region {region}; only {ours} is allowed"))
        for owner in sorted(accounts):
            name = self._ours.get(owner)
            if name is None and owner in self._public:
                continue
            if name is None:
                why = f"names account {owner}, which is not one of our accounts"
                self._findings.append(finding("foreign-account", address, why))
            elif self._account is not None and owner != self._account:
                whose = "the organisation's root account" if name == ROOT else f"the account of {name}"
                why = f"names account {owner} ({whose}) from a plan of another account"
                self._findings.append(finding("other-account", address, why))


def _hidden_region(change: ResourceChange, explicit: frozenset[str]) -> Iterator[Finding]:
    """Blocks when the source sets the region; one that the provider computes is a notice, or nothing at a creation."""
    is_secret = change.new["region"] is SENSITIVE
    blocks = is_secret or without_key(change.address) in explicit
    if blocks or "region" in change.old:
        why = "hides its region as sensitive" if is_secret else "cannot tell until apply in which region it is"
        severity = Severity.BLOCKS if blocks else Severity.NOTICE
        yield finding("unresolved-region", change.address, why, severity, certain=False)
