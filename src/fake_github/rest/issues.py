"""Issues, their labels, events and timeline."""

from __future__ import annotations

from fake_github.accounts import role_includes
from fake_github.objects import Comment, Issue
from fake_github.refusals import locked, missing, not_accessible, not_found
from fake_github.rest import shapes
from fake_github.rest.routing import Answer, Asked, Route

_I = "/repos/{owner}/{repo}/issues/{issue_number}"
_READ, _WRITE = ("issues=read",), ("issues=write",)
_EITHER_READ = ("issues=read", "pull_requests=read")
_EITHER_WRITE = ("issues=write", "pull_requests=write")


def list_issues(asked: Asked) -> Answer:
    state = asked.query.get("state", "open")
    wanted = {label.lower() for label in asked.query.get("labels", "").split(",") if label}
    found = [
        issue
        for _, issue in sorted(asked.repository.issues.items(), reverse=True)
        if state in ("all", issue.state) and wanted <= {name.lower() for name in issue.label_names}
    ]
    return asked.page(found, shapes.issue)


def get_issue(asked: Asked) -> Answer:
    return Answer(200, shapes.issue(asked.issue))


def create_issue(asked: Asked) -> Answer:
    issue = asked.repository.add_issue(asked.text("title"), asked.body.get("body") or "", author=asked.actor)
    for name in asked.body.get("labels", ()):
        issue.add_label(name, by=asked.actor)
    return Answer(201, shapes.issue(issue))


def update_issue(asked: Asked) -> Answer:
    issue, body = asked.issue, asked.body
    issue.edit(title=body.get("title"), body=body.get("body"), by=asked.actor)
    if body.get("state") == "closed":
        issue.close(by=asked.actor, reason=body.get("state_reason") or "completed")
    elif body.get("state") == "open":
        issue.reopen(by=asked.actor)
    return Answer(200, shapes.issue(issue))


def list_events(asked: Asked) -> Answer:
    issue = asked.issue
    events = [e for e in issue.timeline if e.kind not in shapes.TIMELINE_ONLY]
    return asked.page(events, lambda e: shapes.event(issue, e))


def list_timeline(asked: Asked) -> Answer:
    issue = asked.issue
    return asked.page(issue.timeline, lambda e: shapes.event(issue, e))


def _labels(asked: Asked) -> Answer:
    r = asked.repository
    return Answer(200, [shapes.label(r, one) for one in asked.issue.labels])


def list_labels(asked: Asked) -> Answer:
    r = asked.repository
    return asked.page(asked.issue.labels, lambda one: shapes.label(r, one))


def add_labels(asked: Asked) -> Answer:
    names = asked.json if isinstance(asked.json, list) else asked.body.get("labels")
    if not isinstance(names, list):
        raise missing("labels")
    for name in names:
        asked.issue.add_label(name if isinstance(name, str) else name["name"], by=asked.actor)
    return _labels(asked)


def remove_label(asked: Asked) -> Answer:
    asked.issue.remove_label(asked.params["name"], by=asked.actor)
    return _labels(asked)


def lock(asked: Asked) -> Answer:
    if (
        asked.token
        and not asked.token.is_integration
        and not role_includes(asked.repository.role(asked.actor), "write")
    ):
        raise not_accessible(integration=False)
    asked.issue.lock(by=asked.actor)
    return Answer(204)


# Comments on issues and pull requests.

_C = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
_LIST = "/repos/{owner}/{repo}/issues/{issue_number}/comments"


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
    return asked.page([c for c in asked.issue.comments if c.updated_at >= since], shapes.comment)


def create_comment(asked: Asked) -> Answer:
    issue, body = asked.issue, asked.text("body")
    if issue.locked and not role_includes(asked.repository.role(asked.actor), "write"):
        raise locked()
    return Answer(201, shapes.comment(issue.comment(body, by=asked.actor)))


def get_comment(asked: Asked) -> Answer:
    return Answer(200, shapes.comment(_find(asked)))


def update_comment(asked: Asked) -> Answer:
    comment = _own(asked)
    comment.edit(asked.text("body"))
    return Answer(200, shapes.comment(comment))


def delete_comment(asked: Asked) -> Answer:
    _own(asked).delete()
    return Answer(204)


# Sub-issues, parents and dependencies between issues.


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
    return asked.page(_visible(asked, asked.issue.sub_issues), lambda i: shapes.issue(i, with_repository=True))


def add_sub_issue(asked: Asked) -> Answer:
    asked.issue.add_sub_issue(_by_id(asked, "sub_issue_id"), by=asked.actor)
    return Answer(201, shapes.issue(asked.issue))


def get_parent(asked: Asked) -> Answer:
    parent = asked.issue.parent
    if parent is None or not _visible(asked, [parent]):
        raise not_found()
    return Answer(200, shapes.issue(parent, with_repository=True))


def list_blockers(asked: Asked) -> Answer:
    return asked.page(_visible(asked, asked.issue.blocked_by), lambda i: shapes.issue(i, with_repository=True))


def list_blocked(asked: Asked) -> Answer:
    return asked.page(_visible(asked, asked.issue.blocking), lambda i: shapes.issue(i, with_repository=True))


def add_blocker(asked: Asked) -> Answer:
    asked.issue.block(_by_id(asked, "issue_id"), by=asked.actor)
    return Answer(201, shapes.issue(asked.issue))


ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/issues", list_issues, _READ),
    Route("POST", "/repos/{owner}/{repo}/issues", create_issue, ("issues=write",)),
    Route("GET", _I, get_issue, _EITHER_READ),
    Route("PATCH", _I, update_issue, _EITHER_WRITE),
    Route("GET", f"{_I}/events", list_events, _READ),
    Route("GET", f"{_I}/timeline", list_timeline, _EITHER_READ),
    Route("GET", f"{_I}/labels", list_labels, _EITHER_READ),
    Route("POST", f"{_I}/labels", add_labels, _EITHER_WRITE),
    Route("DELETE", f"{_I}/labels/{{name}}", remove_label, _EITHER_WRITE),
    Route("PUT", f"{_I}/lock", lock, _EITHER_WRITE),
    Route("GET", _C, get_comment, _EITHER_READ),
    Route("PATCH", _C, update_comment, _EITHER_WRITE),
    Route("DELETE", _C, delete_comment, _EITHER_WRITE),
    Route("GET", _LIST, list_comments, _EITHER_READ),
    Route("POST", _LIST, create_comment, _EITHER_WRITE),
    Route("GET", f"{_I}/sub_issues", list_sub_issues, _READ),
    Route("POST", f"{_I}/sub_issues", add_sub_issue, _WRITE),
    Route("GET", f"{_I}/parent", get_parent, _READ),
    Route("GET", f"{_I}/dependencies/blocked_by", list_blockers, _READ),
    Route("POST", f"{_I}/dependencies/blocked_by", add_blocker, _WRITE),
    Route("GET", f"{_I}/dependencies/blocking", list_blocked, _READ),
)
