"""From an HTTP request to the API's answer: record, plan of faults, authentication, rate limit, route, permission,
deed.
"""

from __future__ import annotations

import json
import time
from typing import Any

from werkzeug.wrappers import Request, Response

from fake_github.accounts import Token
from fake_github.faults import Deed, Fault
from fake_github.graphql.execution import operation_name, run_graphql
from fake_github.graphql.resolvers import ROOT
from fake_github.limits import exceeded_message
from fake_github.objects import Platform
from fake_github.recorder import Call
from fake_github.refusals import Refusal, bad_credentials, not_found
from fake_github.rest import branches, checks, issues, pulls, repositories
from fake_github.rest.routing import Answer, Asked, Route, find_route
from fake_github.server import ConnectionDropped

ROUTES: tuple[Route, ...] = (
    *repositories.ROUTES,
    *issues.ROUTES,
    *checks.ROUTES,
    *branches.ROUTES,
    *pulls.ROUTES,
)
"""Every REST call that the platform answers."""


def serve(github: Platform, request: Request) -> Response:
    """Answer one request of the API. Raises ConnectionDropped when the fault plan says so."""
    raw = request.get_data()
    body, readable = _parse(raw)
    call = github.recorder.open(request.method, request.path, request.args.to_dict(), body)
    route: Route | None = None
    params: dict[str, str] = {}
    if request.path == "/graphql":
        call.template, call.operation = "/graphql", operation_name(body)
    else:
        path = _canonical(github, request.path)
        route, params = find_route(ROUTES, request.method, path)
        call.template = route.template if route else ""
        call.operation = f"{request.method} {route.template if route else request.path}"
    ended = _faults(github, call, after=False)
    if ended is None:
        with github.lock:
            response = _carry_out(github, request, call, route, params) if readable else _unreadable()
            call.committed = response.status_code < 400
        _note(call, response)
        ended = _faults(github, call, after=True) or response
    _note(call, ended)
    return ended


def _parse(raw: bytes) -> tuple[Any, bool]:
    try:
        return (json.loads(raw) if raw else None), True
    except ValueError:
        return None, False


def _unreadable() -> Response:
    return _response(
        Answer(
            400,
            {"message": "Problems parsing JSON", "documentation_url": "https://docs.github.com/rest", "status": "400"},
        )
    )


def _canonical(github: Platform, path: str) -> str:
    """`/repositories/{id}/...`, where GitHub's redirects point, is another name for `/repos/{owner}/{repo}/...`."""
    parts = path.split("/")
    if parts[1] == "repositories" and len(parts) > 2:
        for repository in github.repositories.values():
            if str(repository.id) == parts[2]:
                return "/".join(["", "repos", repository.full_name, *parts[3:]])
    return path


def _carry_out(github: Platform, request: Request, call: Call, route: Route | None, params: dict[str, str]) -> Response:
    headers: dict[str, str] = {}
    try:
        token = _token(github, request.headers.get("Authorization", ""))
        call.token = token.account.login if token else ""
        if token and token.scopes:
            headers["X-OAuth-Scopes"] = ", ".join(token.scopes)
        allowed, limits = github.rate.spend(token, "graphql" if route is None and call.path == "/graphql" else "core")
        headers |= limits
        if call.path == "/graphql":
            return _response(run_graphql(github, token, call.body, root=ROOT, within_limit=allowed), headers)
        if not allowed:
            raise Refusal(403, exceeded_message(token))
        if route is None:
            raise not_found()
        if accepted := route.accepted:
            headers["X-Accepted-GitHub-Permissions"] = accepted
        asked = Asked(github, token, params, call.query, call.body, request.headers.get("Accept", ""))
        return _response(route.handle(asked), headers)
    except Refusal as refusal:
        return _response(Answer(refusal.status, refusal.body(), refusal.headers), headers)


def _token(github: Platform, authorization: str) -> Token | None:
    scheme, _, secret = authorization.partition(" ")
    if not authorization:
        return None
    token = github.tokens.get(secret.strip()) if scheme.lower() in ("token", "bearer") else None
    if token is None:
        raise bad_credentials()
    return token


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    content = (
        b""
        if answer.status == 204
        else answer.body
        if isinstance(answer.body, bytes)
        else json.dumps(answer.body).encode()
    )
    response = Response(content, answer.status)
    response.headers.update({"Content-Type": "application/json; charset=utf-8", **(headers or {}), **answer.headers})
    response.autocorrect_location_header = False
    return response


def _note(call: Call, response: Response) -> None:
    call.status = response.status_code
    call.headers = dict(response.headers)
    content = response.get_data()
    parsed, readable = _parse(content)
    call.answer = parsed if readable else content


def _faults(github: Platform, call: Call, *, after: bool) -> Response | None:
    for fault in github.faults.due(call, after=after):
        call.fault = fault.name
        if fault.deed is Deed.DROP:
            call.status, call.answer = 0, None
            raise ConnectionDropped
        if fault.deed is Deed.DELAY:
            time.sleep(fault.seconds)
        elif fault.deed is Deed.RUN and fault.code is not None:
            fault.code()
        elif fault.deed is Deed.ANSWER:
            return _planned(fault)
    return None


def _planned(fault: Fault) -> Response:
    response = Response(fault.content, fault.status)
    response.headers.update(fault.headers)
    return response
