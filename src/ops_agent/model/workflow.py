"""A GitHub Actions workflow as it is written, in our own types. Every scalar is text, as it stands in the file; lines
count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SCOPES = frozenset(
    {
        "actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models",
        "packages", "pages", "pull-requests", "repository-projects", "security-events", "statuses",
    }
)  # fmt: skip
"""What a job's token can be given, under `permissions:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowText:
    """One scalar with its place (`("jobs", "plan", "steps", "0", "run")`) and the text of the step, job or workflow
    that it stands in.
    """

    path: tuple[str, ...]
    text: str
    line: int
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One event under `on:`. `filters` are its lists by name (`branches`, `types`, `paths`, ...).

    `inputs` are names of inputs, `filled_inputs` of those that are never empty.
    """

    event: str
    line: int
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    filled_inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """`scopes` by name; `shorthand` is `read-all` or `write-all` where that was written."""

    scopes: dict[str, str]
    line: int
    shorthand: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container or service: its image, the options it is started with, and whatever else is written about it
    (`volumes`).
    """

    image: str
    line: int
    options: str = ""
    other_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    line: int
    text: str
    name: str = ""
    uses: str = ""
    uses_line: int = 0
    run: str = ""
    run_line: int = 0
    shell: str = ""
    condition: str = ""
    with_: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    unknown_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. `uses` names a reusable workflow; `inherits_secrets` is `secrets: inherit`; `environment` is the GitHub
    environment's name.

    `matrix` holds the axes whose values are written out and never empty (an `include` may add to them). `frame` is what
    every step of it runs in: permissions, environment, variables, shell, machine, containers, condition.
    """

    id: str
    line: int
    text: str
    runs_on: tuple[str, ...] = ()
    permissions: Permissions | None = None
    environment: str = ""
    needs: tuple[str, ...] = ()
    condition: str = ""
    env: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    uses: str = ""
    uses_line: int = 0
    inherits_secrets: bool = False
    images: tuple[Image, ...] = ()
    matrix: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_keys: tuple[str, ...] = ()
    frame: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A whole workflow; `texts` are all its scalars in order; `text` its canonical form; `frame` what every job of it
    runs under.
    """

    line: int
    text: str
    triggers: tuple[Trigger, ...]
    permissions: Permissions | None
    env: dict[str, str]
    jobs: tuple[Job, ...]
    texts: tuple[WorkflowText, ...]
    unknown_keys: tuple[str, ...] = ()
    frame: str = ""

    @property
    def events(self) -> frozenset[str]:
        return frozenset(t.event for t in self.triggers)

    def trigger(self, event: str) -> Trigger | None:
        return next((t for t in self.triggers if t.event == event), None)
