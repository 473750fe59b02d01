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
