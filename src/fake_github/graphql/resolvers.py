"""The root of GraphQL: queries and mutations."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from fake_github.graphql import views as views
from fake_github.graphql.execution import Session
from fake_github.graphql.views import View, actor
from fake_github.objects import Board, Card, Issue, PullRequest, Repository
from fake_github.refusals import Refusal, not_accessible, stale_head, unresolved, unresolved_node
from fake_github.rest.routing import readable_repository

# `createCommitOnBranch`: the optimistic lock, the rules, the workflow permission, the commit.


def create_commit_on_branch(info: Any, input: dict[str, Any]) -> View:  # noqa: A002 - GitHub's argument
    """Additions and deletions on top of the expected head. A file keeps its mode; a new one is `100644`."""
    session, message = info.context, input["message"]
    repository, branch = _target(session, input["branch"])
    session.check(repository, "contents=write")
    if branch not in repository.branches:
        raise Refusal(404, f"A ref named 'refs/heads/{branch}' could not be found", kind="NOT_FOUND")
    files = input.get("fileChanges") or {}
    added = {addition["path"]: _decoded(addition) for addition in files.get("additions") or []}
    deleted = [deletion["path"] for deletion in files.get("deletions") or []]
    if repository.branches[branch] != input["expectedHeadOid"]:
        raise stale_head(input["expectedHeadOid"])
    repository.check_rules("update", "pull_request", "required_status_checks", branch)
    _check_paths(repository, branch, added, deleted)
    repository.check_workflow_files([*added, *deleted], session.token)
    text = "\n\n".join(part for part in (message["headline"], message.get("body")) if part)
    commit = repository.commit(branch, {**added, **dict.fromkeys(deleted)}, text, by=session.actor, verified=True)
    shown = views.commit(repository, repository.store.commits[commit])
    return {"commit": shown, "ref": views.ref(repository, branch), "clientMutationId": input.get("clientMutationId")}


def _decoded(addition: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(addition["contents"], validate=True)
    except binascii.Error:
        raise Refusal(422, f"The contents of `{addition['path']}` are not valid base64") from None


def _target(session: Any, branch: dict[str, Any]) -> tuple[Repository, str]:
    full_name, name = branch.get("repositoryNameWithOwner"), branch.get("branchName")
    if branch.get("id"):
        head, _, name = branch["id"].partition(":heads/")
        owned = [r for r in session.github.repositories.values() if f"REF_kwDO{r.id}" == head]
        full_name = owned[0].full_name if owned else None
    if not full_name or not name:
        raise Refusal(422, "You must specify either a branch `id` or both `repositoryNameWithOwner` and `branchName`.")
    try:
        return readable_repository(session.github, session.token, full_name), name.removeprefix("refs/heads/")
    except Refusal:
        raise unresolved("Repository", f"name '{full_name}'") from None


def _check_paths(repository: Repository, branch: str, added: dict[str, bytes], deleted: list[str]) -> None:
    head = repository.branches[branch]
    there = repository.store.files(head)
    for path in deleted:
        if path not in there:
            raise Refusal(422, f"A path was requested for deletion which does not exist as of commit oid `{head}`")
    kept = (there.keys() | added.keys()) - set(deleted)
    for path in added:
        parts = path.split("/")
        if not path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
            raise Refusal(422, f"A path was requested for addition which is invalid: `{path}`")
        if any("/".join(parts[:depth]) in kept for depth in range(1, len(parts))) or any(
            k.startswith(f"{path}/") for k in kept
        ):
            raise Refusal(422, f"A path was requested for addition which is both a file and a folder: `{path}`")


def _session(info: Any) -> Session:
    session: Session = info.context
    return session


def viewer(info: Any) -> View:
    """For an installation token the login keeps its `[bot]`, as on GitHub."""
    session = _session(info)
    shown = actor(session.github.base_url, session.actor)
    return {**shown, "__typename": "User", "login": session.actor.login}


def repository(info: Any, owner: str, name: str, **_other: Any) -> View:
    session = _session(info)
    try:
        return views.repository(readable_repository(session.github, session.token, f"{owner}/{name}"))
    except Refusal:
        raise unresolved("Repository", f"name '{owner}/{name}'") from None


def organization(info: Any, login: str) -> View:
    session = _session(info)
    account = session.github.accounts.get(login.lower())
    if account is None:
        raise unresolved("Organization", f"login of '{login}'")

    def project(_info: Any, number: int) -> View:
        found = [b for b in session.github.boards if b.owner is account and b.number == number]
        # To an integration without the permission, GitHub reports that the project does not exist.
        if not found or not session.token.may("organization_projects", "read"):
            raise unresolved("ProjectV2", f"number {number}")
        return views.board(found[0])

    return views.organization(session.github.base_url, account, project)


def resource(info: Any, url: str) -> View | None:
    """The issue or pull request at the address; null for anything else, or what the token must not see."""
    session = _session(info)
    parts = urlsplit(url).path.strip("/").split("/")
    if len(parts) != 4 or parts[2] not in ("issues", "pull") or not parts[3].isdigit():
        return None
    try:
        found = readable_repository(session.github, session.token, "/".join(parts[:2])).issues.get(int(parts[3]))
    except Refusal:
        found = None
    if found is None:
        return None
    session.check(found.repository, "issues=read", "pull_requests=read")
    return _view(found)


def _view(found: object) -> View | None:
    if isinstance(found, PullRequest):
        return views.pull_request(found)
    if isinstance(found, Issue):
        return views.issue(found)
    if isinstance(found, Repository):
        return views.repository(found)
    if isinstance(found, Board):
        return views.board(found)
    return views.card_view(found) if isinstance(found, Card) else None


def _find(session: Session, node_id: str) -> object:
    """The thing with that node id, if the token reaches it. Raises NOT_FOUND."""
    github = session.github
    visible = [r for r in github.repositories.values() if not r.private or session.token.reaches(r.full_name)]
    things: list[Any] = [*visible, *(issue for r in visible for issue in r.issues.values())]
    if session.token.may("organization_projects", "read"):
        things += [*github.boards, *(card for b in github.boards for card in b.cards)]
    found = next((thing for thing in things if thing.node_id == node_id), None)
    if found is None:
        raise unresolved_node(node_id)
    return found


def node(info: Any, id: str) -> View | None:  # noqa: A002 - GitHub's argument
    return _view(_find(_session(info), id))


def rate_limit(info: Any, **_other: Any) -> View:
    session = _session(info)
    reset = session.github.now()
    return {"cost": 1, "limit": 5000, "remaining": 4999, "used": 1, "nodeCount": 0, "resetAt": reset}


def _set_draft(info: Any, given: dict[str, Any], draft: bool) -> View:
    session = _session(info)
    pull = _find(session, given["pullRequestId"])
    if not isinstance(pull, PullRequest):
        raise unresolved_node(given["pullRequestId"])
    session.check(pull.repository, "pull_requests=write")
    pull.set_draft(draft, by=session.actor)
    return {"pullRequest": views.pull_request(pull), "clientMutationId": given.get("clientMutationId")}


def convert_to_draft(info: Any, input: dict[str, Any]) -> View:  # noqa: A002 - GitHub's argument
    return _set_draft(info, input, True)


def mark_ready(info: Any, input: dict[str, Any]) -> View:  # noqa: A002
    return _set_draft(info, input, False)


def _board(session: Session, node_id: str) -> Board:
    board = _find(session, node_id)
    if not isinstance(board, Board):
        raise unresolved_node(node_id)
    if not session.token.may("organization_projects", "write"):
        raise not_accessible(integration=session.token.is_integration)
    return board


def add_item(info: Any, input: dict[str, Any]) -> View:  # noqa: A002
    session = _session(info)
    board = _board(session, input["projectId"])
    content = _find(session, input["contentId"])
    if not isinstance(content, Issue):
        raise unresolved_node(input["contentId"])
    return {"item": views.card_view(board.add(content)), "clientMutationId": input.get("clientMutationId")}


def update_item(info: Any, input: dict[str, Any]) -> View:  # noqa: A002
    session = _session(info)
    board = _board(session, input["projectId"])
    card = next((c for c in board.cards if c.node_id == input["itemId"]), None)
    if card is None:
        raise unresolved_node(input["itemId"])
    if input["fieldId"] != board.field_node_id:
        raise unresolved_node(input["fieldId"])
    option = input["value"].get("singleSelectOptionId")
    if option not in board.options:
        raise Refusal(422, "The single select option Id does not belong to the field", kind="VALIDATION")
    board.put(card.issue, board.options[option])
    return {"projectV2Item": views.card_view(card), "clientMutationId": input.get("clientMutationId")}


ROOT = {
    "viewer": viewer,
    "repository": repository,
    "organization": organization,
    "resource": resource,
    "node": node,
    "rateLimit": rate_limit,
    "createCommitOnBranch": create_commit_on_branch,
    "convertPullRequestToDraft": convert_to_draft,
    "markPullRequestReadyForReview": mark_ready,
    "addProjectV2ItemById": add_item,
    "updateProjectV2ItemFieldValue": update_item,
}
