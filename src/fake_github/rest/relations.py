"""Sub-issues, parents and dependencies between issues."""

from __future__ import annotations

from fake_github.issues import Issue
from fake_github.refusals import missing, not_found
from fake_github.rest import issue_shapes
from fake_github.rest.routing import Answer, Asked, Route

_I = "/repos/{owner}/{repo}/issues/{issue_number}"
_READ, _WRITE = ("issues=read",), ("issues=write",)


def _visible(asked: Asked, issues: list[Issue]) -> list[Issue]:
    """Issues in repositories that the token does not reach are left out, as on GitHub."""
    return [
        i for i in issues if not i.repository.private or (asked.token and asked.token.reaches(i.repository.full_name))
    ]


def _by_id(asked: Asked, name: str) -> Issue:
    wanted = asked.body.get(name)
    if not isinstance(wanted, int):
        raise missing(name)
    for repository in asked.github.repositories.values():
        for issue in repository.issues.values():
            if issue.id == wanted:
                return issue
    raise not_found()


def list_sub_issues(asked: Asked) -> Answer:
    return asked.page(_visible(asked, asked.issue.sub_issues), lambda i: issue_shapes.issue(i, with_repository=True))


def add_sub_issue(asked: Asked) -> Answer:
    asked.issue.add_sub_issue(_by_id(asked, "sub_issue_id"), by=asked.actor)
    return Answer(201, issue_shapes.issue(asked.issue))


def get_parent(asked: Asked) -> Answer:
    parent = asked.issue.parent
    if parent is None or not _visible(asked, [parent]):
        raise not_found()
    return Answer(200, issue_shapes.issue(parent, with_repository=True))


def list_blockers(asked: Asked) -> Answer:
    return asked.page(_visible(asked, asked.issue.blocked_by), lambda i: issue_shapes.issue(i, with_repository=True))


def add_blocker(asked: Asked) -> Answer:
    asked.issue.block(_by_id(asked, "issue_id"), by=asked.actor)
    return Answer(201, issue_shapes.issue(asked.issue))


ROUTES = (
    Route("GET", f"{_I}/sub_issues", list_sub_issues, _READ),
    Route("POST", f"{_I}/sub_issues", add_sub_issue, _WRITE),
    Route("GET", f"{_I}/parent", get_parent, _READ),
    Route("GET", f"{_I}/dependencies/blocked_by", list_blockers, _READ),
    Route("POST", f"{_I}/dependencies/blocked_by", add_blocker, _WRITE),
)
