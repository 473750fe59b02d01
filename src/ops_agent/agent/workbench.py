"""What the tools may touch, and how they say no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops_agent.ports import Clock, Scratch

WriteRefusal = Callable[[str, bytes | None], str | None]
"""Path and new bytes (None: deleted) in; why the write is refused, as one sentence, or None."""


class ToolRefusal(ValueError):
    """A tool's no; the text goes back to the llm and says what to do instead."""


@dataclass(slots=True)
class Workbench:
    """One conversation's scratch tree and judges. `standards` are texts by id; `writes` counts the writes
    that changed something.
    """

    scratch: Scratch
    refuse: WriteRefusal
    check: Callable[[], dict[str, Any]]
    clock: Clock
    standards: Mapping[str, str] = field(default_factory=dict)
    checks_left: int = 25
    writes: int = 0

    def allow(self, path: str, content: bytes | None) -> None:
        """Raises ToolRefusal when this write is not allowed. Asked before every write (the guard is not in the prompt)."""
        why = self.refuse(path, content)
        if why is not None:
            raise ToolRefusal(f"refused: {why}. Nothing was written; choose another path or content, or say in `not_done` what is missing.")
