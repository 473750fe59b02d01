"""What each installed distribution costs on disk, as a Markdown table: `python -I docs/dependency_costs.py` in a fresh
environment.

docs/decisions/0001-dependencies.md shows how to make such an environment.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

US = "ops-agent"


def sizes() -> dict[str, int]:
    """Bytes of the files of each distribution but pip's own, by normalised name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = normal(distribution.metadata["Name"])
        if name not in ("pip", "setuptools"):
            paths = {str(file.locate()) for file in distribution.files or ()}
            found[name] = sum(size for path in paths if (size := _size(path)) is not None)
    return found


def wanted_by(names: Iterable[str], ours: Iterable[str]) -> dict[str, set[str]]:
    """For each of `names` those that require it, from `ours` (the requirements in pyproject.toml) down, with the extras
    asked for.
    """
    known = set(names)
    found: dict[str, set[str]] = defaultdict(set)
    seen: set[tuple[str, str]] = set()
    open_questions = [(US, requirement, "") for requirement in ours]
    while open_questions:
        parent, requirement, extra = open_questions.pop()
        name, extras, only_for = parts(requirement)
        if name not in known or (only_for and extra not in only_for):
            continue
        found[name].add(parent)
        for asked in {"", *extras} - {extra for of, extra in seen if of == name}:
            seen.add((name, asked))
            open_questions += [(name, needed, asked) for needed in importlib.metadata.requires(name) or ()]
    return found


def parts(requirement: str) -> tuple[str, set[str], set[str]]:
    """(name, extras that are asked for, extras of the parent that alone ask for it) of a requirement
    (`name[extras]>=1; extra == "x"`).
    """
    wanted, _, marker = requirement.partition(";")
    extras = re.search(r"\[([^\]]*)\]", wanted)
    name = re.split(r"[\s<>=!~\[(@]", wanted.strip(), maxsplit=1)[0]
    only_for = {normal(extra) for extra in re.findall(r"extra\s*==\s*[\"']([^\"']+)[\"']", marker)}
    return normal(name), {normal(extra) for extra in (extras[1].split(",") if extras else ())}, only_for


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def table() -> Iterator[str]:
    known = sizes()
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = wanted_by(known, project["dependencies"])
    yield "| distribution | MB | wanted by |\n|---|---|---|\n"
    for name, size in sorted(known.items(), key=lambda pair: -pair[1]):
        yield f"| {name} | {size / 1e6:.1f} | {', '.join(sorted(wanted[name])) or 'nobody'} |\n"
    yield f"| **all** | **{sum(known.values()) / 1e6:.1f}** | |\n"


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


if __name__ == "__main__":
    sys.stdout.writelines(table())
