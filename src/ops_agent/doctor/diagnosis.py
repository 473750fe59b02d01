"""What the doctor says: one diagnosis for each thing that it looked at; and what it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """One thing that was checked: `what` was found, in one sentence, and the `hint` says what to do about it."""

    subject: str
    health: Health
    what: str
    hint: str = ""


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
