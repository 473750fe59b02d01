"""The offline plan: what a change does to an environment whose account nobody may ask.

Two steps. First both sides (base and head) are planned and applied on mocked providers, from nothing; what an apply
would compute gets a value of its own for each attribute of each instance, so that it is found again wherever it is
used. Then what differs, and whatever uses that, is written as a flat configuration of literals, and the real provider
plans it against a state that holds the base's values. What stands for a computed value is a reference there, so
replacements spread as they do in Terraform.

Everything here is pure: documents in, documents out. `adapters/terraform/offline_plan.py` runs the engine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ops_agent.model.plan import OfflinePlan, OfflineSide, ResourceAction, ResourceChange
from ops_agent.terraform.statements import Statements, config_address, implied

Json = dict[str, Any]
DOCUMENT: Final = "aws_iam_policy_document"
"""The one data source that the real provider answers by itself."""
PROVIDER_OUTPUT: Final = "ops_agent_provider_"
DERIVED_TEXT: Final = "(computed of what only the account knows)"
"""In the place of a value that a function made of an invented one."""
_BUILT_IN: Final = "terraform.io/builtin/"
_UNKNOWN_NAME: Final = "unknown"
_NOT_KNOWN: Final = f"${{jsondecode(terraform_data.{_UNKNOWN_NAME}.id)}}"
"""Of any type, and unknown until an apply."""
_TOKEN: Final = re.compile(r"oa[0-9a-f]{14}")
_ADDRESS: Final = re.compile(
    r"(?<![0-9.])100(?:\.[0-9]{1,3}){3}(?:/24)?(?![0-9.])|fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}::/56"
)
_NUMBER: Final = re.compile(r"(?<![0-9])7[0-9]{9}(?![0-9])")
# Types whose `id` is their ARN; a reference to the id must pass where a provider checks for an ARN.
_ID_IS_ARN: Final = re.compile(
    "aws_(acm_certificate|acmpca_certificate_authority|appautoscaling_policy|ecs_(cluster|service)|iam_policy|kinesis_stream"
    "|kinesis_firehose_delivery_stream|a?lb(_listener|_target_group)?|secretsmanager_secret|sfn_(activity|state_machine)"
    "|sns_topic(_subscription)?)"
)
# Ids that a provider checks for their form.
_ID_PREFIXES: Final = {
    "aws_cognito_identity_pool": "{region}:",
    "aws_cognito_user_pool": "{region}_",
    "aws_launch_template": "lt-",
    "aws_security_group": "sg-",
    "aws_subnet": "subnet-",
    "aws_vpc": "vpc-",
}
_SKIPPED: Final = (
    *("skip_credentials_validation", "skip_get_ec2_platforms", "skip_metadata_api_check"),
    *("skip_region_validation", "skip_requesting_account_id"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a side is planned for. `other`: whatever is invented gets another value and number, to see what depends on
    it.
    """

    account: str
    region: str
    other: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An instance of a resource or data source on one side. `unknown` is what its plan did not know, `values` what its
    mocked apply made of it.
    """

    address: str
    mode: str
    type: str
    source: str
    version: int
    values: Json
    unknown: Any
    sensitive: Any
    schema: Json

    @property
    def is_document(self) -> bool:
        return self.mode == "data" and self.type == DOCUMENT


@dataclass(frozen=True, kw_only=True)
class Side(OfflineSide):
    """One side after its mocked runs. `planned` are the mocked plan's entries, `outputs` the root module's. Of a base
    also `stated`, its values with the provider's defaults by address, and in `failed` why some have none.
    """

    items: Mapping[str, Item] = field(default_factory=dict)
    planned: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)
    stated: Mapping[str, Json] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    statements: Statements = field(default_factory=Statements)

    @property
    def providers(self) -> Json:
        """The evaluated provider blocks, by `aws` or `aws.alias`."""
        found = {name: out.get("value") for name, out in self.outputs.items() if name.startswith(PROVIDER_OUTPUT)}
        return {name.removeprefix(PROVIDER_OUTPUT).replace("__", "."): value for name, value in found.items()}


# What stands for values that only an apply knows.


@dataclass(frozen=True, slots=True)
class Standin:
    """The value in the place of `path` (`arn`, `ids[0]`) of the instance `address`; `text` is how a string shows it."""

    address: str
    path: str
    text: str

    @property
    def shown(self) -> str:
        return f"${{{self.address}.{self.path}}}"


def standins(address: str, mode: str, type_: str, schema: Json, place: Place) -> Json:
    """A value of its own for each computed attribute of an instance, as `override_resource` takes it."""
    answers = _answers(place).get(type_, {}) if mode == "data" else {}
    given: Json = {}
    for name, attribute in schema.get("block", {}).get("attributes", {}).items():
        type_of = attribute.get("type")
        # Blocks that the provider declares as attributes (`ingress`) are left to the mock, which answers none.
        # So are numbers that the sources may set: a provider computes with them.
        is_set = type_of == "number" or (isinstance(type_of, list) and not isinstance(type_of[1], str))
        if attribute.get("computed") and type_of is not None and not (is_set and attribute.get("optional")):
            value = answers[name] if name in answers else _standin(address, type_, type_of, name, place)
            if value is not None:
                given[name] = value
    return given


def _standin(address: str, resource: str, type_: Any, path: str, place: Place) -> Any:
    seed = f"{address}\0{path}" + ("\0other" if place.other else "")
    token = "oa" + hashlib.sha256(seed.encode()).hexdigest()[:14]
    if type_ == "number":
        return 7_000_000_000 + int(token[2:], 16) % 1_000_000_000
    if type_ == "string":
        if resource == DOCUMENT:
            statement = {"Sid": token, "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
            return json.dumps({"Version": "2012-10-17", "Statement": [statement]}) if "json" in path else token
        name = path.rpartition(".")[2]
        if name == "arn" or name.endswith("_arn") or (name == "id" and _ID_IS_ARN.fullmatch(resource)):
            return f"arn:aws:{resource.split('_')[1]}:{place.region}:{place.account}:{token}"
        if resource == "aws_sqs_queue" and name in ("id", "url"):
            return f"https://sqs.{place.region}.amazonaws.com/{place.account}/{token}"
        if name.endswith("_ip") or name == "ip_address" or "cidr_block" in name:
            # Of the shared address space, and of local ones: no network of a repository uses these by chance.
            number = int(token[2:], 16)
            if "ipv6" in name:
                return f"fd{token[2:4]}:{token[4:8]}:{token[8:12]}::/56"
            last = "0/24" if "cidr" in name else number // 16384 % 256
            return f"100.{64 + number % 64}.{number // 64 % 256}.{last}"
        return (_ID_PREFIXES.get(resource, "").format(region=place.region) if name == "id" else "") + token
    if isinstance(type_, list) and type_[0] in ("list", "set"):
        inner = type_[1]
        number = (2 if place.other else 3) if inner in ("string", "number") else 1
        made = [_standin(address, resource, inner, f"{path}[{index}]", place) for index in range(number)]
        return None if None in made else made
    if isinstance(type_, list) and type_[0] == "object":
        fields = {name: _standin(address, resource, inner, f"{path}.{name}", place) for name, inner in type_[1].items()}
        return {name: _empty(type_[1][name]) if value is None else value for name, value in fields.items()}
    return None


def _empty(type_: Any) -> Any:
    return {"bool": False, "map": {}, "list": [], "set": []}.get(type_ if isinstance(type_, str) else type_[0])


def _answers(place: Place) -> dict[str, Json]:
    """What data sources answer that depends on the target alone."""
    first, *_, number = place.region.split("-")
    middle = re.sub(
        "(north|south|east|west|central)", lambda found: found[0][0], "".join(place.region.split("-")[1:-1])
    )
    names = [f"{place.region}{letter}" for letter in "abc"]
    return {
        "aws_availability_zones": {
            "names": names,
            "zone_ids": [f"{first}{middle}{number}-az{n}" for n in (1, 2, 3)],
            "group_names": [place.region],
            "id": place.region,
        },
        "aws_caller_identity": {
            "account_id": place.account,
            "arn": f"arn:aws:sts::{place.account}:assumed-role/apply/apply",
            "id": place.account,
        },
        "aws_region": {
            "name": place.region,
            "region": place.region,
            "id": place.region,
            "endpoint": f"ec2.{place.region}.amazonaws.com",
            "description": place.region,
        },
        "aws_partition": {
            "partition": "aws",
            "dns_suffix": "amazonaws.com",
            "reverse_dns_prefix": "com.amazonaws",
            "id": "aws",
        },
        "aws_default_tags": {"tags": {}},
    }


class Registry:
    """Every stand-in of some instances, to be found in values."""

    def __init__(self, items: Iterable[Item], place: Place) -> None:
        self.place = place
        self.own: dict[str, Json] = {}
        self._by_token: dict[str, Standin] = {}
        self._by_number: dict[int, Standin] = {}
        for item in items:
            self.own[item.address] = standins(item.address, item.mode, item.type, item.schema, place)
            for path, value in _leaves(self.own[item.address]):
                if isinstance(value, str) and (token := _TOKEN.search(value) or _ADDRESS.fullmatch(value)):
                    self._by_token[token[0]] = Standin(item.address, path, value)
                elif isinstance(value, int) and not isinstance(value, bool) and value >= 7_000_000_000:
                    self._by_number[value] = Standin(item.address, path, str(value))

    def written(self, item: Item) -> Json | None:
        """What the sources write out of an instance, with anything else unknown; None when that has no place."""
        values = arguments(item, self.own[item.address])
        made: Json = self.rewritten(values, lambda _: _NOT_KNOWN, _escaped)
        for path in _derived(self, item.unknown, values):
            if path[0] in (item.schema.get("block", {}).get("block_types") or {}):
                return None
            made = _put(made, path, _NOT_KNOWN)
        return made

    def found(self, value: Any) -> Iterator[Standin]:
        """The stand-ins inside a value."""
        for _, leaf in _leaves(value):
            if isinstance(leaf, str):
                found = (*_TOKEN.findall(leaf), *_ADDRESS.findall(leaf))
                yield from (s for t in found if (s := self._by_token.get(t)))
                yield from (s for n in _NUMBER.findall(leaf) if (s := self._by_number.get(int(n))))
            elif isinstance(leaf, int) and leaf in self._by_number:
                yield self._by_number[leaf]

    def rewritten(self, value: Any, of: Callable[[Standin], Any], plain: Callable[[str], str] = str) -> Any:
        """`value` with each stand-in replaced by what `of` gives (None: left alone); `plain` makes the text between."""
        if isinstance(value, dict):
            return {plain(key): self.rewritten(inner, of, plain) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.rewritten(inner, of, plain) for inner in value]
        if isinstance(value, int) and not isinstance(value, bool):
            new_number = of(self._by_number[value]) if value in self._by_number else None
            return value if new_number is None else new_number
        if not isinstance(value, str):
            return value
        new = {s.text: str(made) for s in self.found(value) if (made := of(s)) is not None}
        if not new:
            return plain(value)
        parts = re.split("(" + "|".join(map(re.escape, sorted(new, key=len, reverse=True))) + ")", value)
        return "".join(new[part] if part in new else plain(part) for part in parts)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


# The mocked runs.


def mocked_test(statements: Statements, known: Iterable[Item], schemas: Mapping[str, Any], place: Place) -> str:
    """The test file (JSON) that plans and then applies the root module on mocked providers. `known` are instances that
    are expected; of `schemas` (by provider) everything that only has one instance is expected too.
    """
    expected = {item.address: (item.mode, item.type, item.schema) for item in known}
    by_type = {(mode, type_): schema for mode, type_, schema in _types(schemas)}
    for address, mode, type_ in statements.single:
        if (mode, type_) in by_type:
            expected.setdefault(address, (mode, type_, by_type[mode, type_]))
    overrides: dict[str, list[Json]] = {"managed": [], "data": []}
    for address, (mode, type_, schema) in expected.items():
        if not type_.startswith("terraform_"):
            overrides[mode].append({"target": address, "values": standins(address, mode, type_, schema, place)})
    # What nobody expected gets values of the right form at least, and is expected the next time.
    defaults: dict[str, Json] = {"managed": {}, "data": {}}
    for block in statements.blocks.values():
        mode, type_ = ("data" if block.type == "data" else "managed"), block.labels[0]
        if (mode, type_) in by_type:
            values = standins(f"any {type_}", mode, type_, by_type[mode, type_], place)
            defaults[mode][type_] = {"defaults": values}
    used = {statements.provider_of(address) for address in statements.addresses}
    mocks: dict[str, list[Json]] = {}
    for name in sorted({*statements.providers, *used, "aws"} - {"terraform"}):
        local, _, alias = name.partition(".")
        kinds = (("mock_resource", "managed"), ("mock_data", "data"))
        of_local = {k: {t: v for t, v in defaults[m].items() if t.startswith(f"{local}_")} for k, m in kinds}
        mocks.setdefault(local, []).append({k: v for k, v in (*of_local.items(), ("alias", alias)) if v})
    runs = [{"planned": {"command": "plan"}}, {"applied": {"command": "apply"}}]
    found = {"mock_provider": mocks, "override_resource": overrides["managed"], "override_data": overrides["data"]}
    return json.dumps({**found, "run": runs})


def provider_outputs(statements: Statements) -> str:
    """A configuration file (JSON) for the root module, with an output for each provider block's arguments."""
    outputs = {
        PROVIDER_OUTPUT + name.replace(".", "__"): {
            "value": {argument: f"${{{source}}}" for argument, source in arguments.items()},
            "sensitive": True,
        }
        for name, arguments in statements.providers.items()
    }
    return json.dumps({"output": outputs} if outputs else {})


