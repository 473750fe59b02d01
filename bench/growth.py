"""What guards the run against long input, at one size and at twice that size: the release gate allows 2.5 times
the time.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import count

from bench.frame import Column, Figure, take_turns

MOST = 2.5
_MARKDOWN = "- [ ] a **line** of `text` with <b>HTML</b> and a [link](https://example.com)\n"
_PROSE = "the queue `orders` of @team, see #12 and https://example.com: "
_BLOCK = (
    'resource "aws_sqs_queue" "q%d_%d_%d" {\n  name = "a-${var.x}"\n  tags = { a = upper("b"), c = var.d["e"] }\n}\n'
)


def measure(runs: int) -> Figure:
    figure = Figure(
        title="Growth",
        how="The same work on an input and on one of twice the size, in turns; processor time of this process.",
        columns=(
            Column(name="time", unit="ms", digits=1),
            Column(name="time for twice the input", unit="ms", digits=1),
            Column(name="growth", unit="times", digits=2),
        ),
        compare=False,
    )
    figure.samples = take_turns({name: _pair(work, size) for name, (work, size) in _works().items()}, runs)
    growths = {
        name: statistics.median(sample["growth"] for sample in samples) for name, samples in figure.samples.items()
    }
    figure.notes = [
        f"{'met' if growth <= MOST else '**missed**'}: {name} grows {growth:.2f} times (at most {MOST})"
        for name, growth in growths.items()
    ]
    return figure


def _works() -> dict[str, tuple[Callable[[int], object], int]]:
    """What is measured by name, with its first size."""
    from ops_agent.guard.judge import judge
    from ops_agent.guard.tree import FilesInMemory
    from ops_agent.issue.visible_text import clean
    from ops_agent.model.change_set import ChangeSet, FileChange
    from ops_agent.model.policy import Policy
    from ops_agent.text.markdown import neutralise
    from ops_agent.text.redaction import Redactor

    fresh = count()
    redactor = Redactor(["ghs_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"])

    def judged(size: int) -> None:
        run = next(fresh)  # a text that was read before would cost nothing
        texts = ["".join(_BLOCK % (run, i, j) for j in range(33)) for i in range(size)]
        files = tuple(
            FileChange(path=f"infra/f{i}.tf", before=None, after=text.encode()) for i, text in enumerate(texts)
        )
        judge(ChangeSet(base_commit="a" * 40, changes=files), FilesInMemory.of({}), Policy())

    return {
        "cleaning an issue's text (30,000 characters)": (lambda size: clean(_long(_MARKDOWN, size)), 30_000),
        "neutralising prose (100,000 characters)": (lambda size: neutralise(_long(_PROSE, size)), 100_000),
        "redacting text (5,000,000 characters)": (lambda size: redactor.redact(_long(_PROSE, size)), 5_000_000),
        "judging Terraform files of 130 lines (10)": (judged, 10),
    }


def _long(unit: str, size: int) -> str:
    return unit * (size // len(unit))


def _pair(work: Callable[[int], object], size: int) -> Callable[[], Mapping[str, float]]:
    def once() -> Mapping[str, float]:
        small, large = _milliseconds(work, size), _milliseconds(work, 2 * size)
        return {"time": small, "time for twice the input": large, "growth": large / small}

    return once


def _milliseconds(work: Callable[[int], object], size: int) -> float:
    gc.collect()
    begun = time.process_time()
    work(size)
    return (time.process_time() - begun) * 1000
