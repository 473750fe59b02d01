"""Progress for a person at a terminal, by rich: stages done, the one that runs, turns and cost. Plain lines when it is
no terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from ops_agent.adapters.runner.printing import closed_redaction, printable
from ops_agent.model.finding import Place

_COLOURS = {"notice": "cyan", "warning": "yellow", "error": "red"}
_LONGEST_OUTPUT = 200


class TerminalReporter:
    """ports.Reporter for a laptop. `redact` is applied to every text first."""

    def __init__(self, redact: Callable[[str], str], console: Console | None = None) -> None:
        self._redact = closed_redaction(redact)
        self._console = console or Console(soft_wrap=True, highlight=False)
        self._status: Status | None = None
        self._stages: list[str] = []
        self._turn = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._stages.append(printable(self._redact(name)))
        if not self._console.is_terminal:
            self._print(Text(f"== {self._stages[-1]}"))
        self._show()
        mark, colour = "failed", "red"
        try:
            yield
            mark, colour = "done", "green"
        finally:
            stage = self._stages.pop()
            self._show()
            self._print(
                Text.assemble((f"{mark:>6}", colour), f"  {stage}  ", (f"{time.monotonic() - began:.1f} s", "dim"))
            )

    def line(self, text: str) -> None:
        self._print(Text(f"        {printable(self._redact(text))}", style="dim"))

    def turn(self, number: int, cost_usd: float, note: str) -> None:
        self._turn = f"turn {number}, ${cost_usd:.2f}"
        clean = " ".join(printable(self._redact(note)).split())
        self._show()
        self._print(Text(f"        {self._turn}{f': {clean}' if clean else ''}", style="dim"))

    def annotate(self, level: str, text: str, place: Place | None = None) -> None:
        where = f"{printable(self._redact(str(place)))}: " if place is not None else ""
        self._print(Text.assemble((f"{level}: ", _COLOURS.get(level, "red")), where, printable(self._redact(text))))

    def mask(self, secret: str) -> None:
        """A terminal has no masks; the redaction knows the secrets."""

    def output(self, name: str, text: str) -> None:
        """Short ones only: a plan's JSON is no news for a person."""
        clean = printable(self._redact(text))
        if clean and "\n" not in clean and len(clean) <= _LONGEST_OUTPUT:
            self._print(Text.assemble((f"{name}: ", "bold"), clean))

    def summary(self, markdown: str) -> None:
        clean = printable(self._redact(markdown))
        if not self._console.is_terminal:
            self._print(Text(clean))
            return
        from rich.markdown import Markdown  # a parser and a highlighter, for the last line of a run

        self._print(Markdown(clean))

    def _show(self) -> None:
        """The live line: the innermost stage, with turns and cost when there are any."""
        if not self._console.is_terminal:
            return
        if not self._stages:
            if self._status is not None:
                self._status.stop()
                self._status = None
            return
        words = Text(f"{' > '.join(self._stages)}  {self._turn}")
        if self._status is None:
            self._status = Status(words, console=self._console)
            self._status.start()
        else:
            self._status.update(words)

    def _print(self, what: RenderableType) -> None:
        """A closed standard output silences the log, not the run (N09)."""
        with suppress(OSError, ValueError):
            self._console.print(what)
