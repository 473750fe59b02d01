"""How a run went, from beginning to end, as it is kept in a file: what `replay` shows and `eval` counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ops_agent.model.conversation import Transcript

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened `at` so many seconds after the run began.

    `kind` is stage, end (of that stage), turn, line, notice, warning or error.
    """

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of one work item. `transcript` is None when the llm was not asked. Every text is redacted before it is
    written; none is neutralised for a page.
    """

    issue: str
    title: str
    conclusion: str
    reason: str
    seconds: float
    events: tuple[RunEvent, ...] = ()
    transcript: Transcript | None = None
    pull_request: str = ""
    format: int = FORMAT
