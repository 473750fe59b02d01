"""The bundled standards: one Markdown file each, front matter `description`, `globs`, `alwaysApply` like the users'
own.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def bundled() -> dict[str, str]:
    """Raw text, front matter included, by the standard's id, sorted by id."""
    found = {
        entry.name.removesuffix(".md"): entry for entry in files(__package__).iterdir() if entry.name.endswith(".md")
    }
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}
