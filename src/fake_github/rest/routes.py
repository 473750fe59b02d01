"""Every REST call that the platform answers."""

from __future__ import annotations

from fake_github.rest import accounts, archive, branches, comments, git, issues, pulls, relations, repositories
from fake_github.rest.routing import Route

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *repositories.ROUTES,
    *issues.ROUTES,
    *comments.ROUTES,
    *relations.ROUTES,
    *branches.ROUTES,
    *git.ROUTES,
    *archive.ROUTES,
    *pulls.ROUTES,
)
