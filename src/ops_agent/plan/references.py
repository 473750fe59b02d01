"""The configuration inside a plan: its resources in all modules, and which of them refers to which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ops_agent.model.plan import ResourceChange
from ops_agent.plan.masking import blocks

_KEY: Final = re.compile(r'\[(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^"\]])*+\]?', re.DOTALL)
"""`[0]`, `["x]"]`; one that does not end takes all that follows."""


def without_key(address: str) -> str:
    """`module.a["x"].aws_s3_bucket.b[0]` -> `module.a.aws_s3_bucket.b`; brackets and quotes inside a key do not end it."""
    return _KEY.sub("", address) if "[" in address else address


def configured(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(address without keys, resource block, prefix of its module's addresses) of every resource of the configuration."""
    configuration = plan.get("configuration")
    stack: list[tuple[str, Any]] = [("", configuration.get("root_module") if isinstance(configuration, dict) else None)]
    while stack:
        prefix, module = stack.pop()
        if not isinstance(module, dict):
            continue
        for resource in blocks(module.get("resources")):
            yield f"{prefix}{resource.get('address', '')}", resource, prefix
        calls = module.get("module_calls")
        for name, call in calls.items() if isinstance(calls, dict) else ():
            if isinstance(call, dict):
                stack.append((f"{prefix}module.{name}.", call.get("module")))


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
    """`references` lists every prefix of a traversal: `aws_sqs_queue.a.arn` and `aws_sqs_queue.a`; two words name the
    resource.
    """
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
