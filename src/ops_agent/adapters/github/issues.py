"""Issues, their events, families and comments (CodeHost, part one)."""

from __future__ import annotations

from urllib.parse import quote

from ops_agent.adapters.github import parsing
from ops_agent.adapters.github.client import GitHubHttp
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import Actor, ActorKind, Comment, Issue, IssueEvent, IssueRef, Permission, Repository
from ops_agent.text.markdown import as_kept

_VIEWER = "query { viewer { login databaseId } }"


class GitHubIssues:
    """The calls of CodeHost that read and write on issues."""

    def __init__(self, http: GitHubHttp) -> None:
        self._http = http
        self._viewer: Actor | None = None

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

    def issue(self, ref: IssueRef) -> Issue:
        doing = f"reading the issue {ref}"
        found = self._http.rest("GET", _issue(ref), doing)
        read = self._http.reading(doing, lambda: parsing.issue(found))
        if read.ref.repository.lower() != ref.repository.lower() or read.ref.number != ref.number:
            raise NotFound(f"The issue {ref} is now {read.ref}: it was transferred.")
        return read

    def issue_events(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
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


def repository_path(repository: str) -> str:
    """`owner/name` as a URL path; anything else is a bug or an attack and finds nothing."""
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name or ".." in (owner, name):
        raise NotFound(f"{repository!r} is not the name of a repository (owner/name).")
    return f"{quote(owner, safe='')}/{quote(name, safe='')}"


def _issue(ref: IssueRef) -> str:
    return f"/repos/{repository_path(ref.repository)}/issues/{ref.number}"
