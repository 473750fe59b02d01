"""Rule -> finding -> verdict: what deterministic code thinks of a change set and of its plans."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Severity(IntEnum):
    """How much a finding weighs; the heaviest sorts first."""

    BLOCKS = 0
    """The change may not leave."""
    DECISION = 1
    """A person has to want it: the pull request is a draft that begins with it."""
    WARNING = 2
    """Shown before what is only mentioned."""
    NOTICE = 3
    """Mentioned."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where a finding is. `path` is relative to the repository's root; `line` counts from 1, 0 means the whole file."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


NO_PLACE: Final = Place(path="")
"""The finding is about a plan: `address` says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes two findings of a rule the same, in whatever file and line.

    `anchor` is the address of the code and the text of the part that offends, `under` circumstances that make it worse
    (events that strangers can cause, rights). A finding of the base excuses one of the change that has the same anchor
    and no circumstance more; any number when it `excuses_all`.
    """

    anchor: str
    under: frozenset[str] = frozenset()
    excuses_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule saw in a file (`place`) or in a plan (`address`, of a resource, an output, a provider...).

    `what` is a clause for people, without secrets; `title` and `remedy` may be empty for a plan's finding until it is
    judged. `pre_existing`: it is on the base branch already. `certain` False: only an apply shows whether it is so.
    `disputed` is the agent's reason why the rule is wrong here, redacted: then a person decides (guard/disputes.py).
    A source rule gives `identity` in the place of `rule`; the judge puts in what is missing and takes it away.
    """

    rule: str = ""
    what: str
    severity: Severity = Severity.BLOCKS
    place: Place = NO_PLACE
    address: str = ""
    title: str = ""
    remedy: str = ""
    pre_existing: bool = False
    certain: bool = True
    disputed: str = ""
    identity: Identity | None = None

    @property
    def blocks(self) -> bool:
        """Whether it stops the change: what is on the base branch already never does, nor what is disputed."""
        return self.severity is Severity.BLOCKS and not self.pre_existing and not self.disputed


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """The agent says why a rule is wrong about one thing, in one file: all findings with these three words, on whatever
    line.
    """

    rule: str
    path: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings over one change set, in the order of their places; `rules_run` had something to look at."""

    findings: tuple[Finding, ...]
    rules_run: tuple[str, ...]

    @property
    def blocked(self) -> bool:
        return any(f.blocks for f in self.findings)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.blocks)

    @property
    def disputed(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.disputed)
