"""The offline plan on the real engine and the real provider: no account, no network."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack

import pytest

from adapters.terraform.conftest import build
from adapters.terraform.offline_worlds import changed, planned
from adapters.terraform.worlds import DEV, PROD, TABLE, environment, service, target, write
from ops_agent.adapters.terraform.offline_plan import Seen, base_sides, plan_offline
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.plan import UNKNOWN, ResourceAction
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus
from ops_agent.plan.offline import DERIVED_TEXT
from ops_agent.plan.reading import read_plan

pytestmark = pytest.mark.terraform


QUEUE = """\
resource "aws_sqs_queue" "orders" {
  name = "orders"
}
"""
STATE = """\
data "terraform_remote_state" "network" {
  backend = "s3"
  config = {
    bucket = "tfstate-network"
    key    = "network"
    region = "sa-east-1"
  }
}

resource "aws_security_group" "orders" {
  name   = "orders"
  vpc_id = data.terraform_remote_state.network.outputs.vpc_id
}
"""
BALANCER = """\
resource "aws_lb" "orders" {
  name            = "orders"
  internal        = true
  subnets         = data.terraform_remote_state.network.outputs.private_subnet_ids
  security_groups = [data.terraform_remote_state.network.outputs.groups["web"], aws_security_group.orders.id]
}
"""


REDRIVE = """\
resource "aws_sqs_queue" "orders" {
  name           = "orders"
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = 3 })
}

resource "aws_sqs_queue" "dead" {
  name = "orders-dead"
}
"""


NETWORK = """\
data "aws_availability_zones" "here" {
  state = "available"
}

data "aws_caller_identity" "me" {}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}
"""
SUBNETS = """
resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  availability_zone = data.aws_availability_zones.here.names[count.index]
  tags              = { owner = data.aws_caller_identity.me.account_id }
}
"""


POLICY = (
    TABLE
    + """
data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.orders.arn]
  }
}

resource "aws_iam_policy" "read" {
  name   = "read"
  policy = data.aws_iam_policy_document.read.json
}
"""
)


DERIVED = """
resource "aws_sqs_queue" "derived" {
  name              = "a-${substr(sha256(aws_dynamodb_table.orders.arn), 0, 8)}"
  kms_master_key_id = substr(aws_dynamodb_table.orders.stream_arn, 0, 30)
  tags = {
    whole = aws_dynamodb_table.orders.arn
    hash  = md5(aws_dynamodb_table.orders.arn)
    own   = "x"
  }
}
"""


def _labelled(name: str, label: str) -> str:
    return TABLE.replace('"orders" {', f'"{label}" {{', 1).replace('"orders"\n', f'"{name}"\n', 1)


SUBNET = """
resource "aws_subnet" "chosen" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.9.0/24"
}
"""
SECRET = """
variable "s" {
  sensitive = true
  default   = "hunter2"
}

