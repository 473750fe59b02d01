"""Whether work grows with its input and not with its square: a ratio within one process, so that no machine is too slow
for it.

Absolute times and closer ratios are figures of `make bench`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

_TIMES = 8
_MOST = 3 * _TIMES
"""Work in proportion costs 8 times as much for 8 times the input, work with the square 64 times."""
_TICK = 0.002
"""Seconds under which a reading is noise."""


def assert_linear(work: Callable[[int], object], small: int) -> None:
    """`work(8 * small)` costs at most 24 times the processor time of `work(small)`; a reading that says otherwise is
    taken again, twice.
    """
    for _ in range(3):
        low, high = _seconds(work, small, rounds=3), _seconds(work, _TIMES * small, rounds=1)
        if high <= _MOST * max(low, _TICK):
            return
    raise AssertionError(f"{_TIMES} times the input took {high / low:.0f} times the time ({low:.3f} and {high:.3f} s)")


def _seconds(work: Callable[[int], object], size: int, rounds: int) -> float:
    was_on = gc.isenabled()
    gc.disable()  # what the collector finds belongs to other tests
    try:
        return min(_once(work, size) for _ in range(rounds))
    finally:
        if was_on:
            gc.enable()


def _once(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started
