"""The alphabet of cleaned text: an allow-list of code points. What a reader cannot see is not in it (B07, B08 of the security bar)."""

from __future__ import annotations

import re
import unicodedata

_VISIBLE = frozenset(
    {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"}
)
# Letters, marks and symbols by their category, which yet show nothing: fillers, joiners, variation selectors, blanks, an object's place.
_BLANK = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFFC, 0xFFFC),
    (0x16FE4, 0x16FE4),
    (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_LINE_END = re.compile(r"\r\n?")


def is_allowed(character: str) -> bool:
    """True for characters that may stand in cleaned text: what a reader sees, a plain space, a tab, a line feed."""
    if character in " \t\n":
        return True
    code = ord(character)
    return unicodedata.category(character) in _VISIBLE and not any(first <= code <= last for first, last in _BLANK)


class _Alphabet(dict[int, str | None]):
    """For str.translate: a code point to itself, a space of another width to a plain one, everything else to nothing."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        kept: str | None = character if is_allowed(character) else None
        if unicodedata.category(character) == "Zs":
            kept = " "
        self[code] = kept
        return kept


_ALPHABET = _Alphabet()


def with_plain_line_ends(text: str) -> str:
    """CRLF and CR become LF."""
    return _LINE_END.sub("\n", text)


def visible(text: str) -> tuple[str, int]:
    """`text` in NFC without the code points that are not allowed, and how many those were. Idempotent."""
    kept = text.translate(_ALPHABET)
    return unicodedata.normalize("NFC", kept), len(text) - len(kept)


def plain_form(text: str) -> str:
    """What cleaning changes without counting it: line ends, spaces of other widths, and NFC."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in with_plain_line_ends(text))
    return unicodedata.normalize("NFC", spaced)
