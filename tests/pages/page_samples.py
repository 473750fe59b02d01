"""Targets and the material of a pull request, for tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt

import builders
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.conversation import Assertion, CriterionAnswer, Ending, Transcript, Usage
from ops_agent.model.finding import Finding, Place, Verdict
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, Evidence, TargetVerification, Verification
from ops_agent.model.work_item import Claim
from ops_agent.pages.pull_request import Material
from ops_agent.plan.evidence import prove
from plan.plan_samples import captured

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})
SIX = [
    "Description",
    "Infrastructure changes",
    "CI/CD changes",
    "Observability & logging",
    "Validation",
    "Linked issue",
]
"""The sections that come first, in their order."""
PROSE = ("title", "description", "infrastructure", "ci_cd", "observability", "validation", "not_done")
"""What the llm writes freely when it finishes."""


SOURCE = b'terraform {\n  required_version = ">= 1.5"\n}\n'


def target(name: str = "dev", plan: TerraformPlan | None = None, **fields: Any) -> TargetVerification:
    environment = Environment(
        name=name,
        account=None,
        backend_file=f"infra/backend/{name}/backend.hcl",
        var_files=(f"infra/environments/{name}/terraform.tfvars",),
    )
    root = TerraformRoot(path="infra", environments=(environment,), has_backend=True)
    where = TerraformTarget(root=root, environment=environment)
    checks = tuple(
        CheckResult(name=check, subject=str(where), status=CheckStatus.PASSED) for check in ("init", "validate", "plan")
    )
    found = Evidence(
        base_commit=builders.BASE,
        change_set="c" * 64,
        engine="Terraform 1.15.5 (embedded)",
        account="125611408459",
        plan_json="d" * 64,
    )
    built = TargetVerification(target=where, checks=checks, plan=plan, evidence=found if plan else None)
    return replace(built, **fields)


def answer(id_: str, how: str) -> CriterionAnswer:
    """A criterion that is met, with an argument in the changed file as evidence."""
    line = Assertion(
        kind="terraform", where="infra/main.tf", key="terraform.required_version", op="contains", value="1.5"
    )
    return CriterionAnswer(criterion_id=id_, met="yes", how=how, evidence=(line,))


def ending(**fields: Any) -> Ending:
    built = Ending(
        kind="finished",
        title="Queue with a dead-letter queue",
        description="Orders wait in a queue, failed ones in a second queue.",
        infrastructure="The retention is 14 days.",
        ci_cd="No change was needed.",
        observability="An alarm watches the dead-letter queue.",
        validation="Send a message:\n\n```\naws sqs send-message --queue-url $URL --message-body x\n```",
        criteria=(
            answer("AC1", "`aws_sqs_queue.orders` in dev and prod"),
            answer("AC2", "the redrive policy of `aws_sqs_queue.orders`"),
        ),
    )
    return replace(built, **fields)


def changes(*files: FileChange) -> ChangeSet:
    main = FileChange(path="infra/main.tf", before=b"", after=b"resource {}\n")
    return ChangeSet(base_commit=builders.BASE, changes=files or (main,))


def material(**fields: Any) -> Material:
    built = Material(
        item=builders.work_item(),
        claim=Claim(branch="ops-agent/issue-12", base_commit=builders.BASE, head_commit=builders.BASE, comment_id=1),
        changes=changes(),
        verdict=Verdict(findings=(), rules_run=("path/a", "terraform/b", "plan/c")),
        verification=Verification(
            engine="Terraform 1.15.5 (embedded)",
            targets=(target(plan=captured("create")), target("prod", unplanned="no role is given for prod")),
        ),
        transcript=Transcript(
            turns=(),
            usage=Usage(input_tokens=1200, output_tokens=300, cost_usd=0.12),
            turn_count=7,
            ending=ending(),
            llm_id="claude-opus-5-5",
        ),
        redact=str,
        run=builders.run(),
    )
    made = replace(built, **fields)
    answers = made.ending.criteria if made.ending else ()
    proofs = prove(
        made.item.request.criteria, answers, made.verification.targets, {}.get, {"infra/main.tf": SOURCE}.get
    )
    return replace(made, verification=replace(made.verification, criteria=proofs))


def headings(body: str) -> list[str]:
    tokens = MARKDOWN.parse(body)
    return [after.content for before, after in pairwise(tokens) if before.type == "heading_open" and before.tag == "h2"]


def first_screen(body: str) -> str:
    """What is above the six sections."""
    return body.partition("## Description")[0]


def section(body: str, title: str) -> str:
    return body.split(f"\n## {title}\n" if not body.startswith(f"## {title}") else f"## {title}\n", 1)[1].split(
        "\n## ", 1
    )[0]


def failing(name: str, what: str) -> CheckResult:
    found = Finding(rule=f"check/{name}", title=name, place=Place(path="infra/main.tf", line=3), what=what, remedy="")
    return CheckResult(name=name, subject="infra (dev)", status=CheckStatus.FAILED, findings=(found,))
