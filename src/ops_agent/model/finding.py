"""Rule -> finding -> verdict: what deterministic code thinks of a change set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where a finding is. `path` is relative to the repository's root; `line` counts from 1, 0 means the whole file."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule saw. It blocks, or it is only mentioned; `pre_existing` findings stand on the base already
    and never block.
    """

    rule: str
    title: str
    place: Place
    what: str
    remedy: str
    blocks: bool = True
    pre_existing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings over one change set, in the order of their places, and the ids of the rules that had something to
    look at.
    """

    findings: tuple[Finding, ...]
    rules_run: tuple[str, ...]

    @property
    def blocked(self) -> bool:
        return any(f.blocks and not f.pre_existing for f in self.findings)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.blocks and not f.pre_existing)
