"""The baseline: findings that people accepted, each with a reason and an end date."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_agent.config.baseline import (
    BASELINE_FILE,
    DAYS,
    TODO,
    Accepted,
    excuse,
    fingerprint,
    read_baseline,
    require_usable,
    write_baseline,
)
from ops_agent.config.strict_yaml import MAX_BYTES
from ops_agent.guard.paths import path_refusal
from ops_agent.guard.rules import TABLE
from ops_agent.model.errors import ConfigError
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.policy import Policy

TODAY = date(2026, 11, 30)
ENTRY = """\
- rule: terraform/foreign-region
  path: infra/main.tf
  fingerprint: 0123456789abcdef
  reason: certificates for CloudFront exist there only
  expires: 2027-01-31
"""


def finding(line: int = 7, **fields: Any) -> Finding:
    usual = {"rule": "terraform/foreign-region", "what": "`us-east-1` is named", "remedy": "Use the policy's region."}
    return Finding(**{**usual, "place": Place(path="infra/main.tf", line=line), **fields})


def accepted(**fields: Any) -> Accepted:
    usual: dict[str, Any] = {
        "rule": "terraform/foreign-region",
        "path": "infra/main.tf",
        "fingerprint": "f" * 16,
        "reason": "agreed",
        "expires": TODAY,
        "line": 3,
    }
    return Accepted(**{**usual, **fields})


def test_an_entry_is_read_with_its_line() -> None:
    ((entry,), problems) = read_baseline(b"# why\n" + ENTRY.encode())
    assert problems == ()
    assert entry.key == ("terraform/foreign-region", "infra/main.tf", "0123456789abcdef")
    assert (entry.reason, entry.expires, entry.line) == (
        "certificates for CloudFront exist there only",
        date(2027, 1, 31),
        2,
    )
    assert read_baseline(b"") == read_baseline(b"# nothing\n[]\n") == ((), ())


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("reason: certificates for CloudFront exist there only", "reason: TODO", "`reason` is not written yet"),
        ("reason: certificates for CloudFront exist there only", "reason: ''", "`reason` is not written yet"),
        ("  reason: certificates for CloudFront exist there only\n", "", "`reason` is not written yet"),
        ("reason: certificates for CloudFront exist there only", "reason: [a]", "`reason` is not written yet"),
        ("2027-01-31", "next year", "`expires` is not a day (YYYY-MM-DD)"),
        ("  expires: 2027-01-31\n", "", "`expires` is not a day (YYYY-MM-DD)"),
        ("0123456789abcdef", "xyz", "`fingerprint` is not 16 hex digits"),
        ("rule: terraform/foreign-region", "rule: ''", "`rule` is missing or empty"),
        ("path: infra/main.tf", "file: infra/main.tf", "`path` is missing or empty"),
        ("path: infra/main.tf", "file: infra/main.tf", "`file` is not known; known are rule, path,"),
        ("- rule", "x: &a 1\n- rule", "line 1: "),
        (ENTRY, "rule: x\n", "a list of entries is expected"),
        (ENTRY, "- x\n", "`rule` is missing or empty"),
    ],
)
def test_what_cannot_be_used_is_a_problem_with_its_line(old: str, new: str, what: str) -> None:
    _, problems = read_baseline(ENTRY.replace(old, new).encode())
    assert any(what in problem for problem in problems), problems
    assert all(problem.startswith("line ") for problem in problems)
    with pytest.raises(ConfigError, match="cannot be used") as refused:
        require_usable(problems, "of the base")
    assert refused.value.problems == problems


def test_a_fingerprint_stays_when_lines_move_and_goes_when_they_change() -> None:
    before, after = "a\n  region = x\n", "# more\n\na\n    region = x\nb\n"
    assert fingerprint(finding(2), lambda _: before) == fingerprint(finding(4), lambda _: after)
    others = {
        fingerprint(finding(2), lambda _: before),
        fingerprint(finding(1), lambda _: before),
        fingerprint(finding(2, rule="x/y"), lambda _: before),
        fingerprint(finding(0), lambda _: before),
        fingerprint(finding(0, what="else"), lambda _: before),
        fingerprint(finding(2, place=Place(path="b.tf", line=2)), lambda _: before),
    }
    assert len(others) == 6
    assert fingerprint(finding(99), lambda _: before) == fingerprint(finding(0), lambda _: "")


def test_an_entry_excuses_one_new_finding_up_to_its_day() -> None:
    one, two, old = finding(1), finding(2), finding(3, pre_existing=True)
    prints = dict.fromkeys((one, two, old), "f" * 16)
    kept, excused = excuse((old, one, two), prints, (accepted(),), TODAY, whole=True)
    assert (kept, excused) == ((old, two), 1)
    other = accepted(fingerprint="e" * 16)
    assert excuse((one,), prints, (other,), TODAY, whole=False) == ((one,), 0)


def test_an_expired_entry_excuses_nothing_and_is_reported_and_so_is_an_unused_one() -> None:
    one = finding()
    (kept, expired), excused = excuse(
        (one,), {one: "f" * 16}, (accepted(expires=TODAY - timedelta(days=1)),), TODAY, whole=False
    )
    assert (kept, excused) == (one, 0)
    assert (expired.rule, expired.severity, str(expired.place)) == (
        "baseline/expired",
        Severity.NOTICE,
        ".github/ops-agent-baseline.yml:3",
    )
    assert "expired on 2026-11-29" in expired.what and not expired.blocks
    (unused,), _ = excuse((), {}, (accepted(),), TODAY, whole=True)
    assert (unused.rule, unused.severity) == ("baseline/unused", Severity.NOTICE)
    assert excuse((), {}, (accepted(),), TODAY, whole=False) == ((), 0)


def test_what_blocks_is_written_and_refused_until_a_person_has_given_a_reason() -> None:
    one, notice = finding(what="a `\x1b` line\nand more"), finding(8, severity=Severity.NOTICE)
    text, *counts = write_baseline((one, notice), {one: "a" * 16, notice: "b" * 16}, (), TODAY, lambda _: True)
    assert counts == [1, 1]
    (entry,), problems = read_baseline(text.encode())
    assert entry.key == (one.rule, "infra/main.tf", "a" * 16)
    assert entry.expires == TODAY + timedelta(days=DAYS)
    assert problems == ("line 5: `reason` is not written yet: say why this may stay",)
    done = text.replace(f'"{TODO}"', '"it is agreed"')
    assert read_baseline(done.encode())[1] == ()


def test_a_second_writing_keeps_reasons_and_forgets_what_is_gone() -> None:
    one, new = finding(1), finding(2)
    known = (accepted(reason='ours: "quoted" ☃', expires=date(2030, 1, 1)), accepted(fingerprint="0" * 16))
    prints = {one: "f" * 16, new: "f" * 16}
    text, *counts = write_baseline((one, new), prints, known, TODAY, lambda _: True)
    entries, _ = read_baseline(text.encode())
    assert [(e.reason, e.expires.year) for e in entries] == [('ours: "quoted" ☃', 2030), (TODO, 2027)]
    assert counts == [2, 1]
    text, *counts = write_baseline((), prints, known, TODAY, lambda path: path != "infra/main.tf")
    assert [e.key for e in read_baseline(text.encode())[0]] == [e.key for e in known] and counts == [2, 0]


def test_a_baseline_that_could_not_be_read_again_is_not_written() -> None:
    many = [finding(number) for number in range(MAX_BYTES // 100)]
    with pytest.raises(ConfigError, match="more than the 120,000 bytes"):
        write_baseline(many, dict.fromkeys(many, "f" * 16), (), TODAY, lambda _: True)


def test_the_agent_may_not_write_it() -> None:
    assert path_refusal(BASELINE_FILE, b"", Policy()) is not None


def test_the_example_of_the_documents_can_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs/judge.md").read_text()
    (example,) = re.findall(r"```yaml\n(- rule:.*?)```", page, re.DOTALL)
    (entry,), problems = read_baseline(example.encode())
    assert entry.rule in {rule.id for rule in TABLE} and problems == ()