resource "aws_sqs_queue" "secret" {
  name = "secret"
  tags = { s = var.s }
}
"""
MOVED = "moved {\n  from = aws_dynamodb_table.before\n  to   = aws_dynamodb_table.after\n}\n"
BEFORE = [TABLE, _labelled("old", "renamed"), _labelled("same", "before"), QUEUE, STATE, NETWORK, SUBNET, SECRET]
AFTER = [
    *(_labelled("new", "renamed"), _labelled("same", "after"), MOVED, REDRIVE),
    *(STATE.replace('"orders"\n', '"sales"\n', 1), BALANCER, NETWORK, SUBNETS),
    SUBNET.replace('.0/24"\n', '.0/24"\n  availability_zone = "sa-east-1a"\n'),
    *(SECRET.replace("hunter2", "hunter3"), POLICY, DERIVED),
]


@pytest.fixture(scope="module")
def found(engines, mirror, embedded_aws, tmp_path_factory):
    """One plan of one root in which each kind of change stands once: what is asked of it is a test each."""
    terraform = build(engines, "embedded", mirror, embedded_aws)
    return changed(terraform, tmp_path_factory.mktemp("kinds"), "\n".join(BEFORE), "\n".join(AFTER))


def test_renaming_a_table_replaces_it(found):
    assert found["aws_dynamodb_table.renamed"].replace_paths == ("name",)


def test_nothing_but_what_changes_is_in_the_plan(found):
    replaced = dict.fromkeys(("aws_dynamodb_table.renamed", "aws_security_group.orders"), "replace (delete first)")
    created = (
        "lb.orders",
        "sqs_queue.dead",
        "sqs_queue.derived",
        "iam_policy.read",
        *map("subnet.private[{}]".format, (0, 1)),
    )
    updated = dict.fromkeys(("aws_sqs_queue.orders", "aws_sqs_queue.secret"), "update")
    moved = {"aws_dynamodb_table.after": "move"}
    assert found.actions == replaced | {f"aws_{name}": "create" for name in created} | updated | moved
    assert list(found.untold) == ["aws_subnet.chosen"]


def test_another_state_has_an_answer_and_what_comes_from_it_is_not_known(found):
    assert found["aws_security_group.orders"].replace_paths == ("name",), "the VPC stays, whichever it is"
    shown = json.dumps(found["aws_lb.orders"].new)
    assert "${data.terraform_remote_state.network.outputs.private_subnet_ids" in shown


def test_a_redrive_policy_on_a_live_queue_is_an_update_beside_the_new_queue(found):
    assert "redrive_policy" in found["aws_sqs_queue.orders"].changed_attributes
    assert "${aws_sqs_queue.dead.arn}" in found["aws_sqs_queue.orders"].new["redrive_policy"]
    assert found["aws_sqs_queue.dead"].new["message_retention_seconds"] == 345600
    assert ("aws_sqs_queue.orders", "aws_sqs_queue.dead") in found.plan.edges


def test_subnets_with_zones_from_a_data_source_show_their_values(found):
    for number, zone in enumerate(("sa-east-1a", "sa-east-1b")):
        subnet = found[f"aws_subnet.private[{number}]"].new
        assert (subnet["availability_zone"], subnet["cidr_block"]) == (zone, f"10.0.{number}.0/24")
        assert subnet["tags"] == {"owner": PROD}
        assert subnet["vpc_id"] == "${aws_vpc.main.id}"
        assert subnet["map_public_ip_on_launch"] is False


def test_actions_and_principals_of_a_policy_document_are_known(found):
    statement = json.loads(found["aws_iam_policy.read"].new["policy"])["Statement"][0]
    assert (statement["Action"], statement["Resource"]) == ("dynamodb:GetItem", "${aws_dynamodb_table.orders.arn}")


def test_a_moved_block_is_no_change(found):
    assert found["aws_dynamodb_table.after"].previous_address == "aws_dynamodb_table.before"


def test_a_value_that_aws_chose_before_cannot_be_told(found):
    assert "availability_zone" in found.untold["aws_subnet.chosen"]


def test_a_sensitive_value_stays_sensitive(found):
    assert found["aws_sqs_queue.secret"].action is ResourceAction.UPDATE
    assert "hunter" not in repr(found["aws_sqs_queue.secret"])


def test_what_is_computed_of_an_invented_value_is_not_shown(found):
    queue = found["aws_sqs_queue.derived"].new
    assert (queue["name"], queue["kms_master_key_id"]) == (UNKNOWN, UNKNOWN)
    for tags in (queue["tags"], queue["tags_all"]):
        assert (tags["hash"], tags["own"]) == (UNKNOWN, "x")


@pytest.mark.proof
def test_a_document_on_a_new_resource_shows_its_literals(terraform, tmp_path):
    found = changed(terraform, tmp_path, QUEUE, QUEUE + POLICY)
    statement = json.loads(found["aws_iam_policy.read"].new["policy"])["Statement"][0]
    assert (statement["Action"], statement["Resource"]) == ("dynamodb:GetItem", "${aws_dynamodb_table.orders.arn}")


@pytest.mark.proof
def test_another_action_in_a_policy_document_updates_what_uses_it(terraform, tmp_path):
    found = changed(terraform, tmp_path, POLICY, POLICY.replace("GetItem", "*"))
    assert found.actions == {"aws_iam_policy.read": "update"}
    assert "GetItem" in found["aws_iam_policy.read"].old["policy"]
    assert "dynamodb:*" in found["aws_iam_policy.read"].new["policy"]


def test_a_replacement_spreads_to_what_uses_it(terraform, tmp_path):
    before = NETWORK + SUBNETS
    found = changed(terraform, tmp_path, before, before.replace('"10.0.0.0/16"', '"10.1.0.0/16"'))
    replaced = "replace (delete first)"
    assert found.actions == dict.fromkeys(("aws_vpc.main", "aws_subnet.private[0]", "aws_subnet.private[1]"), replaced)


@pytest.mark.proof
def test_a_new_label_without_a_moved_block_destroys_and_creates(terraform, tmp_path):
    found = changed(terraform, tmp_path, TABLE, TABLE.replace('table" "orders"', 'table" "sales"'))
    assert found.actions == {"aws_dynamodb_table.sales": "create", "aws_dynamodb_table.orders": "delete"}


MODULE = """\
variable "name" {
  type = string
}

