"""The entries of `resource_changes`, `resource_drift` and `output_changes`, typed and masked. An unknown kind refuses the plan."""

from __future__ import annotations

import json
from typing import Any, Final

from ops_agent.core.plans.plan_values import changed_keys, masked
from ops_agent.domain.terraform_plan import OutputChange, PlanCounts, ResourceAction, ResourceChange
from ops_agent.errors import ToolchainError

_KINDS: Final[dict[tuple[str, ...], ResourceAction]] = {
    ("no-op",): ResourceAction.NO_OP,
    ("create",): ResourceAction.CREATE,
    ("read",): ResourceAction.READ,
    ("update",): ResourceAction.UPDATE,
    ("delete",): ResourceAction.DELETE,
    ("forget",): ResourceAction.FORGET,
    ("delete", "create"): ResourceAction.REPLACE_DELETE_FIRST,
    ("create", "delete"): ResourceAction.REPLACE_CREATE_FIRST,
    ("create", "forget"): ResourceAction.REPLACE_FORGET,
}
"""https://developer.hashicorp.com/terraform/internals/json-format, "Change representation", and Terraform's own jsonplan package."""

REPLACES: Final = frozenset({ResourceAction.REPLACE_DELETE_FIRST, ResourceAction.REPLACE_CREATE_FIRST, ResourceAction.REPLACE_FORGET})


def read_entry(entry: Any, hidden: list[str]) -> ResourceChange | None:
    """One entry of `resource_changes` or `resource_drift`; None for what stays as it is. Masked strings are added to `hidden`."""
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        raise ToolchainError("the plan holds a resource change without an address")
    address, change = entry["address"], entry.get("change")
    if entry.get("mode") == "ephemeral":
        return None
    if not isinstance(change, dict):
        raise ToolchainError(f"the plan does not say what happens to {address[:200]}")
    action = _kind(change, address)
    previous = entry.get("previous_address") if entry.get("previous_address") != address else None
    importing = change.get("importing")
    before = masked(change.get("before"), change.get("before_sensitive"), None, hidden)
    after = masked(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"), hidden)
    if action is ResourceAction.NO_OP:
        if previous is not None:
            action = ResourceAction.MOVE
        elif importing is not None:
            action = ResourceAction.IMPORT
        else:
            return None
    return ResourceChange(
        address=address,
        type=str(entry.get("type", "")),
        provider=str(entry.get("provider_name", "")),
        action=action,
        mode=str(entry.get("mode", "managed")),
        reason=_text_or_none(entry.get("action_reason")),
        replace_paths=_paths(change.get("replace_paths")),
        previous_address=_text_or_none(previous),
        import_id=_import_id(importing),
        before=before,
        after=after,
        changed_attributes=_changed(change, before, after),
    )


def read_outputs(plan: dict[str, Any], hidden: list[str]) -> tuple[OutputChange, ...]:
    """Outputs that change, by name."""
    found = plan.get("output_changes") or {}
    if not isinstance(found, dict):
        raise ToolchainError("the plan's `output_changes` are not an object")
    outputs = []
    for name, change in sorted(found.items()):
        action = _kind(change, f"output {name}")
        after = masked(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"), hidden)
        before = masked(change.get("before"), change.get("before_sensitive"), None, hidden)
        if action is not ResourceAction.NO_OP:
            sensitive = bool(change.get("after_sensitive") or change.get("before_sensitive"))
            outputs.append(
                OutputChange(
                    name=name, action=action, sensitive=sensitive, before=before, after=after, references=_output_references(plan, name)
                )
            )
    return tuple(outputs)


def count(changes: tuple[ResourceChange, ...], outputs: tuple[OutputChange, ...]) -> PlanCounts:
    """As Terraform counts; deletes of data sources (nothing real goes) are not counted, as they are not there."""
    managed = [change for change in changes if change.mode == "managed"]
    by_kind = {kind: sum(change.action is kind for change in managed) for kind in ResourceAction}
    replaced = sum(by_kind[kind] for kind in REPLACES)
    destroyed = sum(change.action.destroys for change in managed)
    return PlanCounts(
        add=by_kind[ResourceAction.CREATE] + replaced,
        change=by_kind[ResourceAction.UPDATE],
        destroy=destroyed,
        replace=replaced - by_kind[ResourceAction.REPLACE_FORGET],
        import_=sum(change.import_id is not None for change in managed),
        move=sum(change.previous_address is not None for change in managed),
        forget=by_kind[ResourceAction.FORGET] + by_kind[ResourceAction.REPLACE_FORGET],
        read=sum(change.action is ResourceAction.READ for change in changes),
        outputs=len(outputs),
    )


def _output_references(plan: dict[str, Any], name: str) -> tuple[str, ...]:
    """What the output's expression names (`configuration`); nothing where the document does not say it."""
    found: Any = plan
    for key in ("configuration", "root_module", "outputs", name, "expression", "references"):
        found = found.get(key) if isinstance(found, dict) else None
    return tuple(sorted(str(reference) for reference in found)) if isinstance(found, list) else ()


def _kind(change: Any, whose: str) -> ResourceAction:
    kinds = change.get("actions") if isinstance(change, dict) else None
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ToolchainError(f"the plan does not say what happens to {whose[:200]}")
    known = _KINDS.get(tuple(kinds))
    if known is None:
        raise ToolchainError(f"the plan holds a kind of change that is not known: {str(kinds)[:80]} for {whose[:200]}")
    return known


def _changed(change: dict[str, Any], before: Any, after: Any) -> tuple[str, ...]:
    """Also what differs below two equal masks: a value must not change unseen because it is sensitive."""
    if before is None or after is None:
        return changed_keys(before, after)
    marks = (change.get("before_sensitive"), change.get("after_sensitive"))
    marked = {key for tree in marks if isinstance(tree, dict) for key, said in tree.items() if said}
    if not marked:
        return changed_keys(before, after)
    hidden = {
        key
        for key in marked
        for raw in [(_of(change.get("before"), key), _of(change.get("after"), key))]
        if (raw[0] is not _of(before, key) or raw[1] is not _of(after, key)) and raw[0] != raw[1]
    }
    return tuple(sorted({*changed_keys(before, after), *hidden})) if hidden else changed_keys(before, after)


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _import_id(importing: Any) -> str | None:
    """The id, the identity as JSON, or `(unknown)`: the object's contents are all optional."""
    if importing is None or importing is False:
        return None
    if isinstance(importing, dict):
        if isinstance(importing.get("id"), str):
            return str(importing["id"])
        if importing.get("identity"):
            return json.dumps(importing["identity"], sort_keys=True)[:500]
    return "(unknown)"


def _paths(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(".".join(str(step) for step in path) if isinstance(path, list) else str(path) for path in value)
