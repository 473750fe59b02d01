"""The documents of the offline plan, with schemas of AWS provider 5 (`plans5`)."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ops_agent.plan.literals import difference, state
from ops_agent.plan.offline import offline_plan
from ops_agent.plan.sides import Place, Side, read_side, standins
from ops_agent.terraform.statements import read_statements

AWS = "registry.terraform.io/hashicorp/aws"
SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parent / "plans5" / "schema.json").read_bytes())
PLACE = Place(account="125611408459", region="sa-east-1")
TOPIC, PARAMETER = "aws_sns_topic.orders", "aws_ssm_parameter.policy"


def invented(address: str) -> dict[str, Any]:
    type_ = address.partition(".")[0]
    return standins(address, "managed", type_, SCHEMAS[AWS]["resource_schemas"][type_], PLACE)


def side(sources: str = "", **resources: dict[str, Any]) -> Side:
    """A side whose `sources` set these values by address; a mocked apply made the others."""
    entries = [
        {"address": address, "mode": "managed", "type": address.partition(".")[0], "provider_name": AWS}
        | {"values": {**invented(address), **set_}, "change": {"after_unknown": dict.fromkeys(invented(address), True)}}
        for address, set_ in resources.items()
    ]
    plan = {"resource_changes": entries}
    answer = {"provider_schemas": SCHEMAS, "root_module": {"resources": entries}}
    statements = read_statements({(): {"main.tf": sources.encode()}})
    found, _ = read_side([{"test_plan": plan}, {"test_state": answer}], statements, {}, PLACE)
    assert found is not None
    return found


def test_the_state_holds_no_invented_value_that_nobody_uses_and_a_provider_may_refuse():
    """Provider 5 refuses any scope of throughput for a topic that is no queue-like one, so also an invented one."""
    policy = {"name": "/policy", "type": "String", "value": invented(TOPIC)["policy"]}
    base = side(**{TOPIC: {"name": "orders"}, PARAMETER: policy})
    head = side(**{TOPIC: {"name": "orders", "display_name": "Orders"}, PARAMETER: policy})
    written = json.loads(state([difference(base, head)]))
    by_type = {r["type"]: r["instances"][0]["attributes"] for r in written["resources"]}
    topic, parameter = by_type["aws_sns_topic"], by_type["aws_ssm_parameter"]
    assert (topic["name"], topic["fifo_throughput_scope"], topic["name_prefix"]) == ("orders", None, None)
    assert {name: topic[name] for name in ("arn", "id", "owner", "policy")} == {
        name: invented(TOPIC)[name] for name in ("arn", "id", "owner", "policy")
    }
    assert (parameter["value"], parameter["key_id"]) == (topic["policy"], None)


def test_a_replacement_of_what_must_not_be_destroyed_is_refused_unless_only_the_account_decides_it():
    protected = 'resource "aws_sns_topic" "orders" {\n  lifecycle {\n    prevent_destroy = true\n  }\n}\n'
    base, head = side(**{TOPIC: {"name": "orders"}}), side(protected, **{TOPIC: {"name": "orders-2"}})
    one = difference(base, head)
    for decisive, refused, untold in (("name", [TOPIC], []), ("owner", [], [TOPIC])):
        change = {"actions": ["delete", "create"], "before": {}, "after": {}, "replace_paths": [[decisive]]}
        plan = {"resource_changes": [{"address": f"aws_sns_topic.{one.names[TOPIC]}", "change": change}]}
        made = offline_plan(one, plan, {}, ())
        assert [address for address, _ in made.refused] == refused
        assert [row.address for row in made.untold] == untold


def test_what_is_invented_has_the_form_that_a_provider_checks():
    vpc, queue, role = (invented(f"{type_}.x") for type_ in ("aws_vpc", "aws_sqs_queue", "aws_iam_role"))
    assert vpc["id"].startswith("vpc-oa")
    assert vpc["arn"].startswith("arn:aws:vpc:sa-east-1:125611408459:oa")
    assert queue["url"] == queue["id"].replace(queue["id"][-16:], queue["url"][-16:])
    assert queue["url"].startswith("https://sqs.sa-east-1.amazonaws.com/125611408459/oa")
    assert role["unique_id"].startswith("oa")
    of = {name: {"type": "string", "computed": True} for name in ("cidr_block", "public_ip", "ipv6_cidr_block")}
    ranges = standins("aws_x.y", "managed", "aws_x", {"block": {"attributes": of}}, PLACE)
    ipaddress.ip_network(ranges["cidr_block"])
    ipaddress.ip_network(ranges["ipv6_cidr_block"])
    ipaddress.ip_address(ranges["public_ip"])
    zones = {"block": {"attributes": {"zone_ids": {"type": ["list", "string"], "computed": True}}}}
    regions = {"sa-east-1": "sae1", "us-gov-west-1": "usgovw1", "ap-northeast-2": "apne2", "ca-central-1": "cac1"}
    for region, short in regions.items():
        found = standins("data.a.b", "data", "aws_availability_zones", zones, replace(PLACE, region=region))
        assert found["zone_ids"] == [f"{short}-az{number}" for number in (1, 2, 3)]