resource "aws_sqs_queue" "q" {
  name = var.name
}

output "arn" {
  value = aws_sqs_queue.q.arn
}
"""
CALL = """\
module "queue" {
  source   = "./modules/queue"
  for_each = toset(["a", "b.c"])
  name     = "queue-${each.key == "a" ? "a" : "b"}"
}

resource "aws_sns_topic_subscription" "s" {
  for_each  = module.queue
  topic_arn = aws_sns_topic.t.arn
  protocol  = "sqs"
  endpoint  = each.value.arn
}

resource "aws_sns_topic" "t" {
  name = "t"
}
"""


@pytest.mark.proof
def test_instances_of_modules_and_resources_are_kept_apart(terraform, tmp_path):
    modules = {"infra/modules/queue/main.tf": MODULE}
    before = service("keys", CALL, **modules)
    after = service("keys", CALL.replace('? "a" : "b"', '? "a" : "z"'), **modules)
    found = planned(terraform, tmp_path, before, after, local_modules=("infra/modules/queue",))
    replaced = "replace (delete first)"
    assert found.actions == {
        'module.queue["b.c"].aws_sqs_queue.q': replaced,
        'aws_sns_topic_subscription.s["b.c"]': replaced,
    }


@pytest.mark.proof
def test_a_resource_that_moves_into_a_module_is_no_change(terraform, tmp_path):
    call = 'module "queue" {\n  source = "./modules/queue"\n  name = "orders"\n}\n'
    call += "moved {\n  from = aws_sqs_queue.orders\n  to   = module.queue.aws_sqs_queue.q\n}\n"
    after = service("into", call, **{"infra/modules/queue/main.tf": MODULE})
    found = planned(terraform, tmp_path, service("into", QUEUE), after, local_modules=("infra/modules/queue",))
    assert found.actions == {"module.queue.aws_sqs_queue.q": "move"}


@pytest.mark.proof
def test_a_count_of_one_is_no_change_and_one_fewer_destroys_one(terraform, tmp_path):
    one = QUEUE.replace("{\n", "{\n  count = 1\n", 1)
    assert changed(terraform, tmp_path / "1", QUEUE, one).actions == {"aws_sqs_queue.orders[0]": "move"}
    two = QUEUE.replace('{\n  name = "orders"', '{\n  count = 2\n  name  = "orders-${count.index}"', 1)
    fewer = changed(terraform, tmp_path / "2", two, two.replace("count = 2", "count = 1"))
    assert fewer.actions == {"aws_sqs_queue.orders[1]": "delete"}


PROTECTED = TABLE.replace('"PAY_PER_REQUEST"\n', '"PAY_PER_REQUEST"\n  lifecycle {\n    prevent_destroy = true\n  }\n')


def test_a_replacement_of_what_must_not_be_destroyed_is_an_error(terraform, tmp_path):
    found = changed(terraform, tmp_path, PROTECTED, PROTECTED.replace('"orders"\n', '"orders-2"\n', 1))
    assert found.check.status is CheckStatus.FAILED
    assert "aws_dynamodb_table.orders has lifecycle.prevent_destroy set" in found.check.findings[0].what
    assert found.actions == {"aws_dynamodb_table.orders": "replace (delete first)"}


@pytest.mark.proof
def test_create_before_destroy_and_replace_triggered_by_are_carried(terraform, tmp_path):
    first = TABLE.replace(
        'PAY_PER_REQUEST"\n', 'PAY_PER_REQUEST"\n  lifecycle {\n    create_before_destroy = true\n  }\n'
    )
    triggered = QUEUE.replace(
        'name = "orders"\n',
        'name = "orders"\n  lifecycle {\n    replace_triggered_by = [aws_dynamodb_table.orders.name]\n  }\n',
    )
    before = first + triggered
    found = changed(terraform, tmp_path, before, before.replace('"orders"\n', '"orders-2"\n', 1))
    assert found.actions == {
        "aws_dynamodb_table.orders": "replace (create first)",
        "aws_sqs_queue.orders": "replace (delete first)",
    }


@pytest.mark.proof
def test_ignored_changes_are_ignored(terraform, tmp_path):
    ignoring = TABLE.replace(
        'PAY_PER_REQUEST"\n',
        'PAY_PER_REQUEST"\n  tags = {\n    a = "1"\n    b = "1"\n  }\n'
        '  lifecycle {\n    ignore_changes = [name, tags["a"]]\n  }\n',
    )
    after = ignoring.replace('"orders"\n', '"orders-2"\n', 1).replace('a = "1"', 'a = "2"')
    assert changed(terraform, tmp_path / "1", ignoring, after).actions == {}
    tag = changed(terraform, tmp_path / "2", ignoring, after.replace('b = "1"', 'b = "2"'))
    assert tag.actions == {"aws_dynamodb_table.orders": "update"}
    assert tag["aws_dynamodb_table.orders"].new["tags"] == {"a": "1", "b": "2"}


@pytest.mark.proof
def test_default_tags_are_in_tags_all(terraform, tmp_path):
    before = service("tags", QUEUE)
    after = dict(before)
    tags = '\n  default_tags {\n    tags = merge({\n      owner = "team"\n    }, { region = var.region })\n  }\n}\n'
    after["infra/versions.tf"] = before["infra/versions.tf"].replace("= var.region\n}\n", f"= var.region{tags}", 1)
    found = planned(terraform, tmp_path / "1", before, after)
    assert found.actions == {"aws_sqs_queue.orders": "update"}
    assert found["aws_sqs_queue.orders"].new["tags_all"] == {"owner": "team", "region": "sa-east-1"}
    more = {**after, "infra/more.tf": TABLE}
    new = planned(terraform, tmp_path / "2", after, more)
    assert new.actions == {"aws_dynamodb_table.orders": "create"}
    assert new["aws_dynamodb_table.orders"].new["tags_all"] == {"owner": "team", "region": "sa-east-1"}


@pytest.mark.proof
def test_deleting_shows_what_goes_and_removed_blocks_forget(terraform, tmp_path):
    found = changed(terraform, tmp_path / "1", TABLE + QUEUE, QUEUE)
    assert found.actions == {"aws_dynamodb_table.orders": "delete"}
    assert found["aws_dynamodb_table.orders"].old["name"] == "orders"
    forget = "removed {\n  from = aws_dynamodb_table.orders\n  lifecycle {\n    destroy = false\n  }\n}\n"
    found = changed(terraform, tmp_path / "2", TABLE + QUEUE, QUEUE + forget)
    assert found.actions == {"aws_dynamodb_table.orders": "forget"}


@pytest.mark.proof
def test_an_import_cannot_be_told(terraform, tmp_path):
    taken = 'import {\n  to = aws_dynamodb_table.orders\n  id = "orders"\n}\n'
    found = changed(terraform, tmp_path, QUEUE, QUEUE + TABLE + taken)
    assert found.actions == {}
    assert "imports" in found.untold["aws_dynamodb_table.orders"]


AMI = """\
data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true
}

