"""GitHub's JSON, of the API and of events, as our nouns.

Null authors, deleted head repositories and missing lists are normal; a wrong type raises (KeyError, TypeError,
ValueError).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    Review,
)

Json = Mapping[str, Any]
GHOST = Actor(login="ghost", id=0, kind=ActorKind.USER)


def actor(found: Json | None) -> Actor | None:
    """A REST "simple user"; None for a deleted account. A kind that we do not know counts as the least trusted one."""
    if not found:
        return None
    kind = found.get("type", ActorKind.USER)
    return Actor(
        login=str(found["login"]),
        id=int(found["id"]),
        kind=ActorKind(kind) if kind in set(ActorKind) else ActorKind.BOT,
    )


def repository(found: Json) -> Repository:
    return Repository(
        owner=str(found["owner"]["login"]),
        name=str(found["name"]),
        id=int(found["id"]),
        default_branch=str(found["default_branch"]),
        archived=bool(found.get("archived")),
        disabled=bool(found.get("disabled")),
    )


def issue(found: Json, repository: str | None = None) -> Issue:
    """`repository` is `owner/name`; None: the one that the issue names itself."""
    name = repository or "/".join(str(found["repository_url"]).rstrip("/").split("/")[-2:])
    summary = found.get("issue_dependencies_summary")
    blockers = summary.get("blocked_by") if isinstance(summary, Mapping) else None
    return Issue(
        ref=IssueRef(repository=name, number=int(found["number"])),
        id=int(found["id"]),
        node_id=str(found["node_id"]),
        title=str(found["title"]),
        body=str(found.get("body") or ""),
        is_open=found["state"] == "open",
        is_pull_request=found.get("pull_request") is not None,
        labels=tuple(
            label if isinstance(label, str) else str(label.get("name") or "") for label in found.get("labels") or []
        ),
        author=actor(found.get("user")) or GHOST,
        url=str(found["html_url"]),
        locked=bool(found.get("locked")),
        open_blockers=blockers if isinstance(blockers, int) else None,
    )


def comment(found: Json) -> Comment:
    return Comment(
        id=int(found["id"]),
        author=actor(found.get("user")) or GHOST,
        body=str(found.get("body") or ""),
        created_at=str(found["created_at"]),
        updated_at=str(found["updated_at"]),
    )


def issue_event(found: Json) -> IssueEvent | None:
    """One timeline entry; None for those without an id and a time (commits, cross references)."""
    if found.get("id") is None or not found.get("created_at"):
        return None
    label = found.get("label")
    return IssueEvent(
        id=int(found["id"]),
        kind=str(found["event"]),
        actor=actor(found.get("actor") or found.get("user")),
        at=str(found["created_at"]),
        label=str(label["name"]) if isinstance(label, Mapping) and label.get("name") else None,
    )


def pull_request(found: Json) -> PullRequest:
    return PullRequest(
        number=int(found["number"]),
        node_id=str(found["node_id"]),
        url=str(found["html_url"]),
        title=str(found["title"]),
        body=str(found.get("body") or ""),
        head_branch=str(found["head"]["ref"]),
        head_commit=str(found["head"]["sha"]),
        base_branch=str(found["base"]["ref"]),
        is_open=found["state"] == "open",
        merged=found.get("merged_at") is not None,
        draft=bool(found.get("draft")),
        labels=tuple(str(label.get("name") or "") for label in found.get("labels") or []),
        author=actor(found.get("user")),
    )


def head_repository(found: Json) -> str:
    """`owner/name` of a pull request's head, lower case; empty when that repository was deleted."""
    repo = (found.get("head") or {}).get("repo") or {}
    return str(repo.get("full_name") or "").lower()


def review(found: Json) -> Review:
    return Review(
        id=int(found["id"]),
        author=actor(found.get("user")) or GHOST,
        verdict=str(found["state"]),
        body=str(found.get("body") or ""),
        at=str(found.get("submitted_at") or ""),
    )


def permission(found: Json) -> Permission:
    """`role_name` where it is one of GitHub's own roles, else what the custom role grants (`permission`)."""
    for name in (found.get("role_name"), found.get("permission")):
        if name in set(Permission):
            return Permission(str(name))
    return Permission.NONE
