"""GitHub's JSON, of the API and of events, as our nouns.

Null authors, deleted head repositories and missing lists are normal. A field that is missing or of a wrong type raises
Misshapen.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ops_agent.model.event import Actor, ActorKind, Issue, IssueRef, Repository

T = TypeVar("T")
GHOST = Actor(login="ghost", id=0, kind=ActorKind.USER)
_ANSWER = "the answer"
_KINDS = {str: "a string", int: "a number", bool: "true or false", list: "a list", dict: "an object"}


class Misshapen(ValueError):
    """JSON of another shape than GitHub documents. The text names the place, never the value."""


class JsonPart:
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

    def part(self, name: str) -> JsonPart:
        return JsonPart(self._found.get(name), f"{self.place}.{name}")

    def actor(self, name: str) -> Actor | None:
        return actor(self._found.get(name), f"{self.place}.{name}")

    def labels(self) -> tuple[str, ...]:
        found = enumerate(self.maybe("labels", list) or ())
        return tuple(
            label if isinstance(label, str) else _label(label, f"{self.place}.labels.{n}") for n, label in found
        )


def _label(found: Any, place: str) -> str:
    return JsonPart(found, place).text("name")


def actor(found: Any, place: str = _ANSWER) -> Actor | None:
    """A REST "simple user"; None for a deleted account. A kind that we do not know counts as the least trusted one."""
    if not found:
        return None
    part = JsonPart(found, place)
    kind = part.maybe("type", str) or ActorKind.USER
    known = ActorKind(kind) if kind in set(ActorKind) else ActorKind.BOT
    return Actor(login=part.text("login"), id=part.number(), kind=known)


def repository(found: Any, place: str = _ANSWER) -> Repository:
    part = JsonPart(found, place)
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
    part = JsonPart(found, place)
    summary = part.maybe("issue_dependencies_summary", dict) or {}
    children = part.maybe("sub_issues_summary", dict) or {}
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
        open_blockers=JsonPart(summary, place).maybe("blocked_by", int),
        sub_issues=JsonPart(children, place).maybe("total", int),
    )