resource "aws_instance" "one" {
  ami           = data.aws_ami.linux.id
  instance_type = "t3.micro"
}
"""


@pytest.mark.proof
def test_what_a_data_source_answers_cannot_be_told(terraform, tmp_path):
    found = changed(terraform, tmp_path, AMI, AMI.replace('"amazon"', '"self"'))
    assert found.actions == {}
    assert "data.aws_ami.linux" in found.untold["aws_instance.one"]


def test_a_provisioner_is_never_run(terraform, tmp_path):
    runs = 'resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "true"\n  }\n}\n'
    with pytest.raises(AssertionError, match="provisioner"):
        changed(terraform, tmp_path, QUEUE, QUEUE + runs)


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


@pytest.mark.proof
def test_nothing_differs_by_chance_between_two_equal_sides_with_modules_aliases_and_data_sources(terraform, tmp_path):
    files = service("equal", MANY, **{"infra/modules/queue/main.tf": QUEUE_MODULE})
    found = planned(terraform, tmp_path, files, files, local_modules=("infra/modules/queue",))
    assert (found.actions, found.untold) == ({}, {})
    queue = next(one for one in found.plan.unchanged if one.address == "module.queue.aws_sqs_queue.q")
    assert queue.new["name"] == f"{PROD}-sa-east-1-3"


NEVER = """
resource "terraform_data" "x" {
  lifecycle {
    precondition {
      condition     = var.region == "x"
      error_message = "never true"
    }
  }
}
"""


@pytest.mark.proof
def test_what_mocks_cannot_evaluate_is_reported_and_does_not_fail_the_check(terraform, tmp_path):
    """On the head, and on the base: neither says that the change is wrong."""
    prod = target(environment("prod"))
    for before, after, where in ((QUEUE, NEVER, ""), (NEVER, QUEUE, "on the base branch ")):
        seen = Seen()
        with terraform.workspace(write(tmp_path / f"1{where}", service("never", before)), prod, None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            bases = base_sides([workspace], seen)
        with terraform.workspace(write(tmp_path / f"2{where}", service("never", after)), prod, None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            [(check, made)] = plan_offline([workspace], bases, seen)
        assert made is None
        assert check.status is CheckStatus.NOT_RUN
        assert check.output.startswith(f"No offline plan: {where}with mocked providers it could not be evaluated")
        assert "never true" in check.output


@pytest.mark.proof
def test_another_type_by_a_moved_block_cannot_be_told(terraform, tmp_path):
    move = "moved {\n  from = aws_sqs_queue.orders\n  to   = aws_sns_topic.orders\n}\n"
    found = changed(terraform, tmp_path, QUEUE, QUEUE.replace("aws_sqs_queue", "aws_sns_topic") + move)
    assert found.actions == {}
    assert "`aws_sqs_queue.orders`" in found.untold["aws_sns_topic.orders"]


@pytest.mark.proof
def test_what_is_computed_of_an_invented_value_is_not_shown_before_or_after_an_update(terraform, tmp_path):
    after = DERIVED.replace('own   = "x"', 'own   = "y"')
    update = changed(terraform, tmp_path, TABLE + DERIVED, TABLE + after)["aws_sqs_queue.derived"]
    assert update.changed_attributes == ("tags", "tags_all")
    assert update.old["name"] == update.new["name"] == DERIVED_TEXT


@pytest.mark.proof
def test_terraform_data_is_planned_like_any_other(terraform, tmp_path):
    arguments = '  input            = { a = [1, "${"$"}{b}"] }\n  triggers_replace = ["1"]\n'
    data = f'resource "terraform_data" "x" {{\n{arguments}}}\n'
    found = changed(terraform, tmp_path / "1", data, data.replace("[1,", "[2,"))
    assert found.actions == {"terraform_data.x": "update"}
    found = changed(terraform, tmp_path / "2", data, data.replace('["1"]', '["2"]'))
    assert found.actions == {"terraform_data.x": "replace (delete first)"}


FROM_A_DATA_SOURCE = """\
data "aws_sns_topic" "shared" {
  name = "shared"
}

