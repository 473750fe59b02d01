"""Material stands between two lines with this run's random mark, as JSON: it cannot end its own fence (B10 of the security bar).

This helps the llm to tell material from instructions. It proves nothing; the guards judge what comes out.
"""

from __future__ import annotations

import json

BOUNDARY_PREFIX = "B"
"""An upper-case letter first: no JSON escape ends with one, so the mark can be escaped inside any JSON text."""


def fenced(boundary: str, material: object) -> str:
    """`material` (what JSON can hold) between two lines with `boundary`, which does not stand in between. `unfenced` gives it back."""
    text = json.dumps(material, ensure_ascii=False, indent=None if isinstance(material, str) else 1)
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085").replace("\x7f", "\\u007f")
    return f"--- data {boundary}\n{_without(boundary, text)}\n--- end {boundary}"


def unfenced(boundary: str, text: str) -> object:
    """What `fenced` was given. Raises ValueError when `text` is not one fence with this boundary."""
    first, *middle, last = text.split("\n")
    if (first, last) != (f"--- data {boundary}", f"--- end {boundary}"):
        raise ValueError("not a fence with this boundary")
    return json.loads("\n".join(middle))


def _without(boundary: str, text: str) -> str:
    return text.replace(boundary, f"\\u{ord(boundary[0]):04x}{boundary[1:]}")
