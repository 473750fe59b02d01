"""Issues, their labels, events and timeline."""

from __future__ import annotations

from fake_github.accounts import role_includes
from fake_github.refusals import missing, not_accessible
from fake_github.rest import issue_shapes, shapes
from fake_github.rest.routing import Answer, Asked, Route

_I = "/repos/{owner}/{repo}/issues/{issue_number}"
_READ = ("issues=read",)
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
    return asked.page(found, issue_shapes.issue)


def get_issue(asked: Asked) -> Answer:
    return Answer(200, issue_shapes.issue(asked.issue))


def create_issue(asked: Asked) -> Answer:
    issue = asked.repository.add_issue(asked.text("title"), asked.body.get("body") or "", author=asked.actor)
    for name in asked.body.get("labels", ()):
        issue.add_label(name, by=asked.actor)
    return Answer(201, issue_shapes.issue(issue))


def update_issue(asked: Asked) -> Answer:
    issue, body = asked.issue, asked.body
    issue.edit(title=body.get("title"), body=body.get("body"), by=asked.actor)
    if body.get("state") == "closed":
        issue.close(by=asked.actor, reason=body.get("state_reason") or "completed")
    elif body.get("state") == "open":
        issue.reopen(by=asked.actor)
    return Answer(200, issue_shapes.issue(issue))


def list_events(asked: Asked) -> Answer:
    issue = asked.issue
    events = [e for e in issue.timeline if e.kind not in issue_shapes.TIMELINE_ONLY]
    return asked.page(events, lambda e: issue_shapes.event(issue, e))


def list_timeline(asked: Asked) -> Answer:
    issue = asked.issue
    return asked.page(issue.timeline, lambda e: issue_shapes.event(issue, e))


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
)
