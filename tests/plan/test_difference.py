"""What a change set causes: the head's plan minus the base's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops_agent.model.plan import SENSITIVE, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.plan.difference import own_changes, own_outputs
from plan.plan_samples import change, plan_document, read


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


@pytest.mark.parametrize(
    ("base", "head", "is_own"),
    [("hunter-2-hunter", "hunter-2-hunter", False), ("hunter-2-hunter", "another-one", True), (None, None, False)],
)
def test_sensitive_values_are_compared_before_they_are_hidden(base: str | None, head: str | None, is_own: bool) -> None:
    """A certificate that the base has not applied yet has a sensitive attribute that is null."""

    def planned(secret: str | None) -> TerraformPlan:
        marks = {"after_sensitive": {"private_key": True}, "after_unknown": {}}
        entry = change("aws_x.db", "create", after={"name": "db", "private_key": secret}, change=marks)
        output = {"actions": ["create"], "before": None, "after": secret, "after_sensitive": True}
        return read(plan_document(entry, output_changes={"key": output}))

    assert own_changes(planned(head), planned(base)) == ({"aws_x.db"} if is_own else frozenset())
    assert own_outputs(planned(head), planned(base)) == ({"key"} if is_own else frozenset())
    assert "hunter" not in repr(planned(head))


@pytest.mark.parametrize("inside", ["{}", '[{"name": "DB_PASSWORD", "value": "{}"}]'])
def test_a_secret_that_nothing_marks_is_compared_before_it_is_hidden_too(inside: str) -> None:
    def planned(secret: str) -> TerraformPlan:
        return read(plan_document(change("aws_x.db", "create", after={"password": inside.replace("{}", secret)})))

    one, other = planned("xK9!mQ2z_Vb7Lp4w"), planned("Zt7#pQ9w_Lm2Xc5v")
    assert one.changes[0].after == other.changes[0].after
    assert own_changes(one, one) == frozenset() and own_changes(one, other) == {"aws_x.db"}
