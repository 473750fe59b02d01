"""ports.PullRequests. Nothing here merges, approves or reopens."""

from __future__ import annotations

from ops_agent.adapters.github import parsing
from ops_agent.adapters.github.client import GitHubHttp, Refused, repository_path
from ops_agent.model.ports import Review
from ops_agent.model.proposal import PullRequest


class GitHubPullRequests:
    """ports.PullRequests."""

    def __init__(self, http: GitHubHttp) -> None:
        self._http = http

    def of_branch(self, repository: str, branch: str) -> tuple[PullRequest, ...]:
        owner = repository.split("/")[0]
        return self._pull_requests(repository, branch, exact=True, state="all", head=f"{owner}:{branch}")

    def open_with_prefix(self, repository: str, branch_prefix: str) -> tuple[PullRequest, ...]:
        return self._pull_requests(repository, branch_prefix, exact=False, state="open")

    def _pull_requests(self, repository: str, branch: str, *, exact: bool, **asked: str) -> tuple[PullRequest, ...]:
        """A fork, deleted or not, can have a branch of the same name, and GitHub ignores a `head` that it cannot read:
        filtered here.
        """
        doing = f"listing the pull requests of {branch} in {repository}"
        url = f"/repos/{repository_path(repository)}/pulls"
        found = list(self._http.pages(url, doing, sort="created", direction="desc", **asked))

        def read() -> tuple[PullRequest, ...]:
            ours = [p for p in found if parsing.head_repository(p) == repository.lower()]
            read = [parsing.pull_request(p) for p in ours]
            return tuple(p for p in read if (p.head_branch == branch if exact else p.head_branch.startswith(branch)))

        return self._http.reading(doing, read)

    def files(self, repository: str, number: int) -> tuple[str, ...]:
        """Both names of a renamed file. GitHub lists at most 3,000 files."""
        doing = f"listing the files of {repository}#{number}"
        found = list(self._http.pages(f"/repos/{repository_path(repository)}/pulls/{number}/files", doing))
        names = [str(f[key]) for f in found for key in ("filename", "previous_filename") if f.get(key)]
        return tuple(dict.fromkeys(names))

    def reviews(self, repository: str, number: int) -> tuple[Review, ...]:
        doing = f"reading the reviews of {repository}#{number}"
        found = list(self._http.pages(f"/repos/{repository_path(repository)}/pulls/{number}/reviews", doing))
        return self._http.reading(doing, lambda: tuple(map(parsing.review, found)))

    def create(self, repository: str, head: str, base: str, title: str, body: str, draft: bool) -> PullRequest:
        """GitHub allows one open pull request for a head and a base; one that exists already (a lost answer, a rival)
        is returned.

        Where the plan of the account knows no drafts, the pull request is made ready; the caller sees it in `draft`.
        """
        doing = f"creating the pull request of {head} in {repository}"
        url = f"/repos/{repository_path(repository)}/pulls"
        wanted = {
            "title": title,
            "head": head,
            "base": base,
            "body": body,
            "draft": draft,
            "maintainer_can_modify": True,
        }

        def look() -> PullRequest | None:
            found = [p for p in self.of_branch(repository, head) if p.is_open and p.base_branch == base]
            return found[0] if found else None

        def create() -> PullRequest:
            try:
                found = self._http.requestJsonAndCheck("POST", url, input=wanted)[1]
            except Refused as refused:
                words = refused.words.lower() if refused.status == 422 else ""
                if (
                    "draft pull requests are not supported" in words and wanted["draft"]
                ):  # private repositories of some plans
                    wanted["draft"] = False
                    return create()
                existing = look() if "already exists" in words else None
                if existing is None:
                    raise
                return existing
            return self._http.reading(doing, lambda: parsing.pull_request(found))

        return self._http.ensure(doing, create, look)

    def update(self, repository: str, number: int, title: str, body: str) -> PullRequest:
        doing = f"updating the pull request {repository}#{number}"
        found = self._http.rest(
            "PATCH", f"/repos/{repository_path(repository)}/pulls/{number}", doing, {"title": title, "body": body}
        )
        return self._http.reading(doing, lambda: parsing.pull_request(found))

    def set_draft(self, pull_request: PullRequest, draft: bool) -> None:
        mutation = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        doing = f"setting the pull request #{pull_request.number} to {'draft' if draft else 'ready'}"

        def create() -> bool:
            self._http.graphql_named_mutation(
                mutation, {"pullRequestId": pull_request.node_id}, "pullRequest { isDraft }"
            )
            return True

        def look() -> bool | None:
            query = "query($id: ID!) { node(id: $id) { ... on PullRequest { isDraft } } }"
            found = self._http.graphql(query, doing, id=pull_request.node_id).get("node") or {}
            return True if found.get("isDraft") is draft else None

        self._http.ensure(doing, create, look)
