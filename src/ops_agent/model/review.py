"""What people and checks say about our pull request, and what a review round is asked to do with it."""

from __future__ import annotations

from dataclasses import dataclass

from ops_agent.model.event import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review. `verdict` is APPROVED, CHANGES_REQUESTED, COMMENTED, ...; times are ISO 8601 UTC; `edited_at` is empty
    when its text never was.
    """

    id: int
    author: Actor
    verdict: str
    body: str
    at: str
    edited_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadComment:
    """One comment in a thread; times as in Review."""

    id: int
    author: Actor
    body: str
    at: str
    edited_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewThread:
    """What people said about one line of the diff. `id` is that of its first comment, which replies name.

    `line` 0: the line is gone, or the comment is about the file. `hunk` is the diff up to it. `is_outdated`: the line
    has changed since.
    """

    id: int
    path: str
    line: int
    hunk: str
    is_resolved: bool
    is_outdated: bool
    comments: tuple[ThreadComment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCheck:
    """A check run that failed on a commit. `annotations` are `path:line: message`; `log` is the end of the job's log,
    empty when it could not be read. All of it is text from whatever the job ran.
    """

    name: str
    conclusion: str
    title: str
    summary: str
    annotations: tuple[str, ...]
    log: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRound:
    """Work on a pull request of ours that is open: what writers asked for before the approval, raw.

    `number` counts from 1. `threads` wait for an answer, with the comments that count. `left_out` counts what was
    edited after the approval. `head` is the commit that people reviewed.
    """

    number: int
    head: str
    reviews: tuple[Review, ...] = ()
    threads: tuple[ReviewThread, ...] = ()
    left_out: int = 0

    @property
    def asked_by(self) -> tuple[str, ...]:
        """Logins of the writers, once each."""
        said = [one.author.login for one in self.reviews]
        said += [comment.author.login for thread in self.threads for comment in thread.comments[-1:]]
        return tuple(dict.fromkeys(said))
