"""GitHub's JSON, of the API and of events, as our nouns.

Null authors, deleted head repositories and missing lists are normal. A field that is missing or of a wrong type raises
Misshapen.
"""

from __future__ import annotations

from typing import Any, TypeVar

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

T = TypeVar("T")
GHOST = Actor(login="ghost", id=0, kind=ActorKind.USER)
_ANSWER = "the answer"
_KINDS = {str: "a string", int: "a number", bool: "true or false", list: "a list", dict: "an object"}


class Misshapen(ValueError):
    """JSON of another shape than GitHub documents. The text names the place, never the value."""


class Part:
    """An object of GitHub's JSON, with the `place` where it is."""

    def __init__(self, found: Any, place: str = _ANSWER) -> None:
        if not isinstance(found, dict):
            raise Misshapen(f"{place} should be an object, found a JSON {type(found).__name__}")
        self._found, self.place = found, place

    def maybe(self, name: str, kind: type[T]) -> T | None:
        value: T | None = self._found.get(name)
        if value is not None and type(value) is not kind:
            raise Misshapen(f"{self.place}.{name} should be {_KINDS[kind]}")
        return value

    def need(self, name: str, kind: type[T]) -> T:
        value = self.maybe(name, kind)
        if value is None:
            raise Misshapen(f"{self.place}.{name} should be {_KINDS[kind]}, found nothing")
        return value

    def text(self, name: str) -> str:
        return self.need(name, str)

    def number(self, name: str = "id") -> int:
        value = self.need(name, int)
        if not 0 < value < 2**63:
            raise Misshapen(f"{self.place}.{name} should be a number above 0")
        return value

    def part(self, name: str) -> Part:
        return Part(self._found.get(name), f"{self.place}.{name}")

    def actor(self, name: str) -> Actor | None:
        return actor(self._found.get(name), f"{self.place}.{name}")

    def labels(self) -> tuple[str, ...]:
        found = enumerate(self.maybe("labels", list) or ())
        return tuple(
            label if isinstance(label, str) else _label(label, f"{self.place}.labels.{n}") for n, label in found
        )


def _label(found: Any, place: str) -> str:
    return Part(found, place).text("name")


def actor(found: Any, place: str = _ANSWER) -> Actor | None:
    """A REST "simple user"; None for a deleted account. A kind that we do not know counts as the least trusted one."""
    if not found:
        return None
    part = Part(found, place)
    kind = part.maybe("type", str) or ActorKind.USER
    known = ActorKind(kind) if kind in set(ActorKind) else ActorKind.BOT
    return Actor(login=part.text("login"), id=part.number(), kind=known)


def repository(found: Any, place: str = _ANSWER) -> Repository:
    part = Part(found, place)
    return Repository(
        owner=part.part("owner").text("login"),
        name=part.text("name"),
        id=part.number(),
        default_branch=part.text("default_branch"),
        archived=bool(part.maybe("archived", bool)),
        disabled=bool(part.maybe("disabled", bool)),
    )


def issue(found: Any, repository: str | None = None, place: str = _ANSWER) -> Issue:
    """`repository` is `owner/name`; None: the one that the issue names itself."""
    part = Part(found, place)
    summary = part.maybe("issue_dependencies_summary", dict) or {}
    name = repository or "/".join(part.text("repository_url").rstrip("/").split("/")[-2:])
    return Issue(
        ref=IssueRef(repository=name, number=part.number("number")),
        id=part.number(),
        node_id=part.text("node_id"),
        title=part.text("title"),
        body=part.maybe("body", str) or "",
        is_open=part.text("state") == "open",
        is_pull_request=part.maybe("pull_request", dict) is not None,
        labels=part.labels(),
        author=part.actor("user") or GHOST,
        url=part.text("html_url"),
        locked=bool(part.maybe("locked", bool)),
        open_blockers=Part(summary, place).maybe("blocked_by", int),
    )


def comment(found: Any) -> Comment:
    part = Part(found)
    return Comment(
        id=part.number(),
        author=part.actor("user") or GHOST,
        body=part.maybe("body", str) or "",
        created_at=part.text("created_at"),
        updated_at=part.text("updated_at"),
    )


def issue_event(found: Any) -> IssueEvent | None:
    """One timeline entry; None for those without an id and a time (commits, cross references)."""
    part = Part(found)
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


def pull_request(found: Any) -> PullRequest:
    part = Part(found)
    head = part.part("head")
    return PullRequest(
        number=part.number("number"),
        node_id=part.text("node_id"),
        url=part.text("html_url"),
        title=part.text("title"),
        body=part.maybe("body", str) or "",
        head_branch=head.text("ref"),
        head_commit=head.text("sha"),
        base_branch=part.part("base").text("ref"),
        is_open=part.text("state") == "open",
        merged=part.maybe("merged_at", str) is not None,
        draft=bool(part.maybe("draft", bool)),
        labels=part.labels(),
        author=part.actor("user"),
    )


def head_repository(found: Any) -> str:
    """`owner/name` of a pull request's head, lower case; empty when that repository was deleted."""
    head = Part(found).part("head")
    return head.part("repo").text("full_name").lower() if head.maybe("repo", dict) else ""


def review(found: Any) -> Review:
    part = Part(found)
    return Review(
        id=part.number(),
        author=part.actor("user") or GHOST,
        verdict=part.text("state"),
        body=part.maybe("body", str) or "",
        at=part.maybe("submitted_at", str) or "",
    )


def permission(found: Any) -> Permission:
    """`role_name` where it is one of GitHub's own roles, else what the custom role grants (`permission`)."""
    part = Part(found)
    for name in (part.maybe("role_name", str), part.maybe("permission", str)):
        if name in set(Permission):
            return Permission(str(name))
    return Permission.NONE
