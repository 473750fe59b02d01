"""Which findings the agent may dispute: a property of the rule, asked of every rule."""

from __future__ import annotations

import pytest

from ops_agent.guard.disputes import is_disputable, with_disputes
from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Dispute, Finding, Place, Severity, Verdict
from ops_agent.plan.findings import PLAN_TABLE

EVERY = [*((r.id, r.disputable) for r in TABLE), *((r.id, False) for r in PLAN_TABLE), ("guard/rule-crashed", False)]
PLACE = Place(path="infra/main.tf", line=3)


def disputed(rule: str, **fields: object) -> Verdict:
    finding = Finding(rule=rule, what="this is wrong", place=PLACE, **fields)
    dispute = Dispute(rule=rule, path=PLACE.path, what="this is wrong", reason="it is right here")
    return with_disputes(Verdict(findings=(finding,), rules_run=(rule,)), [dispute])


@pytest.mark.parametrize(("rule", "may"), EVERY)
def test_only_what_the_rule_itself_allows_stops_blocking(rule: str, may: bool) -> None:
    verdict = disputed(rule)
    assert verdict.blocked is not may
    assert bool(verdict.disputed) is may


def test_no_rule_about_limits_secrets_paths_plans_or_what_runs_before_the_merge_can_be_disputed() -> None:
    may = {rule.id for rule in TABLE if rule.disputable}
    assert may == {"terraform/missing-environment-file", "workflow/apply-without-plan", "actionlint/error"}
    assert all(rule.severity is Severity.BLOCKS for rule in TABLE if rule.disputable), "nothing else needs it"


@pytest.mark.parametrize("fields", [{"pre_existing": True}, {"severity": Severity.NOTICE}])
def test_what_does_not_block_is_not_disputed(fields: dict[str, object]) -> None:
    assert disputed("actionlint/error", **fields).disputed == ()


@pytest.mark.parametrize(
    ("path", "what", "reason"),
    [("infra/other.tf", "this is wrong", "so"), (PLACE.path, "that is wrong", "so"), (PLACE.path, "this is wrong", "")],
)
def test_a_dispute_is_about_one_thing_in_one_file_and_has_a_reason(path: str, what: str, reason: str) -> None:
    finding = Finding(rule="actionlint/error", what="this is wrong", place=PLACE)
    verdict = Verdict(findings=(finding,), rules_run=())
    assert is_disputable(finding)
    assert with_disputes(verdict, [Dispute(rule=finding.rule, path=path, what=what, reason=reason)]) == verdict