def read_side(
    lines: Iterable[Mapping[str, Any]], statements: Statements, known: dict[str, Any]
) -> tuple[Side | None, list[Item]]:
    """The side, None when its mocked apply did not pass; and all instances that its mocked plan shows. Schemas that
    equal those in `known` are these, and new ones are kept there: those of AWS take 100 MB.
    """
    plan: Json = {}
    state: Json = {}
    for line in lines:
        plan = line.get("test_plan") or plan
        state = line.get("test_state") or state
    shown = state.get("provider_schemas") or plan.get("provider_schemas") or {}
    kept = {source: known.setdefault(source, schema) for source, schema in shown.items()}
    schemas = {source: kept[source] if kept[source] == schema else schema for source, schema in shown.items()}
    by_type = {(source, mode, type_): schema for source, mode, type_, schema in _all_types(schemas)}
    planned = {entry["address"]: entry for entry in plan.get("resource_changes") or ()}

    def item(entry: Mapping[str, Any], values: Any, sensitive: Any) -> Item:
        schema = by_type.get((entry["provider_name"], entry["mode"], entry["type"]), {})
        change = planned.get(entry["address"], {}).get("change", {})
        return Item(
            address=entry["address"],
            mode=entry["mode"],
            type=entry["type"],
            source=entry["provider_name"],
            version=schema.get("version", 0),
            values=values or {},
            unknown=change.get("after_unknown") or {},
            sensitive=sensitive,
            schema=schema,
        )

    seen = [item(e, e["change"].get("after"), e["change"].get("after_sensitive")) for e in planned.values()]
    if not state:
        return None, seen
    found, modules = {}, [state.get("root_module") or {}]
    for module in modules:
        modules += module.get("child_modules") or ()
        for entry in module.get("resources") or ():
            found[entry["address"]] = item(entry, entry.get("values"), entry.get("sensitive_values"))
    side = Side(
        items=found, planned=planned, outputs=state.get("outputs") or {}, schemas=schemas, statements=statements
    )
    return side, [*found.values()]


