"""One side of the offline plan: its instances, the mocked runs, and what stands for values that only an apply knows.

Each computed attribute of each instance has a value of its own. The forms that a provider checks, and what data sources
answer that depends on the target alone, are in `data/invented.json`: the first pattern that is found in
`type.attribute` gives the text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, repeat
from string import Template
from typing import Any, Final, NamedTuple

from ops_agent.model.plan import OfflineSide
from ops_agent.plan.configuration import members
from ops_agent.plan.findings import table
from ops_agent.terraform.statements import Shape, Statements

Json = dict[str, Any]
DOCUMENT: Final = "aws_iam_policy_document"
"""The one data source that the real provider answers by itself."""
_STATE: Final = "terraform_remote_state"
_PROVIDER: Final = "ops_agent_provider_"
_KINDS: Final = {"managed": "resource", "data": "data"}
_TOKEN: Final = re.compile(r"oa[0-9a-f]{14}")
_INVENTED: Final = re.compile(
    rf"{_TOKEN.pattern}|(?<![0-9.])100(?:\.[0-9]{{1,3}}){{3}}(?:/24)?(?![0-9.])"
    r"|fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}::/56|(?<![0-9])7[0-9]{9}(?![0-9])"
)
_TABLE: Final = table("invented")
_EMPTY: Final[Json] = {"bool": False, "map": {}, "list": [], "set": []}
_TEXTS: Final = [(re.compile(pattern), Template(text)) for pattern, text in _TABLE["texts"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a side is planned for. `other`: with other invented values, lengths and numbers, to see what uses them."""

    account: str
    region: str
    other: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """An instance on one side. `planned` is its change in the mocked plan, `values` are those of the mocked apply."""

    address: str
    mode: str
    type: str
    source: str
    values: Json
    planned: Json
    sensitive: Any
    schema: Json
    place: Place

    @property
    def is_document(self) -> bool:
        return self.mode == "data" and self.type == DOCUMENT

    @cached_property
    def own(self) -> Json:
        """Its stand-ins; of another state all outputs are."""
        if self.type == _STATE:
            return {"outputs": self.values.get("outputs") or {}}
        return standins(self.address, self.mode, self.type, self.schema, self.place)

    @cached_property
    def arguments(self) -> Json:
        """What the sources set: its values without those that an apply computes."""
        return _arguments(self.schema.get("block", {}), self.values, self.planned.get("after_unknown"), self.own)


@dataclass(frozen=True, kw_only=True)
class Side(OfflineSide):
    """One side after its mocked runs; `outputs` are the root module's, `providers` its evaluated blocks by `aws` or
    `aws.alias`. Of a base also `stated`, its values with the provider's defaults by address, and in `failed` why some
    have none.
    """

    items: Mapping[str, Item] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    providers: Mapping[str, Any] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)
    stated: Mapping[str, Json] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    statements: Statements = field(default_factory=Statements)

    def arguments(self, address: str) -> Json:
        """What the sources set of an instance; nothing where there is none."""
        return self.items[address].arguments if address in self.items else {}

    def written(self, address: str) -> Any:
        """The same without what stands for something."""
        return Registry(self.items.values()).rewritten(self.arguments(address), lambda _: "")


def _arguments(block: Json, values: Json, unknown: Any, own: Json) -> Json:
    found: Json = {}
    marks = members(unknown)
    for name, attribute in (block.get("attributes") or {}).items():
        value = values.get(name)
        if value is None or not (attribute.get("optional") or attribute.get("required")):
            continue
        is_invented = marks.get(name) is True and not _TOKEN.search(json.dumps(value))
        if not attribute.get("computed") or not (value == own[name] if name in own else is_invented):
            found[name] = value
    for name, inner in (block.get("block_types") or {}).items():
        value, below = values.get(name) or [], marks.get(name)
        if isinstance(value, list):
            listed = chain(below if isinstance(below, list) else (), repeat(None))
            made: Any = [_arguments(inner["block"], one, mark, {}) for one, mark in zip(value, listed, strict=False)]
        elif inner.get("nesting_mode") == "map":
            made = {k: _arguments(inner["block"], v, members(below).get(k), {}) for k, v in value.items()}
        else:
            made = _arguments(inner["block"], value, below, {})
        if made:
            found[name] = made
    return found


def standins(address: str, mode: str, type_: str, schema: Json, place: Place) -> Json:
    """A value of its own for each computed attribute of an instance, as `override_resource` takes it."""
    answers: Json = {}
    if mode == "data" and type_ in _TABLE["answers"]:
        short = re.sub("-|(?<=[nsewc])(orth|outh|ast|est|entral)", "", place.region)
        text = Template(json.dumps(_TABLE["answers"][type_]))
        answers = json.loads(text.substitute(account=place.account, region=place.region, short=short))
    given: Json = {}
    for name, attribute in schema.get("block", {}).get("attributes", {}).items():
        of = attribute.get("type")
        # Blocks that the provider declares as attributes (`ingress`) are left to the mock, which answers none.
        # So are numbers that the sources may set: a provider computes with them.
        is_set = of == "number" or (isinstance(of, list) and not isinstance(of[1], str))
        if attribute.get("computed") and of is not None and not (is_set and attribute.get("optional")):
            value = answers[name] if name in answers else _standin(address, type_, of, name, place)
            if value is not None:
                given[name] = value
    return given


