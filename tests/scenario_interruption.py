"""A signal in the middle of a run, as a runner sends it when somebody cancels the workflow; and what may be left afterwards: nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_agent.demo.job import LogLine


class Interruption:
    """A signal when a stage begins (`interrupt: {stage: verify, signal: SIGINT, after: 1.5, within: 5}`); nothing without a stage."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._pid = 0
        self._sent_at = 0.0
        self._children: list[int] = []

    def started(self, pid: int) -> None:
        self._pid = pid

    def listen(self, line: LogLine) -> None:
        if self._told and not self._sent_at and line.kind == "group" and line.text == self._told["stage"]:
            time.sleep(self._told.get("after", 0.5))
            self._children = _descendants(self._pid)
            self._sent_at = time.monotonic()
            os.kill(self._pid, signal.Signals[self._told.get("signal", "SIGINT")])

    def check(self) -> None:
        if self._told:
            seconds = time.monotonic() - self._sent_at
            assert self._sent_at, f"the stage {self._told['stage']} never began"
            assert seconds < self._told.get("within", 5.0), f"the run took {seconds:.1f} s to end"
            alive = [pid for pid in self._children if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"]
            assert not alive, f"children outlived the run: {alive}"
            assert len(self._children) >= self._told.get("children", 0), "the interruption came before the children that it should end"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _descendants(pid: int) -> list[int]:
    """All processes below `pid`, by /proc."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += sorted(frontier)
    return found
