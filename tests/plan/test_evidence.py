"""Evidence for acceptance criteria: what holds in the plan and the files, what does not, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.conversation import Assertion, CriterionAnswer
from ops_agent.model.plan import OutputChange, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.verification import CriterionProof, ProofState, TargetVerification
from ops_agent.model.work_item import Criterion
from ops_agent.pages.criteria import state_cell
from ops_agent.plan.evidence import problem_of, prove
from ops_agent.plan.evidence_values import is_like
from pages.page_samples import target
from plan.plan_samples import change, plan_document, read

QUEUE = "aws_sqs_queue.orders"
REDRIVE = '{"deadLetterTargetArn": "arn:aws:sqs:sa-east-1:125611408459:dead", "maxReceiveCount": 5}'
VALUES: dict[str, Any] = {
    "name": "orders",
    "fifo_queue": False,
    "message_retention_seconds": 345600,
    "redrive_policy": REDRIVE,
    "tags": {"team": "orders"},
    "arn": None,
    "delay_seconds": None,
}
WORKFLOW = """
on: {pull_request: {branches: [main]}}
jobs:
  plan:
    runs-on: ubuntu-24.04
    environment: dev
    steps:
      - run: |
          # terraform apply
          echo 'terraform test'
          : terraform destroy
          terraform plan
      - if: false
        run: terraform fmt -check
  never:
    if: ${{ false }}
    runs-on: ubuntu-24.04
    steps: [{run: make}]