def _state_outputs(address: str, outputs: Mapping[str, Shape], place: Place) -> Json:
    """What another state holds, as far as somebody asks."""

    def one(shape: Shape, path: str) -> Any:
        if isinstance(shape, frozenset):
            return {key: one("text", f"{path}.{key}") for key in sorted(shape)}
        return _standin(address, _STATE, ["list", "string"] if shape == "list" else "string", path, place)

    return {name: one(shape, name) for name, shape in outputs.items()}


def _standin(address: str, resource: str, type_: Any, path: str, place: Place) -> Any:
    seed = f"{address}\0{path}" + ("\0other" if place.other else "")
    digits = hashlib.sha256(seed.encode()).hexdigest()[: 20 if place.other else 14]
    number = int(digits[:14], 16)
    if type_ == "number":
        return 7_000_000_000 + number % 1_000_000_000
    if type_ == "string":
        name = f"{resource}.{path.rpartition('.')[2]}"
        return next(text for pattern, text in _TEXTS if pattern.search(name)).substitute(
            token=f"oa{digits}",
            account=place.account,
            region=place.region,
            service=resource.split("_")[1],
            # Of the shared address space, and of local ones: no network of a repository uses these by chance.
            ip=f"100.{64 + number % 64}.{number // 64 % 256}.{number // 16384 % 256}",
            network=f"100.{64 + number % 64}.{number // 64 % 256}.0/24",
            ipv6=f"fd{digits[:2]}:{digits[2:6]}:{digits[6:10]}::/56",
        )
    if isinstance(type_, list) and type_[0] in ("list", "set"):
        inner = type_[1]
        count = (2 if place.other else 3) if inner in ("string", "number") else 1
        made = [_standin(address, resource, inner, f"{path}[{index}]", place) for index in range(count)]
        return None if None in made else sorted(made) if type_[0] == "set" else made
    if isinstance(type_, list) and type_[0] == "object":
        fields = {name: _standin(address, resource, inner, f"{path}.{name}", place) for name, inner in type_[1].items()}
        kinds = {name: inner if isinstance(inner, str) else inner[0] for name, inner in type_[1].items()}
        return {name: _EMPTY.get(kinds[name]) if value is None else value for name, value in fields.items()}
    return None


class Standin(NamedTuple):
    """The value in the place of `path` (`arn`, `ids[0]`) of the instance `address`; `text` is how a string shows it."""

    address: str
    path: str
    text: str


class Registry:
    """Every stand-in of some instances, to be found in values."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._known = {
            invented[0]: Standin(item.address, path, str(value))
            for item in items
            for path, value in leaves(item.own)
            if (invented := _INVENTED.search(str(value)))
        }

    def found(self, value: Any) -> Iterator[Standin]:
        """The stand-ins inside a value."""
        for _, leaf in leaves(value):
            yield from (self._known[text] for text in _INVENTED.findall(str(leaf)) if text in self._known)

    def rewritten(self, value: Any, of: Callable[[Standin], Any], plain: Callable[[str], str] = str) -> Any:
        """`value` with each stand-in replaced by what `of` gives (None: left alone); `plain` makes the text between."""
        if isinstance(value, dict):
            return {plain(key): self.rewritten(inner, of, plain) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.rewritten(inner, of, plain) for inner in value]
        if not isinstance(value, str):
            made = [of(standin) for standin in self.found(value)]
            return value if made in ([], [None]) else made[0]
        new = {s.text: str(made) for s in self.found(value) if (made := of(s)) is not None}
        if not new:
            return plain(value)
        parts = re.split("(" + "|".join(map(re.escape, sorted(new, key=len, reverse=True))) + ")", value)
        return "".join(new[part] if part in new else plain(part) for part in parts)

    def derived(self, unknown: Any, values: Any) -> Iterator[tuple[str, ...]]:
        """Where `values` hold something that was not known before the apply and has no stand-in in it. Not inside
        lists, whose order is not that of a plan.
        """
        if isinstance(unknown, dict) and isinstance(values, dict):
            for name, mark in unknown.items():
                yield from ((name, *path) for path in self.derived(mark, values.get(name)))
        elif isinstance(unknown, list) and isinstance(values, list):
            if any(True for pair in zip(unknown, values, strict=False) for _ in self.derived(*pair)):
                yield ()
        elif unknown is True and values is not None and not any(self.found(values)):
            yield ()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in a value that holds nothing else."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    """`value` with `new` at `path`."""
    if not path:
        return new
    return {**members(value), path[0]: put(members(value).get(path[0]), path[1:], new)}


def escaped(text: str) -> str:
    """A text as a template of Terraform's JSON syntax."""
    return text.replace("${", "$${").replace("%{", "%%{")


# The mocked runs.


