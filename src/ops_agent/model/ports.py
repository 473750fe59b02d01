"""The outside world as Protocols, and World, which holds one of each.

Every method raises only classes of `ops_agent.model.errors`. Adapters translate; they never decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ops_agent.model.change_set import ChangeSet, TreeEntry
from ops_agent.model.conversation import LlmReply, ToolSpec, Turn
from ops_agent.model.event import (
    Actor,
    Comment,
    Issue,
    IssueEvent,
    IssueRef,
    Permission,
    PullRequest,
    Repository,
)
from ops_agent.model.finding import Place
from ops_agent.model.plan import OfflinePlan, OfflineSide
from ops_agent.model.review import FailedCheck, Review, ReviewThread
from ops_agent.model.terraform import (
    DescribedType,
    EngineWish,
    Environment,
    FetchedModules,
    TerraformRoot,
    TerraformTarget,
)
from ops_agent.model.verification import CheckResult
from ops_agent.model.wiki import WikiAnswer
from ops_agent.model.workflow import LintEntries


class BaseTree(Protocol):
    """The files of one commit, from git's objects: no filters, no checkout, no symlink of a disk is ever followed."""

    commit: str

    def entries(self) -> Mapping[str, TreeEntry]:
        """Every entry by path (`/` separated, relative to the root). May be capped; a cap raises ConfigError."""

    def read(self, path: str) -> bytes:
        """The blob's bytes; those of a symlink are the path it leads to. Raises KeyError for anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAbilities:
    """What the token may do on one repository: True, False, or None when only trying shows it."""

    contents: bool | None
    pull_requests: bool | None
    issues: bool | None
    workflows: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchRule:
    """A rule of an active ruleset that applies to a branch. `kind` and `parameters` are GitHub's."""

    kind: str
    ruleset: int
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Issues(Protocol):
    """Issues with their comments and labels, and what people, tokens and workflow runs of a repository are.

    `repository` is `owner/name`. Every list is complete: the adapter does the paging.
    """

    def viewer(self) -> Actor:
        """The account that the token acts as (GraphQL `viewer`)."""

    def repository(self, repository: str) -> Repository: ...

    def permission(self, repository: str, login: str) -> Permission:
        """Role of a person; NONE when they have none. Other failures raise (the caller fails closed)."""

    def token_abilities(self, repository: str) -> TokenAbilities: ...

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        """Whether a workflow run has ended; None when the token may not know."""

    def issue(self, ref: IssueRef) -> Issue:
        """Raises NotFound for 404, 410 and for a transferred issue (301 is never followed)."""

    def timeline(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        """Events, oldest first."""

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        """In the parent's order; may name other repositories."""

    def parent(self, ref: IssueRef) -> IssueRef | None: ...

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        """Issues that this one is `blocked_by`, open or closed."""

    def blocked(self, ref: IssueRef) -> tuple[Issue, ...]:
        """Issues that this one blocks, open or closed; none where GitHub does not know of it."""

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]: ...

    def create_comment(self, ref: IssueRef, body: str) -> Comment: ...

    def update_comment(self, repository: str, comment_id: int, body: str) -> None: ...

    def delete_comment(self, repository: str, comment_id: int) -> None: ...

    def add_labels(self, repository: str, number: int, labels: tuple[str, ...]) -> None:
        """`number` is that of an issue or of a pull request."""

    def labels(self, repository: str) -> tuple[str, ...]:
        """The labels that the repository offers."""

    def keep_issue(self, repository: str, marker: str, title: str, body: str) -> str:
        """Make our one open issue whose text begins with `marker`, as `body` does, or edit it; returns its address."""


