"""The pull request's text: six sections, facts before words, status by code, one closing keyword, never too long, never
a secret.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import builders
from doubles.tree import MemoryTree
from golden import assert_golden
from ops_agent.config.settings import Settings
from ops_agent.guard.data import words
from ops_agent.guard.rules import TABLE
from ops_agent.model.change_set import ChangeSet, FileChange, Proposal
from ops_agent.model.conversation import FollowUp
from ops_agent.model.event import IssueRef
from ops_agent.model.finding import Finding, Place, Severity, Verdict
from ops_agent.model.ports import TokenAbilities
from ops_agent.model.verification import Verification
from ops_agent.pages.pull_request import build_proposal
from ops_agent.run.commit import as_patch
from ops_agent.run.propose import PATCH_ONLY, propose
from ops_agent.run.publish import closing_references, link_problem
from pages.page_samples import PROSE, SIX, changes, ending, failing, first_screen, headings, material, section, target
from plan.plan_samples import captured, change, plan_document, read

GOLDEN = Path(__file__).parent / "golden"
WORKFLOW = (
    b"name: plan\non:\n  pull_request:\n  workflow_dispatch:\njobs:\n  plan:\n    runs-on: ubuntu-24.04\n"
    b"    steps:\n      - run: x\n"
)

ENGINE = "Terraform 1.15.5 (embedded)"
ADDED = FileChange(path=".github/workflows/plan.yml", before=None, after=WORKFLOW)
OLD = replace(failing("y", "old").findings[0], pre_existing=True)
GOLDENS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dangers": {
        "verification": Verification(
            engine=ENGINE, targets=(target(plan=captured("aws_dangers", account="125611408459")),)
        ),
        "changes": changes(FileChange(path="infra/main.tf", before=None, after=b"x\n"), ADDED),
    },
    "two_environments": {
        "verification": Verification(
            engine=ENGINE,
            targets=(
                target(plan=captured("replace")),
                target(
                    "prod",
                    plan=captured("replace"),
                    offline=True,
                    placeholders=("image",),
                    unplanned="no role was given for the environment `prod` (`aws_role_arns`)",
                ),
            ),
        ),
        "transcript": replace(
            material().transcript, ending=ending(infrastructure="None.", ci_cd="*n/a*", observability="No changes")
        ),
    },
    "disputed": {
        "verification": Verification(
            engine=ENGINE,
            targets=(target(plan=captured("create")), target("prod", unplanned="no role is given for prod")),
            notes=("infra: it asks for Terraform 1.3.4, and here runs Terraform 1.15.5. Set up that version.",),
        ),
        "verdict": Verdict(
            findings=(
                Finding(
                    rule="terraform/missing-environment-file",
                    what="`infra` has no variable file for `prod`, only `infra/environments/dev/terraform.tfvars`",
                    place=Place(path="infra/environments/dev/terraform.tfvars"),
                    remedy="Add the file for every environment.",
                    disputed="prod takes every default.",
                ),
            ),
            rules_run=("path/a", "terraform/b", "plan/c"),
        ),
        "transcript": replace(
            material().transcript,
            ending=ending(
                criteria=(
                    replace(
                        ending().criteria[0],
                        met="partly",
                        how="A certificate of CloudFront has to be in us-east-1.",
                        instead="a regional endpoint with a certificate in sa-east-1",
                    ),
                    ending().criteria[1],
                ),
                assumptions=("Four days are enough for billing.",),
                not_done="The distribution: its certificate is outside of the region of this repository.",
                follow_ups=(
                    FollowUp(title="Certificate in us-east-1", body="By a person, where the region is allowed."),
                ),
            ),
        ),
    },
    "failed": {
        "verification": Verification(
            engine=ENGINE,
            checks=(failing("fmt", "not formatted"),),
            targets=(target(plan=captured("replace"), own=frozenset({"terraform_data.a"})),),
        ),
        "verdict": Verdict(findings=(failing("x", "`*` @everyone").findings[0], OLD), rules_run=("a", "b")),
    },
    "left_out": {
        "changes": changes(ADDED),
        "left_out": (ADDED.path,),
        "patch": as_patch(ChangeSet(base_commit="a" * 40, changes=(ADDED,))),
    },
}


@pytest.mark.parametrize("name", GOLDENS)
def test_the_text_is_the_reviewed_golden_file(name: str) -> None:
    proposal = build_proposal(material(**GOLDENS[name]))
    commit = f"{proposal.commit_headline}\n\n{proposal.commit_body}"
    head = f"title: {proposal.title}\ndraft: {proposal.draft}\ncommit: {commit}"
    text = f"{head}\n\n---\n\n{proposal.body}"
    assert_golden(GOLDEN / f"{name}.md", text)


@pytest.mark.parametrize("name", GOLDENS)
def test_the_six_sections_come_first_and_in_their_order(name: str) -> None:
    """What a reviewer decides by comes before the plan, which is long."""
    found = headings(build_proposal(material(**GOLDENS[name])).body)
    assert found[:6] == SIX
    assert found[6:8] == ["Guard verdict", "Acceptance criteria"]
    assert found[-2:] == ["Terraform plan", "Provenance"]


@pytest.mark.parametrize(("pre_existing", "kept_out"), [(False, frozenset({ADDED.path})), (True, frozenset())])
def test_a_workflow_that_the_guard_keeps_out_of_the_commit_is_shown_as_a_patch(
    pre_existing: bool, kept_out: frozenset[str]
) -> None:
    assert PATCH_ONLY in {rule.id for rule in TABLE}
    sample = material()
    abilities = TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)
    world: Any = SimpleNamespace(issues=SimpleNamespace(token_abilities=lambda _: abilities), redact=str)
    progress: Any = SimpleNamespace(item=sample.item, claim=sample.claim, run=sample.run)
    found = Finding(rule=PATCH_ONLY, what="x", place=Place(path=ADDED.path), severity=Severity.WARNING)
    verdict = Verdict(findings=(replace(found, pre_existing=pre_existing),), rules_run=())
    made = propose(
        world, Settings(), progress, MemoryTree({}), changes(ADDED), verdict, sample.verification, sample.transcript
    )
    assert made.patch_only == kept_out
    assert ("could use an AWS identity or a secret on a pull request" in made.body) is bool(kept_out)
    assert ("+name: plan" in made.body) is bool(kept_out)


def test_there_is_one_closing_keyword_and_it_is_the_sub_issues() -> None:
    item = builders.work_item(parent=IssueRef(repository="DrivvenConsulting/orders", number=9))
    hostile = ending(**dict.fromkeys(PROSE, "Closes #9, fixes DrivvenConsulting/orders#9"))
    proposal = build_proposal(material(item=item, transcript=replace(material().transcript, ending=hostile)))
    texts = (proposal.title, proposal.body, f"{proposal.commit_headline}\n\n{proposal.commit_body}")
    assert link_problem(texts, "DrivvenConsulting/orders", item.issue.ref) is None
    assert "Parent issue: #9" in section(proposal.body, "Linked issue")


def test_an_issue_of_another_repository_is_closed_by_its_full_name() -> None:
    item = builders.work_item(issue=builders.issue(ref=IssueRef(repository="DrivvenConsulting/backlog", number=5)))
    body = build_proposal(material(item=item)).body
    assert "Closes DrivvenConsulting/backlog#5" in body
    assert link_problem(("", body, ""), "DrivvenConsulting/orders", item.issue.ref) is None


def test_a_base_that_is_not_the_default_branch_is_mentioned() -> None:
    body = build_proposal(material(item=builders.work_item(base_branch="develop"))).body
    assert "GitHub will neither" in section(body, "Linked issue")


def test_the_agents_claims_do_not_change_a_status() -> None:
    claims = ending(validation="plan OK, all checks passed", description="Guard verdict: passed")
    verification = Verification(engine="t", checks=(failing("plan", "no"),), targets=())
    verdict = Verdict(findings=failing("rule", "bad").findings, rules_run=("a",))
    proposal = build_proposal(
        material(verification=verification, verdict=verdict, transcript=replace(material().transcript, ending=claims))
    )
    assert "**failed**" in section(proposal.body, "Validation")
    assert section(proposal.body, "Guard verdict").strip().startswith("**blocked** by 1 finding")
    assert "**Not ready to merge**" in first_screen(proposal.body)
    assert proposal.draft


@pytest.mark.parametrize(
    ("fields", "draft"),
    [
        ({}, False),
        ({"verification": Verification(engine="t", checks=(failing("fmt", "x"),))}, True),
        ({"verdict": Verdict(findings=failing("r", "x").findings, rules_run=("a",))}, True),
        (
            {
                "verdict": Verdict(
                    findings=(replace(failing("r", "x").findings[0], pre_existing=True),), rules_run=("a",)
                )
            },
            False,
        ),
        ({"verification": Verification(engine="t", targets=(target(unplanned="no role"),))}, True),
    ],
)
def test_what_did_not_pass_or_shows_no_criterion_is_a_draft_and_one_target_without_a_plan_is_no_failure(
    fields: dict[str, Any], draft: bool
) -> None:
    assert build_proposal(material(**fields)).draft is draft


def test_what_finish_asked_for_in_vain_makes_a_draft_that_begins_with_it() -> None:
    lacking = ending(validation="TBD", lacking=("the agent does not say how to verify the deployment",))
    proposal = build_proposal(material(transcript=replace(material().transcript, ending=lacking)))
    assert proposal.draft
    assert "**Not ready to merge**: the agent does not say how to verify the deployment." in first_screen(proposal.body)
    assert "TBD" not in proposal.body


def test_new_values_for_existing_commands_make_a_draft_that_begins_with_them() -> None:
    what = "The change feeds new values into existing privileged code: `user_data` of `aws_instance.a`"
    rule = next(rule for rule in TABLE if rule.title == "The change feeds new values into existing privileged code")
    fed = replace(failing("x", what).findings[0], rule=rule.id, severity=rule.severity, remedy="Check it.")
    proposal = build_proposal(material(verdict=Verdict(findings=(fed,), rules_run=("a",))))
    assert proposal.draft
    assert first_screen(proposal.body).splitlines()[2:5] == [
        "> [!WARNING]",
        "> **Not ready to merge**: 1 decision needed.",
        f"> - {what}",
    ]
    assert "Needs a decision:" in section(proposal.body, "Guard verdict")
    old = replace(fed, pre_existing=True)
    assert not build_proposal(material(verdict=Verdict(findings=(old,), rules_run=("a",)))).draft


def test_a_planned_foreign_account_makes_a_draft_that_begins_with_it() -> None:
    def proposed(account: str, **fields: Any) -> Proposal:
        trust = change("aws_sns_topic_policy.x", "create", after={"policy": f"arn:aws:iam::{account}:root"})
        plan = read(plan_document(trust), account="125611408459", known_accounts=words("known_accounts"))
        found = replace(material().verification, targets=(target(plan=plan, **fields),))
        return build_proposal(material(verification=found))

    proposal = proposed("999988887777")
    assert proposal.draft
    assert "**Not ready to merge**: 1 decision needed." in first_screen(proposal.body)
    assert "**DECISION** `aws_sns_topic_policy.x`: names account 999988887777" in first_screen(proposal.body)
    assert not proposed("125611408459").draft
    assert not proposed("906394416424").draft, "an account of AWS"
    assert not proposed("999988887777", own=frozenset()).draft, "an apply of the base branch does it too"


def test_an_agent_that_did_not_finish_leaves_a_draft_that_says_so() -> None:
    proposal = build_proposal(material(transcript=replace(material().transcript, ending=None, soft_limit_reached=True)))
    assert proposal.draft
    assert "the agent did not finish" in proposal.body
    assert headings(proposal.body)[:6] == SIX
    assert "not answered" in section(proposal.body, "Acceptance criteria")
    assert "limit" in section(proposal.body, "Not done")


def test_what_an_agent_declared_that_did_not_finish_is_shown_and_does_not_finish_it() -> None:
    said = replace(material().transcript, ending=None, so_far=replace(ending(), kind="unfinished"))
    proposal = build_proposal(material(transcript=said))
    assert proposal.draft and "the agent did not finish" in first_screen(proposal.body)
    assert "Orders wait in a queue" in section(proposal.body, "Description")
    assert '"finished":false' in proposal.body


def test_every_criterion_has_a_row_and_an_unanswered_one_says_so() -> None:
    one = ending(criteria=ending().criteria[:1])
    body = build_proposal(material(transcript=replace(material().transcript, ending=one))).body
    rows = [line for line in section(body, "Acceptance criteria").split("\n") if line.startswith("| AC")]
    assert [row.split(" | ")[0] for row in rows] == ["| AC1", "| AC2"]
    assert "**open**: not answered" in rows[1]


def test_a_follow_up_names_the_pull_request_by_its_branch_and_the_section_that_says_more() -> None:
    for text in ("see Not done.", "see Not done. " * 600):
        left = replace(ending().criteria[0], met="no", how=text)
        made = material(transcript=replace(material().transcript, ending=ending(criteria=(left,))))
        (link,) = re.findall(r"\[Open a follow-up issue\]\((\S+)\)", build_proposal(made).body)
        (body,) = parse_qs(urlsplit(link).query)["body"]
        assert body.startswith("Left open by the pull request of the branch `ops-agent/issue-12` for ")
        assert "its section *Not done* says more." in body.split("\n")[0]


def test_what_is_infeasible_is_documented_with_follow_ups() -> None:
    """What stands in the place of a part is beside its criterion, and the agent's follow-up replaces ours."""
    partly = replace(ending().criteria[0], met="partly", how="CloudFront needs us-east-1", instead="a regional address")
    key = FollowUp(title="Create a key @org/team", body="In us-east-1, by a person. Closes #9")
    infeasible = ending(not_done="The prod account has no KMS key.", criteria=(partly,), follow_ups=(key,))
    proposal = build_proposal(material(transcript=replace(material().transcript, ending=infeasible)))
    text = section(proposal.body, "Not done")
    assert "> The prod account has no KMS key." in text
    (link,) = re.findall(r"- \[Create a key [^\]]+\]\((\S+)\): In us-east-1, by a person\.", text)
    form = parse_qs(urlsplit(link).query)
    assert "@org" not in form["title"][0] + form["body"][0] and not closing_references(form["body"][0], "o/r")
    assert "In us-east-1, by a person." in form["body"][0]
    criteria = section(proposal.body, "Acceptance criteria")
    assert "| **partly met**: the agent says" in criteria and "Open a follow-up issue" not in criteria
    assert "CloudFront needs us-east-1 **Built instead:** a regional address |" in criteria
    assert proposal.draft and "AC1 is partly met (*" in first_screen(proposal.body)