def mocked_test(statements: Statements, known: Iterable[Item], schemas: Mapping[str, Any], place: Place) -> str:
    """The test file (JSON) that plans and then applies the root module on mocked providers. Instances are expected that
    are `known`, or the only ones of a block whose type is in `schemas` (by provider).
    """
    by_type = {(mode, type_): schema for _, mode, type_, schema in _types(schemas)}
    single = {
        a: (mode, type_, by_type[mode, type_]) for a, mode, type_ in statements.single if (mode, type_) in by_type
    }
    expected = {**single, **{item.address: (item.mode, item.type, item.schema) for item in known}}
    found: Json = {f"override_{kind}": [] for kind in _KINDS.values()}
    for address, (mode, type_, schema) in expected.items():
        if not type_.startswith("terraform_"):
            values = standins(address, mode, type_, schema, place)
            found[f"override_{_KINDS[mode]}"].append({"target": address, "values": values})
    for address, outputs in statements.states.items():
        values = {"outputs": _state_outputs(address, outputs, place)}
        found["override_data"].append({"target": address, "values": values})
    # What nobody expected gets values of the right form at least, and is expected the next time.
    defaults: dict[str, Json] = {mode: {} for mode in _KINDS}
    for block in statements.blocks.values():
        mode, type_ = ("data" if block.type == "data" else "managed"), block.labels[0]
        if (mode, type_) in by_type:
            defaults[mode][type_] = {"defaults": standins(f"any {type_}", mode, type_, by_type[mode, type_], place)}
    mocks: dict[str, list[Json]] = {}
    used = map(statements.provider_of, statements.addresses)
    for name in sorted({*statements.providers, *used, "aws"} - {"terraform"}):
        local, _, alias = name.partition(".")
        mock: Json = {
            f"mock_{kind}": {t: values for t, values in defaults[mode].items() if t.startswith(f"{local}_")}
            for mode, kind in _KINDS.items()
        }
        mocks.setdefault(local, []).append({key: value for key, value in {**mock, "alias": alias}.items() if value})
    found["run"] = [{"planned": {"command": "plan"}}, {"applied": {"command": "apply"}}]
    return json.dumps({**found, "mock_provider": mocks})


def provider_outputs(statements: Statements) -> str:
    """A configuration file (JSON) for the root module, with an output for each provider block's arguments."""
    outputs = {
        _PROVIDER + name.replace(".", "__"): {
            "value": {argument: f"${{{source}}}" for argument, source in arguments.items()},
            "sensitive": True,
        }
        for name, arguments in statements.providers.items()
    }
    return json.dumps({"output": outputs} if outputs else {})


def read_side(
    lines: Iterable[Mapping[str, Any]], statements: Statements, known: dict[str, Any], place: Place
) -> tuple[Side | None, list[Item]]:
    """The side, None when its mocked apply did not pass; and all instances that its mocked plan shows. Schemas that
    equal those in `known` are these, and new ones are kept there: those of AWS take 100 MB.
    """
    plan: Json = {}
    state: Json = {}
    for line in lines:
        plan, state = line.get("test_plan") or plan, line.get("test_state") or state
    shown = state.get("provider_schemas") or plan.get("provider_schemas") or {}
    kept = {source: known.setdefault(source, schema) for source, schema in shown.items()}
    schemas = {source: kept[source] if kept[source] == schema else schema for source, schema in shown.items()}
    by_type = {(source, mode, type_): schema for source, mode, type_, schema in _types(schemas)}
    planned = {entry["address"]: entry for entry in plan.get("resource_changes") or ()}

    def item(entry: Mapping[str, Any], values: Any, sensitive: Any) -> Item:
        schema = by_type.get((entry["provider_name"], entry["mode"], entry["type"]), {})
        return Item(
            address=entry["address"],
            mode=entry["mode"],
            type=entry["type"],
            source=entry["provider_name"],
            values=values or {},
            planned=planned.get(entry["address"], {}).get("change", {}),
            sensitive=sensitive,
            schema=schema,
            place=place,
        )

    if not state:
        return None, [item(e, e["change"].get("after"), e["change"].get("after_sensitive")) for e in planned.values()]
    items, modules = {}, [state.get("root_module") or {}]
    for module in modules:
        modules += module.get("child_modules") or ()
        for entry in module.get("resources") or ():
            items[entry["address"]] = item(entry, entry.get("values"), entry.get("sensitive_values"))
    outputs = dict(state.get("outputs") or {})
    ours = [name for name in outputs if name.startswith(_PROVIDER)]
    blocks = {name.removeprefix(_PROVIDER).replace("__", "."): outputs.pop(name).get("value") for name in ours}
    side = Side(items=items, outputs=outputs, providers=blocks, schemas=schemas, statements=statements)
    return side, [*items.values()]


def _types(schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Json]]:
    for source, provider in schemas.items():
        for mode, kind in _KINDS.items():
            prefix = "data_source" if mode == "data" else kind
            for type_, schema in (provider.get(f"{prefix}_schemas") or {}).items():
                yield source, mode, type_, schema
