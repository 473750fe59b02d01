"""Regions and accounts that a plan reaches (H13 of the security bar): `region` arguments of AWS 6, provider blocks, ARNs, hosts, zones."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ops_agent.core.plans.places_in_text import NOTHING, Found, places_in
from ops_agent.core.plans.plan_references import without_key
from ops_agent.core.plans.plan_values import Leaf, blocks, leaves
from ops_agent.domain.policy import ROOT, Policy
from ops_agent.domain.terraform_plan import SENSITIVE, Danger, Hidden, ResourceChange, Severity


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
        self._found: dict[Leaf, Found] = {}
        self._nothing: set[Leaf] = set()
        self._unseen: list[ResourceChange] = []

    def add(self, change: ResourceChange, strings: Set[Leaf]) -> None:
        """What `change` sets: `strings` are its planned leaves. An import brings all of what is there."""
        if change.import_id is not None:
            strings = {*leaves(change.after), ("import", change.import_id)}
        self.named(change.address, strings)
        if isinstance(change.after, dict) and isinstance(change.after.get("region"), Hidden):
            self._unseen.append(change)

    def named(self, address: str, strings: Set[Leaf]) -> None:
        """What `address` (a resource or a provider action) sets."""
        regions: set[str] = set()
        accounts: set[str] = set()
        everyone = False
        for leaf in strings - self._nothing:
            found = self._found.get(leaf) or places_in(*leaf)
            if found is NOTHING:
                self._nothing.add(leaf)
                continue
            self._found[leaf] = found
            regions |= found.regions
            accounts |= found.accounts
            everyone = everyone or found.everyone
        if regions or accounts:
            self._note(address, regions, accounts)
        if everyone:
            self._dangers.append(Danger(address=address, why="names principals of every account (`*`)", rule="plan/foreign-principal"))

    def places(self, plan: dict[str, Any]) -> Places:
        """All that was found, and what the plan's configuration says of providers and of regions that cannot be seen."""
        found, self._dangers = self._dangers, []
        for provider, region in _provider_regions(plan):
            if region is None:
                why = "takes its region from something that the plan cannot resolve: cannot tell where its resources would be"
                self._dangers.append(Danger(address=provider, why=why, rule="plan/unresolved-region"))
            else:
                self._note(provider, {region}, set())
        explicit = frozenset(_with_own_region(plan)) if self._unseen else frozenset()
        dangers = (*self._dangers, *found, *(danger for change in self._unseen for danger in _unseen(change, explicit)))
        return Places(regions=tuple(sorted(self._regions)), accounts=tuple(sorted(self._accounts)), dangers=dangers)

    def _note(self, address: str, regions: set[str], accounts: set[str]) -> None:
        ours = self._policy.region
        foreign = {region for region in regions if region != ours and not fnmatchcase(ours, region)}
        self._regions |= foreign | (regions & {ours})
        self._accounts |= accounts
        for region in sorted(foreign):
            why = f"names region {region}; only {ours} is allowed"
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


def _unseen(change: ResourceChange, explicit: frozenset[str]) -> Iterator[Danger]:
    """A region that is hidden: it blocks when the source sets it; the provider's own computed one is a notice, or nothing at a creation."""
    is_secret = change.after["region"] is SENSITIVE
    is_grave = is_secret or without_key(change.address) in explicit
    if is_grave or (isinstance(change.before, dict) and "region" in change.before):
        why = "hides its region as sensitive" if is_secret else "cannot tell until apply in which region it would be"
        severity = Severity.DANGER if is_grave else Severity.NOTICE
        yield Danger(address=change.address, why=why, rule="plan/unresolved-region", severity=severity, blocks=is_grave)


def _with_own_region(plan: dict[str, Any]) -> Iterator[str]:
    """Addresses, without keys, of resources whose source sets `region` (AWS provider 6)."""
    configuration = plan.get("configuration")
    stack: list[tuple[str, Any]] = [("", configuration.get("root_module") if isinstance(configuration, dict) else None)]
    while stack:
        prefix, module = stack.pop()
        for resource in blocks(module.get("resources")) if isinstance(module, dict) else ():
            if isinstance(resource.get("expressions"), dict) and resource["expressions"].get("region"):
                yield f"{prefix}{resource.get('address', '')}"
        calls = module.get("module_calls") if isinstance(module, dict) else None
        for name, call in calls.items() if isinstance(calls, dict) else ():
            stack.append((f"{prefix}module.{name}.", call.get("module") if isinstance(call, dict) else None))


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
