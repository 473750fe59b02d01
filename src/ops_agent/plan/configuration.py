"""The configuration inside a plan: resources in all modules, what they refer to, and what the source itself sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.model.terraform import UNSEEN
from ops_agent.plan.masking import blocks, digest_of, every, has_sensitive, is_marked, leaves, parsed_json

Written = Callable[[str], tuple[dict[str, Any], ...]]
"""The arguments of a resource, by its address, as the sources write them (`guard.written`)."""
_KEY: Final = re.compile(r'\[(?:[^"\]]+|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))*\]?', re.DOTALL)
"""`[0]`, `["x]"]`; one that does not end takes all that follows. No part can fail, so it never looks back."""


ALARMS: Final = ("aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm")


def without_key(address: str) -> str:
    """`module.a["x"].aws_s3_bucket.b[0]` -> `module.a.aws_s3_bucket.b`. Brackets and quotes in a key do not end it."""
    return _KEY.sub("", address) if "[" in address else address


def inside(value: Any, *steps: str) -> Any:
    """What is below `value` at `steps`; None where one is missing, or is not in an object."""
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def members(value: Any) -> dict[str, Any]:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def configured_modules(plan: dict[str, Any]) -> dict[str, tuple[dict[str, Any], str]]:
    """Every module by the prefix of its addresses, with the prefix of the module that calls it; the root's is empty."""
    found: dict[str, tuple[dict[str, Any], str]] = {}
    stack: list[tuple[str, Any, str]] = [("", inside(plan, "configuration", "root_module"), "")]
    while stack:
        prefix, module, above = stack.pop()
        found[prefix] = members(module), above
        for name, call in members(inside(module, "module_calls")).items():
            stack.append((f"{prefix}module.{name}.", inside(call, "module"), prefix))
    return found


