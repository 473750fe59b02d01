"""Plans of AWS provider 5 (`plans5`, made by make_plans5.py) are read and graded like those of provider 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops_agent.model.policy import Policy
from ops_agent.plan.reading import read_plan
from ops_agent.plan.undo import Undo, undo_of

PLANS = Path(__file__).parent / "plans5"
ORDERS = "aws_s3_bucket_{}.orders"
# Of each plan the line of counts, and the grade of each danger.
SHOWN: dict[str, tuple[str, dict[tuple[str, str], str]]] = {
    "buckets": (
        "+2 ~2 -1, 1 DESTROY",
        {
            (ORDERS.format("policy"), "plan/foreign-principal"): "BLOCKS",
            (ORDERS.format("public_access_block"), "plan/public-data"): "BLOCKS",
            (ORDERS.format("lifecycle_configuration"), "plan/loses-data"): "DECISION",
            (ORDERS.format("versioning"), "plan/recovery-off"): "DECISION",
            (ORDERS.format("server_side_encryption_configuration"), "plan/destroys"): "NOTICE",
        },
    ),
    "drift": ("+1 ~1 -0", {}),
    "identity": (
        "+0 ~2 -0",
        {
            ("aws_iam_role.orders", "plan/foreign-principal"): "BLOCKS",
            ("aws_cloudwatch_log_group.orders", "plan/loses-data"): "DECISION",
        },
    ),
    "network": ("+2 ~1 -0", {("aws_vpc_security_group_ingress_rule.ssh", "plan/open-to-everyone"): "DECISION"}),
    "replacements": (
        "+1 ~0 -2, 1 REPLACE, 1 DESTROY",
        {
            ("aws_dynamodb_table.orders", "plan/destroys-stateful"): "BLOCKS",
            ("aws_kms_key.orders", "plan/destroys-stateful"): "BLOCKS",
        },
    ),
    "secrets": (
        "+3 ~0 -1, 1 REPLACE",
        {("aws_secretsmanager_secret_version.orders", "plan/destroys-stateful"): "BLOCKS"},
    ),
    "tags": ("+3 ~1 -0", {("aws_sqs_queue_policy.orders", "plan/policy-unknown"): "DECISION"}),
}
SCHEMAS: dict[str, Any] = json.loads((PLANS / "schema.json").read_bytes())["registry.terraform.io/hashicorp/aws"][
    "resource_schemas"
]


@pytest.mark.parametrize("name", SHOWN)
def test_a_plan_has_its_counts_and_dangers(name):
    plan = read_plan((PLANS / f"{name}.json").read_bytes(), "", Policy())
    line, dangers = SHOWN[name]
    assert plan.counts.line == line
    assert {(d.address, d.rule): d.severity.name for d in plan.dangers} == dangers
    # Values that a person gave as secrets; `_wo` attributes are in no plan at all.
    assert "hunter" not in repr(plan)


def test_replacements_and_drift_are_told_apart():
    plan = read_plan((PLANS / "replacements.json").read_bytes(), "", Policy())
    assert {c.address: (c.replace_paths, undo_of(c).word) for c in plan.changes} == {
        "aws_dynamodb_table.orders": (("name",), Undo.LOSES_DATA),
        "aws_kms_key.orders": ((), Undo.LOSES_DATA),
    }
    drifted = read_plan((PLANS / "drift.json").read_bytes(), "", Policy()).drift
    assert [(c.address, c.changed_attributes) for c in drifted] == [
        ("aws_sqs_queue.orders", ("tags", "visibility_timeout_seconds"))
    ]


def test_every_plan_fits_the_kept_schema_and_all_of_it_is_small():
    plans = {path.stem: json.loads(path.read_bytes()) for path in PLANS.glob("*.json") if path.stem != "schema"}
    assert plans.keys() == SHOWN.keys()
    entries = [entry for plan in plans.values() for entry in plan["resource_changes"]]
    assert SCHEMAS.keys() == {entry["type"] for entry in entries}
    for entry in entries:
        block = SCHEMAS[entry["type"]]["block"]
        known = block["attributes"].keys() | block.get("block_types", {}).keys()
        assert (entry["change"]["before"] or {}).keys() | (entry["change"]["after"] or {}).keys() <= known
    assert sum(path.stat().st_size for path in PLANS.iterdir()) < 150_000
