"""Check runs: what an App says about a commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

from fake_github.objects import CheckRun, Platform
from fake_github.refusals import Refusal, not_found, unprocessable
from fake_github.rest import shapes
from fake_github.rest.branches import resolve
from fake_github.rest.routing import Answer, Asked, Route

_R = "/repos/{owner}/{repo}"


def create_check_run(asked: Asked) -> Answer:
    """Only for Apps. Several of one name may be made for a commit; the newest counts."""
    r, body, token = asked.repository, asked.body, asked.token
    if token is None or not token.is_integration:
        raise Refusal(403, "You must authenticate via a GitHub App.")
    name, commit = asked.text("name"), asked.text("head_sha")
    if commit not in r.store.commits:
        raise unprocessable(f"No commit found for SHA: {commit}")
    given: dict[str, Any] = body.get("output") or {}
    run = CheckRun(
        id=asked.github.next_id(),
        name=name,
        commit=commit,
        app=token.account,
        status=body.get("status") or ("completed" if body.get("conclusion") else "queued"),
        conclusion=body.get("conclusion"),
        title=given.get("title"),
        summary=given.get("summary"),
        details_url=body.get("details_url") or r.url,
        external_id=body.get("external_id") or "",
        at=asked.github.now(),
    )
    r.check_runs.append(run)
    return Answer(201, shapes.check_run(r, run))


def list_check_runs(asked: Asked) -> Answer:
    """The newest of each name and App, unless `filter=all`."""
    r = asked.repository
    commit, name = resolve(r, asked.params["ref"]), asked.query.get("check_name")
    found = [run for run in reversed(r.check_runs) if run.commit == commit and name in (None, run.name)]
    if asked.query.get("filter", "latest") == "latest":
        found = list({(run.name, run.app.id): run for run in reversed(found)}.values())
    page = asked.page(found, lambda run: shapes.check_run(r, run))
    return Answer(200, {"total_count": len(found), "check_runs": page.body}, page.headers)


def list_annotations(asked: Asked) -> Answer:
    r, wanted = asked.repository, int(asked.params["check_run_id"])
    run = next((run for run in r.check_runs if run.id == wanted), None)
    if run is None:
        raise not_found()

    def shown(one: Mapping[str, Any]) -> dict[str, Any]:
        line = one.get("start_line", 1)
        built = {"start_line": line, "end_line": line, "start_column": None, "end_column": None}
        built |= {"title": None, "raw_details": None, "blob_href": f"{r.url}/blob/{run.commit}/{one['path']}"}
        return {"annotation_level": "failure", **built, **one}

    return asked.page(run.annotations, shown)


def get_job_log(asked: Asked) -> Answer:
    """302; the bytes come from another path without the token, as from GitHub's storage."""
    r, wanted = asked.repository, int(asked.params["job_id"])
    if not any(run.id == wanted and run.log for run in r.check_runs):
        raise not_found()
    return Answer(302, b"", {"Location": f"{r.github.base_url}/_joblog/{quote(r.full_name)}/{wanted}?sig=x"})


def download(github: Platform, request: Request) -> Response:
    """`/_joblog/{owner}/{repo}/{job}`."""
    _, _, owner, name, job = request.path.split("/")
    repository = github.repositories.get(f"{owner}/{name}".lower())
    found = [run.log for run in (repository.check_runs if repository else ()) if str(run.id) == job]
    return Response(found[0], 200, content_type="text/plain") if found else Response("404: Not Found", 404)


ROUTES = (
    Route("POST", f"{_R}/check-runs", create_check_run, ("checks=write",)),
    Route("GET", f"{_R}/commits/{{ref}}/check-runs", list_check_runs, ("checks=read",)),
    Route("GET", f"{_R}/check-runs/{{check_run_id}}/annotations", list_annotations, ("checks=read",)),
    Route("GET", f"{_R}/actions/jobs/{{job_id}}/logs", get_job_log, ("actions=read",)),
)
