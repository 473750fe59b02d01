"""Notices a conversation that goes in circles (L12)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

from ops_agent.domain.conversation import ToolCall, ToolResult

REPEATS = 3


class CircleWatch:
    """A call counts as repeated when name, arguments and result were all seen before; a write that is new starts the count afresh.

    So reading again after an edit is progress, and flipping a file to and fro is not.
    """

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        self._known_writes: set[bytes] = set()

    def repeated(self, calls: Sequence[ToolCall], results: Sequence[ToolResult], wrote: bool) -> str | None:
        """The name of a tool that was called the same way, with the same result, for the third time; None otherwise."""
        marks = [_mark(call, result) for call, result in zip(calls, results, strict=True)]
        if wrote and not self._known_writes.issuperset(marks):
            self._counts.clear()
        if wrote:
            self._known_writes.update(marks)
        self._counts.update(set(marks))
        for call, mark in zip(calls, marks, strict=True):
            if self._counts[mark] >= REPEATS:
                self._counts.clear()
                return call.name
        return None


def _mark(call: ToolCall, result: ToolResult) -> bytes:
    text = json.dumps([call.name, call.arguments, call.raw if call.arguments is None else "", result.text], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
