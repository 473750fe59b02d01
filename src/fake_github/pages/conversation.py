"""The conversation of an issue: comments, and what happened in one sentence each."""

from __future__ import annotations

from dataclasses import dataclass

from fake_github.issues import Comment, Issue, TimelineEvent


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
