"""A text under cleaning: cuts are noted against the source and made all at once; a Stretch is a piece of it as Markdown sees it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive lines without what their containers put before them (`> `, list indentation).

    `starts` and `sources` say for each line where it begins in `text` and in the page's source.
    """

    text: str
    starts: tuple[int, ...]
    sources: tuple[int, ...]

    def at(self, position: int) -> int:
        """Where the character at `position` of `text` stands in the source."""
        line = bisect_right(self.starts, position) - 1
        return self.sources[line] + position - self.starts[line]

    def after(self, position: int) -> int:
        """Where the character before `position` ends in the source."""
        return self.at(position - 1) + 1 if position else self.at(0)


@dataclass(slots=True)
class Page:
    """The source, the cuts so far, and what is open across blocks: the element that hides its content (`hidden_name`), and tags in it."""

    source: str
    cuts: list[tuple[int, int, str, str]] = field(default_factory=list)
    hidden_name: str = ""
    hidden_open: list[str] = field(default_factory=list)
    hidden_from: int = 0
    hidden_block: int = 0
    ended: bool = False

    def cut(self, start: int, end: int, sort: str, instead: str = "") -> None:
        """Take out source[start:end]; `instead` must not be longer than what it replaces."""
        self.cuts.append((start, end, sort, instead))

    def cut_rest(self, start: int, sort: str) -> None:
        """Take out everything from `start` on: what cannot be told apart from hidden text is treated as hidden."""
        self.cut(start, len(self.source), sort)
        self.ended = True

    def result(self) -> tuple[str, dict[str, int]]:
        """The text without its cuts, and the number of cuts by sort; a cut inside another one does not count."""
        if self.hidden_name:
            self.cut_rest(self.hidden_from, "hidden element")
        pieces: list[str] = []
        removed: dict[str, int] = {}
        done = 0
        for start, end, sort, instead in sorted(self.cuts, key=lambda cut: (cut[0], -cut[1])):
            if end <= done:
                continue
            if start >= done:
                pieces += (self.source[done:start], instead)
            removed[sort] = removed.get(sort, 0) + 1
            done = end
        pieces.append(self.source[done:])
        return "".join(pieces), removed
