"""What comes before and with the end: fields of `finish` that are sent alone, `assert`, `dispute`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.agent_doubles import FINISH, bench, call, content_of, reply, toolbox
from agent.converse_doubles import DONE, WRITE, Here
from agent.test_converse_checks import results_of
from ops_agent.agent.toolbox import Toolbox, specs
from ops_agent.agent.workbench import Workbench
from ops_agent.guard.disputes import with_disputes
from ops_agent.model.conversation import Ending, FollowUp
from ops_agent.model.finding import Finding, Place, Verdict
from ops_agent.model.policy import Limits
from ops_agent.model.verification import CriterionProof, ProofState, Verification
from ops_agent.run.judge import judge_sources

AC1 = {"id": "AC1", "met": "yes", "how": "queue"}


def ends(box: Toolbox, **fields: Any) -> Ending | str:
    """How `finish` ended it, or why it did not."""
    results, ending = box.run((call("finish", **fields),))
    return ending or str(content_of(results[0])["error"])


def test_the_first_finish_names_what_is_missing_and_the_next_sends_only_that() -> None:
    with bench() as (workbench, _):
        box = toolbox(workbench)
        said = ends(box, title="Queue", criteria=[AC1])
        names = "`description`, `infrastructure`, `ci_cd`, `observability`, `validation`"
        assert said == f"the first call needs {names} too; what you sent is kept, so send only these"
        rest = {
            name: FINISH[name] for name in ("description", "infrastructure", "ci_cd", "observability", "validation")
        }
        ending = ends(box, **rest)
        assert isinstance(ending, Ending)
        assert (ending.title, ending.validation, [one.how for one in ending.criteria]) == ("Queue", "v", ["queue"])


def test_after_a_refusal_only_the_changed_fields_are_sent_and_criteria_merge_by_id() -> None:
    with bench() as (workbench, _):
        workbench.criteria = ("AC1", "AC2")
        box = toolbox(workbench)
        why = [{"rule": "r", "where": "a", "why": "so"}]
        first = ends(box, **FINISH, justifications=why, assumptions=["dev first"])
        assert isinstance(first, str) and first.startswith("answer AC2 too")
        ending = ends(box, criteria=[AC1 | {"id": "AC2", "how": "alarm"}])
        assert isinstance(ending, Ending)
        assert [(one.criterion_id, one.how) for one in ending.criteria] == [("AC1", "queue"), ("AC2", "alarm")]
        rest = {"title": "The rest", "body": "Do it."}
        partly = AC1 | {"id": "AC2", "met": "partly", "instead": "a metric"}
        more = [{"rule": "r", "where": "b", "why": "too"}]
        again = ends(box, title="New", criteria=[partly], not_done="A part.", follow_ups=[rest], justifications=more)
        assert isinstance(again, Ending)
        assert (again.title, again.description, again.assumptions) == ("New", "d", ("dev first",))
        assert again.follow_ups == (FollowUp(title="The rest", body="Do it."),) and again.not_done == "A part."
        assert again.criteria[1].instead == "a metric" and again.criteria[0] == ending.criteria[0]
        assert [where for _, where, _ in again.justifications] == ["a", "b"]
        cleared = ends(box, not_done="", follow_ups=[], assumptions=[], criteria=[AC1 | {"id": "AC2"}])
        assert isinstance(cleared, Ending)
        assert (cleared.not_done, cleared.follow_ups, cleared.assumptions) == ("", (), ())


def test_an_answer_that_is_refused_changes_nothing_that_was_accepted() -> None:
    with bench() as (workbench, _):
        box = toolbox(workbench)
        assert isinstance(ends(box, **FINISH), Ending)
        nothing = {"kind": "plan", "where": "aws_sqs_queue.a", "key": "name", "op": "contains", "value": "a"}
        assert "shows nothing" in str(ends(box, criteria=[AC1 | {"evidence": [nothing]}]))
        ending = ends(box)
        assert isinstance(ending, Ending) and ending.criteria[0].evidence == ()


def test_no_request_has_more_optional_properties_than_strict_tools_may_have() -> None:
    def optional(schema: dict[str, Any]) -> int:
        inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
        return len(set(schema.get("properties", ())) - set(schema.get("required", ()))) + sum(map(optional, inner))

    assert {"assert", "dispute"} <= {spec.name for spec in specs()}
    assert sum(optional(spec.input_schema) for spec in specs()) <= 24


def test_what_was_declared_is_kept_when_the_work_does_not_end(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, limits=Limits(max_turns=2), draft_on_failure=True)
    assert here.go_on() is None
    assert here.go_on() is None, "no turn is left for the repair"
    transcript = here.conversation.transcript
    assert transcript.ending is None and transcript.so_far is not None
    assert (transcript.so_far.kind, transcript.so_far.title) == ("unfinished", "Queue")
    assert [one.how for one in here.conversation.answers] == ["queue"]


# Evidence before the end.

NAMED = {"kind": "terraform", "where": "infra/queue.tf", "key": "locals.a", "op": "equals", "value": "1"}
PLANNED = {"kind": "plan", "where": "aws_sqs_queue.orders", "op": "created"}
TRY = reply(
    call("assert", evidence=[NAMED, NAMED | {"value": "2"}, PLANNED, NAMED | {"op": "at_least", "value": "-9"}])
)


def test_evidence_is_tried_before_the_end_and_says_what_was_seen(tmp_path: Path) -> None:
    write = reply(call("edit", edits=[{"path": "infra/queue.tf", "new": "locals {\n  a = 1\n}\n"}]))
    here = Here(tmp_path, write, TRY, reply(call("check")), TRY, DONE)
    here.go_on()
    first, second = results_of(here, "assert")
    assert first == second
    holds, differs, plan, weak = first
    assert holds == {"holds": "yes", "seen": "only in the file: no plan shows it, so it proves nothing"}
    assert differs == {"holds": "no", "seen": "`infra/queue.tf` `locals.a` is `1`, not equals `2`"}
    assert (plan["holds"], weak["holds"]) == ("no", "no")
    assert "is in the plan" in plan["seen"] and "nearly everything is at least" in weak["seen"]


@pytest.mark.parametrize(("left", "tried"), [(1, True), (0, False)])
def test_trying_takes_a_check_only_when_something_changed(left: int, tried: bool) -> None:
    with bench() as (workbench, _):
        box, looked = toolbox(workbench), list[int]()
        workbench.checks_left, workbench.look = left, lambda given: looked.append(len(given)) or []
        for _ in range(2):
            box.run((call("assert", evidence=[NAMED]),))
        assert (looked, workbench.checks_left) == (([1, 1], 0) if tried else ([], 0))


def test_nothing_runs_for_evidence_while_a_finding_blocks(tmp_path: Path) -> None:
    content = 'output "x" {\n  value = file("/etc/passwd")\n}\n'
    hostile = reply(call("edit", edits=[{"path": "infra/x.tf", "new": content}]))
    here = Here(tmp_path, hostile, TRY, DONE)
    here.go_on()
    assert results_of(here, "assert")[0][2] == {
        "holds": "cannot tell",
        "seen": "`aws_sqs_queue.orders`: nothing was planned",
    }
    assert set(here.engine.ran) == {"self_test", "format"}


# Disputes.

MISSING = "terraform/missing-environment-file"
WHERE = "infra/environments/dev/terraform.tfvars"
AWAY = reply(call("delete", path="infra/environments/prod/terraform.tfvars"))
SAYS = reply(call("dispute", finding=MISSING, where=WHERE, reason="prod takes its defaults, s3cr3t"))


def test_a_dispute_lets_check_pass_and_what_is_said_is_redacted(tmp_path: Path) -> None:
    here = Here(tmp_path, AWAY, SAYS, reply(call("check")), DONE)
    here.go_on()
    (answer,) = results_of(here, "dispute")
    (said,) = answer["disputed"]
    assert said.startswith(f"{WHERE}: `infra` has no variable file for `prod`")
    (checked,) = results_of(here, "check")
    (finding,) = [one for one in checked["findings"] if one["rule"] == MISSING]
    assert (finding["blocks"], finding["disputed"], checked["passed"]) == (False, True, True)
    (dispute,) = here.conversation.disputes
    assert dispute.reason == "prod takes its defaults, ***"


def test_the_agent_is_told_what_can_be_disputed(tmp_path: Path) -> None:
    here = Here(tmp_path, AWAY, reply(call("check")), DONE)
    here.go_on()
    (finding,) = [one for one in results_of(here, "check")[0]["findings"] if one["blocks"]]
    assert (finding["rule"], finding["disputable"]) == (MISSING, True)


def disputed(workbench: Workbench, **fields: Any) -> str:
    given = {"finding": MISSING, "where": WHERE, "reason": "it is right here"} | fields
    return str(content_of(toolbox(workbench).run((call("dispute", **given),))[0][0]).get("error", ""))


def test_only_what_blocks_and_may_be_disputed_is_and_with_a_reason() -> None:
    place = Place(path=WHERE)
    found = [
        Finding(rule=MISSING, what="no file", place=place),
        Finding(rule="terraform/foreign-region", what="us-east-1", place=Place(path="infra/a.tf", line=3)),
        Finding(rule="actionlint/error", what="x", place=Place(path=".github/workflows/a.yml", line=2)),
    ]
    with bench() as (workbench, _):
        workbench.findings = lambda: (
            with_disputes(Verdict(findings=tuple(found), rules_run=()), workbench.disputes).findings
        )
        assert "`reason` is empty" in disputed(workbench, reason="none")
        unsafe = disputed(workbench, finding="terraform/foreign-region", where="infra/a.tf:3")
        assert "about what is safe and cannot be disputed" in unsafe
        assert "no such finding blocks" in disputed(workbench, where="infra/other.tf")
        assert workbench.disputes == []
        assert disputed(workbench) == ""
        assert "no such finding blocks" in disputed(workbench), "it is disputed already"
        found[2:] = [replace(found[2], what=str(n)) for n in range(12)]
        many = disputed(workbench, finding="actionlint/error", where=".github/workflows/a.yml:2", reason="y" * 9_000)
        assert "at most 10 findings" in many
        assert [len(one.reason) for one in workbench.disputes] == [16]


def test_what_is_disputed_is_no_advice_and_work_with_it_is_done(tmp_path: Path) -> None:
    here = Here(tmp_path, AWAY, SAYS, DONE)
    here.go_on()
    world, settings = here.conversation._world, here.conversation._settings
    found = judge_sources(world, settings, here.scratch.base, here.scratch.change_set())
    assert found.blocked
    verdict = with_disputes(found, here.conversation.disputes)
    assert not verdict.blocked and [one.rule for one in verdict.disputed] == [MISSING]
    quiet = Verdict(findings=verdict.disputed, rules_run=())
    assert here.conversation.is_done(quiet, Verification(engine="T"))


def test_evidence_that_cannot_be_told_goes_back_once(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, DONE, reply(call("finish")), limits=Limits(max_repair_rounds=3))
    here.go_on()
    untold = CriterionProof(criterion_id="AC1", state=ProofState.CLAIMED, why="nothing was planned", undecided=True)
    verification, clean = Verification(engine="T", criteria=(untold,)), Verdict(findings=(), rules_run=())
    assert not here.conversation.is_done(clean, verification)
    assert here.conversation.repair(clean, verification) is None
    here.go_on()
    told = here.llm.heard[-1][-1].text  # type: ignore[union-attr]
    assert '"holds": "cannot tell"' in told and '"seen": "nothing was planned"' in told and "round 1 of 3" in told
    assert here.conversation.is_done(clean, verification), "it is claimed only, then"
    assert here.conversation.transcript.ending is not None