class Branches(Protocol):
    """Branches, files and commits. Nothing here moves a ref except a commit on our own branch."""

    def head(self, repository: str, branch: str) -> str | None:
        """Commit that the branch points at, None when there is no such branch."""

    def create(self, repository: str, branch: str, commit: str) -> bool:
        """Create `refs/heads/{branch}`; False when it already exists (this is the lock). Never moves a ref."""

    def delete(self, repository: str, branch: str) -> None: ...

    def commits_between(self, repository: str, base: str, head: str) -> tuple[tuple[str, Actor | None], ...]:
        """(commit, author) of the commits on head that are not on base, oldest first."""

    def parents(self, repository: str, commit: str) -> tuple[str, ...]: ...

    def merge_base(self, repository: str, base: str, head: str) -> str:
        """The newest commit that both commits have in their history. Raises NotFound when they share none."""

    def tree(self, repository: str, commit: str) -> BaseTree: ...

    def commit(
        self, repository: str, branch: str, expected_head: str, headline: str, body: str, changes: ChangeSet
    ) -> str:
        """Returns the new commit. Raises Conflict when the head moved, NeedsWorkflowsPermission."""

    def merge(self, repository: str, branch: str, commit: str, message: str) -> bool:
        """A merge commit of `commit` on `branch`, unless it holds that already; False when the two conflict."""

    def commit_merge(
        self,
        repository: str,
        branch: str,
        parents: tuple[str, str],
        message: str,
        entries: Mapping[str, TreeEntry | bytes | None],
    ) -> str:
        """A commit with two parents on `branch`, which is at the first of them: its tree with `entries` in their paths
        (an entry of any commit, bytes of a regular file, None: deleted). Raises Conflict when the head moved.
        """

    def rules(self, repository: str, branch: str) -> tuple[BranchRule, ...]:
        """The rules for a branch of this name, which need not exist; none where the token may not ask."""

    def ruleset(self, repository: str, ruleset: int) -> tuple[str, bool | None]:
        """Its name, and whether the token may bypass it on a commit; None when GitHub does not say."""

    def resolve_action(self, uses: str, ref: str) -> str | None:
        """Commit of an action's tag or branch (`actions/checkout`, `v4`), None when it does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check run says about a commit. `conclusion` is success, failure or neutral; `url` leads to the details."""

    name: str
    conclusion: str
    title: str
    summary: str
    url: str


class PullRequests(Protocol):
    """Pull requests and their reviews. Nothing here merges, approves or reopens."""

    def pull_request(self, repository: str, number: int) -> PullRequest:
        """Raises NotFound when there is no pull request of that number."""

    def of_branch(self, repository: str, branch: str) -> tuple[PullRequest, ...]:
        """All (open and closed) whose head is this branch of this repository, newest first."""

    def open_with_prefix(self, repository: str, branch_prefix: str) -> tuple[PullRequest, ...]:
        """Open ones whose head branch starts with `branch_prefix`."""

    def files(self, repository: str, number: int) -> tuple[str, ...]: ...

    def discussion(self, repository: str, number: int) -> tuple[tuple[Review, ...], tuple[ReviewThread, ...]]:
        """Its reviews, oldest first, and the threads in its files."""

    def failed_checks(self, repository: str, commit: str) -> tuple[FailedCheck, ...]:
        """The newest check runs of `commit`, of each name, that failed. Raises NotPermitted."""

    def reply(self, repository: str, number: int, thread: int, body: str) -> None:
        """Answer in a thread, once: the first line of `body` marks it. Raises NotFound when the thread is gone."""

    def create(self, repository: str, head: str, base: str, title: str, body: str, draft: bool) -> PullRequest: ...

    def update(self, repository: str, number: int, title: str, body: str) -> PullRequest: ...

    def set_draft(self, pull_request: PullRequest, draft: bool) -> None: ...

    def report_check(self, repository: str, commit: str, check: CheckReport) -> None:
        """Make `check` the newest check run of its name on `commit`. Raises NotPermitted for a token that is no App's,
        or without the permission.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCard:
    """An issue's item on the project board. `options` are the board's statuses as (option id, name)."""

    item_id: str
    project_id: str
    field_id: str
    status: str | None
    options: tuple[tuple[str, str], ...]


class Board(Protocol):
    """GitHub Projects v2, found from the issue's side."""

    def card(self, issue: Issue) -> BoardCard | str:
        """The issue's card, or one sentence that says why the board cannot be used; empty when there is to be none."""

    def cards_of(self, issues: tuple[Issue, ...]) -> Mapping[IssueRef, BoardCard | str]:
        """The same for many issues at once."""

    def statuses(self, repository: str) -> tuple[str, ...] | str:
        """The board's statuses, or one sentence that says why the board cannot be used for issues of `repository`;
        empty when there is to be none.
        """

    def move(self, card: BoardCard, status: str) -> str | None:
        """Set the status (name matched without case). None when done, else one sentence that says why not."""


