"""The machine-readable first line of our comment on an issue, and the last line of our pull request's body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from ops_agent.domain.event import Comment

T = TypeVar("T")
_CLAIM = re.compile(r"\A<!-- ops-agent:claim (\{[^\n]{1,4000}\}) -->")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PULL_REQUEST = re.compile(r"<!-- ops-agent:pull-request (\{[^\n]{1,4000}\}) -->\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """Who works on an item. `key` and `content` as in WorkItem; `after` is the comment that this one replaces (0: none).

    `repository`, `run_id` and `attempt` name the workflow run; `state` is a Phase; `base` the commit that `branch` was made from.
    """

    key: str
    content: str
    repository: str
    run_id: int
    attempt: int
    state: str
    branch: str
    base: str
    after: int = 0

    @property
    def line(self) -> str:
        return f"<!-- ops-agent:claim {_packed(self)} -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenClaim:
    """A claim comment of ours as it was found. `updated_at` is GitHub's time, in epoch seconds."""

    comment_id: int
    record: ClaimRecord
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestRecord:
    """What a pull request of ours was made of. `at` is when it was last published (epoch seconds), `labels` those that it is to carry."""

    issue: str
    key: str
    content: str
    base: str
    changes: str
    at: int
    labels: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"<!-- ops-agent:pull-request {_packed(self)} -->"


def claims_among(comments: Iterable[Comment], author_id: int) -> tuple[SeenClaim, ...]:
    """Our claim comments, oldest first. A comment of another author is never one, whatever it says (J08)."""
    seen = []
    for comment in comments:
        record = _unpacked(ClaimRecord, _CLAIM.search(comment.body)) if comment.author.id == author_id else None
        if record is not None:
            seen.append(SeenClaim(comment_id=comment.id, record=record, updated_at=epoch(comment.updated_at)))
    return tuple(sorted(seen, key=lambda claim: claim.comment_id))


def pull_request_record(body: str) -> PullRequestRecord | None:
    """The record at the end of a pull request's body; None when a person wrote or cut the body."""
    return _unpacked(PullRequestRecord, _PULL_REQUEST.search(body))


def holder(claims: Iterable[SeenClaim]) -> SeenClaim | None:
    """Who has the item: the lowest comment id among those that replace the same predecessor, followed to the last successor.

    GitHub gives ids in the order of creation, so whoever lists after writing sees every comment that is lower than its own: of any
    number of simultaneous takers exactly one finds itself here.
    """
    claims = sorted(claims, key=lambda claim: claim.comment_id)
    present = {claim.comment_id for claim in claims}
    current = next((claim for claim in claims if claim.record.after not in present), None)
    while current is not None:
        heir = next((c for c in claims if c.record.after == current.comment_id and c.comment_id > current.comment_id), None)
        if heir is None:
            break
        current = heir
    return current


def epoch(iso: str) -> float:
    """Epoch seconds of an ISO 8601 time of GitHub's; 0 when it is not one."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _packed(record: ClaimRecord | PullRequestRecord) -> str:
    """JSON that cannot end an HTML comment."""
    return json.dumps(asdict(record), separators=(",", ":")).replace(">", "\\u003e")


def _unpacked(kind: type[T], found: re.Match[str] | None) -> T | None:
    """The record, only when every field has its type and `base` is the name of a commit."""
    try:
        raw: Any = json.loads(found[1]) if found else None
    except (ValueError, RecursionError):
        return None
    known = {f.name: f.type for f in fields(kind)}  # type: ignore[arg-type]  # both kinds are dataclasses
    if not isinstance(raw, dict) or not set(raw) <= set(known):
        return None
    if not _COMMIT.fullmatch(str(raw.get("base"))):
        return None
    for name, value in raw.items():
        if known[name] == "int" and (not isinstance(value, int) or isinstance(value, bool)):
            return None
        if known[name] == "str" and not isinstance(value, str):
            return None
        if known[name] == "tuple[str, ...]":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                return None
            raw[name] = tuple(value)
    try:
        return kind(**raw)
    except TypeError:
        return None
