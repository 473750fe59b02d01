"""Reviews, threads and failed checks of a pull request, as our nouns."""

from __future__ import annotations

from typing import Any, Final

from ops_agent.adapters.github.client import GitHubHttp, in_repository
from ops_agent.adapters.github.parsing import GHOST, JsonPart
from ops_agent.model.errors import GitHubError, NotFound, NotPermitted
from ops_agent.model.event import Actor, ActorKind
from ops_agent.model.review import FailedCheck, Review, ReviewThread, ThreadComment

_WHO = "author { __typename login ... on User { databaseId } ... on Bot { databaseId } }"
_QUERY = f"""query($owner: String!, $name: String!, $number: Int!, $said: String, $after: String) {{
  repository(owner: $owner, name: $name) {{ pullRequest(number: $number) {{
    reviews(first: 100, after: $said) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ fullDatabaseId {_WHO} state body submittedAt lastEditedAt }}
    }}
    reviewThreads(first: 50, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ isResolved isOutdated path line comments(first: 100) {{
        nodes {{ fullDatabaseId {_WHO} body createdAt lastEditedAt diffHunk }}
      }} }}
    }}
  }} }}
}}"""
_MAX_PAGES: Final = 20
_FAILED: Final = ("failure", "timed_out", "startup_failure", "action_required")
_MAX_CHECKS: Final = 8
_MAX_ANNOTATIONS: Final = 20
_MAX_LOG: Final = 64_000_000
_TAIL: Final = 20_000
_LOG_HOSTS: Final = (".blob.core.windows.net", ".actions.githubusercontent.com")
"""Where github.com keeps the logs of jobs; the address comes from its API, and no token is sent there."""


def discussion(http: GitHubHttp, repository: str, number: int) -> tuple[tuple[Review, ...], tuple[ReviewThread, ...]]:
    """All reviews and threads: one query for each 100 and each 50 of them. Raises GitHubError for more than 20 pages:
    part of what was said is not taken for the whole.
    """
    owner, _, name = repository.partition("/")
    doing = f"reading the reviews of {repository}#{number}"
    reviews, threads = dict[int, Review](), dict[int, ReviewThread]()
    cursors: dict[str, str | None] = {"said": None, "after": None}

    def read(data: dict[str, Any]) -> bool:
        pull, more = JsonPart(data).part("repository").part("pullRequest"), False
        for connection, cursor in (("reviews", "said"), ("reviewThreads", "after")):
            pages = pull.part(connection).part("pageInfo")
            cursors[cursor] = pages.maybe("endCursor", str) or cursors[cursor]
            more = more or pages.need("hasNextPage", bool)
        found = map(_review, (one for one in pull.part("reviews").need("nodes", list) if one.get("submittedAt")))
        reviews.update({review.id: review for review in found})
        waiting = map(_thread, pull.part("reviewThreads").need("nodes", list))
        threads.update({thread.id: thread for thread in waiting if thread is not None})
        return more

    for _ in range(_MAX_PAGES):
        if not http.graphql(_QUERY, doing, read, owner=owner, name=name, number=number, **cursors):
            return tuple(reviews.values()), tuple(threads.values())
    raise GitHubError(f"GitHub has more than {_MAX_PAGES} pages while {doing}.")


def _author(part: JsonPart) -> Actor:
    """GraphQL leaves out the `[bot]` of a bot's login."""
    if part.maybe("author", dict) is None:
        return GHOST
    author = part.part("author")
    is_user = author.text("__typename") == "User"
    login = author.text("login")
    kind = ActorKind.USER if is_user else ActorKind.BOT
    return Actor(login=login if is_user else f"{login}[bot]", id=author.maybe("databaseId", int) or 0, kind=kind)


def _review(found: Any) -> Review:
    part = JsonPart(found)
    return Review(
        id=int(part.text("fullDatabaseId")),
        author=_author(part),
        verdict=part.text("state"),
        body=part.maybe("body", str) or "",
        at=part.text("submittedAt"),
        edited_at=part.maybe("lastEditedAt", str) or "",
    )


def _thread(found: Any) -> ReviewThread | None:
    part = JsonPart(found)
    comments = [JsonPart(one) for one in part.part("comments").need("nodes", list)]
    if not comments:
        return None
    return ReviewThread(
        id=int(comments[0].text("fullDatabaseId")),
        path=part.text("path"),
        line=part.maybe("line", int) or 0,
        hunk=comments[0].maybe("diffHunk", str) or "",
        is_resolved=part.need("isResolved", bool),
        is_outdated=part.need("isOutdated", bool),
        comments=tuple(
            ThreadComment(
                id=int(one.text("fullDatabaseId")),
                author=_author(one),
                body=one.maybe("body", str) or "",
                at=one.text("createdAt"),
                edited_at=one.maybe("lastEditedAt", str) or "",
            )
            for one in comments
        ),
    )


def failed_checks(http: GitHubHttp, repository: str, commit: str) -> tuple[FailedCheck, ...]:
    """At most eight, each with up to 20 annotations and, of a job of Actions, the end of its log."""
    doing = f"reading the checks of {commit[:12]} in {repository}"
    path = in_repository(repository, f"/commits/{commit}/check-runs")
    runs = http.items(path, doing, JsonPart, key="check_runs", status="completed")
    failed = [run for run in runs if run.maybe("conclusion", str) in _FAILED]
    return tuple(_failed(http, repository, run) for run in failed[:_MAX_CHECKS])


def _failed(http: GitHubHttp, repository: str, run: JsonPart) -> FailedCheck:
    number, output = run.number(), run.part("output")
    annotations = list[str]()
    if output.maybe("annotations_count", int):
        path = in_repository(repository, f"/check-runs/{number}/annotations")
        doing = f"reading the annotations of {run.text('name')} in {repository}"
        annotations = http.get(
            path, doing, lambda found: [_annotation(one) for one in found], per_page=_MAX_ANNOTATIONS
        )
    is_job = run.maybe("app", dict) is not None and run.part("app").maybe("slug", str) == "github-actions"
    return FailedCheck(
        name=run.text("name"),
        conclusion=run.text("conclusion"),
        title=output.maybe("title", str) or "",
        summary=output.maybe("summary", str) or "",
        annotations=tuple(annotations),
        log=_end_of_log(http, repository, number) if is_job else "",
        at=run.maybe("completed_at", str) or "",
    )


def _annotation(found: Any) -> str:
    part = JsonPart(found)
    return f"{part.text('path')}:{part.need('start_line', int)}: {part.maybe('message', str) or ''}"


def _end_of_log(http: GitHubHttp, repository: str, job: int) -> str:
    """The last 20,000 bytes; empty when the token may not read logs, or the log is gone or endless."""
    doing = f"reading the log of job {job} in {repository}"
    tail, size = b"", 0
    try:
        url = http.redirect(in_repository(repository, f"/actions/jobs/{job}/logs"), doing)
        with http.download(url, doing, hosts=_LOG_HOSTS) as answer:
            for chunk in answer.iter_content(65_536):
                tail, size = (tail + chunk)[-_TAIL:], size + len(chunk)
                if size > _MAX_LOG:
                    return ""
    except (NotFound, NotPermitted, GitHubError, OSError):
        return ""
    return tail.decode(errors="replace")
