"""Nouns of the tests of losses: one change, and the dangers of losses that its plan holds."""

from __future__ import annotations

from typing import Any

from ops_agent.model.finding import Finding
from proof.proof_samples import change, plan_document, read

LOST = ("plan/loses-data", "plan/recovery-off", "plan/one-way")


def entry(
    type_: str, before: Any, after: Any, *actions: str, unknown: Any = None, sensitive: Any = None
) -> dict[str, Any]:
    told = {"after_unknown": unknown or {}, "after_sensitive": sensitive or {}}
    return change(f"{type_}.x", *(actions or ("update",)), before=before, after=after, change=told)


def found(*entries: dict[str, Any]) -> tuple[Finding, ...]:
    return tuple(danger for danger in read(plan_document(*entries)).dangers if danger.rule in LOST)


def nested(path: str, value: Any) -> dict[str, Any]:
    """`a.b` and 1 as Terraform writes it: {"a": [{"b": 1}]}."""
    *outer, last = path.split(".")
    built: Any = {last: value}
    for name in reversed(outer):
        built = {name: [built]}
    return dict(built)