def _all_types(schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Json]]:
    for source, provider in schemas.items():
        for kind, mode in (("resource_schemas", "managed"), ("data_source_schemas", "data")):
            for type_, schema in (provider.get(kind) or {}).items():
                yield source, mode, type_, schema


def _types(schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, Json]]:
    return ((mode, type_, schema) for _, mode, type_, schema in _all_types(schemas))


# What differs, as a flat configuration and a state.


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the real provider has to plan. `base` and `head` are instances by their address on the head, `arguments`
    what the sources set of each; `moved` are old addresses by new ones; `names` their names in the flat configuration.
    """

    base: Mapping[str, Item]
    head: Mapping[str, Item]
    base_arguments: Mapping[str, Json]
    head_arguments: Mapping[str, Json]
    registry: Registry
    moved: Mapping[str, str]
    names: Mapping[str, str]
    base_side: Side
    head_side: Side
    all_names: tuple[str, ...]

    def is_written_in(self, other: Side, address: str) -> bool:
        """Whether `other`, the head with other invented values, has the same written out for an instance."""
        place = replace(self.registry.place, other=True)
        found = other.items.get(address)
        return found is not None and Registry(other.items.values(), place).written(found) == self.registry.written(
            self.head[address]
        )

    def without(self, addresses: Iterable[str]) -> Difference:
        left = set(addresses)
        return replace(self, names={a: n for a, n in self.names.items() if a not in left})


def whole(side: Side, place: Place, prefix: str = "") -> Difference:
    """Everything of one side, to be planned by itself. `prefix` keeps flat names of several environments apart."""
    registry = Registry(side.items.values(), place)
    set_ = {a: arguments(item, registry.own[a]) for a, item in side.items.items()}
    names = _flat_names(side.items, side.items, prefix)
    return Difference(
        base=side.items,
        head=side.items,
        base_arguments=set_,
        head_arguments=set_,
        registry=registry,
        moved={},
        names=names,
        base_side=side,
        head_side=side,
        all_names=tuple(names),
    )


def _flat_names(items: Mapping[str, Item], of: Iterable[str], prefix: str) -> dict[str, str]:
    flat = [a for a in sorted(of) if a in items and (items[a].mode == "managed" or items[a].is_document)]
    return {address: f"{prefix}r{number}" for number, address in enumerate(flat)}


def stated(base: Difference, plan: Mapping[str, Any] | None, failed: Mapping[str, str]) -> Side:
    """The base with its values as the provider planned them from nothing: its defaults are in them. `plan` is `show
    -json` of the flat configuration of `whole`.
    """
    planned = {entry["address"]: entry["change"] for entry in (plan or {}).get("resource_changes") or ()}
    found = {}
    for address, name in base.names.items():
        item = base.base[address]
        change = planned.get(f"{item.type}.{name}")
        if item.mode == "managed" and change is not None:
            found[address] = _filled(change.get("after"), change.get("after_unknown"), item.values)
    return replace(base.base_side, stated=found, failed=dict(failed))


def difference(base: Side, head: Side, place: Place, prefix: str = "") -> Difference:
    """What differs between the sides, with everything on the head that uses it. `prefix` as in `whole`."""
    base, moved = _renamed(base, head, place)
    registry = Registry([*base.items.values(), *head.items.values()], place)
    before = {a: arguments(item, registry.own[a]) for a, item in base.items.items()}
    after = {a: arguments(item, registry.own[a]) for a, item in head.items.items()}
    changed = {a for a in before.keys() | after.keys() if before.get(a) != after.get(a)}
    asked = {a for a in changed if a in base.items and base.items[a].mode == "data" and not base.items[a].is_document}
    if asked:
        # The same question no more: what AWS answers may be something else.
        base = _with_other_standins(base, asked, place)
        extra = [replace(base.items[a], address=f"{a} on the base") for a in asked]
        registry = Registry([*base.items.values(), *head.items.values(), *extra], place)
        before = {a: arguments(item, registry.own[a]) for a, item in base.items.items()}
        changed = {a for a in before.keys() | after.keys() if before.get(a) != after.get(a)}
    changed |= set(moved)
    other = {key for key in head.providers if base.providers.get(key) != head.providers[key]}
    if other:
        changed |= {a for a, i in head.items.items() if i.mode == "managed" and head.statements.provider_of(a) in other}
    users: dict[str, set[str]] = {}
    for address, value in after.items():
        triggers = [name for name, _ in head.statements.triggers(address)]
        named = {a for a in head.items if a in triggers or a.rpartition("[")[0] in triggers} if triggers else set()
        for used in {s.address for s in registry.found(value)} | named:
            users.setdefault(used, set()).add(address)
    both = {**base.items, **head.items}
    pending = list(changed)
    while pending:
        fresh = users.get(pending.pop(), set()) - changed
        changed |= fresh
        pending += fresh
    for arguments_of in (before, after):  # documents that the others use, whether they differ or not
        pending = list(changed)
        while pending:
            found = {s.address for s in registry.found(arguments_of.get(pending.pop(), {}))} - changed
            fresh = {a for a in found if a in both and both[a].is_document}
            changed |= fresh
            pending += fresh
    names = _flat_names(both, changed, prefix)
    return Difference(
        base=base.items,
        head=head.items,
        base_arguments=before,
        head_arguments=after,
        registry=registry,
        moved=moved,
        names=names,
        base_side=base,
        head_side=head,
        all_names=tuple(names),
    )


def _moves(base: Mapping[str, Item], head: Side) -> Iterator[tuple[str, str]]:
    """Old and new address of what `moved` blocks, or a `count` that comes or goes, move."""
    for address, item in base.items():
        new = implied(head.statements.moved_to(address), head.items) if item.mode == "managed" else address
        if new != address and new not in base and new in head.items:
            yield address, new


def _renamed(base: Side, head: Side, place: Place) -> tuple[Side, dict[str, str]]:
    """The base under the addresses of the head, and old addresses by new ones."""
    moved = {a: b for a, b in _moves(base.items, head) if head.items[b].type == base.items[a].type}
    if not moved:
        return base, {}
    items = {a: item for a, item in base.items.items() if a in moved}
    return _with_names(base, items, moved, place), {b: a for a, b in moved.items()}


def _with_other_standins(base: Side, addresses: Iterable[str], place: Place) -> Side:
    items = {a: base.items[a] for a in addresses}
    changed = _with_names(base, items, {a: f"{a} on the base" for a in items}, place)
    items = {a.removesuffix(" on the base"): item for a, item in changed.items.items()}
    return replace(base, items=items, stated=changed.stated)


def _with_names(side: Side, items: Mapping[str, Item], names: Mapping[str, str], place: Place) -> Side:
    """The side with the addresses in `names` replaced, and their stand-ins wherever they are used."""
    registry = Registry(items.values(), place)
    texts: dict[str, Any] = {}
    for address, item in items.items():
        own = standins(names[address], item.mode, item.type, item.schema, place)
        texts |= {str(a): b for (_, a), (_, b) in zip(_leaves(registry.own[address]), _leaves(own), strict=True)}
    renamed = {
        names.get(a, a): replace(
            item, address=names.get(a, a), values=registry.rewritten(item.values, lambda s: texts.get(s.text))
        )
        for a, item in side.items.items()
    }
    stated = {
        names.get(a, a): registry.rewritten(values, lambda s: texts.get(s.text)) for a, values in side.stated.items()
    }
    return replace(side, items=renamed, stated=stated, failed={names.get(a, a): why for a, why in side.failed.items()})


def arguments(item: Item, own: Mapping[str, Any]) -> Json:
    """What the sources set of an instance: its values without those that an apply computes."""
    return _arguments(item.schema.get("block", {}), item.values, item.unknown, own)


def _arguments(schema: Json, values: Json, unknown: Any, own: Mapping[str, Any] | None) -> Json:
    found: Json = {}
    for name, attribute in (schema.get("attributes") or {}).items():
        value = values.get(name)
        if value is None or not (attribute.get("optional") or attribute.get("required")):
            continue
        if attribute.get("computed"):
            is_unknown = isinstance(unknown, dict) and unknown.get(name) is True
            if own is not None and name in own and _is_same(value, own[name]):
                continue
            if is_unknown and (own is None or name not in own) and not _TOKEN.search(json.dumps(value)):
                continue
        found[name] = value
    for name, block in (schema.get("block_types") or {}).items():
        value, inside = values.get(name), unknown.get(name) if isinstance(unknown, dict) else None
        if isinstance(value, dict) and block.get("nesting_mode") != "map":
            made: Any = _arguments(block["block"], value, inside, None)
        elif isinstance(value, dict):
            marks = inside if isinstance(inside, dict) else {}
            made = {key: _arguments(block["block"], inner, marks.get(key), None) for key, inner in value.items()}
        elif isinstance(value, list):
            listed = inside if isinstance(inside, list) and len(inside) == len(value) else [None] * len(value)
            made = [_arguments(block["block"], v, u, None) for v, u in zip(value, listed, strict=True)]
        else:
            continue
        if made:
            found[name] = made
    return found


def _is_same(value: Any, other: Any) -> bool:
    """Equal but for the order of sets."""
    if isinstance(value, list) and isinstance(other, list):
        return sorted(json.dumps(inner, sort_keys=True) for inner in value) == sorted(
            json.dumps(inner, sort_keys=True) for inner in other
        )
    return bool(value == other)


def _escaped(text: str) -> str:
    """A text as a template of Terraform's JSON syntax."""
    return text.replace("${", "$${").replace("%{", "%%{")


