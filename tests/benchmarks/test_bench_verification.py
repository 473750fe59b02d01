"""The figure of the verification says plainly whether its targets were met, and generates what it says it does."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from entry_points.action_files import ROOT
from ops_agent.model.policy import Policy
from ops_agent.terraform.layout import discover_layout, targets

sys.path.append(str(ROOT))
pytest.importorskip("moto")
from bench import verification, verification_roots

Rows = dict[str, list[dict[str, float]]]


def samples(ours: list[float], theirs: list[float], starts: int = 80) -> Rows:
    return {
        name: [{"8 pairs": s, "provider starts at 8": starts} for s in found]
        for name, found in (("a", ours), ("b", theirs))
    }


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (samples([10, 10, 10], [15, 9, 16]), ["met: 1.50 times faster at 8 pairs", "met: 80 provider starts, 80"]),
        (samples([10, 10, 10], [13, 9, 16]), ["**missed**: 1.30 times faster", "met: 80"]),
        (samples([10], [20], 90), ["met: 2.00", "**missed**: 90 provider starts, 80"]),
    ],
)
def test_each_target_is_judged_by_the_middle_round(measured: Any, words: list[str]) -> None:
    verdicts = list(verification._verdicts(measured))
    assert len(verdicts) == len(words) and all(
        said.startswith(word) for said, word in zip(verdicts, words, strict=True)
    )


@pytest.mark.parametrize("pairs", verification.SIZES)
def test_the_generated_repository_has_that_many_pairs(pairs: int) -> None:
    files = verification_roots.files_of(pairs, added=True)
    found = targets(discover_layout(files, files.__getitem__, Policy()).roots)
    assert len(found) == pairs
    assert {(t.root.path, t.environment.name) for t in found} == set(verification_roots.pairs_of(pairs))
