"""The configuration inside a plan: resources in all modules, what they refer to, and what the source itself sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ops_agent.model.plan import ResourceChange
from ops_agent.plan.masking import blocks, leaves

_KEY: Final = re.compile(r'\[(?:[^"\]]+|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))*\]?', re.DOTALL)
"""`[0]`, `["x]"]`; one that does not end takes all that follows. No part can fail, so it never looks back."""


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


def configured(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(address without keys, resource block, prefix of its module's addresses) of every resource."""
    stack: list[tuple[str, Any]] = [("", inside(plan, "configuration", "root_module"))]
    while stack:
        prefix, module = stack.pop()
        for resource in blocks(inside(module, "resources")):
            yield f"{prefix}{resource.get('address', '')}", resource, prefix
        for name, call in members(inside(module, "module_calls")).items():
            stack.append((f"{prefix}module.{name}.", inside(call, "module")))


def edges_of(plan: dict[str, Any], changes: Iterable[ResourceChange]) -> tuple[tuple[str, str], ...]:
    """Pairs (user, used) of configuration addresses (without `[key]`), both changed and in the same module; sorted."""
    changed = {without_key(change.address) for change in changes if change.mode == "managed"}
    edges = {
        (user, used)
        for user, resource, prefix in configured(plan)
        if user in changed
        for used in _references(resource, prefix)
        if used in changed and used != user
    }
    return tuple(sorted(edges))


def _references(resource: dict[str, Any], prefix: str) -> Iterator[str]:
    """`references` lists every prefix of a traversal, `aws_sqs_queue.a.arn` too; two words name the resource."""
    stack: list[Any] = [resource.get(name) for name in ("expressions", "for_each_expression", "count_expression")]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found = item.get("references")
            for reference in found if isinstance(found, list) else ():
                yield prefix + ".".join(without_key(str(reference)).split(".")[:2])
            stack.extend(value for key, value in item.items() if key != "references")
        elif isinstance(item, list):
            stack.extend(item)
    depends_on = resource.get("depends_on")
    for reference in depends_on if isinstance(depends_on, list) else ():
        yield prefix + str(reference)


def output_references(plan: dict[str, Any], name: str) -> tuple[str, ...]:
    """What an output's expression refers to; nothing where the configuration does not say it."""
    found = inside(plan, "configuration", "root_module", "outputs", name, "expression", "references")
    return tuple(sorted(map(str, found))) if isinstance(found, list) else ()


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


class Origins:
    """Where the value of an argument comes from, followed through variables and outputs of modules. The plan holds no
    expressions of `locals`: what goes through one cannot be followed. A plan on mocked providers has no configuration
    and knows no value of AWS: there everything counts as this configuration's own.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._is_mocked = "configuration" not in plan
        self._modules: dict[str, tuple[dict[str, Any], str]] = {}
        self._resources = {address: (resource, prefix) for address, resource, prefix in configured(plan)}
        stack: list[tuple[str, Any, str]] = [("", inside(plan, "configuration", "root_module"), "")]
        while stack:
            prefix, module, above = stack.pop()
            self._modules[prefix] = (members(module), above)
            for name, call in members(inside(module, "module_calls")).items():
                stack.append((f"{prefix}module.{name}.", inside(call, "module"), prefix))

    def of(self, address: str, argument: str) -> frozenset[str] | None:
        """The resources (addresses without keys) that an unknown value of the argument comes from; None when it comes
        from elsewhere too, or cannot be followed.
        """
        if self._is_mocked:
            return frozenset()
        resource, prefix = self._resources.get(without_key(address), ({}, ""))
        expression = inside(resource, "expressions", argument)
        return self._all(expression, resource.get("for_each_expression"), prefix, 0)

    def is_made_here(self, address: str, argument: str) -> bool:
        """Whether an unknown value of the resource's argument comes from resources of this configuration alone."""
        return self.of(address, argument) is not None

    def document(self, address: str, argument: str) -> list[dict[str, Any]] | None:
        """The statements of the `aws_iam_policy_document` whose JSON the argument is, with `OWN` for what comes from
        this plan's resources; None when the argument is something else, or actions or principals are not written out.
        """
        if self._is_mocked:
            return []
        resource, prefix = self._resources.get(without_key(address), ({}, ""))
        names = {without_key(name) for name in _named(inside(resource, "expressions", argument))}
        if len(names) != 1 or not (name := names.pop()).startswith("data.aws_iam_policy_document."):
            return None
        data, _ = self._resources.get(prefix + ".".join(name.split(".")[:3]), ({}, ""))
        expressions = members(data.get("expressions"))
        if not expressions or expressions.keys() & _MERGED:
            return None
        statements = [self._statement(block, prefix) for block in blocks(expressions.get("statement"))]
        return [one for one in statements if one is not None] if None not in statements else None

    def _statement(self, block: dict[str, Any], prefix: str) -> dict[str, Any] | None:
        actions = self._written(block.get("actions") or block.get("not_actions"), prefix)
        effect = self._written(block.get("effect"), prefix) or ["Allow"]
        found: dict[str, Any] = {"Effect": effect[0], "Not" * ("not_actions" in block) + "Action": actions}
        if "resources" in block or "not_resources" in block:
            key = "Resource" if "resources" in block else "NotResource"
            found[key] = self._written(block.get("resources") or block.get("not_resources"), prefix) or [OWN]
        for key, name in (("principals", "Principal"), ("not_principals", "NotPrincipal")):
            for principal in blocks(block.get(key)):
                kind, who = (self._written(principal.get(part), prefix) for part in ("type", "identifiers"))
                if kind is None or who is None:
                    return None
                if kind[0] == "*":
                    found[name] = "*"
                elif found.get(name) != "*":
                    found.setdefault(name, {}).setdefault(kind[0], []).extend(who)
        for condition in blocks(block.get("condition")):
            test, variable, values = (self._written(condition.get(n), prefix) for n in ("test", "variable", "values"))
            if test and variable and values is not None:
                found.setdefault("Condition", {}).setdefault(test[0], {})[variable[0]] = values
        return found if actions is not None else None

    def _written(self, expression: Any, prefix: str) -> list[str] | None:
        """The texts of a constant; `OWN` for what comes from this plan's resources; None for what cannot be told."""
        constant = inside(expression, "constant_value")
        if constant is not None:
            return [str(one) for one in (constant if isinstance(constant, list) else [constant])]
        return [OWN] if self._all(expression, None, prefix, 0) is not None else None

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
        above = self._modules[prefix][1]
        call = inside(self._modules[above][0], "module_calls", prefix[len(above) :].split(".")[1])
        given = inside(call, "expressions", name)
        if given is None or "constant_value" in given:
            return frozenset()
        return self._all(given, inside(call, "for_each_expression"), above, depth)


OWN: Final = "(of this plan)"
"""In the place of a value that comes from this plan's own resources."""
_DEEPEST: Final = 20
_MERGED: Final = frozenset({"source_policy_documents", "override_policy_documents", "source_json", "override_json"})
_COMPUTED_DATA: Final = ("aws_iam_policy_document.", "aws_caller_identity.", "aws_partition.", "aws_region.")
"""Data sources that only say again what they are given, or who asks."""


def _named(expression: Any) -> Iterator[str]:
    """The longest of each group of references: `aws_sqs_queue.a.arn` comes with `aws_sqs_queue.a`."""
    stack = [expression]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found = [str(one) for one in item.get("references") or ()]
            yield from (
                one for one in found if not any(other != one and other.startswith(f"{one}.") for other in found)
            )
            stack.extend(value for key, value in item.items() if key != "references")
        elif isinstance(item, list):
            stack.extend(item)
