"""People's text made plain: what a reader of the issue's page sees, and nothing that only a machine reads (group B of the security bar).

Structure first, on the text as GitHub gets it, then the alphabet; again and again until nothing changes, so that nothing can be
re-assembled from what was taken apart. docs/decisions/0003-cleaning-people-s-text.md says why, and what is lost.
"""

from __future__ import annotations

import re

from ops_agent.core.intake.cleaning_characters import visible, with_plain_line_ends
from ops_agent.core.intake.cleaning_markdown import strip_hidden
from ops_agent.domain.work_item import Cleaned

LONGEST_TEXT = 65_536
LONGEST_LINE = 256
_MOST_ROUNDS = 10
_CUT = "cut at the size limit"
_MARK = "\n\n(The text was longer than ops-agent reads; the rest was cut.)"


def clean(raw: str, longest: int = LONGEST_TEXT) -> Cleaned:
    """`raw` Markdown without hidden content, and how much of each sort was removed; at most `longest` characters, in time linear in it.

    Cleaning twice gives the same as cleaning once. Line ends, NFC and spaces of other widths change without being counted.
    """
    removed: dict[str, int] = {}
    text, limit = with_plain_line_ends(raw[: 2 * longest + 1]), longest
    for number in range(2 * _MOST_ROUNDS):
        if len(text) > limit:
            limit = max(longest - len(_MARK), 0)
            text = text[:limit]
            removed[_CUT] = 1
        before = text
        text, cuts = strip_hidden(text)
        text, invisible = visible(text)
        if number >= _MOST_ROUNDS and text != before:
            # Only text made to resist gets here: what could hide something is taken out as such.
            text = _only_words(text)
            cuts["nested encoding"] = 1
        for sort, count in (*cuts.items(), ("invisible character", invisible)):
            if count:
                removed[sort] = removed.get(sort, 0) + count
        if text == before:
            break
    if _CUT in removed and longest > len(_MARK):
        text = text.rstrip("\n") + _MARK
    return Cleaned(text=text, removed=removed)


def clean_line(raw: str, longest: int = LONGEST_LINE) -> Cleaned:
    """A title: one line, shown by GitHub as it is written, so only invisible characters go, and what looks like a comment."""
    removed: dict[str, int] = {}
    text, invisible = visible(" ".join(raw[: 4 * longest].split()))
    shorter = re.sub(r"<!-*|-->", "", text)
    while shorter != text:
        removed["html comment"] = removed.get("html comment", 0) + 1
        text, shorter = shorter, re.sub(r"<!-*|-->", "", shorter)
    text = " ".join(text.split())
    if invisible:
        removed["invisible character"] = invisible
    if len(text) > longest or len(raw) > 4 * longest:
        text = text[:longest].rstrip()
        removed[_CUT] = 1
    return Cleaned(text=text, removed=removed)


def _only_words(text: str) -> str:
    """Letters, marks, numbers, commas and line feeds: nothing of it means anything to Markdown or HTML."""
    lines = (" ".join(re.sub(r"[^\w,]|_", " ", line).split()) for line in text.split("\n"))
    return visible("\n".join(lines))[0]
