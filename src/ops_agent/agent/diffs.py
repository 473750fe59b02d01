"""What the agent is shown of its edits: diffs, and the place that it may have meant."""

from __future__ import annotations

from difflib import SequenceMatcher, unified_diff
from typing import Final

MAX_LINES: Final = 3_000
"""Lines of both sides that are compared: the time of a comparison grows with their product."""
MAX_DIFF: Final = 8_000
MAX_NEAR: Final = 12
_CONTEXT: Final = 2


def diff(before: bytes, after: bytes, room: int) -> str:
    """A unified diff without its head, cut after whole lines; empty when nothing differs."""
    if before == after:
        return ""
    old, new = _lines(before), _lines(after)
    if len(old) + len(new) > MAX_LINES:
        return f"(too long for a diff: {len(old):,} lines became {len(new):,})\n"
    found = [line if line.endswith("\n") else f"{line}\n" for line in unified_diff(old, new, n=_CONTEXT)][2:]
    shown, length = 0, 0
    while shown < len(found) and length + len(found[shown]) <= min(MAX_DIFF, room):
        length += len(found[shown])
        shown += 1
    more = f"... {len(found) - shown} more lines of this diff\n" if shown < len(found) else ""
    return "".join(found[:shown]) + more


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").replace("\r\n", "\n").splitlines(keepends=True)


def nearest(text: str, old: str, new: str) -> str:
    """What helps whose `old` is not in `text`: the lines that are most like it, with their numbers."""
    if new.strip() and text.count(new) == 1:
        return f"`new` is there already, in line {text.count(chr(10), 0, text.find(new)) + 1}."
    lines, wanted = text.splitlines(), [" ".join(line.split()) for line in old.strip().splitlines()]
    plain = [" ".join(line.split()) for line in lines]
    if not wanted or len(lines) > MAX_LINES:
        return "Read it again."
    starts = range(max(1, len(plain) - len(wanted) + 1))
    best = max(starts, key=lambda n: sum(a == b for a, b in zip(plain[n:], wanted[:MAX_NEAR], strict=False)))
    alike = sum(a == b for a, b in zip(plain[best:], wanted[:MAX_NEAR], strict=False))
    if not alike:
        close = [(SequenceMatcher(None, wanted[0], line[:200]).quick_ratio(), -n) for n, line in enumerate(plain)]
        ratio, best = max(close, default=(0.0, 0))
        best = -best
        if ratio < 0.6:
            return "No line is like it: read the file again."
    last = min(len(lines), best + min(len(wanted), MAX_NEAR))
    shown = "\n".join(line[:300] for line in lines[best:last])
    only = "Only white space differs in" if alike == len(wanted) else "Most like it are"
    return f"{only} lines {best + 1} to {last}:\n{shown}"