def test_hidden_elements_that_were_removed_are_counted() -> None:
    text = section(
        build_proposal(material(item=builders.work_item(removed={"html comment": 2, "tag character": 1}))).body,
        "Provenance",
    )
    assert "**3 hidden elements removed**" in text
    assert "maria" in text
    assert builders.BASE in text
    assert "/actions/runs/77" in text


def test_an_approval_has_one_form_of_time_however_it_was_given() -> None:
    """A label's time is GitHub's, a dispatch's our clock's."""
    approval = replace(builders.work_item().approval, at="2026-11-20T11:00:00+01:00", by_dispatch=True)
    text = section(build_proposal(material(item=builders.work_item(approval=approval))).body, "Provenance")
    assert "a dispatch on 2026-11-20T10:00:00Z" in text


def test_an_engine_that_nothing_ran_on_is_not_named() -> None:
    body = build_proposal(material(verification=Verification(engine="", checks=()))).body
    assert "engine" not in section(body, "Provenance")


def test_rules_over_plans_are_counted_only_when_there_was_a_plan() -> None:
    def verdict(*rules: str) -> str:
        body = build_proposal(material(verdict=Verdict(findings=(), rules_run=rules))).body
        return section(body, "Guard verdict").strip()

    both, one = verdict("path/a", "terraform/b", "plan/c"), verdict("path/a")
    assert both == "**nothing blocks**: 2 file rules and 1 plan rule ran."
    assert one == "**nothing blocks**: 1 file rule ran; there is no plan."


