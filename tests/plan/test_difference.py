"""What a change set causes: the head's plan minus the base's."""

from __future__ import annotations

from dataclasses import replace

from ops_agent.model.plan import SENSITIVE, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.plan.difference import own_changes


def resource(address: str, action: ResourceAction = ResourceAction.CREATE, after=None, **fields) -> ResourceChange:
    return ResourceChange(
        address=address, type="aws_sqs_queue", action=action, after=after or {"name": address}, **fields
    )


def plan(*found: ResourceChange) -> TerraformPlan:
    return TerraformPlan(
        changes=found,
        outputs=(),
        drift=(),
        text="",
        canonical_hash="",
    )


def test_what_the_base_plans_as_well_is_not_ours():
    old = resource("a", ResourceAction.UPDATE)
    assert own_changes(plan(old, resource("b")), plan(old)) == {"b"}
    assert own_changes(plan(replace(old, after={"name": "other"})), plan(old)) == {"a"}
    assert own_changes(plan(old), None) == {"a"}
    assert own_changes(plan(resource("a", ResourceAction.NO_OP)), None) == frozenset()


def test_equal_masks_of_a_secret_prove_nothing():
    hidden = resource("a", ResourceAction.UPDATE, {"password": SENSITIVE})
    assert own_changes(plan(hidden), plan(hidden)) == {"a"}
    named = resource("a", ResourceAction.UPDATE, {"password": "(sensitive value)"})
    assert own_changes(plan(named), plan(named)) == frozenset()
