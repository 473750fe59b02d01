"""Progress for a person at a terminal, by rich (the extra `laptop`); plain lines without it, and in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ops_agent.adapters.runner.printing import closed_redaction, escape_controls
from ops_agent.model.finding import Place

_COLOURS = {"notice": "cyan", "warning": "yellow", "error": "red"}
_MAX_OUTPUT = 200
_Part = str | tuple[str, str]
"""A text, or a text with its style."""


def rich_console() -> Any:
    """A rich console on standard output; None when rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(soft_wrap=True, highlight=False)


class TerminalReporter:
    """ports.Reporter for a laptop. `redact` is applied to every text first; without a `console` the lines are plain."""

    def __init__(self, redact: Callable[[str], str], console: Any) -> None:
        self._redact = closed_redaction(redact)
        self._console = console
        self._is_live = console is not None and console.is_terminal
        self._status: Any = None
        self._stages: list[str] = []
        self._turn = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._stages.append(escape_controls(self._redact(name)))
        if not self._is_live:
            self._print(f"== {self._stages[-1]}")
        self._show()
        mark, colour = "failed", "red"
        try:
            yield
            mark, colour = "done", "green"
        finally:
            stage = self._stages.pop()
            self._show()
            self._print((f"{mark:>6}", colour), f"  {stage}  ", (f"{time.monotonic() - began:.1f} s", "dim"))

    def line(self, text: str) -> None:
        self._print((f"        {escape_controls(self._redact(text))}", "dim"))

    def turn(self, number: int, cost_usd: float, note: str) -> None:
        self._turn = f"turn {number}, ${cost_usd:.2f}"
        clean = " ".join(escape_controls(self._redact(note)).split())
        self._show()
        self._print((f"        {self._turn}{f': {clean}' if clean else ''}", "dim"))

    def annotate(self, level: str, text: str, place: Place | None = None) -> None:
        where = f"{escape_controls(self._redact(str(place)))}: " if place is not None else ""
        self._print((f"{level}: ", _COLOURS.get(level, "red")), where, escape_controls(self._redact(text)))

    def mask(self, secret: str) -> None:
        """A terminal has no masks; the redaction knows the secrets."""

    def output(self, name: str, text: str) -> None:
        """Short ones only: a plan's JSON is of no use to a person."""
        clean = escape_controls(self._redact(text))
        if clean and "\n" not in clean and len(clean) <= _MAX_OUTPUT:
            self._print((f"{name}: ", "bold"), clean)

    def summary(self, markdown: str) -> None:
        clean = escape_controls(self._redact(markdown))
        if not self._is_live:
            self._print(clean)
            return
        from rich.markdown import Markdown  # a parser and a highlighter, for the last line of a run

        with suppress(OSError, ValueError):
            self._console.print(Markdown(clean))

    def _show(self) -> None:
        """The live line: the innermost stage, with turns and cost when there are any."""
        if not self._is_live:
            return
        if not self._stages:
            if self._status is not None:
                self._status.stop()
                self._status = None
            return
        from rich.text import Text

        words = Text(f"{' > '.join(self._stages)}  {self._turn}")
        if self._status is None:
            self._status = self._console.status(words)
            self._status.start()
        else:
            self._status.update(words)

    def _print(self, *parts: _Part) -> None:
        """A closed standard output silences the log, not the run."""
        with suppress(OSError, ValueError):
            if self._console is None:
                sys.stdout.write("".join(part if isinstance(part, str) else part[0] for part in parts) + "\n")
                sys.stdout.flush()
                return
            from rich.text import Text

            self._console.print(Text.assemble(*parts))
