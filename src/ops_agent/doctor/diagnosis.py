"""What the doctor says: one diagnosis for each thing that it looked at; and what it looks at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ops_agent.adapters.network import DIRECT, Network
from ops_agent.config.settings import Settings
from ops_agent.model.errors import OpsAgentError
from ops_agent.model.finding import Finding
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Layout

IN_A_JOB: Final = "The doctor's workflow checks that in a job (examples/doctor.yml)."


class Health(StrEnum):
    """FAIL means that a run cannot succeed as things are; SKIP that it could not be checked from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


OK, WARN, FAIL, SKIP = Health


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was checked: `what` was found, in one sentence, and the `hint` says what to do about it.

    `details` are the sentences of all places where `what` names the first ones.
    """

    subject: str
    health: Health
    what: str
    hint: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is examined. `tree` is None when there is no repository to read, `layout` when there is no tree.

    `wrong` names the inputs that cannot be used: `settings` has their defaults, which nobody chose.
    """

    settings: Settings
    world: World
    environment: Mapping[str, str]
    tree: BaseTree | None
    layout: Layout | None
    wrong: frozenset[str] = frozenset()
    network: Network = DIRECT

    @property
    def repository(self) -> str:
        """`owner/name` of the repository that would be changed, empty when nobody names one."""
        return self.settings.target_repository or self.environment.get("GITHUB_REPOSITORY", "")

    @property
    def on_runner(self) -> bool:
        return self.environment.get("GITHUB_ACTIONS") == "true"

    @property
    def gets_oidc_tokens(self) -> bool:
        return bool(self.environment.get("ACTIONS_ID_TOKEN_REQUEST_URL"))

    @property
    def elsewhere(self) -> str:
        """Where what cannot be checked here is checked."""
        return "" if self.on_runner else IN_A_JOB

    def lacking(self, subject: str, what: str, hint: str) -> Diagnosis:
        """A diagnosis of what only a job has: FAIL in a job, elsewhere SKIP."""
        return Diagnosis(subject, FAIL if self.on_runner else SKIP, what, self.elsewhere or hint)


def from_error(subject: str, error: OpsAgentError) -> Diagnosis:
    """An error as a diagnosis: its words, and its hint."""
    return Diagnosis(subject, FAIL, str(error), error.hint)


def from_finding(subject: str, health: Health, finding: Finding, more: str = "") -> Diagnosis:
    return Diagnosis(subject, health, f"{finding.place}: {finding.what}", finding.remedy + more)


_SINGLE: Final = 3
_NAMES: Final = re.compile(r"`[^`]*`|^[^\s:`]+(?::\d+)?(?=: )|\d+(?:\.\d+)?")
"""What differs in two diagnoses of one kind: names, the place at the beginning, numbers."""


def summarised(found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """Of more than three of one kind, one that holds the words of all in `details`; in the order of the first ones."""
    kinds: dict[tuple[str, Health, str, str], list[Diagnosis]] = {}
    for one in found:
        kinds.setdefault((one.subject, one.health, _NAMES.sub("", one.what), _NAMES.sub("", one.hint)), []).append(one)
    for alike in kinds.values():
        if len(alike) <= _SINGLE:
            yield from alike
            continue
        names, seen = [], set(_NAMES.findall(alike[0].what))
        for one in alike[1:_SINGLE]:
            names += [next((name for name in _NAMES.findall(one.what) if name not in seen), "")]
        more = f"; and {len(alike) - 1} more like this: {', '.join(filter(None, names))}, ..."
        yield replace(alike[0], what=alike[0].what + more, details=tuple(one.what for one in alike))
