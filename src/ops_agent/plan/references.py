"""A Mermaid graph of what changes and what uses what; GitHub draws it. Labels hold letters that Mermaid and GitHub act
on in no way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ops_agent.model.plan import ResourceAction, ResourceChange, TerraformPlan
from ops_agent.text.markdown import inert

# Which changed resource uses which, from the configuration's references: the edges of the graph in the pull request.

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
    """`references` lists every prefix of a traversal: `aws_sqs_queue.a.arn` and `aws_sqs_queue.a`; two words name the
    resource.
    """
    stack: list[Any] = [
        resource.get("expressions"),
        resource.get("for_each_expression"),
        resource.get("count_expression"),
    ]
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


MOST_NODES: Final = 40
_MOST_EDGES: Final = 80
_LABEL_LENGTH: Final = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9_./\-\[\] ]")
_CLASSES: Final = {
    "destroyed": "fill:mistyrose,stroke:firebrick,stroke-width:2px",
    "replaced": "fill:moccasin,stroke:darkorange,stroke-width:2px",
    "changed": "fill:lightyellow,stroke:goldenrod",
    "created": "fill:honeydew,stroke:seagreen",
    "other": "fill:whitesmoke,stroke:gray",
}
_KINDS: Final = {
    ResourceAction.CREATE: "created",
    ResourceAction.UPDATE: "changed",
    ResourceAction.DELETE: "destroyed",
    ResourceAction.REPLACE_DELETE_FIRST: "replaced",
    ResourceAction.REPLACE_CREATE_FIRST: "replaced",
    ResourceAction.REPLACE_FORGET: "replaced",
}


def graph(plan: TerraformPlan, changes: Iterable[ResourceChange]) -> str:
    """Mermaid text (without a fence) of `changes`, the worst first, at most 40; empty when there is nothing to draw.

    Instances of one resource (`count`, `for_each`) are one node with their number.
    """
    kinds: dict[str, list[str]] = {}
    for change in changes:
        if change.mode == "managed":
            kinds.setdefault(without_key(change.address), []).append(_KINDS.get(change.action, "other"))
    order = list(_CLASSES)
    worst = sorted(kinds, key=lambda address: (min(order.index(kind) for kind in kinds[address]), address))
    shown = {address: f"n{number}" for number, address in enumerate(worst[:MOST_NODES])}
    if not shown:
        return ""
    lines = ["graph LR"]
    drawn = set()
    for address, node in shown.items():
        number = f" x {len(kinds[address])}" if len(kinds[address]) > 1 else ""
        kind = min(kinds[address], key=order.index)
        drawn.add(kind)
        lines.append(f'  {node}["{_label(address)}{number}"]:::{kind}')
    edges = [(shown[user], shown[used]) for user, used in plan.edges if user in shown and used in shown]
    lines += [f"  {user} --> {used}" for user, used in edges[:_MOST_EDGES]]
    if len(worst) > MOST_NODES:
        lines.append(f'  more["{len(worst) - MOST_NODES} more"]:::other')
        drawn.add("other")
    lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items() if name in drawn]
    return "\n".join(lines)


def _label(address: str) -> str:
    return _UNSAFE.sub("_", inert(address)).strip()[:_LABEL_LENGTH] or "_"
