"""What the llm is given of a review round: what people wrote and what failed, cleaned and capped, in fences."""

from __future__ import annotations

import re
from typing import Any, Final

from ops_agent.agent.briefing import fenced, fenced_text, plain_name
from ops_agent.issue.visible_text import clean, clean_line
from ops_agent.model.review import FailedCheck, ReviewRound, ReviewThread
from ops_agent.text.templates import fill

_MAX_THREADS: Final = 60
_MAX_COMMENTS: Final = 10
_MAX_TEXT: Final = 6_000
_MAX_HUNK_LINES: Final = 12
_MAX_LOG_LINES: Final = 60
_MAX_LOG: Final = 5_000
MAX_DIFF: Final = 40_000
_MAX_LINE: Final = 400
_TIMESTAMP: Final = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ", re.MULTILINE)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_RESULT_LINES: Final = re.compile(r"^##\[(?:debug|endgroup)\].*\n?", re.MULTILINE)


def round_prompt(
    boundary: str,
    asked: ReviewRound | None,
    checks: tuple[FailedCheck, ...],
    others: tuple[str, ...],
    conflicts: tuple[str, ...],
    diff: str,
) -> str:
    """The part of the task about a branch that is continued. `diff` is what it changes against the base."""
    cut = "\n(cut here: read the files)\n" if len(diff) > MAX_DIFF else ""
    material = _material(asked, checks)
    return fill(
        "agent/prompts/round.md",
        number=asked.number if asked else 0,
        others=", ".join(map(plain_name, others)),
        asked=fenced(boundary, material) if material else "",
        conflicts=", ".join(f"`{plain_name(path)}`" for path in conflicts),
        changes=fenced_text(boundary, "the branch against the base", diff[:MAX_DIFF] + cut),
    )


def threads_to_answer(asked: ReviewRound | None) -> dict[str, int]:
    """The threads that the llm is shown, by the name that it knows them by (`T1`, ...): their ids."""
    threads = asked.threads[:_MAX_THREADS] if asked else ()
    return {f"T{number}": thread.id for number, thread in enumerate(threads, start=1)}


def _material(asked: ReviewRound | None, checks: tuple[FailedCheck, ...]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if asked is not None and asked.reviews:
        shown["reviews"] = [
            {"by": one.author.login, "at": one.at, "verdict": one.verdict, "text": _text(one.body)}
            for one in asked.reviews
        ]
    if asked is not None and asked.threads:
        shown["threads"] = [
            _thread(thread, f"T{number}") for number, thread in enumerate(asked.threads[:_MAX_THREADS], start=1)
        ]
        if more := len(asked.threads[_MAX_THREADS:]):
            shown["threads_of_a_later_round"] = more
    if checks:
        shown["failed_checks"] = [_check(check) for check in checks]
    return shown


def _thread(thread: ReviewThread, name: str) -> dict[str, Any]:
    hunk = thread.hunk.split("\n")
    return {
        "thread": name,
        "path": plain_name(thread.path),
        **({"line": thread.line} if thread.line else {}),
        **({"outdated": True} if thread.is_outdated else {}),
        "hunk": "\n".join(line[:_MAX_LINE] for line in hunk[-_MAX_HUNK_LINES:]),
        "comments": [{"by": c.author.login, "text": _text(c.body)} for c in thread.comments[-_MAX_COMMENTS:]],
    }


def _check(check: FailedCheck) -> dict[str, Any]:
    shown = {
        "name": clean_line(check.name).text,
        "conclusion": check.conclusion,
        "title": clean_line(check.title).text,
        "summary": _text(check.summary),
        "annotations": [clean_line(one[:_MAX_LINE]).text for one in check.annotations],
        "end_of_log": _end(check.log),
    }
    return {name: value for name, value in shown.items() if value}


def _text(body: str) -> str:
    kept = clean(body).text.strip()
    return kept if len(kept) <= _MAX_TEXT else f"{kept[:_MAX_TEXT]}… (cut here)"


def _end(log: str) -> str:
    """The last lines of a log, without time stamps, colours and control characters."""
    plain = _RESULT_LINES.sub("", _TIMESTAMP.sub("", _COLOURS.sub("", log.replace("\r\n", "\n"))))
    lines = ["".join(c for c in line if c.isprintable() or c == "\t")[:_MAX_LINE] for line in plain.split("\n")]
    return "\n".join(lines[-_MAX_LOG_LINES:]).strip()[-_MAX_LOG:]
