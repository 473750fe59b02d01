"""The first screen: what it says of a merge, of equal environments, and of what is left to decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

import builders
from doubles.tree import MemoryTree
from ops_agent.model.change_set import FileChange
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.model.verification import Verification
from ops_agent.model.work_item import Criterion, Request
from ops_agent.pages.pull_request import build_proposal
from ops_agent.run.judge import merge_effects
from ops_agent.workflows.merging import MergeEffect
from pages.page_samples import answer, changes, ending, first_screen, material, section, target
from plan.plan_samples import change, plan_document, read

APPLIES = MergeEffect(
    workflow=".github/workflows/tf.yml", job="apply", event="push", root="infra", environment="prod", on_merge=True
)
UNREAD = MergeEffect(
    workflow=".github/workflows/ci.yml",
    job="roll",
    event="push",
    environment="prod",
    root="infra",
    on_merge=True,
    certain=False,
    unread="./scripts/deploy.sh prod",
)
WORKFLOW = FileChange(path=".github/workflows/lint.yml", before=None, after=b"on: push\njobs: {}\n")


def screen(**fields: object) -> str:
    return first_screen(build_proposal(material(**fields)).body)


def of(*entries: dict[str, object]) -> TerraformPlan:
    return read(plan_document(*entries))


def test_what_cannot_be_read_is_never_said_to_apply_nothing() -> None:
    text = screen(merges=(UNREAD,))
    assert "**Merging to `main` may apply Terraform: cannot tell.**" in text
    assert (
        "- **may apply** `infra` to prod, cannot tell what `./scripts/deploy.sh prod` does: job `roll` of "
        "`.github/workflows/ci.yml`" in text
    )
    both = screen(merges=(UNREAD, APPLIES))
    assert both.index("- `infra` to prod: job `apply`") < both.index("- **may apply**")
    assert "applies nothing" not in text + both


@pytest.mark.parametrize(
    ("merges", "says"),
    [
        ((), "**Merging to `main` applies nothing:** no workflow applies Terraform."),
        ((APPLIES,), "**Merging to `main` applies:**"),
    ],
)
def test_a_change_of_workflows_alone_says_what_a_merge_does(merges: tuple[MergeEffect, ...], says: str) -> None:
    assert says in screen(changes=changes(WORKFLOW), verification=Verification(engine=""), merges=merges)


def test_a_change_that_touches_neither_terraform_nor_workflows_says_it_only_where_a_merge_applies() -> None:
    notes = changes(FileChange(path="infra/notes.md", before=b"", after=b"x"))
    for merges, is_said in (((), False), ((APPLIES,), True)):
        text = screen(changes=notes, verification=Verification(engine=""), merges=merges)
        assert ("Merging to" in text) is is_said


def test_a_merge_runs_the_workflows_of_this_change() -> None:
    text = b"on: push\njobs: {go: {runs-on: ubuntu-24.04, steps: [{run: terraform -chdir=infra apply}]}}\n"
    added = FileChange(path=".github/workflows/new.yml", before=None, after=text)
    taken = FileChange(path=".github/workflows/old.yml", before=text, after=None)
    base = MemoryTree({".github/workflows/old.yml": text, "infra/main.tf": b'resource "aws_sqs_queue" "a" {}\n'})
    merges = merge_effects(Policy(), base, "main", changes(added, taken))
    shown = screen(changes=changes(added, taken), merges=merges)
    assert "- **new with this change:** `infra` to " in shown and "new.yml`" in shown and "old.yml" not in shown


def test_environments_are_the_same_only_when_the_same_resources_change() -> None:
    queue, admin = (change(address, "create", after={}) for address in ("aws_sqs_queue.a", "aws_iam_user.admin"))
    reads = change("data.aws_iam_policy_document.a", "read", after={}, mode="data")
    for prod, says in ((queue, "prod the same offline"), (admin, "prod +1 ~0 -0 offline")):
        pair = (target(plan=of(queue, reads)), target("prod", plan=of(prod), offline=True, unplanned="no role"))
        assert f"dev +1 ~0 -0 planned, {says};" in screen(verification=Verification(engine="x", targets=pair))


def test_the_first_line_names_the_criteria_that_are_not_proved() -> None:
    answers = (replace(answer("AC1", "how"), met="no"), replace(answer("AC2", "how"), evidence=()))
    made = replace(material().transcript, ending=ending(criteria=answers))
    assert "; 0 of 2 criteria proved, 1 claimed only (AC2), 1 open (AC1); " in screen(transcript=made).split("\n")[0]
    for text, shown in (("a queue exists", "a queue exists"), ("x y " * 40, "x y " * 19 + "x y…")):
        asked = builders.work_item(request=Request(description="d", criteria=(Criterion(id="AC1", text=text),)))
        assert f"**Not ready to merge**: AC1 is open (*{shown}*)." in screen(item=asked, transcript=made)


def test_the_verdict_names_the_decisions_and_an_offline_plan_is_not_a_plan_that_did_not_run() -> None:
    open_to_all = change(
        "aws_security_group.a",
        "create",
        after={"ingress": [{"from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}]},
    )
    made = target("prod", plan=of(open_to_all), offline=True, unplanned="no role")
    body = build_proposal(material(verification=Verification(engine="x", targets=(made,)))).body
    assert section(body, "Guard verdict").strip().startswith("**nothing blocks**; 1 decision needed (above): ")
    assert "not run" not in section(body, "Validation")


def test_assumptions_are_the_last_thing_on_the_first_screen_and_stay_when_it_is_verified_again() -> None:
    said = replace(material().transcript, ending=ending(assumptions=("Four days are enough", "dev first")))
    body = build_proposal(material(transcript=said)).body
    assert first_screen(body).endswith(
        "> *In the agent's words:*\n>\n> Assumptions:\n>\n> - Four days are enough\n> - dev first\n\n"
    )


@pytest.mark.parametrize(
    ("merges", "way"),
    [
        ((), "no workflow applies it: a person does"),
        ((APPLIES,), "a merge applies it (job `apply` of `.github/workflows/tf.yml`)"),
        ((replace(APPLIES, certain=False),), "a merge applies it if the conditions of the job hold (job `apply` of"),
        ((UNREAD,), "a merge may apply it (job `roll` of `.github/workflows/ci.yml`)"),
        (
            (replace(APPLIES, on_merge=False, event="workflow_dispatch"),),
            "no merge applies it, but another event does (job `apply` of `.github/workflows/tf.yml`, started by",
        ),
        ((replace(APPLIES, environment="dev"),), "no workflow applies it: a person does"),
    ],
)
def test_the_section_on_workflows_says_for_each_environment_what_applies_it(
    merges: tuple[MergeEffect, ...], way: str
) -> None:
    body = build_proposal(material(merges=merges)).body
    text = section(body, "CI/CD changes")
    assert text.lstrip().startswith("No workflows changed.\n\nHow this is applied:")
    (line,) = (line for line in text.split("\n") if line.startswith("- ") and "prod)" in line.partition(":")[0])
    assert way in line
