"""Values of a plan: hidden where they are sensitive or unknown, and walked for what they hold.

What is sensitive is marked in a tree of its own beside the values (`before_sensitive`, `after_sensitive`): `true` hides
everything below it. `show -json` holds the clear text of sensitive values too, so nothing leaves this package unmasked.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Container, Iterator
from itertools import zip_longest
from typing import Any, Final

from ops_agent.model.plan import SENSITIVE, UNKNOWN, Hidden, ResourceChange

SHORTEST: Final = 6
"""A shorter string is no secret, region or account."""
Leaf = tuple[str, str]
"""(nearest attribute or map key, string)."""
_NAMED: Final = (
    ("value", "name", "key"),
    ("Value", "Name", "Key"),
    ("parameter_value", "parameter_key"),
    ("ParameterValue", "ParameterKey"),
)
"""Where a map holds a value, and where it may hold the value's name."""


def masked(value: Any, sensitive: Any, unknown: Any, hidden: list[str]) -> Any:
    """`value` with UNKNOWN and SENSITIVE where the two trees say so; the same object where they say nothing.

    The strings that were hidden as sensitive are added to `hidden`. A tree of another shape than the value hides the
    value whole.
    """
    if sensitive is True:
        hidden.extend(text for _, text in leaves(value))
        return SENSITIVE
    if unknown is True:
        return UNKNOWN
    if not sensitive and not unknown:
        return value
    if isinstance(sensitive or {}, dict) and isinstance(unknown or {}, dict) and isinstance(value, dict | None):
        if value is None and not _holds(unknown, True):
            return value
        return _masked_map(value or {}, sensitive or {}, unknown or {}, hidden)
    if isinstance(sensitive or [], list) and isinstance(unknown or [], list) and isinstance(value, list | None):
        if not any(sensitive or ()) and not any(unknown or ()):
            return value
        if value is None and not _holds(unknown, True):
            return value
        return _masked_list(value or [], sensitive or [], unknown or [], hidden)
    if _holds(sensitive, True):
        hidden.extend(text for _, text in leaves(value))
        return SENSITIVE
    return UNKNOWN if _holds(unknown, True) else value


def _masked_map(
    value: dict[str, Any], sensitive: dict[str, Any], unknown: dict[str, Any], hidden: list[str]
) -> dict[str, Any]:
    replaced = {}
    for key in {key for tree in (sensitive, unknown) for key, mark in tree.items() if mark}:
        old = value.get(key)
        new = masked(old, sensitive.get(key), unknown.get(key), hidden)
        if new is not old:
            replaced[key] = new
    return {**value, **replaced} if replaced else value


def _masked_list(value: list[Any], sensitive: list[Any], unknown: list[Any], hidden: list[str]) -> list[Any]:
    return [masked(*parts, hidden) for parts in zip_longest(value, sensitive, unknown)]


_KEY: Final = secrets.token_bytes(32)


def secrets_of(change: dict[str, Any], *shown: Any) -> bytes:
    """Equal for two changes whose values are equal: a keyed hash that means nothing outside of this process. Empty when
    nothing of what is `shown` is masked as sensitive.
    """
    if not any(map(has_sensitive, shown)):
        return b""
    return digest_of(change.get("before"), change.get("after"))


def digest_of(*values: Any) -> bytes:
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), key=_KEY, digest_size=32).digest()


def without(value: Any, secrets: Container[str], redact: Callable[[str], str]) -> Any:
    """`value` with SENSITIVE for every string that is one of `secrets`, and without the parts that `redact` knows."""
    if isinstance(value, dict):
        return {key: without(inner, secrets, redact) for key, inner in value.items()}
    if isinstance(value, list):
        return [without(inner, secrets, redact) for inner in value]
    if type(value) is not str:  # what is hidden already is a subclass
        return value
    return SENSITIVE if value in secrets else redact(value)


