"""A reporter that passes everything on and keeps what happened when, for the record of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ops_agent.model.finding import Place
from ops_agent.model.ports import Clock, Reporter
from ops_agent.model.record import RunEvent

MAX_EVENTS = 5_000


class RecordingReporter:
    """ports.Reporter over another one. `events` are in the order in which they happened, at most MAX_EVENTS."""

    def __init__(self, reporter: Reporter, clock: Clock) -> None:
        self._reporter, self._clock = reporter, clock
        self._start = clock.monotonic()
        self.events: list[RunEvent] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._keep("stage", name)
        try:
            with self._reporter.stage(name):
                yield
        finally:
            self._keep("end", name)

    def line(self, text: str) -> None:
        self._keep("line", text)
        self._reporter.line(text)

    def turn(self, number: int, cost_usd: float, note: str) -> None:
        self._keep("turn", f"turn {number}, ${cost_usd:.2f}: {note}")
        self._reporter.turn(number, cost_usd, note)

    def annotate(self, level: str, text: str, place: Place | None = None) -> None:
        self._keep(level, text)
        self._reporter.annotate(level, text, place)

    def mask(self, secret: str) -> None:
        self._reporter.mask(secret)

    def output(self, name: str, text: str) -> None:
        self._reporter.output(name, text)

    def summary(self, markdown: str) -> None:
        self._reporter.summary(markdown)

    def _keep(self, kind: str, text: str) -> None:
        if len(self.events) < MAX_EVENTS:
            self.events.append(RunEvent(at=round(self._clock.monotonic() - self._start, 3), kind=kind, text=text))
