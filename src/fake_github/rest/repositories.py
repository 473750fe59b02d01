"""The repository itself, its labels, and its workflow runs."""

from __future__ import annotations

from fake_github.refusals import invalid, not_found
from fake_github.rest import machine_shapes, shapes
from fake_github.rest.routing import Answer, Asked, Route

_R = "/repos/{owner}/{repo}"


def get_repository(asked: Asked) -> Answer:
    token = asked.token
    account = token.account if token else None
    return Answer(
        200,
        shapes.repository(asked.repository, permissions_of=account, integration=bool(token and token.is_integration)),
    )


def list_labels(asked: Asked) -> Answer:
    return asked.page(list(asked.repository.labels.values()), lambda one: shapes.label(asked.repository, one))


def create_label(asked: Asked) -> Answer:
    name, r = asked.text("name"), asked.repository
    if any(known.lower() == name.lower() for known in r.labels):
        raise invalid("Label", "name", "already_exists")
    created = r.label(name, asked.body.get("color") or "ededed", asked.body.get("description"))
    return Answer(201, shapes.label(r, created))


def get_label(asked: Asked) -> Answer:
    r = asked.repository
    found = next((one for name, one in r.labels.items() if name.lower() == asked.params["name"].lower()), None)
    if found is None:
        raise not_found()
    return Answer(200, shapes.label(r, found))


def get_run(asked: Asked) -> Answer:
    run = asked.repository.runs.get(int(asked.params["run_id"]))
    if run is None:
        raise not_found()
    return Answer(200, machine_shapes.run(asked.repository, run))


_READ = ("issues=read", "pull_requests=read")
ROUTES = (
    Route("GET", _R, get_repository, ("metadata=read",)),
    Route("GET", f"{_R}/labels", list_labels, _READ),
    Route("POST", f"{_R}/labels", create_label, ("issues=write", "pull_requests=write")),
    Route("GET", f"{_R}/labels/{{name}}", get_label, _READ),
    Route("GET", f"{_R}/actions/runs/{{run_id}}", get_run, ("actions=read",)),
)
