"""What a run needs besides: the llm, the reporter, the clock, the scratch tree."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.conversation import LlmReply, ToolSpec, Turn
from ops_agent.domain.verdict import Place
from ops_agent.ports.hosting import BaseTree


class Llm(Protocol):
    """The language model. Retries and streaming are the adapter's affair."""

    def warm_up(self) -> None:
        """Get ready in the background; a run calls it when it starts, because loading an SDK takes about a second."""

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        """One complete answer; a broken stream is retried whole, nothing of it escapes. Raises LlmError."""


class Reporter(Protocol):
    """The job's log, annotations, summary and outputs on GitHub Actions, or a terminal. Every text is redacted before it gets here."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A log group / a live line for one stage of the pipeline."""

    def line(self, text: str) -> None:
        """One line of progress. Inert: no workflow command in it is executed."""

    def turn(self, number: int, cost_usd: float, note: str) -> None:
        """The conversation went on."""

    def annotate(self, level: str, text: str, place: Place | None = None) -> None:
        """`notice`, `warning` or `error`, at a file and line where known."""

    def mask(self, secret: str) -> None: ...

    def output(self, name: str, text: str) -> None: ...

    def summary(self, markdown: str) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Scratch(Protocol):
    """The scratch tree: the base commit's regular files in a directory of our own, where the agent's edits land.

    Paths are checked (inside the root, no symlink on the way, no device); a refusal raises ScratchRefusal (a ValueError) with the reason.
    """

    root: Path
    base: BaseTree

    def read(self, path: str) -> bytes: ...

    def write(self, path: str, content: bytes) -> None: ...

    def delete(self, path: str) -> None: ...

    def paths(self) -> tuple[str, ...]:
        """Regular files, sorted."""

    def change_set(self) -> ChangeSet:
        """The journal against the base, byte by byte.

        Raises PolicyViolation when the tree holds anything that the journal does not (C19).
        """

    def restore(self, changes: ChangeSet) -> None:
        """Bring the tree to base plus `changes` (a run that is continued, or a hand-over between jobs)."""


class ScratchRefusal(ValueError):
    """A path or a write that the scratch tree refuses; the text goes back to the llm."""
