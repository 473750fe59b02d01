"""What the doctor looks at and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ops_agent.domain.layout import Layout
from ops_agent.errors import OpsAgentError
from ops_agent.ports import BaseTree, World
from ops_agent.settings import Settings


class Health(StrEnum):
    """FAIL means that a run cannot succeed as things are; SKIP that it could not be looked at from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at: `what` was found, in one sentence, and the `hint` says what to do about it."""

    subject: str
    health: Health
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined. `tree` is None when there is no repository to look at, `layout` when there is no tree.

    `wrong` names the inputs that cannot be used: `settings` has their defaults, which nobody chose.
    """

    settings: Settings
    world: World
    environment: Mapping[str, str]
    tree: BaseTree | None
    layout: Layout | None
    wrong: frozenset[str] = frozenset()

    @property
    def repository(self) -> str:
        """`owner/name` of the repository that would be changed, empty when nobody names one."""
        return self.settings.target_repository or self.environment.get("GITHUB_REPOSITORY", "")

    @property
    def on_runner(self) -> bool:
        return self.environment.get("GITHUB_ACTIONS") == "true"


def from_error(subject: str, error: OpsAgentError) -> Diagnosis:
    """An error as a diagnosis: what it says, and its hint."""
    return Diagnosis(subject=subject, health=Health.FAIL, what=str(error), hint=error.hint)
