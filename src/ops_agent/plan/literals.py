"""What differs between two sides, as a flat configuration of literals and a state for the real provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat
from typing import Any, Final, Literal

from ops_agent.plan.configuration import inside, members
from ops_agent.plan.sides import DOCUMENT, Item, Json, Registry, Side, Standin, escaped, leaves
from ops_agent.terraform.statements import implied

ON_BASE: Final = " on the base"
"""Behind the address of a data source that is asked something else on the head."""
_BUILT_IN: Final = "terraform.io/builtin/"
_UNKNOWN: Final = "unknown"
_NOT_KNOWN: Final = f"${{jsondecode(terraform_data.{_UNKNOWN}.id)}}"
"""Of any type, and unknown until an apply."""


Of = Literal["base", "head", "alone"]
"""A flat configuration of literals only, of references with an output for each policy document, or of instances by
themselves, where all is unknown that the sources do not write out.
"""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the real provider has to plan. The `base` has its instances by their address on the head; `moved` are old
    addresses by new ones, `names` those in the flat configuration, `users` who uses an instance on the head.
    """

    base: Side
    head: Side
    registry: Registry
    names: Mapping[str, str]
    moved: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, set[str]] = field(default_factory=dict)

    def item(self, address: str) -> Item:
        """The instance on the head, or of what goes on the base."""
        return self.head.items.get(address) or self.base.items[address]

    @property
    def held(self) -> list[str]:
        """Resources that the base has: those in its state."""
        return [a for a in self.names if a in self.base.items and self.base.items[a].mode == "managed"]

    def without(self, addresses: Iterable[str]) -> Difference:
        left = set(addresses)
        return replace(self, names={a: n for a, n in self.names.items() if a not in left})


def whole(side: Side, prefix: str = "") -> Difference:
    """Everything of one side, to be planned by itself. `prefix` keeps flat names of several environments apart."""
    registry = Registry(side.items.values())
    return Difference(base=side, head=side, registry=registry, names=_flat_names(side.items, prefix))


def _flat_names(items: Mapping[str, Item], prefix: str) -> dict[str, str]:
    flat = sorted(address for address, item in items.items() if item.mode == "managed" or item.is_document)
    return {address: f"{prefix}r{number}" for number, address in enumerate(flat)}


def stated(base: Difference, plan: Json, failed: Mapping[str, str]) -> Side:
    """The base with its values as the provider planned them from nothing, by `plan`: its defaults are in them."""
    planned = {entry["address"]: entry["change"] for entry in plan.get("resource_changes") or ()}
    found = {
        address: _filled(change.get("after"), change.get("after_unknown"), item.values)
        for address, item in base.base.items.items()
        if item.mode == "managed" and (change := planned.get(f"{item.type}.{base.names[address]}")) is not None
    }
    return replace(base.base, stated=found, failed=dict(failed))


def _filled(after: Any, unknown: Any, known: Any) -> Any:
    """`after` with what is unknown in it taken from `known`."""
    if unknown is True:
        return known
    if isinstance(unknown, dict):
        made, inner = members(after), members(known)
        return {**made, **{k: _filled(made.get(k), mark, inner.get(k)) for k, mark in unknown.items()}}
    if isinstance(unknown, list) and isinstance(after, list) and len(unknown) == len(after):
        listed = chain(known if isinstance(known, list) else (), repeat(None))
        return [_filled(*three) for three in zip(after, unknown, listed, strict=False)]
    return after


def difference(base: Side, head: Side, prefix: str = "") -> Difference:
    """What differs between the sides, with everything on the head that uses it. `prefix` as in `whole`."""
    moved = {a: b for a, b in moves(base.items, head) if head.items[b].type == base.items[a].type}
    base = _readdressed(base, moved, keys=moved)
    changed = _changed(base, head)
    # Not the same question any more: what AWS answers may be something else.
    asked = {a for a in changed if a in base.items and base.items[a].mode == "data" and not base.items[a].is_document}
    base = _readdressed(base, {a: a + ON_BASE for a in asked}, keys={})
    registry = Registry([*base.items.values(), *head.items.values()])
    other = {key for key in head.providers if base.providers.get(key) != head.providers[key]}
    by_other = {a for a, i in head.items.items() if i.mode == "managed" and head.statements.provider_of(a) in other}
    users: dict[str, set[str]] = {}
    for address in head.items:
        triggers = {name for name, _ in head.statements.triggers(address)}
        named = {a for a in head.items if a in triggers or a.rpartition("[")[0] in triggers} if triggers else set()
        for used in named | {s.address for s in registry.found(head.arguments(address))}:
            users.setdefault(used, set()).add(address)
    both = {**base.items, **head.items}

    def documents(address: str) -> Iterator[str]:
        found = registry.found([base.arguments(address), head.arguments(address)])
        return (s.address for s in found if s.address in both and both[s.address].is_document)

    spread = closed(_changed(base, head) | {*moved.values()} | by_other, lambda address: users.get(address, ()))
    # Documents that the others use, whether they differ or not.
    names = _flat_names({address: both[address] for address in closed(spread, documents)}, prefix)
    old = {b: a for a, b in moved.items()}
    return Difference(base=base, head=head, registry=registry, names=names, moved=old, users=users)