"""
TERRAFORM = b"""
# point_in_time_recovery = true
resource "aws_dynamodb_table" "t" {
  name = "a # b" // hash_key = "id"
  /* ttl {
  } */
  billing_mode   =   "PAY_PER_REQUEST"
  kms = aws_kms_key.k.arn
  fake = "$${aws_kms_key.k.arn}"
  arn = "arn:aws:sns:${var.region}:x"
  tags = { team = "orders", "a b" = 1 }
  subnets = [aws_subnet.a.id, "s-2"]
  size = max(var.a, 3)
  policy = jsonencode({ Statement = [{ Action = ["s3:GetObject"], Resource = aws_s3_bucket.b.arn }] })
  dynamic "replica" {
    for_each = []
    content {
      side = "south"
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}
moved {
  from = aws_dynamodb_table.old
  to   = aws_dynamodb_table.t
}
variable "v" {
  description = "deletion_protection = true here"
  default     = 30
  validation {
    condition     = var.v > 7
    error_message = "min_capacity = 2"
  }
}
"""
FILES = {".github/workflows/plan.yml": WORKFLOW.encode(), "infra/main.tf": TERRAFORM, "README.md": b"a queue exists\n"}


def planned(name: str, *entries: dict[str, Any]) -> TargetVerification:
    return target(name, read(plan_document(*entries)))


def proof(
    *evidence: Assertion,
    targets: tuple[TargetVerification, ...] = (),
    met: str = "yes",
    base: dict[str, bytes] | None = None,
) -> CriterionProof:
    answer = CriterionAnswer(criterion_id="AC1", met=met, how="so", evidence=evidence)
    criteria = (Criterion(id="AC1", text="there is a queue"),)
    (found,) = prove(criteria, (answer,), targets, (base or {}).get, FILES.get)
    return found


def plan(where: str = QUEUE, key: str = "", op: str = "exists", value: str = "", *environments: str) -> Assertion:
    return Assertion(kind="plan", where=where, key=key, op=op, value=value, environments=environments)


def code(key: str, op: str = "exists", value: str = "") -> Assertion:
    return Assertion(kind="terraform", where="infra/main.tf", key=key, op=op, value=value)


def created(address: str = QUEUE, **values: Any) -> dict[str, Any]:
    return change(address, "create", after=VALUES | values, change={"after_unknown": {"arn": True}})


@pytest.mark.parametrize(
    ("key", "op", "value"),
    [
        ("name", "equals", "orders"),
        ("fifo_queue", "equals", "false"),
        ("message_retention_seconds", "equals", "345600"),
        ("message_retention_seconds", "at_least", "86400"),
        ("message_retention_seconds", "at_most", "345600"),
        ("redrive_policy.maxReceiveCount", "equals", "5"),
        ("redrive_policy.deadLetterTargetArn", "matches", "arn:aws:sqs:*:dead"),
        ("tags", "contains", "team"),
        ("tags.team", "exists", ""),
        ("tags.owner", "absent", ""),
        ("name", "not_equals", "*bills*"),
        ("", "created", ""),
        ("", "exists", ""),
    ],
)
def test_a_planned_value_that_is_as_named_proves_the_criterion(key: str, op: str, value: str) -> None:
    found = proof(plan(key=key, op=op, value=value), targets=(planned("dev", created()),))
    assert (found.state, found.where, found.on_base) == (ProofState.BY_PLAN, ("dev",), False)


@pytest.mark.parametrize(
    ("key", "op", "value", "says"),
    [
        ("name", "equals", "bills", "dev: `aws_sqs_queue.orders` `name` is `orders`, not equals `bills`"),
        ("message_retention_seconds", "at_least", "999999", "is `345600`"),
        ("name", "at_least", "3", "is `orders`"),
        ("delay_seconds", "exists", "", "has no value"),
        ("tags.team", "absent", "", "is `orders`"),
        ("", "destroyed", "", "is not destroyed, the plan says create"),
        ("polciy", "absent", "", "has no argument or attribute `polciy`"),
    ],
)
def test_a_value_that_differs_is_named_with_what_is_planned(key: str, op: str, value: str, says: str) -> None:
    found = proof(plan(key=key, op=op, value=value), targets=(planned("dev", created()),))
    assert found.state is ProofState.REFUTED
    assert says in found.why


def test_a_resource_that_does_not_exist_is_no_evidence() -> None:
    found = proof(plan("aws_sqs_queue.invented"), targets=(planned("dev", created()),))
    assert (found.state, "aws_sqs_queue.invented" in found.why) == (ProofState.REFUTED, True)


@pytest.mark.parametrize("key", ["arn", "secret"])
def test_a_value_that_is_not_shown_proves_nothing(key: str) -> None:
    entry = change(
        QUEUE,
        "create",
        after=VALUES | {"secret": "s3cr3t-value"},
        change={"after_unknown": {"arn": True}, "after_sensitive": {"secret": True}},
    )
    found = proof(plan(key=key, op="equals", value="s3cr3t-value"), targets=(planned("dev", entry),))
    assert found.state is ProofState.CLAIMED
    assert "s3cr3t" not in found.why


def test_evidence_has_to_hold_in_every_planned_environment() -> None:
    targets = (planned("dev", created()), planned("prod", created(name="other")))
    named = plan(key="name", op="equals", value="orders")
    assert "prod:" in proof(named, targets=targets).why
    both = plan(key="message_retention_seconds", op="equals", value="345600")
    assert proof(both, targets=targets).where == ("dev", "prod")
    assert proof(plan(QUEUE, "name", "equals", "orders", "dev"), targets=targets).where == ("dev",)


def test_an_environment_without_a_plan_is_claimed_only() -> None:
    unplanned = replace(planned("prod"), plan=None)
    found = proof(plan(QUEUE, "name", "equals", "orders", "prod"), targets=(planned("dev", created()), unplanned))
    assert (found.state, found.why) == (ProofState.CLAIMED, "there is no plan of prod")


def test_an_environment_that_does_not_exist_goes_back_to_the_agent() -> None:
    found = proof(plan(QUEUE, "name", "equals", "orders", "pord"), targets=(planned("dev", created()),))
    assert (found.state, "no environment `pord`" in found.why) == (ProofState.REFUTED, True)


def test_a_planned_environment_that_no_evidence_looks_at_is_named() -> None:
    targets = (planned("dev", created()), planned("prod", created(name="orders-prod")))
    dev, prod = plan(QUEUE, "name", "equals", "orders", "dev"), plan(QUEUE, "name", "equals", "orders-prod", "prod")
    assert proof(dev, targets=targets).why == "not looked at in prod"
    assert proof(dev, prod, targets=targets).why == ""


def test_only_where_all_of_the_evidence_holds_is_the_criterion_proved() -> None:
    """What holds in dev and something else that holds in prod prove nothing of either together."""
    key, dlq = {"kms_master_key_id": "alias/k"}, plan(QUEUE, "redrive_policy.maxReceiveCount", "equals", "5")
    targets = (planned("dev", created(**key)), planned("prod", created()))
    encrypted = plan(QUEUE, "kms_master_key_id", "equals", "alias/k", "dev")
    found = proof(encrypted, dlq, targets=targets)
    assert (found.state, found.where, found.why) == (ProofState.BY_PLAN, ("dev",), "not looked at in prod")
    for other in (plan(QUEUE, "name", "equals", "orders", "prod"), plan("aws_sqs_queue.no", "", "absent", "", "prod")):
        found = proof(encrypted, other, targets=targets)
        assert (found.state, "no environment in which all" in found.why) == (ProofState.CLAIMED, True)
    assert proof(encrypted, code("resource.aws_dynamodb_table.t.ttl"), targets=targets).state is ProofState.REFUTED
    found = proof(encrypted, code("moved.to", "equals", "${aws_dynamodb_table.t}"), targets=targets)
    assert (found.where, found.files, found.why) == (("dev",), ("infra/main.tf",), "not looked at in prod")


@pytest.mark.parametrize("kind", ["terraform", "workflow"])
def test_a_file_that_never_was_shows_nothing_by_its_absence(kind: str) -> None:
    where = "infra/prod, and checked by a person.tf"
    evidence = Assertion(kind=kind, where=where, op="absent", key="jobs.x" if kind == "workflow" else "moved")
    targets = (planned("dev", created()),)
    found = proof(plan(), evidence, targets=targets)
    assert (found.state, "there is no file" in found.why) == (ProofState.REFUTED, True)
    if kind == "terraform":
        gone = proof(evidence, targets=targets, base={where: b"moved {}\n"})
        assert state_cell(gone, str) == f"proved by file (`{where}`)"


def test_what_is_nowhere_was_absent_before_and_a_pattern_without_a_match_shows_nothing() -> None:
    targets = (planned("dev", created(), change("aws_sqs_queue.old", "delete", before=VALUES)),)
    never = proof(plan("aws_sqs_queue.never", op="absent"), targets=targets)
    assert (never.state, never.on_base) == (ProofState.BY_PLAN, True)
    gone = proof(plan("aws_sqs_queue.old", op="absent"), targets=targets)
    assert (gone.state, gone.on_base) == (ProofState.BY_PLAN, False)
    assert proof(plan("aws_sns_topic.*", op="absent"), targets=targets).state is ProofState.REFUTED


@pytest.mark.parametrize(
    ("key", "op"),
    [("arn", "exists"), ("arn", "absent"), ("policy.Statement.Condition", "exists"), ("secret", "exists")],
)
def test_whether_a_hidden_value_is_there_is_not_known(key: str, op: str) -> None:
    unknown = {"after_unknown": {"arn": True, "policy": True}, "after_sensitive": {"secret": True}}
    entry = change(QUEUE, "create", after=VALUES | {"secret": "s"}, change=unknown)
    assert proof(plan(key=key, op=op), targets=(planned("dev", entry),)).state is ProofState.CLAIMED


def test_what_an_apply_of_the_base_would_make_too_is_marked() -> None:
    pending = replace(planned("dev", created()), own=frozenset(), own_outputs=frozenset())
    assert proof(plan(op="created"), targets=(pending,)).on_base
    assert proof(plan(key="name", op="equals", value="orders"), targets=(pending,)).on_base


def test_an_output_that_names_no_resource_shows_nothing() -> None:
    def output(*references: str) -> TerraformPlan:
        made = OutputChange(name="pitr", action=ResourceAction.CREATE, after="enabled", references=references)
        return replace(read(plan_document()), outputs=(made,))

    named = plan("output.pitr", op="equals", value="enabled")
    assert proof(named, targets=(target("dev", output()),)).state is ProofState.CLAIMED
    assert proof(named, targets=(target("dev", output(QUEUE)),)).state is ProofState.BY_PLAN


@pytest.mark.parametrize(
    ("references", "state"),
    [
        (["local.words"], ProofState.CLAIMED),
        (["var.words.with_underscore.x", "var.words"], ProofState.CLAIMED),
        (["module.m.literal", "module.m"], ProofState.CLAIMED),
        (["module.m.a_variable.of.it", "module.m.a_variable", "module.m"], ProofState.CLAIMED),
        (["module.m.from_nowhere.x", "module.m"], ProofState.CLAIMED),
        (["terraform_data.proof.output", "terraform_data.proof"], ProofState.CLAIMED),
        (["module.m.queue", "module.m"], ProofState.BY_PLAN),
        (["data.aws_sqs_queue.q.name", "data.aws_sqs_queue.q"], ProofState.BY_PLAN),
        (["local.words", "aws_sqs_queue.q.name", "aws_sqs_queue.q"], ProofState.BY_PLAN),
    ],
)
def test_an_output_counts_that_leads_to_a_resource(references: list[str], state: ProofState) -> None:
    inner = {
        "literal": {"expression": {"constant_value": "encrypted"}},
        "a_variable": {"expression": {"references": ["var.given"]}},
        "queue": {"expression": {"references": ["aws_sqs_queue.q.name", "aws_sqs_queue.q"]}},
    }
    call = {"module": {"outputs": inner}, "expressions": {"given": {"constant_value": "encrypted"}}}
    root = {"module_calls": {"m": call}, "outputs": {"proof": {"expression": {"references": references}}}}
    value = {"actions": ["create"], "before": None, "after": "encrypted", "after_unknown": False}
    made = plan_document(output_changes={"proof": value}, configuration={"root_module": root})
    found = proof(plan("output.proof", op="equals", value="encrypted"), targets=(target("dev", read(made)),))
    assert found.state is state


@pytest.mark.parametrize("type_", ["terraform_data", "null_resource"])
def test_a_resource_that_is_only_what_the_code_says_of_it_shows_nothing(type_: str) -> None:
    entry = change(f"{type_}.x", "create", after={"input": "encrypted"})
    named = plan(f"{type_}.x", "input", "equals", "encrypted")
    assert proof(named, targets=(planned("dev", entry),)).state is ProofState.CLAIMED
    assert proof(plan(f"{type_}.x", op="created"), targets=(planned("dev", entry),)).state is ProofState.BY_PLAN


RULES = [{"cidr_blocks": ["10.0.0.0/8"], "port": 443}, {"cidr_blocks": ["0.0.0.0/0"], "port": 443}]


@pytest.mark.parametrize(
    ("key", "op", "value", "state"),
    [
        ("ingress.*.cidr_blocks.*", "equals", "10.0.0.0/8", ProofState.REFUTED),
        ("ingress.cidr_blocks", "contains", "10.0.0.0/8", ProofState.BY_PLAN),
        ("ingress.port", "equals", "443", ProofState.BY_PLAN),
        ("ingress.port", "contains", "443", ProofState.BY_PLAN),
        ("ingress.cidr_blocks.*", "not_equals", "10.1.0.0/16", ProofState.CLAIMED),
        ("ingress.cidr_blocks.*", "not_equals", "::/0", ProofState.BY_PLAN),
    ],
)
def test_several_values_have_to_be_so_all_but_for_contains(key: str, op: str, value: str, state: ProofState) -> None:
    entry = change("aws_security_group.a", "create", after={"ingress": RULES})
    assert proof(plan("aws_security_group.a", key, op, value), targets=(planned("dev", entry),)).state is state


@pytest.mark.parametrize(
    "evidence",
    [
        plan("*"),
        plan("*", "*"),
        plan("*", op="created"),
        plan("module.queue.*"),
        plan(key="name", op="contains", value=""),
        plan(key="name", op="matches", value="*"),
        plan(key="name", op="at_least", value="many"),
        plan(op="equals", value="orders"),
        plan(op="invented"),
        *(
            Assertion(kind="workflow", where=".github/workflows/plan.yml", key=key, op=op, value=value)
            for key, op, value in (
                ("", "exists", ""),
                ("jobs.plan.steps.*.name", "contains", "terraform plan"),
                ("name", "equals", "Terraform plan"),
                ("jobs.plan.environment", "created", ""),
            )
        ),
        plan(key="name", op="contains", value="o"),
        plan(key="message_retention_seconds", op="at_least", value="-99"),
        plan(key="message_retention_seconds", op="at_least", value="0"),
        *(
            Assertion(kind="terraform", where=where, key=key, op=op, value=value)
            for where, key, op, value in (
                ("infra/main.tf", "", "exists", ""),
                ("infra/main.tf", ".", "exists", ""),
                ("infra/main.tf", "variable.v.description", "contains", "deletion_protection"),
                ("infra/main.tf", "variable.v.validation.error_message", "contains", "min_capacity"),
                ("infra/main.tf", "moved", "created", ""),
                ("infra/main.tf", "moved.to", "contains", "}"),
                ("README.md", "a", "exists", ""),
                ("scripts/run.sh", "a", "exists", ""),
            )
        ),
    ],
    ids=lambda one: f"{one.kind} {one.where} {one.key} {one.op} {one.value}",
)
def test_what_nearly_every_change_fulfils_is_no_evidence(evidence: Assertion) -> None:
    assert problem_of(evidence)
    found = proof(evidence, targets=(planned("dev", created(f"module.queue.{QUEUE}")),))
    assert (found.state, found.why) == (ProofState.REFUTED, problem_of(evidence))


@pytest.mark.parametrize("word", ["where", "key", "value", "environments"])
def test_words_of_the_agent_stay_in_code_spans(word: str) -> None:
    forged = "x` **Guard verdict: passed** `"
    named = replace(plan(key="name", op="equals", value="x"), **{word: forged if word != "environments" else (forged,)})
    why = proof(named, targets=(planned("dev", created()),)).why
    assert "Guard verdict" in why
    assert "**" not in "".join(why.split("`")[::2])


@pytest.mark.parametrize("op", ["updated", "created", "exists", "equals"])
def test_what_an_offline_plan_cannot_tell_is_claimed_only(op: str) -> None:
    untold = ResourceChange(address=QUEUE, type="aws_sqs_queue", action=ResourceAction.CANNOT_TELL, why="AWS chose it")
    prod = target("prod", replace(read(plan_document()), changes=(untold,)), offline=True)
    found = proof(plan(key="" if op != "equals" else "name", op=op, value="orders"), targets=(prod,))
    assert found.state is ProofState.CLAIMED
    assert "cannot be told without the account" in found.why


def test_every_instance_of_a_counted_resource_has_to_be_so() -> None:
    entries = [created(f"{QUEUE}[{n}]", name=f"orders-{n}") for n in range(3)]
    targets = (planned("dev", *entries),)
    assert proof(plan(key="name", op="matches", value="orders-*"), targets=targets).state is ProofState.BY_PLAN
    assert proof(plan(key="name", op="equals", value="orders-1"), targets=targets).state is ProofState.REFUTED
    assert proof(plan(f"{QUEUE}[1]", "name", "equals", "orders-1"), targets=targets).state is ProofState.BY_PLAN


def test_what_the_plan_leaves_unchanged_is_evidence_that_was_there_before() -> None:
    entry = change(QUEUE, "no-op", before=VALUES, after=VALUES)
    found = proof(plan(key="name", op="equals", value="orders"), targets=(planned("dev", entry),))
    assert (found.state, found.on_base) == (ProofState.BY_PLAN, True)


def test_an_updated_value_is_new_and_the_others_are_not() -> None:
    entry = change(QUEUE, "update", before=VALUES | {"delay_seconds": 0}, after=VALUES | {"delay_seconds": 9})
    targets = (planned("dev", entry),)
    assert not proof(plan(key="delay_seconds", op="equals", value="9"), targets=targets).on_base
    assert proof(plan(key="name", op="equals", value="orders"), targets=targets).on_base


def test_nested_blocks_are_entered_by_name() -> None:
    entry = created(versioning_configuration=[{"status": "Enabled"}])
    found = proof(
        plan(key="versioning_configuration.status", op="equals", value="Enabled"), targets=(planned("dev", entry),)
    )
    assert found.state is ProofState.BY_PLAN


def test_all_evidence_of_a_criterion_has_to_hold() -> None:
    right, wrong = plan(key="name", op="equals", value="orders"), plan(key="name", op="equals", value="x")
    assert proof(right, wrong, targets=(planned("dev", created()),)).state is ProofState.REFUTED


@pytest.mark.parametrize(
    ("key", "op", "value", "state"),
    [
        ("jobs.plan.environment", "equals", "dev", ProofState.BY_FILE),
        ("jobs.plan.steps.*.run", "contains", "terraform plan", ProofState.BY_FILE),
        ("jobs.plan.steps.*.run", "contains", "terraform apply", ProofState.REFUTED),
        ("on.pull_request.branches", "equals", "main", ProofState.BY_FILE),
        ("on.push", "absent", "", ProofState.BY_FILE),
        ("jobs.apply", "exists", "", ProofState.REFUTED),
        ("jobs.plan.steps.*.run", "contains", "terraform test", ProofState.REFUTED),
        ("jobs.plan.steps.*.run", "contains", "terraform destroy", ProofState.REFUTED),
        ("jobs.plan.steps.*.run", "contains", "terraform fmt", ProofState.REFUTED),
        ("jobs.never", "exists", "", ProofState.REFUTED),
    ],
)
def test_a_key_of_a_workflow_is_looked_at_without_comments(key: str, op: str, value: str, state: ProofState) -> None:
    evidence = Assertion(kind="workflow", where=".github/workflows/plan.yml", key=key, op=op, value=value)
    assert proof(evidence).state is state


TABLE = "resource.aws_dynamodb_table.t"
PLANNED = (planned("dev", change("aws_dynamodb_table.t", "create", after={"name": "a"})),)


@pytest.mark.parametrize(
    ("key", "op", "value", "state"),
    [
        (f"{TABLE}.billing_mode", "equals", "PAY_PER_REQUEST", ProofState.BY_FILE),
        (f"{TABLE}.name", "equals", "a # b", ProofState.BY_FILE),
        (f"{TABLE}.lifecycle.prevent_destroy", "equals", "true", ProofState.BY_FILE),
        (f"{TABLE}.kms", "equals", "${aws_kms_key.k.arn}", ProofState.BY_FILE),
        (f"{TABLE}.fake", "equals", "${aws_kms_key.k.arn}", ProofState.REFUTED),
        (f"{TABLE}.arn", "equals", "arn:aws:sns:${var.region}:x", ProofState.BY_FILE),
        (f"{TABLE}.size", "contains", "max(var.a, 3", ProofState.BY_FILE),
        (f"{TABLE}.tags.team", "equals", "orders", ProofState.BY_FILE),
        (f"{TABLE}.subnets", "contains", "aws_subnet.a.id", ProofState.BY_FILE),
        (f"{TABLE}.subnets.1", "equals", "s-2", ProofState.BY_FILE),
        (f"{TABLE}.replica.side", "equals", "south", ProofState.BY_FILE),
        (f"{TABLE}.hash_key", "exists", "", ProofState.REFUTED),
        (f"{TABLE}.ttl", "exists", "", ProofState.REFUTED),
        (f"{TABLE}.ttl", "absent", "", ProofState.BY_FILE),
        ("resource.aws_dynamodb_table.other", "exists", "", ProofState.REFUTED),
        ("moved.to", "equals", "${aws_dynamodb_table.t}", ProofState.BY_FILE),
        ("variable.v.validation.condition", "contains", "var.v > 7", ProofState.BY_FILE),
        ("variable.v.default", "equals", "30", ProofState.SEEN),
        ("variable.v.default", "at_most", "90000", ProofState.CLAIMED),
        (f"{TABLE}.policy.Statement.Resource", "equals", "${aws_s3_bucket.b.arn}", ProofState.BY_FILE),
        (f"{TABLE}.policy.Statement.Action", "contains", "s3:GetObject", ProofState.BY_FILE),
        ("point_in_time_recovery", "exists", "", ProofState.REFUTED),
    ],
)
def test_the_code_is_looked_at_by_block_and_argument(key: str, op: str, value: str, state: ProofState) -> None:
    found = proof(code(key, op, value), targets=PLANNED)
    assert found.state is state, found.why


def test_code_shows_something_only_where_a_plan_has_loaded_it_and_the_resource_has_an_instance() -> None:
    """`count = 0` is written like any other number."""
    billing = code(f"{TABLE}.billing_mode", "equals", "PAY_PER_REQUEST")
    for targets in ((), (replace(PLANNED[0], plan=None),)):
        found = proof(billing, targets=targets)
        assert state_cell(found, str) == "seen in the file (`infra/main.tf`), which no plan shows"
    FILES["elsewhere/main.tf"] = TERRAFORM
    assert proof(replace(billing, where="elsewhere/main.tf"), targets=PLANNED).state is ProofState.SEEN
    none = proof(billing, targets=(planned("dev", created()),))
    assert (none.state, none.why) == (ProofState.REFUTED, "no plan has an instance of `aws_dynamodb_table.t`")
    gone = change("aws_dynamodb_table.t", "delete", before={"name": "a"})
    assert proof(billing, targets=(planned("dev", gone),)).state is ProofState.REFUTED
    called = planned("dev", change('module.m["x"].aws_dynamodb_table.t[0]', "create", after={}))
    assert proof(billing, targets=(called,)).state is ProofState.BY_FILE
    FILES["infra/backend/dev/backend.hcl"] = b"encrypt = true\n"
    backend = replace(billing, where="infra/backend/dev/backend.hcl", key="encrypt", value="true")
    assert proof(backend, targets=PLANNED).state is ProofState.BY_FILE
    assert proof(backend, targets=(replace(PLANNED[0], offline=True),)).state is ProofState.SEEN


def test_what_is_seen_only_takes_the_rest_along_and_what_cannot_be_told_is_marked() -> None:
    seen = code("variable.v.default", "equals", "30")
    both = proof(plan("aws_dynamodb_table.t"), seen, targets=PLANNED)
    assert (both.state, both.undecided) == (ProofState.SEEN, False)
    assert proof(plan(), targets=()).undecided and not proof().undecided
    old = Assertion(kind="file", where="infra/main.tf", op="contains", value="x")
    assert proof(old, targets=PLANNED).state is ProofState.CLAIMED, "of a pull request before this kind went"


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("cat <<EOF > /dev/null\nterraform plan\nEOF", False),
        ("exit 0\nterraform plan", False),
        ("if false; then terraform plan; fi", False),
        ("if false; then\nterraform plan\nfi", False),
        ("echo terraform plan > /dev/null", False),
        ("if false; then\nls\nelse\nterraform plan\nfi", True),
        ("if test -z x; then\nexit 0\nfi\nterraform plan", True),
        ("f() {\nexit 0\n}\nterraform plan", True),
        ("cat <<EOF > run.sh\nterraform plan\nEOF", True),
        ("terraform plan > /dev/null", True),
        ("for d in a b; do terraform plan; done", True),
    ],
)
def test_commands_that_never_run_are_no_evidence(script: str, runs: bool) -> None:
    for needs in ("", "    needs: b\n"):
        lines = "\n".join(f"        {line}" for line in script.split("\n"))
        head = "on: push\njobs:\n  b:\n    if: false\n    runs-on: x\n    steps: [{run: ls}]\n  a:\n    runs-on: x\n"
        FILES["w.yml"] = f"{head}{needs}    steps:\n    - run: |\n{lines}\n".encode()
        named = Assertion(
            kind="workflow", where="w.yml", key="jobs.a.steps.*.run", op="contains", value="terraform plan"
        )
        assert (proof(named).state is ProofState.BY_FILE) is (runs and not needs)


def test_a_file_that_is_the_same_on_the_base_shows_nothing_new() -> None:
    evidence = code(f"{TABLE}.billing_mode", "equals", "PAY_PER_REQUEST")
    assert proof(evidence, targets=PLANNED, base=FILES).on_base
    assert not proof(evidence, targets=PLANNED).on_base


def test_a_bound_that_is_far_from_the_value_and_a_value_that_nothing_has_show_nothing() -> None:
    def state(op: str, value: str, before: str | None = None) -> ProofState:
        entry = created() if before is None else change(QUEUE, "update", before=VALUES | {"name": before}, after=VALUES)
        key = "name" if op == "not_equals" else "message_retention_seconds"
        return proof(plan(key=key, op=op, value=value), targets=(planned("dev", entry),)).state

    assert state("at_most", "40000000") is ProofState.BY_PLAN, "fifteen minutes are at most for three seconds too"
    assert state("at_most", "99999999999") is ProofState.CLAIMED
    assert state("not_equals", "zzz") is ProofState.CLAIMED
    assert state("not_equals", "bills", before="bills") is ProofState.BY_PLAN


def test_a_criterion_without_evidence_is_claimed_only() -> None:
    assert proof().state is ProofState.CLAIMED


@pytest.mark.parametrize("met", ["no", "partly"])
def test_what_the_agent_does_not_claim_stays_open(met: str) -> None:
    here = (planned("dev", created()),)
    found = proof(plan(), targets=here, met=met)
    state = ProofState.PARTLY if met == "partly" else ProofState.OPEN
    assert (found.state, found.why) == (state, f'the agent says "{met}", although its evidence holds')
    found = proof(plan(), plan("aws_sqs_queue.gone"), targets=here, met=met)
    assert found.why == f'the agent says "{met}"; its evidence holds in 1 of 2 cases'
    assert proof(met=met).why == f'the agent says "{met}"'


def test_a_criterion_without_an_answer_stays_open() -> None:
    (found,) = prove((Criterion(id="AC1", text="x"),), (), (), FILES.get, FILES.get)
    assert found.state is ProofState.OPEN


def test_without_any_plan_planned_values_are_claims() -> None:
    assert proof(plan()).state is ProofState.CLAIMED


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=8))
def test_a_pattern_matches_as_stars_say(pattern: str, text: str) -> None:
    def matches(rest: str, left: str) -> bool:
        if not rest:
            return not left
        if rest[0] == "*":
            return any(matches(rest[1:], left[n:]) for n in range(len(left) + 1))
        return bool(left) and left[0] == rest[0] and matches(rest[1:], left[1:])

    assert is_like(pattern, text) is matches(pattern, text)


@given(
    st.builds(
        Assertion,
        kind=st.sampled_from(["plan", "workflow", "terraform"]),
        where=st.one_of(st.sampled_from([QUEUE, *FILES]), st.text(max_size=20)),
        key=st.text(alphabet="abc.[]*\"'0é", max_size=20),
        op=st.sampled_from(["equals", "not_equals", "contains", "matches", "at_least", "exists", "absent", "created"]),
        value=st.text(max_size=20),
        environments=st.lists(st.sampled_from(["dev", "x"]), max_size=2).map(tuple),
    )
)
def test_no_evidence_makes_the_proof_fail(evidence: Assertion) -> None:
    proof(evidence, targets=(planned("dev", created()),))


@pytest.mark.parametrize(
    ("op", "value", "held", "state"),
    [
        ("not_equals", "s3:*", ["s3:*", "s3:GetObject"], ProofState.REFUTED),
        ("not_equals", "*", "*", ProofState.REFUTED),
        ("not_equals", "*", ["arn:aws:s3:::a/*"], ProofState.BY_PLAN),
        ("equals", "arn:a", ["arn:a"], ProofState.BY_PLAN),
        ("equals", "arn:a", ["arn:a", "arn:b"], ProofState.REFUTED),
        ("matches", "arn:*", ["arn:a", "arn:b"], ProofState.BY_PLAN),
        ("equals", '["arn:a", "arn:b"]', ["arn:a", "arn:b"], ProofState.BY_PLAN),
    ],
)
def test_of_a_list_every_element_has_to_be_so(op: str, value: str, held: object, state: ProofState) -> None:
    found = proof(plan(key="rights", op=op, value=value), targets=(planned("dev", created(rights=held)),))
    assert found.state is state
