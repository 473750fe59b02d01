"""Findings of a checkout in three forms that say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.pages.findings import Judgement, as_json, as_sarif, as_text
from pages.sarif.validation import invalid

_RULES = st.sampled_from([*(rule.id for rule in TABLE), "guard/rule-crashed", "baseline/expired"])
_PATHS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20)
FINDINGS = st.builds(
    Finding,
    rule=_RULES,
    what=st.text(max_size=40),
    title=st.just("A title"),
    remedy=st.text(min_size=1, max_size=40),
    severity=st.sampled_from(Severity),
    place=st.builds(Place, path=_PATHS, line=st.integers(0, 10_000)),
    pre_existing=st.booleans(),
)
JUDGEMENTS = st.lists(FINDINGS, max_size=6).map(
    lambda found: Judgement(
        findings=tuple(found), prints={one: f"{number:016x}" for number, one in enumerate(found)}, version="0.1.0"
    )
)


def finding(**fields: Any) -> Finding:
    usual = {"rule": "terraform/provisioner", "what": "a provisioner runs", "remedy": "Take it out.", "title": "T"}
    return Finding(**{**usual, "place": Place(path="infra/main.tf", line=7), **fields})


@given(JUDGEMENTS)
def test_json_and_sarif_hold_the_same_findings_and_the_log_fits_the_schema(judgement: Judgement) -> None:
    said, log = json.loads(as_json(judgement)), json.loads(as_sarif(judgement))
    assert invalid(log) == []
    assert said["blocks"] is judgement.blocks is any(one["blocks"] for one in said["findings"])
    levels = {"blocks": "error", "decision": "warning", "warning": "warning", "notice": "note"}
    results = log["runs"][0]["results"]
    assert [
        (one["rule"], levels[one["severity"]], max(one["line"], 1), one["preexisting"]) for one in said["findings"]
    ] == [
        (
            one["ruleId"],
            one["level"],
            one["locations"][0]["physicalLocation"]["region"]["startLine"],
            one["baselineState"] == "unchanged",
        )
        for one in results
    ]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in results)
    assert len({one["partialFingerprints"]["primaryLocationLineHash"] for one in results}) == len(results)


@given(JUDGEMENTS)
def test_a_terminal_gets_nothing_but_plain_lines_whatever_a_repository_is_called(judgement: Judgement) -> None:
    text = as_text(judgement)
    assert all(character.isprintable() or character == "\n" for character in text)
    new = [one for one in judgement.findings if not one.pre_existing]
    assert text.count("\n") == 2 * len(new) + 1
    assert text.rpartition("\n")[0].rpartition("\n")[2].startswith("Nothing") is not judgement.blocks
    assert as_text(judgement, colours=True).count("\x1b[0m") == 2 * len(new) + 1


def test_json_has_exactly_these_keys() -> None:
    said = json.loads(as_json(Judgement(findings=(finding(),))))
    assert said == {
        "blocks": True,
        "findings": [
            {
                "rule": "terraform/provisioner",
                "path": "infra/main.tf",
                "line": 7,
                "blocks": True,
                "severity": "blocks",
                "message": "a provisioner runs",
                "remedy": "Take it out.",
                "preexisting": False,
            }
        ],
    }


def test_the_text_shows_what_is_new_and_counts_the_rest() -> None:
    shown = as_text(
        Judgement(
            findings=(
                finding(),
                finding(severity=Severity.DECISION, place=Place(path="infra")),
                finding(severity=Severity.NOTICE, pre_existing=True),
            ),
            excused=2,
        )
    )
    assert shown.splitlines() == [
        "infra/main.tf:7: blocks terraform/provisioner: a provisioner runs",
        "    Take it out.",
        "infra: decision terraform/provisioner: a provisioner runs",
        "    Take it out.",
        (
            "1 finding blocks, 1 decision, 1 finding on the base already (`--format json` shows them), "
            "2 excused by the baseline"
        ),
    ]
    assert as_text(Judgement(findings=())) == "Nothing blocks\n"


def test_every_rule_has_a_help_page_that_exists() -> None:
    page = (Path(__file__).parents[2] / "docs/rules.md").read_text()
    headings = {line[4:].strip("`") for line in page.splitlines() if line.startswith("### `")}
    log = json.loads(as_sarif(Judgement(findings=())))
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["id"] in headings and rule["helpUri"].endswith(f"docs/rules.md#{rule['id'].replace('/', '')}")
        assert rule["help"]["text"].partition("Remedy: ")[2] and rule["shortDescription"]["text"]


@pytest.mark.parametrize(
    "place", [("runs",), ("runs", 0, "results", 0, "level"), ("runs", 0, "tool", "driver", "name")]
)
def test_the_slice_of_the_schema_refuses_what_is_no_log(place: tuple[Any, ...]) -> None:
    log = json.loads(as_sarif(Judgement(findings=(finding(),))))
    assert invalid(log) == []
    inner = log
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = 3
    assert invalid(log)
    assert invalid({**log, "more": 1})


def test_an_odd_path_is_a_uri_and_a_fingerprint_counts_equal_lines() -> None:
    one, two = finding(place=Place(path="a b/ü%.tf", line=1)), finding(place=Place(path="a b/ü%.tf", line=2))
    log = json.loads(as_sarif(Judgement(findings=(one, two), prints={one: "f" * 16, two: "f" * 16})))
    first, second = log["runs"][0]["results"]
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%BC%25.tf"
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in (first, second)]
    assert prints == [f"{'f' * 16}:1", f"{'f' * 16}:2"]
