"""The doctor's diagnoses as lines, as JSON, and as a page for the job summary and the one issue.

Paths and texts of the repository are in them: nothing of it acts as Markdown, as a command of the runner or on a
terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ops_agent.adapters.runner.printing import escape_controls
from ops_agent.doctor.diagnosis import FAIL, IN_A_JOB, OK, SKIP, WARN, Diagnosis
from ops_agent.model.ports import Reporter
from ops_agent.pages.fragments import counted, details, joined
from ops_agent.pages.job_summary import MAX_ANNOTATIONS
from ops_agent.text.markdown import cell, code_block, cut_markdown

MARKER: Final = "<!-- ops-agent:doctor -->"
"""The first line of our one issue."""
_MAX_PAGE: Final = 60_000  # GitHub takes 65,536 characters of an issue
_WORDS: Final = {FAIL: "**fix**", WARN: "look", SKIP: "not checked"}


def exit_code(found: Iterable[Diagnosis]) -> int:
    """2 when one of them is FAIL, else 0."""
    return 2 if any(one.health is FAIL for one in found) else 0


def headline(found: Sequence[Diagnosis]) -> str:
    """The result in one sentence."""
    failed, warned = _count(found)
    fix = f"{counted(failed, 'failure')} to fix before a run can succeed" if failed else "No failures"
    return fix + (f", {counted(warned, 'warning')}" if warned else "") + "."


def as_lines(found: Sequence[Diagnosis]) -> Iterator[str]:
    """A line for each, one for what to do about it, and the result."""
    for one in found:
        yield f"{one.health:<4}  {one.subject}: {_line(one.what)}"
        if one.hint not in ("", IN_A_JOB) and one.health is not OK:
            first, *more = one.hint.split("\n")
            yield from (f"      {_line(line)}" for line in ((first, *more) if more else (f"-> {first}",)))
    skipped = ", ".join(dict.fromkeys(one.subject for one in found if one.health is SKIP))
    where = f" {IN_A_JOB}" if any(one.hint == IN_A_JOB for one in found) else ""
    yield headline(found) + (f" Not checked: {skipped}.{where}" if skipped else "")


def as_json(found: Sequence[Diagnosis]) -> str:
    """docs/doctor.md describes the keys."""
    failures, warnings = _count(found)
    listed = [
        {"check": one.subject, "health": one.health, "what": one.what, "hint": one.hint, "details": one.details}
        for one in found
    ]
    text = json.dumps({"version": 1, "failures": failures, "warnings": warnings, "diagnoses": listed}, indent=2)
    return text.replace("##[", "##\\u005b")  # a command of the runner wherever it stands in a line


def as_page(found: Sequence[Diagnosis]) -> str:
    """Markdown: what is to be done as a table, worst first; lines to copy below it; what is in order folded."""
    rows, blocks = ["| | check | what was found | what to do |", "|---|---|---|---|"], []
    for one in sorted((one for one in found if one.health is not OK), key=lambda one: [*_WORDS].index(one.health)):
        to_copy = "\n" in one.hint
        if to_copy:
            blocks.append(f"{cell(one.what)}:\n\n{code_block(one.hint, 'yaml')}")
        hint = "see below the table" if to_copy else cell(one.hint)
        rows.append(f"| {_WORDS[one.health]} | {cell(one.subject)} | {cell(one.what)} | {hint} |")
    fine = "\n".join(f"- {cell(one.subject)}: {cell(one.what)}" for one in found if one.health is OK)
    parts = ("\n".join(rows) if len(rows) > 2 else "", *blocks, details("In order", fine) if fine else "")
    page = joined("## ops-agent doctor", headline(found), *parts)
    kept, rest = cut_markdown(page, _MAX_PAGE)
    return f"{kept}\n\n*(cut here: the job's log has every line)*" if rest else kept


def show_in_job(found: Sequence[Diagnosis], reporter: Reporter) -> None:
    """The lines in the log, an annotation for each failure, and the page as the job summary."""
    for line in as_lines(found):
        reporter.line(line)
    for one in [one for one in found if one.health is FAIL][:MAX_ANNOTATIONS]:
        reporter.annotate("error", f"{one.subject}: {_line(f'{one.what}. {one.hint}')}")
    reporter.summary(as_page(found))


def _count(found: Sequence[Diagnosis]) -> tuple[int, int]:
    """Failures and warnings."""
    return sum(one.health is FAIL for one in found), sum(one.health is WARN for one in found)


def _line(text: str) -> str:
    return escape_controls(text).replace("\n", "\\n")
