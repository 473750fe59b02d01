"""What a change set causes: the head's plan minus what the base commit's plan shows already."""

from __future__ import annotations

from dataclasses import replace

from ops_agent.model.finding import Finding
from ops_agent.model.plan import ResourceAction, ResourceChange, TerraformPlan
from ops_agent.plan.masking import has_sensitive


def own_changes(head: TerraformPlan, base: TerraformPlan | None) -> frozenset[str]:
    """Addresses whose change differs from the base's (drift, and changes that the base plans too, are not ours).

    Without a base plan (a new root) every change is. Sensitive values are compared as they are, not by their masks.
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
        output.name
        for output in head.outputs
        if output != before.get(output.name) or (has_sensitive(output.after) and not output.secrets)
    )


def standards_beside(head: TerraformPlan, base: TerraformPlan | None) -> tuple[Finding, ...]:
    """What the head's planned values lack; what those of the base's plan lack too is marked as pre-existing."""
    known = {(one.rule, one.address, one.what) for one in base.standards} if base else set()
    return tuple(
        replace(one, pre_existing=one.pre_existing or (one.rule, one.address, one.what) in known)
        for one in head.standards
    )


def _same(change: ResourceChange, old: ResourceChange | None) -> bool:
    """Equal masks prove nothing: what a sensitive value is may differ, and what one known after apply is made of."""
    if old is None or (has_sensitive(change.after) and not change.secrets):
        return False
    names = ("action", "previous_address", "import_id", "before", "after", "secrets", "sources")
    return all(getattr(change, name) == getattr(old, name) for name in names)
