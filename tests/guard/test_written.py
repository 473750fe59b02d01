"""Unknown values of a plan are judged by what the sources write for them: literals count, references stand."""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.guard.values import all_targets, instances_of
from ops_agent.guard.written import Written
from ops_agent.model.finding import Severity
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import UNSEEN, TerraformRoot
from plan.plan_samples import change, plan_document, read

HEAD = 'resource "aws_sqs_queue" "q" {}\nresource "aws_s3_bucket" "b" {}\n'


def written(source: str, **files: str) -> Written:
    sources = {"infra/main.tf": HEAD + source} | {f"infra/{name}/main.tf": text for name, text in files.items()}
    tree = SourceTree(FilesInMemory.of({path: text.encode() for path, text in sources.items()}), Policy())
    (target,) = all_targets(TerraformRoot(path="infra", environments=()))
    return Written(lambda: instances_of(target, tree))


def found(type_: str, argument: str, source: str, *others: dict[str, Any], **files: str) -> list[tuple[str, Severity]]:
    """The dangers of a new resource whose argument a plan does not know, and the sources write so."""
    block = f'resource "{type_}" "x" {{ {source if argument + " =" in source else f"{argument} = {source}"} }}'
    if "\n" in source:
        block = source
    entry = change(f"{type_}.x", "create", after={}, change={"after_unknown": {argument: True}})
    sources = written(block, **files).resource
    plan = read(plan_document(entry, *others, configuration=configured(type_, argument)), written=sources)
    return [(one.rule.removeprefix("plan/"), one.severity) for one in plan.dangers]


def configured(type_: str, argument: str) -> dict[str, Any]:
    """As little as a plan says of what goes through a local."""
    expression = {argument: {"references": ["local.x"]}}
    return {"root_module": {"resources": [{"address": f"{type_}.x", "expressions": expression}]}}


def policy(
    action: str = '"sqs:SendMessage"', principal: str = '{ Service = "sns.amazonaws.com" }', more: str = ""
) -> str:
    statement = f'Effect = "Allow", Action = {action}, Principal = {principal}, Resource = aws_sqs_queue.q.arn{more}'
    return f"jsonencode({{ Statement = [{{ {statement} }}] }})"


BLOCKS, DECISION = Severity.BLOCKS, Severity.DECISION


@pytest.mark.parametrize(
    ("source", "dangers"),
    [
        (policy(), []),
        (policy(principal="{ AWS = aws_iam_role.r.arn }"), []),
        (policy(principal='{ AWS = "*" }'), [("foreign-principal", BLOCKS)]),
        (
            policy(principal='"*"', more=', Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.t.arn } }'),
            [],
        ),
        (policy(principal='{ AWS = "arn:aws:iam::999988887777:root" }'), [("foreign-principal", BLOCKS)]),
        (policy(action='"*"'), [("administrator", BLOCKS)]),
        (policy(action="var.nobody_gives_it"), [("policy-unknown", DECISION)]),
        (policy(principal="{ AWS = data.aws_iam_role.r.arn }"), [("foreign-principal", DECISION)]),
        ("aws_sqs_queue.q.policy_of_somebody", [("policy-unknown", DECISION)]),
    ],
)
def test_a_policy_with_a_new_arn_is_judged_by_its_literals(source: str, dangers: list[tuple[str, Severity]]) -> None:
    """Written in place, through a local, or in the argument of a queue."""
    assert found("aws_sqs_queue_policy", "policy", source) == dangers
    through = f'locals {{\n x = {source}\n}}\nresource "aws_sqs_queue" "x" {{\n policy = local.x\n}}'
    assert found("aws_sqs_queue", "policy", through) == dangers


def test_a_bucket_behind_a_local_is_one_of_this_change() -> None:
    rule = {"status": "Enabled", "expiration": [{"days": 1}]}
    type_ = "aws_s3_bucket_lifecycle_configuration"
    entry = change(f"{type_}.x", "create", after={"rule": [rule]}, change={"after_unknown": {"bucket": True}})
    bucket = change("aws_s3_bucket.b", "create", after={})
    for target, lost in (("aws_s3_bucket.b.id", []), ("data.aws_s3_bucket.b.id", ["plan/loses-data"])):
        source = f'locals {{ x = {target} }}\nresource "{type_}" "x" {{ bucket = local.x }}'
        plan = read(
            plan_document(entry, bucket, configuration=configured(type_, "bucket")), written=written(source).resource
        )
        assert [one.rule for one in plan.dangers] == lost


