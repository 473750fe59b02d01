"""The prompts: files beside this one, read once. Filled by text.templates."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def text(name: str) -> str:
    """The template `name` (`task` reads `task.md`). Raises FileNotFoundError when there is none."""
    return files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8")
