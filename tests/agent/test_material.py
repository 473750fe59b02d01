"""What goes back to the llm of checks and plans: readable, sorted, and said once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.agent_doubles import call, reply
from agent.converse_doubles import DONE, WRITE, Here, check
from agent.test_converse_checks import offline
from ops_agent.agent.material import advice_material, checks_material, findings_material
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.verification import CheckResult, CheckStatus
from plan.plan_samples import change


def statement(sid: str, *actions: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [*actions],
        "Resource": "*",
        "Principal": {"Service": "events.amazonaws.com"},
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def test_a_policy_is_shown_as_what_changes_in_it_and_a_new_one_whole(tmp_path: Path) -> None:
    one, other = statement("Read", "sqs:ReceiveMessage"), statement("Write", "sqs:SendMessage")
    before, after = policy(one, other), policy({**one, "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"]}, other)
    assert len(before) > 300
    tags = {"service-name": "orders"}
    here = Here(tmp_path, WRITE, reply(call("check")), DONE)
    here.engine.plans = dict.fromkeys(
        ("dev", "prod"),
        offline(
            change("aws_sqs_queue_policy.a", "update", before={"policy": before}, after={"policy": after}),
            change("aws_sqs_queue_policy.b", "create", after={"policy": before}),
            change("aws_sns_topic.t", "create", after={"name": "t", "tags": tags, "tags_all": {**tags, "team": "x"}}),
            change("aws_sns_topic.u", "create", after={"name": "u", "tags": tags, "tags_all": tags}),
        ),
    )
    shown = {row["address"]: row["set"] for row in check(here)["plans"][0]["changes"]}
    assert shown["aws_sqs_queue_policy.a"] == {
        "policy": {"changes_in_it": ["+Statement[Read].Action: sqs:DeleteMessage"]}
    }
    assert shown["aws_sqs_queue_policy.b"] == {"policy": json.loads(before)}
    assert shown["aws_sns_topic.t"] == {"name": "t", "tags": tags, "tags_all": {"team": "x"}}
    assert shown["aws_sns_topic.u"] == {"name": "u", "tags": tags}


def test_a_check_says_what_planned_values_lack_by_the_standards_each_rule_once(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, reply(call("check")), DONE)
    groups = [
        change(f"aws_cloudwatch_log_group.{name}", "create", after={"name": name, "tags": {}, "tags_all": {}})
        for name in ("a", "b")
    ]
    here.engine.plans = dict.fromkeys(("dev", "prod"), offline(*groups))
    result = check(here)
    assert result["passed"] is True
    (row,) = [row for row in result["standards"] if row["rule"] == "plan/log-retention"]
    assert row["found"] == [f"aws_cloudwatch_log_group.{name}: keeps its logs for ever" for name in ("a", "b")]
    assert row["remedy"]


def test_findings_are_in_order_and_cut_between_words() -> None:
    def finding(path: str, line: int, **fields: Any) -> Finding:
        return Finding(rule="terraform/x", what="word " * 300, place=Place(path=path, line=line), **fields)

    old, notice = finding("a", 1, pre_existing=True), finding("b", 1, severity=Severity.NOTICE)
    shown = findings_material((old, notice, finding("c", 9), finding("c", 2)))
    assert [row["where"] for row in shown] == ["c:2", "c:9", "b:1", "a:1"]
    assert shown[0]["what"].endswith("word... (1,500 characters)")
    (advice,) = advice_material([notice])
    assert len(advice["found"][0]) < 330


def test_what_the_base_fails_is_not_new() -> None:
    finding = Finding(rule="check/validate", what="no", place=Place(path="other/a.tf", line=1))
    failed = CheckResult(name="validate", subject="other", status=CheckStatus.FAILED, findings=(finding,))
    (row,) = checks_material([failed], on_base=True)
    assert (row["findings"][0]["new"], row["findings"][0]["blocks"]) == (False, False)


def test_the_end_of_a_long_output_begins_with_a_whole_line() -> None:
    output = "".join(f"line {n} of the output\n" for n in range(1_000))
    (row,) = checks_material([CheckResult(name="init", subject="a", status=CheckStatus.FAILED, output=output)])
    assert row["output"].startswith("...\nline ") and row["output"].endswith("line 999 of the output\n")