def configuration(differences: Iterable[Difference], *, is_base: bool, protects: bool = True) -> str:
    """The flat configuration (JSON) of one side's part of the differences; the head's has an output for each policy
    document. `protects`: with `prevent_destroy`.
    """
    found: Json = {}
    for one in differences:
        found = _joined(found, _configuration(one, is_base=is_base, protects=protects))
    return json.dumps(found)


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _joined(one.get(key), other.get(key)) for key in one.keys() | other.keys()}
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *(inner for inner in other if inner not in one)]
    return other if one is None else one


def _configuration(difference: Difference, *, is_base: bool, protects: bool) -> Json:
    items = difference.base if is_base else difference.head
    values = difference.base_arguments if is_base else difference.head_arguments
    names = {a: n for a, n in difference.names.items() if a in items and (not is_base or a in difference.head)}

    def reference(standin: Standin, *, documents: str = "") -> str | None:
        item = items.get(standin.address)
        if standin.address not in names or item is None or ((is_base or documents) and not item.is_document):
            return None
        place = f"{'data.' if item.is_document else ''}{item.type}.{documents}{names[standin.address]}"
        first, bracket, rest = standin.path.partition("[")
        return f"${{tolist({place}.{first})[{rest}}}" if bracket else f"${{{place}.{first}}}"

    def literal(standin: Standin) -> str | None:
        return reference(standin, documents="l")

    aliases, sources, providers = _providers(difference, is_base=is_base)
    resources: dict[str, Json] = {}
    documents: Json = {}
    outputs: Json = {}
    for address, name in names.items():
        item, provider = items[address], {"provider": aliases[address]} if aliases[address] else {}
        body = {**difference.registry.rewritten(values[address], reference, _escaped), **provider}
        if not item.is_document:
            lifecycle = {} if is_base else _lifecycle(difference, address, names, protects=protects)
            resources.setdefault(item.type, {})[name] = {**body, **({"lifecycle": lifecycle} if lifecycle else {})}
            continue
        documents[name] = body
        if not is_base:
            documents[f"l{name}"] = {**difference.registry.rewritten(values[address], literal, _escaped), **provider}
            outputs[name] = {"value": f"${{data.{DOCUMENT}.l{name}.json}}", "sensitive": True}
    gone = {} if is_base else {a: n for a, n in difference.names.items() if a not in difference.head}
    forgotten = difference.head_side.statements.is_forgotten
    removed = [
        {"from": f"{difference.base[a].type}.{n}", "lifecycle": {"destroy": False}}
        for a, n in gone.items()
        if forgotten(a) and not difference.base[a].is_document
    ]
    found = {
        "terraform": {"required_providers": {local: {"source": source} for local, source in sources.items()}},
        "provider": providers,
        "resource": resources,
        "data": {DOCUMENT: documents} if documents else {},
        "output": outputs,
        "removed": removed,
    }
    return {key: value for key, value in found.items() if value}


