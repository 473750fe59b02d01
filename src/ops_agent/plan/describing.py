"""What the provider's own schema says of a type, and which of its arguments force a replacement.

No schema says the latter. A plan does: of a resource whose every argument has a value in the state and one that is not
known in the configuration. A provider takes what it does not know for a change and cannot refuse it.

Everything here is pure: `adapters/terraform` runs the engine over the documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from ops_agent.plan.configuration import inside, members
from ops_agent.plan.literals import silent_provider

Json = dict[str, Any]
KINDS: Final = {False: "resource_schemas", True: "data_source_schemas"}
_META: Final = frozenset({"id", "timeouts"})
_UNKNOWN: Final = "${jsondecode(terraform_data.unknown.id)}"
_SAMPLES: Final = {"string": "1.1", "number": 1, "bool": True}
"""In the state. The text can be read as a number and as a version too."""


def find_type(schemas: Mapping[str, Any], type_: str, *, data: bool) -> tuple[str, Json] | None:
    """Source and schema of a type by `providers schema -json`."""
    for source, provider in schemas.items():
        if type_ in members(provider.get(KINDS[data])):
            return source, provider[KINDS[data]][type_]
    return None


def near(schemas: Mapping[str, Any], type_: str, *, data: bool) -> tuple[str, ...]:
    """Types that may be meant: those like it, then those that hold its words."""
    known = sorted({name for provider in schemas.values() for name in members(provider.get(KINDS[data]))})
    words = [word for word in type_.removeprefix("aws_").split("_") if len(word) > 2]
    holding = [name for name in known if words and all(word in name for word in words)]
    return tuple(dict.fromkeys([*get_close_matches(type_, known, n=5, cutoff=0.75), *holding]))[:10]


def probe(type_: str, source: str, schemas: Mapping[str, Any], region: str) -> tuple[str, str]:
    """Configuration and state (JSON) of one resource of `type_`, named `probe`."""
    schema = members(schemas[source][KINDS[False]][type_])
    block = members(schema.get("block"))
    provider = silent_provider(members(inside(schemas[source], "provider", "block")), {"region": region}, "aws")
    configuration = {
        "terraform": {"required_providers": {"p": {"source": source}}},
        "provider": {"p": [provider if source.endswith("/aws") else {}]},
        "resource": {
            "terraform_data": {"unknown": {}},
            type_: {"probe": {"provider": "p", **_written(block, _META)}},
        },
    }
    values = {**_stated(block), "id": "probe"}
    resource = {"mode": "managed", "type": type_, "name": "probe", "provider": f'provider["{source}"]'}
    instance = {"schema_version": schema.get("version", 0), "attributes": values, "sensitive_attributes": []}
    head = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "probe", "outputs": {}}
    return json.dumps(configuration), json.dumps({**head, "resources": [{**resource, "instances": [instance]}]})


def _written(block: Json, without: frozenset[str] = frozenset()) -> Json:
    """Every argument with a value that is not known."""
    attributes = members(block.get("attributes")).items()
    found: Json = {n: _UNKNOWN for n, a in attributes if n not in without and (a.get("required") or a.get("optional"))}
    for name, nested in members(block.get("block_types")).items():
        if name not in without:
            inner = _written(members(nested.get("block")))
            count = max(1, int(nested.get("min_items") or 0))
            found[name] = {"probe": inner} if nested.get("nesting_mode") == "map" else [inner] * count
    return found


def _stated(block: Json) -> Json:
    found: Json = {name: _sample(attribute.get("type")) for name, attribute in members(block.get("attributes")).items()}
    for name, nested in members(block.get("block_types")).items():
        inner = _stated(members(nested.get("block")))
        if name == "timeouts":
            continue
        mode = nested.get("nesting_mode")
        found[name] = {"probe": inner} if mode == "map" else inner if mode in ("single", "group") else [inner]
    return found


def _sample(type_: Any) -> Any:
    """A value of a type."""
    kind, inner = (type_[0], type_[1]) if isinstance(type_, list) and len(type_) > 1 else (type_, None)
    if kind in ("list", "set"):
        return [_sample(inner)]
    if kind == "map":
        return {"probe": _sample(inner)}
    if kind == "object":
        return {name: _sample(one) for name, one in members(inner).items()}
    return _SAMPLES.get(kind) if isinstance(kind, str) else None


def forced(plan: Json) -> frozenset[tuple[str, ...]] | None:
    """The paths that force a replacement, without indices, by `show -json` of the probe's plan; None when it has none
    of the probe.
    """
    for entry in plan.get("resource_changes") or ():
        if entry.get("name") == "probe":
            paths = members(entry.get("change")).get("replace_paths") or ()
            return frozenset(tuple(str(step) for step in path if isinstance(step, str)) for path in paths)
    return None