resource "aws_sns_topic_subscription" "s" {
  topic_arn = data.aws_sns_topic.shared.arn
  protocol  = "sqs"
  endpoint  = "arn:aws:sqs:sa-east-1:283165662494:x"
}
"""


@pytest.mark.proof
def test_what_a_data_source_answers_unchanged_is_no_change(terraform, tmp_path):
    found = changed(terraform, tmp_path, FROM_A_DATA_SOURCE, FROM_A_DATA_SOURCE + QUEUE)
    assert found.actions == {"aws_sqs_queue.orders": "create"}
    assert found.untold == {}


@pytest.mark.proof
def test_what_the_provider_cannot_plan_is_not_told_and_the_rest_is(terraform, tmp_path):
    failed = {"aws_dynamodb_table.orders": "it called AWS"}
    after = TABLE.replace('"orders"\n', '"orders-2"\n', 1) + QUEUE
    found = changed(terraform, tmp_path / "1", TABLE, after, failed=failed)
    assert found.actions == {"aws_sqs_queue.orders": "create"}
    assert found.untold == failed
    assert changed(terraform, tmp_path / "2", TABLE, QUEUE, failed=failed).actions == {
        "aws_dynamodb_table.orders": "delete",
        "aws_sqs_queue.orders": "create",
    }


@pytest.mark.proof
def test_addresses_and_ranges_of_the_account_pass_the_provider(terraform, tmp_path):
    group = """
