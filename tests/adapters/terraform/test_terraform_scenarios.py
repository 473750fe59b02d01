"""Real Terraform and the real AWS provider against the emulated AWS: what a plan shows for each kind of change."""

from __future__ import annotations

import resource
import stat

import pytest

from adapters.terraform.worlds import (
    DEV,
    QUEUE,
    apply,
    bare_target,
    changes,
    environment,
    service,
    target,
    world,
    write,
)
from doubles.tree import MemoryTree
from ops_agent.config.settings import Settings
from ops_agent.model.errors import PolicyViolation
from ops_agent.model.plan import ResourceAction
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus
from ops_agent.plan.reading import read_plan
from ops_agent.run.verify import BasePlans, verify

pytestmark = pytest.mark.terraform

TOPIC = 'resource "aws_sns_topic" "new" {\n  name = "{name}"\n}\n'
DEPLOYED = """\
resource "aws_sqs_queue" "orders" {
  name                       = "{name}-orders"
  visibility_timeout_seconds = 30
}

resource "aws_sqs_queue" "dead" {
  name = "{name}-dead"
}

resource "aws_sqs_queue" "old" {
  name = "{name}-old"
}

resource "aws_sqs_queue" "kept" {
  name = "{name}-kept"
}
"""
CHANGED = """\
resource "aws_sqs_queue" "orders" {
  name                       = "{name}-orders"
  visibility_timeout_seconds = 60
}

resource "aws_sqs_queue" "dead" {
  name = "{name}-failed"
}

resource "aws_sqs_queue" "moved" {
  name = "{name}-kept"
}

resource "aws_sns_topic" "new" {
  name = "{name}"
}

moved {
  from = aws_sqs_queue.kept
  to   = aws_sqs_queue.moved
}

output "name" {
  value = aws_sqs_queue.orders.name
}
"""
ORDERS = "aws_sqs_queue.orders"
FOUND = 'resource "aws_sqs_queue" "found" {\n  name = "found"\n}\n'
IMPORT = 'import {\n  to = aws_sqs_queue.found\n  id = "{url}"\n}\n\n' + FOUND


@pytest.fixture(scope="module")
def deployed(embedded_aws, mirror) -> str:
    """The name of a service that is deployed in dev."""
    apply(service("shop", DEPLOYED), embedded_aws, mirror)
    return "shop"


def planned(terraform, cloud, tmp_path, files):
    """(check of the plan, plan) of the dev target."""
    with (
        cloud.lease(environment("dev")) as lease,
        terraform.workspace(write(tmp_path, files), target(), lease) as workspace,
    ):
        init = workspace.init()
        assert init.status is CheckStatus.PASSED, init.findings
        check, left = workspace.plan()
        if left is None:
            return check, None
        assert stat.S_IMODE(left.json_path.stat().st_mode) == 0o600
        return check, read_plan(left.json_path.read_bytes(), left.text, Policy(), account=DEV)


def actions(plan) -> dict[str, ResourceAction]:
    return {change.address: change.action for change in plan.changes if change.action is not ResourceAction.NO_OP}


def test_every_engine_on_this_machine_shows_each_kind_of_change_and_counts_it(any_terraform, deployed, cloud, tmp_path):
    """Create, change, replace, destroy, move and an output in one plan; the counts are compared with Terraform's own
    line by read_plan.
    """
    check, plan = planned(any_terraform, cloud, tmp_path, service(deployed, CHANGED))
    assert check.status is CheckStatus.PASSED, check.findings
    assert actions(plan) == {
        ORDERS: ResourceAction.UPDATE,
        "aws_sqs_queue.dead": ResourceAction.REPLACE_DELETE_FIRST,
        "aws_sqs_queue.old": ResourceAction.DELETE,
        "aws_sqs_queue.moved": ResourceAction.MOVE,
        "aws_sns_topic.new": ResourceAction.CREATE,
    }
    assert [output.name for output in plan.outputs] == ["name"]
    assert (plan.counts.add, plan.counts.change, plan.counts.destroy) == (2, 1, 2)