def configured(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(address without keys, resource block, prefix of its module's addresses) of every resource."""
    for prefix, (module, _) in configured_modules(plan).items():
        for resource in blocks(module.get("resources")):
            yield f"{prefix}{resource.get('address', '')}", resource, prefix


def edges_of(plan: dict[str, Any], changes: Iterable[ResourceChange]) -> tuple[tuple[str, str], ...]:
    """Pairs (user, used) of configuration addresses (without `[key]`), both changed, also through variables and outputs
    of modules; sorted. An offline plan followed every value by itself (`origins`).
    """
    changed = {without_key(change.address) for change in changes if change.mode == "managed"}
    edges: Iterable[tuple[str, str]]
    if (origins := plan.get("origins")) is not None:
        edges = ((user, used) for user, arguments in origins.items() for names in arguments.values() for used in names)
        edges = ((without_key(user), without_key(used)) for user, used in edges)
    else:
        modules = configured_modules(plan)
        edges = (
            (user, used)
            for user, resource, prefix in configured(plan)
            if user in changed
            for used in _used(resource, prefix, modules)
        )
    return tuple(sorted({(a, b) for a, b in edges if a != b and {a, b} <= changed}))


def _used(resource: dict[str, Any], prefix: str, modules: dict[str, tuple[dict[str, Any], str]]) -> Iterator[str]:
    """Addresses of what a resource refers to."""
    depends_on = resource.get("depends_on")
    named = [str(name) for name in (depends_on if isinstance(depends_on, list) else ())]
    expressions = [resource.get(name) for name in ("expressions", "for_each_expression", "count_expression")]
    for where, name, _ in _followed([*named, *_named(expressions)], prefix, modules):
        kind, first, *_ = (*without_key(name).split("."), "")
        if kind != "module" and not (kind == "var" and where):
            yield f"{where}{kind}.{first}"


def _followed(
    names: Iterable[str], prefix: str, modules: dict[str, tuple[dict[str, Any], str]]
) -> Iterator[tuple[str, str, Any]]:
    """(prefix of the module, reference, expression behind it) of everything that references lead to, through variables
    and outputs of modules; the plan holds no expressions of `locals`, so these end the way.
    """
    waiting = [(prefix, name) for name in names]
    seen = set()
    while waiting:
        where, name = place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        kind, first, *more = (*without_key(name).split("."), "", "")
        told, inner = None, where
        if kind == "var" and where:
            call, inner = _call(modules, where)
            told = inside(call, "expressions", first)
        elif kind == "module":
            inner = f"{where}module.{first}."
            told = inside(modules.get(inner, ({}, ""))[0], "outputs", more[0], "expression")
        waiting += [(inner, name) for name in _named(told)]
        yield where, name, told


def _call(modules: dict[str, tuple[dict[str, Any], str]], prefix: str) -> tuple[Any, str]:
    """The block that calls a module other than the root, and the prefix of the module that it is in."""
    above = modules[prefix][1]
    return inside(modules[above][0], "module_calls", prefix[len(above) :].split(".")[1]), above


def output_references(plan: dict[str, Any], name: str) -> tuple[str, ...]:
    """What an output's expression refers to, in place of an output of a module what that one does; nothing where the
    configuration does not say it. `output module.m.x` is one that cannot be followed.
    """
    named = _named(inside(plan, "configuration", "root_module", "outputs", name, "expression"))
    found = _followed(named, "", configured_modules(plan))
    ends = ((where, one) for where, one, behind in found if behind is None)
    return tuple(sorted({f"{'output ' * one.startswith('module.')}{where}{one}" for where, one in ends}))


def configured_secrets(plan: dict[str, Any]) -> list[str]:
    """Values of root variables that are declared sensitive or ephemeral; the plan's `variables` carry no mark."""
    declared = members(inside(plan, "configuration", "root_module", "variables"))
    marked = (name for name, one in declared.items() if inside(one, "sensitive") or inside(one, "ephemeral"))
    return [text for name in marked for _, text in leaves(inside(plan, "variables", name))]


def resources_with_region(plan: dict[str, Any]) -> Iterator[str]:
    """Addresses, without keys, of resources whose source sets `region` (AWS provider 6)."""
    return (address for address, resource, _ in configured(plan) if inside(resource, "expressions", "region"))


def provider_regions(plan: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """(provider block, region) of every provider block that sets one; None for what the plan cannot resolve."""
    for key, provider in members(inside(plan, "configuration", "provider_config")).items():
        region = inside(provider, "expressions", "region")
        if isinstance(region, dict):
            resolved = _resolved(region, plan, in_root=not provider.get("module_address"))
            yield f"provider {key}", resolved if isinstance(resolved, str) else None


def _resolved(expression: dict[str, Any], plan: dict[str, Any], *, in_root: bool) -> Any:
    """A constant, or the value of the root variable that the expression is."""
    if "constant_value" in expression:
        return expression["constant_value"]
    references = expression.get("references")
    if in_root and isinstance(references, list) and len(references) == 1 and str(references[0]).startswith("var."):
        return inside(plan, "variables", str(references[0])[4:], "value")
    return None


def answers(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What data sources found in the account, without what the configuration told them."""
    asked = {address: resource for address, resource, _ in configured(plan) if resource.get("mode") == "data"}
    stack = [inside(plan, "prior_state", "values", "root_module")] if asked else []
    while stack:
        module = members(stack.pop())
        stack.extend(blocks(module.get("child_modules")))
        for one in blocks(module.get("resources")):
            values, told = members(one.get("values")), members(asked.get(without_key(str(one.get("address")))))
            if one.get("mode") == "data" and told and not _ECHOES.fullmatch(str(one.get("type"))):
                given = _GIVEN | members(told.get("expressions")).keys()
                said = {text for name in given for _, text in leaves(values.get(name))}
                yield {
                    name: value
                    for name, value in values.items()
                    if name not in given and not (isinstance(value, str) and value in said)
                }


_GIVEN: Final = frozenset({"filter", "filters", "tags"})
_ECHOES: Final = re.compile(r"aws_(?:arn|service|partition|region|.*policy_document)")
"""Data sources that compute a text of what they are told, and ask nobody."""


class Origins:
    """Where the value of an argument comes from, followed through variables and outputs of modules. The plan holds no
    expressions of `locals`: for what goes through one, `written` says what the sources write. An offline plan followed
    every value by itself (`origins`), and shows of policies what is known.
    """

    def __init__(self, plan: dict[str, Any], written: Written = lambda _: ()) -> None:
        self._written = written
        self._offline: dict[str, dict[str, list[str]]] | None = plan.get("origins")
        self._modules, self._variables = configured_modules(plan), plan.get("variables")
        self._documents: dict[str, list[dict[str, Any] | None]] = {}
        for entry in blocks(plan.get("resource_changes")):
            if entry.get("type") == "aws_iam_policy_document":
                address = without_key(str(entry.get("address")))
                self._documents.setdefault(address, []).append(_planned_document(members(entry.get("change"))))
        self._resources = {address: (resource, prefix) for address, resource, prefix in configured(plan)}

    def sources(self, address: str, unknown: Any) -> bytes:
        """A digest of what the configuration says of what `unknown` (`after_unknown`) leaves open, and of provisioners;
        also of variables, outputs of modules and data sources behind it. What resources make of theirs is their own.
        """
        resource, prefix = self._resources.get(without_key(address), ({}, ""))
        provisioners, expressions = resource.get("provisioners"), members(resource.get("expressions"))
        if not provisioners and not is_marked(unknown):
            return b""
        told = [provisioners, {name: one for name, one in expressions.items() if is_marked(inside(unknown, name))}]
        if any(told):
            told += [resource.get("count_expression"), resource.get("for_each_expression")]
        found: list[Any] = [resource.get("provider_config_key"), told]
        waiting, seen = [(prefix, told)], set[tuple[str, str]]()
        while waiting:
            where, said = waiting.pop()
            for module, name, expression in _followed(_named(said), where, self._modules):
                if (module, name) in seen:
                    continue
                seen.add((module, name))
                kind, first, *more = (*without_key(name).split("."), "", "")
                behind = expression
                if kind == "var" and not module:
                    behind = inside(self._variables, first, "value")
                elif kind == "data":
                    data, _ = self._resources.get(f"{module}data.{first}.{more[0]}", ({}, ""))
                    behind = [data.get("expressions")]
                    waiting.append((module, behind))
                found.append((module, name, behind))
        return digest_of(found)

    def texts(self, address: str, path: str) -> tuple[str, ...]:
        """The texts that the sources write at the dotted `path`; empty when they do not show all of them."""
        found = [one for values in self._written(address) for one in every(values, path)]
        return tuple(dict.fromkeys(one for one in found if isinstance(one, str))) if UNSEEN not in found else ()

    def of(self, address: str, argument: str) -> frozenset[str] | None:
        """The resources (addresses without keys) that an unknown value of the argument comes from; None when it comes
        from elsewhere too, or cannot be followed.
        """
        if self._offline is not None:
            names = self._offline.get(address, {}).get(argument)
            return frozenset(map(without_key, names)) if names and not any(map(is_data, names)) else None
        resource, prefix = self._resources.get(without_key(address), ({}, ""))
        expression = inside(resource, "expressions", argument)
        found = self._all(expression, resource.get("for_each_expression"), prefix, 0)
        if found is None and (texts := self.texts(address, argument)) and all(map(is_own, texts)):
            return frozenset(".".join(text[2:-1].rsplit(".", 1)[:1]) for text in texts)
        return found

    def is_set(self, change: ResourceChange, argument: str) -> bool:
        """Whether the source may set the argument of `change`; what it does not set on something new, the provider
        computes.
        """
        is_new = change.action is ResourceAction.CREATE or change.action.replaces
        return not is_new or self.sets(change.address, argument)

    def is_open(self, change: ResourceChange, argument: str) -> bool:
        """Whether a hidden value of the argument must be judged and cannot be: the source sets it, and not from
        resources of this configuration alone. What is marked sensitive says nothing of where it comes from.
        """
        return has_sensitive(change.new.get(argument)) or (
            self.is_set(change, argument) and self.of(change.address, argument) is None
        )

    def document(self, address: str, argument: str) -> list[dict[str, Any]] | None:
        """The planned statements of the `aws_iam_policy_document` whose JSON the argument is, with `OWN` for what only
        the apply shows of resources and conditions; None when the argument is something else, or when an action or a
        principal is not known. The configuration would not do: it leaves out what a `dynamic` block makes.
        """
        resource, prefix = self._resources.get(without_key(address), ({}, ""))
        names = {prefix + without_key(name) for name in _named(inside(resource, "expressions", argument))}
        if not any(map(is_data, names)):  # it may be one behind a local or in another module
            names = {text[2:-1] for text in self.texts(address, argument)}
        found = _DOCUMENT.fullmatch(names.pop()) if len(names) == 1 else None
        if found is None:
            return self._written_document(address, argument)
        return self._statements(found[1], _DEEPEST)

    def _statements(self, address: str, left: int) -> list[dict[str, Any]] | None:
        """Of a policy document and of those that it is put together of. A statement that another one overrides counts
        too; None when one of them is not known.
        """
        documents = self._documents.get(address, [])
        if left == 0 or not documents or None in documents:
            return None
        who = self.texts(address, "statement.principals.identifiers")
        unknown = OWN if who and all(map(is_own, (r for text in who for r in REFERENCE.findall(text)))) else None
        found: list[dict[str, Any] | None] = []
        for document in documents:
            found += [_statement(one, unknown) for one in blocks(members(document).get("statement"))]
            for key in _MERGED & members(document).keys():
                texts = self.texts(address, key)
                found += [None] if not texts else []
                for text in texts:
                    inner = _DOCUMENT.fullmatch(text[2:-1])
                    merged = self._statements(inner[1], left - 1) if inner else _in_json(parsed_json(text))
                    found += [None] if merged is None else merged
        return [one for one in found if one is not None] if None not in found else None

    def _written_document(self, address: str, argument: str) -> list[dict[str, Any]] | None:
        """The statements of a policy that the sources write as JSON; None when a part that decides is not seen."""
        texts = self.texts(address, argument)
        found = [_in_json(parsed_json(text)) for text in texts]
        return [one for policy in found for one in policy or ()] if found and None not in found else None

    def sets(self, address: str, argument: str) -> bool:
        """Whether the configuration sets the argument; what it does not set, the provider computes."""
        if self._offline is not None:
            return argument in self._offline.get(address, {})
        found = self._resources.get(without_key(address))
        is_told = found is None or inside(found[0], "expressions", argument) is not None
        return is_told or any(argument in values for values in self._written(address))  # by a `dynamic` block

    def _all(self, expression: Any, each: Any, prefix: str, depth: int) -> frozenset[str] | None:
        names = set(_named(expression))
        if depth > _DEEPEST or not names:
            return None
        found = [self._one(name, each, prefix, depth + 1) for name in names]
        return frozenset().union(*found) if None not in found else None  # type: ignore[arg-type]

    def _one(self, name: str, each: Any, prefix: str, depth: int) -> frozenset[str] | None:
        kind, _, rest = without_key(name).partition(".")
        first = rest.split(".")[0]
        if kind in ("path", "terraform", "count"):
            return frozenset()
        if kind == "each":
            return self._all(each, None, prefix, depth) if each is not None else None
        if kind == "var":
            return self._of_variable(first, prefix, depth)
        if kind == "module":
            inner = f"{prefix}module.{first}."
            output = inside(self._modules.get(inner, ({}, ""))[0], "outputs", *rest.split(".")[1:2], "expression")
            return self._all(output, None, inner, depth)
        if kind == "data":
            return frozenset() if rest.startswith(_COMPUTED_DATA) else None
        return frozenset({f"{prefix}{kind}.{first}"}) if kind != "local" else None

    def _of_variable(self, name: str, prefix: str, depth: int) -> frozenset[str] | None:
        """Of a module's variable what its call gives; the root's variables are known."""
        if not prefix:
            return frozenset()
        call, above = _call(self._modules, prefix)
        given = inside(call, "expressions", name)
        if given is None or "constant_value" in given:
            return frozenset()
        return self._all(given, inside(call, "for_each_expression"), above, depth)


_DOCUMENT: Final = re.compile(r"((?:module\.[^.]+\.)*data\.aws_iam_policy_document\.[^.]+)(?:\..*)?")
REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
OWN: Final = "(known after apply)"
"""In the place of a value that comes from this plan's own resources, in a statement."""
_REFERENCE: Final = re.compile(r"\$\{(?:module\.[^{}.]+\.)*[a-z][a-z0-9]*_[a-z0-9_]*\.[^{}]+\}")


def is_own(value: str) -> bool:
    """Whether a text in a statement stands for what a resource of this configuration will be: `OWN`, or in an offline
    plan a reference to it. IAM's own variables have a colon, those of API Gateway no `_` before the dot.
    """
    return value == OWN or (_REFERENCE.fullmatch(value) is not None and ":" not in value and not is_data(value[2:]))


def is_data(reference: str) -> bool:
    """Whether an address, or a reference, is one of a data source, in whatever module."""
    return re.match(r"(?:module\.[\w-]+(?:\[[^\]]*\])?\.)*data\.", reference) is not None


_DEEPEST: Final = 20
_MERGED: Final = frozenset({"source_policy_documents", "override_policy_documents", "source_json", "override_json"})
_COMPUTED_DATA: Final = ("aws_iam_policy_document.", "aws_caller_identity.", "aws_partition.", "aws_region.")
"""Data sources that only say again what they are given, or who asks."""


def _planned_document(change: dict[str, Any]) -> dict[str, Any] | None:
    """What a policy document will hold, with the arguments of `_MERGED` that it sets; None when it is not known how
    many statements it has.
    """
    planned, unknown = members(change.get("after")), members(change.get("after_unknown"))
    statements = unknown.get("statement")
    is_open = statements is True or (isinstance(statements, list) and True in statements)
    sets = {key: True for key in _MERGED if planned.get(key) or unknown.get(key)}
    return None if is_open else {"statement": planned.get("statement"), **sets}


def _in_json(policy: Any) -> list[dict[str, Any]] | None:
    """The statements of a policy in JSON; None when a part that decides is not seen, or it is no policy."""
    statements = list(blocks(policy.get("Statement"))) if isinstance(policy, dict) else []
    decides = [[value for key, value in one.items() if key not in ("Resource", "Sid")] for one in statements]
    return None if not statements or any(UNSEEN in text for _, text in leaves({"": decides})) else statements


def _statement(planned: dict[str, Any], unknown: str | None) -> dict[str, Any] | None:
    """A planned statement as a policy writes it; None when an action or a principal is not known. `unknown` stands for
    principals that only the apply shows.
    """
    found: dict[str, Any] = {"Effect": planned.get("effect") or "Allow"}
    for name, key in (("actions", "Action"), ("not_actions", "NotAction")):
        if planned.get(name):
            found[key] = planned[name]
    for name, key in (("resources", "Resource"), ("not_resources", "NotResource")):
        found |= {key: [one or OWN for one in planned[name]]} if planned.get(name) else {}
    for name, key in (("principals", "Principal"), ("not_principals", "NotPrincipal")):
        for principal in blocks(planned.get(name)):
            kind, who = principal.get("type"), principal.get("identifiers")
            who = [one or unknown for one in who] if isinstance(who, list) else who
            if not isinstance(kind, str) or not isinstance(who, list) or not all(isinstance(one, str) for one in who):
                return None
            if kind == "*":
                found[key] = "*"
            elif found.get(key) != "*":
                found.setdefault(key, {}).setdefault(kind, []).extend(who)
    for condition in blocks(planned.get("condition")):
        test, variable, values = (condition.get(part) for part in ("test", "variable", "values"))
        if isinstance(test, str) and isinstance(variable, str) and isinstance(values, list):
            found.setdefault("Condition", {}).setdefault(test, {})[variable] = [one or OWN for one in values]
    actions = found.get("Action") or found.get("NotAction")
    is_known = isinstance(actions, list) and all(isinstance(one, str) for one in actions)
    return found if is_known else None


def _named(expression: Any) -> Iterator[str]:
    """The longest of each group of references: `aws_sqs_queue.a.arn` comes with `aws_sqs_queue.a`."""
    stack = [expression]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            listed = item.get("references")
            found = [str(one) for one in listed] if isinstance(listed, list) else []
            yield from (
                one for one in found if not any(other != one and other.startswith(f"{one}.") for other in found)
            )
            stack.extend(value for key, value in item.items() if key != "references")
        elif isinstance(item, list):
            stack.extend(item)
