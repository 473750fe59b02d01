"""What a run reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ops_agent.model.finding import Place


class KeepingReporter:
    """ports.Reporter that keeps everything; `said` is everything that would have left the process."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.lines: list[str] = []
        self.turns: list[tuple[int, float, str]] = []
        self.annotations: list[tuple[str, str]] = []
        self.places: list[Place | None] = []
        self.masked: list[str] = []
        self.outputs: dict[str, str] = {}
        self.summaries: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.stages.append(name)
        yield

    def line(self, text: str) -> None:
        self.lines.append(text)

    def turn(self, number: int, cost_usd: float, note: str) -> None:
        self.turns.append((number, cost_usd, note))

    def annotate(self, level: str, text: str, place: Place | None = None) -> None:
        self.annotations.append((level, text))
        self.places.append(place)

    def mask(self, secret: str) -> None:
        self.masked.append(secret)

    def output(self, name: str, text: str) -> None:
        self.outputs[name] = text

    def summary(self, markdown: str) -> None:
        self.summaries.append(markdown)

    @property
    def said(self) -> str:
        notes = [note for _, _, note in self.turns]
        return "\n".join(
            [*self.lines, *notes, *self.summaries, *self.outputs.values(), *(text for _, text in self.annotations)]
        )
