"""ports.Issues: issues with their comments, and what people, tokens and workflow runs of a repository are."""

from __future__ import annotations

from urllib.parse import quote

from ops_agent.adapters.github import parsing
from ops_agent.adapters.github.client import GitHubHttp, repository_path
from ops_agent.model.errors import GitHubError, NotFound, NotPermitted
from ops_agent.model.event import Actor, ActorKind, Comment, Issue, IssueEvent, IssueRef, Permission, Repository
from ops_agent.model.ports import TokenAbilities
from ops_agent.text.markdown import as_kept

_ACTIONS_BOT = "github-actions[bot]"
_PROBE = "ops-agent-permission-probe"
_MEANING_OF_REFUSAL = {422: True, 403: False, 404: False}
_VIEWER = "query { viewer { login databaseId } }"


class GitHubIssues:
    """ports.Issues."""

    def __init__(self, http: GitHubHttp) -> None:
        self._http = http
        self._viewer: Actor | None = None
        self._abilities: dict[str, TokenAbilities] = {}

    def viewer(self) -> Actor:
        if self._viewer is None:
            found = self._http.graphql(_VIEWER, "asking who the token is").get("viewer") or {}
            if not found.get("login") or found.get("databaseId") is None:
                raise GitHubError("GitHub did not say whom the token belongs to.")
            login = str(found["login"])
            kind = ActorKind.BOT if login.endswith("[bot]") else ActorKind.USER
            self._viewer = Actor(login=login, id=int(found["databaseId"]), kind=kind)
        return self._viewer

    def repository(self, repository: str) -> Repository:
        doing = f"reading the repository {repository}"
        found = self._http.rest("GET", f"/repos/{repository_path(repository)}", doing)
        return self._http.reading(doing, lambda: parsing.repository(found))

    def permission(self, repository: str, login: str) -> Permission:
        doing = f"reading the permission of {login} on {repository}"
        try:
            found = self._http.rest(
                "GET", f"/repos/{repository_path(repository)}/collaborators/{quote(login, safe='')}/permission", doing
            )
        except NotFound:
            return Permission.NONE
        return self._http.reading(doing, lambda: parsing.permission(found))

    def token_abilities(self, repository: str) -> TokenAbilities:
        """Asked once per run and repository; nothing is created and nothing changes.

        `workflows`: GITHUB_TOKEN has no such permission at all (docs.github.com, permissions of the GITHUB_TOKEN). An
        App's own page (`GET /apps/{slug}`) lists what the App asks for: without `workflows: write` there, no token of
        it can have it; with it the installation may still have been narrowed, which only the commit shows. A classic token
        lists its scopes in `X-OAuth-Scopes` (`workflow`). Of a fine-grained token nothing is known.

        The others are requests that GitHub must refuse as invalid (422) after it checked the permission (403, or 404
        where it hides what a token may not write): a ref whose name does not begin with `refs/` and whose commit is all
        zeros (REST "Create a reference": the name must begin with `refs` and have two slashes); a pull request with an
        empty title from a branch that does not exist to itself; an issue without its required title. The setting "Allow
        GitHub Actions to create and approve pull requests" shows only when a pull request is really
        created.
        """
        if repository not in self._abilities:
            path = f"/repos/{repository_path(repository)}"
            contents = self._may_write(f"{path}/git/refs", {"ref": _PROBE, "sha": "0" * 40})
            pull_requests = self._may_write(f"{path}/pulls", {"title": "", "head": _PROBE, "base": _PROBE})
            issues = self._may_write(f"{path}/issues", {})
            self._abilities[repository] = TokenAbilities(
                contents=contents, pull_requests=pull_requests, issues=issues, workflows=self._may_write_workflows()
            )
        return self._abilities[repository]

    def _may_write(self, path: str, impossible: dict[str, str]) -> bool | None:
        return _MEANING_OF_REFUSAL.get(self._http.probe(path, impossible) or 0)

    def _may_write_workflows(self) -> bool | None:
        viewer = self.viewer()
        if viewer.login == _ACTIONS_BOT:
            return False
        if viewer.login.endswith("[bot]"):
            try:
                app = self._http.rest(
                    "GET", f"/apps/{viewer.login.removesuffix('[bot]')}", "reading what the App asks for"
                )
            except (NotFound, NotPermitted):
                return None
            permissions = app.get("permissions") if isinstance(app, dict) else None
            return permissions.get("workflows") == "write" if isinstance(permissions, dict) else None
        scopes = self._http.oauth_scopes
        return None if scopes is None else "workflow" in scopes

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        """None for 403 and 404: without `actions: read` GitHub hides runs."""
        if run_id <= 0:
            return None
        try:
            found = self._http.rest(
                "GET", f"/repos/{repository_path(repository)}/actions/runs/{run_id}", f"reading the run {run_id}"
            )
        except (NotFound, NotPermitted):
            return None
        return str(found.get("status")) == "completed"

    def issue(self, ref: IssueRef) -> Issue:
        doing = f"reading the issue {ref}"
        found = self._http.rest("GET", _issue(ref), doing)
        read = self._http.reading(doing, lambda: parsing.issue(found))
        if read.ref.repository.lower() != ref.repository.lower() or read.ref.number != ref.number:
            raise NotFound(f"The issue {ref} is now {read.ref}: it was transferred.")
        return read

    def timeline(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        doing = f"reading the timeline of {ref}"
        found = list(self._http.pages(f"{_issue(ref)}/timeline", doing))
        return self._http.reading(doing, lambda: tuple(e for e in map(parsing.issue_event, found) if e is not None))

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        return self._issues(f"{_issue(ref)}/sub_issues", f"reading the sub-issues of {ref}")

    def parent(self, ref: IssueRef) -> IssueRef | None:
        doing = f"reading the parent of {ref}"
        try:
            found = self._http.rest("GET", f"{_issue(ref)}/parent", doing)
        except NotFound:
            return None
        return self._http.reading(doing, lambda: parsing.issue(found).ref)

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        return self._issues(f"{_issue(ref)}/dependencies/blocked_by", f"reading what blocks {ref}")

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]:
        doing = f"reading the comments of {ref}"
        found = list(self._http.pages(f"{_issue(ref)}/comments", doing))
        return self._http.reading(doing, lambda: tuple(map(parsing.comment, found)))

    def create_comment(self, ref: IssueRef, body: str) -> Comment:
        """After a lost answer a comment of ours with this very text counts as this one."""
        doing = f"commenting on {ref}"
        url = f"{_issue(ref)}/comments"

        def create() -> Comment:
            found = self._http.requestJsonAndCheck("POST", url, input={"body": body})[1]
            return self._http.reading(doing, lambda: parsing.comment(found))

        def look() -> Comment | None:
            mine = self.viewer().id
            same = [c for c in self.comments(ref) if c.author.id == mine and as_kept(c.body) == as_kept(body)]
            return same[-1] if same else None

        return self._http.ensure(doing, create, look)

    def update_comment(self, repository: str, comment_id: int, body: str) -> None:
        self._http.rest(
            "PATCH",
            f"/repos/{repository_path(repository)}/issues/comments/{comment_id}",
            f"editing the comment {comment_id}",
            {"body": body},
        )

    def delete_comment(self, repository: str, comment_id: int) -> None:
        """A comment that is not there any more is fine."""
        try:
            self._http.rest(
                "DELETE",
                f"/repos/{repository_path(repository)}/issues/comments/{comment_id}",
                f"deleting the comment {comment_id}",
            )
        except NotFound:
            return

    def add_labels(self, repository: str, number: int, labels: tuple[str, ...]) -> None:
        doing = f"labelling {repository}#{number}"
        url = f"/repos/{repository_path(repository)}/issues/{number}/labels"

        def create() -> bool:
            self._http.requestJsonAndCheck("POST", url, input={"labels": list(labels)})
            return True

        self._http.ensure(doing, create, lambda: None)  # adding a label twice does nothing: simply again

    def _issues(self, path: str, doing: str) -> tuple[Issue, ...]:
        found = list(self._http.pages(path, doing))
        return self._http.reading(doing, lambda: tuple(map(parsing.issue, found)))


def _issue(ref: IssueRef) -> str:
    return f"/repos/{repository_path(ref.repository)}/issues/{ref.number}"
