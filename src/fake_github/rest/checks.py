"""Check runs: what an App says about a commit."""

from __future__ import annotations

from typing import Any

from fake_github.objects import CheckRun
from fake_github.refusals import Refusal, unprocessable
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


ROUTES = (
    Route("POST", f"{_R}/check-runs", create_check_run, ("checks=write",)),
    Route("GET", f"{_R}/commits/{{ref}}/check-runs", list_check_runs, ("checks=read",)),
)
