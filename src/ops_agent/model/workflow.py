"""A GitHub Actions workflow as it is written (scalars are text, lines count from 1), and what linters report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

SCOPES = frozenset(
    {
        "actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models",
        "packages", "pages", "pull-requests", "repository-projects", "security-events", "statuses",
    }
)  # fmt: skip
"""What a job's token can be given, under `permissions:`."""
_TAGS = frozenset({"tags", "tags-ignore"})
_BRANCHES = frozenset({"branches", "branches-ignore"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowText:
    """One scalar with its place: `("jobs", "plan", "steps", "0", "run")`."""

    path: tuple[str, ...]
    text: str
    line: int

    @property
    def lines(self) -> Iterator[WorkflowText]:
        """Each line of it."""
        return (self.part(number, text) for number, text in enumerate(self.text.split("\n")) if text.strip())

    def part(self, number: int, text: str) -> WorkflowText:
        """A part that begins on its line `number`, from 0. What has several lines begins below its key."""
        return replace(self, text=text, line=self.line + number + ("\n" in self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One event under `on:`. `filters` are its lists by name (`branches`, ...); `filled_inputs` are never empty."""

    event: str
    line: int
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    filled_inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """`scopes` by name; `shorthand` is `read-all` or `write-all` where that was written."""

    scopes: dict[str, str]
    line: int
    shorthand: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container or service: its image, its options, and whatever else is written about it (`volumes`)."""

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
    shell: str = ""
    directory: str = ""
    condition: str = ""
    with_: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    unknown_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. `uses` names a reusable workflow; `environment` is the GitHub environment's name.

    `matrix` holds the axes whose values are written out and never empty (an `include` may add to them).
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
    images: tuple[Image, ...] = ()
    matrix: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A whole workflow; `texts` are all its scalars in order; `text` its canonical form."""

    line: int
    text: str
    triggers: tuple[Trigger, ...]
    permissions: Permissions | None
    env: dict[str, str]
    jobs: tuple[Job, ...]
    texts: tuple[WorkflowText, ...]
    unknown_keys: tuple[str, ...] = ()

    @property
    def lines(self) -> Iterator[WorkflowText]:
        """Every line of every scalar."""
        return (line for text in self.texts for line in text.lines)

    @property
    def events(self) -> frozenset[str]:
        return frozenset(t.event for t in self.triggers)

    @property
    def open_branches(self) -> tuple[str, ...]:
        """What `push` starts it on besides named branches: patterns, our own, all (`*`). They are pushed unreviewed."""
        filters = push.filters if (push := self.trigger("push")) else {}
        branches = filters.get("branches", ())
        if push is None or (not filters.keys() & _BRANCHES and filters.keys() & _TAGS):
            return ()
        is_named = re.compile(r"(?!ops-agent/)[A-Za-z0-9][\w./-]*").fullmatch
        return tuple(b for b in branches if not is_named(b)) if branches else ("*",)

    @property
    def starts_on_tags(self) -> bool:
        filters = push.filters if (push := self.trigger("push")) else {"branches": ()}
        return bool(filters.keys() & _TAGS) or not filters.keys() & _BRANCHES

    def trigger(self, event: str) -> Trigger | None:
        return next((t for t in self.triggers if t.event == event), None)

    def with_job_names(self, names: Mapping[str, str]) -> Workflow:
        """The same workflow with other ids for the jobs in `names`, also in `needs`."""
        if not names:
            return self
        jobs = (
            replace(job, id=names.get(job.id, job.id), needs=tuple(names.get(n, n) for n in job.needs))
            for job in self.jobs
        )
        texts = (replace(text, path=renamed_job(text.path, names)) for text in self.texts)
        return replace(self, jobs=tuple(jobs), texts=tuple(texts))


def renamed_job(path: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    """The place of a text when its job has another id."""
    if path[:1] != ("jobs",) or len(path) < 2:
        return path
    return ("jobs", names.get(path[1], path[1]), *path[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class LintEntry:
    """One thing that a linter (`zizmor` or `actionlint`) reports about a workflow.

    `kind` is zizmor's audit, actionlint's kind, or `unreadable`; `text` the line without blanks around it; `route` the
    keys that lead to the place. `severity` counts from 0 (informational) to 3 (high).
    """

    tool: str
    kind: str
    line: int
    says: str
    text: str = ""
    url: str = ""
    severity: int = 2
    route: tuple[str, ...] = ()


LintEntries = Mapping[str, tuple[LintEntry, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """What the linters report about the changed workflows, by path: on the base branch and after the change."""

    base: LintEntries
    head: LintEntries
