"""`/user`, `/apps/{slug}`, `/installation/repositories`."""

from __future__ import annotations

from fake_github.accounts import legacy_permission, role_includes
from fake_github.refusals import Refusal, invalid, not_accessible, not_found
from fake_github.rest import shapes
from fake_github.rest.routing import Answer, Asked, Route


def user(asked: Asked) -> Answer:
    actor = asked.actor
    if asked.token and asked.token.is_integration:
        raise not_accessible(integration=True)
    profile = dict.fromkeys(("bio", "blog", "company", "email", "hireable", "location", "name"), None)
    counts = dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
    at = "2026-01-05T09:00:00Z"
    return Answer(200, {**shapes.account(asked.github, actor), **profile, **counts, "created_at": at, "updated_at": at})


def app(asked: Asked) -> Answer:
    slug = asked.params["app_slug"]
    if slug not in asked.github.apps:
        raise not_found()
    return Answer(200, shapes.app(asked.github, slug, asked.github.apps[slug]))


def installation_repositories(asked: Asked) -> Answer:
    token = asked.token
    if token is None or not token.is_integration:
        raise Refusal(
            403,
            (
                "You must authenticate with an installation access token in order to list repositories for an "
                "installation."
            ),
        )
    within = [r for r in asked.github.repositories.values() if token.reaches(r.full_name)]
    page = asked.page(within, lambda r: shapes.repository(r, permissions_of=token.account, integration=True))
    selection = "selected" if token.repositories is not None else "all"
    return Answer(
        200, {"total_count": len(within), "repositories": page.body, "repository_selection": selection}, page.headers
    )


def permission(asked: Asked) -> Answer:
    """`collaborators/{username}/permission`: 404 for an unknown login, `none` for somebody without access."""
    who = asked.github.accounts.get(asked.params["username"].lower())
    if who is None:
        raise Refusal(404, f"{asked.params['username']} is not a user")
    role = asked.repository.role(who)
    levels = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    flags = {name: role_includes(role, level) for name, level in levels.items()}
    person = {**shapes.account(asked.github, who), "permissions": flags, "role_name": role}
    return Answer(200, {"permission": legacy_permission(role), "role_name": role, "user": person})


# The repository itself, its labels, and its workflow runs.

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
    return Answer(200, shapes.run(asked.repository, run))


_READ = ("issues=read", "pull_requests=read")


ROUTES = (
    Route("GET", "/user", user),
    Route("GET", "/apps/{app_slug}", app),
    Route("GET", "/installation/repositories", installation_repositories),
    Route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", permission, ("metadata=read",)),
    Route("GET", _R, get_repository, ("metadata=read",)),
    Route("GET", f"{_R}/labels", list_labels, _READ),
    Route("POST", f"{_R}/labels", create_label, ("issues=write", "pull_requests=write")),
    Route("GET", f"{_R}/labels/{{name}}", get_label, _READ),
    Route("GET", f"{_R}/actions/runs/{{run_id}}", get_run, ("actions=read",)),
)
