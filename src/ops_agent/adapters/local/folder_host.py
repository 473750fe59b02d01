"""A laptop instead of GitHub: the issue is a Markdown file, the pull request a folder.

The same pipeline runs over it. Comments, refs and pull requests live in memory and end as files in the output folder;
only a branch that was asked for is written to the repository, and no existing ref is ever moved.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.errors import ConfigError, Conflict, NotFound
from ops_agent.model.event import Actor, ActorKind, Comment, Issue, IssueEvent, IssueRef, Permission, Repository
from ops_agent.model.ports import BaseTree, BoardCard, Review, TokenAbilities
from ops_agent.model.proposal import PullRequest

YOU = Actor(login="you", id=1, kind=ActorKind.USER)
_HEADING = re.compile(r"\A\s*#\s+(?P<title>[^\n]+)\n(?P<body>.*)\Z", re.DOTALL)
_BIGGEST_ISSUE_BYTES = 1_000_000


def read_issue_file(path: Path, repository: str) -> Issue:
    """An issue from a Markdown file: the first line is `# [ops] title`, the rest is the body.

    Raises ConfigError when the file is missing, is too large, is not UTF-8, or has no title.
    """
    try:
        if path.stat().st_size > _BIGGEST_ISSUE_BYTES:
            raise ConfigError(
                f"{path} is larger than {_BIGGEST_ISSUE_BYTES} bytes", hint="Give --issue-file the text of one issue."
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as UTF-8 text: {getattr(error, 'strerror', None) or error}",
            hint="Give --issue-file a Markdown file.",
        ) from error
    found = _HEADING.match(text if text.endswith("\n") else text + "\n")
    if found is None:
        raise ConfigError(
            f"{path}:1 has no title", hint="Write the issue's title in the first line: `# [ops] What is wanted`."
        )
    return Issue(
        ref=IssueRef(repository=repository, number=1),
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
        what = "exists already" if taken == branch else f"cannot stand beside the branch {taken}"
        raise ConfigError(f"branch {branch} {what}", hint="Give --branch a name that is free; nothing was moved.")


class NoBoard:
    """ports.Board of a laptop: there is none."""

    def card(self, issue: Issue) -> BoardCard | str:
        return "This is a local run, there is no board."

    def cards_of(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        return {issue.ref: self.card(issue) for issue in issues}

    def move(self, card: BoardCard, status: str) -> str | None:
        return "This is a local run, there is no board."


class LocalCodeHost:
    """ports.CodeHost over one local repository. What would be a pull request is written to `output`: patch, text,
    comments.
    """

    def __init__(self, objects: GitObjects, issue_file: Path, output: Path, keep_branch: str | None = None) -> None:
        branch = objects.branch_name()
        head = base_commit(objects)
        require_free(objects, keep_branch)
        self._objects = objects
        self._head = head
        self._keep_branch = keep_branch
        self._output = output
        self._comments: dict[int, Comment] = {}
        self._branches: dict[str, str] = {branch or "HEAD": head}
        self._pull_requests: list[PullRequest] = []
        name = (
            re.sub(r"[^\w.-]", "-", Path(objects.run("rev-parse", "--show-toplevel").decode().strip()).name)
            or "repository"
        )
        self._repository = Repository(owner="local", name=name, id=1, default_branch=branch or "HEAD")
        self._issue = read_issue_file(issue_file, self._repository.full_name)
        self._labelled_at = _iso(issue_file.stat().st_mtime)

    @property
    def local_issue(self) -> Issue:
        return self._issue

    @property
    def local_repository(self) -> Repository:
        return self._repository

    # who and what
    def viewer(self) -> Actor:
        return Actor(login="ops-agent", id=2, kind=ActorKind.BOT)

    def repository(self, repository: str) -> Repository:
        if repository != self._repository.full_name:
            raise NotFound(f"{repository} is not here: a local run knows only {self._repository.full_name}")
        return self._repository

    def permission(self, repository: str, login: str) -> Permission:
        return Permission.ADMIN if login == YOU.login else Permission.NONE

    def token_abilities(self, repository: str) -> TokenAbilities:
        return TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)

    # issues
    def issue(self, ref: IssueRef) -> Issue:
        if ref != self._issue.ref:
            raise NotFound(f"{ref} is not here: a local run knows only {self._issue.ref}")
        return self._issue

    def issue_events(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        return (IssueEvent(id=1, kind="labeled", actor=YOU, at=self._labelled_at, label="ready"),)

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        return ()

    def parent(self, ref: IssueRef) -> IssueRef | None:
        return None

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        return ()

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]:
        return tuple(self._comments.values())

    def create_comment(self, ref: IssueRef, body: str) -> Comment:
        at = _iso(time.time())
        comment = Comment(id=len(self._comments) + 1, author=self.viewer(), body=body, created_at=at, updated_at=at)
        self._comments[comment.id] = comment
        self._write("comments.md", "\n\n---\n\n".join(c.body for c in self._comments.values()))
        return comment

    def update_comment(self, repository: str, comment_id: int, body: str) -> None:
        self._comments[comment_id] = replace(self._comments[comment_id], body=body, updated_at=_iso(time.time()))
        self._write("comments.md", "\n\n---\n\n".join(c.body for c in self._comments.values()))

    def delete_comment(self, repository: str, comment_id: int) -> None:
        self._comments.pop(comment_id, None)

    # git
    def branch_head(self, repository: str, branch: str) -> str | None:
        return self._branches.get(branch)

    def create_branch(self, repository: str, branch: str, commit: str) -> bool:
        if branch in self._branches:
            return False
        self._branches[branch] = commit
        return True

    def delete_branch(self, repository: str, branch: str) -> None:
        self._branches.pop(branch, None)

    def branch_commits(self, repository: str, base: str, head: str) -> tuple[tuple[str, Actor | None], ...]:
        return () if base == head else ((head, self.viewer()),)

    def base_tree(self, repository: str, commit: str) -> BaseTree:
        return GitTree(self._objects, commit)

    def commit_changes(
        self, repository: str, branch: str, expected_head: str, headline: str, body: str, changes: ChangeSet
    ) -> str:
        if self._branches.get(branch) != expected_head:
            raise Conflict(f"branch {branch} moved")
        commit = self._objects.commit_tree(expected_head, headline, body, changes)
        self._write("changes.patch", self._objects.patch(expected_head, commit))
        if self._keep_branch is not None and not self._objects.create_branch(self._keep_branch, commit):
            raise ConfigError(
                f"branch {self._keep_branch} exists already",
                hint="Give --branch a name that is free; nothing was moved.",
            )
        self._branches[branch] = commit
        return commit

    # pull requests
    def pull_requests_of_branch(self, repository: str, branch: str) -> tuple[PullRequest, ...]:
        return tuple(p for p in self._pull_requests if p.head_branch == branch)

    def open_pull_requests(self, repository: str, branch_prefix: str) -> tuple[PullRequest, ...]:
        return tuple(p for p in self._pull_requests if p.head_branch.startswith(branch_prefix))

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]:
        return ()

    def reviews(self, repository: str, number: int) -> tuple[Review, ...]:
        return ()

    def create_pull_request(
        self, repository: str, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        where = self._write("pull_request.md", f"# {title}\n\n{body}\n")
        made = PullRequest(
            number=1, node_id="local", url=where.resolve().as_uri(), title=title, body=body, head_branch=head,
            head_commit=self._branches[head], base_branch=base, is_open=True, merged=False, draft=draft, author=self.viewer(),
        )  # fmt: skip
        self._pull_requests.append(made)
        return made

    def update_pull_request(self, repository: str, number: int, title: str, body: str) -> PullRequest:
        self._write("pull_request.md", f"# {title}\n\n{body}\n")
        self._pull_requests[0] = replace(self._pull_requests[0], title=title, body=body)
        return self._pull_requests[0]

    def set_draft(self, pull_request: PullRequest, draft: bool) -> None:
        self._pull_requests[0] = replace(self._pull_requests[0], draft=draft)

    def add_labels(self, repository: str, number: int, labels: tuple[str, ...]) -> None:
        """Labels mean nothing in a folder."""

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        return None

    def resolve_action(self, uses: str, ref: str) -> str | None:
        """A laptop run has no API to ask: the tag stays, and the rule that wants a commit says so."""
        return None

    def _write(self, name: str, content: str | bytes) -> Path:
        self._output.mkdir(parents=True, exist_ok=True)
        where = self._output / name
        where.write_bytes(content if isinstance(content, bytes) else content.encode())
        return where


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
