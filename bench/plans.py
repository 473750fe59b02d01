"""Reading and rendering of plan JSON against `json.loads` of the same file: the rows of bench.plan_reading as a figure."""

from __future__ import annotations

from bench.frame import Column, Figure
from bench.plan_reading import rows, verdicts


def measure(_runs: int) -> Figure:
    """One row for each size; every size runs in a process of its own, small ones three times."""
    found = rows()
    figure = Figure(
        title="Plan reading",
        how="A plan with so many changes, read and rendered for a pull request; processor time, peak memory of the whole process.",
        columns=(
            Column(name="json.loads", unit="s", digits=3),
            Column(name="read", unit="s", digits=3),
            Column(name="render", unit="s", digits=3),
            Column(name="read and render", unit="times json.loads", digits=1),
            Column(name="peak memory", unit="MB", digits=0),
            Column(name="body", unit="code points", digits=0),
        ),
        compare=False,
        notes=[f"{'met' if met else '**missed**'}: {sentence}" for sentence, met in verdicts(found)],
    )
    for row in found:
        figure.samples[f"{row['changes']:,} changes ({row['json_mb']} MB)"] = [
            {
                "json.loads": row["json_loads_s"],
                "read": row["read_s"],
                "render": row["render_s"],
                "read and render": row["ratio_to_json_loads"],
                "peak memory": row["memory_peak_mb"],
                "body": row["body_code_points"],
            }
        ]
    return figure
