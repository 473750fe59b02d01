"""The danger list from planned values, with addresses; what cannot be known says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.model.policy import Policy
from ops_agent.plan.findings import LIFTED_BY
from ops_agent.plan.reading import read_plan
from ops_agent.plan.undo import Undo, undo_of
from plan.plan_samples import captured, change, plan_document, read

DEV, PROD = "125611408459", "283165662494"


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def dangers(
    type_: str, after: Any, *, before: Any = None, actions: tuple[str, ...] = ("create",), **options: Any
) -> tuple[Finding, ...]:
    return read(
        plan_document(change(f"{type_}.x", *actions, before=before, after=after, change=options.pop("marks", {}))),
        **options,
    ).dangers


CREATED: list[tuple[str, str, dict[str, Any]]] = [
    ("plan/administrator", "aws_iam_policy", {"policy": policy(Action="*", Resource="*")}),
    (
        "plan/iam-wildcard",
        "aws_iam_role_policy",
        {"policy": policy(Action=["iam:*"], Resource="arn:aws:iam::x:role/y")},
    ),
    ("plan/iam-wildcard", "aws_iam_policy", {"policy": policy(Action="s3:Get*", Resource="*")}),
    ("plan/iam-wildcard", "aws_iam_policy", {"policy": policy(Action="iam:PassRole", Resource="*")}),
    ("plan/iam-wildcard", "aws_iam_policy", {"policy": policy(NotAction="iam:*", Resource="x")}),
    (
        "plan/iam-wildcard",
        "aws_iam_role",
        {"inline_policy": [{"name": "p", "policy": policy(Action="ec2:*", Resource="x")}]},
    ),
    (
        "plan/administrator",
        "aws_iam_role_policy_attachment",
        {"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    ("plan/policy-unreadable", "aws_iam_policy", {"policy": '{"Statement": [{'}),
    (
        "plan/foreign-principal",
        "aws_sqs_queue_policy",
        {"policy": policy(Principal="*", Action="sqs:SendMessage", Resource="x")},
    ),
    (
        "plan/foreign-principal",
        "aws_iam_role",
        {"assume_role_policy": policy(Principal={"AWS": "*"}, Action="sts:AssumeRole")},
    ),
    (
        "plan/foreign-principal",
        "aws_iam_role",
        {"assume_role_policy": policy(Principal={"Federated": "token.actions"}, Action="sts:X")},
    ),
    ("plan/foreign-principal", "aws_lambda_permission", {"principal": "*"}),
    (
        "plan/foreign-principal",
        "aws_iam_role",
        {"assume_role_policy": policy(Principal={"AWS": "arn:aws:iam::999988887777:root"})},
    ),
    ("plan/foreign-principal", "aws_lambda_permission", {"principal": "999988887777"}),
    ("plan/foreign-account", "aws_ecs_service", {"image": "999988887777.dkr.ecr.sa-east-1.amazonaws.com/x"}),
    (
        "plan/open-to-everyone",
        "aws_security_group",
        {"ingress": [{"cidr_blocks": ["10.0.0.0/8", "0.0.0.0/0"], "from_port": 22, "to_port": 22}]},
    ),
    ("plan/open-to-everyone", "aws_security_group_rule", {"type": "ingress", "ipv6_cidr_blocks": ["::/0"]}),
    ("plan/open-to-everyone", "aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "0.0.0.0/0"}),
    ("plan/public-data", "aws_s3_bucket_acl", {"acl": "public-read"}),
    ("plan/public-data", "aws_s3_bucket_public_access_block", {"block_public_acls": False}),
    ("plan/public-data", "aws_s3_bucket", {"grant": [{"uri": "http://acs.amazonaws.com/groups/global/AllUsers"}]}),
    ("plan/public-function", "aws_lambda_function_url", {"authorization_type": "NONE"}),
    ("plan/public-data", "aws_db_instance", {"publicly_accessible": True}),
    ("plan/public-data", "aws_db_snapshot", {"shared_accounts": ["all"]}),
    ("plan/public-address", "aws_instance", {"associate_public_ip_address": True}),
    ("plan/unencrypted", "aws_db_instance", {"storage_encrypted": False}),
    ("plan/unencrypted", "aws_lb_listener", {"protocol": "HTTP", "default_action": [{"type": "forward"}]}),
    ("plan/runs-code", "aws_instance", {"user_data": "#!/bin/sh"}),
    ("plan/destroy-made-easy", "aws_s3_bucket", {"force_destroy": True}),
    ("plan/destroy-made-easy", "aws_secretsmanager_secret", {"recovery_window_in_days": 0}),
    ("plan/no-backups", "aws_db_instance", {"backup_retention_period": 0}),
    ("plan/foreign-region", "aws_sqs_queue", {"region": "us-east-1"}),
    ("plan/foreign-region", "aws_subnet", {"availability_zone": "eu-west-3a"}),
    ("plan/foreign-region", "aws_lambda_permission", {"source_arn": f"arn:aws:sns:us-west-2:{DEV}:t"}),
    ("plan/foreign-region", "aws_ecs_service", {"image": f"{DEV}.dkr.ecr.us-east-1.amazonaws.com/x"}),
]


BLOCKING = {
    "plan/administrator",
    "plan/foreign-principal",
    "plan/foreign-region",
    "plan/public-data",
    "plan/public-function",
}


@pytest.mark.parametrize(("rule", "type_", "after"), CREATED)
def test_each_danger_is_found_with_its_address(rule: str, type_: str, after: dict[str, Any]) -> None:
    found = [d for d in dangers(type_, after) if d.rule == rule]
    assert found, f"{rule} is not among the dangers"
    assert {d.address for d in found} == {f"{type_}.x"}
    assert {d.severity for d in found} == {Severity.BLOCKS if rule in BLOCKING else Severity.DECISION}


@pytest.mark.parametrize(
    ("type_", "after"),
    [
        ("aws_iam_policy", {"policy": policy(Action=["sqs:SendMessage"], Resource=f"arn:aws:sqs:sa-east-1:{DEV}:q")}),
        ("aws_iam_policy", {"policy": json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})}),
        (
            "aws_iam_role",
            {"assume_role_policy": policy(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")},
        ),
        (
            "aws_security_group",
            {"ingress": [{"cidr_blocks": ["10.0.0.0/8"]}], "egress": [{"cidr_blocks": ["0.0.0.0/0"]}]},
        ),
        ("aws_security_group_rule", {"type": "egress", "cidr_blocks": ["0.0.0.0/0"]}),
        ("aws_s3_bucket_public_access_block", {"block_public_acls": True}),
        ("aws_lb_listener", {"protocol": "HTTP", "default_action": [{"type": "redirect"}]}),
        ("aws_sqs_queue", {"name": "moved away from us-east-1 in 2024", "region": "sa-east-1"}),
        ("aws_subnet", {"availability_zone": "sa-east-1a"}),
        ("aws_db_instance", {"deletion_protection": True, "storage_encrypted": True, "backup_retention_period": 7}),
    ],
)
def test_ordinary_settings_are_no_danger(type_: str, after: dict[str, Any]) -> None:
    assert dangers(type_, after) == ()


@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
def test_destroying_what_holds_data_blocks_until_a_writer_allows_it(actions: tuple[str, ...]) -> None:
    found = dangers("aws_dynamodb_table", None if actions == ("delete",) else {}, before={"name": "t"}, actions=actions)
    assert [(d.rule, d.blocks) for d in found] == [("plan/destroys-stateful", True)]
    assert found[0].rule in LIFTED_BY


def test_destroying_what_holds_no_data_is_a_notice() -> None:
    found = dangers("aws_lambda_alias", None, before={"x": 1}, actions=("delete",))
    assert [(d.rule, d.severity, d.blocks) for d in found] == [("plan/destroys", Severity.NOTICE, False)]


def levels(level: str) -> dict[str, Any]:
    return {"logging_configuration": [{"level": level}]}


def exports(*names: str) -> dict[str, Any]:
    return {"enabled_cloudwatch_logs_exports": list(names)}


def tokens(value: str) -> dict[str, Any]:
    return {"metadata_options": [{"http_tokens": value}]}


def stage(*arns: str) -> dict[str, Any]:
    return {"access_log_settings": [{"destination_arn": arn} for arn in arns]}


def access_logs(**values: Any) -> dict[str, Any]:
    return {"access_logs": [values] if values else []}


ON, RECORDER = True, "aws_config_configuration_recorder_status"
OFF: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("protection-off", "aws_db_instance", {"deletion_protection": ON}, {"deletion_protection": False}),
    ("protection-off", "aws_cognito_user_pool", {"deletion_protection": "ACTIVE"}, {"deletion_protection": "INACTIVE"}),
    ("protection-off", "aws_iam_role", {"permissions_boundary": "arn:x"}, {"permissions_boundary": None}),
    ("protection-off", "aws_kms_key", {"enable_key_rotation": ON}, {"enable_key_rotation": False}),
    ("protection-off", "aws_instance", tokens("required"), tokens("optional")),
    ("logging-off", "aws_cloudtrail", {"enable_logging": ON}, {"enable_logging": False}),
    ("logging-off", "aws_cloudtrail", {"enable_log_file_validation": ON}, {"enable_log_file_validation": None}),
    ("logging-off", "aws_guardduty_detector", {"enable": ON}, {"enable": False}),
    ("logging-off", RECORDER, {"is_enabled": ON}, {"is_enabled": False}),
    ("logging-off", "aws_lb", access_logs(enabled=True), access_logs(enabled=False)),
    ("logging-off", "aws_lb", access_logs(enabled=True), access_logs()),
    ("logging-off", "aws_apigatewayv2_stage", stage("arn:x"), stage()),
    ("logging-off", "aws_db_instance", exports("audit", "error"), exports("error")),
    ("logging-off", "aws_eks_cluster", {"enabled_cluster_log_types": ["api"]}, {"enabled_cluster_log_types": []}),
    ("logging-off", "aws_sfn_state_machine", levels("ALL"), levels("OFF")),
]


@pytest.mark.parametrize(("rule", "type_", "before", "after"), OFF)
def test_a_protection_or_a_log_that_is_taken_away_blocks_and_the_way_back_is_quiet(
    rule: str, type_: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = dangers(type_, after, before=before, actions=("update",))
    assert [(one.rule, one.blocks) for one in found] == [(f"plan/{rule}", True)]
    assert found[0].rule in LIFTED_BY
    assert not dangers(type_, before, before=after, actions=("update",))


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("aws_lb", access_logs(enabled=True, bucket="a"), access_logs(enabled=True, bucket=None)),
        ("aws_apigatewayv2_stage", stage("arn:x"), stage("arn:y")),
        ("aws_db_instance", exports("a"), exports("a", "b")),
        ("aws_iam_role", {"permissions_boundary": "arn:x"}, {"permissions_boundary": "arn:y"}),
        ("aws_sfn_state_machine", {"logging_configuration": []}, levels("OFF")),
        ("aws_guardduty_detector", {"tags": {}}, {"tags": {"a": "b"}}),
    ],
)
def test_a_log_that_goes_elsewhere_is_not_taken_away(type_: str, before: Any, after: Any) -> None:
    assert not dangers(type_, after, before=before, actions=("update",))


@pytest.mark.parametrize(
    ("type_", "action", "severity"),
    [
        ("aws_cloudtrail", "delete", Severity.BLOCKS),
        ("aws_cloudtrail", "forget", Severity.BLOCKS),
        ("aws_wafv2_web_acl", "delete", Severity.BLOCKS),
        ("aws_networkfirewall_firewall", "delete", Severity.BLOCKS),
        ("aws_cloudwatch_log_subscription_filter", "delete", Severity.BLOCKS),
        ("aws_cloudwatch_metric_alarm", "delete", Severity.DECISION),
    ],
)
def test_who_watches_cannot_be_taken_away_unseen(type_: str, action: str, severity: Severity) -> None:
    found = dangers(type_, None, before={"name": "x"}, actions=(action,))
    assert [one.severity for one in found if one.rule == "plan/logging-off"] == [severity]


GROUPS = "http://acs.amazonaws.com/groups"


def granted(**grantee: str) -> dict[str, Any]:
    return {"access_control_policy": [{"grant": [{"permission": "READ", "grantee": [grantee]}]}]}


def brokers(access: str) -> dict[str, Any]:
    return {"broker_node_group_info": [{"connectivity_info": [{"public_access": [{"type": access}]}]}]}


def shared(accounts: str) -> dict[str, Any]:
    return {"permissions": {"type": "Share", "account_ids": accounts}}


def of_cluster(name: str) -> dict[str, Any]:
    return {"policy_arn": f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{name}Policy"}


ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
COLLECTION = "aws_opensearchserverless_access_policy"
STRANGER_ROOT = "arn:aws:iam::999988887777:root"


@pytest.mark.parametrize(
    ("rule", "type_", "after"),
    [
        ("public-data", "aws_s3_bucket_acl", granted(type="Group", uri=f"{GROUPS}/global/AllUsers")),
        ("public-data", "aws_redshiftserverless_workgroup", {"publicly_accessible": True}),
        ("public-data", "aws_msk_cluster", brokers("SERVICE_PROVIDED_EIPS")),
        ("public-data", "aws_opensearchserverless_security_policy", {"policy": '[{"AllowFromPublic": true}]'}),
        ("public-data", "aws_ebs_snapshot_block_public_access", {"state": "unblocked"}),
        ("new-destination", "aws_ssm_document", shared("All")),
        ("new-destination", "aws_ssm_document", shared(f"{DEV},999988887777")),
        ("new-destination", "aws_vpc_endpoint_service", {"allowed_principals": ["*"]}),
        ("new-destination", COLLECTION, {"policy": json.dumps([{"Principal": [STRANGER_ROOT]}])}),
        ("new-destination", "aws_s3_bucket_acl", granted(id="ab" * 32)),
        ("administrator", "aws_ssoadmin_managed_policy_attachment", {"managed_policy_arn": ADMIN}),
        ("administrator", "aws_eks_access_policy_association", of_cluster("ClusterAdmin")),
        ("administrator", "aws_iam_role_policy_attachments_exclusive", {"policy_arns": [ADMIN]}),
        ("foreign-principal", "aws_cloudwatch_event_permission", {"principal": "*"}),
    ],
)
def test_a_door_that_everyone_or_a_stranger_can_open_blocks(rule: str, type_: str, after: dict[str, Any]) -> None:
    assert [one.rule for one in dangers(type_, after) if one.blocks] == [f"plan/{rule}"]


@pytest.mark.parametrize(
    ("type_", "after"),
    [
        ("aws_s3_bucket_acl", {"acl": "private"}),
        ("aws_s3_bucket_acl", granted(type="Group", uri=f"{GROUPS}/s3/LogDelivery")),
        ("aws_redshiftserverless_workgroup", {"publicly_accessible": False}),
        ("aws_msk_cluster", brokers("DISABLED")),
        ("aws_opensearchserverless_security_policy", {"policy": '[{"AllowFromPublic": false}]'}),
        ("aws_lambda_function_url", {"authorization_type": "AWS_IAM"}),
        ("aws_cognito_identity_pool", {"allow_unauthenticated_identities": False}),
        ("aws_ssm_document", shared(DEV)),
        ("aws_eks_access_policy_association", of_cluster("View")),
        ("aws_cloudwatch_event_permission", {"principal": DEV}),
        ("aws_vpc_endpoint_service", {"allowed_principals": [f"arn:aws:iam::{DEV}:root"]}),
    ],
)
def test_a_door_that_stays_closed_is_quiet(type_: str, after: dict[str, Any]) -> None:
    assert not dangers(type_, after)


def test_guests_of_an_identity_pool_are_a_decision_and_a_dropped_public_access_block_blocks() -> None:
    (guests,) = dangers("aws_cognito_identity_pool", {"allow_unauthenticated_identities": True})
    assert guests.severity is Severity.DECISION
    block = "aws_s3_bucket_public_access_block"
    before, after = {"block_public_policy": True}, {"block_public_policy": None}
    assert [d.blocks for d in dangers(block, after, before=before, actions=("update",))] == [True]
    assert not dangers(block, before, before=after, actions=("update",))


def ingress(*ranges: str, port: int = 22) -> dict[str, Any]:
    return {"ingress": [{"from_port": port, "to_port": port, "cidr_blocks": list(ranges)}]}


def acl_rule(action: str, *, egress: bool = False) -> dict[str, Any]:
    return {"cidr_block": "0.0.0.0/0", "egress": egress, "rule_action": action, "from_port": 1024, "to_port": 65535}


@pytest.mark.parametrize(
    ("type_", "after", "severity"),
    [
        ("aws_security_group", ingress("0.0.0.0/1", "128.0.0.0/1"), Severity.DECISION),
        ("aws_security_group", ingress("52.0.0.0/8"), Severity.DECISION),
        ("aws_security_group", ingress("2000::/3"), Severity.DECISION),
        ("aws_security_group", ingress("0.0.0.0/0", port=443), Severity.NOTICE),
        ("aws_security_group", ingress("10.0.0.0/8", "172.16.0.0/12"), None),
        ("aws_security_group", ingress("203.0.113.0/24"), None),
        ("aws_security_group", ingress("fd00::/8"), None),
        ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "0.0.0.0/1", "from_port": 5432}, Severity.DECISION),
        ("aws_network_acl_rule", acl_rule("allow"), Severity.NOTICE),
        ("aws_network_acl_rule", acl_rule("deny"), None),
        ("aws_network_acl_rule", acl_rule("allow", egress=True), None),
    ],
)
def test_a_network_is_open_when_a_good_part_of_the_internet_may_come(
    type_: str, after: dict[str, Any], severity: Severity | None
) -> None:
    assert [one.severity for one in dangers(type_, after)] == [severity] * (severity is not None)


EVERY = "on every port and protocol"
ONLY_THE_APPLY = "on ports that only the apply shows"


@pytest.mark.parametrize(
    ("protocol", "ports", "where", "severity"),
    [
        ("-1", (0, 0), EVERY, Severity.DECISION),
        ("all", (0, 0), EVERY, Severity.DECISION),
        ("-1", (None, None), EVERY, Severity.DECISION),
        (None, (None, None), EVERY, Severity.DECISION),
        ("-1", (443, 443), EVERY, Severity.DECISION),  # AWS takes no notice of the ports then
        ("icmp", (-1, -1), "by ICMP", Severity.DECISION),
        ("58", (80, 80), "by ICMP", Severity.DECISION),
        ("tcp", (0, 65535), "on ports 0 to 65535", Severity.DECISION),
        ("tcp", (22, 22), "on port 22", Severity.DECISION),
        ("tcp", (443, 443), "on port 443", Severity.NOTICE),
        ("tcp", ("?", 443), ONLY_THE_APPLY, Severity.DECISION),
        ("tcp", ("?", "?"), ONLY_THE_APPLY, Severity.DECISION),
        ("?", (443, 443), ONLY_THE_APPLY, Severity.DECISION),
    ],
)
@pytest.mark.parametrize("type_", ["aws_security_group", "aws_vpc_security_group_ingress_rule"])
def test_an_open_rule_says_for_which_ports_and_protocols(
    type_: str, protocol: str | None, ports: tuple[Any, Any], where: str, severity: Severity
) -> None:
    inside = type_ == "aws_security_group"
    named = {"protocol" if inside else "ip_protocol": protocol, "from_port": ports[0], "to_port": ports[1]}
    unknown = {name: True for name, value in named.items() if value == "?"}
    rule = {name: value for name, value in named.items() if value != "?"}
    rule |= {"cidr_blocks": ["0.0.0.0/0"]} if inside else {"cidr_ipv4": "0.0.0.0/0"}
    marks = {"after_unknown": {"ingress": [unknown]} if inside else unknown}
    (one,) = dangers(type_, {"ingress": [rule]} if inside else rule, marks=marks)
    assert (one.what, one.severity) == (f"lets in 0.0.0.0/0 {where}", severity)


@pytest.mark.parametrize(
    ("type_", "argument", "rule"),
    [
        ("aws_sqs_queue", "policy", "policy-unknown"),
        ("aws_s3_bucket", "policy", "policy-unknown"),
        ("aws_kms_key", "policy", "policy-unknown"),
        ("aws_vpc_endpoint", "policy", "policy-unknown"),
        ("aws_opensearch_domain", "access_policies", "policy-unknown"),
        ("aws_iam_role_policy_attachment", "policy_arn", "policy-unknown"),
        ("aws_iam_role", "managed_policy_arns", "policy-unknown"),
        ("aws_lambda_permission", "principal", "policy-unknown"),
        ("aws_s3_bucket_acl", "acl", "public-data"),
        ("aws_db_instance", "publicly_accessible", "public-data"),
        ("aws_instance", "associate_public_ip_address", "public-address"),
        ("aws_lambda_function_url", "authorization_type", "public-function"),
        ("aws_s3_bucket_public_access_block", "block_public_policy", "public-data"),
        ("aws_security_group", "ingress", "open-to-everyone"),
        ("aws_vpc_security_group_ingress_rule", "cidr_ipv4", "open-to-everyone"),
        ("aws_lambda_function", "dead_letter_config", "new-destination"),
    ],
)
def test_what_is_unknown_at_a_graded_place_is_a_decision_unless_nobody_set_it(
    type_: str, argument: str, rule: str
) -> None:
    entry = change(f"{type_}.x", "create", after={}, change={"after_unknown": {argument: True}})
    asks = {"references": ["data.aws_ssm_parameter.p.value", "data.aws_ssm_parameter.p"]}

    def found(expressions: dict[str, Any]) -> list[tuple[str, Severity, bool]]:
        resource = {"address": f"{type_}.x", "expressions": expressions}
        plan = read(plan_document(entry, configuration={"root_module": {"resources": [resource]}}))
        return [(one.rule, one.severity, "cannot tell" in one.what) for one in plan.dangers]

    assert found({argument: asks}) == [(f"plan/{rule}", Severity.DECISION, True)]
    assert found({}) == []
    if rule != "policy-unknown" or "policy_arn" in argument:
        assert found({argument: {"references": ["aws_iam_policy.p.arn", "aws_iam_policy.p"]}}) == []


def test_one_unknown_range_inside_a_rule_is_a_decision() -> None:
    rule = {"from_port": 22, "to_port": 22, "cidr_blocks": ["10.0.0.0/8", None]}
    unknown = {"after_unknown": {"ingress": [{"cidr_blocks": [False, True]}]}}
    (one,) = dangers("aws_security_group", {"ingress": [rule]}, marks=unknown)
    assert (one.rule, one.severity) == ("plan/open-to-everyone", Severity.DECISION)


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ({"deletion_protection": True}, {"deletion_protection": False}, "plan/protection-off"),
        ({"deletion_protection": True}, {"deletion_protection": None}, "plan/protection-off"),
        ({"skip_final_snapshot": False}, {"skip_final_snapshot": True}, "plan/destroy-made-easy"),
    ],
)
def test_switching_a_protection_off_is_a_danger(before: dict[str, Any], after: dict[str, Any], rule: str) -> None:
    assert rule in {d.rule for d in dangers("aws_db_instance", after, before=before, actions=("update",))}


def test_a_replace_without_a_final_snapshot_says_so() -> None:
    found = dangers("aws_db_instance", {}, before={"skip_final_snapshot": True}, actions=("delete", "create"))
    assert {"plan/destroys-stateful", "plan/no-final-snapshot"} <= {d.rule for d in found}


@pytest.mark.parametrize(
    ("type_", "name"), [("aws_s3_bucket", "force_destroy"), ("aws_ecr_repository", "force_delete")]
)
def test_a_destroy_with_all_contents_names_the_argument_that_allows_it(type_: str, name: str) -> None:
    found = dangers(type_, {}, before={name: True}, actions=("delete",))
    (one,) = (danger for danger in found if danger.rule == "plan/destroys-contents")
    assert one.what == f"`{name}` is true: its contents are deleted with it"


def test_an_attribute_that_the_update_leaves_alone_is_no_danger() -> None:
    wide = policy(Action="*", Resource="*")
    assert not dangers(
        "aws_iam_policy", {"policy": wide, "name": "b"}, before={"policy": wide, "name": "a"}, actions=("update",)
    )


def test_a_policy_known_only_after_apply_is_a_decision() -> None:
    found = dangers("aws_sqs_queue_policy", {}, marks={"after_unknown": {"policy": True}})
    assert [(d.rule, d.severity) for d in found] == [("plan/policy-unknown", Severity.DECISION)]
    assert "cannot tell until apply" in found[0].what


def test_foreign_regions_block_and_are_listed() -> None:
    plan = captured("aws_dangers")
    assert plan.regions == ("sa-east-1", "us-east-1")
    assert plan.accounts == (DEV, "999988887777")
    assert [d.address for d in plan.dangers if d.rule == "plan/foreign-region" and d.blocks] == [
        "aws_sqs_queue.foreign"
    ]


def test_the_account_of_another_environment_is_a_danger() -> None:
    after = {"role": f"arn:aws:iam::{PROD}:role/x"}
    assert not dangers("aws_lambda_function", after)
    found = dangers("aws_lambda_function", after, account=DEV)
    assert [(d.rule, PROD in d.what) for d in found] == [("plan/other-account", True)]


@pytest.mark.parametrize(
    ("region", "variables", "regions", "rules"),
    [
        ({"constant_value": "sa-east-1"}, {}, ("sa-east-1",), []),
        ({"constant_value": "us-east-1"}, {}, ("us-east-1",), ["plan/foreign-region"]),
        ({"references": ["var.region"]}, {"region": {"value": "sa-east-1"}}, ("sa-east-1",), []),
        ({"references": ["var.region"]}, {"region": {"value": "eu-west-1"}}, ("eu-west-1",), ["plan/foreign-region"]),
        ({"references": ["var.region"]}, {}, (), ["plan/unresolved-region"]),
        ({"references": ["local.region"]}, {}, (), ["plan/unresolved-region"]),
        ({}, {}, (), ["plan/unresolved-region"]),
    ],
)
def test_the_region_of_a_provider_is_resolved_or_reported_as_unresolved(
    region: Any, variables: Any, regions: tuple[str, ...], rules: list[str]
) -> None:
    configuration = {
        "provider_config": {"aws.other": {"name": "aws", "alias": "other", "expressions": {"region": region}}}
    }
    plan = read(plan_document(configuration=configuration, variables=variables))
    assert plan.regions == regions
    assert [d.rule for d in plan.dangers] == rules
    assert all(d.address == "provider aws.other" for d in plan.dangers)


def test_region_and_accounts_come_from_the_settings() -> None:
    """The defaults are the user's, the inputs may replace them."""
    elsewhere = Policy(region="eu-west-1", accounts={"dev": "999988887777"})
    assert not dangers("aws_sqs_queue", {"arn": "arn:aws:sqs:eu-west-1:999988887777:q"}, policy=elsewhere)


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (["create"], "runs"),
        (["delete", "create"], "runs"),
        (["create", "delete"], "runs"),
        (["delete"], "may run"),
        (["update"], None),
    ],
)
def test_a_provisioner_is_a_danger_when_an_apply_would_start_it(actions: list[str], says: str | None) -> None:
    """Of a resource with keys, in a module with keys, under one danger for all its kinds."""
    resource = {
        "address": "a.b",
        "provisioners": [{"type": "remote-exec"}, {"type": "local-exec"}, {"type": "local-exec"}],
    }
    configuration = {
        "root_module": {"module_calls": {"m": {"module": {"resources": [resource, {"address": "a.quiet"}]}}}}
    }
    changes = [change(f'module.m["]x"].{name}', *actions, before={}, after={}) for name in ("a.b[0]", "a.quiet")]
    plan = read(plan_document(*changes, configuration=configuration))
    why = f"the apply {says} its provisioners (local-exec, remote-exec), which no plan shows"
    found = [(d.address, d.what) for d in plan.dangers if d.rule == "plan/runs-a-program"]
    assert found == ([('module.m["]x"].a.b[0]', why)] if says else [])


def test_what_cannot_be_told_is_a_decision_where_data_is_at_stake() -> None:
    """It is counted apart, redacted, never reversible, and an action of its own."""
    rows = tuple(
        ResourceChange(address=f"{type_}.x", type=type_, action=ResourceAction.CANNOT_TELL, why="hush: AWS chose it")
        for type_ in ("aws_dynamodb_table", "aws_sns_topic")
    )
    document = json.dumps(plan_document(change("aws_sqs_queue.q", "create", after={}))).encode()
    plan = read_plan(document, "", Policy(), redact=lambda text: text.replace("hush", "***"), untold=rows)
    found = {one.address: one.severity for one in plan.dangers if one.rule == "plan/cannot-tell"}
    assert found == {"aws_dynamodb_table.x": Severity.DECISION, "aws_sns_topic.x": Severity.NOTICE}
    assert plan.counts.line == "+1 ~0 -0, 2 cannot be told"
    assert {undo_of(one).word for one in plan.changes[1:]} == {Undo.CANNOT_TELL}
    assert [one.why for one in plan.changes[1:]] == ["***: AWS chose it"] * 2