def _configured_by(difference: Difference, address: str) -> tuple[str, str]:
    """Source and provider configuration of an instance."""
    if address in difference.head:
        return difference.head[address].source, difference.head_side.statements.provider_of(address)
    old = difference.moved.get(address, address)
    return difference.base[address].source, difference.base_side.statements.provider_of(old)


def _providers(
    difference: Difference, *, is_base: bool
) -> tuple[dict[str, str], dict[str, str], dict[str, list[Json]]]:
    """The flat configuration's provider for each address (`p0.c1`; empty for what is built in), the sources, and the
    blocks. Equal blocks are one: each starts the provider.
    """
    aliases: dict[str, str] = {}
    sources: dict[str, str] = {}
    blocks: dict[str, dict[str, Json]] = {}
    side, other = difference.base_side, difference.head_side
    if not is_base:
        side, other = other, side
    for address in difference.all_names:
        source, key = _configured_by(difference, address)
        if source.startswith(_BUILT_IN):
            aliases[address] = ""
            continue
        schema = side.schemas.get(source, {}).get("provider", {}).get("block", {})
        block = _provider(schema, side.providers.get(key, other.providers.get(key)), key)
        local, alias = f"p{_digest(source)}", f"c{_digest(json.dumps(block, sort_keys=True))}"
        aliases[address], sources[local] = f"{local}.{alias}", source
        blocks.setdefault(local, {})[alias] = {"alias": alias, **block}
    return aliases, sources, {local: [*named.values()] for local, named in blocks.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _lifecycle(difference: Difference, address: str, names: Mapping[str, str], *, protects: bool) -> Json:
    statements, head = difference.head_side.statements, difference.head
    found = dict(statements.lifecycle(address))
    if not protects:
        found.pop("prevent_destroy", None)
    triggers = []
    for used, attribute in statements.triggers(address):
        for other in (a for a in names if a == used or a.startswith(f"{used}[")):
            triggers.append(".".join(filter(None, (head[other].type, names[other], attribute))))
    return {**found, **({"replace_triggered_by": triggers} if triggers else {})}


def _provider(schema: Json, evaluated: Any, key: str) -> Json:
    """A provider block that asks nobody: dummy keys, no checks, and a place that does not answer for every service."""
    known = schema.get("attributes") or {}
    if key.partition(".")[0] != "aws":
        return {}
    found: Json = {name: True for name in _SKIPPED if name in known}
    found |= {"access_key": "offline", "secret_key": "offline", "max_retries": 1}
    given = evaluated if isinstance(evaluated, dict) else {}
    if given.get("region"):
        found["region"] = given["region"]
    if given.get("default_tags"):
        found["default_tags"] = [{"tags": {k: _escaped(str(v)) for k, v in given["default_tags"].items()}}]
    services = ((schema.get("block_types") or {}).get("endpoints") or {}).get("block", {}).get("attributes") or {}
    return {**found, "endpoints": [dict.fromkeys(services, "http://127.0.0.1:9")] if services else []}


def alone(differences: Iterable[Difference], names: Collection[str]) -> str:
    """A flat configuration of the head's instances with these `names`, where everything is unknown that the sources do
    not write out.
    """
    found: Json = {"resource": {"terraform_data": {_UNKNOWN_NAME: {}}}}
    for one in differences:
        aliases, sources, providers = _providers(one, is_base=False)
        required = {local: {"source": source} for local, source in sources.items()}
        found = _joined(found, {"terraform": {"required_providers": required}, "provider": providers})
        for address, name in one.names.items():
            item = one.head.get(address)
            if name in names and item is not None and (body := one.registry.written(item)) is not None:
                block = {**body, **({"provider": aliases[address]} if aliases[address] else {})}
                found = _joined(found, {"resource": {item.type: {name: block}}})
    return json.dumps(found)


def state(differences: Iterable[Difference]) -> str:
    """The state (JSON) that holds the base's part of the differences."""
    head = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "offline", "outputs": {}}
    return json.dumps({**head, "resources": [resource for one in differences for resource in _state_entries(one)]})