def _changed(base: Side, head: Side) -> set[str]:
    both = base.items.keys() & head.items.keys()
    return (base.items.keys() ^ head.items.keys()) | {a for a in both if base.arguments(a) != head.arguments(a)}


def closed(start: Iterable[str], more: Callable[[str], Iterable[str]]) -> Iterable[str]:
    """`start` and all that `more` leads to, in the same order each time."""
    found = dict.fromkeys(start)
    pending = [*found]
    while pending:
        fresh = dict.fromkeys(address for address in more(pending.pop()) if address not in found)
        found |= fresh
        pending += fresh
    return found


def moves(base: Mapping[str, Item], head: Side) -> Iterator[tuple[str, str]]:
    """Old and new address of what `moved` blocks, or a `count` that comes or goes, move."""
    for address, item in base.items():
        new = implied(head.statements.moved_to(address), head.items) if item.mode == "managed" else address
        if new != address and new not in base and new in head.items:
            yield address, new


def _readdressed(side: Side, names: Mapping[str, str], keys: Mapping[str, str]) -> Side:
    """The side with other addresses for some instances and their stand-ins wherever they are used; under `keys`."""
    if not names:
        return side
    new = {address: replace(side.items[address], address=name) for address, name in names.items()}
    pairs = (zip(leaves(side.items[a].own), leaves(item.own), strict=True) for a, item in new.items())
    texts = {str(old): made for pair in pairs for (_, old), (_, made) in pair}
    registry = Registry(side.items[address] for address in names)
    renamed = partial(registry.rewritten, of=lambda standin: texts.get(standin.text))
    return replace(
        side,
        items={keys.get(a, a): replace(new.get(a, i), values=renamed(i.values)) for a, i in side.items.items()},
        stated={keys.get(a, a): renamed(values) for a, values in side.stated.items()},
        failed={keys.get(a, a): why for a, why in side.failed.items()},
    )


def configuration(differences: Iterable[Difference], *, of: Of) -> str:
    """The flat configuration (JSON) of one side's part of the differences."""
    found: Json = {"resource": {"terraform_data": {_UNKNOWN: {}}}} if of == "alone" else {}
    for one in differences:
        _configure(one, of, found)
    return json.dumps(found)


def _configure(difference: Difference, of: Of, found: Json) -> None:
    head = difference.head
    names = {a: n for a, n in difference.names.items() if a in head.items}

    def reference(standin: Standin, *, documents: str = "") -> str | None:
        item = head.items.get(standin.address)
        if of == "alone":
            return _NOT_KNOWN
        if standin.address not in names or item is None or ((of == "base" or documents) and not item.is_document):
            return None
        place = f"{'data.' if item.is_document else ''}{item.type}.{documents}{names[standin.address]}"
        first, bracket, rest = standin.path.partition("[")
        return f"${{tolist({place}.{first})[{rest}}}" if bracket else f"${{{place}.{first}}}"

    aliases = _providers(difference, found)
    for address, name in names.items():
        item, values = head.items[address], head.arguments(address)
        body = {**difference.registry.rewritten(values, reference, escaped), **aliases[address]}
        if not item.is_document:
            lifecycle = _lifecycle(difference, address, names) if of == "head" else {}
            found.setdefault("resource", {}).setdefault(item.type, {})[name] = {**body, "lifecycle": lifecycle}
            continue
        documents = found.setdefault("data", {}).setdefault(DOCUMENT, {})
        documents[name] = body
        if of == "head":
            literal = difference.registry.rewritten(values, partial(reference, documents="l"), escaped)
            documents[f"l{name}"] = {**literal, **aliases[address]}
            output = {"value": f"${{data.{DOCUMENT}.l{name}.json}}", "sensitive": True}
            found.setdefault("output", {})[name] = output
    for address in sorted(a for a in difference.names.keys() - names.keys() if head.statements.is_forgotten(a)):
        if not difference.base.items[address].is_document:
            place = f"{difference.base.items[address].type}.{difference.names[address]}"
            found.setdefault("removed", []).append({"from": place, "lifecycle": {"destroy": False}})


