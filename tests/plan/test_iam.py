"""Policies that allow too much, however they are spelled; changes that shut people out; hidden values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.plan.iam import Trust, policy_findings
from plan.plan_samples import change, plan_document, read

ROLE = "aws_iam_role"
WIDE = {"plan/administrator", "plan/iam-wildcard"}
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def dangers(
    type_: str, after: Any, *, before: Any = None, sensitive: Any = None, unknown: Any = None
) -> tuple[Finding, ...]:
    marks = {"after_sensitive": sensitive or {}, "after_unknown": unknown or {}}
    actions = ("update",) if before is not None else ("create",)
    return read(plan_document(change(f"{type_}.x", *actions, before=before, after=after, change=marks))).dangers


def denying(principal: Any, action: Any = "s3:*", **more: Any) -> dict[str, Any]:
    return {
        "policy": json.dumps(
            {"Statement": {"Effect": "Deny", "Principal": principal, "Action": action, "Resource": "*"} | more}
        )
    }


@pytest.mark.parametrize(
    ("rule", "type_", "before", "after"),
    [
        ("plan/locks-out", "aws_kms_key", {"is_enabled": True}, {"is_enabled": False}),
        ("plan/locks-out", "aws_kms_replica_key", {"enabled": True}, {"enabled": False}),
        ("plan/locks-out", "aws_kms_key", {}, {"bypass_policy_lockout_safety_check": True}),
        ("plan/locks-out", "aws_s3_bucket_policy", {}, denying("*")),
        ("plan/locks-out", "aws_kms_key", {}, denying({"AWS": ["*"]}, ["kms:*"])),
        (
            "plan/takes-rights",
            ROLE,
            {"managed_policy_arns": ["arn:aws:iam::aws:policy/A"]},
            {"managed_policy_arns": []},
        ),
        (
            "plan/takes-rights",
            "aws_iam_policy_attachment",
            None,
            {"policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
        ),
        (
            "plan/protection-off",
            "aws_cognito_user_pool",
            {"deletion_protection": "ACTIVE"},
            {"deletion_protection": "INACTIVE"},
        ),
        (
            "plan/destroy-made-easy",
            "aws_db_instance",
            {"delete_automated_backups": False},
            {"delete_automated_backups": True},
        ),
    ],
)
def test_each_way_to_shut_someone_out_is_a_danger(rule: str, type_: str, before: Any, after: Any) -> None:
    assert [(d.rule, d.severity, d.address) for d in dangers(type_, after, before=before)] == [
        (rule, Severity.DECISION, f"{type_}.x")
    ]


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("aws_s3_bucket_policy", {}, denying("*", Condition={"Bool": {"aws:SecureTransport": "false"}})),
        ("aws_s3_bucket_policy", {}, denying({"AWS": "arn:aws:iam::125611408459:role/x"})),
        ("aws_s3_bucket_policy", {}, denying("*", "s3:DeleteBucket")),
        ("aws_kms_key", {"is_enabled": False}, {"is_enabled": True}),
        (ROLE, {"managed_policy_arns": ["a"]}, {"managed_policy_arns": ["a", "b"]}),
        ("aws_cognito_user_pool", {"deletion_protection": "INACTIVE"}, {"deletion_protection": "ACTIVE"}),
        ("aws_db_instance", None, {"delete_automated_backups": True}),
    ],
)
def test_what_shuts_nobody_out_is_no_danger(type_: str, before: Any, after: Any) -> None:
    assert dangers(type_, after, before=before) == ()


def test_a_shorter_window_to_notice_a_deletion_is_a_notice() -> None:
    found = dangers("aws_kms_key", {"deletion_window_in_days": 7}, before={"deletion_window_in_days": 30})
    assert [(d.rule, d.severity) for d in found] == [("plan/destroy-made-easy", Severity.NOTICE)]
    assert dangers("aws_kms_key", {"deletion_window_in_days": 30}, before={"deletion_window_in_days": 7}) == ()


def test_a_protection_known_only_after_apply_needs_a_decision() -> None:
    found = dangers("aws_db_instance", {}, before={"deletion_protection": True}, unknown={"deletion_protection": True})
    assert [(d.rule, d.severity) for d in found] == [("plan/protection-off", Severity.DECISION)]


@pytest.mark.parametrize(
    ("type_", "after", "sensitive"),
    [
        ("aws_iam_policy", {"policy": EVERYTHING}, {"policy": True}),
        (ROLE, {"inline_policy": [{"policy": EVERYTHING}]}, {"inline_policy": [{"policy": True}]}),
        ("aws_security_group", {"ingress": [{"cidr_blocks": ["0.0.0.0/0"]}]}, {"ingress": [{"cidr_blocks": [True]}]}),
        ("aws_s3_bucket_acl", {"acl": "public-read"}, {"acl": True}),
        ("aws_db_instance", {"publicly_accessible": True}, {"publicly_accessible": True}),
        ("aws_lambda_permission", {"principal": "*"}, {"principal": True}),
        ("aws_iam_policy", {"policy": EVERYTHING}, True),
    ],
)
def test_what_is_judged_by_its_value_cannot_be_hidden_by_marking_it_sensitive(
    type_: str, after: Any, sensitive: Any
) -> None:
    found = dangers(type_, after, sensitive=sensitive)
    assert [(d.rule, d.severity) for d in found] == [("plan/hidden-value", Severity.DECISION)]
    assert "*" not in found[0].what


def test_a_hidden_policy_that_changes_to_another_hidden_one_is_still_a_danger() -> None:
    marks = {"before_sensitive": {"policy": True}, "after_sensitive": {"policy": True}}
    entry = change("aws_iam_policy.x", "update", before={"policy": "{}"}, after={"policy": EVERYTHING}, change=marks)
    assert [d.rule for d in read(plan_document(entry)).dangers] == ["plan/hidden-value"]


def _rules(type_: str, **after: object) -> set[str]:
    change = ResourceChange(
        address=f"{type_}.x",
        type=type_,
        action=ResourceAction.CREATE,
        before=None,
        after=after,
        changed_attributes=tuple(after),
    )
    return {danger.rule for danger in policy_findings(change, Trust())}


def _policy(action: str, resource: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:PassRole", "arn:aws:iam::125611408459:role/*"),
        ("iam:PassRol?", "*"),
        ("iam:Pass*", "arn:aws:iam::*:*"),
        ("iam:AttachGroupPolicy", "*"),
        ("sts:AssumeRole", "arn:aws:iam::*:role/*"),
        ("iam:PassRole", "**"),
        ("iam:**", "arn:aws:iam::125611408459:role/one"),
        ("**", "arn:aws:s3:::one"),
        ("*:*", "arn:aws:s3:::one"),
    ],
)
def test_a_wide_permission_is_a_danger_however_it_is_spelled(action: str, resource: str) -> None:
    assert _rules("aws_iam_policy", policy=_policy(action, resource)) & WIDE


def test_a_permission_on_one_role_is_no_danger() -> None:
    assert not _rules("aws_iam_policy", policy=_policy("iam:PassRole", "arn:aws:iam::125611408459:role/orders-task"))


@pytest.mark.parametrize(
    "name", ["AdministratorAccess", "AdministratorAccess-Amplify", "AmazonS3FullAccess", "SecretsManagerReadWrite"]
)
def test_a_wide_managed_policy_is_a_danger(name: str) -> None:
    assert WIDE & _rules("aws_iam_role_policy_attachment", policy_arn=f"arn:aws:iam::aws:policy/{name}")


def test_a_managed_policy_for_logs_is_no_danger() -> None:
    assert not _rules(
        "aws_iam_role_policy_attachment", policy_arn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )


def trusting(principal: Any, condition: Any = None, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": "*"} | more
    return json.dumps({"Statement": [statement | ({"Condition": condition} if condition else {})]})


DEV, STRANGER = "125611408459", "999988887777"
OIDC = {"Federated": f"arn:aws:iam::{DEV}:oidc-provider/token.actions.githubusercontent.com"}
SUB = "token.actions.githubusercontent.com:sub"


@pytest.mark.parametrize(
    "policy",
    [
        trusting("*"),
        trusting({"AWS": "*"}),
        trusting({"AWS": f"arn:aws:iam::{STRANGER}:root"}),
        trusting({"AWS": STRANGER}),
        trusting("*", {"StringEquals": {"aws:SourceAccount": STRANGER}}),
        trusting("*", {"StringEquals": {"aws:SourceAccount": "*"}}),
        trusting("*", {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}),
        trusting("*", {"StringNotEquals": {"aws:SourceAccount": DEV}}),
        trusting("*", {"StringEqualsIfExists": {"aws:SourceAccount": DEV}}),
        trusting("*", {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
        trusting({"AWS": f"arn:aws:iam::{STRANGER}:root"}, {"StringEquals": {"sts:ExternalId": "x"}}),
    ],
)
def test_whom_no_condition_keeps_out_is_refused(policy: str) -> None:
    found = [d for d in dangers("aws_sqs_queue_policy", {"policy": policy}) if d.rule == "plan/foreign-principal"]
    assert found and all(d.severity is Severity.BLOCKS for d in found)


@pytest.mark.parametrize(
    "policy",
    [
        trusting({"Service": "sns.amazonaws.com"}),
        trusting(
            {"Service": "events.amazonaws.com"},
            {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:sa-east-1:{DEV}:rule/r"}},
        ),
        trusting({"AWS": f"arn:aws:iam::{DEV}:root"}, Action="kms:*"),
        trusting("*", {"StringEquals": {"aws:SourceAccount": DEV}}),
        trusting("*", {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:sa-east-1:{DEV}:t"}}),
        trusting("*", {"StringEquals": {"aws:PrincipalOrgID": "o-abc123"}}),
        trusting("*", {"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
        trusting({"AWS": f"arn:aws:iam::{DEV}:role/deploy"}),
    ],
)
def test_ordinary_grants_are_quiet(policy: str) -> None:
    assert dangers("aws_sqs_queue_policy", {"policy": policy}) == ()


@pytest.mark.parametrize(
    ("condition", "refused"),
    [
        (None, True),
        ({"StringLike": {SUB: "*"}}, True),
        ({"StringLike": {SUB: "repo:*/*:ref:refs/heads/main"}}, True),
        ({"StringLike": {SUB: "repo:org/orders:*"}}, False),
        ({"StringEquals": {SUB: "repo:org/orders:environment:dev"}}, False),
    ],
)
def test_a_role_for_an_identity_provider_names_who_may_come(condition: Any, refused: bool) -> None:
    policy = trusting(OIDC, condition, Action="sts:AssumeRoleWithWebIdentity")
    assert bool(dangers(ROLE, {"assume_role_policy": policy})) is refused


DOCUMENT = "data.aws_iam_policy_document.d"
USER = {
    "address": "aws_sqs_queue_policy.x",
    "expressions": {"policy": {"references": [f"{DOCUMENT}.json", DOCUMENT]}},
}


def rules_of_document(*statements: dict[str, Any], unknown: Any = None, **top: Any) -> list[str]:
    """What is found about a queue policy that is a policy document with these planned statements; None in them is what
    only the apply shows.
    """
    marks = {"actions": ["read"], "before": None, "after": {"statement": list(statements), **top}}
    document = {
        "address": DOCUMENT,
        "mode": "data",
        "type": "aws_iam_policy_document",
        "change": marks | {"after_unknown": {"json": True, "statement": [{}], **(unknown or {})}},
    }
    entry = change("aws_sqs_queue_policy.x", "create", after={}, change={"after_unknown": {"policy": True}})
    plan = read(plan_document(entry, document, configuration={"root_module": {"resources": [USER]}}))
    return [danger.rule for danger in plan.dangers]


SNS = [{"type": "Service", "identifiers": ["sns.amazonaws.com"]}]
SENDS = {"actions": ["sqs:SendMessage"], "resources": [None], "principals": SNS}
ANYONE = [{"type": "AWS", "identifiers": ["*"]}]
FROM_HERE = [{"test": "ArnEquals", "variable": "aws:SourceArn", "values": [None]}]


@pytest.mark.parametrize(
    ("statement", "rules"),
    [
        (SENDS, []),
        (SENDS | {"actions": ["*"]}, ["plan/administrator"]),
        (SENDS | {"principals": ANYONE}, ["plan/foreign-principal"]),
        (SENDS | {"principals": ANYONE, "condition": FROM_HERE}, []),
        (SENDS | {"effect": "Deny", "actions": ["*"]}, []),
        (SENDS | {"actions": [None]}, ["plan/policy-unknown"]),
        (SENDS | {"actions": None}, ["plan/policy-unknown"]),
        (SENDS | {"principals": [{"type": "AWS", "identifiers": [None]}]}, ["plan/policy-unknown"]),
    ],
)
def test_a_policy_that_is_unknown_is_judged_by_its_planned_statements(
    statement: dict[str, Any], rules: list[str]
) -> None:
    assert rules_of_document(statement) == rules


def test_every_statement_counts_whatever_block_made_it() -> None:
    """The configuration inside a plan leaves out what a `dynamic` block makes."""
    assert rules_of_document(SENDS, SENDS | {"actions": ["iam:*"]}) == ["plan/iam-wildcard"]


@pytest.mark.parametrize(
    "document",
    [
        {"unknown": {"statement": True}},
        {"unknown": {"statement": [{}, True]}},
        {"source_policy_documents": ["{}"]},
        {"unknown": {"override_policy_documents": True}},
    ],
)
def test_a_document_that_is_not_known_whole_needs_a_decision(document: dict[str, Any]) -> None:
    assert rules_of_document(SENDS, **document) == ["plan/policy-unknown"]


def test_an_inline_policy_that_nobody_sets_is_the_providers_affair() -> None:
    role = {"address": f"{ROLE}.x", "expressions": {"name": {"constant_value": "r"}}}
    entry = change(f"{ROLE}.x", "create", after={"name": "r"}, change={"after_unknown": {"inline_policy": True}})
    assert not read(plan_document(entry, configuration={"root_module": {"resources": [role]}})).dangers