def _state_entries(difference: Difference) -> Iterator[Json]:
    aliases, _, _ = _providers(difference, is_base=False)
    users = {*difference.registry.found([*difference.base_arguments.values(), *difference.head_arguments.values()])}
    for address, name in difference.names.items():
        item = difference.base.get(address)
        if item is None or item.mode != "managed":
            continue
        values = dict(difference.base_side.stated.get(address, item.values))
        own = difference.registry.own[address]
        used = {*difference.base_arguments[address], *(s.path.partition("[")[0] for s in users if s.address == address)}
        for attribute, definition in item.schema.get("block", {}).get("attributes", {}).items():
            is_invented = attribute in own and values.get(attribute) == own[attribute] and attribute not in used
            if is_invented and definition.get("optional") and definition["type"] == "string" and attribute != "id":
                values[attribute] = None  # a provider may refuse an invented one
            if definition.get("type") == "dynamic" and values.get(attribute) is not None:
                values[attribute] = {"value": values[attribute], "type": _type_of(values[attribute])}
        alias = aliases[address].partition(".")[2]
        yield {
            "mode": "managed",
            "type": item.type,
            "name": name,
            "provider": f'provider["{item.source}"]' + (f".{alias}" if alias else ""),
            "instances": [{"schema_version": item.version, "attributes": values, "sensitive_attributes": []}],
        }


def _filled(after: Any, unknown: Any, known: Any) -> Any:
    """`after` with what is unknown in it taken from `known`."""
    if unknown is True:
        return known
    if isinstance(unknown, dict):
        inside = known if isinstance(known, dict) else {}
        made = dict(after) if isinstance(after, dict) else {}
        return {**made, **{k: _filled(made.get(k), mark, inside.get(k)) for k, mark in unknown.items()}}
    if isinstance(unknown, list) and isinstance(after, list) and len(unknown) == len(after):
        listed = known if isinstance(known, list) and len(known) == len(after) else [None] * len(after)
        return [_filled(*three) for three in zip(after, unknown, listed, strict=True)]
    return after


def _type_of(value: Any) -> Any:
    if isinstance(value, dict):
        return ["object", {key: _type_of(inner) for key, inner in value.items()}]
    if isinstance(value, list):
        return ["tuple", [_type_of(inner) for inner in value]]
    return {bool: "bool", str: "string", int: "number", float: "number"}.get(type(value), "dynamic")


# What the real provider answered.