resource "aws_eip" "one" {
  vpc = true
}

resource "aws_security_group" "one" {
  vpc_id = aws_vpc.main.id
  ingress {
    from_port        = 1
    to_port          = 2
    protocol         = "tcp"
    cidr_blocks      = ["${aws_eip.one.public_ip}/32"]
    ipv6_cidr_blocks = [aws_vpc.main.ipv6_cidr_block]
  }
}
"""
    found = changed(terraform, tmp_path, NETWORK, NETWORK + group)
    assert found.actions == {"aws_eip.one": "create", "aws_security_group.one": "create"}


ALIASES = """
provider "aws" {
  alias  = "logs"
  region = var.region
  default_tags {
    tags = { alias = "logs" }
  }
}

module "queue" {
  source    = "./modules/queue"
  providers = { aws = aws.logs }
  name      = "x"
}

resource "aws_sqs_queue" "direct" {
  provider = aws.logs
  name     = "direct"
}
"""


@pytest.mark.proof
def test_each_resource_is_planned_by_its_own_provider_block(terraform, tmp_path):
    modules = {"infra/modules/queue/main.tf": MODULE}
    found = planned(
        terraform,
        tmp_path,
        service("alias", QUEUE, **modules),
        service("alias", QUEUE + ALIASES, **modules),
        local_modules=("infra/modules/queue",),
    )
    for address in ("module.queue.aws_sqs_queue.q", "aws_sqs_queue.direct"):
        assert found[address].new["tags_all"] == {"alias": "logs"}


@pytest.mark.proof
def test_two_environments_share_what_was_seen(terraform, tmp_path):
    seen = Seen()
    for round_ in ("1", "2"):
        found = changed(terraform, tmp_path / round_, TABLE, TABLE + QUEUE, seen=seen)
        assert found.actions == {"aws_sqs_queue.orders": "create"}


def test_no_credential_and_no_network_is_used(terraform, tmp_path):
    runs = []
    original = Sandbox.run

    def run(self, cell, command, variables, **more):
        result = original(self, cell, command, variables, **more)
        runs.append((command.argv[0], result.refused, {name for name in variables if "SECRET" in name}))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sandbox, "run", run)
        changed(terraform, tmp_path, TABLE, TABLE.replace('"orders"\n', '"orders-2"\n', 1))
    assert [name for name, _, _ in runs] == ["init", "providers", "test", "test", "init", "test", "plan", "show"]
    assert all(not refused and not secrets for _, refused, secrets in runs)


def test_the_environments_of_a_root_are_planned_at_once(terraform, tmp_path):
    before = service("both", TABLE + 'data "aws_caller_identity" "me" {\n}\n')
    renamed = TABLE.replace('"orders"\n', '"orders-${data.aws_caller_identity.me.account_id}"\n', 1)
    after = {**before, "infra/main.tf": renamed + QUEUE + 'data "aws_caller_identity" "me" {\n}\n'}
    trees = write(tmp_path / "base", before), write(tmp_path / "head", after)
    both = [target(environment(name)) for name in ("dev", "prod")]
    seen = Seen()
    with ExitStack() as stack:
        bases, heads = ([stack.enter_context(terraform.workspace(tree, one, None)) for one in both] for tree in trees)
        assert all(workspace.init().status is CheckStatus.PASSED for workspace in (*bases, *heads))
        found = plan_offline(heads, base_sides(bases, seen), seen)
    for (check, made), account in zip(found, (DEV, PROD), strict=True):
        assert check.status is CheckStatus.PASSED
        plan = read_plan(made.document, "", Policy())
        assert {change.address: str(change.action) for change in plan.changes} == {
            "aws_dynamodb_table.orders": "replace (delete first)",
            "aws_sqs_queue.orders": "create",
        }
        assert next(c for c in plan.changes if c.type == "aws_dynamodb_table").new["name"] == f"orders-{account}"


@pytest.mark.proof
def test_what_uses_something_that_cannot_be_told_cannot_be_told_either(terraform, tmp_path):
    failed = {"aws_vpc.main": "it called AWS"}
    before = NETWORK + SUBNETS
    found = changed(terraform, tmp_path, before, before.replace('"10.0.0.0/16"', '"10.1.0.0/16"'), failed=failed)
    assert found.actions == {}
    assert found.untold["aws_subnet.private[0]"] == "it uses `aws_vpc.main`, which cannot be told"


ASKED = """
data "aws_vpcs" "all" {
}

