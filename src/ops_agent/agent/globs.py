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
        raise ToolRefusal(
            f"a glob has 1 to {MAX_PATTERN} characters and at most {MAX_DEEP} `**`, for example `infra/**/*.tf`"
        )
    *folders, name = pattern.split("/")
    expression = "".join("(?:[^/]+/)*" if folder == "**" else f"{_segment(folder)}/" for folder in folders)
    return re.compile(expression + (".*" if name == "**" else _segment(name)), re.DOTALL)


def _segment(segment: str) -> str:
    first, *rest = (re.escape(piece).replace(r"\?", "[^/]") for piece in re.split(r"\*+", segment))
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*{last}"
