"""What the standards ask of planned values: found where it is missing, silent where it is there, doubtful where only an
apply shows it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import Policy
from ops_agent.plan.difference import standards_beside
from plan.plan_samples import captured, change, plan_document, read

TAGS = {"environment": "production", "service-name": "orders", "category": "c", "feature": "f", "channel": "web"}
TAGGED = {"tags": TAGS, "tags_all": TAGS}
FEW = {"environment": "production", "service-name": "orders", "Category": "c"}


def standards(*entries: dict[str, Any], **top: Any) -> tuple[Finding, ...]:
    return read(plan_document(*entries, **top)).standards


def created(type_: str, after: dict[str, Any], **unknown: Any) -> dict[str, Any]:
    return change(f"{type_}.x", "create", after=after, change={"after_unknown": unknown})


def configuration(expressions: dict[str, Any], default_tags: Any = None, address: str = "aws_sqs_queue.x") -> Any:
    """The configuration of one resource, planned by a provider block with these `default_tags`."""
    resource = {"address": address, "mode": "managed", "provider_config_key": "aws", "expressions": expressions}
    provider = {"name": "aws", "expressions": {"default_tags": [{"tags": default_tags}]} if default_tags else {}}
    return {"provider_config": {"aws": provider}, "root_module": {"resources": [resource]}}


def test_a_plan_of_the_provider_is_held_against_the_standards() -> None:
    """Locals, default tags, modules with for_each, count; in the plan every good resource is beside a bad one."""
    found = captured("aws_standards").standards
    every = "`environment`, `service-name`, `category`, `feature`, `channel`"
    assert sorted((one.rule.removeprefix("plan/"), one.address, one.what) for one in found if one.certain) == [
        ("capacity-mode", "aws_dynamodb_table.provisioned[0]", "has provisioned capacity"),
        ("capacity-mode", "aws_dynamodb_table.provisioned[1]", "has provisioned capacity"),
        ("log-retention", 'module.unwatched["one"].aws_cloudwatch_log_group.this', "keeps its logs for ever"),
        ("log-retention", 'module.unwatched["two"].aws_cloudwatch_log_group.this', "keeps its logs for ever"),
        ("not-encrypted", "aws_db_instance.db", "is not encrypted at rest: `storage_encrypted` is not set"),
        (
            "not-encrypted",
            "aws_ebs_volume.disk",
            "is encrypted only where the account does that by default: `encrypted` is not set",
        ),
        ("not-encrypted", "aws_efs_file_system.files", "is not encrypted at rest: `encrypted` is not set"),
        ("open-bucket", "aws_s3_bucket.bare", "has no public access block in this plan"),
        (
            "required-tags",
            "aws_autoscaling_group.servers",
            "has no tag `service-name`, `category`, `feature`, `channel`",
        ),
        ("required-tags", "aws_lambda_function.bare", "has no tag `service-name`, `category`, `feature`, `channel`"),
        ("unwatched", "aws_autoscaling_group.servers", "is new, with no alarm in this plan"),
        ("unwatched", "aws_db_instance.db", "is new, with no logs and no alarm in this plan"),
        ("unwatched", "aws_lambda_function.bare", "is new, with no log group and no alarm in this plan"),
        ("unwatched", 'module.unwatched["one"].aws_lambda_function.this', "is new, with no alarm in this plan"),
        ("unwatched", 'module.unwatched["two"].aws_lambda_function.this', "is new, with no alarm in this plan"),
    ]
    assert {(one.address, one.what.partition(" apply ")[2]) for one in found if not one.certain} == {
        ("aws_sqs_queue.unknown", f"whether it has the tags {every}"),
    }
    tags = [one for one in found if one.rule == "plan/required-tags"]
    assert {one.severity for one in tags if one.certain} == {Severity.WARNING}
    assert {one.severity for one in found if one not in tags or not one.certain} == {Severity.NOTICE}


def test_tags_are_those_of_the_policy_and_without_any_there_is_no_finding_about_them() -> None:
    plan = plan_document(created("aws_sqs_queue", {"tags": FEW, "tags_all": FEW | {"environment": "prd"}}))

    def found(**tags: Any) -> list[tuple[str, str]]:
        policy = replace(Policy(), **tags)
        return [(one.rule, one.what) for one in read(plan, policy=policy).standards if "tag" in one.rule]

    value = ("plan/tag-value", "the value of its tag `environment` is none of `production`, `staging`, `development`")
    lacks = ("plan/required-tags", "has no tag `category`, `feature`, `channel`")
    assert found() == [lacks, value]
    assert found(required_tags=("Category",)) == [value]
    assert found(required_tags=("Team",), tag_values={}) == [("plan/required-tags", "has no tag `Team`")]
    assert found(required_tags=(), tag_values={}) == []
    group = {"tag": [{"key": "environment", "value": "prd"}, {"key": "x", "value": "y"}], "tags": None}
    scaling = read(plan_document(created("aws_autoscaling_group", group))).standards
    assert [one.rule for one in scaling if "value" in one.rule] == ["plan/tag-value"]


BAD = [
    ("required-tags", "aws_sqs_queue", {"tags": FEW, "tags_all": FEW}, {}),
    ("required-tags", "aws_vpc_endpoint", {"tags": None}, {"tags_all": True}),
    ("required-tags", "aws_autoscaling_group", {"tag": [{"key": "Environment"}], "tags": None}, {}),
    ("log-retention", "aws_cloudwatch_log_group", {"retention_in_days": 0, **TAGGED}, {}),
    ("log-retention", "aws_cloudwatch_log_group", {"retention_in_days": None, **TAGGED}, {}),
    ("capacity-mode", "aws_dynamodb_table", {"billing_mode": "PROVISIONED", **TAGGED}, {}),
    (
        "capacity-mode",
        "aws_kinesis_stream",
        {"shard_count": 2, "encryption_type": "KMS"},
        {"stream_mode_details": True},
    ),
    ("not-encrypted", "aws_sns_topic", {"kms_master_key_id": None}, {}),
    ("not-encrypted", "aws_kinesis_stream", {"encryption_type": "NONE"}, {}),
    ("not-encrypted", "aws_sqs_queue", {"sqs_managed_sse_enabled": False, "kms_master_key_id": None}, {}),
    ("not-encrypted", "aws_opensearch_domain", {"encrypt_at_rest": [{"enabled": False}]}, {}),
    ("open-bucket", "aws_s3_bucket", {"bucket": "b"}, {}),
    ("unwatched", "aws_db_instance", {"storage_encrypted": True, "enabled_cloudwatch_logs_exports": []}, {}),
    ("unwatched", "aws_lambda_function", {"function_name": "f"}, {}),
    ("unwatched", "aws_apigatewayv2_api", {"name": "api"}, {}),
    ("unwatched", "aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": "rate(1 day)"}, {}),
]
GOOD = [
    ("aws_sqs_queue", {**TAGGED, "sqs_managed_sse_enabled": False, "kms_master_key_id": "alias/ours"}, {}),
    ("aws_sqs_queue", {"tags_all": TAGS | {"feature": None}, "tags": {}}, {"tags_all": {"feature": True}}),
    ("aws_autoscaling_group_tag", {"tag": [{"key": "x"}]}, {}),
    ("google_storage_bucket", {"tags_all": {}}, {}),
    ("aws_iam_role_policy", {"name": "x"}, {}),
    ("aws_cloudwatch_log_group", {"retention_in_days": 1, **TAGGED}, {}),
    ("aws_cloudwatch_log_group", {"retention_in_days": 0, "log_group_class": "DELIVERY", **TAGGED}, {}),
    ("aws_dynamodb_table", {"billing_mode": "PAY_PER_REQUEST", **TAGGED}, {}),
    ("aws_kinesis_stream", {"stream_mode_details": [{"stream_mode": "ON_DEMAND"}], "encryption_type": "KMS"}, {}),
    ("aws_kinesis_stream", {"shard_count": 1, "encryption_type": "KMS"}, {}),
    ("aws_sns_topic", {}, {"kms_master_key_id": True}),
    (
        "aws_opensearch_domain",
        {"encrypt_at_rest": [{"enabled": True}], "domain_name": "d"},
        {"log_publishing_options": True},
    ),
    (
        "aws_rds_cluster",
        {"snapshot_identifier": "s", "cluster_identifier": "c", "enabled_cloudwatch_logs_exports": ["x"]},
        {},
    ),
    ("aws_cloudwatch_event_rule", {"name": "r", "event_pattern": "{}"}, {}),
    ("aws_sqs_queue", {"name": "nobody reads it"}, {}),
]


@pytest.mark.parametrize(("rule", "type_", "after", "unknown"), BAD)
def test_what_is_missing_is_found(rule: str, type_: str, after: dict[str, Any], unknown: dict[str, Any]) -> None:
    found = [one for one in standards(created(type_, after, **unknown)) if one.rule == f"plan/{rule}"]
    assert [(one.address, one.certain, one.pre_existing) for one in found] == [(f"{type_}.x", True, False)]


@pytest.mark.parametrize(("type_", "after", "unknown"), GOOD)
def test_what_is_there_is_not(type_: str, after: dict[str, Any], unknown: dict[str, Any]) -> None:
    assert [one for one in standards(created(type_, after, **unknown)) if one.rule != "plan/unwatched"] == []


@pytest.mark.parametrize(
    ("type_", "unknown", "says"),
    [
        ("aws_sqs_queue", {"tags": True, "tags_all": True}, "whether it has the tags `environment`, "),
        ("aws_autoscaling_group", {"tag": True}, "whether it has the tags `environment`, "),
        ("aws_cloudwatch_log_group", {"retention_in_days": True}, "how long it keeps its logs"),
        ("aws_dynamodb_table", {"billing_mode": True}, "whether it is on demand"),
        ("aws_efs_file_system", {"encrypted": True}, "whether `encrypted` is on"),
    ],
)
def test_what_only_an_apply_shows_says_so(type_: str, unknown: dict[str, Any], says: str) -> None:
    found = standards(created(type_, {}, **unknown))
    assert [(one.certain, one.severity) for one in found if says in one.what] == [(False, Severity.NOTICE)]


@pytest.mark.parametrize(
    ("default_tags", "other", "says"),
    [
        (None, {}, "has no tag `category`, `feature`, `channel`"),
        ({"constant_value": TAGS}, {}, ""),
        ({"references": ["var.x"]}, {}, "cannot tell until apply whether it has the tags `category`,"),
        ({"references": ["var.x"]}, TAGS, ""),
    ],
    ids=["no default tags", "constants", "of a variable", "as another resource of the plan shows them"],
)
def test_default_tags_count_where_tags_all_is_not_known(default_tags: Any, other: dict[str, str], says: str) -> None:
    beside = change("aws_vpc.x", "no-op", before={"tags": {}, "tags_all": other}, after={"tags": {}, "tags_all": other})
    config = configuration({}, default_tags)
    config["root_module"]["resources"].append(configuration({}, address="aws_vpc.x")["root_module"]["resources"][0])
    found = standards(created("aws_sqs_queue", {"tags": FEW}, tags_all=True), beside, configuration=config)
    assert [one.what[: len(says)] for one in found] == ([says] if says else [])


def test_what_the_base_lacks_already_is_pre_existing_and_what_goes_is_not_judged() -> None:
    few, fewer = {"tags": FEW, "tags_all": FEW}, {"tags": {}, "tags_all": {}}
    updated = change(
        "aws_sqs_queue.old", "update", before={**few, "delay_seconds": 0}, after={**few, "delay_seconds": 1}
    )
    worse = change("aws_sqs_queue.worse", "update", before=few, after=fewer)
    gone = change("aws_sqs_queue.gone", "delete", before=few)
    stays = change("aws_sqs_queue.stays", "no-op", before=few, after=few)
    found = standards(updated, worse, gone, stays)
    assert [(one.address, one.pre_existing) for one in found] == [
        ("aws_sqs_queue.old", True),
        ("aws_sqs_queue.worse", False),
    ]


def test_a_switch_that_is_off_is_said_once() -> None:
    plan = read(plan_document(created("aws_db_instance", {"storage_encrypted": False})))
    assert [one.rule for one in (*plan.dangers, *plan.standards) if "encrypted" in one.rule] == ["plan/unencrypted"]


@pytest.mark.parametrize(
    ("dimensions", "unknown", "expressions", "says"),
    [
        ({"FunctionName": "f"}, {}, {}, ""),
        (None, {"dimensions": True}, {"references": ["aws_lambda_function.x.function_name"]}, ""),
        (None, {"dimensions": True}, {"references": ["local.dimensions"]}, "cannot tell until apply whether an alarm"),
        ({"FunctionName": "other"}, {}, {}, "is new, with no alarm in this plan"),
    ],
    ids=["by name", "by reference", "through a local", "of another"],
)
def test_an_alarm_watches_what_it_names(dimensions: Any, unknown: Any, expressions: Any, says: str) -> None:
    config = configuration({"dimensions": expressions}, address="aws_cloudwatch_metric_alarm.x")
    found = standards(
        created("aws_cloudwatch_metric_alarm", {"dimensions": dimensions}, **unknown),
        created("aws_lambda_function", {"function_name": "f"}),
        created("aws_cloudwatch_log_group", {"name": "/aws/lambda/f", "retention_in_days": 7}),
        configuration=config,
    )
    assert [one.what[: len(says)] for one in found] == ([says] if says else [])


@pytest.mark.parametrize(
    ("bucket", "block", "expressions", "says"),
    [
        ("b", {"bucket": "b"}, {}, ""),
        (None, {}, {"references": ["aws_s3_bucket.x.id"]}, ""),
        (None, {}, {"references": ["local.bucket"]}, "cannot tell until apply whether a public access block"),
        ("b", {"bucket": "other"}, {}, "has no public access block in this plan"),
    ],
)
def test_a_public_access_block_is_one_of_this_bucket(bucket: Any, block: Any, expressions: Any, says: str) -> None:
    config = configuration({"bucket": expressions}, address="aws_s3_bucket_public_access_block.x")
    unknown = {} if block else {"bucket": True}
    found = standards(
        created("aws_s3_bucket", {"bucket": bucket}, **({} if bucket else {"bucket": True})),
        created("aws_s3_bucket_public_access_block", block, **unknown),
        configuration=config,
    )
    assert [one.what[: len(says)] for one in found] == ([says] if says else [])


def test_what_the_plan_of_the_base_lacks_too_is_pre_existing() -> None:
    """A resource that was never applied is created by both plans."""
    base = read(plan_document(created("aws_sqs_queue", {"tags": FEW, "tags_all": FEW, "delay_seconds": 0})))
    head = read(plan_document(created("aws_sqs_queue", {"tags": FEW, "tags_all": FEW, "delay_seconds": 1})))
    worse = read(plan_document(created("aws_sqs_queue", {"tags": {}, "tags_all": {}})))
    assert [
        [one.pre_existing for one in standards_beside(new, old)]
        for new, old in ((head, base), (worse, base), (head, None))
    ] == [[True], [False], [False]]
