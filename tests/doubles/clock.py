"""A clock that a test moves."""

from __future__ import annotations

import threading


class FakeClock:
    """ports.Clock: `time` only moves by `sleep` and for what a test adds to it. Safe for several threads."""

    def __init__(self, time: float = 1_800_000_000.0) -> None:
        self.time = time
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds
