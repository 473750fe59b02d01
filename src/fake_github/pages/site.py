"""The pages by path, for the server and for the export."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from fake_github.diffs import diff_files
from fake_github.issues import Issue
from fake_github.pages.conversation import entries
from fake_github.pages.diff_rows import rows
from fake_github.pages.rendering import render
from fake_github.pulls import PullRequest
from fake_github.repositories import Repository

if TYPE_CHECKING:
    from fake_github.platform import EmbeddedGitHub

# No script runs and nothing is fetched, whatever a page shows.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"


@cache
def _templates() -> Environment:
    loader = PackageLoader("fake_github.pages", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = resources.files("fake_github.pages").joinpath("style.css").read_text("utf-8")
    environment.globals |= {"style": Markup(style), "policy": POLICY, "rows": rows}  # noqa: S704 - our own file
    return environment


def _page(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)


def _index(github: EmbeddedGitHub) -> str:
    return _page("index.html", github=github)


def _repository(repository: Repository) -> str:
    issues = [i for _, i in sorted(repository.issues.items(), reverse=True)]
    return _page(
        "repository.html",
        repository=repository,
        issues=issues,
        files=sorted(repository.files()) if repository.branches else [],
    )


def _markdown(repository: Repository) -> Callable[[str], Markup]:
    return lambda text: Markup(render(text, repository))  # noqa: S704 - sanitised


def _issue(issue: Issue) -> str:
    shared = {
        "issue": issue,
        "repository": issue.repository,
        "markdown": _markdown(issue.repository),
        "entries": entries(issue),
    }
    if not isinstance(issue, PullRequest):
        boards = [(board, board.column(issue)) for board in issue.github.boards if board.card(issue)]
        return _page("issue.html", boards=boards, **shared)
    store = issue.repository.store
    return _page(
        "pull_request.html", files=issue.files, commits=[store.commits[sha] for sha in issue.commits], **shared
    )


def _commit(repository: Repository, sha: str) -> str:
    commit = repository.store.commits[sha]
    files = diff_files(repository.store, commit.parents[0] if commit.parents else None, sha)
    return _page("commit.html", repository=repository, commit=commit, files=files)


def pages(github: EmbeddedGitHub) -> dict[str, Callable[[], str]]:
    """Every page by its path; calling the value renders it."""
    found: dict[str, Callable[[], str]] = {"/": lambda: _index(github)}
    for board in github.boards:
        found[board.path] = lambda board=board: _page("board.html", board=board)  # type: ignore[misc]
    for repository in github.repositories.values():
        found[f"/{repository.full_name}"] = lambda repository=repository: _repository(repository)  # type: ignore[misc]
        for issue in repository.issues.values():
            found[issue.path] = lambda issue=issue: _issue(issue)  # type: ignore[misc]
        for pull in repository.pull_requests:
            for sha in pull.commits:
                found[f"/{repository.full_name}/commit/{sha}"] = lambda r=repository, sha=sha: _commit(r, sha)  # type: ignore[misc]
    return found


def canonical(path: str) -> tuple[str, str]:
    """(page path, fragment): the tabs of a pull request are sections of its page; lists of issues are on the
    repository's page.
    """
    parts = path.rstrip("/").split("/")
    if len(parts) == 6 and parts[3] == "pull":
        return "/".join(parts[:5]), parts[5]
    if len(parts) == 4 and parts[3] in ("issues", "pulls"):
        return "/".join(parts[:3]), parts[3]
    return path.rstrip("/") or "/", ""


def serve_page(github: EmbeddedGitHub, request: Request) -> Response:
    with github.lock:
        path, _ = canonical(request.path)
        page = {known.lower(): render_it for known, render_it in pages(github).items()}.get(path.lower())
        html, status = (page(), 200) if page else (_page("missing.html", path=path), 404)
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return Response(html, status, headers, content_type="text/html; charset=utf-8")
