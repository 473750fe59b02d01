"""What a change set causes: the head's plan minus what the base commit's plan shows already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ops_agent.model.plan import ResourceAction, ResourceChange, TerraformPlan
from ops_agent.plan.dangers import dangers_of
from ops_agent.plan.iam import Trust
from ops_agent.plan.masking import has_sensitive


def own_changes(head: TerraformPlan, base: TerraformPlan | None) -> frozenset[str]:
    """Addresses whose change differs from the base's (drift, and changes that the base plans too, are not ours).

    Without a base plan (a new root) every change is. A masked sensitive value counts as different.
    """
    before = {change.address: change for change in base.changes} if base else {}
    return frozenset(
        change.address
        for change in head.changes
        if change.action is not ResourceAction.NO_OP and not _same(change, before.get(change.address))
    )


def own_outputs(head: TerraformPlan, base: TerraformPlan | None) -> frozenset[str]:
    """Names of outputs whose change differs from the base's. An unknown one is compared by its references."""
    before = {output.name: output for output in base.outputs} if base else {}
    return frozenset(
        output.name for output in head.outputs if output != before.get(output.name) or has_sensitive(output.after)
    )


def mocked_difference(head: TerraformPlan, base: TerraformPlan | None) -> TerraformPlan:
    """Two plans from an empty state, with mocked providers, as one plan: what the source creates, updates and deletes.

    It cannot show a replace (which attribute forces one is the provider's and the state's knowledge), a move, an
    import, drift, or anything that depends on what is in the account.
    """
    before = {change.address: change for change in base.changes if _exists(change)} if base else {}
    after = {change.address: change for change in head.changes if _exists(change)}
    changes: list[ResourceChange] = []
    for address, change in after.items():
        old = before.get(address)
        if old is None:
            changes.append(change)
        elif not _same(change, old):
            names = _differing(old.after, change.after)
            changes.append(replace(change, action=ResourceAction.UPDATE, before=old.after, changed_attributes=names))
    for address, old in before.items():
        if address not in after:
            changes.append(replace(old, action=ResourceAction.DELETE, before=old.after, after=None))
    addresses = {change.address for change in changes}
    found = (
        *(danger for danger in head.dangers if danger.address in addresses),
        *dangers_of(changes, trust=Trust(document=lambda *_: [])),
    )
    dangers = {(danger.address, danger.rule, danger.what): danger for danger in found}
    outputs = tuple(output for output in head.outputs if base is None or output not in base.outputs)
    resting = (
        replace(one, action=ResourceAction.NO_OP, before=one.after, changed_attributes=()) for one in after.values()
    )
    return replace(
        head,
        changes=tuple(changes),
        unchanged=tuple(one for one in resting if one.address not in addresses),
        dangers=tuple(dangers.values()),
        outputs=outputs,
        drift=(),
        text="",
    )


def _exists(change: ResourceChange) -> bool:
    return change.mode == "managed" and change.action is ResourceAction.CREATE


def _same(change: ResourceChange, old: ResourceChange | None) -> bool:
    """Equal masks prove nothing: what a sensitive value is may differ."""
    if old is None or has_sensitive(change.after):
        return False
    names = ("action", "previous_address", "import_id", "before", "after")
    return all(getattr(change, name) == getattr(old, name) for name in names)


def _differing(old: Any, new: Any) -> tuple[str, ...]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return ()
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))
