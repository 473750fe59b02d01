"""Policies that allow too much, however they are spelled; changes that shut people out; hidden values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.model.policy import Policy
from ops_agent.plan.iam import Trust, policy_findings
from plan.plan_samples import change, plan_document, read

ROLE = "aws_iam_role"
WIDE = {"plan/administrator", "plan/iam-wildcard"}
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def dangers(
    type_: str, after: Any, *others: Any, before: Any = None, sensitive: Any = None, unknown: Any = None, **options: Any
) -> tuple[Finding, ...]:
    marks = {"after_sensitive": sensitive or {}, "after_unknown": unknown or {}}
    actions = ("update",) if before is not None else ("create",)
    entry = change(f"{type_}.x", *actions, before=before, after=after, change=marks)
    return read(plan_document(entry, *others), **options).dangers


def unchanged(address: str, **values: Any) -> dict[str, Any]:
    return change(address, "no-op", before=values, after=values)


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
        trusting("*", {"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
        trusting("*", {"StringLike": {"aws:PrincipalOrgPaths": "*/r-ab/*"}}),
        trusting("*", {"StringLike": {"aws:SourceVpc": "vpc-*"}}),
        trusting("*", {"StringLike": {"aws:SourceVpce": "vpce-0123456789abcdef?"}}),
        trusting("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
        trusting("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::a*"}}),
        trusting("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::?*"}}),
        trusting("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:*"}}),
        trusting("*", {"StringEquals": {"aws:SourceAccount": []}}),
        trusting("*", {"StringEquals": {"aws:SourceAccount": [DEV, STRANGER]}}),
        trusting("*", {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-abc123def4"}}),
        trusting("*", {"StringEquals": {"kms:ViaService": "s3.sa-east-1.amazonaws.com"}}),
        trusting({"CanonicalUser": "ab" * 32}),
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
        trusting("*", {"StringEquals": {"aws:PrincipalOrgID": "o-abc123def4"}}),
        trusting("*", {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-abc123def4/r-ab12/*"}}),
        trusting("*", {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}}),
        trusting("*", {"StringEquals": {"aws:SourceVpc": ["vpc-0123456789abcdef0"]}}),
        trusting("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::uploads-of-ours"}}),
        trusting("*", {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{DEV}:role/*"}}),
        trusting({"AWS": f"arn:aws:iam::{DEV}:role/deploy"}),
        trusting({"CanonicalUser": "cd" * 32}),
    ],
)
def test_ordinary_grants_are_quiet(policy: str) -> None:
    """The organization, the networks and the bucket are what the base branch or its resources name."""
    assert dangers("aws_sqs_queue_policy", {"policy": policy}, *BASE) == ()


BASE = (
    unchanged("aws_kms_key.k", policy=trusting("*", {"StringEquals": {"aws:PrincipalOrgID": "o-abc123def4"}})),
    unchanged("aws_vpc_endpoint.e", id="vpce-0123456789abcdef0", vpc_id="vpc-0123456789abcdef0"),
    unchanged("aws_s3_bucket.uploads", bucket="uploads-of-ours"),
    unchanged("aws_cloudfront_origin_access_identity.i", id="E1ABCDEF", s3_canonical_user_id="cd" * 32),
)


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalOrgID": "o-stranger12"}},
        {"StringEquals": {"aws:SourceVpc": "vpc-0aaaaaaaaaaaaaaaa"}},
        {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::somebodys-bucket"}},
    ],
)
def test_a_condition_on_what_nobody_knows_needs_a_decision(condition: Any) -> None:
    found = dangers("aws_sqs_queue_policy", {"policy": trusting("*", condition)}, *BASE)
    assert [(one.rule, one.severity) for one in found] == [("plan/foreign-principal", Severity.DECISION)]


VENDOR, LOGS = "099720109477", "507241528517"


def test_a_publisher_of_images_is_named_by_everybody_and_trusted_by_nobody() -> None:
    """A load balancer's account of AWS writes logs into a bucket; it gets nothing else."""
    known = {"known_accounts": (VENDOR, LOGS)}
    assert not dangers("aws_instance", {"owner_id": VENDOR}, **known)
    root = {"AWS": f"arn:aws:iam::{VENDOR}:root"}
    for found in (
        dangers(ROLE, {"assume_role_policy": trusting(root, Action="sts:AssumeRole")}, **known),
        dangers("aws_s3_bucket_replication_configuration", {"rule": [{"destination": [{"account": VENDOR}]}]}, **known),
        dangers("aws_s3_bucket_policy", {"policy": trusting(root, Action="s3:GetObject")}, **known),
    ):
        assert [one.severity for one in found] == [Severity.BLOCKS]
    writes = trusting({"AWS": f"arn:aws:iam::{LOGS}:root"}, Action="s3:PutObject")
    assert not dangers("aws_s3_bucket_policy", {"policy": writes}, **known)


def permission(principal: str, **more: str) -> tuple[Finding, ...]:
    return dangers("aws_lambda_permission", {"principal": principal, "action": "lambda:InvokeFunction"} | more)


def test_the_conditions_of_a_lambda_permission_are_judged_like_those_of_a_policy() -> None:
    for one in ({}, {"source_arn": "arn:aws:s3:::*"}, {"source_account": STRANGER}):
        assert [d.severity for d in permission("*", **one) if d.rule == "plan/foreign-principal"] == [Severity.BLOCKS]
    assert not permission("*", source_account=DEV)
    assert not permission("s3.amazonaws.com", source_arn="arn:aws:s3:::uploads")
    assert not permission("events.amazonaws.com", source_arn=f"arn:aws:events:sa-east-1:{DEV}:rule/r")


