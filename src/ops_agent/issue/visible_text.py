"""User text reduced to what a reader of the issue's page sees.

Each round reads the structure first, on the text as GitHub gets it, then the characters, and rounds repeat until
nothing changes, so that removed pieces cannot leave new markup behind. docs/decisions/0003-cleaning-user-text.md
gives the reasons and the losses.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from ops_agent.issue.markdown_page import COMMENT, shown
from ops_agent.model.work_item import Cleaned

MAX_TEXT = 65_536
MAX_LINE = 256
_MAX_ROUNDS = 10
_CUT = "cut at the size limit"
_CUT_NOTE = "\n\n(The text was longer than ops-agent reads; the rest was cut.)"
_INVISIBLE = "invisible character"

# Letters, marks and symbols that show nothing: fillers, joiners, variation selectors, blanks, an object's place.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\U00016fe4\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def clean(raw: str, longest: int = MAX_TEXT) -> Cleaned:
    """`raw` Markdown without hidden content, and how much of each sort was removed; at most `longest` characters, in
    time linear in it.

    Cleaning twice gives the same as cleaning once. Line ends, NFC and spaces of other widths change without being
    counted.
    """
    removed: Counter[str] = Counter()
    text, limit = with_plain_line_ends(raw[: 2 * longest + 1]), longest
    for number in range(2 * _MAX_ROUNDS):
        if len(text) > limit:
            limit = max(longest - len(_CUT_NOTE), 0)
            text = text[:limit]
            removed[_CUT] = 1
        before = text
        text, hidden = shown(text)
        text, invisible = visible(text)
        removed += hidden + Counter({_INVISIBLE: invisible})
        if number >= _MAX_ROUNDS and text != before:
            # Only text made to resist gets here: remove every character that means something to Markdown or HTML.
            text = _only_words(text)
            removed["nested encoding"] += 1
        if text == before:
            break
    if _CUT in removed and longest > len(_CUT_NOTE):
        text = text.rstrip("\n") + _CUT_NOTE
    return Cleaned(text=text, removed=dict(removed))


def clean_line(raw: str, longest: int = MAX_LINE) -> Cleaned:
    """A title: one line, which GitHub shows as it is written, so only invisible characters and comment marks go."""
    removed: Counter[str] = Counter()
    text, invisible = visible(" ".join(raw[: 4 * longest].split()))
    removed += Counter({_INVISIBLE: invisible})
    while (shorter := re.sub(r"<!-*|-->", "", text)) != text:
        removed[COMMENT] += 1
        text = shorter
    text = " ".join(text.split())
    if len(text) > longest or len(raw) > 4 * longest:
        text = text[:longest].rstrip()
        removed[_CUT] = 1
    return Cleaned(text=text, removed=dict(removed))


def with_plain_line_ends(text: str) -> str:
    """CRLF and CR become LF."""
    return re.sub(r"\r\n?", "\n", text)


def visible(text: str) -> tuple[str, int]:
    """`text` in NFC without the code points that are not allowed, and how many those were. Idempotent."""
    kept = text.translate(_ALPHABET)
    return unicodedata.normalize("NFC", kept), len(text) - len(kept)


def is_allowed(character: str) -> bool:
    """True for a character of cleaned text: one that a reader sees, a plain space, a tab, a line feed."""
    if character in " \t\n":
        return True
    return unicodedata.category(character)[0] in "LMNPS" and not _BLANK.match(character)


class _Alphabet(dict[int, str | None]):
    """For str.translate: a space of another width becomes a plain one, a character that is not allowed nothing."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        kept = " " if unicodedata.category(character) == "Zs" else character if is_allowed(character) else None
        self[code] = kept
        return kept


_ALPHABET = _Alphabet()


def _only_words(text: str) -> str:
    lines = (" ".join(re.sub(r"[^\w,]|_", " ", line).split()) for line in text.split("\n"))
    return visible("\n".join(lines))[0]
