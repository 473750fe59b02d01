"""ports.Issues: issues with their comments, and what people, tokens and workflow runs of a repository are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from ops_agent.adapters.github import parsing
from ops_agent.adapters.github.client import GitHubHttp, in_repository
from ops_agent.adapters.github.parsing import JsonPart
from ops_agent.model.errors import NotFound, NotPermitted
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
            self._viewer = self._http.graphql(_VIEWER, "asking who the token is", lambda data: _viewer(data["viewer"]))
        return self._viewer

    def repository(self, repository: str) -> Repository:
        return self._http.get(in_repository(repository), f"reading the repository {repository}", parsing.repository)

    def permission(self, repository: str, login: str) -> Permission:
        path = in_repository(repository, f"/collaborators/{quote(login, safe='')}/permission")
        try:
            return self._http.get(path, f"reading the permission of {login} on {repository}", _permission)
        except NotFound:
            return Permission.NONE

    def token_abilities(self, repository: str) -> TokenAbilities:
        """Asked once per run and repository; nothing is created and nothing changes.

        These are requests that GitHub must refuse as invalid (422) after it checked the permission (403, or 404 where
        it hides what a token may not write): a ref whose name does not begin with `refs/` and whose commit is all
        zeros; a pull request with an empty title from a branch that does not exist to itself; an issue without its
        required title. The setting "Allow GitHub Actions to create and approve pull requests" shows only when a pull
        request is really created.
        """
        if repository not in self._abilities:
            path = in_repository(repository)
            self._abilities[repository] = TokenAbilities(
                contents=self._may_write(f"{path}/git/refs", {"ref": _PROBE, "sha": "0" * 40}),
                pull_requests=self._may_write(f"{path}/pulls", {"title": "", "head": _PROBE, "base": _PROBE}),
                issues=self._may_write(f"{path}/issues", {}),
                workflows=self._may_write_workflows(),
            )
        return self._abilities[repository]

    def _may_write(self, path: str, impossible: dict[str, str]) -> bool | None:
        return _MEANING_OF_REFUSAL.get(self._http.probe(path, impossible) or 0)

    def _may_write_workflows(self) -> bool | None:
        """GITHUB_TOKEN has no such permission at all. An App's own page lists what the App asks for: without this, no
        token of it can have it; with it the installation may still have been narrowed, which only the commit shows. A
        classic token lists its scopes. Of a fine-grained token nothing is known.
        """
        viewer = self.viewer()
        if viewer.login == _ACTIONS_BOT:
            return False
        if viewer.login.endswith("[bot]"):
            path = f"/apps/{viewer.login.removesuffix('[bot]')}"
            try:
                permissions = self._http.get(path, "reading what the App asks for", lambda app: app.get("permissions"))
            except (NotFound, NotPermitted):
                return None
            return permissions.get("workflows") == "write" if isinstance(permissions, dict) else None
        scopes = self._http.oauth_scopes
        return None if scopes is None else "workflow" in scopes

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        """None for 403 and 404: without `actions: read` GitHub hides runs."""
        if run_id <= 0:
            return None
        path = in_repository(repository, f"/actions/runs/{run_id}")
        try:
            return self._http.get(path, f"reading the run {run_id}", lambda run: str(run["status"]) == "completed")
        except (NotFound, NotPermitted):
            return None

    def issue(self, ref: IssueRef) -> Issue:
        read = self._http.get(_issue(ref), f"reading the issue {ref}", parsing.issue)
        if read.ref.repository.lower() != ref.repository.lower() or read.ref.number != ref.number:
            raise NotFound(f"The issue {ref} is now {read.ref}: it was transferred.")
        return read

    def timeline(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        found = self._http.items(_issue(ref, "/timeline"), f"reading the timeline of {ref}", _issue_event)
        return tuple(event for event in found if event is not None)

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        return self._http.items(_issue(ref, "/sub_issues"), f"reading the sub-issues of {ref}", parsing.issue)

    def parent(self, ref: IssueRef) -> IssueRef | None:
        try:
            return self._http.get(_issue(ref, "/parent"), f"reading the parent of {ref}", parsing.issue).ref
        except NotFound:
            return None

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        try:
            path = _issue(ref, "/dependencies/blocked_by")
            return self._http.items(path, f"reading what blocks {ref}", parsing.issue)
        except NotFound:  # a GitHub Enterprise Server that has no dependencies yet; the issue itself was read before
            return ()

    def blocked(self, ref: IssueRef) -> tuple[Issue, ...]:
        try:
            path = _issue(ref, "/dependencies/blocking")
            return self._http.items(path, f"reading what {ref} blocks", parsing.issue)
        except NotFound:
            return ()

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]:
        return self._http.items(_issue(ref, "/comments"), f"reading the comments of {ref}", _comment)

    def create_comment(self, ref: IssueRef, body: str) -> Comment:
        """After a lost answer an identical comment of ours counts as this one."""

        def create() -> Comment:
            return _comment(self._http.post(_issue(ref, "/comments"), {"body": body}))

        def look() -> Comment | None:
            mine = self.viewer().id
            same = [c for c in self.comments(ref) if c.author.id == mine and as_kept(c.body) == as_kept(body)]
            return same[-1] if same else None

        return self._http.ensure(f"commenting on {ref}", create, look)

    def update_comment(self, repository: str, comment_id: int, body: str) -> None:
        path = in_repository(repository, f"/issues/comments/{comment_id}")
        self._http.write("PATCH", path, f"editing the comment {comment_id}", {"body": body})

    def delete_comment(self, repository: str, comment_id: int) -> None:
        """A comment that is not there any more is fine."""
        path = in_repository(repository, f"/issues/comments/{comment_id}")
        with suppress(NotFound):
            self._http.write("DELETE", path, f"deleting the comment {comment_id}")

    def add_labels(self, repository: str, number: int, labels: tuple[str, ...]) -> None:
        path = in_repository(repository, f"/issues/{number}/labels")
        self._http.ensure(f"labelling {repository}#{number}", lambda: self._http.post(path, {"labels": list(labels)}))

    def labels(self, repository: str) -> tuple[str, ...]:
        path, doing = in_repository(repository, "/labels"), f"reading the labels of {repository}"
        return self._http.items(path, doing, lambda label: str(label["name"]))

    def keep_issue(self, repository: str, marker: str, title: str, body: str) -> str:
        me, path, written = self.viewer(), in_repository(repository, "/issues"), {"title": title, "body": body}

        def look() -> Issue | None:
            doing = f"looking for our issue in {repository}"
            found = self._http.items(path, doing, parsing.issue, state="open", creator=me.login)
            ours = (one for one in found if one.author.id == me.id and not one.is_pull_request)
            return next((one for one in ours if one.body.startswith(marker)), None)

        kept = look()
        if kept is not None:
            self._http.write("PATCH", _issue(kept.ref), f"editing {kept.ref}", written)
            return kept.url
        create = lambda: parsing.issue(self._http.post(path, written))  # noqa: E731
        return self._http.ensure(f"opening an issue in {repository}", create, look).url


def _viewer(found: dict[str, Any]) -> Actor:
    login = str(found["login"])
    kind = ActorKind.BOT if login.endswith("[bot]") else ActorKind.USER
    return Actor(login=login, id=int(found["databaseId"]), kind=kind)


def _issue(ref: IssueRef, path: str = "") -> str:
    return in_repository(ref.repository, f"/issues/{ref.number}{path}")


def _permission(found: Any) -> Permission:
    """`role_name` where it is one of GitHub's own roles, else what the custom role grants (`permission`)."""
    part = JsonPart(found)
    for name in (part.maybe("role_name", str), part.maybe("permission", str)):
        if name in set(Permission):
            return Permission(str(name))
    return Permission.NONE


def _issue_event(found: Any) -> IssueEvent | None:
    """One timeline entry; None for those without an id and a time (commits, cross references)."""
    part = JsonPart(found)
    at = part.maybe("created_at", str)
    if part.maybe("id", int) is None or not at:
        return None
    return IssueEvent(
        id=part.number(),
        kind=part.text("event"),
        actor=part.actor("actor") or part.actor("user"),
        at=at,
        label=part.part("label").maybe("name", str) if part.maybe("label", dict) else None,
    )


def _comment(found: Any) -> Comment:
    part = JsonPart(found)
    return Comment(
        id=part.number(),
        author=part.actor("user") or parsing.GHOST,
        body=part.maybe("body", str) or "",
        created_at=part.text("created_at"),
        updated_at=part.text("updated_at"),
    )
