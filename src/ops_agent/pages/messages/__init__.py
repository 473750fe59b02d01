"""Texts for people, as files; filled by `text.templates.render`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def message(name: str) -> str:
    """The text of `<name>.md`."""
    return (files(__name__) / f"{name}.md").read_text(encoding="utf-8")
