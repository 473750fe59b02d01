"""Refs, commits, trees and runs (CodeHost, part two)."""

from __future__ import annotations

import base64
from collections import OrderedDict
from urllib.parse import quote

from github import GithubException

from ops_agent.adapters.github import github_nouns as nouns
from ops_agent.adapters.github.github_errors import message_of
from ops_agent.adapters.github.github_http import GitHubHttp
from ops_agent.adapters.github.github_issues import GitHubIssues, repository_path
from ops_agent.adapters.github.github_trees import GitHubTree
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.event import Actor
from ops_agent.errors import Conflict, GitHubError, NeedsWorkflowsPermission, NotFound, NotPermitted
from ops_agent.ports import BaseTree

_TREES_KEPT = 4
_TAG_DEPTH = 5


class GitHubBranches(GitHubIssues):
    """The calls of CodeHost about git's objects. Nothing here moves a ref except a commit on our own branch."""

    def __init__(self, http: GitHubHttp) -> None:
        super().__init__(http)
        self._trees: OrderedDict[tuple[str, str], GitHubTree] = OrderedDict()
        self._commits: dict[tuple[str, str], str] = {}

    def branch_head(self, repository: str, branch: str) -> str | None:
        doing = f"reading the branch {branch} of {repository}"
        try:
            return self._ref(repository, f"heads/{branch}", doing)[1]
        except (NotFound, Conflict):  # 409: "Git Repository is empty."
            return None

    def create_branch(self, repository: str, branch: str, commit: str) -> bool:
        """Creating a ref is GitHub's compare-and-set. After a lost answer a branch that exists counts as somebody else's: two runs can then
        not both believe that they won; the claim comment settles who goes on."""
        doing = f"creating the branch {branch} in {repository}"

        def create() -> bool:
            try:
                self._http.requestJsonAndCheck(
                    "POST", f"/repos/{repository_path(repository)}/git/refs", input={"ref": f"refs/heads/{branch}", "sha": commit}
                )
            except GithubException as error:
                if error.status == 422 and "reference already exists" in message_of(error.data).lower():
                    return False
                raise
            return True

        return self._http.ensure(doing, create, lambda: False if self.branch_head(repository, branch) is not None else None)

    def delete_branch(self, repository: str, branch: str) -> None:
        """A branch that is not there any more is fine."""
        doing = f"deleting the branch {branch} of {repository}"
        try:
            self._http.rest("DELETE", f"/repos/{repository_path(repository)}/git/refs/heads/{quote(branch)}", doing)
        except NotFound:
            return
        except GitHubError:
            if self.branch_head(repository, branch) is not None:  # 422 "Reference does not exist"
                raise

    def branch_commits(self, repository: str, base: str, head: str) -> tuple[tuple[str, Actor | None], ...]:
        doing = f"comparing {base[:12]} with {head[:12]} in {repository}"
        url = f"/repos/{repository_path(repository)}/compare/{quote(base)}...{quote(head)}"
        found = list(self._http.pages(url, doing, key="commits"))
        return self._http.reading(doing, lambda: tuple((str(c["sha"]), nouns.actor(c.get("author"))) for c in found))

    def base_tree(self, repository: str, commit: str) -> BaseTree:
        """The same object for the same commit while it is among the last few: its listing costs one call."""
        key = (repository, commit)
        if key not in self._trees:
            self._trees[key] = GitHubTree(self._http, repository_path(repository), repository, commit)
        self._trees.move_to_end(key)
        while len(self._trees) > _TREES_KEPT:
            self._trees.popitem(last=False)
        return self._trees[key]

    def commit_changes(self, repository: str, branch: str, expected_head: str, headline: str, body: str, changes: ChangeSet) -> str:
        """After a lost answer the branch's head counts as this commit when its only parent is `expected_head` and its message is this."""
        doing = f"committing to {branch} of {repository}"
        wanted = {
            "branch": {"repositoryNameWithOwner": repository, "branchName": branch},
            "expectedHeadOid": expected_head,
            "message": {"headline": headline, "body": body},
            "fileChanges": {
                "additions": [
                    {"path": c.path, "contents": base64.b64encode(c.after).decode()} for c in changes.changes if c.after is not None
                ],
                "deletions": [{"path": c.path} for c in changes.changes if c.after is None],
            },
        }

        def create() -> str:
            found = self._http.graphql_named_mutation("createCommitOnBranch", wanted, "commit { oid }")[1]
            return self._http.reading(doing, lambda: str(found["commit"]["oid"]))

        def look() -> str | None:
            head = self.branch_head(repository, branch)
            if head is None or head == expected_head:
                return None
            commit = self._http.rest("GET", f"/repos/{repository_path(repository)}/git/commits/{head}", doing)
            parents = [str(p.get("sha")) for p in commit.get("parents") or []]
            said = f"{headline}\n\n{body}".strip()
            if parents == [expected_head] and str(commit.get("message", "")).replace("\r\n", "\n").strip() == said:
                return head
            raise Conflict(f"The branch {branch} moved while {doing}: it stands at {head[:12]}, not at {expected_head[:12]}.")

        try:
            return self._http.ensure(doing, create, look)
        except NotPermitted as error:
            refused = error
        workflows = [p for p in changes.paths if p.lower().startswith(".github/workflows/")]
        if workflows and not isinstance(refused, NeedsWorkflowsPermission) and "not accessible" in str(refused).lower():
            raise NeedsWorkflowsPermission(f"{refused} The change holds workflow files: {', '.join(workflows[:5])}.")
        raise refused

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        """None for 403 and 404: without `actions: read` GitHub hides runs."""
        if run_id <= 0:
            return None
        try:
            found = self._http.rest("GET", f"/repos/{repository_path(repository)}/actions/runs/{run_id}", f"reading the run {run_id}")
        except (NotFound, NotPermitted):
            return None
        return str(found.get("status")) == "completed"

    def resolve_action(self, uses: str, ref: str) -> str | None:
        """`uses` may name a folder inside the repository. Tags win over branches, as in Actions; annotated tags are followed.

        A commit that was found stays the answer for the run, so what is pinned and what the pin is held against are the same; a tag that
        moves meanwhile is the next run's affair.
        """
        repository = "/".join(uses.split("/")[:2])
        if (repository, ref) not in self._commits:
            commit = self._commit_of(repository, ref, f"resolving {uses}@{ref}")
            if commit is None:
                return None
            self._commits[repository, ref] = commit
        return self._commits[repository, ref]

    def _commit_of(self, repository: str, ref: str, doing: str) -> str | None:
        for kind in ("tags", "heads"):
            try:
                sort, sha = self._ref(repository, f"{kind}/{ref}", doing)
                for _ in range(_TAG_DEPTH):
                    if sort == "commit":
                        return sha
                    tag = self._http.rest("GET", f"/repos/{repository_path(repository)}/git/tags/{sha}", doing)
                    sort, sha = str(tag["object"]["type"]), str(tag["object"]["sha"])
            except NotFound:
                continue
        return None

    def _ref(self, repository: str, name: str, doing: str) -> tuple[str, str]:
        """(object type, SHA-1) of exactly this ref."""
        found = self._http.rest("GET", f"/repos/{repository_path(repository)}/git/ref/{quote(name)}", doing)
        if not isinstance(found, dict) or found.get("ref") != f"refs/{name}":
            raise NotFound(f"There is no {name} in {repository}.")
        return self._http.reading(doing, lambda: (str(found["object"]["type"]), str(found["object"]["sha"])))
