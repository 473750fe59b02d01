"""Regions and accounts that a plan reaches (H13, design rule 24): `region` arguments of AWS 6, provider blocks, ARNs, hosts, zones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ops_agent.core.plans.plan_values import Leaf
from ops_agent.domain.policy import ROOT, Policy
from ops_agent.domain.terraform_plan import UNKNOWN, Danger, ResourceChange, Severity

_REGION: Final = (
    r"(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-gov|-iso[a-z]?|-de)?"
    r"-(?:central|east|north|northeast|northwest|south|southeast|southwest|west)-[0-9]{1,2}"
)
_WHOLE = re.compile(rf"({_REGION})(?:[a-z]|-[a-z]{{3}}-[0-9][a-z])?$")
_ARN = re.compile(r"\barn:aws[a-z-]{0,10}:[a-z0-9-]{0,40}:([a-z0-9-]{0,30}):([0-9]{12})?")
_HOST = re.compile(rf"(?:\b([0-9]{{12}})\.dkr\.ecr\.)?(?<![a-z0-9])({_REGION})\.(?:amazonaws\.com|on\.aws|api\.aws)")
_ACCOUNT = re.compile(r"[0-9]{12}$")
_ACCOUNT_KEY = re.compile(r"(?i)(?:account|account_?id|owner_?id|owner|source_?account|principal)s?$")

Found = tuple[tuple[str, ...], tuple[str, ...]]
_NOTHING: Final[Found] = ((), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Regions and accounts, sorted, and the dangers that come from them."""

    regions: tuple[str, ...]
    accounts: tuple[str, ...]
    dangers: tuple[Danger, ...]


class PlaceFinder:
    """Every region and account that what changes names. Fed with one change after the other."""

    def __init__(self, policy: Policy, account: str | None) -> None:
        self._policy = policy
        self._account = account
        self._ours = {number: name for name, number in policy.accounts.items()}
        self._regions: set[str] = set()
        self._accounts: set[str] = {account} if account else set()
        self._dangers: list[Danger] = []
        self._cache: dict[str, Found] = {}

    def providers(self, plan: dict[str, Any]) -> None:
        """The AWS provider blocks of the plan's configuration."""
        for provider, region in _provider_regions(plan):
            if region is None:
                why = "takes its region from something that the plan cannot resolve: cannot tell where its resources would be"
                self._dangers.append(Danger(address=provider, why=why, rule="plan/unresolved-region"))
            else:
                self._note(provider, {region}, set())

    def add(self, change: ResourceChange, strings: Iterable[Leaf]) -> None:
        """What `change` sets: `strings` are its planned leaves."""
        regions: set[str] = set()
        accounts: set[str] = set()
        for key, text in strings:
            if len(text) < 9:
                continue
            found = self._cache.get(text)
            if found is None:
                found = self._cache[text] = _places_in(text)
            if found is not _NOTHING:
                regions.update(found[0])
                accounts.update(found[1])
            if len(text) == 12 and _ACCOUNT.match(text) and _ACCOUNT_KEY.search(key):
                accounts.add(text)
        if regions or accounts:
            self._note(change.address, regions, accounts)
        before = change.before
        if isinstance(before, dict) and "region" in before and isinstance(change.after, dict) and change.after.get("region") is UNKNOWN:
            why = "cannot tell until apply in which region it would be"
            self._dangers.append(Danger(address=change.address, why=why, rule="plan/unresolved-region", severity=Severity.NOTICE))

    def places(self) -> Places:
        return Places(regions=tuple(sorted(self._regions)), accounts=tuple(sorted(self._accounts)), dangers=tuple(self._dangers))

    def _note(self, address: str, regions: set[str], accounts: set[str]) -> None:
        self._regions |= regions
        self._accounts |= accounts
        for region in sorted(regions - {self._policy.region}):
            why = f"names region {region}; only {self._policy.region} is allowed"
            self._dangers.append(Danger(address=address, why=why, rule="plan/foreign-region", blocks=True))
        for owner in sorted(accounts):
            name = self._ours.get(owner)
            if name is None:
                why = f"names account {owner}, which is none of ours"
                self._dangers.append(Danger(address=address, why=why, rule="plan/foreign-account"))
            elif self._account is not None and owner != self._account:
                whose = "the organisation's root account" if name == ROOT else f"the account of {name}"
                why = f"names account {owner} ({whose}) from a plan of another account"
                self._dangers.append(Danger(address=address, why=why, rule="plan/other-account"))


def _places_in(text: str) -> Found:
    if whole := _WHOLE.match(text):
        return (whole.group(1),), ()
    regions: list[str] = []
    accounts: list[str] = []
    if "arn:aws" in text:
        for region, owner in _ARN.findall(text):
            regions += [region] if region else []
            accounts += [owner] if owner else []
    if "aws" in text and "." in text:
        for owner, region in _HOST.findall(text):
            regions.append(region)
            accounts += [owner] if owner else []
    return (tuple(regions), tuple(accounts)) if regions or accounts else _NOTHING


def _provider_regions(plan: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """(provider block, region) of every AWS provider block that sets one; None for what the plan cannot resolve."""
    configuration = plan.get("configuration")
    providers = configuration.get("provider_config") if isinstance(configuration, dict) else None
    for key, provider in providers.items() if isinstance(providers, dict) else ():
        expressions = provider.get("expressions") if isinstance(provider, dict) else None
        region = expressions.get("region") if isinstance(expressions, dict) else None
        if isinstance(region, dict):
            resolved = _resolved(region, plan, in_root=not provider.get("module_address"))
            yield f"provider {key}", resolved if isinstance(resolved, str) else None


def _resolved(expression: dict[str, Any], plan: dict[str, Any], *, in_root: bool) -> Any:
    if "constant_value" in expression:
        return expression["constant_value"]
    references = expression.get("references")
    if in_root and isinstance(references, list) and len(references) == 1 and str(references[0]).startswith("var."):
        given = plan.get("variables")
        entry = given.get(str(references[0])[4:]) if isinstance(given, dict) else None
        return entry.get("value") if isinstance(entry, dict) else None
    return None
