"""A Mermaid graph of what changes and what uses what. Labels hold only letters that neither it nor GitHub acts on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ops_agent.model.plan import ResourceAction, ResourceChange, TerraformPlan
from ops_agent.plan.configuration import without_key
from ops_agent.text.markdown import inert

MAX_NODES: Final = 40
_MAX_EDGES: Final = 80
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
    shown = {address: f"n{number}" for number, address in enumerate(worst[:MAX_NODES])}
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
    lines += [f"  {user} --> {used}" for user, used in edges[:_MAX_EDGES]]
    if len(worst) > MAX_NODES:
        lines.append(f'  more["{len(worst) - MAX_NODES} more"]:::other')
        drawn.add("other")
    lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items() if name in drawn]
    return "\n".join(lines)


def _label(address: str) -> str:
    return _UNSAFE.sub("_", inert(address)).strip()[:_LABEL_LENGTH] or "_"
