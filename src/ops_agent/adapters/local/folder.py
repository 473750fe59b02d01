"""A laptop instead of GitHub: the issue is a Markdown file, the pull request a folder.

The same pipeline runs over it. Comments, refs and pull requests live in memory and end as files in the output folder;
only a branch that was asked for is written to the repository, and no existing ref is ever moved.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.guard.pins import vouched_commit
from ops_agent.model.change_set import ChangeSet, TreeEntry
from ops_agent.model.errors import ConfigError, Conflict, NotFound
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Comment,
    Issue,
    IssueEvent,
    IssueRef,
    Permission,
    PullRequest,
    Repository,
)
from ops_agent.model.ports import BaseTree, BoardCard, BranchRule, CheckReport, TokenAbilities
from ops_agent.model.review import FailedCheck, Review, ReviewThread

YOU = Actor(login="you", id=1, kind=ActorKind.USER)
OPS_AGENT = Actor(login="ops-agent", id=2, kind=ActorKind.BOT)
_HEADING = re.compile(r"\A\s*#\s+(?P<title>[^\n]+)\n(?P<body>.*)\Z", re.DOTALL)
_BIGGEST_ISSUE_BYTES = 1_000_000


def read_issue_file(path: Path, repository: str) -> Issue:
    """An issue from a Markdown file: the first line is `# [ops] title`, the rest is the body.

    Raises ConfigError when the file is missing, is too large, is not UTF-8, or has no title.
    """
    try:
        if path.stat().st_size > _BIGGEST_ISSUE_BYTES:
            what = f"{path} is larger than {_BIGGEST_ISSUE_BYTES} bytes"
            raise ConfigError(what, hint="Give --issue-file the text of one issue.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path} cannot be read as UTF-8 text: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(what, hint="Give --issue-file a Markdown file.") from error
    found = _HEADING.match(text if text.endswith("\n") else text + "\n")
    if found is None:
        hint = "Write the issue's title in the first line: `# [ops] What is wanted`."
        raise ConfigError(f"{path}:1 has no title", hint=hint)
    return Issue(
        ref=IssueRef(repository=repository, number=0),
        id=1,
        node_id="local",
        title=found["title"].strip(),
        body=found["body"].strip(),
        is_open=True,
        is_pull_request=False,
        labels=("ready",),
        author=YOU,
        url=path.resolve().as_uri(),
    )


def base_commit(objects: GitObjects) -> str:
    """The commit that a run starts from. Raises ConfigError when there is none."""
    head = objects.commit_of("HEAD")
    if head is None:
        raise ConfigError("the repository has no commit", hint="Commit the files that the agent should start from.")
    return head


def require_free(objects: GitObjects, branch: str | None) -> None:
    """Raises ConfigError when a branch of this name cannot be made."""
    if branch is not None and (taken := objects.in_the_way_of(branch)):
        what = "exists already" if taken == branch else f"cannot exist beside the branch {taken}"
        raise ConfigError(f"branch {branch} {what}", hint="Give --branch a name that is free; nothing was moved.")


class NoBoard:
    """ports.Board of a laptop: there is none."""

    def card(self, issue: Issue) -> BoardCard | str:
        return ""

    def cards_of(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        return {issue.ref: self.card(issue) for issue in issues}

    def statuses(self, repository: str) -> tuple[str, ...] | str:
        return ""

    def move(self, card: BoardCard, status: str) -> str | None:
        return None


class LocalIssues:
    """ports.Issues: one issue, and the one person who may do everything. Comments are a file in the folder `output`."""

    def __init__(self, objects: GitObjects, issue_file: Path, output: Path, default_branch: str) -> None:
        top = Path(objects.run("rev-parse", "--show-toplevel").decode().strip()).name
        name = re.sub(r"[^\w.-]", "-", top) or "repository"
        self.only_repository = Repository(owner="local", name=name, id=1, default_branch=default_branch)
        self.only_issue = read_issue_file(issue_file, self.only_repository.full_name)
        self._labelled_at = _iso(issue_file.stat().st_mtime)
        self._output = output
        self._comments: dict[int, Comment] = {}

    def viewer(self) -> Actor:
        return OPS_AGENT

    def repository(self, repository: str) -> Repository:
        if repository != self.only_repository.full_name:
            raise NotFound(f"{repository} is not here: a local run knows only {self.only_repository.full_name}")
        return self.only_repository

    def permission(self, repository: str, login: str) -> Permission:
        return Permission.ADMIN if login == YOU.login else Permission.NONE

    def token_abilities(self, repository: str) -> TokenAbilities:
        return TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        return None

    def issue(self, ref: IssueRef) -> Issue:
        if ref != self.only_issue.ref:
            raise NotFound(f"{ref} is not here: a local run knows only {self.only_issue.ref}")
        return self.only_issue

    def timeline(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        return (IssueEvent(id=1, kind="labeled", actor=YOU, at=self._labelled_at, label="ready"),)

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        return ()

    def parent(self, ref: IssueRef) -> IssueRef | None:
        return None

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        return ()

    def blocked(self, ref: IssueRef) -> tuple[Issue, ...]:
        return ()

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]:
        return tuple(self._comments.values())

    def create_comment(self, ref: IssueRef, body: str) -> Comment:
        at = _iso(time.time())
        comment = Comment(id=len(self._comments) + 1, author=OPS_AGENT, body=body, created_at=at, updated_at=at)
        self._comments[comment.id] = comment
        self._write_comments()
        return comment

    def update_comment(self, repository: str, comment_id: int, body: str) -> None:
        self._comments[comment_id] = replace(self._comments[comment_id], body=body, updated_at=_iso(time.time()))
        self._write_comments()

    def delete_comment(self, repository: str, comment_id: int) -> None:
        self._comments.pop(comment_id, None)

    def add_labels(self, repository: str, number: int, labels: tuple[str, ...]) -> None:
        """A folder has no labels."""

    def labels(self, repository: str) -> tuple[str, ...]:
        return ()

    def keep_issue(self, repository: str, marker: str, title: str, body: str) -> str:
        raise NotFound("a local run has one issue, and makes no other")

    def _write_comments(self) -> None:
        _write(self._output / "comments.md", "\n\n---\n\n".join(c.body for c in self._comments.values()).encode())


class LocalBranches:
    """ports.Branches over one local repository. Refs live in memory; `kept` is the one branch that is really made."""

    def __init__(self, objects: GitObjects, output: Path, kept: str | None = None) -> None:
        head = base_commit(objects)
        require_free(objects, kept)
        self.default = objects.branch_name() or "HEAD"
        self._objects, self._output, self._kept = objects, output, kept
        self._heads = {self.default: head}

    def head(self, repository: str, branch: str) -> str | None:
        return self._heads.get(branch)

    def create(self, repository: str, branch: str, commit: str) -> bool:
        if branch in self._heads:
            return False
        self._heads[branch] = commit
        return True

    def delete(self, repository: str, branch: str) -> None:
        self._heads.pop(branch, None)

    def commits_between(self, repository: str, base: str, head: str) -> tuple[tuple[str, Actor | None], ...]:
        return () if base == head else ((head, OPS_AGENT),)

    def parents(self, repository: str, commit: str) -> tuple[str, ...]:
        return ()

    def merge_base(self, repository: str, base: str, head: str) -> str:
        return base

    def tree(self, repository: str, commit: str) -> BaseTree:
        return GitTree(self._objects, commit)

    def commit(
        self, repository: str, branch: str, expected_head: str, headline: str, body: str, changes: ChangeSet
    ) -> str:
        if self._heads.get(branch) != expected_head:
            raise Conflict(f"branch {branch} moved")
        commit = self._objects.commit_tree(expected_head, headline, body, changes)
        _write(self._output / "changes.patch", self._objects.patch(expected_head, commit))
        if self._kept is not None and not self._objects.create_branch(self._kept, commit):
            require_free(self._objects, self._kept)
        self._heads[branch] = commit
        return commit

    def merge(self, repository: str, branch: str, commit: str, message: str) -> bool:
        return True

    def commit_merge(
        self,
        repository: str,
        branch: str,
        parents: tuple[str, str],
        message: str,
        entries: Mapping[str, TreeEntry | bytes | None],
    ) -> str:
        raise Conflict(f"branch {branch} of a local run has one parent")

    def rules(self, repository: str, branch: str) -> tuple[BranchRule, ...]:
        return ()

    def ruleset(self, repository: str, ruleset: int) -> tuple[str, bool | None]:
        raise NotFound(f"A folder has no ruleset {ruleset}.")

    def resolve_action(self, uses: str, ref: str) -> str | None:
        """A laptop run has no API to ask: the table that ships with ops-agent answers for the common actions."""
        return vouched_commit(uses, ref)


class LocalPullRequests:
    """ports.PullRequests: the one pull request is a text in the folder `output`."""

    def __init__(self, branches: LocalBranches, output: Path) -> None:
        self._branches, self._output = branches, output
        self._made: PullRequest | None = None

    def pull_request(self, repository: str, number: int) -> PullRequest:
        if self._made is None or self._made.number != number:
            raise NotFound(f"There is no pull request {number}.")
        return self._made

    def of_branch(self, repository: str, branch: str) -> tuple[PullRequest, ...]:
        return tuple(p for p in self.open_with_prefix(repository, branch) if p.head_branch == branch)

    def open_with_prefix(self, repository: str, branch_prefix: str) -> tuple[PullRequest, ...]:
        return (self._made,) if self._made is not None and self._made.head_branch.startswith(branch_prefix) else ()

    def files(self, repository: str, number: int) -> tuple[str, ...]:
        return ()

    def discussion(self, repository: str, number: int) -> tuple[tuple[Review, ...], tuple[ReviewThread, ...]]:
        return (), ()

    def failed_checks(self, repository: str, commit: str) -> tuple[FailedCheck, ...]:
        return ()

    def reply(self, repository: str, number: int, thread: int, body: str) -> None:
        raise NotFound("a local run has no reviews")

    def create(self, repository: str, head: str, base: str, title: str, body: str, draft: bool) -> PullRequest:
        where = self._write_text(title, body)
        self._made = PullRequest(
            number=1,
            node_id="local",
            url=where.resolve().as_uri(),
            title=title,
            body=body,
            head_branch=head,
            head_commit=self._branches.head(repository, head) or "",
            base_branch=base,
            is_open=True,
            merged=False,
            draft=draft,
            author=OPS_AGENT,
        )
        return self._made

    def update(self, repository: str, number: int, title: str, body: str) -> PullRequest:
        self._write_text(title, body)
        return self._replaced(title=title, body=body)

    def set_draft(self, pull_request: PullRequest, draft: bool) -> None:
        self._replaced(draft=draft)

    def report_check(self, repository: str, commit: str, check: CheckReport) -> None:
        """A folder has no checks."""

    def _replaced(self, **fields: Any) -> PullRequest:
        if self._made is None:
            raise NotFound("this local run has made no pull request")
        self._made = replace(self._made, **fields)
        return self._made

    def _write_text(self, title: str, body: str) -> Path:
        return _write(self._output / "pull_request.md", f"# {title}\n\n{body}\n".encode())


def _write(where: Path, content: bytes) -> Path:
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(content)
    return where


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
