"""Data that would go to a host, an account or a bucket that the base branch does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.model.finding import Finding, Severity
from plan.plan_samples import change, plan_document, read

DEV, PROD, STRANGER = "125611408459", "283165662494", "999988887777"
RULE = "plan/new-destination"
QUEUE, TOPIC = (f"arn:aws:{service}:sa-east-1:{STRANGER}:x" for service in ("sqs", "sns"))
FUNCTION = f"arn:aws:lambda:sa-east-1:{STRANGER}:function:f"
INVOKES = "arn:aws:apigateway:sa-east-1:lambda:path/2015-03-31/functions"
DATABASE = "db.abc.sa-east-1.rds.amazonaws.com"
STRANGERS = [
    ("https://abc123def4.execute-api.sa-east-1.amazonaws.com/x", "abc123def4"),
    ("https://stranger.s3.amazonaws.com/", "stranger.s3"),
    ("https://s3.sa-east-1.amazonaws.com/stranger/", "s3.sa-east-1"),
    ("https://lb-1.sa-east-1.elb.amazonaws.com/", "lb-1"),
    (f"https://of-a-stranger.{DATABASE}/", "of-a-stranger"),
    ("https://abc.appsync-api.sa-east-1.amazonaws.com/", "abc"),
    (f"https://sqs.sa-east-1.amazonaws.com/{STRANGER}/q", STRANGER),
    ("https://xyz.lambda-url.sa-east-1.on.aws/", "xyz.lambda-url"),
    ("https://3232235777/", "3232235777"),
    ("https://[2001:db8::1]/", "2001:db8::1"),
    ("https://evil", "evil"),
    ("https://known.example@evil.example/", "@evil.example"),
    ("https://evil.example:443@known.example/", "evil.example"),
    ("https://evil.example\\@known.example/", "evil.example"),
    ("https://known.example.evil.example/", "evil.example"),
]


def state_machine(**parameters: str) -> dict[str, Any]:
    return {"definition": json.dumps({"States": {"a": {"Type": "Task", "Parameters": parameters}}})}


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
        *(("aws_sns_topic_subscription", {"endpoint": url}, end) for url, end in STRANGERS),
        ("aws_api_gateway_integration", {"uri": f"{INVOKES}/{FUNCTION}/invocations"}, STRANGER),
        ("aws_api_gateway_integration", {"uri": f"arn:aws:apigateway:sa-east-1:sqs:path/{STRANGER}/q"}, STRANGER),
        ("aws_lambda_function", {"dead_letter_config": [{"target_arn": QUEUE}]}, STRANGER),
        (
            "aws_lambda_function_event_invoke_config",
            {"destination_config": [{"on_success": [{"destination": QUEUE}]}]},
            STRANGER,
        ),
        ("aws_cloudwatch_metric_alarm", {"alarm_actions": [TOPIC]}, STRANGER),
        ("aws_db_event_subscription", {"sns_topic": TOPIC}, STRANGER),
        ("aws_autoscaling_notification", {"topic_arn": TOPIC}, STRANGER),
        ("aws_oam_link", {"sink_identifier": f"arn:aws:oam:sa-east-1:{STRANGER}:sink/x"}, STRANGER),
        ("aws_flow_log", {"log_destination": f"arn:aws:logs:sa-east-1:{STRANGER}:log-group:x"}, STRANGER),
        ("aws_db_snapshot", {"shared_accounts": [STRANGER]}, STRANGER),
        ("aws_cloudwatch_log_account_policy", {"policy_document": json.dumps({"DestinationArn": FUNCTION})}, STRANGER),
        ("aws_sfn_state_machine", state_machine(ApiEndpoint="https://evil.example"), "evil.example"),
        ("aws_dms_endpoint", {"kafka_settings": [{"broker": "known.example:9092,evil.example:9092"}]}, "evil.example"),
        ("aws_route53_resolver_rule", {"target_ip": [{"ip": "198.51.100.7"}]}, "198.51.100.7"),
        ("aws_vpc_endpoint", {"service_name": "com.amazonaws.vpce.sa-east-1.vpce-svc-0123"}, "vpce-svc-0123"),
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
        ("aws_lb", {"access_logs": [{"bucket": "a-bucket-of-somebody"}]}),
        ("aws_dms_s3_endpoint", {"bucket_name": "a-bucket-of-somebody"}),
        ("aws_sns_topic_subscription", {"endpoint": "+491700000000"}),
        ("aws_sns_topic_subscription", {"endpoint": "http://10.1.2.3/hook"}),
        ("aws_budgets_budget", {"notification": [{"subscriber_email_addresses": ["a@new.example"]}]}),
        ("aws_route53_resolver_rule", {"target_ip": [{"ip": "10.0.0.2"}]}),
        ("aws_api_gateway_integration", {"uri": "http://${stageVariables.host}/x"}),
        ("aws_sfn_state_machine", state_machine(**{"ApiEndpoint.$": "$.url"})),
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
        ("aws_dms_endpoint", {"server_name": DATABASE}),
        (
            "aws_glue_connection",
            {"connection_properties": {"JDBC_CONNECTION_URL": f"jdbc:postgresql://{DATABASE}:5432/o"}},
        ),
        (
            "aws_glue_connection",
            {"connection_properties": {"JDBC_CONNECTION_URL": f"jdbc:oracle:thin:@//{DATABASE}/o"}},
        ),
        ("aws_sns_topic_subscription", {"endpoint": f"https://sqs.sa-east-1.amazonaws.com/{DEV}/q"}),
        (
            "aws_apigatewayv2_integration",
            {"integration_uri": "https://abcdef1234.execute-api.sa-east-1.amazonaws.com/x"},
        ),
        ("aws_apigatewayv2_integration", {"integration_uri": "https://logs-of-ours.s3.sa-east-1.amazonaws.com/x"}),
        ("aws_api_gateway_integration", {"uri": f"{INVOKES}/arn:aws:lambda:x:{DEV}:function:f/invocations"}),
        ("aws_vpc_endpoint", {"service_name": "com.amazonaws.sa-east-1.s3"}),
        ("aws_vpc_endpoint", {"service_name": "aws.api.sa-east-1.bedrock-runtime"}),
        ("aws_lambda_function", {"dead_letter_config": [{"target_arn": f"arn:aws:sqs:sa-east-1:{DEV}:q"}]}),
        ("aws_cloudfront_distribution", {"logging_config": [{"bucket": "logs-of-ours.s3.amazonaws.com"}]}),
        ("aws_lb", {"access_logs": [{"bucket": "logs-of-ours", "enabled": True}]}),
        ("aws_flow_log", {"log_destination": f"arn:aws:logs:sa-east-1:{DEV}:log-group:x"}),
        ("aws_sfn_state_machine", state_machine(Resource="arn:aws:states:::lambda:invoke", FunctionName="f")),
        ("aws_db_snapshot", {"shared_accounts": [PROD]}),
        ("aws_sqs_queue", {"name": "https://stranger.example"}),
    ],
)
def test_what_the_base_branch_knows_or_the_plan_makes_is_quiet(type_: str, after: dict[str, Any]) -> None:
    known = change("aws_sns_topic_subscription.old", "no-op", before={"endpoint": "https://known.example/hook"})
    known["change"]["after"] = known["change"]["before"]
    logs = {"bucket": "logs-of-ours"}
    bucket = change("aws_s3_bucket.logs", "no-op", before=logs, after=logs)
    made = change("aws_s3_bucket.made", "create", after={"bucket": "made-here"})
    api = change("aws_apigatewayv2_api.a", "no-op", before={"id": "abcdef1234"}, after={"id": "abcdef1234"})
    host = {"endpoint": f"{DATABASE}:5432"}
    database = change("aws_db_instance.d", "no-op", before=host, after=host)
    assert not found(type_, after, known, bucket, made, api, database)


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


def data_source(type_: str, told: dict[str, Any], **values: Any) -> dict[str, Any]:
    address = f"data.{type_}.d"
    written = {"address": address, "mode": "data", "type": type_, "expressions": told}
    found = {"address": address, "mode": "data", "type": type_, "values": values}
    return {
        "configuration": {"root_module": {"resources": [written]}},
        "prior_state": {"values": {"root_module": {"resources": [found]}}},
    }


def test_a_host_that_a_data_source_found_is_known_and_one_that_it_was_told_is_not() -> None:
    host = "lb-1.sa-east-1.elb.amazonaws.com"
    uri = {"integration_uri": f"https://{host}/"}
    named = {"name": {"constant_value": "lb"}}
    assert not found("aws_apigatewayv2_integration", uri, **data_source("aws_lb", named, name="lb", dns_name=host))
    for told in (
        data_source("aws_lb", named, name=host, id=host),
        data_source("aws_instances", {}, filter=[{"values": [host]}]),
        data_source("aws_arn", {"arn": {}}, resource=host),
    ):
        assert found("aws_apigatewayv2_integration", uri, **told)


@pytest.mark.parametrize(
    ("url", "severities"),
    [
        ("https://${aws_lb.a.dns_name}/x", []),
        ("https://${module.m.aws_apigatewayv2_api.a.id}.execute-api.sa-east-1.amazonaws.com/x", []),
        ("${aws_sqs_queue.q.arn}", []),
        ("https://${data.aws_lb.a.dns_name}/x", [Severity.DECISION]),
        ("https://hooks.${aws_route53_zone.z.name}/x", [Severity.DECISION]),
        ("https://evil.example/${aws_sqs_queue.q.id}", [Severity.BLOCKS]),
        ("https://evil.example?x=${aws_sqs_queue.q.id}", [Severity.BLOCKS]),
    ],
)
def test_a_reference_in_an_address_stands_for_its_resource_and_for_nothing_around_it(
    url: str, severities: list[Severity]
) -> None:
    assert [one.severity for one in found("aws_sns_topic_subscription", {"endpoint": url})] == severities


def test_what_nobody_sets_is_the_providers_affair() -> None:
    written = {"root_module": {"resources": [{"address": "aws_vpc_peering_connection.x", "expressions": {}}]}}
    assert not found("aws_vpc_peering_connection", {}, unknown={"peer_owner_id": True}, configuration=written)
