"""Findings about a checkout for a terminal, for programs (JSON) and for code scanning (SARIF 2.1.0)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Finding, Severity
from ops_agent.pages.fragments import counted

_REPOSITORY = "https://github.com/org/ops-agent"
_RULES_PAGE = f"{_REPOSITORY}/blob/main/docs/rules.md"
_BASELINE_PAGE = f"{_REPOSITORY}/blob/main/docs/judge.md#baseline"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {
    Severity.BLOCKS: "error",
    Severity.DECISION: "warning",
    Severity.WARNING: "warning",
    Severity.NOTICE: "note",
}
_COLOURS = {Severity.BLOCKS: "31", Severity.DECISION: "33", Severity.WARNING: "33", Severity.NOTICE: "36"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What there is to show. `prints` are the fingerprints, `excused` counts what the baseline excused."""

    findings: tuple[Finding, ...]
    prints: Mapping[Finding, str] = field(default_factory=dict)
    excused: int = 0
    version: str = ""

    @property
    def blocks(self) -> bool:
        return any(finding.blocks for finding in self.findings)


def as_text(judgement: Judgement, *, colours: bool = False) -> str:
    """`path:line: severity rule: message` for each new finding, its remedy below it; then a line that counts them."""

    def painted(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colours else text

    lines = []
    new = [finding for finding in judgement.findings if not finding.pre_existing]
    for one in new:
        word = painted(one.severity.name.lower(), _COLOURS[one.severity])
        lines.append(f"{painted(_plain(str(one.place)), '1')}: {word} {one.rule}: {_plain(one.what)}")
        lines.append(f"    {_plain(one.remedy)}")
    counts = Counter(one.severity for one in new)
    count = counts[Severity.BLOCKS]
    old = len(judgement.findings) - len(new)
    nothing = "Nothing new blocks" if old else "Nothing blocks"
    parts = [f"{count} finding{'s block' if count > 1 else ' blocks'}" if count else nothing]
    others = ((one.name.lower(), counts[one]) for one in Severity if one is not Severity.BLOCKS)
    parts += [f"{number} {word}{'s' * (number > 1)}" for word, number in others if number]
    parts += [f"{counted(old, 'finding')} on the base already (`--format json` shows them)"] if old else []
    parts += [f"{judgement.excused} excused by the baseline"] if judgement.excused else []
    lines.append(painted(", ".join(parts), "31" if count else "32"))
    return "\n".join(lines) + "\n"


def as_json(judgement: Judgement) -> str:
    """One object: `blocks`, and `findings` in the order in which the text shows them."""
    findings = [
        {
            "rule": one.rule,
            "path": one.place.path,
            "line": one.place.line,
            "blocks": one.blocks,
            "severity": one.severity.name.lower(),
            "message": one.what,
            "remedy": one.remedy,
            "preexisting": one.pre_existing,
        }
        for one in judgement.findings
    ]
    return json.dumps({"blocks": judgement.blocks, "findings": findings}, indent=2) + "\n"


def as_sarif(judgement: Judgement) -> str:
    """A log with one run: every rule that found something, and one result for each finding."""
    ids = {one.rule for one in judgement.findings}
    found = (rule for rule in TABLE if rule.id in ids)
    rules = [_rule(rule.id, rule.title, f"{rule.reason}\n\nRemedy: {rule.remedy}", rule.severity) for rule in found]
    known = {rule["id"]: place for place, rule in enumerate(rules)}
    results, seen = [], Counter[str]()
    for one in judgement.findings:
        if one.rule not in known:
            known[one.rule] = len(rules)
            rules.append(_rule(one.rule, one.title or one.rule, f"Remedy: {one.remedy}", one.severity))
        print_ = judgement.prints.get(one, one.rule)
        seen[print_] += 1
        results.append(
            {
                "ruleId": one.rule,
                "ruleIndex": known[one.rule],
                "level": _LEVELS[one.severity],
                "message": {"text": f"{_plain(one.what)}\n\nRemedy: {_plain(one.remedy)}"},
                "baselineState": "unchanged" if one.pre_existing else "new",
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": _uri(one.place.path), "uriBaseId": "%SRCROOT%"},
                            "region": {"startLine": max(one.place.line, 1)},
                        }
                    }
                ],
                "partialFingerprints": {"primaryLocationLineHash": f"{print_}:{seen[print_]}"},
            }
        )
    driver = {"name": "ops-agent", "informationUri": _REPOSITORY, "version": judgement.version, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(name: str, title: str, help_: str, severity: Severity) -> dict[str, Any]:
    page = _BASELINE_PAGE if name.startswith("baseline/") else f"{_RULES_PAGE}#{name.replace('/', '')}"
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": help_},
        "helpUri": page if not name.startswith("guard/") else _RULES_PAGE,
        "defaultConfiguration": {"level": _LEVELS[severity]},
    }


def _uri(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"), safe="/")


def _plain(text: str) -> str:
    """One line without control characters: a path or a name in a hostile repository reaches a terminal here."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


FORMATS: dict[str, Callable[[Judgement], str]] = {"text": as_text, "json": as_json, "sarif": as_sarif}