@pytest.mark.parametrize(
    ("source", "dangers"),
    [
        ("aws_sqs_queue.q.arn", []),
        ('"https://${aws_lb.l.dns_name}/x"', []),
        ('"https://evil.example/${aws_sqs_queue.q.id}"', [("new-destination", BLOCKS)]),
        ('"arn:aws:sqs:sa-east-1:999988887777:${aws_sqs_queue.q.name}"', [("new-destination", BLOCKS)]),
        ("data.aws_sqs_queue.q.arn", [("new-destination", DECISION)]),
        ('"${var.nobody_gives_it}/x"', [("new-destination", DECISION)]),
        ("module.m.arn", []),
        ("module.m.stranger", [("new-destination", BLOCKS)]),
        ("module.m.given", []),
    ],
)
def test_an_address_that_only_the_apply_shows_is_judged_by_what_is_around_the_reference(
    source: str, dangers: list[tuple[str, Severity]]
) -> None:
    module = """
        variable "queue" {}
        resource "aws_sqs_queue" "inner" {}
        output "arn" { value = aws_sqs_queue.inner.arn }
        output "stranger" { value = "https://evil.example/${aws_sqs_queue.inner.id}" }
        output "given" { value = var.queue }
    """
    call = 'module "m" {\n source = "./m"\n queue = aws_sqs_queue.q.arn\n}\n'
    block = f'{call}resource "aws_sns_topic_subscription" "x" {{\n endpoint = {source}\n}}'
    assert found("aws_sns_topic_subscription", "endpoint", block, m=module) == dangers


def test_nested_blocks_and_the_rounds_of_loops_are_followed() -> None:
    source = """
        resource "aws_scheduler_schedule" "x" {
          for_each = { a = "123456789012", b = "999988887777" }
          target { arn = "arn:aws:sqs:sa-east-1:${each.value}:${aws_sqs_queue.q.name}" }
        }
        resource "aws_lb" "x" {
          dynamic "access_logs" {
            for_each = ["one", "two"]
            content { bucket = "${access_logs.value}-${aws_s3_bucket.b.id}" }
          }
        }
        resource "aws_sqs_queue" "again" { name = local.a }
        locals {
          a = local.b
          b = local.a
        }
    """
    resource = written(source).resource
    arn = "arn:aws:sqs:sa-east-1:{}:${{aws_sqs_queue.q.name}}"
    schedules = [{"arn": arn.format(account)} for account in ("123456789012", "999988887777")]
    assert [one["target"] for one in resource("aws_scheduler_schedule.x")] == [[one] for one in schedules]
    assert [one["target"] for one in resource('aws_scheduler_schedule.x["b"]')] == [schedules[1:]]
    (balancer,) = resource("aws_lb.x")
    assert [one["bucket"] for one in balancer["access_logs"]] == [
        f"{n}-${{aws_s3_bucket.b.id}}" for n in ("one", "two")
    ]
    assert resource("aws_sqs_queue.again") == ({"name": UNSEEN},)
    assert resource("aws_lb.gone") == resource("module.x.aws_lb.y") == ()


def test_a_block_that_a_dynamic_one_makes_of_unknown_rounds_is_set() -> None:
    """The configuration in a plan leaves `dynamic` blocks out: the argument would seem to be the provider's."""
    rounds = "for_each = data.aws_ssm_parameter.p.value\n content { cidr_blocks = ingress.value }"
    source = f'resource "aws_security_group" "x" {{\n dynamic "ingress" {{\n {rounds}\n }}\n}}'
    entry = change("aws_security_group.x", "create", after={}, change={"after_unknown": {"ingress": True}})
    resource = {"address": "aws_security_group.x", "expressions": {}}
    document = plan_document(entry, configuration={"root_module": {"resources": [resource]}})
    assert not read(document).dangers
    (one,) = read(document, written=written(source).resource).dangers
    assert (one.rule, one.severity) == ("plan/open-to-everyone", DECISION)


ANYONE = {"principals": [{"type": "AWS", "identifiers": ["*"]}]}


@pytest.mark.parametrize(
    ("statement", "dangers"),
    [
        ({"actions": ["sqs:SendMessage"]}, []),
        ({"actions": ["*"]}, [("administrator", BLOCKS)]),
        ({"actions": ["sqs:SendMessage"]} | ANYONE, [("foreign-principal", BLOCKS)]),
        ({"actions": [None]}, [("policy-unknown", DECISION)]),
    ],
)
def test_a_document_that_is_put_together_of_others_is_judged_by_all_of_them(
    statement: dict[str, Any], dangers: list[tuple[str, Severity]]
) -> None:
    def document(name: str, after: dict[str, Any], **unknown: Any) -> dict[str, Any]:
        marks = {"actions": ["read"], "after": after, "after_unknown": {"json": True} | unknown}
        type_ = "aws_iam_policy_document"
        return {"address": f"data.{type_}.{name}", "mode": "data", "type": type_, "change": marks}

    source = """
        data "aws_iam_policy_document" "outer" {
          source_policy_documents = [data.aws_iam_policy_document.inner.json]
        }
        resource "aws_sqs_queue_policy" "x" {
          policy = data.aws_iam_policy_document.outer.json
        }
    """
    inner = document("inner", {"statement": [statement | {"resources": [None]}]})
    outer = document("outer", {}, source_policy_documents=[True])
    assert found("aws_sqs_queue_policy", "policy", source, inner, outer) == dangers