def leaves(value: Any, key: str = "") -> list[Leaf]:
    """Every string of six characters or more below `value` that is shown, with the key above it: of a map with `name`
    and `value`, what its name says; of one with `value` alone, `password.value`. Unordered.
    """
    found: list[Leaf] = []
    maps: list[tuple[str, dict[str, Any]]] = [("", {key: value})]
    for above, held in maps:  # which grows meanwhile
        has_value = "value" in held or "Value" in held or "parameter_value" in held or "ParameterValue" in held
        for leaf in _named(above, held) if has_value else held.items():
            name, element = leaf
            kind = type(element)  # never a Hidden, which is a subclass of str; these are the hottest lines of all
            if kind is str:
                if len(element) >= SHORTEST:
                    found.append(leaf)
            elif kind is dict:
                maps.append((name, element))
            elif kind is list:
                for inner in element:
                    if type(inner) is dict:
                        maps.append((name, inner))
                    elif type(inner) is str or type(inner) is list:
                        maps.append((name, {name: inner}))
    return found


def _named(above: str, held: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The items of `held`, which stands below `above`, its value under its name. It takes the place of no other item:
    a name may be any word.
    """
    names = {}
    for value, *places in _NAMED:
        said = next((held[place] for place in places if type(held.get(place)) is str), "")
        names[value] = said or (f"{above}.{value}" if above else value)
    for name, element in held.items():
        yield names.get(name, name), element


def planned_leaves(change: ResourceChange) -> list[Leaf]:
    """`leaves` of the attributes that `change` sets or changes."""
    return leaves({name: change.new.get(name) for name in change.changed_attributes})


def blocks(value: Any) -> Iterator[dict[str, Any]]:
    """The maps of a nested block, which Terraform writes as a list of maps (or as one map)."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        yield from (element for element in value if isinstance(element, dict))


def at(value: Any, path: str) -> Any:
    """The value at `path`; of a nested block, its first. A hidden value on the way is the answer; None for nothing."""
    for name in path.split("."):
        value = next(blocks(value), {}).get(name) if not isinstance(value, Hidden) else value
    return next(iter(value), None) if isinstance(value, list) and value and isinstance(value[0], Hidden) else value


def every(value: Any, path: str | list[str]) -> Iterator[Any]:
    """Every scalar, or hidden value, at the path. Nested blocks are entered, and JSON in a text; `*` stands for any
    name, `**` for any depth, and `x` for `x.$` of a state machine too.
    """
    steps = path.split(".") if isinstance(path, str) else path
    if isinstance(value, Hidden):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from every(one, steps)
    elif not steps:
        yield from [] if isinstance(value, dict) else [value]
    elif isinstance(value, dict):
        name, rest = steps[0], steps[1:]
        if name == "**":
            yield from every(value, rest)
            for one in value.values():
                yield from every(one, steps) if isinstance(one, dict | list) else ()
        else:
            for key in value if name == "*" else [key for key in (name, f"{name}.$") if key in value]:
                yield from every(value[key], rest)
    elif (parsed := parsed_json(value)) is not None and not isinstance(parsed, str):
        yield from every(parsed, steps)


def number(value: Any) -> float | None:
    """A number, also when it is written as text; None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return float(value) if type(value) is str and re.fullmatch(r"-?[0-9]{1,18}", value) else None


def parsed_json(text: Any) -> Any:
    """The JSON in a string value; None for whatever is none."""
    try:
        return json.loads(text) if type(text) is str else None
    except (ValueError, RecursionError):
        return None


def has_unknown(value: Any) -> bool:
    """True when something below `value` is known only after apply."""
    return _holds(value, UNKNOWN)


def has_sensitive(value: Any) -> bool:
    """True when something below `value` is masked as sensitive."""
    return _holds(value, SENSITIVE)


def is_marked(tree: Any) -> bool:
    """True when a tree such as `after_unknown` marks something."""
    return _holds(tree, True)


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
        return tuple(sorted(key for key, value in new.items() if value is not None))
    keys = old.keys() | new.keys()
    return tuple(sorted(key for key in keys if old.get(key) != new.get(key) or new.get(key) is UNKNOWN))
