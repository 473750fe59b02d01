"""The adapters of one connection to the embedded GitHub, and calls that many tests make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops_agent.adapters.github.branches import GitHubBranches
from ops_agent.adapters.github.client import GitHubHttp
from ops_agent.adapters.github.failures import RetryPolicy
from ops_agent.adapters.github.issues import GitHubIssues
from ops_agent.adapters.github.pull_requests import GitHubPullRequests
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.event import IssueRef
from run.github_world import Workplace

PREFIX = "ops-agent/issue-"


@dataclass(frozen=True)
class Host:
    """The three ports over one connection."""

    http: GitHubHttp
    issues: GitHubIssues
    branches: GitHubBranches
    pull_requests: GitHubPullRequests


def host_over(http: GitHubHttp) -> Host:
    return Host(http, GitHubIssues(http), GitHubBranches(http), GitHubPullRequests(http))


def host(here: Workplace, token: str | None = None, **options: Any) -> Host:
    return host_over(here.connection(token, RetryPolicy(**options)))


def name(here: Workplace) -> str:
    return here.repository.full_name


def ref(here: Workplace, number: int = 12) -> IssueRef:
    return IssueRef(repository=name(here), number=number)


def file_change(path: str, after: bytes | None, before: bytes | None = None) -> FileChange:
    return FileChange(path=path, before=before, after=after)


def change_set(base: str, *changes: FileChange) -> ChangeSet:
    return ChangeSet(base_commit=base, changes=changes)


def open_pull(here: Workplace, number: int = 12, path: str = "a") -> Any:
    found, base = host(here), here.repository.head()
    found.branches.create(name(here), f"{PREFIX}{number}", base)
    found.branches.commit(name(here), f"{PREFIX}{number}", base, "h", "b", change_set(base, file_change(path, b"1")))
    return found.pull_requests.create(name(here), f"{PREFIX}{number}", "main", "t", f"Closes #{number}", True)
