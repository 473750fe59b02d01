"""Routes by the path templates of GitHub's OpenAPI description, and what a route is given and gives back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from fake_github.accounts import Account, Token, role_includes
from fake_github.objects import Issue, Platform, PullRequest, Repository
from fake_github.refusals import (
    archived,
    issue_deleted,
    missing,
    moved,
    not_accessible,
    not_found,
    requires_authentication,
)

# Parameters whose value may hold slashes.
_LONG = ("ref", "basehead", "branch", "path")
_ROLE_NEEDED = {
    "contents": "write",
    "pull_requests": "triage",
    "issues": "triage",
    "workflows": "write",
    "actions": "write",
    "checks": "write",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body (JSON-able, or bytes), extra headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One authenticated request, matched to its route."""

    github: Platform
    token: Token | None
    params: Mapping[str, str]
    query: Mapping[str, str]
    json: Any
    accept: str

    @property
    def body(self) -> Mapping[str, Any]:
        """The request's JSON object, empty when it is something else."""
        return self.json if isinstance(self.json, dict) else {}

    @cached_property
    def actor(self) -> Account:
        if self.token is None:
            raise requires_authentication()
        return self.token.account

    @cached_property
    def repository(self) -> Repository:
        """The repository of the path. 404 when there is none or when the token must not know."""
        return readable_repository(self.github, self.token, f"{self.params['owner']}/{self.params['repo']}")

    @property
    def issue(self) -> Issue:
        """The issue or pull request of the path: 301 when it was transferred, 410 when it was deleted."""
        return find_issue(self.repository, int(self.params["issue_number"]))

    @property
    def pull_request(self) -> PullRequest:
        try:
            return self.repository.pull_request(int(self.params["pull_number"]))
        except KeyError:
            raise not_found() from None

    def text(self, name: str) -> str:
        """A required field of the body. 422 when it is not a string."""
        given = self.body.get(name)
        if not isinstance(given, str):
            raise missing(name)
        return given

    def page(self, everything: Sequence[Any], shape: Callable[[Any], Any]) -> Answer:
        """One page of a list, with GitHub's Link header."""
        size = min(max(int(self.query.get("per_page", "30")), 1), 100)
        number = max(int(self.query.get("page", "1")), 1)
        last = max(-(-len(everything) // size), 1)
        shown = everything[(number - 1) * size : number * size]
        there = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        wanted = [
            r for r in there if (r in ("next", "last") and number < last) or (r in ("prev", "first") and number > 1)
        ]
        path = self.params["__path"]
        links = [
            f'<{self.github.api_url}{path}?{urlencode({**self.query, "page": there[r]})}>; rel="{r}"' for r in wanted
        ]
        return Answer(200, [shape(one) for one in shown], {"Link": ", ".join(links)} if links else {})


def readable_repository(github: Platform, token: Token | None, full_name: str) -> Repository:
    repository = github.repositories.get(full_name.lower())
    if repository is None:
        raise not_found()
    if repository.private:
        if token is None or not token.reaches(repository.full_name):
            raise not_found()
        if not token.is_integration and repository.role(token.account) == "none":
            raise not_found()
    return repository


def find_issue(repository: Repository, number: int) -> Issue:
    if number in repository.transferred:
        new = repository.transferred[number]
        raise moved(f"{repository.github.api_url}/repositories/{new.repository.id}/issues/{new.number}")
    if number in repository.deleted:
        raise issue_deleted()
    if number not in repository.issues:
        raise not_found()
    return repository.issues[number]


def check_permission(repository: Repository, token: Token | None, needs: Sequence[str]) -> None:
    """`needs` are alternatives such as `issues=write`. Refuses with 403 (404 for a classic token of somebody without
    the role).
    """
    if not needs:
        return
    levels = [need.split("=") for need in needs]
    writes = all(level == "write" for _, level in levels)
    if token is None:
        if writes:
            raise requires_authentication()
        return
    if not repository.private and not writes:
        return
    accepted = "; ".join(needs)
    if not token.reaches(repository.full_name) or not any(token.may(area, level) for area, level in levels):
        raise not_accessible(integration=token.is_integration, accepted=accepted)
    if writes and not token.is_integration:
        role = repository.role(token.account)
        if not any(role_includes(role, _ROLE_NEEDED[area]) for area, _ in levels):
            raise not_accessible(integration=False, accepted=accepted)
    if writes and repository.archived:
        raise archived()


@dataclass(frozen=True)
class Route:
    """`template` as in the OpenAPI description; `needs` are the permissions of which one is enough, `()` for none."""

    method: str
    template: str
    answer: Callable[[Asked], Answer]
    needs: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        built = "".join(
            re.escape(p) if i % 2 == 0 else f"(?P<{p}>{'.+' if p in _LONG else '[^/]+'})" for i, p in enumerate(parts)
        )
        return re.compile(built)

    @property
    def accepted(self) -> str:
        return "; ".join(self.needs)

    def handle(self, asked: Asked) -> Answer:
        if "{repo}" in self.template:
            check_permission(asked.repository, asked.token, self.needs)
        return self.answer(asked)


def find_route(routes: Sequence[Route], method: str, path: str) -> tuple[Route | None, dict[str, str]]:
    """The route and its path parameters (numbers checked), None when nothing matches."""
    wanted = "GET" if method == "HEAD" else method
    for route in routes:
        found = route.pattern.fullmatch(path) if route.method == wanted else None
        if found and all(v.isdigit() for k, v in found.groupdict().items() if k.endswith(("_number", "_id"))):
            return route, {**found.groupdict(), "__path": path}
    return None, {}
