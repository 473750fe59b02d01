"""The three-way merge of a text, as git makes it: what both sides changed in one place is marked, for somebody to
settle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

OURS: Final = b"<<<<<<< this branch\n"
BETWEEN: Final = b"=======\n"
THEIRS: Final = b">>>>>>> base branch\n"
MARKS: Final = (OURS, BETWEEN, THEIRS)


def merged_text(old: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, bool]:
    """`old` with the changes of both sides, and whether they all fit; where they do not, both are between marks."""
    sides = tuple(text.splitlines(keepends=True) for text in (old, ours, theirs))
    made, is_clean = list[bytes](), True
    before, mine, other = (0, 0, 0)
    for length, starts in _common(*sides):
        kept, clean = _settled(*(side[a:b] for side, a, b in zip(sides, (before, mine, other), starts, strict=True)))
        made += [*kept, *sides[0][starts[0] : starts[0] + length]]
        is_clean = is_clean and clean
        before, mine, other = (start + length for start in starts)
    return b"".join(made), is_clean


def _settled(old: list[bytes], ours: list[bytes], theirs: list[bytes]) -> tuple[list[bytes], bool]:
    """What replaces `old`, which no line of all three texts interrupts."""
    if theirs in (old, ours):
        return ours, True
    if ours == old:
        return theirs, True
    return [OURS, *_ended(ours), BETWEEN, *_ended(theirs), THEIRS], False


def _ended(lines: list[bytes]) -> list[bytes]:
    """With a line end, so that a mark begins a line."""
    return [*lines[:-1], lines[-1].rstrip(b"\r\n") + b"\n"] if lines else []


def _common(
    old: Sequence[bytes], ours: Sequence[bytes], theirs: Sequence[bytes]
) -> Iterator[tuple[int, Sequence[int]]]:
    """Runs of lines that all three have: length, and where they start in each. Last the end of all, of length 0."""
    ours_blocks, theirs_blocks = (
        SequenceMatcher(None, old, side, autojunk=False).get_matching_blocks() for side in (ours, theirs)
    )
    one = two = 0
    while one < len(ours_blocks) - 1 and two < len(theirs_blocks) - 1:
        a, b = ours_blocks[one], theirs_blocks[two]
        start, end = max(a.a, b.a), min(a.a + a.size, b.a + b.size)
        if start < end:
            yield end - start, (start, a.b + start - a.a, b.b + start - b.a)
        if a.a + a.size < b.a + b.size:
            one += 1
        else:
            two += 1
    yield 0, (len(old), len(ours), len(theirs))
