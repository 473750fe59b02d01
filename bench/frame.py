"""The frame of every figure: paired runs, medians, ratios, and where they are written.

A figure is a module of this package with a function `measure(runs: int) -> Figure`, named in `__main__.FIGURES`.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One thing that is measured: its unit, and the digits that are shown."""

    name: str
    unit: str
    digits: int = 2


@dataclass(slots=True, kw_only=True)
class Figure:
    """`samples` maps a competitor's name to one dictionary (column name -> number) for each run; the first competitor
    is ours.

    `how` says what was done, `notes` what one must know to judge it. `absent` names competitors that could not run, and
    why. `compare` False leaves ratios out: the rows are then sizes of one thing, not competitors.
    """

    title: str
    how: str
    columns: Sequence[Column]
    samples: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    compare: bool = True


def take_turns(
    competitors: Mapping[str, Callable[[], Mapping[str, float]]], runs: int
) -> dict[str, list[Mapping[str, float]]]:
    """Run every competitor once to warm up, then `runs` rounds in which each has its turn: what disturbs one disturbs
    all.
    """
    for once in competitors.values():
        once()
    samples: dict[str, list[Mapping[str, float]]] = {name: [] for name in competitors}
    for _ in range(runs):
        for name, once in competitors.items():
            samples[name].append(once())
    return samples


def median(samples: Sequence[Mapping[str, float]], column: str) -> float:
    return statistics.median(sample[column] for sample in samples)


def as_markdown(figure: Figure) -> str:
    """A section: medians with their range, and each competitor's ratio to ours."""
    ours = next(iter(figure.samples))
    lines = [
        f"## {figure.title}",
        "",
        figure.how,
        "",
        "| | " + " | ".join(f"{c.name} ({c.unit})" for c in figure.columns) + " |",
    ]
    lines.append("|---|" + "---|" * len(figure.columns))
    for name, samples in figure.samples.items():
        cells = []
        for column in figure.columns:
            numbers = [sample[column.name] for sample in samples]
            middle = statistics.median(numbers)
            reference = median(figure.samples[ours], column.name)
            spread = (
                "" if min(numbers) == max(numbers) else f" ({_n(min(numbers), column)} to {_n(max(numbers), column)})"
            )
            ratio = (
                "" if name == ours or not reference or not figure.compare else f", {middle / reference:.2f} times ours"
            )
            cells.append(f"{_n(middle, column)}{spread}{ratio}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [f"| {name} | not run: {why} |" + " |" * (len(figure.columns) - 1) for name, why in figure.absent.items()]
    if figure.notes:
        lines += ["", *(f"* {note}" for note in figure.notes)]
    return "\n".join(lines) + "\n"


def write_results(figures: Mapping[str, Figure], command: str, folder: Path) -> None:
    """results.json and results.md; a figure that was not measured this time keeps its section of results.md's data."""
    place = folder / "results.json"
    known = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    for name, figure in figures.items():
        known[name] = {
            "figure": asdict(figure),
            "machine": machine(),
            "command": command,
            "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        }
    place.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    parts = [
        "# Figures\n\nWritten by `make bench`. Medians of runs that take turns, so ratios count more than numbers.\n"
    ]
    for one in known.values():
        fields = dict(one["figure"])
        fields["columns"] = [Column(**column) for column in fields["columns"]]
        parts.append(as_markdown(Figure(**fields)))
        parts.append(f"Measured {one['at']} with `{one['command']}` on {one['machine']}.\n")
    (folder / "results.md").write_text("\n".join(parts), encoding="utf-8")


def machine() -> str:
    """What it ran on, without names of hosts or paths."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next(
        (int(line.split()[1]) // 1_000_000 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0
    )
    load = os.getloadavg()[0]
    python = platform.python_version()
    return f"{os.cpu_count()} cores ({cpu}), {memory} GB, Linux, Python {python}, load {load:.1f} at the end"


def commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - the developer's own git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _n(number: float, column: Column) -> str:
    return f"{number:,.{column.digits}f}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
