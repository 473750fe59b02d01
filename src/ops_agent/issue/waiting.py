"""An approval that waits. Who labels or dispatches an item that another issue still blocks has approved its text; what
was approved is kept in our comment on it, until the last blocker is closed.

A record is no right by itself: the label must still be on the issue, by a person who still may write, and the text must
be the approved one. The record of a dispatch, which no timeline shows, counts only for a card in Ready.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from ops_agent.model.event import Comment
from ops_agent.model.work_item import Approval

_OURS = "<!-- ops-agent:"
_RECORD = re.compile(r"(?m)^<!-- ops-agent:waiting (\{[^\n]{1,2000}\}) -->$")


def waiting_line(approval: Approval) -> str:
    """The record, as an HTML comment that it cannot end."""
    packed = json.dumps(asdict(approval), separators=(",", ":")).replace(">", "\\u003e")
    return f"<!-- ops-agent:waiting {packed} -->"


def kept_approval(comments: Iterable[Comment], author_id: int) -> Approval | None:
    """The newest record in a comment of ours; None when there is none, or it is not whole."""
    kept: Approval | None = None
    for comment in comments:
        ours = comment.author.id == author_id and comment.body.startswith(_OURS)
        found = _RECORD.search(comment.body) if ours else None
        if found is not None:
            try:
                kept = TypeAdapter(Approval).validate_json(found[1], strict=True, extra="forbid")
            except ValidationError:
                continue
    return kept