class Llm(Protocol):
    """The language model. The adapter does retries and streaming."""

    def warm_up(self) -> None:
        """Get ready in the background; a run calls it when it starts, because loading an SDK takes about a second."""

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        """One complete answer; a broken stream is retried whole, nothing of it escapes. Raises LlmError."""


class Scratch(Protocol):
    """The base commit's regular files in a directory of our own, where the agent's edits land.

    A path that leaves it, or a link or device on the way, raises ScratchRefusal with the reason.
    """

    root: Path
    base: BaseTree

    def read(self, path: str) -> bytes: ...

    def write(self, path: str, content: bytes) -> None: ...

    def delete(self, path: str) -> None: ...

    def paths(self) -> tuple[str, ...]:
        """Regular files, sorted."""

    def change_set(self) -> ChangeSet:
        """What was written and deleted, against the base. Raises PolicyViolation when the tree holds anything else."""


class ScratchRefusal(ValueError):
    """A path or a write that the scratch tree refuses; the text goes back to the llm."""


class StateObject(NamedTuple):
    """A state in S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLease:
    """AWS access for one target: `variables` of its children hold a loopback URL and a one-run token, no credential."""

    environment: str
    account: str
    variables: Mapping[str, str]


class CloudIdentity(Protocol):
    """OIDC token -> AssumeRoleWithWebIdentity -> loopback broker."""

    def unplanned_reason(self, environment: Environment) -> str | None:
        """None when this environment has a role to plan with; else why it has not, for the pull request."""

    def lease(self, environment: Environment) -> AbstractContextManager[CredentialLease]:
        """Credentials while the context is open, renewed before they expire. Raises AwsError, ConfigError;
        PolicyViolation when they act in another account than the environment's.
        """

    def try_role(self, environment: Environment, states: Sequence[StateObject]) -> tuple[str, dict[StateObject, str]]:
        """The account that the environment's role acts in, and why it cannot read some of `states`. A state that is
        not written yet is no trouble. Raises as `lease`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFiles:
    """What a plan left: `show -json` (0600, deleted with the workspace), and `show -no-color`, capped."""

    json_path: Path
    text: str
    changes_present: bool


class TerraformWorkspace(Protocol):
    """One target in its own data directory. Commands run in order: init, validate, plan."""

    placeholders: tuple[str, ...]
    """Names of required variables without a value, which got a declared placeholder."""
    lock_file_update: bytes | None
    """After init: the root's `.terraform.lock.hcl` with the entries that it lacked; None when it lacked none."""
    modules: tuple[str, ...]
    """One line for each module from outside that the root's base calls: what was asked for and what was fetched."""

    def init(self) -> CheckResult: ...

    def refresh(self, tree: Path) -> None:
        """Take the files of `tree` in place of the present ones; what init installed stays.

        Only right while what init reads is the same (terraform.modules.init_inputs), without a lease, and for validate.
        """

    def validate(self) -> CheckResult: ...

    def plan(self, *, with_text: bool = True) -> tuple[CheckResult, PlanFiles | None]:
        """Without text (one provider start less) `PlanFiles.text` is empty."""


