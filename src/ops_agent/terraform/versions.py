"""Versions of Terraform and OpenTofu: what a constraint takes, and what a root asks for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from itertools import zip_longest
from typing import Final

from ops_agent.model.finding import Place
from ops_agent.model.terraform import EngineWish

OLDEST: Final = (1, 8)
"""Mocked providers need 1.7, `complete` and `applyable` in plan JSON 1.8."""
_PART = re.compile(r"\s*(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+){0,2})(?:[-+][\w.+-]+)?\s*")
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")
_TOOLS: Final = {"terraform": "terraform", "opentofu": "tofu"}


def numbers(version: str) -> tuple[int, ...]:
    """`1.10.5` as numbers; what follows a hyphen does not count. Empty for what is no version."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(map(int, found[1].split("."))) if found else ()


def takes(constraint: str, version: str) -> bool:
    """Whether `version` keeps a constraint such as `>= 1.5, < 2.0` or `~> 1.10.0`. What cannot be read keeps nobody
    out: the engine itself has the last word.
    """
    parts = [_PART.fullmatch(part) for part in constraint.split(",")]
    return all(_keeps(numbers(version), part[1] or "=", numbers(part[2])) for part in parts if part)


def _keeps(version: tuple[int, ...], operator: str, bound: tuple[int, ...]) -> bool:
    given = [v or 0 for v, _ in zip_longest(version, bound)]
    wanted = [b or 0 for _, b in zip_longest(version, bound)]
    match operator:
        case "=":
            return given == wanted
        case "!=":
            return given != wanted
        case ">=":
            return given >= wanted
        case "<=":
            return given <= wanted
        case ">":
            return given > wanted
        case "<":
            return given < wanted
    return given >= wanted and given[: len(bound) - 1] == wanted[: len(bound) - 1]


def unmet(wish: EngineWish, kind: str, version: str) -> tuple[str, Place] | None:
    """The first thing in `wish` that an engine (`terraform` or `tofu`, `1.10.5`) does not meet, and where it is."""
    if wish.loads_tofu and kind != "tofu":
        return "files that only OpenTofu loads", wish.loads_tofu
    return next(((f"`required_version` {c}", place) for place, c in wish.required if not takes(c, version)), None)


def is_as_pinned(wish: EngineWish, kind: str, version: str) -> bool:
    """Whether it is the engine that a version file names, if there is one."""
    return wish.pinned is None or wish.pinned[:2] == (kind, version)


def version_to_install(wish: EngineWish, kind: str) -> str:
    """A version that meets the whole wish and serves here, empty when there is none."""
    named = [wish.pinned[1]] if wish.pinned and wish.pinned[0] == kind else []
    for _, constraint in wish.required:
        parts = [_PART.fullmatch(part) for part in constraint.split(",")]
        named += [
            ".".join(map(str, (*numbers(p[2]), 0, 0)[:3])) for p in parts if p and p[1] in (None, "=", ">=", "~>")
        ]
    named += [".".join(map(str, (*OLDEST, 0)))]
    fitting = [v for v in named if numbers(v)[:2] >= OLDEST and all(takes(c, v) for _, c in wish.required)]
    return fitting[0] if fitting else ""


def pinned_version(
    directory: str, paths: Collection[str], read: Callable[[str], bytes]
) -> tuple[str, str, Place] | None:
    """What the version file nearest to a directory names: `terraform` or `tofu`, the exact version, and where. Ranges
    (`latest`, `min-required`) name none.
    """
    while True:
        for name in (".terraform-version", ".opentofu-version", ".tool-versions"):
            path = name if directory == "." else f"{directory}/{name}"
            if path in paths:
                found = _VERSION.fullmatch
                for line, (kind, version) in enumerate(_lines(name, read(path).decode(errors="replace")), 1):
                    if kind and (exact := found(version)):
                        return kind, exact[1], Place(path=path, line=line)
        if directory == ".":
            return None
        directory = posixpath.dirname(directory) or "."


def _lines(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Engine and version on each line, empty on another one."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if name != ".tool-versions":
            words = ["opentofu" if "tofu" in name else "terraform", *words]
        yield (_TOOLS.get(words[0], ""), words[1]) if len(words) > 1 else ("", "")
