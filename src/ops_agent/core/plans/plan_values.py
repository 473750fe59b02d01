"""Values of a terraform plan: hidden where they are sensitive or unknown, and walked for what they hold.

What is sensitive stands in a tree of its own beside the values (`before_sensitive`, `after_sensitive`): `true` hides everything below it.
`show -json` holds the clear text of sensitive values too, so nothing leaves this floor unmasked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ops_agent.domain.terraform_plan import SENSITIVE, UNKNOWN, ResourceChange

SHORTEST: Final = 6
"""A shorter string is no secret, region or account."""
Leaf = tuple[str, str]
"""(nearest attribute or map key, string)."""


def masked(value: Any, sensitive: Any, unknown: Any, hidden: list[str]) -> Any:
    """`value` with UNKNOWN and SENSITIVE where the two trees say so; the same object where they say nothing.

    The strings that were hidden as sensitive are added to `hidden`. A tree of another shape than the value hides the value whole.
    """
    if sensitive is True:
        hidden.extend(text for _, text in leaves(value))
        return SENSITIVE
    if unknown is True:
        return UNKNOWN
    if not sensitive and not unknown:
        return value
    if isinstance(sensitive or {}, dict) and isinstance(unknown or {}, dict) and isinstance(value, dict | None):
        return _masked_map(value or {}, sensitive or {}, unknown or {}, hidden) if value is not None or _says(unknown) else value
    if isinstance(sensitive or [], list) and isinstance(unknown or [], list) and isinstance(value, list | None):
        if not any(sensitive or ()) and not any(unknown or ()):
            return value
        return _masked_list(value or [], sensitive or [], unknown or [], hidden) if value is not None or _says(unknown) else value
    if _says(sensitive):
        hidden.extend(text for _, text in leaves(value))
        return SENSITIVE
    return UNKNOWN if _says(unknown) else value


def leaves(value: Any, key: str = "") -> list[Leaf]:
    """Every string of six characters or more below `value` that is shown, with the key it stands under; in no particular order."""
    found: list[Leaf] = []
    maps: list[dict[str, Any]] = [{key: value}]
    for item in maps:  # which grows meanwhile
        for leaf in item.items():
            name, element = leaf
            kind = type(element)  # neither a subclass of str (Hidden) nor one of the scalars is wanted: these are the plan's hottest lines
            if kind is str:
                if len(element) >= SHORTEST:
                    found.append(leaf)
            elif kind is dict:
                maps.append(element)
            elif kind is list:
                for inner in element:
                    if type(inner) is dict:
                        maps.append(inner)
                    elif type(inner) is str or type(inner) is list:
                        maps.append({name: inner})
    return found


def planned_leaves(change: ResourceChange) -> list[Leaf]:
    """`leaves` of the attributes that `change` sets or changes."""
    after = change.after
    if not isinstance(after, dict):
        return []
    return leaves({name: after.get(name) for name in change.changed_attributes})


def blocks(value: Any) -> Iterator[dict[str, Any]]:
    """The maps of a nested block, which Terraform writes as a list of maps (or as one map)."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield element


def has_unknown(value: Any) -> bool:
    """True when something below `value` is known only after apply."""
    return _holds(value, UNKNOWN)


def has_sensitive(value: Any) -> bool:
    """True when something below `value` is masked as sensitive."""
    return _holds(value, SENSITIVE)


def _holds(value: Any, mark: object) -> bool:
    items = [value]
    for item in items:  # which grows meanwhile
        if item is mark:
            return True
        if type(item) is dict:
            items.extend(item.values())
        elif type(item) is list:
            items.extend(item)
    return False


def changed_keys(before: Any, after: Any) -> tuple[str, ...]:
    """Top-level attributes that differ, sorted; an unknown one differs. For a creation: those that get a value."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    if not old:
        return tuple(sorted([key for key, value in new.items() if value is not None]))
    return tuple(sorted([key for key in old.keys() | new.keys() if old.get(key) != new.get(key) or new.get(key) is UNKNOWN]))


def _masked_map(value: dict[str, Any], sensitive: dict[str, Any], unknown: dict[str, Any], hidden: list[str]) -> dict[str, Any]:
    replaced = {}
    for key in {key for tree in (sensitive, unknown) for key, said in tree.items() if said}:
        old = value.get(key)
        new = masked(old, sensitive.get(key), unknown.get(key), hidden)
        if new is not old:
            replaced[key] = new
    return {**value, **replaced} if replaced else value


def _masked_list(value: list[Any], sensitive: list[Any], unknown: list[Any], hidden: list[str]) -> list[Any]:
    length = max(len(value), len(sensitive), len(unknown))
    return [masked(_at(value, i), _at(sensitive, i), _at(unknown, i), hidden) for i in range(length)]


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _says(tree: Any) -> bool:
    """True when there is a `true` anywhere in a sensitive or unknown tree."""
    return _holds(tree, True)
