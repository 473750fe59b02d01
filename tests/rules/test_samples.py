"""Every rule has good and bad samples; bad ones are found by their rule, good ones pass under all rules."""

from __future__ import annotations

from pathlib import Path

import pytest

import ops_agent.guard.rules
from ops_agent.guard.rules import LINTER_RULES, TABLE
from rules.judging import policy_of, samples, sides, verdict_of

RULES = {r.id: r for r in TABLE}
ALL = [(rule, path) for rule, paths in samples().items() for path in paths]
GOOD = [pytest.param(r, p, id=f"{r}/{p.name}") for r, p in ALL if p.name.startswith("good-")]
BAD = [pytest.param(r, p, id=f"{r}/{p.name}") for r, p in ALL if p.name.startswith("bad-")]


OF_LATER_VERSIONS = "zizmor/audit"
"""No audit of today's zizmor is left to it; tests/guard/test_linters.py holds it with an invented one."""


@pytest.mark.parametrize("rule", [r.id for r in TABLE if r.id != OF_LATER_VERSIONS])
def test_every_rule_has_good_and_bad_samples(rule: str) -> None:
    names = [p.name for p in samples().get(rule, [])]
    assert any(n.startswith("good-") for n in names) and any(n.startswith("bad-") for n in names)


def test_no_sample_belongs_to_a_rule_that_is_gone() -> None:
    assert set(samples()) <= set(RULES)


def test_every_decorated_function_is_in_the_table() -> None:
    package = Path(ops_agent.guard.rules.__file__).parent
    decorated = [text for path in package.rglob("*.py") for text in [path.read_text()]]
    assert sum(text.count("\n@rule(") for text in decorated) == len(TABLE) - len(LINTER_RULES)


def test_ids_are_unique_and_words_are_there() -> None:
    assert len(RULES) == len(TABLE)
    assert all(r.title and r.reason and r.remedy for r in TABLE)


@pytest.mark.parametrize(("rule", "sample"), BAD)
def test_a_bad_sample_is_found_by_its_rule(rule: str, sample: Path) -> None:
    base, written = sides(sample)
    verdict = verdict_of(written, base, policy_of(sample))
    found = [f for f in verdict.findings if f.rule == rule and not f.pre_existing]
    assert found, verdict.findings
    assert all(f.severity is RULES[rule].severity for f in found)
    assert not [f for f in verdict.findings if f.rule.startswith("guard/")]


@pytest.mark.parametrize(("rule", "sample"), GOOD)
def test_a_good_sample_passes_under_all_rules(rule: str, sample: Path) -> None:
    base, written = sides(sample)
    verdict = verdict_of(written, base, policy_of(sample))
    assert not verdict.blocking
    assert not [f for f in verdict.findings if f.rule == rule]
