"""The table of the plan rules and the code agree, and the page shows each row."""

from __future__ import annotations

from pathlib import Path

import pytest

import ops_agent.plan
from ops_agent.model.finding import Severity
from ops_agent.pages.rules_page import render_rules
from ops_agent.plan.findings import LIFTED_BY, PLAN_TABLE, finding

SOURCES = [path for path in Path(ops_agent.plan.__file__).parent.glob("*.py") if path.stem != "rules"]


def test_every_rule_of_the_table_is_used_by_the_code_and_none_is_there_twice() -> None:
    """The other direction holds by construction: a finding of a rule that is not in the table cannot be made."""
    code = "".join(path.read_text() for path in SOURCES)
    assert [rule.name for rule in PLAN_TABLE if f'"{rule.name}"' not in code] == []
    assert len(PLAN_TABLE) == len({rule.id for rule in PLAN_TABLE})


def test_no_finding_of_an_unknown_rule_or_of_another_severity_can_be_made() -> None:
    with pytest.raises(KeyError):
        finding("unknown", "a.b", "what")
    with pytest.raises(ValueError, match="NOTICE"):
        finding("foreign-region", "a.b", "what", Severity.NOTICE)


def test_every_rule_that_blocks_says_how_to_repair_it() -> None:
    assert all(rule.remedy for rule in PLAN_TABLE if Severity.BLOCKS in rule.severities)


def test_every_plan_rule_is_on_the_page_and_only_what_the_label_lifts_says_so() -> None:
    page = render_rules()
    for rule in PLAN_TABLE:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{rule.id}` |"))
        assert rule.title in row
        assert (f"`{LIFTED_BY.get(rule.id)}`" in row) == (rule.id in LIFTED_BY)