def offline_plan(
    difference: Difference,
    plan: Mapping[str, Any] | None,
    failed: Mapping[str, str],
    refused: Iterable[tuple[str, str]] = (),
) -> OfflinePlan:
    """The plan under true addresses. `plan` is `show -json` of the head's flat configuration (None: nothing had to be
    planned), `failed` says by address why the provider could not plan it.
    """
    by_flat = {f"{_item(difference, a).type}.{name}": a for a, name in difference.names.items()}
    documents = {
        name: change.get("after")
        for name, change in ((plan or {}).get("output_changes") or {}).items()
        if isinstance(change.get("after"), str)
    }
    entries: dict[str, Json] = {}
    untold = {
        a: _untold(difference, a, reason)
        for a, reason in failed.items()
        if a in difference.base and a in difference.head
    }
    for entry in (plan or {}).get("resource_changes") or ():
        address = by_flat.get(entry["address"])
        if address is None or entry["mode"] != "managed":
            continue
        change = _without_artefacts(difference, address, entry["change"])
        if reason := _doubt(difference, address, change):
            untold[address] = _untold(difference, address, reason)
            continue
        shown = _with_documents(difference, address, change, documents)
        entries[address] = _entry(difference, address, _without_derived(difference, address, shown))
    for old, new in _moves(difference.base, difference.head_side):
        # Of one type they have one address by now.
        untold[new] = _untold(
            difference, new, f"it was `{old}`, of another type: only the state shows what becomes of it"
        )
        entries.pop(old, None)
    _spread(difference, untold)
    entries = {address: entry for address, entry in entries.items() if address not in untold}
    for address in failed:
        if address not in untold:
            shown = _without_derived(difference, address, _mocked_change(difference, address))
            entries[address] = _entry(difference, address, shown)
    for address, item in difference.head.items():
        if item.mode == "managed" and address not in entries and address not in untold:
            same = {"actions": ["no-op"], "before": item.values, "after": item.values, "after_unknown": {}}
            entries[address] = _entry(difference, address, _without_derived(difference, address, same))
    document = {
        "format_version": "1.2",
        "terraform_version": "",
        "planned_values": {},
        "resource_changes": [entries[a] for a in sorted(entries)],
        "output_changes": _outputs(difference),
        "configuration": _configuration_of(difference),
        "origins": {
            address: {
                name: sorted({s.address.removesuffix(" on the base") for s in difference.registry.found(value)})
                for name, value in difference.head_arguments[address].items()
            }
            for address in entries
            if address in difference.head
        },
    }
    orphans = (
        (a, f"{a} has lifecycle.prevent_destroy set, but the plan destroys it")
        for a in difference.base
        if a not in difference.head and difference.head_side.statements.lifecycle(a).get("prevent_destroy")
    )
    return OfflinePlan(
        document=json.dumps(document, separators=(",", ":")).encode(),
        untold=tuple(untold[a] for a in sorted(untold) if _item(difference, a).mode == "managed"),
        refused=(*refused, *orphans),
    )


def _untold(difference: Difference, address: str, why: str) -> ResourceChange:
    type_ = _item(difference, address).type
    return ResourceChange(address=address, type=type_, action=ResourceAction.CANNOT_TELL, why=why)


def _spread(difference: Difference, untold: dict[str, ResourceChange]) -> None:
    """What exists and uses something that cannot be told: if that is replaced, this may be too."""
    uses = {
        a: {s.address for s in difference.registry.found(difference.head_arguments[a])}
        for a in difference.all_names
        if a in difference.base and a in difference.head
    }
    doubtful = list(untold)
    while doubtful:
        used = doubtful.pop()
        for address in (a for a, names in uses.items() if used in names and a not in untold):
            reason = f"it uses `{used}`, which cannot be told"
            doubtful.append(address)
            untold[address] = _untold(difference, address, reason)


def _item(difference: Difference, address: str) -> Item:
    return difference.head.get(address) or difference.base[address]


def _shown(difference: Difference, value: Any) -> Any:
    return difference.registry.rewritten(value, lambda standin: standin.shown)


def _entry(difference: Difference, address: str, change: Mapping[str, Any]) -> Json:
    """An entry of `resource_changes` under the true address, with both sides' sensitive marks."""
    item = _item(difference, address)
    marks = {}
    for side, items in (("before", difference.base), ("after", difference.head)):
        own = items[address].sensitive if address in items else {}
        mark = _merged(change.get(f"{side}_sensitive") or {}, own or {})
        if isinstance(mark, dict) and mark.get("tags"):
            mark["tags_all"] = _merged(mark.get("tags_all", {}), mark["tags"])
        marks[f"{side}_sensitive"] = mark
    shown = {side: _shown(difference, change.get(side)) for side in ("before", "after")}
    entry = {
        "address": address,
        "mode": item.mode,
        "type": item.type,
        "provider_name": item.source,
        "change": {**change, **shown, **marks},
    }
    old = difference.moved.get(address)
    return {**entry, "previous_address": old} if old else entry


def _merged(one: Any, other: Any) -> Any:
    """Marks of either."""
    if one is True or other is True:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _merged(one.get(key, False), other.get(key, False)) for key in one.keys() | other.keys()}
    if isinstance(one, list) and isinstance(other, list):
        longest = max(len(one), len(other))
        return [_merged(*(m[i] if i < len(m) else False for m in (one, other))) for i in range(longest)]
    return one or other


def _mocked_change(difference: Difference, address: str) -> Json:
    """What is created or deleted without the provider's word: the sources alone decide that."""
    if address in difference.head:
        planned = difference.head_side.planned.get(address, {}).get("change", {})
        return {"actions": ["create"], "before": None, **{k: planned.get(k) for k in ("after", "after_unknown")}}
    return {"actions": ["delete"], "before": difference.base[address].values, "after": None, "after_unknown": {}}


def _with_documents(
    difference: Difference, address: str, change: Mapping[str, Any], documents: Mapping[str, str]
) -> Mapping[str, Any]:
    """The change with texts in the place of unknown values of which the sources say more than a reference: policies."""
    unknown, after = change.get("after_unknown"), change.get("after")
    if not isinstance(unknown, dict) or not isinstance(after, dict):
        return change
    registry, shown = difference.registry, {}

    def document(standin: Standin) -> str | None:
        return documents.get(difference.names.get(standin.address, ""))

    for name, value in difference.head_arguments.get(address, {}).items():
        if unknown.get(name) is True and isinstance(value, str):
            text = registry.rewritten(value, document)
            if not any(standin.text == text for standin in registry.found(text)):
                shown[name] = text
    left = {name: mark for name, mark in unknown.items() if name not in shown}
    return {**change, "after": {**after, **shown}, "after_unknown": left}


