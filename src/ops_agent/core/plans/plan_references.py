"""Which changed resource uses which, from the configuration's references: the edges of the graph in the pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ops_agent.domain.terraform_plan import ResourceChange

_KEY: Final = re.compile(r'\[(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^"\]])*+\]?', re.DOTALL)
"""`[0]`, `["x]"]`; one that does not end takes all that follows."""


def edges_of(plan: dict[str, Any], changes: tuple[ResourceChange, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs (user, used) of configuration addresses (without `[key]`), both changed and in the same module; sorted."""
    changed = {without_key(change.address) for change in changes if change.mode == "managed"}
    configuration = plan.get("configuration")
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    edges: set[tuple[str, str]] = set()
    stack: list[tuple[str, Any]] = [("", root)]
    while stack:
        prefix, module = stack.pop()
        if not isinstance(module, dict):
            continue
        for resource in module.get("resources") or []:
            user = f"{prefix}{resource.get('address', '')}" if isinstance(resource, dict) else ""
            if user in changed:
                edges |= {(user, used) for used in _references(resource, prefix) if used in changed and used != user}
        calls = module.get("module_calls")
        for name, call in calls.items() if isinstance(calls, dict) else ():
            if isinstance(call, dict):
                stack.append((f"{prefix}module.{name}.", call.get("module")))
    return tuple(sorted(edges))


def without_key(address: str) -> str:
    """`module.a["x"].aws_s3_bucket.b[0]` -> `module.a.aws_s3_bucket.b`; brackets and quotes inside a key do not end it."""
    return _KEY.sub("", address) if "[" in address else address


def _references(resource: dict[str, Any], prefix: str) -> Iterator[str]:
    """`references` lists every prefix of a traversal: `aws_sqs_queue.a.arn` and `aws_sqs_queue.a`; two words name the resource."""
    stack: list[Any] = [resource.get("expressions"), resource.get("for_each_expression"), resource.get("count_expression")]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found = item.get("references")
            for reference in found if isinstance(found, list) else ():
                yield prefix + ".".join(without_key(str(reference)).split(".")[:2])
            stack.extend(value for key, value in item.items() if key != "references")
        elif isinstance(item, list):
            stack.extend(item)
    for reference in resource.get("depends_on") or ():
        yield prefix + str(reference)
