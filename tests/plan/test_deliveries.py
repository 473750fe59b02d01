"""Data that would go to a host, an account or a bucket that the base branch does not know."""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.model.finding import Finding, Severity
from plan.plan_samples import change, plan_document, read

DEV, PROD, STRANGER = "125611408459", "283165662494", "999988887777"
RULE = "plan/new-destination"


def found(type_: str, after: dict[str, Any], *others: dict[str, Any], unknown: Any = None, **top: Any) -> list[Finding]:
    entry = change(f"{type_}.x", "create", after=after, change={"after_unknown": unknown or {}})
    return [one for one in read(plan_document(entry, *others, **top)).dangers if one.rule == RULE]


@pytest.mark.parametrize(
    ("type_", "after", "end"),
    [
        ("aws_sns_topic_subscription", {"endpoint": "https://hooks.stranger.example/x"}, "hooks.stranger.example"),
        ("aws_sns_topic_subscription", {"endpoint": f"arn:aws:sqs:sa-east-1:{STRANGER}:q"}, STRANGER),
        (
            "aws_cloudwatch_event_api_destination",
            {"invocation_endpoint": "https://stranger.example/a"},
            "stranger.example",
        ),
        ("aws_cloudwatch_event_target", {"arn": f"arn:aws:events:sa-east-1:{STRANGER}:event-bus/b"}, STRANGER),
        (
            "aws_cloudwatch_log_subscription_filter",
            {"destination_arn": f"arn:aws:logs:x:{STRANGER}:destination:d"},
            STRANGER,
        ),
        (
            "aws_kinesis_firehose_delivery_stream",
            {"http_endpoint_configuration": [{"url": "https://in.stranger.example"}]},
            "in.stranger.example",
        ),
        ("aws_vpc_peering_connection", {"peer_owner_id": STRANGER}, STRANGER),
        ("aws_s3_bucket_replication_configuration", {"rule": [{"destination": [{"account": STRANGER}]}]}, STRANGER),
        ("aws_ram_principal_association", {"principal": f"arn:aws:iam::{STRANGER}:role/r"}, STRANGER),
        ("aws_snapshot_create_volume_permission", {"account_id": STRANGER}, STRANGER),
        ("aws_ami_launch_permission", {"group": "all"}, "everyone"),
        ("aws_iot_topic_rule", {"http": [{"url": "https://stranger.example"}]}, "stranger.example"),
    ],
)
def test_a_new_end_is_refused_with_its_name(type_: str, after: dict[str, Any], end: str) -> None:
    (one,) = found(type_, after)
    assert one.severity is Severity.BLOCKS
    assert end in one.what


@pytest.mark.parametrize(
    ("type_", "after"),
    [
        ("aws_sns_topic_subscription", {"endpoint": "oncall@new.example"}),
        ("aws_s3_bucket_logging", {"target_bucket": "a-bucket-of-somebody"}),
        ("aws_flow_log", {"log_destination": "arn:aws:s3:::a-bucket-of-somebody/logs"}),
    ],
)
def test_a_mail_address_or_a_bucket_that_is_new_needs_a_decision(type_: str, after: dict[str, Any]) -> None:
    assert [one.severity for one in found(type_, after)] == [Severity.DECISION]


