"""What proves a change: cloud identity, Terraform, linters."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops_agent.domain.fetched_modules import FetchedModules
from ops_agent.domain.layout import Environment, TerraformRoot, TerraformTarget
from ops_agent.domain.verification import CheckResult


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLease:
    """AWS access for children of one target.

    `variables` go into the child's environment: a loopback URL and a one-run token, no credential.
    """

    environment: str
    account: str
    variables: Mapping[str, str]


class CloudIdentity(Protocol):
    """OIDC token -> AssumeRoleWithWebIdentity -> loopback broker."""

    def unplanned_reason(self, environment: Environment) -> str | None:
        """None when this environment has a role to plan with; else why it has not, for the pull request."""

    def lease(self, environment: Environment) -> AbstractContextManager[CredentialLease]:
        """Credentials while the context is open, re-minted before expiry. The account is asserted by GetCallerIdentity
        before the lease is handed out. Raises AwsError; PolicyViolation when the account is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFiles:
    """What a finished plan left behind, 0600, deleted when the workspace closes.

    `json_path` is `show -json`, `text` is `show -no-color`, capped.
    """

    json_path: Path
    text: str
    changes_present: bool


class TerraformWorkspace(Protocol):
    """One target in its own data directory. Commands run in order: init, validate, plan."""

    placeholders: tuple[str, ...]
    """Names of required variables without a value, which got a declared placeholder."""
    lock_file_update: bytes | None
    """After init: the root's `.terraform.lock.hcl` with the entries that it lacked for allow-listed providers, None when it needed none."""

    modules: tuple[str, ...]
    """One line for each module from outside the repository that the root's base calls: what was asked for and what came."""

    def init(self) -> CheckResult: ...

    def refresh(self, tree: Path) -> None:
        """Take the files of `tree` instead of the ones that stand there; what init installed stays.

        Only right while what init reads is the same (core.sources.init_inputs); for a target without a lease, and for validate alone.
        """

    def validate(self) -> CheckResult: ...

    def plan(self, *, with_text: bool = True) -> tuple[CheckResult, PlanFiles | None]:
        """Without text (one provider start less) `PlanFiles.text` is empty."""

    def mocked_plan(self) -> tuple[CheckResult, bytes | None]:
        """Plan from nothing with mocked providers, for a target without a lease: a document shaped like `show -json`, or None.

        The check is never failed: what mocks cannot do is not the change's fault; it is then not run, and its output says why.
        """


class Terraform(Protocol):
    """The terraform, tofu or embedded engine, in a sandbox (rules 14-25 of the security bar)."""

    def engine(self) -> str:
        """Name, version and where it came from, e.g. `Terraform 1.15.5 (embedded)`. Raises ToolchainError."""

    def self_test(self) -> str:
        """Prove with a canary that a hostile configuration cannot read this process or leave its sandbox: what holds on this machine, in
        words. Raises ToolchainError when something that they state does not hold."""

    def parallel(self) -> int:
        """How many targets may run at once on this machine, by cores and memory; at least 1."""

    def cancel(self) -> None:
        """Kill every running child and its descendants at once; for a run that is cancelled. Safe from any thread."""

    def fmt(self, tree: Path, root: TerraformRoot) -> CheckResult: ...

    def fetch_modules(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        """Fetch the modules from outside that `files`, the base commit's configuration of `root`, call; once a run for each root.

        They serve every later workspace of the root. What is not fetched is a finding, and `init` of its workspaces says so.
        """

    def fetched_modules(self, root: TerraformRoot) -> FetchedModules:
        """The Terraform of what `fetch_modules` got for `root`, as data; nothing when it got nothing."""

    def workspace(
        self, tree: Path, target: TerraformTarget, lease: CredentialLease | None, *, providers: tuple[str, ...] | None = None
    ) -> AbstractContextManager[TerraformWorkspace]:
        """`providers` narrows the allow-list that Terraform installs from (source addresses with a host), None leaves it alone."""


class Linters(Protocol):
    """actionlint and zizmor over workflow files. A linter that is missing or crashes is a failed check (F10)."""

    def check(self, tree: Path, workflow_paths: tuple[str, ...]) -> tuple[CheckResult, ...]: ...
