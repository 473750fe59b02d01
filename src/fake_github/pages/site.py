"""The pages by path, for the server and for the export."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from html import escape, unescape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from fake_github.diffs import diff_files
from fake_github.objects import Comment, Issue, Platform, PullRequest, Repository, TimelineEvent
from fake_github.pages.rendering import render

# The conversation of an issue: comments, and what happened in one sentence each.


@dataclass(frozen=True, slots=True)
class Entry:
    """Either a comment or review with `body` (Markdown), or a happening with `sentence` (plain text)."""

    anchor: str
    actor: str
    at: str
    sentence: str
    body: str | None = None
    edited: bool = False


def entries(issue: Issue) -> list[Entry]:
    return [_entry(event) for event in issue.timeline]


def _entry(event: TimelineEvent) -> Entry:
    details = event.details
    if "comment" in details:
        comment: Comment = details["comment"]
        edited = comment.updated_at != comment.created_at
        return Entry(
            f"issuecomment-{comment.id}", comment.author.login, comment.created_at, "commented", comment.body, edited
        )
    if "review" in details:
        review = details["review"]
        sentence = f"reviewed: {review.state.lower().replace('_', ' ')}"
        return Entry(f"pullrequestreview-{review.id}", review.author.login, event.at, sentence, review.body or None)
    return Entry(f"event-{event.id}", event.actor.login, event.at, _sentence(event))


def _sentence(event: TimelineEvent) -> str:
    details = event.details
    if "label" in details:
        return f"{'added' if event.kind == 'labeled' else 'removed'} the label {details['label'].name}"
    if "rename" in details:
        return f"changed the title from “{details['rename']['from']}” to “{details['rename']['to']}”"
    for relation, words in (
        ("source", "mentioned this in"),
        ("sub_issue", "added the sub-issue"),
        ("parent_issue", "added the parent issue"),
        ("blocking_issue", "marked this as blocked by"),
    ):
        if relation in details:
            other: Issue = details[relation]
            return f"{words} {other.repository.full_name}#{other.number}"
    plain = {"convert_to_draft": "marked this as a draft", "ready_for_review": "marked this as ready for review"}
    return plain.get(event.kind, f"{event.kind.replace('_', ' ')} this")


# A unified patch as rows with line numbers.

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Row:
    """`kind` is hunk, add, del, same or note; the numbers are empty where the side has no such line."""

    kind: str
    old: str
    new: str
    text: str


def rows(patch: str | None) -> list[Row]:
    """Rows of a patch that starts with a hunk header; one note for a binary file."""
    if patch is None:
        return [Row("note", "", "", "Binary file, not shown")]
    built: list[Row] = []
    old = new = 0
    for line in patch.split("\n") if patch else ():
        if hunk := _HUNK.match(line):
            old, new = int(hunk[1]), int(hunk[2])
            built.append(Row("hunk", "", "", line))
        elif line.startswith("+"):
            built.append(Row("add", "", str(new), line))
            new += 1
        elif line.startswith("-"):
            built.append(Row("del", str(old), "", line))
            old += 1
        elif line.startswith("\\"):
            built.append(Row("note", "", "", line))
        else:
            built.append(Row("same", str(old), str(new), line))
            old, new = old + 1, new + 1
    return built


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


def _index(github: Platform) -> str:
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


def pages(github: Platform) -> dict[str, Callable[[], str]]:
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
                found[f"/{repository.full_name}/commit/{sha}"] = partial(_commit, repository, sha)
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


def serve_page(github: Platform, request: Request) -> Response:
    with github.lock:
        path, _ = canonical(request.path)
        page = {known.lower(): render_it for known, render_it in pages(github).items()}.get(path.lower())
        html, status = (page(), 200) if page else (_page("missing.html", path=path), 404)
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return Response(html, status, headers, content_type="text/html; charset=utf-8")


# The pages as files: self-contained HTML, links relative, so that a browser opens them from a folder.


# Our templates and the sanitiser write every attribute in double quotes and escape what is inside.
_HREF = re.compile(r' href="([^"]*)"')


def _file(path: str) -> str:
    """Where the page of `path` is written, e.g. `/o/r/pull/1` as `o/r/pull/1.html`."""
    return f"{path.strip('/') or 'index'}.html"


def export_pages(github: Platform, folder: Path) -> list[Path]:
    """Write every page below `folder`; returns the files, `index.html` first. A link to what is not exported becomes
    plain text.
    """
    with github.lock:
        rendered = {path: render() for path, render in pages(github).items()}
    known = {path.lower(): path for path in rendered}
    written = []
    for path, html in rendered.items():
        here = _file(path)
        target = folder / here
        target.parent.mkdir(parents=True, exist_ok=True)
        relative = partial(_relative, here=here, base_url=github.base_url, known=known)
        linked = _HREF.sub(lambda href, to=relative: to(href[1]), html)  # type: ignore[misc]
        target.write_text(linked, encoding="utf-8")
        written.append(target)
    return written


def _relative(href: str, here: str, base_url: str, known: dict[str, str]) -> str:
    address = unescape(href).removeprefix(base_url)
    if not address.startswith("/"):
        return f' href="{href}"'
    parts = urlsplit(address)
    path, section = canonical(unquote(parts.path))
    page = known.get(path.lower())
    if page is None:
        return ""
    relative = quote(os.path.relpath(_file(page), Path(here).parent))
    fragment = parts.fragment or section
    return f' href="{escape(relative + (f"#{fragment}" if fragment else ""))}"'
