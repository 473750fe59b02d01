"""The plan of an environment without a role: real Terraform with mocked providers."""

from __future__ import annotations

import pytest

from adapters.terraform.worlds import PROD, QUEUE, environment, service, target, write
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus
from ops_agent.plan.difference import mocked_difference
from ops_agent.plan.reading import read_plan

pytestmark = pytest.mark.terraform


MANY = """\
provider "aws" {
  alias  = "logs"
  region = var.region
}

data "aws_availability_zones" "zones" {}

data "aws_region" "here" {}

data "aws_caller_identity" "me" {}

data "aws_sns_topic" "shared" {
  name = "shared"
}

data "aws_iam_policy_document" "send" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = ["arn:aws:sqs:${data.aws_region.here.name}:${data.aws_caller_identity.me.account_id}:x"]
  }
}

locals {
  account = data.aws_caller_identity.me.account_id
}

module "queue" {
  source = "./modules/queue"
  name   = "${local.account}-${data.aws_region.here.name}-${length(data.aws_availability_zones.zones.names)}"
  policy = data.aws_iam_policy_document.send.json
  topic  = data.aws_sns_topic.shared.arn
}
"""
QUEUE_MODULE = """\
variable "name" {}
variable "policy" {}
variable "topic" {}

data "aws_kms_alias" "key" {
  name = "alias/aws/sqs"
}

resource "aws_sqs_queue" "q" {
  name              = var.name
  policy            = var.policy
  kms_master_key_id = data.aws_kms_alias.key.arn
  tags              = { topic = var.topic }
}
"""


def test_two_mocked_plans_of_one_configuration_with_modules_aliases_and_data_sources_are_equal(terraform, tmp_path):
    """Nothing differs by chance: two mocked plans of one configuration are equal, and no request leaves."""
    tree = write(tmp_path, service("mocked", MANY, **{"infra/modules/queue/main.tf": QUEUE_MODULE}))
    prod = target(environment("prod"), local_modules=("infra/modules/queue",))
    plans = []
    for _ in range(2):
        with terraform.workspace(tree, prod, None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            check, document = workspace.mocked_plan()
            assert document is not None, check.output
            plans.append(read_plan(document, "", Policy(), account=PROD))
    assert mocked_difference(plans[0], plans[1]).changes == ()
    queue = next(c for c in plans[0].changes if c.address == "module.queue.aws_sqs_queue.q")
    assert queue.after["name"] == f"{PROD}-sa-east-1-0"


def test_what_mocks_cannot_evaluate_is_reported_and_does_not_fail_the_check(terraform, tmp_path):
    condition = 'condition     = var.region == "x"\n      error_message = "never true"'
    main = QUEUE + 'resource "terraform_data" "x" {\n  lifecycle {\n    precondition {\n'
    main += f"      {condition}\n    }}\n  }}\n}}\n"
    with terraform.workspace(write(tmp_path, service("never", main)), target(environment("prod")), None) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        check, document = workspace.mocked_plan()
    assert document is None
    assert check.status is CheckStatus.NOT_RUN
    assert "never true" in check.output
