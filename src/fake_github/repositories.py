"""A repository: people, branches, issues, pull requests, labels, rules."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_github.accounts import ROLES, Account, Token
from fake_github.git_objects import EXECUTABLE, FILE, SYMLINK, Entry, GitStore, Signature
from fake_github.issues import Issue, Label
from fake_github.pulls import PullRequest, open_pull_request
from fake_github.refusals import rule_violated, unprocessable, workflow_permission_missing

if TYPE_CHECKING:
    from fake_github.platform import EmbeddedGitHub

DEFAULT_LABELS = (("bug", "d73a4a"), ("documentation", "0075ca"), ("enhancement", "a2eeef"))
RULES = {
    "creation": "Cannot create ref due to creations being restricted.",
    "update": "Cannot update this protected ref.",
    "deletion": "Cannot delete this protected ref.",
    "pull_request": "Changes must be made through a pull request.",
}


@dataclass(frozen=True, slots=True)
class BranchRule:
    """A ruleset's rule (`RULES`) for branches that match `pattern` (fnmatch)."""

    pattern: str
    kind: str


@dataclass(slots=True, eq=False)
class WorkflowRun:
    id: int
    status: str = "in_progress"
    conclusion: str | None = None
    event: str = "issues"


class Repository:
    def __init__(
        self, github: EmbeddedGitHub, owner: Account, name: str, *, private: bool, default_branch: str
    ) -> None:
        self.github = github
        self.owner = owner
        self.name = name
        self.private = private
        self.default_branch = default_branch
        self.id = github.next_id()
        self.archived = False
        self.disabled = False
        self.store = GitStore()
        self.branches: dict[str, str] = {}
        # A lightweight tag names a commit, an annotated one a tag object.
        self.tags: dict[str, str] = {}
        self.roles: dict[int, str] = {}
        self.labels: dict[str, Label] = {}
        self.issues: dict[int, Issue] = {}
        self.transferred: dict[int, Issue] = {}
        self.deleted: set[int] = set()
        self.rules: list[BranchRule] = []
        self.runs: dict[int, WorkflowRun] = {}
        self.actions_may_open_pull_requests = True
        self.tree_limit = 100_000
        self.created_at = github.now()
        self._last_number = 0
        for label, color in DEFAULT_LABELS:
            self.labels[label] = Label(github.next_id(), label, color)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def node_id(self) -> str:
        return f"R_kgDO{self.id}"

    @property
    def url(self) -> str:
        return f"{self.github.base_url}/{self.full_name}"

    @property
    def is_empty(self) -> bool:
        return not self.branches

    # People

    def add_person(self, login: str, *, id: int | None = None, role: str = "write") -> Account:  # noqa: A002 - GitHub's word
        """A person (or a bot, when the login ends in `[bot]`) with a role: none, read, triage, write, maintain, admin."""
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}; known are {', '.join(ROLES)}")
        with self.github.lock:
            account = self.github.add_account(login, id=id)
            self.roles[account.id] = role
            return account

    def role(self, account: Account) -> str:
        default = "none" if self.private else "read"
        return "admin" if account is self.owner else self.roles.get(account.id, default)

    # Issues and pull requests

    def next_number(self) -> int:
        with self.github.lock:
            self._last_number += 1
            return self._last_number

    def add_issue(self, title: str, body: str = "", *, author: Account | str, number: int | None = None) -> Issue:
        with self.github.lock:
            if number is not None:
                if number in self.issues or number <= 0:
                    raise ValueError(f"issue number {number} is taken or not positive")
                self._last_number = max(self._last_number, number)
            issue = Issue(self, number or self.next_number(), title, body, self.github.account(author))
            self.issues[issue.number] = issue
            return issue

    def open_pull_request(
        self, title: str, body: str = "", *, head: str, base: str | None = None, by: Account | str, draft: bool = False
    ) -> PullRequest:
        return open_pull_request(
            self, head=head, base=base or self.default_branch, title=title, body=body, by=by, draft=draft
        )

    def pull_request(self, number: int) -> PullRequest:
        issue = self.issues[number]
        if not isinstance(issue, PullRequest):
            raise KeyError(number)
        return issue

    @property
    def pull_requests(self) -> list[PullRequest]:
        """All of them, newest first."""
        return [i for _, i in sorted(self.issues.items(), reverse=True) if isinstance(i, PullRequest)]

    def label(self, name: str, color: str = "ededed", description: str | None = None) -> Label:
        """The label of that name (without case), created when there is none, as GitHub does when one is put on an
        issue.
        """
        with self.github.lock:
            found = next((known for key, known in self.labels.items() if key.lower() == name.lower()), None)
            if found is None:
                found = self.labels[name] = Label(self.github.next_id(), name, color, description)
            return found

    def add_run(
        self, run_id: int | None = None, *, status: str = "in_progress", conclusion: str | None = None
    ) -> WorkflowRun:
        run = WorkflowRun(run_id or self.github.next_id(), status, conclusion)
        self.runs[run.id] = run
        return run

    # Branches and commits

    def head(self, branch: str | None = None) -> str:
        """Commit at the branch (the default branch when None). Raises KeyError."""
        return self.branches[branch or self.default_branch]

    def file(self, branch: str, path: str) -> bytes | None:
        """The file's bytes on the branch, None when it is not there."""
        entry = self.store.files(self.head(branch)).get(path)
        return self.store.blob(entry.sha) if entry else None

    def files(self, branch: str | None = None) -> dict[str, bytes]:
        entries = self.store.files(self.head(branch))
        return {path: blob for path, entry in entries.items() if (blob := self.store.blob(entry.sha)) is not None}

    def commit(
        self,
        branch: str,
        changes: Mapping[str, bytes | str | None],
        message: str,
        *,
        by: Account | str,
        modes: Mapping[str, str] | None = None,
        verified: bool = False,
    ) -> str:
        """Commit on top of the branch (a new branch starts with the default branch's head); None deletes. Returns the
        commit.

        `modes` makes a path a symbolic link, an executable or a submodule; otherwise a changed file keeps its mode.
        """
        with self.github.lock:
            head = self.branches.get(branch) or self.branches.get(self.default_branch)
            files = self.store.files(head) if head else {}
            for path, content in changes.items():
                if content is None:
                    del files[path]
                    continue
                blob = self.store.put_blob(content.encode() if isinstance(content, str) else content)
                kept = files[path].mode if path in files and files[path].mode in (FILE, EXECUTABLE, SYMLINK) else FILE
                files[path] = Entry((modes or {}).get(path, kept), blob)
            signature = self._signature(self.github.account(by))
            committer = Signature("GitHub", "noreply@github.com", signature.at) if verified else signature
            tree = self.store.put_tree(files)
            commit = self.store.put_commit(
                tree, (head,) if head else (), message, signature, committer, verified=verified
            )
            self.branches[branch] = commit
            return commit

    def tag(self, name: str, commit: str | None = None, *, by: Account | str | None = None) -> str:
        """A tag on a commit (the default branch's head when None): annotated when `by` says who made it. Returns what
        the ref names.
        """
        with self.github.lock:
            target = commit or self.head()
            if by is not None:
                target = self.store.put_tag(name, target, name, self._signature(self.github.account(by)))
            self.tags[name] = target
            return target

    def _signature(self, account: Account) -> Signature:
        return Signature(
            account.login, f"{account.id}+{account.login}@users.noreply.github.com", int(self.github.clock())
        )

    def create_branch(self, name: str, commit: str) -> None:
        with self.github.lock:
            self.check_rules("creation", name)
            if name in self.branches:
                raise unprocessable("Reference already exists")
            if commit not in self.store.commits:
                raise unprocessable("Object does not exist")
            if any(name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in self.branches):
                raise unprocessable("Reference update failed")
            self.branches[name] = commit

    def delete_branch(self, name: str) -> None:
        with self.github.lock:
            if name not in self.branches:
                raise unprocessable("Reference does not exist")
            self.check_rules("deletion", name)
            for pull in self.pull_requests:
                if pull.head == name and pull.state == "open":
                    pull.close(by=pull.author)
            del self.branches[name]

    def rename_default_branch(self, name: str) -> None:
        with self.github.lock:
            self.branches[name] = self.branches.pop(self.default_branch)
            for pull in self.pull_requests:
                pull.base = name if pull.base == self.default_branch else pull.base
            self.default_branch = name

    def protect(self, pattern: str, *rules: str) -> None:
        """Add a ruleset: `rules` are keys of RULES."""
        self.rules += [BranchRule(pattern, kind) for kind in rules if RULES[kind]]

    def check_rules(self, *kinds_and_branch: str) -> None:
        """Last argument is the branch, the others are what is about to happen to it. Raises 422 with every rule that is
        violated.
        """
        *kinds, branch = kinds_and_branch
        violated = [RULES[r.kind] for r in self.rules if r.kind in kinds and fnmatch.fnmatchcase(branch, r.pattern)]
        if violated:
            raise rule_violated(*violated)

    def check_workflow_files(self, paths: list[str], token: Token) -> None:
        """Raises 403 when the token touches a workflow file without the right to."""
        touched = [p for p in paths if p.startswith(".github/workflows/")]
        if touched and not token.may("workflows", "write"):
            raise workflow_permission_missing(touched[0], integration=token.is_integration)
