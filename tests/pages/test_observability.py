"""The section on observability is computed from the plan: what has no log group or alarm of its own is named."""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.model.verification import Verification
from ops_agent.pages.pull_request import build_proposal
from pages.page_samples import material, section, target
from plan.plan_samples import captured, change, plan_document, read

ENGINE = "Terraform 1.15.5 (embedded)"


def test_observability_is_computed_from_the_plan() -> None:
    verification = Verification(engine=ENGINE, targets=(target(plan=captured("aws_dangers")),))
    text = section(build_proposal(material(verification=verification)).body, "Observability & logging")
    assert "- **Not watched**: `aws_lambda_function.fn` is new, with no log group and no alarm in this plan" in text


@pytest.mark.parametrize(
    ("group", "named"),
    [
        (
            change(
                "aws_cloudwatch_log_group.own",
                "no-op",
                before={"name": "/aws/lambda/api"},
                after={"name": "/aws/lambda/api"},
            ),
            False,
        ),
        (change("aws_cloudwatch_log_group.own", "create", after={}, change={"after_unknown": {"name": True}}), False),
        (change("aws_cloudwatch_log_group.own", "delete", before={"name": "/aws/lambda/api"}), True),
        (
            change(
                "aws_cloudwatch_log_group.other",
                "no-op",
                before={"name": "/aws/lambda/x"},
                after={"name": "/aws/lambda/x"},
            ),
            True,
        ),
    ],
    ids=["it exists and stays", "its name is known after apply", "it goes", "it is another's"],
)
def test_a_new_function_lacks_a_log_group_only_when_no_group_of_its_name_is_left(
    group: dict[str, Any], named: bool
) -> None:
    """A group that does not change is in no table; to say that there is none would be false."""
    plan = read(plan_document(group, change("aws_lambda_function.api", "create", after={"function_name": "api"})))
    body = build_proposal(material(verification=Verification(engine=ENGINE, targets=(target(plan=plan),)))).body
    assert ("no log group" in section(body, "Observability & logging")) is named


TOPIC = "arn:aws:sns:sa-east-1:125611408459:on-call"


@pytest.mark.parametrize(
    ("alarm", "key", "says"),
    [
        ({"alarm_actions": [TOPIC]}, "alias/aws/sns", "which CloudWatch may not use"),
        ({"alarm_actions": [TOPIC]}, "alias/ours", ""),
        ({"alarm_actions": [TOPIC]}, None, ""),
        ({"alarm_actions": []}, None, "it notifies nobody"),
        ({}, None, "it notifies nobody"),
        ({"alarm_actions": [TOPIC], "actions_enabled": False}, None, "its actions are switched off"),
    ],
)
def test_an_alarm_that_reaches_nobody_says_so(alarm: dict[str, Any], key: str | None, says: str) -> None:
    topic = {"arn": TOPIC, "kms_master_key_id": key}
    plan = read(
        plan_document(
            change("aws_sns_topic.t", "no-op", before=topic, after=topic),
            change("aws_cloudwatch_metric_alarm.a", "create", after={"metric_name": "Errors", **alarm}),
        )
    )
    body = build_proposal(material(verification=Verification(engine=ENGINE, targets=(target(plan=plan),)))).body
    line = next(one for one in section(body, "Observability & logging").split("\n") if one.startswith("- Alarm"))
    assert says in line if says else line.endswith("on `Errors`")


KEYS = ("alias/aws/sns", "arn:aws:kms:sa-east-1:125611408459:alias/aws/sns")
OURS = ("alias/ours/aws/sns", "arn:aws:kms:sa-east-1:125611408459:alias/my-alias/aws/sns", None)


def alarms_of(*changes: dict[str, Any], **top: Any) -> list[str]:
    plan = read(plan_document(*changes, **top))
    body = build_proposal(material(verification=Verification(engine=ENGINE, targets=(target(plan=plan),)))).body
    return [line for line in section(body, "Observability & logging").splitlines() if line.startswith("- Alarm")]


def topic(*actions: str, key: str | None, before: Any = None) -> dict[str, Any]:
    values = {"arn": TOPIC, "kms_master_key_id": key}
    return change("aws_sns_topic.t", *actions, before=before or values, after=values)


@pytest.mark.parametrize("type_", ["aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm"])
@pytest.mark.parametrize("key", [*KEYS, *OURS])
@pytest.mark.parametrize("where", ["", "module.a.", "local"])
def test_an_alarm_on_a_new_topic_that_cannot_deliver_says_so(type_: str, key: str | None, where: str) -> None:
    """Before the apply nobody knows the ARN: the configuration says which topic it is, in whatever module."""
    made = change(
        "aws_sns_topic.t", "create", after={"kms_master_key_id": key}, change={"after_unknown": {"arn": True}}
    )
    module = where.removesuffix("local")
    unknown = {"after_unknown": {"alarm_actions": [True] if where else True}}
    after = {"alarm_name": "m", **({"alarm_actions": [None]} if where else {})}
    alarm = change(f"{module}{type_}.a", "create", after=after, change=unknown)
    names = ["aws_sns_topic.t.arn", "aws_sns_topic.t"]
    block = {"address": f"{type_}.a", "expressions": {"alarm_actions": {"references": names}}}
    inner = {"resources": [block | {"expressions": {"alarm_actions": {"references": ["var.topic"]}}}]}
    calls = {"a": {"expressions": {"topic": {"references": names}}, "module": inner}} if module else {}
    resources = [{"address": "aws_sns_topic.t", "expressions": {}}, *([] if module else [block])]
    written = {"root_module": {"resources": resources, "module_calls": calls}}
    (line,) = alarms_of(made, alarm, configuration=written)
    assert ("which CloudWatch may not use" in line) is (key in KEYS)


def test_a_topic_that_gets_the_key_of_aws_silences_the_alarms_that_stay() -> None:
    old = {"arn": TOPIC, "kms_master_key_id": None}
    values = {"metric_name": "m", "alarm_actions": [TOPIC]}
    alarm = change("aws_cloudwatch_metric_alarm.a", "no-op", before=values, after=values)
    for key in KEYS:
        (line,) = alarms_of(topic("update", key=key, before=old), alarm)
        assert line.startswith("- Alarm: `aws_cloudwatch_metric_alarm.a`, **not delivered")
    assert alarms_of(topic("update", key="alias/ours", before=old), alarm) == []
    assert alarms_of(topic("no-op", key=KEYS[0]), alarm) == []
