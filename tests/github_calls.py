"""What tests of the code host say often: over the wire against the embedded GitHub, which is checked against its
published descriptions.
"""

from __future__ import annotations

from typing import Any

from ops_agent.adapters.github.client import RetryPolicy
from ops_agent.adapters.github.code_host import GitHubCodeHost, connect
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.event import IssueRef
from publication.github_world import Stage

PREFIX = "ops-agent/issue-"


def host(here: Stage, token: str | None = None, **options: Any) -> GitHubCodeHost:
    return GitHubCodeHost(
        connect(token or here.token, {"GITHUB_API_URL": here.github.base_url}, here.clock, RetryPolicy(**options))
    )


def name(here: Stage) -> str:
    return here.repository.full_name


def ref(here: Stage, number: int = 12) -> IssueRef:
    return IssueRef(repository=name(here), number=number)


def file_change(path: str, after: bytes | None, before: bytes | None = None) -> FileChange:
    return FileChange(path=path, before=before, after=after)


def change_set(base: str, *changes: FileChange) -> ChangeSet:
    return ChangeSet(base_commit=base, changes=changes)


def open_pull(here: Stage, number: int = 12, path: str = "a") -> Any:
    found, base = host(here), here.repository.head()
    found.create_branch(name(here), f"{PREFIX}{number}", base)
    found.commit_changes(name(here), f"{PREFIX}{number}", base, "h", "b", change_set(base, file_change(path, b"1")))
    return found.create_pull_request(name(here), f"{PREFIX}{number}", "main", "t", f"Closes #{number}", True)
