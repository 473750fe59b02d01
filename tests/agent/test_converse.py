"""The conversation as the pipeline drives it: endings, repair rounds, drafts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.agent_doubles import FINISH, call, reply, wrote
from agent.converse_doubles import DONE, WRITE, Here
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.finding import Finding, Place, Severity, Verdict
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.policy import Limits
from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget
from ops_agent.model.verification import (
    CheckResult,
    CheckStatus,
    CriterionProof,
    ProofState,
    TargetVerification,
    Verification,
)
from ops_agent.pages.issue_comment import stopped_text
from ops_agent.plan.findings import finding

FINDING = Finding(
    rule="terraform/region",
    title="t",
    place=Place(path="infra/queue.tf", line=3),
    what="us-east-1",
    remedy="use sa-east-1",
)
BLOCKED = Verdict(findings=(FINDING,), rules_run=("terraform/region",))
CLEAN = Verdict(findings=(), rules_run=())


def failed(name: str = "validate") -> Verification:
    return Verification(
        engine="T",
        checks=(CheckResult(name=name, subject="infra", status=CheckStatus.FAILED, output="Error: boom s3cr3t"),),
    )


def last_words(here: Here) -> str:
    turn = here.llm.heard[-1][-1]
    assert isinstance(turn, PeopleTurn)
    return turn.text


def test_finished_work_with_changes_goes_on_to_the_judge(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE)
    assert here.go_on() is None
    transcript = here.conversation.transcript
    assert transcript.ending is not None and transcript.ending.title == "Queue"
    assert transcript.turn_count == 2 and transcript.llm_id == "claude-opus-5-5"
    assert transcript.usage.cost_usd == pytest.approx(0.02)
    assert here.turns == [(1, 0.01, "edit"), (2, 0.02, "finish")]
    assert here.said == ["turn 1, $0.01 so far"]


def test_finishing_without_a_change_ends_as_no_changes(tmp_path: Path) -> None:
    stopped = Here(tmp_path, DONE).go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.NO_CHANGES


def test_finishing_without_a_change_after_a_refused_write_names_the_file_and_is_no_success(tmp_path: Path) -> None:
    refused = reply(wrote(path="deploy.sh", content="echo\n"))
    stopped = Here(tmp_path, refused, DONE).go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.BLOCKED_BY_POLICY
    assert [(str(finding.place), finding.rule) for finding in stopped.findings] == [("deploy.sh", "path/allowed-path")]


def test_a_refused_path_of_any_length_fits_the_comment(tmp_path: Path) -> None:
    refused = reply(wrote(path="a" * 900_000, content="x"))
    stopped = Here(tmp_path, refused, DONE).go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.BLOCKED_BY_POLICY
    assert len(stopped_text(stopped, "o/r")) < 60_000


def test_finishing_without_a_change_and_with_work_left_is_not_the_end_of_a_request_that_is_fulfilled(
    tmp_path: Path,
) -> None:
    rest = {"title": "Queue abroad", "body": "By a person."}
    ending = reply(call("finish", **FINISH | {"not_done": "A person has to add the queue.", "follow_ups": [rest]}))
    stopped = Here(tmp_path, ending).go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.INFEASIBLE
    assert stopped.said == "A person has to add the queue."
    assert stopped.proposed_issues == ("Queue abroad: By a person.",)


def test_a_path_that_starts_at_the_current_directory_is_the_path_without_it(tmp_path: Path) -> None:
    here = Here(tmp_path, reply(wrote(path="./infra/late.tf", content="locals {}\n")), DONE)
    assert here.go_on() is None
    assert here.scratch.change_set().paths == ("infra/late.tf",)


def test_a_change_that_was_undone_ends_as_no_changes(tmp_path: Path) -> None:
    undone = reply(call("delete", path="infra/queue.tf"))
    stopped = Here(tmp_path, WRITE, undone, DONE).go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.NO_CHANGES


@pytest.mark.parametrize(
    ("ending", "conclusion", "field", "expected"),
    [
        (
            call("ask_for_info", reason="r", questions=["Which name?"]),
            Conclusion.NEEDS_INFO,
            "questions",
            ("Which name?",),
        ),
        (
            call("propose_split", reason="r", issues=["[ops] A", "[ops] B"]),
            Conclusion.NEEDS_SPLIT,
            "proposed_issues",
            ("[ops] A", "[ops] B"),
        ),
        (
            call("declare_infeasible", reason="No API", follow_up=["[dev] C"]),
            Conclusion.INFEASIBLE,
            "proposed_issues",
            ("[dev] C",),
        ),
    ],
)
def test_each_way_the_agent_declines_has_a_conclusion(
    tmp_path: Path, ending: Any, conclusion: Conclusion, field: str, expected: Any
) -> None:
    """Status words come from code; the agent's words are only carried."""
    stopped = Here(tmp_path, reply(ending)).go_on()
    assert stopped is not None and stopped.conclusion is conclusion
    assert getattr(stopped, field) == expected
    assert "No API" not in stopped.reason
    assert stopped.said == ("No API" if conclusion is Conclusion.INFEASIBLE else "r")
    assert conclusion is Conclusion.NEEDS_INFO or not stopped.questions, "a reason is no question"


