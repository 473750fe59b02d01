"""What writers ask for on our open pull request: decisions only, over what `run/claim.py` read.

An approval covers words as they were when it was given, on a review as on an issue: what was written or edited since
waits for the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ops_agent.issue.claims import epoch
from ops_agent.model.event import Actor
from ops_agent.model.review import Review, ReviewRound, ReviewThread, ThreadComment

ASKING = ("CHANGES_REQUESTED", "COMMENTED")
"""Verdicts that ask for something; an approval asks for nothing."""


def said_by(reviews: Iterable[Review], threads: Iterable[ReviewThread]) -> tuple[Actor, ...]:
    """Everybody who reviewed or commented."""
    return (*(one.author for one in reviews), *(c.author for thread in threads for c in thread.comments))


def asked_for(
    reviews: Iterable[Review],
    threads: Iterable[ReviewThread],
    *,
    writers: frozenset[int],
    ours: int,
    since: float,
    before: str,
) -> ReviewRound:
    """The round that an approval at `before` (ISO 8601) starts: reviews of `writers` since the last publication
    (`since`, epoch seconds), and unresolved threads in which one of them had the last word. Words of `ours`, the
    account that publishes, ask for nothing.
    """
    limit, left_out = datetime.fromisoformat(before), 0

    def counts(one: Review | ThreadComment) -> bool:
        nonlocal left_out
        if one.author.id not in writers or one.author.id == ours or datetime.fromisoformat(one.at) >= limit:
            return False
        is_as_approved = not one.edited_at or datetime.fromisoformat(one.edited_at) < limit
        left_out += not is_as_approved
        return is_as_approved

    asking = tuple(
        review
        for review in reviews
        if review.verdict in ASKING and review.body.strip() and epoch(review.at) >= since and counts(review)
    )
    waiting = list[ReviewThread]()
    for thread in threads:
        kept = tuple(c for c in thread.comments if c.author.id == ours or counts(c)) if not thread.is_resolved else ()
        if kept and kept[-1].author.id != ours:
            waiting.append(replace(thread, comments=kept))
    return ReviewRound(number=0, head="", reviews=asking, threads=tuple(waiting), left_out=left_out)


def asks(found: ReviewRound) -> bool:
    """Whether there is something to do."""
    return bool(found.reviews or found.threads)