GITHUB, OTHER, POOL = "token.actions.githubusercontent.com", "login.example.org", "cognito-identity.amazonaws.com"
EKS, GITLAB, HCP = "oidc.eks.sa-east-1.amazonaws.com/id/ABC", "gitlab.com", "app.terraform.io"


def trusted(issuer: str, condition: Any, *others: Any, owner: str = "Org") -> list[Severity]:
    kind = "" if "saml" in issuer else "oidc-provider/"
    whole = issuer if issuer == POOL else f"arn:aws:iam::{DEV}:{kind}{issuer}"
    document = trusting({"Federated": whole}, condition, Action="sts:AssumeRoleWithWebIdentity")
    found = dangers(ROLE, {"assume_role_policy": document}, *others, policy=Policy(owner=owner))
    assert {one.rule for one in found} <= {"plan/foreign-principal"}
    return [one.severity for one in found]


@pytest.mark.parametrize(
    ("issuer", "condition"),
    [
        (GITHUB, None),
        (GITHUB, {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}}),
        *(
            (GITHUB, {"StringLike": {SUB: subject}})
            for subject in (
                "*",
                "r*",
                "repo:*",
                "repo:*/*:ref:refs/heads/main",
                "repo:org*/orders:*",
                "*:ref:refs/heads/main",
                "repo:evil/evil:*",
                "repo:evil@1/org@2:*",
                ["repo:org/orders:*", "repo:*"],
                ["repo:org/orders:*", "repo:evil/evil:*"],
                [],
            )
        ),
        *(
            (issuer, {"StringLike": {f"{issuer}:sub": "repo:evil/evil:*"}})
            for issuer in (f"{GITHUB}/our-enterprise", "token.actions.octocorp.ghe.com")
        ),
        (GITHUB, {"StringNotEquals": {SUB: "repo:org/orders:*"}}),
        (GITHUB, {"StringEqualsIfExists": {SUB: "repo:org/orders:environment:dev"}}),
        (GITHUB, {"ForAllValues:StringEquals": {SUB: "repo:org/orders:environment:dev"}}),
        (GITHUB, {"StringEquals": {f"{GITHUB}:job_workflow_ref": "org/shared/.github/workflows/x.yml@main"}}),
        (GITLAB, {"StringEquals": {f"{GITLAB}:aud": "https://gitlab.com"}}),
        (HCP, {"StringLike": {f"{HCP}:sub": "organization:*:project:*"}}),
        (POOL, {"StringEquals": {f"{POOL}:aud": "sa-east-1:1"}}),
        (POOL, {"ForAnyValue:StringLike": {f"{POOL}:amr": "authenticated"}}),
        (POOL, {"StringEquals": {f"{POOL}:aud": "sa-east-1:1", f"{POOL}:amr": "unauthenticated"}}),
        (OTHER, None),
        ("saml-provider/sso", None),
    ],
)
def test_a_role_that_strangers_of_an_identity_provider_can_take_is_refused(issuer: str, condition: Any) -> None:
    assert trusted(issuer, condition) == [Severity.BLOCKS]


@pytest.mark.parametrize(
    ("issuer", "condition"),
    [
        *(
            (GITHUB, {"StringLike": {SUB: subject}})
            for subject in (
                "repo:org/orders:*",
                "repo:Org/orders:environment:dev",
                "repo:org@123456/orders@456789:ref:refs/heads/main",
                "repo:org/*",
                "repo:second-org/orders:*",
            )
        ),
        (GITHUB, {"StringLike": {SUB: "repo:*"}, "StringEquals": {SUB: "repo:org/orders:environment:dev"}}),
        (GITLAB, {"StringLike": {f"{GITLAB}:sub": "project_path:group/*:ref_type:branch:ref:main"}}),
        (HCP, {"StringLike": {f"{HCP}:sub": "organization:ours:project:*"}}),
        (EKS, {"StringLike": {f"{EKS}:sub": "system:serviceaccount:orders:*"}}),
        (
            POOL,
            {
                "StringEquals": {f"{POOL}:aud": "sa-east-1:1"},
                "ForAnyValue:StringLike": {f"{POOL}:amr": "authenticated"},
            },
        ),
        ("saml-provider/sso", {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}),
    ],
)
def test_a_role_for_our_own_workflows_pods_and_people_is_quiet(issuer: str, condition: Any) -> None:
    """A second organisation is ours when the base branch trusts it already."""
    second = trusting(OIDC, {"StringLike": {SUB: "repo:second-org/a:*"}})
    assert trusted(issuer, condition, unchanged("aws_iam_role.old", assume_role_policy=second)) == []


@pytest.mark.parametrize(
    ("issuer", "condition"),
    [
        (GITHUB, {"StringEquals": {SUB: "repository_owner_id:65"}}),
        (OTHER, {"StringEquals": {f"{OTHER}:aud": "client"}}),
    ],
)
def test_a_role_for_whom_nobody_can_name_needs_a_decision(issuer: str, condition: Any) -> None:
    assert trusted(issuer, condition) == [Severity.DECISION]


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
