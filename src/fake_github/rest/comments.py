"""Comments on issues and pull requests."""

from __future__ import annotations

from fake_github.accounts import role_includes
from fake_github.issues import Comment
from fake_github.refusals import locked, not_accessible, not_found
from fake_github.rest import issue_shapes
from fake_github.rest.routing import Answer, Asked, Route

_C = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
_LIST = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
_READ = ("issues=read", "pull_requests=read")
_WRITE = ("issues=write", "pull_requests=write")


def _find(asked: Asked) -> Comment:
    wanted = int(asked.params["comment_id"])
    for issue in asked.repository.issues.values():
        for comment in issue.comments:
            if comment.id == wanted:
                return comment
    raise not_found()


def _own(asked: Asked) -> Comment:
    """The comment, if the token may change it: its author, or somebody who may write to the repository."""
    comment = _find(asked)
    integration = bool(asked.token and asked.token.is_integration)
    if (
        comment.author is not asked.actor
        and not integration
        and not role_includes(asked.repository.role(asked.actor), "write")
    ):
        raise not_accessible(integration=False)
    return comment


def list_comments(asked: Asked) -> Answer:
    since = asked.query.get("since", "")
    return asked.page([c for c in asked.issue.comments if c.updated_at >= since], issue_shapes.comment)


def create_comment(asked: Asked) -> Answer:
    issue, body = asked.issue, asked.text("body")
    if issue.locked and not role_includes(asked.repository.role(asked.actor), "write"):
        raise locked()
    return Answer(201, issue_shapes.comment(issue.comment(body, by=asked.actor)))


def get_comment(asked: Asked) -> Answer:
    return Answer(200, issue_shapes.comment(_find(asked)))


def update_comment(asked: Asked) -> Answer:
    comment = _own(asked)
    comment.edit(asked.text("body"))
    return Answer(200, issue_shapes.comment(comment))


def delete_comment(asked: Asked) -> Answer:
    _own(asked).delete()
    return Answer(204)


ROUTES = (
    Route("GET", _C, get_comment, _READ),
    Route("PATCH", _C, update_comment, _WRITE),
    Route("DELETE", _C, delete_comment, _WRITE),
    Route("GET", _LIST, list_comments, _READ),
    Route("POST", _LIST, create_comment, _WRITE),
)