@pytest.mark.parametrize(
    "output", ["", 'output "name" {\n  value = aws_sqs_queue.orders.name\n}\n'], ids=["no change", "output only"]
)
def test_a_plan_without_a_change_of_a_resource_is_shown_as_that(output, deployed, terraform, cloud, tmp_path):
    check, plan = planned(terraform, cloud, tmp_path, service(deployed, DEPLOYED + output))
    assert check.status is CheckStatus.PASSED
    assert actions(plan) == {}
    assert len(plan.outputs) == bool(output)


def test_an_import_block_of_the_base_is_planned_as_an_import(deployed, terraform, cloud, tmp_path, aws, mirror):
    apply(service("imported", FOUND), aws, mirror)
    url = f"{aws.endpoint}/{DEV}/found"
    check, plan = planned(terraform, cloud, tmp_path, service("importing", IMPORT.replace("{url}", url)))
    assert check.status is CheckStatus.PASSED, check.findings
    assert plan.counts.import_ == 1


def test_an_error_while_planning_is_a_failed_check_with_file_and_line_and_no_plan(terraform, cloud, tmp_path):
    """The plan file of an errored plan is written; it must not look like "no changes"."""
    main = QUEUE + 'data "aws_sns_topic" "gone" {\n  name = "nobody-made-it"\n}\n'
    check, plan = planned(terraform, cloud, tmp_path, service("broken", main))
    assert plan is None
    assert check.status is CheckStatus.FAILED
    assert [(f.place.path, f.place.line) for f in check.findings] == [("infra/main.tf", 5)]
    assert "no matching SNS Topic found" in check.findings[0].what


def test_a_plan_reads_past_a_held_lock_and_only_reads_in_our_region_with_the_sessions_own_key(
    terraform, cloud, tmp_path, aws, deployed
):
    """`-lock=false`, no write to the state bucket, no ambient key, no other region (IAM has none)."""
    aws.account(DEV).put(aws.state_bucket(DEV), f"{deployed}/terraform.tfstate.tflock", b'{"ID":"1","Who":"maria"}')
    aws.forget_calls()
    check, _ = planned(terraform, cloud, tmp_path, service(deployed, DEPLOYED))
    assert check.status is CheckStatus.PASSED
    assert {call.method for call in aws.calls if call.service == "s3"} <= {"GET", "HEAD"}
    signed = [call for call in aws.calls if call.access_key]
    assert len(signed) > 4
    assert {call.region for call in signed if call.service != "iam"} == {"sa-east-1"}
    assert len({call.access_key for call in signed}) == 1


def test_credentials_that_expire_while_terraform_runs_are_renewed_by_the_broker(
    terraform, cloud, tmp_path, aws, deployed
):
    """Each session lives 3 s in the emulated AWS, less than a plan; the AWS SDK in Terraform and provider asks the
    broker again.
    """
    aws.shorten_sessions(3)
    check, _ = planned(terraform, cloud, tmp_path, service(deployed, DEPLOYED))
    minted = [call for call in aws.calls if call.operation == "AssumeRoleWithWebIdentity"]
    assert check.status is CheckStatus.PASSED, check.findings
    assert len(minted) > 2
    assert "ExpiredToken" not in [call.refused for call in aws.calls]


def test_a_required_variable_without_a_value_gets_a_placeholder_that_is_named(bare_terraform, tmp_path):
    text = 'variable "image" {\n  type = string\n}\n\nvariable "ports" {\n  type = list(object({ port = number }))\n}\n'
    with bare_terraform.workspace(write(tmp_path, {"main.tf": text}), bare_target(), None) as workspace:
        assert workspace.placeholders == ("image", "ports")
        assert workspace.init().status is CheckStatus.PASSED
        assert workspace.plan(with_text=False)[0].status is CheckStatus.PASSED