def test_a_finding_goes_back_with_file_and_line_and_the_agent_fixes_it(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, reply(wrote(path="infra/queue.tf", content="# fixed\n")), DONE)
    assert here.go_on() is None
    assert here.conversation.repair(BLOCKED, None) is None
    assert here.go_on() is None
    back = next(t for t in here.llm.heard[2] if isinstance(t, PeopleTurn) and "blocks it" in t.text)
    assert "infra/queue.tf:3" in back.text and "use sa-east-1" in back.text and "round 1 of 3" in back.text
    assert back.tool_results[0].call_id == "c1", "the finish call is answered in the same turn"
    assert here.scratch.read("infra/queue.tf") == b"# fixed\n"
    assert "finding went back" in here.said[-1]


def test_failed_checks_go_back_redacted(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE)
    here.go_on()
    assert here.conversation.repair(CLEAN, failed()) is None
    here.go_on()
    assert "Error: boom ***" in last_words(here)


@pytest.mark.parametrize(
    ("verdict", "verification", "conclusion"),
    [
        (BLOCKED, None, Conclusion.BLOCKED_BY_POLICY),
        (CLEAN, failed(), Conclusion.CHECKS_FAILED),
        (CLEAN, failed("plan"), Conclusion.PLAN_FAILED),
    ],
)
def test_repair_rounds_are_counted_and_end(
    tmp_path: Path, verdict: Verdict, verification: Any, conclusion: Conclusion
) -> None:
    again = reply(wrote(path="infra/queue.tf", content="# tried\n"))
    here = Here(tmp_path, WRITE, DONE, again, DONE, limits=Limits(max_repair_rounds=2))
    for _ in range(2):
        here.go_on()
        assert here.conversation.repair(verdict, verification) is None
    stopped = here.conversation.repair(verdict, verification)
    assert stopped is not None and stopped.conclusion is conclusion
    assert "even after 2 repair rounds" in stopped.reason
    assert stopped.findings == verdict.blocking
    assert here.conversation.transcript.extra["repair_rounds"] == "2"


@pytest.mark.parametrize("verdict", [BLOCKED, CLEAN], ids=["a finding", "a failed check"])
def test_finishing_again_without_changing_what_was_found_ends_the_run(tmp_path: Path, verdict: Verdict) -> None:
    here = Here(tmp_path, WRITE, DONE, DONE, limits=Limits(max_repair_rounds=5))
    verification = None if verdict is BLOCKED else failed()
    here.go_on()
    assert here.conversation.repair(verdict, verification) is None
    here.go_on()
    stopped = here.conversation.repair(verdict, verification)
    assert stopped is not None and "finished again without a change to it" in stopped.reason


