"""Cut our own Markdown at a line where nothing is open, so that what is kept stands by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FENCE = re.compile(r"`{3,}")


def cut_markdown(text: str, most: int) -> tuple[str, str]:
    """(what is kept, the rest): whole lines, at most `most` code points, no code block or `<details>` torn apart."""
    if len(text) <= most:
        return text, ""
    fence, details, length, safe = "", 0, 0, 0
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            if line.rstrip() == fence:
                fence = ""
        elif found:
            fence = found.group()
        else:
            details += line.startswith("<details") - line.startswith("</details>")
        length += len(line) + 1
        if length > most:
            break
        if not fence and details <= 0:
            safe = length
    return text[:safe].rstrip("\n"), text[safe:].lstrip("\n")


def fit(sections: Mapping[str, str], most: int, least: int = 1_500) -> tuple[dict[str, str], dict[str, str]]:
    """(sections of together at most about `most` code points, what was cut from each): the longest is cut first, none below `least`."""
    kept, rest = dict(sections), dict.fromkeys(sections, "")
    while sum(map(len, kept.values())) > most:
        name = max(kept, key=lambda n: len(kept[n]))
        if len(kept[name]) <= least:
            break
        shorter, left = cut_markdown(kept[name], max(least, len(kept[name]) * 2 // 3))
        kept[name] = shorter
        rest[name] = "\n\n".join(part for part in (left, rest[name]) if part)
    return kept, {name: text for name, text in rest.items() if text}
