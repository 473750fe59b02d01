"""A secret among planned values blocks, is named by its attribute only, and is not in the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.plan.secret_values import looks_random
from ops_agent.text.redaction import Redactor
from plan.plan_samples import captured, change, plan_document, read

PASSWORD = "Zx81-Qw7!pL0"
TOKEN = "ghp_" + "a1B2" * 9
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
    ("container_definitions", "\n " + json.dumps([{"environment": VARIABLES}]), PASSWORD),
    ("parameter", [{"Name": "DB_PASSWORD", "Value": PASSWORD}], PASSWORD),
    ("setting", [{"key": "db_password", "value": PASSWORD}], PASSWORD),
    ("parameters", [{"parameter_key": "DbPassword", "parameter_value": PASSWORD}], PASSWORD),
    ("environment", [{"name": "value", "value": TOKEN}], TOKEN),
    ("environment", [{"name": "other", "value": "harmless", "other": TOKEN}], TOKEN),
    ("environment", [{"name": "other", "value": ["harmless"], "other": TOKEN}], TOKEN),
    ("environment", [{"name": "other", "value": [{"deep": TOKEN}]}], TOKEN),
    ("password", {"value": PASSWORD}, PASSWORD),
    ("password", [{"value": PASSWORD}], PASSWORD),
    ("user_data", f"#!/bin/bash\nexport DB_PASSWORD={PASSWORD}\n", PASSWORD),
    ("user_data", f"#cloud-config\nusers:\n  - name: app\n    password: '{PASSWORD}'\n", PASSWORD),
    ("connection_string", f"Server=db;Password={PASSWORD};User=sa", PASSWORD),
    *(
        ("variables", {name: PASSWORD}, PASSWORD)
        for name in ("DB_PASS", "PGPASS", "pwd", "MYSQL_PWD", "ENCRYPTION_KEY", "JWT_SIGNING_KEY")
    ),
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


UUID = "1234abcd-12ab-34cd-56ef-1234567890AB"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENCRYPTION_KEY", f"arn:aws:kms:sa-east-1:125611408459:key/{UUID}"),
        ("ENCRYPTION_KEY", "alias/Orders-v2Key"),
        ("ENCRYPTION_KEY", UUID),
        ("encryption_key", [{"value": "mrk-1234abcd12ab34cd56ef1234567890ab"}]),
        ("JWT_SIGNING_KEY", "alias/jwt-signing"),
        ("kms_key_id", UUID),
        ("DB_PASS", "/Orders/Dev2/db-pass"),
        ("MYSQL_PWD", "arn:aws:ssm:sa-east-1:125611408459:parameter/Orders2/pwd"),
        ("COMPASS", "N0rth-42.7,W1"),
        ("bypass", "Rule-4711-B,C"),
        ("client_token", "terraform-20240101120000000000000001"),
        ("creation_token", UUID),
        ("secret_name", "Orders2024/dev_db"),
        ("hash_key", "userId_2024"),
        (
            "user_data",
            "export DB_PASSWORD=$(aws ssm get-parameter --name /Orders2/db)\nTOKEN=`curl -s http://X2.example`\n",
        ),
        ("user_data", 'DB_PASSWORD="${DB_PASSWORD_V2}" SECRET_NAME=Orders2024/dev_db API_TOKEN=/Orders2/Dev/token'),
        ("policy", "arn:aws:secretsmanager:sa-east-1:125611408459:secret:orders-AbC12f?x=1"),
        ("description", "The token: see Confluence2024/Page-7, password = none"),
        ("setting", [{"name": "DB_PASSWORD", "value": "arn:aws:ssm:sa-east-1:125611408459:parameter/Db2"}]),
    ],
)
def test_ordinary_values_near_the_names_of_secrets_are_quiet(name: str, value: Any) -> None:
    plan = read(plan_document(change("a.b", "create", after={name: value})))
    assert not [d for d in plan.dangers if d.rule == "plan/secret-value"]


def test_a_name_hides_no_neighbour_from_the_look_for_accounts() -> None:
    """`name` may be any word, `key_id` and `value` too."""
    key = "arn:aws:kms:sa-east-1:999999999999:key/abc"
    for name in ("/app/x", "key_id", "value"):
        after = {"name": name, "type": "String", "value": "hello-w", "key_id": key}
        plan = read(plan_document(change("aws_ssm_parameter.x", "create", after=after)), account="125611408459")
        assert "plan/foreign-account" in {d.rule for d in plan.dangers}, name


def test_secrets_of_what_does_not_change_and_of_drift_are_hidden_and_do_not_block() -> None:
    held = {"environment": [{"variables": {"DB_PASSWORD": PASSWORD, "GH": TOKEN}}], "note": "visible"}
    other = {"environment": [{"variables": {"DB_PASSWORD": "Qy92-Rx8!qM1"}}], "note": "visible"}
    same = change("aws_lambda_function.same", "no-op", before=held, after=held)
    drifted = change("aws_lambda_function.drifted", "update", before=held, after=other)
    text = (
        "Note: Objects have changed outside of Terraform\n\n"
        f'  ~ "DB_PASSWORD" = "{PASSWORD}" -> "Qy92-Rx8!qM1"\n'
        "Plan: 1 to add, 0 to change, 0 to destroy.\n"
    )
    created = change("aws_sqs_queue.q", "create", after={"name": "orders"})
    for plan in (
        read(plan_document(created, resource_drift=[drifted]), text),
        read(plan_document(created, same), text.replace("Qy92-Rx8!qM1", "x")),
    ):
        shown = plan.text + repr(plan.unchanged) + repr(plan.drift)
        assert all(secret not in shown for secret in (PASSWORD, TOKEN, "Qy92-Rx8!qM1"))
        assert "visible" in shown
        assert not [d for d in plan.dangers if d.rule == "plan/secret-value"]


@pytest.mark.parametrize("after", ["short", None])
def test_a_secret_that_an_output_had_is_hidden_and_does_not_block(after: str | None) -> None:
    output = {"actions": ["update" if after else "delete"], "before": PASSWORD, "after": after}
    plan = read(plan_document(output_changes={"password": output}), f'  ~ password = "{PASSWORD}" -> {after}\n')
    assert PASSWORD not in plan.text + repr(plan.outputs)
    assert not plan.dangers
