"""Pitfalls: what goes wrong with resources of a type although the code is valid. One line each, kept in pitfalls.yml.

The agent is given those of the resource types that the issue names, and later those that its change touches. They are
our words, from the documentation of AWS and of the provider, and no material.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from ops_agent.model.change_set import ChangeSet
from ops_agent.model.terraform import TerraformSource
from ops_agent.terraform.hcl_tree_sitter import read_terraform

MAX_PITFALLS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitfall:
    """`words`: it matters only where the text has one of them too. `source` is the title and the address of a page.
    `since` is the provider's version from which it holds; empty: always.
    """

    id: str
    types: tuple[str, ...]
    says: str
    source: tuple[str, str]
    words: tuple[str, ...] = ()
    since: str = ""

    @property
    def line(self) -> str:
        return f"{self.says} (provider {self.since})" if self.since else self.says


@cache
def known_pitfalls() -> tuple[Pitfall, ...]:
    """All of them, in the order of the file."""
    return tuple(
        Pitfall(**entry | {name: tuple(entry[name]) for name in ("types", "source", "words") if name in entry})
        for entry in _data()["pitfalls"]
    )


def pitfalls_of_text(text: str) -> tuple[Pitfall, ...]:
    """Those of the types that an issue names, at most MAX_PITFALLS."""
    named = tuple(prefix for prefix, words in service_words().items() if _has(words, text))
    return _chosen(((p, text) for p in known_pitfalls() if any(_prefix_of(one) in named for one in p.types)), named)


def pitfalls_of_change(changes: ChangeSet, given: Collection[str]) -> tuple[Pitfall, ...]:
    """Those of the types whose blocks `changes` adds or edits, at most MAX_PITFALLS; not the ids that were `given`."""
    touched: dict[str, str] = {}
    for change in changes.changes:
        if change.path.endswith(".tf") and change.after is not None:
            before = _resources(change.before or b"")
            for address, text in _resources(change.after).items():
                if before.get(address) != text:
                    type_ = address.partition(".")[0]
                    touched[type_] = f"{touched.get(type_, '')}\n{text}"
    found = (
        (one, "\n".join(touched.get(type_, "") for type_ in one.types))
        for one in known_pitfalls()
        if one.id not in given and not touched.keys().isdisjoint(one.types)
    )
    return _chosen(found, tuple(touched))


def service_words() -> Mapping[str, tuple[str, ...]]:
    """The beginning of a resource type -> the words that name it in an issue."""
    return {prefix: tuple(words) for prefix, words in _data()["services"].items()}


@cache
def _data() -> dict[str, Any]:
    text = files(__package__).joinpath("pitfalls.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@cache
def _prefix_of(type_: str) -> str:
    return max((prefix for prefix in service_words() if type_.startswith(prefix)), key=len, default="")


def _chosen(candidates: Iterable[tuple[Pitfall, str]], named: tuple[str, ...]) -> tuple[Pitfall, ...]:
    """Those whose words are in the text, in turn by what they are about first, so that no type crowds out another.

    What is about several of the `named` comes first: it goes wrong between them.
    """
    ranked: list[tuple[int, int, Pitfall]] = []
    seen: dict[str, int] = {}
    for one, text in candidates:
        if not one.words or _has(one.words, text):
            about = _prefix_of(one.types[0])
            joins = len({name for type_ in one.types for name in (type_, _prefix_of(type_)) if name in named})
            place = seen[about] = seen.get(about, 0) + (joins < 2)
            ranked.append((place if joins < 2 else 0, len(ranked), one))
    return tuple(one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])[:MAX_PITFALLS])


def _has(words: Iterable[str], text: str) -> bool:
    return _pattern(tuple(words)).search(text.casefold().replace("-", " ").replace("_", " ")) is not None


@cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """`*` ends a word in any way; else it may have the ending of a plural."""
    parts = []
    for word in words:
        stem = re.escape(word.removesuffix("*").removesuffix("y"))
        ending = r"" if word.endswith("*") else r"(?:y|ies)\b" if word.endswith("y") else r"(?:s|es)?\b"
        parts.append(stem + ending)
    return re.compile(rf"\b(?:{'|'.join(parts)})")


def _resources(content: bytes) -> dict[str, str]:
    """The text of each resource block by its address; none where the file cannot be read."""
    source = read_terraform(content)
    blocks = source.of_type("resource") if isinstance(source, TerraformSource) else ()
    return {".".join(block.labels): block.text for block in blocks}
