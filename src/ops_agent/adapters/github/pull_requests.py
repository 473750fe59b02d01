"""ports.PullRequests. Nothing here merges, approves or reopens."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from ops_agent.adapters.github.client import GitHubHttp, in_repository
from ops_agent.adapters.github.failures import HEAD_UNSEEN, Failure, FailureKind, RequestFailed
from ops_agent.adapters.github.parsing import JsonPart
from ops_agent.adapters.github.reviews import discussion, failed_checks
from ops_agent.model.event import PullRequest
from ops_agent.model.ports import CheckReport
from ops_agent.model.review import FailedCheck, Review, ReviewThread


class GitHubPullRequests:
    """ports.PullRequests."""

    def __init__(self, http: GitHubHttp) -> None:
        self._http = http

    def pull_request(self, repository: str, number: int) -> PullRequest:
        path = in_repository(repository, f"/pulls/{number}")
        return self._http.get(path, f"reading the pull request {repository}#{number}", _pull_request)

    def of_branch(self, repository: str, branch: str) -> tuple[PullRequest, ...]:
        found = self._of_repository(repository, branch, state="all", head=f"{repository.split('/')[0]}:{branch}")
        return tuple(p for p in found if p.head_branch == branch)

    def open_with_prefix(self, repository: str, branch_prefix: str) -> tuple[PullRequest, ...]:
        found = self._of_repository(repository, branch_prefix, state="open")
        return tuple(p for p in found if p.head_branch.startswith(branch_prefix))

    def _of_repository(self, repository: str, branch: str, **asked: str) -> tuple[PullRequest, ...]:
        """Without forks, which can have a branch of the same name, and whatever `head` GitHub could not read."""
        found = self._http.items(
            in_repository(repository, "/pulls"),
            f"listing the pull requests of {branch} in {repository}",
            lambda p: _pull_request(p) if _head_repository(p) == repository.lower() else None,
            sort="created",
            direction="desc",
            **asked,
        )
        return tuple(p for p in found if p is not None)

    def files(self, repository: str, number: int) -> tuple[str, ...]:
        """Both names of a renamed file. GitHub lists at most 3,000 files."""
        found = self._http.items(
            in_repository(repository, f"/pulls/{number}/files"),
            f"listing the files of {repository}#{number}",
            lambda f: [str(f[key]) for key in ("filename", "previous_filename") if f.get(key)],
        )
        return tuple(dict.fromkeys(name for names in found for name in names))

    def discussion(self, repository: str, number: int) -> tuple[tuple[Review, ...], tuple[ReviewThread, ...]]:
        return discussion(self._http, repository, number)

    def failed_checks(self, repository: str, commit: str) -> tuple[FailedCheck, ...]:
        return failed_checks(self._http, repository, commit)

    def reply(self, repository: str, number: int, thread: int, body: str) -> None:
        """A reply of ours that begins with the same line is not repeated."""
        path = in_repository(repository, f"/pulls/{number}/comments/{thread}/replies")
        mark = body.partition("\n")[0]

        def look() -> bool | None:
            _, threads = self.discussion(repository, number)
            bodies = (c.body for t in threads if t.id == thread for c in t.comments)
            return True if any(text.startswith(mark) for text in bodies) else None

        def create() -> bool:
            self._http.post(path, {"body": body})
            return True

        self._http.ensure(f"replying in {repository}#{number}", create, look)

    def create(self, repository: str, head: str, base: str, title: str, body: str, draft: bool) -> PullRequest:
        """GitHub allows one open pull request for a head and a base; one that exists (a lost answer) is returned.

        Where the plan of the account knows no drafts, the pull request is made ready; the caller sees it in `draft`.
        Raises Conflict when GitHub does not see the commit of `head` in time, NotPermitted, GitHubError.
        """
        wanted = {"title": title, "head": head, "base": base, "body": body, "draft": draft}
        wanted["maintainer_can_modify"] = True

        def look() -> PullRequest | None:
            found = (p for p in self.of_branch(repository, head) if p.is_open and p.base_branch == base)
            return next(found, None)

        def create() -> PullRequest:
            try:
                return _pull_request(self._http.post(in_repository(repository, "/pulls"), wanted))
            except RequestFailed as refused:
                words = refused.words.lower() if refused.status == 422 else ""
                if "already exists" in words and (existing := look()) is not None:
                    return existing
                if HEAD_UNSEEN in words:  # for some seconds after the commit
                    refused.failure = Failure(kind=FailureKind.SERVER, wait=2.0)
                    raise
                if "draft pull requests are not supported" not in words or not wanted["draft"]:
                    raise
            wanted["draft"] = False  # a private repository of some plans
            return create()

        return self._http.ensure(f"creating the pull request of {head} in {repository}", create, look)

    def update(self, repository: str, number: int, title: str, body: str) -> PullRequest:
        path, doing = in_repository(repository, f"/pulls/{number}"), f"updating the pull request {repository}#{number}"
        sent = {"title": title, "body": body}
        updated: PullRequest = self._http.write("PATCH", path, doing, sent, _pull_request)
        return updated

    def set_draft(self, pull_request: PullRequest, draft: bool) -> None:
        mutation = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        doing = f"setting the pull request #{pull_request.number} to {'draft' if draft else 'ready'}"
        given = {"pullRequestId": pull_request.node_id}

        def create() -> bool:
            self._http.mutate(mutation, given, "pullRequest { isDraft }")
            return True

        def look() -> bool | None:
            query = "query($id: ID!) { node(id: $id) { ... on PullRequest { isDraft } } }"
            return self._http.graphql(
                query, doing, lambda data: True if data["node"]["isDraft"] is draft else None, id=pull_request.node_id
            )

        self._http.ensure(doing, create, look)

    def report_check(self, repository: str, commit: str, check: CheckReport) -> None:
        """The newest of a name counts. One that says the same already is not repeated."""
        doing = f"reporting the check {check.name} of {commit[:12]} in {repository}"
        digest = hashlib.sha256("\x00".join(asdict(check).values()).encode()).hexdigest()[:40]
        wanted = {
            "name": check.name,
            "head_sha": commit,
            "status": "completed",
            "conclusion": check.conclusion,
            "external_id": digest,
            "output": {"title": check.title, "summary": check.summary},
            **({"details_url": check.url} if check.url else {}),
        }

        def look() -> bool | None:
            path = in_repository(repository, f"/commits/{commit}/check-runs")
            found = self._http.items(path, doing, _said, key="check_runs", check_name=check.name)
            return True if (digest, check.conclusion) in found else None

        def create() -> bool:
            self._http.post(in_repository(repository, "/check-runs"), wanted)
            return True

        if not look():
            self._http.ensure(doing, create, look)


def _pull_request(found: Any) -> PullRequest:
    part = JsonPart(found)
    head = part.part("head")
    return PullRequest(
        number=part.number("number"),
        node_id=part.text("node_id"),
        url=part.text("html_url"),
        title=part.text("title"),
        body=part.maybe("body", str) or "",
        head_branch=head.text("ref"),
        head_commit=head.text("sha"),
        base_branch=part.part("base").text("ref"),
        is_open=part.text("state") == "open",
        merged=part.maybe("merged_at", str) is not None,
        draft=bool(part.maybe("draft", bool)),
        labels=part.labels(),
        author=part.actor("user"),
        head_repository=_head_repository(found),
        merge_commit=part.maybe("merge_commit_sha", str) or "",
    )


def _said(run: Any) -> tuple[Any, Any]:
    """Others can imitate a name and an id: then it must at least say the same."""
    return run.get("external_id"), run.get("conclusion")


def _head_repository(found: Any) -> str:
    """`owner/name` of a pull request's head, lower case; empty when that repository was deleted."""
    head = JsonPart(found).part("head")
    return head.part("repo").text("full_name").lower() if head.maybe("repo", dict) else ""
