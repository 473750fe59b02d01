"""The frame of the benchmarks: fair turns, medians, ratios, results that keep what was not measured again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from entry_points.action_files import bench_frame

FRAME = bench_frame()
as_markdown, take_turns, write_results = FRAME.as_markdown, FRAME.take_turns, FRAME.write_results


def figure(title: str = "Speed", **fields: object) -> Any:
    samples = {
        "ours": [{"time": 1.0}, {"time": 3.0}, {"time": 2.0}],
        "theirs": [{"time": 5.0}, {"time": 5.0}, {"time": 5.0}],
    }
    return FRAME.Figure(
        title=title, how="So.", columns=(FRAME.Column(name="time", unit="s", digits=1),), samples=samples, **fields
    )


def test_competitors_take_turns_after_one_round_to_warm_up() -> None:
    order: list[str] = []

    def one(name: str) -> dict[str, float]:
        order.append(name)
        return {"time": 1.0}

    samples = take_turns({"a": lambda: one("a"), "b": lambda: one("b")}, 2)
    assert order == ["a", "b", "a", "b", "a", "b"] and [len(s) for s in samples.values()] == [2, 2]


def test_a_figure_shows_median_range_and_ratio_to_ours() -> None:
    shown = as_markdown(figure(absent={"third": "not installed"}, notes=["warm"]))
    assert "| ours | 2.0 (1.0 to 3.0) |" in shown
    assert "| theirs | 5.0, 2.50 times ours |" in shown
    assert "| third | not run: not installed |" in shown and "* warm" in shown


def test_sizes_of_one_thing_are_not_compared() -> None:
    assert "times ours" not in as_markdown(figure(compare=False))


def test_results_of_other_figures_are_kept(tmp_path: Path) -> None:
    write_results({"one": figure("One")}, "make bench", tmp_path)
    write_results({"two": figure("Two")}, "make bench", tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert "## One" in page and "## Two" in page and page.count("Measured ") == 2
    assert set(json.loads((tmp_path / "results.json").read_text())) == {"one", "two"}
