"""A signal in the middle of a run, as a runner sends it when somebody cancels the workflow; and what may be left
afterwards: nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_agent_demo.job import LogLine

_PATIENCE = 60.0


class Interruption:
    """A signal in a stage (`interrupt: {stage: verify, child: terraform-provider-aws, signal: SIGINT, within: 5}`), if
    the scenario has one.

    It is sent as soon as a process of that name runs below the job (`child`), or some seconds after the stage began
    (`after`).
    """

    def __init__(self, interrupt: Mapping[str, Any]) -> None:
        self._interrupt = interrupt
        self._pid = 0
        self._sent_at = 0.0
        self._children: list[int] = []

    def started(self, pid: int) -> None:
        self._pid = pid

    def listen(self, line: LogLine) -> None:
        if self._interrupt and not self._sent_at and line.kind == "group" and line.text == self._interrupt["stage"]:
            self._children = (
                self._wait_for(self._interrupt["child"])
                if "child" in self._interrupt
                else self._wait(self._interrupt["after"])
            )
            self._sent_at = time.monotonic()
            os.kill(self._pid, signal.Signals[self._interrupt.get("signal", "SIGINT")])

    def _wait(self, seconds: float) -> list[int]:
        time.sleep(seconds)
        return _descendants(self._pid)

    def _wait_for(self, name: str) -> list[int]:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and _state(self._pid) != "Z":
            children = _descendants(self._pid)
            if any(name in _command(child) for child in children):
                return children
            time.sleep(0.02)
        return []

    def check(self) -> None:
        if self._interrupt:
            seconds = time.monotonic() - self._sent_at
            assert self._sent_at, f"the stage {self._interrupt['stage']} never began"
            assert seconds < self._interrupt.get("within", 5.0), f"the run took {seconds:.1f} s to end"
            alive = [pid for pid in self._children if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"]
            assert not alive, f"children outlived the run: {alive}"
            assert self._children or "child" not in self._interrupt, (
                f"no {self._interrupt['child']} ran: there was nothing to end"
            )


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


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
