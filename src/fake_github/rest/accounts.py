"""`/user`, `/apps/{slug}`, `/installation/repositories`."""

from __future__ import annotations

from fake_github.accounts import legacy_permission, role_includes
from fake_github.refusals import Refusal, not_accessible, not_found
from fake_github.rest import machine_shapes, shapes
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
    return Answer(200, machine_shapes.app(asked.github, slug, asked.github.apps[slug]))


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
    """`collaborators/{username}/permission`: 404 for a login that does not exist, `none` for somebody without access."""
    who = asked.github.accounts.get(asked.params["username"].lower())
    if who is None:
        raise Refusal(404, f"{asked.params['username']} is not a user")
    role = asked.repository.role(who)
    levels = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    flags = {name: role_includes(role, level) for name, level in levels.items()}
    person = {**shapes.account(asked.github, who), "permissions": flags, "role_name": role}
    return Answer(200, {"permission": legacy_permission(role), "role_name": role, "user": person})


ROUTES = (
    Route("GET", "/user", user),
    Route("GET", "/apps/{app_slug}", app),
    Route("GET", "/installation/repositories", installation_repositories),
    Route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", permission, ("metadata=read",)),
)