def test_verification_plans_dev_with_its_role_and_prod_offline_and_blames_only_the_change(
    terraform, cloud, deployed, tmp_path
):
    """The base commit differs from what is deployed (drift of the team's own); only the new topic is ours."""
    before = service(deployed, DEPLOYED.replace("= 30", "= 45"))
    after = {**before, "infra/topic.tf": f'resource "aws_sns_topic" "news" {{\n  name = "{deployed}-news"\n}}\n'}
    tree = write(tmp_path / "head", after)
    proof = verify(world(terraform, cloud), Settings(), MemoryTree(before), changes(before, after), tree)
    assert proof.passed
    assert [c.name for c in proof.checks] == ["fmt"]
    dev, prod = proof.targets
    assert actions(dev.plan) == {ORDERS: ResourceAction.UPDATE, "aws_sns_topic.news": ResourceAction.CREATE}
    assert dev.own == {"aws_sns_topic.news"}
    assert dev.evidence.account == DEV
    assert dev.evidence.plan_json == dev.plan.canonical_hash
    assert (dev.unplanned, dev.offline) == (None, False)
    assert prod.unplanned == "no role was given for the environment `prod` (`aws_role_arns`)"
    assert prod.offline
    assert actions(prod.plan) == {"aws_sns_topic.news": ResourceAction.CREATE}
    assert [(c.name, c.subject) for c in dev.checks] == [
        ("init", "infra (dev)"),
        ("validate", "infra"),
        ("plan", "infra (dev)"),
    ]
    assert [c.name for c in prod.checks] == ["init", "offline plan"]


TABLE = """
resource "aws_dynamodb_table" "orders" {
  name         = "orders"
  hash_key     = "id"
  billing_mode = "PAY_PER_REQUEST"
  attribute {
    name = "id"
    type = "S"
  }
}
"""


def test_renaming_a_table_offline_is_a_replacement_that_blocks_and_a_redrive_policy_is_an_update(
    terraform, cloud, tmp_path
):
    """In prod, which has no role; the base is planned once for both rounds."""
    before = service("offline", TABLE + QUEUE)
    redrive = "redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = 3 })"
    dead = QUEUE.replace('"orders"', '"dead"').replace("-orders", "-dead")
    changed = QUEUE.replace("{\n", f"{{\n  {redrive}\n", 1) + dead
    after = service("offline", TABLE.replace('= "orders"', '= "orders-2"') + changed)
    plans = BasePlans()
    for _ in range(2):
        proof = verify(
            world(terraform, cloud),
            Settings(environments=("prod",)),
            MemoryTree(before),
            changes(before, after),
            write(tmp_path, after),
            plans,
        )
        (prod,) = proof.targets
        assert prod.offline, prod.checks
        assert actions(prod.plan) == {
            "aws_dynamodb_table.orders": ResourceAction.REPLACE_DELETE_FIRST,
            "aws_sqs_queue.orders": ResourceAction.UPDATE,
            "aws_sqs_queue.dead": ResourceAction.CREATE,
        }
        assert {d.address for d in prod.plan.dangers if d.blocks} == {"aws_dynamodb_table.orders"}
        assert prod.plan.counts.line == "+2 ~1 -1, 1 REPLACE"
    assert len(plans) == 1


def test_a_wrong_account_stops_verification_before_any_terraform(terraform, cloud, tmp_path, aws):
    """No process of the engine is started for the tree."""
    aws.answer_as("999999999999")
    before, after = service("wrong"), service("wrong", QUEUE + TOPIC)
    started: list[str] = []
    real = terraform.workspace
    terraform.workspace = lambda *given: started.append("workspace") or real(*given)
    try:
        with pytest.raises(PolicyViolation, match="999999999999"):
            verify(
                world(terraform, cloud),
                Settings(),
                MemoryTree(before),
                changes(before, after),
                write(tmp_path, after),
            )
    finally:
        del terraform.workspace
    assert started == []
    assert "GetObject" not in [call.operation for call in aws.calls]
    assert [call.operation for call in aws.calls] == ["IdToken", "AssumeRoleWithWebIdentity", "GetCallerIdentity"]


def test_a_plan_of_ten_megabytes_is_streamed_and_its_text_capped(terraform, tmp_path):
    """512 MB is the limit of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    value = 'join("\\n", [for n in range(1000) : format("%0300d", n)])'
    main = "".join(f'output "large{number}" {{\n  value = {value}\n}}\n' for number in range(34))
    with terraform.workspace(write(tmp_path, {"main.tf": main}), bare_target(), None) as workspace:
        workspace.init()
        check, left = workspace.plan()
        assert check.status is CheckStatus.PASSED
        assert left.json_path.stat().st_size > 10 << 20
    assert len(left.text) <= (10 << 20) + 20
    assert left.text.endswith("\n... (cut)\n")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200
