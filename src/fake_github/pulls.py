"""Pull requests: an issue with two branches, a diff, reviews and a merge."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_github.accounts import Account
from fake_github.diffs import FileDiff, diff_files
from fake_github.git_objects import Signature
from fake_github.issues import Issue
from fake_github.refusals import check_issue_text, custom, invalid

if TYPE_CHECKING:
    from fake_github.repositories import Repository

# GitHub reads these keywords in the description of a pull request to the default branch, and in commit messages when
# they get there.
_CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:(?P<repository>[\w.-]+/[\w.-]+)?#|\S+?//[^/\s]+/(?P<linked>[\w.-]+/[\w.-]+)/issues/)(?P<number>\d+)\b",
    re.IGNORECASE,
)


def closing_references(text: str, own_repository: str) -> list[tuple[str, int]]:
    """(repository, number) of each closing keyword in `text`, in order, without repetition."""
    found = ((m["repository"] or m["linked"] or own_repository, int(m["number"])) for m in _CLOSING.finditer(text))
    return list(dict.fromkeys(found))


@dataclass(slots=True, eq=False)
class Review:
    """`state` is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""

    id: int
    author: Account
    state: str
    body: str
    commit: str
    at: str


class PullRequest(Issue):
    is_pull_request = True

    def __init__(
        self,
        repository: Repository,
        number: int,
        title: str,
        body: str,
        author: Account,
        *,
        head: str,
        base: str,
        draft: bool,
    ) -> None:
        super().__init__(repository, number, title, body, author)
        self.pull_id = self.github.next_id()
        self.head = head
        self.base = base
        self.draft = draft
        self.merged_at: str | None = None
        self.merged_by: Account | None = None
        self.merge_commit: str | None = None
        self.reviews: list[Review] = []
        self._head_when_gone = self._base_when_gone = ""

    @property
    def merged(self) -> bool:
        return self.merged_at is not None

    @property
    def head_commit(self) -> str:
        """Where the head branch stands; where it stood when the pull request was merged or the branch deleted."""
        if not self.merged and self.head in self.repository.branches:
            self._head_when_gone = self.repository.branches[self.head]
        return self._head_when_gone

    @property
    def base_commit(self) -> str:
        if not self.merged and self.base in self.repository.branches:
            self._base_when_gone = self.repository.branches[self.base]
        return self._base_when_gone

    @property
    def commits(self) -> list[str]:
        return self.repository.store.ahead(self.base_commit, self.head_commit)

    @property
    def files(self) -> list[FileDiff]:
        """What the pull request changes, against the merge base as GitHub shows it."""
        store = self.repository.store
        base = store.merge_base(self.base_commit, self.head_commit)
        return diff_files(store, base, self.head_commit)

    @property
    def closes(self) -> list[Issue]:
        """Issues that a merge will close: none unless the base is the default branch."""
        if self.base != self.repository.default_branch:
            return []
        from fake_github.markdown import plain_text  # the parser's import is half of the server's start

        found = []
        for full_name, number in closing_references(plain_text(self.body), self.repository.full_name):
            repository = self.github.repositories.get(full_name.lower())
            issue = repository.issues.get(number) if repository else None
            if issue is not None and not issue.is_pull_request:
                found.append(issue)
        return found

    def set_draft(self, draft: bool, *, by: Account | str) -> None:
        with self.github.lock:
            if draft != self.draft:
                self.draft = draft
                self.record("convert_to_draft" if draft else "ready_for_review", by)

    def review(self, verdict: str, body: str = "", *, by: Account | str) -> Review:
        with self.github.lock:
            author, at = self.github.account(by), self.github.now()
            review = Review(self.github.next_id(), author, verdict, body, self.head_commit, at)
            self.reviews.append(review)
            self.record("reviewed", author, review=review)
            return review

    def merge(self, *, by: Account | str) -> str:
        """A merge commit on the base branch; closes what the keywords name. Returns the commit."""
        with self.github.lock:
            repository, store, actor = self.repository, self.repository.store, self.github.account(by)
            base, head, issues = self.base_commit, self.head_commit, self.closes
            merged = {**store.files(base)}
            for change in self.files:
                merged.pop(change.path, None)
                if change.after is not None:
                    merged[change.path] = change.after
            signature = Signature(actor.login, f"{actor.login}@users.noreply.github.com", int(self.github.clock()))
            message = f"Merge pull request #{self.number} from {repository.owner.login}/{self.head}\n\n{self.title}"
            commit = store.put_commit(
                store.put_tree(merged), (base, head), message, signature, signature, verified=True
            )
            repository.branches[self.base] = commit
            self.merge_commit, self.merged_by, self.merged_at = commit, actor, self.github.now()
            self.record("merged", actor, commit=commit)
            self.close(by=actor)
            for issue in issues:
                issue.close(by=actor)
            return commit


def open_pull_request(
    repository: Repository, *, head: str, base: str, title: str, body: str, by: Account | str, draft: bool
) -> PullRequest:
    """Open one as GitHub does, with its refusals: unknown branch, one is open already, no commits between them."""
    github = repository.github
    with github.lock:
        check_issue_text(title, body)
        for field, branch in (("head", head), ("base", base)):
            if branch not in repository.branches:
                raise invalid("PullRequest", field)
        if any(p.head == head and p.base == base and p.state == "open" for p in repository.pull_requests):
            raise custom("PullRequest", f"A pull request already exists for {repository.owner.login}:{head}.")
        if not repository.store.ahead(repository.branches[base], repository.branches[head]):
            raise custom("PullRequest", f"No commits between {base} and {head}")
        author = github.account(by)
        pull = PullRequest(repository, repository.next_number(), title, body, author, head=head, base=base, draft=draft)
        repository.issues[pull.number] = pull
        for issue in pull.closes:
            issue.record("cross-referenced", author, source=pull)
        return pull
