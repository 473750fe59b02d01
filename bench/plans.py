"""Reading and rendering of plan JSON against `json.loads` of the same file: the rows of bench.plan_reading as a figure."""

from __future__ import annotations

from bench.frame import Column, Figure
from bench.plan_reading import rows, verdicts


def measure(runs: int) -> Figure:
    """One row for each size; `json.loads` and ours in processes of their own, the least of `runs` rounds (at least 3)."""
    found = rows(rounds=runs)
    figure = Figure(
        title="Plan reading",
        how="A plan with so many changes, read and rendered for a pull request; processor time, the least of several runs (for growth: the "
        "median of the rounds' means); peak memory of a process that holds the file and does nothing else. `json.loads` is called as "
        "anyone would, with Python's cyclic collector on.",
        columns=(
            Column(name="json.loads", unit="s", digits=3),
            Column(name="read", unit="s", digits=3),
            Column(name="render", unit="s", digits=3),
            Column(name="read and render", unit="times json.loads", digits=1),
            Column(name="peak memory", unit="MB", digits=0),
            Column(name="peak memory of json.loads", unit="MB", digits=0),
            Column(name="body", unit="code points", digits=0),
        ),
        compare=False,
        notes=[f"{'met' if met else '**missed**'}: {sentence}" for sentence, met in verdicts(found)],
    )
    for row in found:
        figure.samples[f"{row['changes']:,} changes ({row['json_mb']:.1f} MB)"] = [
            {
                "json.loads": row["json_loads_s"],
                "read": row["read_s"],
                "render": row["render_s"],
                "read and render": row["ratio_to_json_loads"],
                "peak memory": row["peak_mb"],
                "peak memory of json.loads": row["loads_peak_mb"],
                "body": row["body_code_points"],
            }
        ]
    return figure