locals {
  answered = "orders ${substr(md5(data.aws_vpcs.all.id), 0, 4)}"
}
"""


def test_what_the_provider_refuses_about_the_sources_alone_fails_the_check(terraform, tmp_path):
    """Not what it says about a value that a data source answered, however it was computed."""
    module = {"infra/modules/queue/main.tf": MODULE}
    call = '\nmodule "queue" {\n  source = "./modules/queue"\n  name   = "orders ${1 + 1}"\n}\n'
    asked = ASKED + QUEUE.replace('"orders"\n', "local.answered\n")
    before = TABLE + 'data "aws_vpcs" "all" {\n}\n' + QUEUE
    after = TABLE.replace("hash_key ", '  range_key    = "at"\n  hash_key ') + asked + call
    found = planned(
        terraform,
        tmp_path,
        service("refused", before, **module),
        service("refused", after, **module),
        local_modules=("infra/modules/queue",),
    )
    assert found.check.status is CheckStatus.FAILED
    indexes = '1 error occurred: * all indexes must match a defined attribute. Unmatched indexes: ["at"]'
    assert {(f.what, f.place.path, f.place.line) for f in found.check.findings} == {
        (f"{indexes} (at aws_dynamodb_table.orders)", "infra/main.tf", 1),
        ("invalid queue name: orders 2 (at module.queue.aws_sqs_queue.q)", "infra/modules/queue/main.tf", 5),
    }
    assert found.untold["aws_dynamodb_table.orders"].startswith("the provider refuses it: 1 error occurred")
    assert found.untold["aws_sqs_queue.orders"].startswith("the provider could not plan it without AWS: invalid queue")


def test_a_value_out_of_range_fails_the_check_unless_a_data_source_answered_it(terraform, tmp_path):
    stream = 'resource "aws_kinesis_stream" "s" {\n  name = "s"\n  shard_count = 1\n  retention_period = %s\n}\n'
    prod, seen = target(environment("prod")), Seen()
    number = 'variable "days" {\n  default = 0.5\n}\n'
    tried = (
        ("var.days * 24", CheckStatus.FAILED),
        ("length(data.aws_vpcs.all.ids)", CheckStatus.NOT_RUN),
    )
    with terraform.workspace(write(tmp_path / "base", service("range", QUEUE + ASKED)), prod, None) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        bases = base_sides([workspace], seen)
    for value, status in tried:
        head = write(tmp_path / status.name, service("range", QUEUE + ASKED + number + stream % value))
        with terraform.workspace(head, prod, None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            [(check, made)] = plan_offline([workspace], bases, seen)
        assert (check.status, made) == (status, None)
        assert "to be in the range (24 - 8760), got" in check.output
        places = [(f.place.path, f.place.line) for f in check.findings]
        assert places == ([("infra/main.tf", 17)] if status is CheckStatus.FAILED else [])


MACHINE = """
resource "aws_sfn_state_machine" "m" {
  name       = "m"
  role_arn   = "arn:aws:iam::283165662494:role/x"
  definition = jsonencode({ StartAt = "a", States = { a = { Type = "Pass", End = true } } })
}
"""


@pytest.mark.timeout(600)
def test_a_type_whose_plan_calls_aws_is_not_told_and_the_rest_is(tmp_path):
    """Provider 5 asks AWS whether a state machine is right; in a mirror that OPS_AGENT_TEST_MIRROR names."""
    if not (newer := os.environ.get("OPS_AGENT_TEST_MIRROR")):
        pytest.skip("OPS_AGENT_TEST_MIRROR names no mirror with provider 5")
    after = (
        TABLE.replace('"orders"\n', '"orders-2"\n', 1) + MACHINE.replace('"a"', '"b"') + MACHINE.replace('"m"', '"n"')
    )
    with TerraformCli(policy=Policy(), binary="embedded", mirror=newer, patience=Patience(deadline=120)) as terraform:
        found = changed(terraform, tmp_path, TABLE + MACHINE, after)
    assert found.actions == {
        "aws_dynamodb_table.orders": "replace (delete first)",
        "aws_sfn_state_machine.n": "create",
    }
    assert "127.0.0.1" in found.untold["aws_sfn_state_machine.m"]


STANDARDS = """
locals {
  tags = { environment = "production", service-name = "orders", category = "commerce", feature = "x", channel = "web" }
  few  = { environment = "production", service-name = "orders" }
}

