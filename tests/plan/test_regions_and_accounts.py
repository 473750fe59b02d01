"""Another region or account is seen in whatever form a planned value names it; what is ours, or a mere word,
is not.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth import assert_linear
from ops_agent.model.finding import Finding
from ops_agent.plan.regions_and_accounts import NOTHING, Found, regions_and_accounts_in
from plan.plan_samples import change, plan_document, read

DEV, STRANGER = "125611408459", "999988887777"
AWAY = "us-east-1"
SCRIPT = f"#!/bin/sh\naws s3 sync . s3://x --endpoint-url https://s3.{AWAY}.amazonaws.com\n"


def dangers(type_: str, after: Any, *actions: str, marks: Any = None, **top: Any) -> tuple[Finding, ...]:
    entry = change(f"{type_}.x", *(actions or ("create",)), after=after, change=marks or {})
    return read(plan_document(entry, **top), account=DEV).dangers


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def zipped(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


REGIONS = [
    ("region", AWAY),
    ("region", "us-east-\uff11"),
    ("region", "xx-new-1"),
    ("availability_zone", "us-east-1a"),
    ("availability_zone", "us-west-2-lax-1a"),
    ("availability_zone_id", "use1-az1"),
    ("availability_zone_id", "apse2-az3"),
    ("regions", "sa-east-1,us-east-1"),
    ("value", "arn:aws:sns:us-east-1:125611408459:t"),
    ("value", "arn:aws-us-gov:sns:us-gov-west-1:125611408459:t"),
    ("value", "arn:aws-cn:sqs:cn-north-1:125611408459:q"),
    ("value", "arn:*:sqs:us-*:*:q"),
    ("value", "https://sqs.us-east-1.amazonaws.com"),
    ("value", "https://SQS.US-EAST-1.AMAZONAWS.COM/x"),
    ("value", "https://s3-us-west-2.amazonaws.com/b"),
    ("value", "https://s3.dualstack.eu-west-1.amazonaws.com/b"),
    ("value", "http://b.s3-website-us-east-1.amazonaws.com"),
    ("value", "https://cn-north-1.queue.amazonaws.com.cn"),
    ("value", "com.amazonaws.us-east-1.s3"),
    ("value", "com.amazonaws.vpce.us-east-1.vpce-svc-0123"),
    ("value", "db.abc123.us-east-1.rds.amazonaws.com:5432"),
    ("value", "x.abc.0001.use1.cache.amazonaws.com"),
    ("value", "https://abc.lambda-url.us-east-1.on.aws/"),
    ("value", "us-east-1_AbCdEf123"),
    ("value", "us-east-1:12345678-1234-1234-1234-123456789012"),
    ("value", "team.auth.us-east-1.amazoncognito.com"),
    ("value", "x.us-east-1.awsapprunner.com"),
    ("value", f"{DEV}.dkr.ecr-fips.us-east-1.amazonaws.com/x"),
    ("value", f"{DEV}.dkr-ecr.us-east-1.on.aws/x"),
    ("value", json.dumps([{"environment": [{"name": "AWS_REGION", "value": AWAY}]}])),
    ("value", json.dumps({"Condition": {"StringEquals": {"aws:RequestedRegion": AWAY}}})),
    ("value", json.dumps({"inner": json.dumps({"url": "https://sqs.us-east-1.amazonaws.com"})})),
    ("value", '{"region": "us-e\\u0061st-1"}'),
    ("user_data", SCRIPT),
    ("user_data_base64", encoded(SCRIPT)),
    ("user_data_base64", zipped(SCRIPT)),
    ("value", encoded(json.dumps({"script": encoded(SCRIPT)}))),
]


@pytest.mark.parametrize(("key", "text"), REGIONS)
def test_another_region_blocks_in_every_form(key: str, text: str) -> None:
    found = [danger for danger in dangers("aws_thing", {key: text}) if danger.rule == "plan/foreign-region"]
    assert found and all(danger.blocks for danger in found)


ACCOUNTS = [
    ("principal", STRANGER),
    ("principals", [STRANGER]),
    ("peer_owner_id", STRANGER),
    ("registry_id", STRANGER),
    ("value", f"arn:aws:iam::{STRANGER}:root"),
    ("value", f"arn:*:iam::{STRANGER}:role/x"),
    ("value", f"arn:aws:sqs:*:{STRANGER}:q"),
    ("value", f"arn:aws-cn:iam::{STRANGER}:root"),
    ("value", f"{STRANGER}.dkr.ecr.sa-east-1.amazonaws.com/x:1"),
    ("value", f"https://sqs.sa-east-1.amazonaws.com/{STRANGER}/q"),
    ("policy", json.dumps({"Statement": [{"Principal": {"AWS": STRANGER}}]})),
    ("policy", json.dumps({"Statement": [{"Principal": {"AWS": [DEV, STRANGER]}}]})),
    ("policy", json.dumps({"Statement": [{"Condition": {"StringEquals": {"aws:SourceAccount": STRANGER}}}]})),
    ("policy", json.dumps({"Statement": [{"Condition": {"StringEquals": {"kms:CallerAccount": int(STRANGER)}}}]})),
    ("value", json.dumps({f"arn:aws:iam::{STRANGER}:role/x": "allowed"})),
    ("user_data_base64", encoded(f"aws sts assume-role --role-arn arn:aws:iam::{STRANGER}:role/x")),
]


@pytest.mark.parametrize(("key", "value"), ACCOUNTS)
def test_a_strangers_account_is_a_danger_in_every_form(key: str, value: Any) -> None:
    rules = {danger.rule for danger in dangers("aws_thing", {key: value})}
    assert rules & {"plan/foreign-account", "plan/foreign-principal"}


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": {"AWS": "arn:aws:iam::*:root"}},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}},
    ],
)
def test_principals_of_every_account_are_a_danger(statement: dict[str, Any]) -> None:
    found = dangers(
        "aws_sqs_queue_policy",
        {"policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": "x:y", **statement}]})},
    )
    assert [danger.rule for danger in found] == ["plan/foreign-principal"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", "moved away from us-east-1 in 2024"),
        ("name", "orders-us-east-1-archive"),
        ("name", "202411231200"),
        ("value", "arn:aws:s3:::orders/*"),
        ("value", "arn:aws:logs:*:*:*"),
        ("value", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("value", f"arn:aws:sqs:sa-*:{DEV}:q"),
        ("value", "https://sqs.sa-east-1.amazonaws.com"),
        ("value", f"{DEV}.dkr.ecr.sa-east-1.amazonaws.com/x"),
        ("value", json.dumps([{"name": "BUILD", "value": "202411231200"}])),
        ("availability_zone_id", "sae1-az1"),
        ("region", "sa-east-1"),
        ("continent", "SA"),
        ("value", base64.b64encode(bytes(range(200))).decode()),
        ("user_data_base64", encoded("#!/bin/sh\necho hello to everyone in sa-east-1\n")),
    ],
)
def test_our_region_and_ordinary_words_name_no_place(key: str, value: str) -> None:
    assert [danger.rule for danger in dangers("aws_thing", {key: value}) if "runs-code" not in danger.rule] == []


CONFIGURED = {
    "root_module": {
        "resources": [{"address": "aws_thing.x", "expressions": {"region": {"references": ["terraform_data.r"]}}}]
    }
}


@pytest.mark.parametrize(
    ("marks", "configuration", "rules"),
    [
        ({"after_unknown": {"region": True}}, CONFIGURED, [("plan/unresolved-region", True)]),
        ({"after_unknown": {"region": True}}, {}, []),
        ({"after_sensitive": {"region": True}}, CONFIGURED, [("plan/unresolved-region", True)]),
        ({"after_sensitive": {"region": True}}, {}, [("plan/unresolved-region", True)]),
    ],
)
def test_a_region_that_cannot_be_seen_blocks_when_the_source_sets_it(
    marks: Any, configuration: Any, rules: list[tuple[str, bool]]
) -> None:
    """AWS provider 6 takes `region` at every resource; older ones compute it: it is unknown at every creation."""
    found = dangers(
        "aws_thing", {"region": AWAY if "after_sensitive" in marks else None}, marks=marks, configuration=configuration
    )
    assert [(danger.rule, danger.blocks) for danger in found] == rules


def test_an_import_that_changes_nothing_still_names_its_place() -> None:
    same = {"region": AWAY, "name": "q"}
    entry = change("aws_sqs_queue.x", "no-op", before=same, after=same, change={"importing": {"id": "https://q"}})
    assert [danger.rule for danger in read(plan_document(entry)).dangers] == ["plan/foreign-region"]
    by_id = change(
        "aws_sqs_queue.x", "no-op", before={}, after={}, change={"importing": {"identity": {"account_id": STRANGER}}}
    )
    assert [danger.rule for danger in read(plan_document(by_id)).dangers] == ["plan/foreign-account"]


def test_an_action_names_places_too() -> None:
    action = {
        "address": "action.aws_lambda_invoke.x",
        "config_values": {"function_name": f"arn:aws:lambda:{AWAY}:{STRANGER}:function:x"},
    }
    plan = read(plan_document(action_invocations=[action]))
    assert {danger.rule for danger in plan.dangers} == {
        "plan/foreign-region",
        "plan/foreign-account",
        "plan/runs-an-action",
    }


@given(key=st.text(max_size=12), text=st.text(max_size=200))
def test_any_text_is_searched_without_an_error(key: str, text: str) -> None:
    for shape in (text, json.dumps({key: [text]}), encoded(text), f"arn:aws:{text}", f"{text}.amazonaws.com"):
        regions_and_accounts_in(key, shape)


@pytest.mark.parametrize(
    "piece", ["a", "aws", " ", "-", "arn:", "us-east-", "A", "=", "[", '{"a":', "12", "*", ".cache.", "\u0661"]
)
def test_long_texts_take_time_in_proportion_to_their_length(piece: str) -> None:
    assert_linear(
        lambda size: [
            regions_and_accounts_in("user_data", piece * (size // len(piece)) + end) for end in ("", "amazonaws")
        ],
        40_000,
    )


def test_what_is_packed_small_and_large_inside_is_read_up_to_a_limit() -> None:
    """The place is beyond the limit, where nothing is unpacked."""

    def found(blanks: int) -> Found:
        packed = gzip.compress(b" " * blanks + b"arn:aws:sqs:us-east-1:123456789012:q", mtime=0)
        return regions_and_accounts_in("user_data_base64", base64.b64encode(packed).decode())

    assert found(100_000).regions == {"us-east-1"}
    assert found(50_000_000) is NOTHING
