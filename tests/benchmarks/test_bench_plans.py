"""The benchmark of plan reading measures what the product does today."""

from __future__ import annotations

import sys
from pathlib import Path

from entry_points.action_files import ROOT

sys.path.append(str(ROOT))
from bench.plans import _measured


def test_a_plan_that_the_benchmark_makes_is_read_and_rendered(tmp_path: Path) -> None:
    plan = tmp_path / "5.json"
    assert _measured("make", plan, 5)["json_mb"] > 0
    assert _measured("read", plan, 5)["body_code_points"] > 100