def test_budgets_hold_over_repair_rounds(tmp_path: Path) -> None:
    """A repair round gives no new budget."""
    here = Here(tmp_path, WRITE, DONE, limits=Limits(max_turns=2))
    assert here.go_on() is None
    assert here.conversation.repair(CLEAN, failed()) is None
    stopped = here.go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.BUDGET_EXHAUSTED


def test_time_spent_in_checks_counts(tmp_path: Path) -> None:
    """The deadline is the run's, less three minutes."""
    here = Here(tmp_path, WRITE, DONE, limits=Limits(timeout_seconds=600))
    assert here.go_on() is None
    here.clock.time += 420
    here.conversation.repair(CLEAN, failed())
    stopped = here.go_on()
    assert stopped is not None and "minutes are over" in stopped.reason


def test_work_cut_short_is_checked_when_drafts_are_wanted(tmp_path: Path) -> None:
    """Reaching the limit does not throw the work away."""
    here = Here(tmp_path, WRITE, limits=Limits(max_turns=1), draft_on_failure=True)
    assert here.go_on() is None
    transcript = here.conversation.transcript
    assert transcript.ending is None and "max_turns" in transcript.extra["cut_short"]
    assert transcript.soft_limit_reached is False
    stopped = here.conversation.repair(CLEAN, failed())
    assert stopped is not None and stopped.conclusion is Conclusion.BUDGET_EXHAUSTED
    assert here.conversation.worth_a_draft(stopped, failed())
    plain = Here(tmp_path, WRITE, limits=Limits(max_turns=1)).go_on()
    assert plain is not None and plain.conclusion is Conclusion.BUDGET_EXHAUSTED


def test_blocked_work_is_never_a_draft(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, draft_on_failure=True, limits=Limits(max_repair_rounds=0))
    here.go_on()
    stopped = here.conversation.repair(BLOCKED, failed())
    assert stopped is not None
    assert not here.conversation.worth_a_draft(stopped, failed())
    assert not here.conversation.worth_a_draft(replace(stopped, conclusion=Conclusion.CHECKS_FAILED), failed())


@pytest.mark.parametrize(
    ("wanted", "conclusion", "verification", "worth"),
    [
        (True, Conclusion.CHECKS_FAILED, failed(), True),
        (False, Conclusion.CHECKS_FAILED, failed(), False),
        (True, Conclusion.CHECKS_FAILED, None, False),
        (True, Conclusion.NEEDS_INFO, failed(), False),
        (True, Conclusion.LLM_FAILED, failed(), False),
    ],
)
def test_a_draft_needs_the_input_a_verification_and_unfinished_work(
    tmp_path: Path, wanted: bool, conclusion: Conclusion, verification: Any, worth: bool
) -> None:
    here = Here(tmp_path, DONE, draft_on_failure=wanted)
    assert (
        here.conversation.worth_a_draft(Stopped(conclusion=conclusion, reason="r", remedy="m"), verification) is worth
    )


ADVICE = Verdict(findings=(replace(FINDING, severity=Severity.NOTICE, what="no alarm"),), rules_run=("a",))
PASSED = Verification(engine="T")
REFUTED = replace(
    PASSED, criteria=(CriterionProof(criterion_id="AC1", state=ProofState.REFUTED, why="dev: `name` is `a`"),)
)


def test_advice_goes_back_once_with_its_remedy_and_costs_no_repair_round(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, DONE, limits=Limits(max_repair_rounds=0))
    here.go_on()
    assert not here.conversation.is_done(ADVICE, PASSED)
    assert here.conversation.repair(ADVICE, PASSED) is None
    here.go_on()
    assert '"severity": "notice"' in last_words(here) and "no alarm" in last_words(here)
    assert "`justifications`" in last_words(here)
    assert here.conversation.is_done(ADVICE, PASSED), "the second time it is for the reviewer"


