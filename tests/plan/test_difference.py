"""What a change set causes: the head's plan minus the base's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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


POLICY = "data.aws_iam_policy_document.x"
FROM_POLICY = {"references": [f"{POLICY}.json", POLICY]}


def names(text: str) -> dict[str, list[str]]:
    return {"references": [text]}


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({"policy": names("aws_s3_bucket.a.arn")}, {"policy": FROM_POLICY}),
        ({"policy": names("aws_s3_bucket.a.arn")}, {"policy": names("local.admin")}),
        ({"policy": FROM_POLICY}, {"policy": FROM_POLICY, "statement": {"actions": {"constant_value": ["*"]}}}),
        ({"policy": names("module.m.json")}, {"policy": names("module.m.json"), "output": FROM_POLICY}),
        ({"policy": names("var.who")}, {"policy": names("var.who"), "who": "everybody"}),
        ({}, {"provisioners": [{"type": "local-exec", "expressions": {"command": {"constant_value": "make"}}}]}),
        ({}, {"provider_config_key": "aws.other"}),
        ({"name": {"constant_value": "r"}}, {"name": {"constant_value": "r"}, "policy": names("aws_sqs_queue.q.arn")}),
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["root", "module"])
def test_what_is_known_after_apply_is_compared_by_what_the_configuration_says(
    base: dict[str, Any], head: dict[str, Any], inside: bool
) -> None:
    """What the plan does not show may be something else, although both plans show the same; else it stays pending."""

    def planned(told: dict[str, Any], unknown: bool = True) -> TerraformPlan:
        role = {"type": "aws_iam_role_policy", "name": "x", "mode": "managed", "address": "aws_iam_role_policy.x"}
        role |= {key: told[key] for key in ("provisioners", "provider_config_key") if key in told}
        role["expressions"] = {key: told[key] for key in ("policy", "name") if key in told}
        data = {"address": POLICY, "mode": "data", "expressions": {"statement": told.get("statement")}}
        called = {"outputs": {"json": {"expression": told.get("output", names("aws_s3_bucket.a.arn"))}}}
        module = {"resources": [role, data], "module_calls": {"m": {"module": called}}}
        given = {"expressions": {"who": names("var.who")}}
        root = {"module_calls": {"in": {"module": module, **given}}} if inside else module
        address = "module.in[0].aws_iam_role_policy.x" if inside else "aws_iam_role_policy.x"
        marks = {"after_unknown": {"id": True, "policy": True}} if unknown else {"after_unknown": {}}
        entry = change(address, "create", after={"name": "r"}, change=marks)
        variables = {"who": {"value": told.get("who", "nobody")}}
        return read(plan_document(entry, configuration={"root_module": root}, variables=variables))

    address = planned(head).changes[0].address
    assert own_changes(planned(head), planned(base)) == {address}
    assert own_changes(planned(head), planned(head)) == own_changes(planned(base), planned(base)) == frozenset()
    if "provisioners" not in head:
        assert own_changes(planned(head, unknown=False), planned(base, unknown=False)) == frozenset()
    renamed = {**base, "name": {"constant_value": "s"}}
    assert own_changes(planned(renamed), planned(base)) == frozenset()
