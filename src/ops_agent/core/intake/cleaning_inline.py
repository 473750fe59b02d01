"""A paragraph's text, read left to right as CommonMark does: code spans, escapes, HTML, links and images. Linear in its length.

Link titles, image texts, reference labels and mathematics are cut: a reader does not see them as they are written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection

from markdown_it.common.utils import normalizeReference

from ops_agent.core.intake.cleaning_html import drop_comment_marks, scan_inline
from ops_agent.core.intake.cleaning_page import Page, Stretch

_SPECIAL = re.compile(r"[\\`<\[\]]|!\[")
_ESCAPABLE = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_TICKS = re.compile(r"`+")
_TITLE = re.compile(r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)""", re.DOTALL)
_ANGLED = re.compile(r"<(?:[^<>\n\\]|\\.)*+>")
_LABEL = re.compile(r"\[((?:[^\[\]\\]|\\.){0,999})\]", re.DOTALL)
_COMMAND = re.compile(r"\\[A-Za-z]")
_SPACES = re.compile(r"[ \t]*+(?:\n[ \t]*+)?")


class _Bracket:
    """An opening `[` or `![` that waits for its end; a link inside a link switches it off."""

    __slots__ = ("active", "image", "start", "text_start")

    def __init__(self, start: int, image: bool) -> None:
        self.start, self.image, self.active = start, image, True
        self.text_start = start + (2 if image else 1)


class InlineScan:
    """One pass over a stretch. `references` are the normalised labels of the page's link definitions."""

    def __init__(self, page: Page, stretch: Stretch, references: Collection[str]) -> None:
        self._page, self._stretch, self._references = page, stretch, references
        self._text = stretch.text
        self._brackets: list[_Bracket] = []
        self._code: list[tuple[int, int]] = []
        self._runs: dict[int, list[int]] = {}
        for run in _TICKS.finditer(self._text):
            self._runs.setdefault(len(run[0]), []).append(run.start())

    def run(self) -> None:
        position = 0
        while not self._page.ended and (found := _SPECIAL.search(self._text, position)):
            start = found.start()
            if found[0] == "\\":
                position = start + (2 if self._text[start + 1 : start + 2] in _ESCAPABLE else 1)
            elif found[0] == "`":
                position = self._code_span(start)
            elif found[0] == "<":
                position = scan_inline(self._page, self._stretch, start)
            elif found[0] == "]":
                position = self._close(start)
            else:
                self._brackets.append(_Bracket(start, found[0] == "!["))
                position = found.end()
        if not self._page.ended:
            self._mathematics()
        elif unfinished := [bracket for bracket in self._brackets if bracket.image]:
            self._page.cut_rest(self._stretch.at(unfinished[0].start), "image")

    def _cut(self, start: int, end: int, sort: str) -> None:
        if start < end:
            self._page.cut(self._stretch.at(start), self._stretch.after(end), sort)

    def _code_span(self, start: int) -> int:
        ticks = _TICKS.match(self._text, start)
        length = len(ticks[0]) if ticks else 1
        runs = self._runs.get(length, [])
        following = bisect_right(runs, start)
        if following == len(runs):
            return start + length
        end = runs[following] + length
        drop_comment_marks(self._page, self._stretch.at(start), self._stretch.after(end))
        if self._text[start - 1 : start] == "$" and self._text[end : end + 1] == "$":
            self._cut(start - 1, end + 1, "mathematics")
        self._code.append((start, end))
        return end

    def _close(self, end: int) -> int:
        """`]` at `end`: the link or image that it ends, if any (CommonMark's bracket stack)."""
        if not self._brackets:
            return end + 1
        opener = self._brackets.pop()
        if not opener.active:
            return end + 1
        tail = self._inline_tail(end + 1)
        if tail is None:
            tail = self._reference_tail(opener, end + 1)
        if tail is None:
            return end + 1
        stop, cuts = tail
        if opener.image:
            self._cut(opener.start, stop, "image")
            return stop
        for start, finish, sort in cuts:
            self._cut(start, finish, sort)
        for bracket in self._brackets:
            if not bracket.image:
                bracket.active = False
        return stop

    def _inline_tail(self, position: int) -> tuple[int, list[tuple[int, int, str]]] | None:
        """`(destination "title")` at `position`: where it ends, and what of it a reader does not see."""
        text, cuts = self._text, list[tuple[int, int, str]]()
        if text[position : position + 1] != "(":
            return None
        start = _after_spaces(text, position + 1)
        end = _destination_end(text, start)
        if end is None:
            return None
        if re.search(r"\s", text[start:end]):
            cuts.append((start, end, "link destination"))
        gap = _after_spaces(text, end)
        if gap > end and (title := _TITLE.match(text, gap)):
            cuts.append((end, title.end(), "link title"))
            gap = _after_spaces(text, title.end())
        return (gap + 1, cuts) if text[gap : gap + 1] == ")" else None

    def _reference_tail(self, opener: _Bracket, position: int) -> tuple[int, list[tuple[int, int, str]]] | None:
        """`[label]`, `[]` or nothing at `position`, when the label has a definition."""
        label = _LABEL.match(self._text, position)
        if label and label[1]:
            known = normalizeReference(label[1]) in self._references
            return (label.end(), [(position, label.end(), "link label")]) if known else None
        own = self._text[opener.text_start : position - 1] if position - opener.text_start <= 1000 else ""
        if own and normalizeReference(own) in self._references:
            return (label.end() if label else position), []
        return None

    def _mathematics(self) -> None:
        """A formula can hide words (`\\phantom`); where one may stand, everything from the first to the last dollar sign goes."""
        signs = [found.start() for found in re.finditer(r"\$", self._text)]
        if len(signs) < 2 or not _COMMAND.search(self._text):
            return
        starts = [start for start, _ in self._code]

        def in_code(position: int) -> bool:
            index = bisect_right(starts, position) - 1
            return index >= 0 and position < self._code[index][1]

        shown = [sign for sign in signs if not in_code(sign)]
        commands = [found.start() for found in _COMMAND.finditer(self._text) if not in_code(found.start())]
        if len(shown) > 1 and any(shown[0] < command < shown[-1] for command in commands):
            self._cut(shown[0], shown[-1] + 1, "mathematics")


def _after_spaces(text: str, position: int) -> int:
    found = _SPACES.match(text, position)
    return found.end() if found else position


def _destination_end(text: str, start: int) -> int | None:
    """End of a link destination: `<...>`, or characters without blanks and with balanced parentheses."""
    if text[start : start + 1] == "<":
        angled = _ANGLED.match(text, start)
        return angled.end() if angled else None
    depth, position = 0, start
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in _ESCAPABLE:
            position += 2
            continue
        if character <= " " or character == "\x7f":
            break
        if character == "(":
            depth += 1
            if depth > 32:
                return None
        elif character == ")":
            if depth == 0:
                break
            depth -= 1
        position += 1
    return position if depth == 0 else None