provider "aws" {
  alias  = "tagged"
  region = var.region
  default_tags {
    tags = { category = "commerce", feature = "x", channel = "web" }
  }
}

resource "aws_sns_topic" "first" {
  count             = 2
  name              = "first-${count.index}"
  kms_master_key_id = "alias/ours"
  tags              = local.few
}

resource "aws_sns_topic" "complete" {
  name = "complete"
  tags = merge(local.tags, { source = aws_sns_topic.first[0].arn })
}

resource "aws_sns_topic" "few" {
  name              = "few"
  kms_master_key_id = aws_sns_topic.first[0].id
  tags              = merge(local.few, { source = aws_sns_topic.first[0].arn })
}

resource "aws_sns_topic" "default" {
  provider          = aws.tagged
  name              = "default"
  kms_master_key_id = "alias/ours"
  tags              = merge(local.few, { source = aws_sns_topic.first[0].arn })
}

module "queue" {
  source   = "./modules/queue"
  for_each = toset(["a", "b"])
  name     = each.key
  tags     = local.few
}
"""
TAGGED_MODULE = """
variable "name" {}
variable "tags" {}
resource "aws_sqs_queue" "q" {
  name = var.name
  tags = var.tags
}
"""


def test_planned_values_are_held_against_the_standards_with_tags_key_by_key(terraform, tmp_path):
    modules = {"infra/modules/queue/main.tf": TAGGED_MODULE}
    before = service("standards", QUEUE, **modules)
    after = service("standards", QUEUE + STANDARDS, **modules)
    found = planned(terraform, tmp_path, before, after, local_modules=("infra/modules/queue",)).plan.standards
    few = "has no tag `category`, `feature`, `channel`"
    assert {(one.rule, one.address, one.what) for one in found} == {
        ("plan/required-tags", "aws_sns_topic.first[0]", few),
        ("plan/required-tags", "aws_sns_topic.first[1]", few),
        ("plan/required-tags", "aws_sns_topic.few", few),
        ("plan/required-tags", 'module.queue["a"].aws_sqs_queue.q', few),
        ("plan/required-tags", 'module.queue["b"].aws_sqs_queue.q', few),
        ("plan/not-encrypted", "aws_sns_topic.complete", "is not encrypted at rest: `kms_master_key_id` is not set"),
    }
