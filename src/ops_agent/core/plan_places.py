"""Regions and accounts that a plan reaches (H13, design rule 24): `region` arguments of AWS 6, provider blocks, ARNs, hosts, zones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ops_agent.core.plan_values import leaves
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


def places_of_plan(plan: dict[str, Any], changes: tuple[ResourceChange, ...], policy: Policy, account: str | None) -> Places:
    """Every region and account that what changes names. `account` is the one that the plan was made against."""
    regions: set[str] = set()
    accounts: set[str] = {account} if account else set()
    dangers: list[Danger] = []
    for provider, region in _provider_regions(plan):
        if region is None:
            why = "takes its region from something that the plan cannot resolve: cannot tell where its resources would be"
            dangers.append(Danger(address=provider, why=why, rule="plan/unresolved-region"))
        else:
            regions.add(region)
            dangers.extend(_foreign_region(provider, region, policy))
    cache: dict[str, Found] = {}
    for change in changes:
        here, owners = _of_change(change, cache)
        regions |= here
        accounts |= owners
        for region in sorted(here):
            dangers.extend(_foreign_region(change.address, region, policy))
        for owner in sorted(owners):
            dangers.extend(_foreign_account(change.address, owner, policy, account))
        if isinstance(change.after, dict) and change.after.get("region") is UNKNOWN and "region" in _configured(change):
            why = "cannot tell until apply in which region it would be"
            dangers.append(Danger(address=change.address, why=why, rule="plan/unresolved-region", severity=Severity.NOTICE))
    return Places(regions=tuple(sorted(regions)), accounts=tuple(sorted(accounts)), dangers=tuple(dangers))


def _configured(change: ResourceChange) -> tuple[str, ...]:
    """Attributes that were there before: a `region` that is computed for a new resource follows its provider."""
    return tuple(change.before) if isinstance(change.before, dict) else ()


def _of_change(change: ResourceChange, cache: dict[str, Found]) -> tuple[set[str], set[str]]:
    regions: set[str] = set()
    accounts: set[str] = set()
    after = change.after if isinstance(change.after, dict) else {}
    for name in change.changed_attributes:
        for key, text in leaves(after.get(name), name):
            found = cache.get(text)
            if found is None:
                found = cache[text] = _places_in(text)
            regions.update(found[0])
            accounts.update(found[1])
            if len(text) == 12 and _ACCOUNT_KEY.search(key) and _ACCOUNT.match(text):
                accounts.add(text)
    return regions, accounts


def _places_in(text: str) -> Found:
    if len(text) < 9:
        return _NOTHING
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


def _foreign_region(address: str, region: str, policy: Policy) -> Iterator[Danger]:
    if region != policy.region:
        yield Danger(
            address=address, why=f"names region {region}; only {policy.region} is allowed", rule="plan/foreign-region", blocks=True
        )


def _foreign_account(address: str, owner: str, policy: Policy, account: str | None) -> Iterator[Danger]:
    ours = {number: name for name, number in policy.accounts.items()}
    if owner not in ours:
        yield Danger(address=address, why=f"names account {owner}, which is none of ours", rule="plan/foreign-account")
    elif account is not None and owner != account:
        name = "the organisation's root account" if ours[owner] == ROOT else f"the account of {ours[owner]}"
        yield Danger(address=address, why=f"names account {owner} ({name}) from a plan of another account", rule="plan/other-account")


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