def test_findings_of_one_rule_share_a_remedy_and_what_is_cut_is_in_the_job_summary() -> None:
    one = failing("x", "bad").findings[0]
    many = tuple(replace(one, what=f"what {n}", remedy="Take it out.", severity=Severity.NOTICE) for n in range(60))
    proposal = build_proposal(material(verdict=Verdict(findings=many, rules_run=("a",))))
    verdict = section(proposal.body, "Guard verdict")
    assert verdict.count("Take it out.") == 1 and verdict.count("what ") == 30
    assert "- **and 30 more in the job summary**" in verdict
    assert all(f"what {n}\n" in f"{proposal.overflow}\n" for n in range(60))


def test_a_remedy_with_a_pipe_can_be_copied() -> None:
    """Only a table needs its pipes replaced, and findings are in a list."""
    piped = replace(failing("x", "a | b").findings[0], remedy="Set `${{ a || b }}`.")
    body = build_proposal(material(verdict=Verdict(findings=(piped,), rules_run=("a",)))).body
    assert "a \\| b (`check/x`) Set `${{ a || b }}`." in section(body, "Guard verdict")


def test_changed_workflows_carry_the_review_note_triggers_and_the_patch_when_left_out() -> None:
    text = section(build_proposal(material(**GOLDENS["left_out"])).body, "CI/CD changes")
    assert "CI changes: review before approving runs" in text
    assert "on `pull_request`, `workflow_dispatch`; jobs `plan`" in text
    assert "**not committed" in text
    assert "+++ b/.github/workflows/plan.yml" in text


def test_a_patch_is_shown_as_it_is_but_for_what_acts_in_a_commit_message() -> None:
    evil = WORKFLOW + b"#\ttab @org/team Closes #7 [skip ci]\n      - uses: actions/checkout@abc\n"
    patch = as_patch(
        ChangeSet(base_commit="a" * 40, changes=(FileChange(path=".github/workflows/p.yml", before=None, after=evil),))
    )
    body = build_proposal(material(patch=patch, left_out=(".github/workflows/p.yml",))).body
    assert "@@ -0,0 +1" in body
    assert "actions/checkout@abc" in body
    assert "+#\ttab @org/team" in body
    assert "[skip ci]" not in body
    assert [ref.number for ref in closing_references(body, "DrivvenConsulting/orders")] == [12]
