"""Names that changed. The old one holds until the version `until`, and whoever writes it is told the new one.

docs/upgrading.md is written from `RENAMED`. A row stays for good: a renamed rule keeps its fingerprints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

from ops_agent import __version__

_T = TypeVar("_T")
Kind = Literal["input", "output", "policy key", "rule"]


class Renamed(NamedTuple):
    """`old` is called `new` since version `since`; version `until` no longer takes `old`."""

    kind: Kind
    old: str
    new: str
    since: str
    until: str

    @property
    def notice(self) -> str:
        was = f"the {self.kind} `{self.old}` is called `{self.new}` since version {self.since}"
        return f"{was}; write `{self.new}`, version {self.until} no longer takes `{self.old}`"


RENAMED: tuple[Renamed, ...] = (
    Renamed("rule", "terraform/required-tags", "plan/required-tags", since="0.1.0", until="0.2.0"),
    Renamed("rule", "terraform/table-capacity", "plan/capacity-mode", since="0.1.0", until="0.2.0"),
    Renamed("rule", "terraform/bucket-protection", "plan/open-bucket", since="0.1.0", until="0.2.0"),
    Renamed("rule", "terraform/lambda-without-log-group", "plan/unwatched", since="0.1.0", until="0.2.0"),
)
"""For an output, action.yml keeps the old name beside the new one; for an input, with a `deprecationMessage`."""


def accepted(kind: Kind) -> dict[str, Renamed]:
    """The rows of `kind` that this version takes, by old name."""
    return {row.old: row for row in RENAMED if row.kind == kind and _numbers(__version__) < _numbers(row.until)}


def with_new_names(
    kind: Kind, given: Mapping[str, _T]
) -> tuple[dict[str, _T], tuple[str, ...], tuple[tuple[str, str], ...]]:
    """`given` under new names; a notice for each old one; and a pair (old name, what is wrong) where both are given."""
    old = {name: row for name, row in accepted(kind).items() if name in given}
    renamed = {name: value for name, value in given.items() if name not in old}
    both = tuple((name, f"it is the old name of `{r.new}`; remove it") for name, r in old.items() if r.new in given)
    renamed |= {row.new: given[name] for name, row in old.items() if row.new not in given}
    return renamed, tuple(row.notice for row in old.values()), both


def first_name(rule: str) -> str:
    """The name under which a rule was known first, so that what was computed of it stays."""
    older = next((row.old for row in RENAMED if row.kind == "rule" and row.new == rule), None)
    return rule if older is None else first_name(older)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
