"""A unified patch as rows with line numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Row:
    """`kind` is hunk, add, del, same or note; the numbers are empty where the side has no such line."""

    kind: str
    old: str
    new: str
    text: str


def rows(patch: str | None) -> list[Row]:
    """Rows of a patch that starts with a hunk header; one note for a binary file."""
    if patch is None:
        return [Row("note", "", "", "Binary file, not shown")]
    built: list[Row] = []
    old = new = 0
    for line in patch.split("\n") if patch else ():
        if hunk := _HUNK.match(line):
            old, new = int(hunk[1]), int(hunk[2])
            built.append(Row("hunk", "", "", line))
        elif line.startswith("+"):
            built.append(Row("add", "", str(new), line))
            new += 1
        elif line.startswith("-"):
            built.append(Row("del", str(old), "", line))
            old += 1
        elif line.startswith("\\"):
            built.append(Row("note", "", "", line))
        else:
            built.append(Row("same", str(old), str(new), line))
            old, new = old + 1, new + 1
    return built
