"""What an approval covers of the words on our pull request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import MARIA
from ops_agent.issue.claims import epoch
from ops_agent.issue.rounds import asked_for, asks
from ops_agent.model.event import Actor, ActorKind
from ops_agent.model.review import Review, ReviewRound, ReviewThread, ThreadComment

US = Actor(login="ops-agent[bot]", id=900, kind=ActorKind.BOT)
JOAO = Actor(login="joao", id=102, kind=ActorKind.USER)
EARLY, BEFORE, LABEL, AFTER = (f"2026-11-20T{hour:02}:00:00Z" for hour in (8, 9, 10, 11))
REVIEW = Review(id=1, author=MARIA, verdict="CHANGES_REQUESTED", body="More.", at=BEFORE)
SAID = ThreadComment(id=7, author=MARIA, body="Rename it.", at=BEFORE)


def thread(*comments: ThreadComment, is_resolved: bool = False) -> ReviewThread:
    return ReviewThread(
        id=7, path="a.tf", line=1, hunk="+x", is_resolved=is_resolved, is_outdated=False, comments=comments
    )


def found(*said: Review | ReviewThread, since: str = EARLY) -> ReviewRound:
    return asked_for(
        [one for one in said if isinstance(one, Review)],
        [one for one in said if isinstance(one, ReviewThread)],
        writers=frozenset({MARIA.id}),
        ours=US.id,
        since=epoch(since),
        before=LABEL,
    )


@pytest.mark.parametrize(
    ("review", "counts"),
    [
        (REVIEW, True),
        (replace(REVIEW, verdict="COMMENTED"), True),
        (replace(REVIEW, verdict="APPROVED"), False),
        (replace(REVIEW, verdict="DISMISSED"), False),
        (replace(REVIEW, body="  "), False),
        (replace(REVIEW, author=JOAO), False),
        (replace(REVIEW, at=LABEL), False),
        (replace(REVIEW, at=AFTER), False),
        (replace(REVIEW, edited_at=BEFORE), True),
        (replace(REVIEW, edited_at=AFTER), False),
    ],
)
def test_a_review_counts_when_a_writer_asked_before_the_approval(review: Review, counts: bool) -> None:
    assert asks(found(review)) is counts


def test_a_review_from_before_the_last_publication_was_heard_then() -> None:
    assert not asks(found(REVIEW, since=LABEL)) and asks(found(REVIEW, since=BEFORE))


def test_a_thread_waits_when_a_writer_had_the_last_word_that_counts() -> None:
    ours = replace(SAID, id=8, author=US, body="Done.")
    later = replace(SAID, id=9, body="Not yet.")
    assert asks(found(thread(SAID))) and not asks(found(thread(SAID, is_resolved=True)))
    assert not asks(found(thread(SAID, ours))) and asks(found(thread(SAID, ours, later)))
    assert not asks(found(thread(SAID, ours, replace(later, at=AFTER)))), "waits for the next approval"
    (kept,) = found(thread(replace(SAID, author=JOAO), later)).threads
    assert kept.comments == (later,), "a reader's words are left out of a writer's thread"


def test_what_was_edited_since_is_counted_and_left_out() -> None:
    edited = found(replace(REVIEW, edited_at=AFTER), thread(replace(SAID, edited_at=LABEL)))
    assert (edited.left_out, asks(edited)) == (2, False)