def _providers(difference: Difference, found: Json) -> dict[str, Json]:
    """The argument `provider` for each address (none for what is built in); `found` gets the sources and the blocks.
    Equal blocks are one: each starts the provider.
    """
    aliases: dict[str, Json] = {}
    evaluated = {**difference.base.providers, **difference.head.providers}
    for address in difference.names:
        side = difference.head if address in difference.head.items else difference.base
        source, key = side.items[address].source, side.statements.provider_of(address)
        aliases[address] = {}
        if not source.startswith(_BUILT_IN):
            schema = inside(difference.head.schemas, source, "provider", "block")
            block = silent_provider(members(schema), members(evaluated.get(key)), key)
            local, alias = f"p{_digest(source)}", f"c{_digest(json.dumps(block, sort_keys=True))}"
            aliases[address] = {"provider": f"{local}.{alias}"}
            found.setdefault("terraform", {}).setdefault("required_providers", {})[local] = {"source": source}
            blocks = found.setdefault("provider", {}).setdefault(local, [])
            blocks += [made for made in [{"alias": alias, **block}] if made not in blocks]
    return aliases


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _lifecycle(difference: Difference, address: str, names: Mapping[str, str]) -> Json:
    """All but `prevent_destroy`, which ends a plan before it shows anything."""
    statements, items = difference.head.statements, difference.head.items
    triggers = [
        ".".join(filter(None, (items[other].type, names[other], attribute)))
        for used, attribute in statements.triggers(address)
        for other in names
        if other == used or other.startswith(f"{used}[")
    ]
    found = {**statements.lifecycle(address), "replace_triggered_by": triggers}
    return {name: value for name, value in found.items() if value != [] and name != "prevent_destroy"}


def silent_provider(schema: Json, given: Json, key: str) -> Json:
    """A provider block that asks nobody: dummy keys, no checks, and a place that does not answer for every service."""
    if key.partition(".")[0] != "aws":
        return {}
    found: Json = {name: True for name in members(schema.get("attributes")) if name.startswith("skip_")}
    found |= {"access_key": "offline", "secret_key": "offline", "max_retries": 1}
    if given.get("region"):
        found["region"] = given["region"]
    if given.get("default_tags"):
        found["default_tags"] = [{"tags": {k: escaped(str(v)) for k, v in given["default_tags"].items()}}]
    services = members(inside(schema, "block_types", "endpoints", "block", "attributes"))
    return {**found, "endpoints": [dict.fromkeys(services, "http://127.0.0.1:9")] if services else []}


def state(differences: Iterable[Difference]) -> str:
    """The state (JSON) that holds the base's part of the differences."""
    resources: list[Json] = []
    for one in differences:
        sides = (one.base, one.head)
        users = {*one.registry.found([item.arguments for side in sides for item in side.items.values()])}
        aliases = _providers(one, {})
        for address in one.held:
            item = one.base.items[address]
            values = dict(one.base.stated.get(address, item.values))
            used = {"id", *item.arguments, *(s.path.partition("[")[0] for s in users if s.address == address)}
            for name, attribute in item.schema.get("block", {}).get("attributes", {}).items():
                is_free = attribute.get("optional") and attribute.get("type") == "string" and name not in used
                if is_free and values.get(name) == item.own.get(name):
                    values[name] = None  # a provider may refuse an invented one
                if attribute.get("type") == "dynamic" and values.get(name) is not None:
                    values[name] = {"value": values[name], "type": _type_of(values[name])}
            instance = {"schema_version": item.schema.get("version", 0), "attributes": values}
            _, dot, alias = aliases[address].get("provider", "").partition(".")
            provider = f'provider["{item.source}"]{dot}{alias}'
            resource = {"mode": "managed", "type": item.type, "name": one.names[address], "provider": provider}
            resources.append({**resource, "instances": [{**instance, "sensitive_attributes": []}]})
    head = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "offline", "outputs": {}}
    return json.dumps({**head, "resources": resources})


def _type_of(value: Any) -> Any:
    if isinstance(value, dict):
        return ["object", {key: _type_of(inner) for key, inner in value.items()}]
    if isinstance(value, list):
        return ["tuple", [_type_of(inner) for inner in value]]
    return {bool: "bool", str: "string", int: "number", float: "number"}.get(type(value), "dynamic")
