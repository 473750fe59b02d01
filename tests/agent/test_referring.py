"""The tool `find_references`: where something of Terraform is defined and used."""

from __future__ import annotations

from typing import Any

import pytest

from agent.agent_doubles import bench, call, content_of, toolbox

FILES = {
    "infra/main.tf": b"""variable "name" {
  type = string
}

locals {
  prefix = "${var.name}-x"
}

resource "aws_sqs_queue" "orders" {
  name = local.prefix
}

module "api" {
  source = "./modules/api"
  name   = var.name
  queue  = aws_sqs_queue.orders.arn
}

output "url" {
  value = module.api.url
}

moved {
  from = aws_sqs_queue.old
  to   = aws_sqs_queue.orders
}
""",
    "infra/modules/api/main.tf": b"""variable "name" {
  type = string
}

data "aws_region" "here" {}

output "url" {
  value = "https://${var.name}.${data.aws_region.here.name}"
}
""",
    "infra/environments/dev/terraform.tfvars": b'name = "orders-dev"\n',
    ".github/workflows/plan.yml": b"jobs:\n  plan:\n    env:\n      TF_VAR_name: x\n      TF_VAR_names: y\n",
    "infra/broken.tf": b'resource "aws_sqs_queue" "orders" {\n',
}


def found(name: str) -> Any:
    with bench(FILES) as (workbench, _):
        (result,), _ending = toolbox(workbench).run((call("find_references", address=name),))
    return content_of(result)


def test_a_variable_is_found_with_its_uses_its_values_and_what_calls_pass() -> None:
    assert found("var.name")["result"] == {
        "defined": ["infra/main.tf:1", "infra/modules/api/main.tf:1"],
        "used": ["infra/main.tf:6", "infra/main.tf:15", "infra/modules/api/main.tf:8"],
        "passed": ["infra/main.tf:15 to ./modules/api"],
        "values": ["infra/environments/dev/terraform.tfvars:1", ".github/workflows/plan.yml:4"],
    }


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("aws_sqs_queue.orders", {"defined": ["infra/main.tf:9"], "used": ["infra/main.tf:16", "infra/main.tf:25"]}),
        ("local.prefix", {"defined": ["infra/main.tf:6"], "used": ["infra/main.tf:10"]}),
        ("module.api", {"defined": ["infra/main.tf:13"], "used": ["infra/main.tf:20"]}),
        ("output.url", {"defined": ["infra/main.tf:19", "infra/modules/api/main.tf:7"], "used": ["infra/main.tf:20"]}),
        (
            "data.aws_region.here",
            {"defined": ["infra/modules/api/main.tf:5"], "used": ["infra/modules/api/main.tf:8"]},
        ),
    ],
)
def test_definitions_and_uses_are_found_by_the_parsed_code(name: str, places: Any) -> None:
    assert found(name)["result"] == places


@pytest.mark.parametrize(
    ("name", "says"),
    [("aws_sqs_queue.none", "neither defined nor used"), ("orders", "an address"), ("*.x", "an address")],
)
def test_what_is_not_there_or_no_address_is_refused_with_what_to_do(name: str, says: str) -> None:
    assert says in found(name)["error"]
