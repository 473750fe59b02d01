"""The documents of the offline plan, with schemas of AWS provider 5 (`plans5`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ops_agent.plan.offline import Place, Side, difference, read_side, standins, state
from ops_agent.terraform.statements import Statements

AWS = "registry.terraform.io/hashicorp/aws"
SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parent / "plans5" / "schema.json").read_bytes())
PLACE = Place(account="125611408459", region="sa-east-1")
TOPIC, PARAMETER = "aws_sns_topic.orders", "aws_ssm_parameter.policy"


def invented(address: str) -> dict[str, Any]:
    type_ = address.partition(".")[0]
    return standins(address, "managed", type_, SCHEMAS[AWS]["resource_schemas"][type_], PLACE)


def side(**resources: dict[str, Any]) -> Side:
    """A side whose sources set these values by address; a mocked apply made the others."""
    entries = [
        {"address": address, "mode": "managed", "type": address.partition(".")[0], "provider_name": AWS}
        | {"values": {**invented(address), **set_}, "change": {"after_unknown": dict.fromkeys(invented(address), True)}}
        for address, set_ in resources.items()
    ]
    plan = {"resource_changes": entries}
    answer = {"provider_schemas": SCHEMAS, "root_module": {"resources": entries}}
    found, _ = read_side([{"test_plan": plan}, {"test_state": answer}], Statements(), {})
    assert found is not None
    return found


def test_the_state_holds_no_invented_value_that_nobody_uses_and_a_provider_may_refuse():
    """Provider 5 refuses any scope of throughput for a topic that is no queue-like one, so also an invented one."""
    policy = {"name": "/policy", "type": "String", "value": invented(TOPIC)["policy"]}
    base = side(**{TOPIC: {"name": "orders"}, PARAMETER: policy})
    head = side(**{TOPIC: {"name": "orders", "display_name": "Orders"}, PARAMETER: policy})
    written = json.loads(state([difference(base, head, PLACE)]))
    by_type = {r["type"]: r["instances"][0]["attributes"] for r in written["resources"]}
    topic, parameter = by_type["aws_sns_topic"], by_type["aws_ssm_parameter"]
    assert (topic["name"], topic["fifo_throughput_scope"], topic["name_prefix"]) == ("orders", None, None)
    assert {name: topic[name] for name in ("arn", "id", "owner", "policy")} == {
        name: invented(TOPIC)[name] for name in ("arn", "id", "owner", "policy")
    }
    assert (parameter["value"], parameter["key_id"]) == (topic["policy"], None)