class Terraform(Protocol):
    """The terraform, tofu or embedded engine, in a sandbox (docs/threat-model.md)."""

    def engine(self) -> str:
        """Name, version and where it came from, e.g. `Terraform 1.15.5 (embedded)`. Raises ToolchainError."""

    def choose_engine(self, wishes: Sequence[EngineWish]) -> None:
        """Before anything is run: take the engine here that meets most of the `wishes`, one for each root."""

    def self_test(self) -> str:
        """Prove with a canary that a hostile configuration cannot read this process or leave its sandbox.

        Returns in words what the sandbox guarantees here; raises ToolchainError when a guarantee does not hold.
        """

    def warm_up(self) -> None:
        """Begin `self_test` in the background; what it raises, the next call that needs the engine raises too."""

    def parallel(self) -> int:
        """How many targets may run at once on this machine, by cores and memory; at least 1."""

    def cancel(self) -> None:
        """Kill every running child and its descendants at once; for a run that is cancelled. Safe from any thread."""

    def fmt(self, tree: Path, root: TerraformRoot) -> CheckResult: ...

    def formatted(self, tree: Path, root: TerraformRoot) -> dict[str, bytes]:
        """What `terraform fmt` makes of the files of `root` that are not formatted, by path; `tree` stays as it is."""

    def fetch_modules(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        """Fetch, once a run, the modules from outside that `files`, the base's configuration of `root`, calls.

        They serve every workspace of the root. What is not fetched is a finding, and `init` of its workspaces says so.
        """

    def fetched_modules(self, root: TerraformRoot) -> FetchedModules:
        """The Terraform of what `fetch_modules` got for `root`, as data; nothing when it got nothing."""

    def workspace(
        self,
        tree: Path,
        target: TerraformTarget,
        lease: CredentialLease | None,
        *,
        providers: tuple[str, ...] | None = None,
        buckets: frozenset[str] | None = frozenset(),
    ) -> AbstractContextManager[TerraformWorkspace]:
        """`providers` (source addresses with a host) is what Terraform may install; None: the allow-list. `buckets` may
        be reached beside those of the backend and the state; None, for the base's own configuration: any of the region.
        """

    def offline_bases(self, workspaces: Sequence[TerraformWorkspace]) -> list[OfflineSide | str]:
        """For each of a root's `workspaces` of the base, without a lease and after init, what `plan_offline` needs of
        it; or why there is none. It stays right as long as the base commit does.
        """

    def plan_offline(
        self, workspaces: Sequence[TerraformWorkspace], bases: Sequence[OfflineSide | str | None]
    ) -> list[tuple[CheckResult, OfflinePlan | None]]:
        """What the head does to each environment of a root, without its account. `workspaces` are those of the head,
        without a lease and after init, `bases` theirs (None: there is nothing on the base).

        A check fails when a plan with the account would fail too. What cannot be planned offline is not the change's
        fault: the check is not run, and says why.
        """

    def describe(self, workspace: TerraformWorkspace, type_: str, *, data: bool) -> DescribedType | tuple[str, ...]:
        """What the provider says of a type of resource, or of data source; the nearest types that it has when it does
        not have this one. `workspace` is of the base, without a lease and after init.
        """


class Linters(Protocol):
    """actionlint and zizmor over workflow files. They read YAML as data and run nothing of it."""

    def check(self, files: Mapping[str, bytes]) -> LintEntries:
        """What they report about each of `files`, by path; `unreadable` is an entry for what one of them cannot read.
        Raises ToolchainError when a linter is missing or does not work at all.
        """


class Wiki(Protocol):
    """The team's Confluence, read-only, by MCP servers in processes of their own."""

    def find(self, queries: Sequence[str]) -> WikiAnswer:
        """Pages of the allowed spaces that the queries (CQL) find, in their order; without a query only whether the
        servers answer. What cannot be had is a problem of the answer and is never raised.
        """


class Reporter(Protocol):
    """The log, annotations, summary and outputs of a job on GitHub Actions, or a terminal. Every text is redacted."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One adapter per outside thing. `scratch` makes a fresh tree, removed when the context closes."""

    issues: Issues
    branches: Branches
    pull_requests: PullRequests
    board: Board
    llm: Llm
    cloud: CloudIdentity
    terraform: Terraform
    linters: Linters
    reporter: Reporter
    clock: Clock
    scratch: Callable[[BaseTree], AbstractContextManager[Scratch]]
    redact: Callable[[str], str]
    wiki: Wiki | None = None
    """None: no MCP server is configured."""
