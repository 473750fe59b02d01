"""Plans for tests: captured ones, and hand-made changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ops_agent.model.finding import Finding
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.plan.reading import read_plan

PLANS = Path(__file__).parent / "plans"
CAPTURED = tuple(sorted(path.stem for path in PLANS.glob("*.json")))


def document(name: str) -> dict[str, Any]:
    """A captured `show -json`, parsed."""
    parsed: dict[str, Any] = json.loads((PLANS / f"{name}.json").read_bytes())
    return parsed


def text_of(name: str) -> str:
    return (PLANS / f"{name}.txt").read_text(encoding="utf-8")


def captured(name: str, **options: Any) -> TerraformPlan:
    return read_plan((PLANS / f"{name}.json").read_bytes(), text_of(name), Policy(), **options)


def plan_document(*changes: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A hand-made plan with these `resource_changes`."""
    return {
        "format_version": "1.2",
        "terraform_version": "1.15.5",
        "applyable": True,
        "complete": True,
        "resource_changes": list(changes),
        "configuration": {"root_module": {}},
    } | top


def change(address: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """One entry of `resource_changes`."""
    marks = {"actions": list(actions), "before": before, "after": after, **more.pop("change", {})}
    type_ = address.split(".")[-2] if "." in address else address
    return {
        "address": address,
        "mode": "managed",
        "type": type_,
        "name": "x",
        "provider_name": "p",
        "change": marks,
    } | more


def read(plan: dict[str, Any], text: str = "", **options: Any) -> TerraformPlan:
    return read_plan(json.dumps(plan).encode(), text, options.pop("policy", Policy()), **options)


# Losses.

LOST = ("plan/loses-data", "plan/recovery-off", "plan/one-way")


def loss_entry(
    type_: str, before: Any, after: Any, *actions: str, unknown: Any = None, sensitive: Any = None
) -> dict[str, Any]:
    marks = {"after_unknown": unknown or {}, "after_sensitive": sensitive or {}}
    return change(f"{type_}.x", *(actions or ("update",)), before=before, after=after, change=marks)


def losses_found(*entries: dict[str, Any]) -> tuple[Finding, ...]:
    return tuple(danger for danger in read(plan_document(*entries)).dangers if danger.rule in LOST)


def nested(path: str, value: Any) -> dict[str, Any]:
    """`a.b` and 1 as Terraform writes it: {"a": [{"b": 1}]}."""
    *outer, last = path.split(".")
    built: Any = {last: value}
    for name in reversed(outer):
        built = {name: [built]}
    return dict(built)
