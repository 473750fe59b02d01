"""Lists that the rules read: text files, so that adding a name is no change of code.

`#` starts a comment. A file holds words, or entries `key: word word`; a line that starts with blanks continues the entry
before it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


def _lines(name: str) -> list[str]:
    text = files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return [line.rstrip() for line in text.split("\n") if line.strip() and not line.startswith("#")]


@cache
def words(name: str) -> frozenset[str]:
    """The words of `name`.txt."""
    return frozenset(word for line in _lines(name) for word in line.split())


@cache
def table(name: str) -> dict[str, tuple[str, ...]]:
    """The entries of `name`.txt; a key that comes twice has the words of both."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in _lines(name):
        rest = line
        if not line.startswith(" "):
            key, _, rest = line.partition(":")
        found.setdefault(key, []).extend(rest.split())
    return {key: tuple(entry) for key, entry in found.items()}
