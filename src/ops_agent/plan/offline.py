"""The offline plan: what a change does to an environment whose account nobody may ask.

Two steps. First both sides (base and head) are planned and applied on mocked providers, from nothing (sides.py). What
an apply would compute gets a value of its own for each attribute of each instance, so that it is found again wherever
it is used. Then what differs, and whatever uses that, is written as a flat configuration of literals (literals.py), and
the real provider plans it against a state that holds the base's values. What stands for a computed value is a reference
there, so replacements spread as they do in Terraform. Here its answer becomes a plan.

Everything here is pure: documents in, documents out. `adapters/terraform/offline_plan.py` runs the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from ops_agent.model.plan import OfflinePlan, ResourceAction, ResourceChange
from ops_agent.plan.configuration import inside, members
from ops_agent.plan.literals import ON_BASE, Difference, closed, moves
from ops_agent.plan.sides import Json, Standin, put

DERIVED_TEXT: Final = "(computed of what only the account knows)"
"""In the place of a value that a function made of an invented one."""


def offline_plan(
    difference: Difference, plan: Json, failed: Mapping[str, str], refused: Iterable[tuple[str, str]]
) -> OfflinePlan:
    """The plan under true addresses. `plan` is `show -json` of the head's flat configuration (empty: nothing had to be
    planned), `failed` says by address why the provider could not plan it.
    """
    base, head = difference.base, difference.head
    outputs = members(plan.get("output_changes"))
    documents = {name: text for name, change in outputs.items() if isinstance(text := change.get("after"), str)}
    planned = {entry["address"]: entry["change"] for entry in plan.get("resource_changes") or ()}
    changes: dict[str, Json] = {}
    untold = {a: why for a, why in failed.items() if a in base.items and a in head.items}
    for address, name in difference.names.items():
        if (change := planned.get(f"{difference.item(address).type}.{name}")) is not None:
            changes[address] = _with_documents(difference, address, change, documents)
            if why := _doubt(difference, address, change):
                untold[address] = why
    for old, new in moves(base.items, head):
        # Of one type they have one address by now.
        untold[new] = f"it was `{old}`, of another type: only the state shows what becomes of it"
        changes.pop(old, None)

    def doubtful(used: str) -> Iterator[str]:
        """What exists and uses something that cannot be told: if that is replaced, this may be too."""
        for address in sorted(difference.users.get(used, set()) & base.items.keys()):
            untold.setdefault(address, f"it uses `{used}`, which cannot be told")
            yield address

    closed([*untold], doubtful)
    unplanned = {*failed, *(head.items.keys() - changes.keys())}
    changes |= {address: _sourced(difference, address) for address in unplanned}
    changes = {address: _with_tags(difference, address, change) for address, change in changes.items()}
    entries = {
        address: _entry(difference, address, _without_derived(difference, address, change))
        for address, change in sorted(changes.items())
        if difference.item(address).mode == "managed" and address not in untold
    }
    document = {
        "format_version": "1.2",
        "resource_changes": [*entries.values()],
        "output_changes": _outputs(difference),
        "configuration": _configuration_of(difference),
        "origins": {
            address: {
                name: sorted({s.address.removesuffix(ON_BASE) for s in difference.registry.found(value)})
                for name, value in head.arguments(address).items()
            }
            for address in entries
            if address in head.items
        },
    }
    prevented = (
        (a, f"{a} has lifecycle.prevent_destroy set, but the plan destroys it")
        for a, entry in entries.items()
        if "delete" in entry["change"]["actions"] and head.statements.lifecycle(a).get("prevent_destroy")
    )
    rows = (
        ResourceChange(address=a, type=difference.item(a).type, action=ResourceAction.CANNOT_TELL, why=why)
        for a, why in sorted(untold.items())
        if difference.item(a).mode == "managed"
    )
    text = json.dumps(document, separators=(",", ":")).encode()
    return OfflinePlan(document=text, untold=tuple(rows), refused=(*refused, *prevented))


def _shown(difference: Difference, value: Any) -> Any:
    return difference.registry.rewritten(value, lambda s: f"${{{s.address}.{s.path}}}")


def _entry(difference: Difference, address: str, change: Json) -> Json:
    """An entry of `resource_changes` under the true address, with both sides' sensitive marks."""
    item = difference.item(address)
    change = dict(change)
    for name, side in (("before", difference.base), ("after", difference.head)):
        own = side.items[address].sensitive if address in side.items else {}
        mark = _merged(change.get(f"{name}_sensitive") or {}, own or {})
        if isinstance(mark, dict) and mark.get("tags"):
            mark["tags_all"] = _merged(mark.get("tags_all", {}), mark["tags"])
        change |= {name: _shown(difference, change.get(name)), f"{name}_sensitive": mark}
    entry = {"address": address, "mode": item.mode, "type": item.type, "provider_name": item.source, "change": change}
    return {**entry, **({"previous_address": old} if (old := difference.moved.get(address)) else {})}


def _merged(one: Any, other: Any) -> Any:
    """Marks of either."""
    if one is True or other is True:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _merged(one.get(key, False), other.get(key, False)) for key in one.keys() | other.keys()}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(*pair) for pair in zip_longest(one, other, fillvalue=False)]
    return one or other


