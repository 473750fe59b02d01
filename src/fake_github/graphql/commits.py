"""`createCommitOnBranch`: the optimistic lock, the rules, the workflow permission, the commit."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fake_github.graphql import shared_views as views
from fake_github.graphql.shared_views import View
from fake_github.refusals import Refusal, stale_head, unresolved
from fake_github.repositories import Repository
from fake_github.rest.routing import readable_repository


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
    repository.check_rules("update", "pull_request", branch)
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
