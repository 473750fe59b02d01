"""What each installed distribution costs on disk, as a Markdown table: `python -I docs/dependency_costs.py` in a fresh environment.

How such an environment is made stands in docs/decisions/0001-dependencies.md.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator


def sizes() -> dict[str, int]:
    """Bytes of the files of each distribution but pip's own, by normalised name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = normal(distribution.metadata["Name"])
        if name not in ("pip", "setuptools"):
            paths = {str(file.locate()) for file in distribution.files or ()}
            found[name] = sum(size for path in paths if (size := _size(path)) is not None)
    return found


def wanted_by(names: set[str]) -> dict[str, list[str]]:
    """For each distribution those that require it, extras left aside."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for requirement in importlib.metadata.requires(name) or ():
            needed = normal(re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0])
            if needed in found and "extra ==" not in requirement:
                found[needed].append(name)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def table() -> Iterator[str]:
    known = sizes()
    wanted = wanted_by(set(known))
    yield "| distribution | MB | wanted by |\n|---|---|---|\n"
    for name, size in sorted(known.items(), key=lambda pair: -pair[1]):
        yield f"| {name} | {size / 1e6:.1f} | {', '.join(sorted(wanted[name])) or 'ops-agent'} |\n"
    yield f"| **all** | **{sum(known.values()) / 1e6:.1f}** | |\n"


def _size(path: str) -> int | None:
    from pathlib import Path

    try:
        return Path(path).stat().st_size
    except OSError:
        return None


if __name__ == "__main__":
    sys.stdout.writelines(table())
