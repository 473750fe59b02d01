"""Lists that the rules read: text files, so that adding a name does not change code.

`#` starts a comment. A file holds words, or entries `key: word word`; a line that starts with blanks continues the
entry before it. A file of regular expressions has one a line below its key, and parts `NAME = expression` that others
use as `%NAME%`. A file in YAML holds entries with named fields.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import yaml


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _lines(name: str) -> list[str]:
    text = _text(f"{name}.txt")
    return [line.rstrip() for line in text.split("\n") if line.strip() and not line.startswith("#")]


@cache
def words(name: str) -> frozenset[str]:
    """The words of `name`.txt."""
    return frozenset(word for line in _lines(name) for word in line.split())


@cache
def table(name: str) -> dict[str, tuple[str, ...]]:
    """The entries of `name`.txt; a key that is there twice has the words of both."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in _lines(name):
        rest = line
        if not line.startswith(" "):
            key, _, rest = line.partition(":")
        found.setdefault(key, []).extend(rest.split())
    return {key: tuple(entry) for key, entry in found.items()}


@cache
def expressions(name: str) -> dict[str, re.Pattern[str]]:
    """The expressions of `name`.txt, those of a key as alternatives; `^` and `$` are ends of lines."""
    parts: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    key = ""
    for line in _lines(name):
        text = re.sub(r"%([A-Z_]+)%", lambda part: parts.get(part[1], part[0]), line.strip())
        if line.startswith(" "):
            found[key].append(f"(?:{text})")
        elif defined := re.match(r"([A-Z_]+) = ", text):
            parts[defined[1]] = text[defined.end() :]
        else:
            key = text
            found[key] = []
    return {key: re.compile("|".join(alternatives), re.MULTILINE) for key, alternatives in found.items()}


@cache
def records(name: str) -> dict[str, dict[str, str]]:
    """The entries of `name`.yml with their fields."""
    return dict(yaml.safe_load(_text(f"{name}.yml")))
