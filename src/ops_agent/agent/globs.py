"""Path patterns in linear time: `*` and `?` inside a name, `**` over directories; nothing else is special."""

from __future__ import annotations

import re
from functools import lru_cache

from ops_agent.agent.workbench import ToolRefusal

MAX_PATTERN = 200
MAX_DEEP = 3


@lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression for `fullmatch`. Raises ToolRefusal for a pattern that is too long or has too many `**`.

    Each piece after a `*` is an atomic group, so a pattern cannot make matching slow.
    """
    if not pattern or len(pattern) > MAX_PATTERN or pattern.count("**") > MAX_DEEP:
        raise ToolRefusal(f"a glob has 1 to {MAX_PATTERN} characters and at most {MAX_DEEP} `**`, for example `infra/**/*.tf`")
    segments = pattern.split("/")
    parts = []
    for number, segment in enumerate(segments):
        last = number + 1 == len(segments)
        if segment == "**":
            parts.append(".*" if last else "(?:[^/]+/)*")
        else:
            parts.append(_segment(segment) + ("" if last else "/"))
    return re.compile("".join(parts), re.DOTALL)


def _segment(segment: str) -> str:
    first, *rest = re.sub(r"\*+", "*", segment).split("*")
    if not rest:
        return _literal(first)
    *middle, last = rest
    inner = "".join(f"(?>[^/]*?{_literal(piece)})" for piece in middle)
    return f"{_literal(first)}{inner}[^/]*{_literal(last)}"


def _literal(text: str) -> str:
    return "".join("[^/]" if c == "?" else re.escape(c) for c in text)
