"""The llm's words in the pull request: redacted, neutralised, cut with a visible mark, always after what code knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ops_agent.core.texts.neutral import cell, neutralise
from ops_agent.domain.conversation import Ending
from ops_agent.domain.work_item import Criterion

MOST_PROSE = 4_000
_SAYS_NOTHING = re.compile(r"(?i)[\s*_`-]*(?:none|nothing|n/?a|not applicable|no changes?|no)?[\s*_`.-]*")
"""What llms write where a section wants no words."""
_MOST_CELL = 300
MOST_CRITERIA = 50


@dataclass(slots=True)
class Overflow:
    """What did not fit, by title; the job summary shows it."""

    parts: list[str] = field(default_factory=list)

    def add(self, title: str, markdown: str) -> None:
        self.parts.append(f"### {title}\n\n{markdown}")

    @property
    def text(self) -> str:
        return "\n\n".join(self.parts)


def counted(number: int, noun: str) -> str:
    """`1 finding`, `1,200 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def prose(title: str, text: str, redact: Callable[[str], str], overflow: Overflow, most: int = MOST_PROSE) -> str:
    """`text` as Markdown of at most `most` code points; the rest goes to `overflow` under `title`. Empty for `None.`"""
    clean = redact(text).strip()
    if not clean or _SAYS_NOTHING.fullmatch(clean):
        return ""
    kept = clean
    while len(shown := neutralise(kept)) > most:
        kept = kept[: len(kept) * 3 // 4]
        kept = kept[: kept.rfind("\n")] if "\n" in kept[len(kept) // 2 :] else kept
    rest = clean[len(kept) :].strip()
    if not rest:
        return shown
    overflow.add(title, neutralise(rest))
    return f"{shown}\n\n*(cut here: {len(rest):,} more characters in the job summary)*"


def said(facts: str, words: str) -> str:
    """A section: what code knows, then the llm's words under a line that says whose they are."""
    return f"{facts}\n\n*In the agent's words:*\n\n{words}" if words and facts else words or facts


def criteria_table(criteria: tuple[Criterion, ...], ending: Ending | None, redact: Callable[[str], str]) -> str:
    """Every acceptance criterion of the item with the agent's answer. A criterion without one says `not answered`."""
    if not criteria:
        return "The issue names no acceptance criteria."
    answers = {answer.criterion_id: answer for answer in (ending.criteria if ending else ())}
    lines = ["The answers are the agent's; the checks and the plan are the proof.", "", "| | Criterion | Met | How |", "|---|---|---|---|"]
    for criterion in criteria[:MOST_CRITERIA]:
        answer = answers.get(criterion.id)
        met = _short(redact(answer.met)) if answer and answer.met.strip() else "**not answered**"
        how = _short(redact(answer.how)) if answer else ""
        lines.append(f"| {criterion.id} | {_short(redact(criterion.text))} | {met} | {how} |")
    if len(criteria) > MOST_CRITERIA:
        lines.append(f"| | and {len(criteria) - MOST_CRITERIA} more in the issue | | |")
    return "\n".join(lines)


def listed(entries: tuple[str, ...], redact: Callable[[str], str], most: int = 20) -> str:
    """Short texts of the llm as a list."""
    return "\n".join(f"- {_short(redact(entry))}" for entry in entries[:most] if entry.strip())


def _short(text: str) -> str:
    return cell(text if len(text) <= _MOST_CELL else text[:_MOST_CELL] + "…")