def _without_derived(difference: Difference, address: str, change: Mapping[str, Any]) -> Mapping[str, Any]:
    """The change without what functions made of invented values: a hash of an ARN reads like any other text."""
    sides: Json = {"before": change.get("before"), "after": change.get("after")}
    unknown = change.get("after_unknown") or {}
    found: dict[tuple[str, ...], set[str]] = {}
    for side, items, values in (
        ("before", difference.base, difference.base_arguments),
        ("after", difference.head, difference.head_arguments),
    ):
        if address in items and isinstance(sides[side], dict):
            for path in _derived(difference.registry, items[address].unknown, values.get(address, {})):
                for one in (path, ("tags_all", *path[1:])) if path[0] == "tags" else (path,):
                    found.setdefault(one, set()).add(side)
    for path, where in found.items():
        same = _at(sides["before"], path) == _at(sides["after"], path)
        for side in where:
            if side == "after" and not same:
                unknown = _put(unknown, path, True)
            sides[side] = _put(sides[side], path, DERIVED_TEXT if side == "before" or same else None)
    return {**change, **sides, "after_unknown": unknown} if found else change


def _derived(registry: Registry, unknown: Any, values: Any) -> Iterator[tuple[str, ...]]:
    """Where `values` hold something that was not known before the apply and has no stand-in in it. Not inside lists,
    whose order is not that of a plan.
    """
    if isinstance(unknown, dict) and isinstance(values, dict):
        for name, mark in unknown.items():
            yield from ((name, *path) for path in _derived(registry, mark, values.get(name)))
    elif isinstance(unknown, list) and isinstance(values, list):
        if any(path is not None for pair in zip(unknown, values, strict=False) for path in _derived(registry, *pair)):
            yield ()
    elif unknown is True and values is not None and not any(registry.found(values)):
        yield ()


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return new
    inside = value if isinstance(value, dict) else {}
    return {**inside, path[0]: _put(inside.get(path[0]), path[1:], new)}


def _without_artefacts(difference: Difference, address: str, change: Mapping[str, Any]) -> Mapping[str, Any]:
    """The update without what a provider made of a stand-in that neither side sets (capitals, for DynamoDB)."""
    if change["actions"] != ["update"]:
        return change
    set_ = difference.base_arguments.get(address, {}).keys() | difference.head_arguments.get(address, {}).keys()
    before, after, unknown = change["before"], dict(change["after"]), change.get("after_unknown") or {}
    for name in difference.registry.own[address].keys() - set_:
        if not unknown.get(name):
            after[name] = before.get(name)
    is_same = before == after and not any(_leaves_marked(unknown))
    return {**change, "after": after, "actions": ["no-op"] if is_same else ["update"]}


def _leaves_marked(marks: Any) -> Iterator[bool]:
    return (mark is True for _, mark in _leaves(marks))


def _doubt(difference: Difference, address: str, change: Mapping[str, Any]) -> str:
    """Why this answer depends on values that only the account knows; empty when it does not."""
    base, head = difference.base.get(address), difference.head.get(address)
    if head is not None and base is None and difference.head_side.statements.is_imported(address):
        return "it imports an object that exists, and what it is like only the account knows"
    if base is None or head is None or len(change["actions"]) < 2:
        return ""  # between an update and none the difference is harmless
    before, after = difference.base_arguments[address], difference.head_arguments[address]
    own = difference.registry.own[address]
    doubtful: dict[str, str] = {}
    for name in before.keys() | after.keys():
        if before.get(name) == after.get(name):
            continue
        if name in own and name not in before:
            doubtful[name] = f"the sources did not set `{name}` before, so only the account knows its value"
        for standin in difference.registry.found([before.get(name), after.get(name)]):
            used = difference.head.get(standin.address) or difference.base.get(standin.address)
            if used is None or (used.mode == "data" and not used.is_document):
                where = standin.address.removesuffix(" on the base")
                doubtful[name] = f"`{name}` depends on what `{where}` answers"
    # A provider that replaces for no named attribute (`replace_triggered_by`) does so whatever the values are.
    decisive = {str(path[0]) for path in change.get("replace_paths") or () if path}
    for name in decisive - before.keys() - after.keys():
        doubtful[name] = f"the sources do not set `{name}`, so only the account knows its value"
    return next(iter(doubtful.values())) if decisive and decisive <= doubtful.keys() else ""


def _outputs(difference: Difference) -> Json:
    found = {}
    base, head = difference.base_side.outputs, difference.head_side.outputs
    for name in sorted(n for n in base.keys() | head.keys() if not n.startswith(PROVIDER_OUTPUT)):
        old, new = base.get(name), head.get(name)
        actions = "create" if old is None else "delete" if new is None else "update" if old != new else "no-op"
        sides = {"before": old, "after": new}
        found[name] = {
            "actions": [actions],
            **{side: _shown(difference, (out or {}).get("value")) for side, out in sides.items()},
            **{f"{side}_sensitive": bool((out or {}).get("sensitive")) for side, out in sides.items()},
            "after_unknown": False,
        }
    return found


def _configuration_of(difference: Difference) -> Json:
    """As much of `configuration` as is known: the providers' regions, who uses whom, and what outputs name."""
    side = difference.head_side
    providers = {
        key: {"name": key.partition(".")[0], "expressions": {"region": {"constant_value": value["region"]}}}
        for key, value in side.providers.items()
        if isinstance(value, dict) and isinstance(value.get("region"), str)
    }
    modules: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for address in difference.names:
        if address in difference.head and difference.head[address].mode == "managed":
            module, place = config_address(address)
            uses = modules.setdefault(module, {}).setdefault(place, set())
            used = (config_address(s.address) for s in difference.registry.found(difference.head_arguments[address]))
            uses |= {other for where, other in used if where == module and other != place}
    outputs = {n: {"expression": {"references": list(used)}} for n, used in side.statements.outputs.items()}
    root: Json = {"outputs": outputs}
    for module, resources in modules.items():
        inner = root
        for name in module:
            inner = inner.setdefault("module_calls", {}).setdefault(name, {}).setdefault("module", {})
        inner["resources"] = [
            {
                "address": a,
                "mode": "managed",
                "type": a.partition(".")[0],
                "expressions": {"uses": {"references": sorted(u)}},
            }
            for a, u in sorted(resources.items())
        ]
    return {"provider_config": providers, "root_module": root}