def _sourced(difference: Difference, address: str) -> Json:
    """The change without the provider's word: what is created, stays or goes the sources alone decide."""
    if address not in difference.head.items:
        before = difference.base.items[address].values
        return {"actions": ["delete"], "before": before, "after": None, "after_unknown": {}}
    item = difference.head.items[address]
    if address in difference.base.items:
        return {"actions": ["no-op"], "before": item.values, "after": item.values, "after_unknown": {}}
    after, unknown = members(item.planned.get("after")), members(item.planned.get("after_unknown"))
    if "tags_all" in after:  # the mock does not know the default tags
        unknown = {**unknown, "tags_all": True}
    return {"actions": ["create"], "before": None, "after": after, "after_unknown": unknown}


def _with_documents(difference: Difference, address: str, change: Json, documents: Mapping[str, str]) -> Json:
    """The change with texts in the place of unknown values of which the sources say more than a reference: policies."""
    unknown, after = change.get("after_unknown"), change.get("after")
    if not isinstance(unknown, dict) or not isinstance(after, dict):
        return change
    registry, shown = difference.registry, {}

    def document(standin: Standin) -> str | None:
        return documents.get(difference.names.get(standin.address, ""))

    for name, value in difference.head.arguments(address).items():
        if unknown.get(name) is True and isinstance(value, str):
            text = registry.rewritten(value, document)
            if not any(standin.text == text for standin in registry.found(text)):
                shown[name] = text
    left = {name: mark for name, mark in unknown.items() if name not in shown}
    return {**change, "after": {**after, **shown}, "after_unknown": left}


def _with_tags(difference: Difference, address: str, change: Json) -> Json:
    """The change with the tags that the sources give, one by one: a provider knows none when it does not know all."""
    unknown, after = members(change.get("after_unknown")), members(change.get("after"))
    if "tags_all" not in {*unknown, *after} or True not in (unknown.get("tags"), unknown.get("tags_all")):
        return change
    head = difference.head
    tags = head.arguments(address).get("tags")
    defaults = inside(head.providers, head.statements.provider_of(address), "default_tags")
    shown = {"tags": tags, "tags_all": {**members(defaults), **members(tags)}}
    left = {name: mark for name, mark in unknown.items() if name not in shown}
    return {**change, "after": {**after, **shown}, "after_unknown": left}


def _without_derived(difference: Difference, address: str, change: Json) -> Json:
    """The change without what functions made of invented values: a hash of an ARN reads like any other text."""
    found: dict[tuple[str, ...], set[str]] = {}
    for name, side in (("before", difference.base), ("after", difference.head)):
        if address in side.items and isinstance(change.get(name), dict):
            unknown = side.items[address].planned.get("after_unknown")
            for path in difference.registry.derived(unknown, side.arguments(address)):
                for one in (path, ("tags_all", *path[1:])) if path[0] == "tags" else (path,):
                    found.setdefault(one, set()).add(name)
    made = dict(change)
    for path, where in found.items():
        is_same = inside(made["before"], *path) == inside(made["after"], *path)
        for name in where:
            if name == "after" and not is_same:
                made["after_unknown"] = put(made.get("after_unknown"), path, True)
            made[name] = put(made[name], path, DERIVED_TEXT if name == "before" or is_same else None)
    return made


def _doubt(difference: Difference, address: str, change: Json) -> str:
    """Why this answer depends on values that only the account knows; empty when it does not."""
    base, head = difference.base, difference.head
    if address not in base.items and head.statements.is_imported(address):
        return "it imports an object that exists, and what it is like only the account knows"
    if address not in base.items or address not in head.items or len(change["actions"]) < 2:
        return ""  # between an update and none the difference is harmless
    before, after = base.arguments(address), head.arguments(address)

    def reason(name: str) -> str:
        if name not in before and (name in head.items[address].own or name not in after):
            return f"the sources did not set `{name}` before, so only the account knows its value"
        for standin in difference.registry.found([before.get(name), after.get(name)]):
            used = head.items.get(standin.address) or base.items.get(standin.address)
            if used is None or (used.mode == "data" and not used.is_document):
                return f"`{name}` depends on what `{standin.address.removesuffix(ON_BASE)}` answers"
        return ""

    # A provider that replaces for no named attribute (`replace_triggered_by`) does so whatever the values are.
    reasons = [reason(str(path[0])) for path in change.get("replace_paths") or () if path]
    return reasons[0] if reasons and all(reasons) else ""


def _outputs(difference: Difference) -> Json:
    found: Json = {}
    base, head = difference.base.outputs, difference.head.outputs
    for name in sorted(base.keys() | head.keys()):
        old, new = base.get(name), head.get(name)
        action = "create" if old is None else "delete" if new is None else "update" if old != new else "no-op"
        found[name] = {"actions": [action], "after_unknown": False}
        for side, output in (("before", members(old)), ("after", members(new))):
            found[name][side] = _shown(difference, output.get("value"))
            found[name][f"{side}_sensitive"] = bool(output.get("sensitive"))
    return found


def _configuration_of(difference: Difference) -> Json:
    """As much of `configuration` as is known: the providers' regions and what outputs name; who uses whom is in
    `origins`.
    """
    side = difference.head
    providers = {
        key: {"name": key.partition(".")[0], "expressions": {"region": {"constant_value": value["region"]}}}
        for key, value in side.providers.items()
        if isinstance(value, dict) and isinstance(value.get("region"), str)
    }
    outputs = {n: {"expression": {"references": list(used)}} for n, used in side.statements.outputs.items()}
    return {"provider_config": providers, "root_module": {"outputs": outputs}}
