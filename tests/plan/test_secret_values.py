"""A secret among planned values blocks, is named by its attribute only, and is not in the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.plan.secret_values import looks_random
from ops_agent.text.redaction import Redactor
from plan.plan_samples import captured, change, plan_document, read

PASSWORD = "Zx81-Qw7!pL0"
VARIABLES = [{"name": "DB_PASSWORD", "value": PASSWORD}]
SECRETS = [
    ("environment", {"variables": {"DB_PASSWORD": PASSWORD}}, PASSWORD),
    ("environment", {"variables": {"ANYTHING": "ghp_" + "a1B2" * 9}}, "a1B2" * 9),
    ("user_data", "export KEY=AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("api_key", "9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad015"),
    ("url", "postgres://app:s3cr3t-Pa55@db/orders", "s3cr3t-Pa55"),
    ("environment_variable", VARIABLES, PASSWORD),
    ("container_definitions", json.dumps([{"environment": VARIABLES}]), PASSWORD),
    ("settings", json.dumps({"database": {"password": PASSWORD}}), PASSWORD),
]


@pytest.mark.parametrize(("name", "value", "secret"), SECRETS)
def test_a_secret_among_planned_values_blocks_and_is_not_repeated(name: str, value: Any, secret: str) -> None:
    text = (
        f"Terraform will perform:\n\n      + {name} = {json.dumps(value)}\nPlan: 1 to add, 0 to change, 0 to destroy.\n"
    )
    plan = read(plan_document(change("aws_lambda_function.f", "create", after={name: value})), text)
    found = [d for d in plan.dangers if d.rule == "plan/secret-value"]
    assert [(d.address, d.blocks) for d in found] == [("aws_lambda_function.f", True)]
    assert secret in text
    assert secret not in plan.text
    assert all(secret not in d.what for d in plan.dangers)


def test_a_secret_of_the_run_among_planned_values_blocks() -> None:
    redact = Redactor(["kaleidoscope-zebra-quilt"]).redact
    plan = read(plan_document(change("a.b", "create", after={"note": "x kaleidoscope-zebra-quilt y"})), redact=redact)
    assert [d.rule for d in plan.dangers] == ["plan/secret-value"]


def test_a_sensitive_value_that_is_made_nonsensitive_blocks() -> None:
    plan = captured("sensitive")
    assert [(d.rule, d.address) for d in plan.dangers] == [("plan/secret-value", "output.laundered")]
    assert "hunter2" not in plan.text
    assert "hunter2" not in repr(plan.changes)


def test_a_secret_that_the_change_removes_is_hidden_and_does_not_block() -> None:
    text = '      - password = "Zx81-Qw7!pL0" -> null\nPlan: 0 to add, 0 to change, 1 to destroy.\n'
    plan = read(plan_document(change("x.y", "delete", before={"password": "Zx81-Qw7!pL0"})), text)
    assert not plan.dangers or all(d.rule != "plan/secret-value" for d in plan.dangers)
    assert "Zx81" not in plan.text


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:secretsmanager:sa-east-1:1:secret:x",
        "/orders/dev/db-password",
        "orders-dev-db-password-v2",
        "alias/aws/sns",
        "true",
        "https://x.example/token",
    ],
)
def test_names_of_secrets_are_no_secrets(text: str) -> None:
    assert not looks_random(text)
    plan = read(plan_document(change("a.b", "create", after={"db_password": text, "secret": text})))
    assert not [d for d in plan.dangers if d.rule == "plan/secret-value"]