@pytest.mark.parametrize(
    ("type_", "after"),
    [
        ("aws_sns_topic_subscription", {"endpoint": f"arn:aws:sqs:sa-east-1:{DEV}:q", "protocol": "sqs"}),
        ("aws_sns_topic_subscription", {"endpoint": "https://known.example/other"}),
        ("aws_sns_topic_subscription", {"endpoint": "b@known.example"}),
        ("aws_cloudwatch_event_target", {"arn": f"arn:aws:lambda:sa-east-1:{PROD}:function:f"}),
        ("aws_s3_bucket_logging", {"target_bucket": "logs-of-ours"}),
        ("aws_s3_bucket_logging", {"target_bucket": "made-here"}),
        ("aws_apigatewayv2_integration", {"integration_uri": f"arn:aws:lambda:sa-east-1:{DEV}:function:f"}),
        ("aws_api_gateway_integration", {"uri": "arn:aws:apigateway:sa-east-1:lambda:path/2015-03-31/functions/x"}),
        ("aws_dms_endpoint", {"server_name": "db.abc.sa-east-1.rds.amazonaws.com"}),
        ("aws_sqs_queue", {"name": "https://stranger.example"}),
    ],
)
def test_what_the_base_branch_knows_or_the_plan_makes_is_quiet(type_: str, after: dict[str, Any]) -> None:
    known = change("aws_sns_topic_subscription.old", "no-op", before={"endpoint": "https://known.example/hook"})
    known["change"]["after"] = known["change"]["before"]
    logs = {"bucket": "logs-of-ours"}
    bucket = change("aws_s3_bucket.logs", "no-op", before=logs, after=logs)
    made = change("aws_s3_bucket.made", "create", after={"bucket": "made-here"})
    assert not found(type_, after, known, bucket, made)


def configuration(*resources: dict[str, Any], **modules: Any) -> dict[str, Any]:
    return {"root_module": {"resources": list(resources), "module_calls": modules}}


def subscription(*references: str) -> dict[str, Any]:
    return {"address": "aws_sns_topic_subscription.x", "expressions": {"endpoint": {"references": list(references)}}}


@pytest.mark.parametrize(
    "references",
    [
        ("aws_sqs_queue.q.arn", "aws_sqs_queue.q"),
        ("module.queue.arn", "module.queue"),
        ("each.value",),
    ],
)
def test_an_address_that_this_plan_makes_is_quiet(references: tuple[str, ...]) -> None:
    inner = {
        "resources": [{"address": "aws_sqs_queue.this", "expressions": {}}],
        "outputs": {"arn": {"expression": {"references": ["aws_sqs_queue.this.arn", "aws_sqs_queue.this"]}}},
    }
    queue = {"address": "aws_sqs_queue.q", "expressions": {}}
    one = subscription(*references) | {
        "for_each_expression": {"references": ["aws_sqs_queue.q.arn", "aws_sqs_queue.q"]}
    }
    written = configuration(queue, one, queue={"module": inner})
    assert not found("aws_sns_topic_subscription", {}, unknown={"endpoint": True}, configuration=written)


@pytest.mark.parametrize("references", [("data.external.x.result", "data.external.x"), ("local.where",), ()])
def test_an_address_that_cannot_be_told_needs_a_decision(references: tuple[str, ...]) -> None:
    written = configuration(subscription(*references))
    (one,) = found("aws_sns_topic_subscription", {}, unknown={"endpoint": True}, configuration=written)
    assert (one.severity, one.certain) == (Severity.DECISION, False)


def test_what_does_not_change_is_not_judged() -> None:
    values = {"endpoint": "https://old.example", "raw": False}
    entry = change("aws_sns_topic_subscription.x", "update", before=values, after=values | {"raw": True})
    assert not [one for one in read(plan_document(entry)).dangers if one.rule == RULE]


@pytest.mark.parametrize(
    ("origins", "asked"),
    [
        (["aws_sqs_queue.q"], False),
        (['module.a["x"].aws_sqs_queue.q[0]', "aws_sqs_queue.q"], False),
        (["module.a.data.aws_sqs_queue.q"], True),
        ([], True),
    ],
)
def test_an_offline_plan_says_itself_where_an_unknown_address_comes_from(origins: list[str], asked: bool) -> None:
    entry = change("aws_sns_topic_subscription.x", "create", after={}, change={"after_unknown": {"endpoint": True}})
    document = plan_document(entry) | {"origins": {"aws_sns_topic_subscription.x": {"endpoint": origins}}}
    assert [one.severity for one in read(document).dangers if one.rule == RULE] == [Severity.DECISION] * asked