def planned(*dangers: Finding) -> Verification:
    environment = Environment(name="dev", account=None, backend_file=None)
    target = TerraformTarget(root=TerraformRoot(path="infra", environments=(environment,)), environment=environment)
    plan = TerraformPlan(changes=(), outputs=(), drift=(), text="", canonical_hash="", dangers=dangers)
    return Verification(engine="T", targets=(TargetVerification(target=target, checks=(), plan=plan),))


def test_what_a_repair_adds_goes_back_too_each_danger_and_notice_once(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, DONE, DONE, limits=Limits(max_repair_rounds=1))
    here.go_on()
    notice = finding("destroys", "aws_sqs_queue.old", "is destroyed")
    allowed = finding("destroys-stateful", "aws_sqs_queue.kept", "is destroyed: its data")
    assert here.conversation.repair(ADVICE, planned(notice, allowed)) is None
    here.go_on()
    assert "no alarm" in last_words(here) and "aws_sqs_queue.old" in last_words(here)
    assert "aws_sqs_queue.kept" not in last_words(here), "a person's label allows it"
    moved = replace(ADVICE, findings=(replace(ADVICE.findings[0], place=Place(path="infra/queue.tf", line=9)),))
    assert here.conversation.is_done(moved, planned(notice)), "a line that moved is nothing new"
    added = finding("check-failed", "check.up", "the check fails: it answered 10.0.3.4")
    assert not here.conversation.is_done(moved, planned(notice, added))
    assert here.conversation.repair(moved, planned(notice, added)) is None
    here.go_on()
    assert "check.up" in last_words(here) and "the check fails" in last_words(here)
    assert not any(old in last_words(here) for old in ("no alarm", "aws_sqs_queue.old", "10.0.3.4"))
    again = finding("destroys", "aws_sqs_queue.third", "is destroyed")
    assert here.conversation.is_done(moved, planned(again)), "no round is left: it cannot go round in circles"


@pytest.mark.parametrize("why", [{"pre_existing": True}, {"certain": False}])
def test_what_the_base_branch_has_already_or_only_an_apply_shows_is_no_advice(
    tmp_path: Path, why: dict[str, Any]
) -> None:
    here = Here(tmp_path, WRITE, DONE)
    here.go_on()
    verdict = Verdict(findings=(replace(ADVICE.findings[0], **why),), rules_run=("a",))
    assert here.conversation.is_done(verdict, PASSED)


def test_evidence_that_does_not_hold_goes_back_with_what_is_planned(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, DONE, limits=Limits(max_repair_rounds=1))
    here.go_on()
    assert not here.conversation.is_done(CLEAN, REFUTED)
    assert here.conversation.repair(CLEAN, REFUTED) is None
    here.go_on()
    assert "dev: `name` is `a`" in last_words(here) and "round 1 of 1" in last_words(here)
    assert here.conversation.is_done(CLEAN, REFUTED), "no round is left: it is published as not met"


def test_evidence_that_does_not_hold_and_advice_go_back_in_one_turn(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, DONE, limits=Limits(max_repair_rounds=3))
    here.go_on()
    assert here.conversation.repair(ADVICE, REFUTED) is None
    here.go_on()
    back = last_words(here)
    assert "dev: `name` is `a`" in back and "no alarm" in back and "round 1 of 3" in back
    assert here.said[-1] == "evidence of AC1 (round 1) and 1 finding to be fixed or justified went back to the agent"
    assert here.conversation.is_done(ADVICE, PASSED), "advice comes once"


def test_advice_still_goes_back_when_no_round_is_left_for_the_evidence(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, DONE, limits=Limits(max_repair_rounds=0))
    here.go_on()
    assert not here.conversation.is_done(ADVICE, REFUTED)
    assert here.conversation.repair(ADVICE, REFUTED) is None, "a change that passed every check is not given up"
    here.go_on()
    assert "no alarm" in last_words(here) and "dev: `name`" not in last_words(here)
    assert here.conversation.is_done(ADVICE, REFUTED)
