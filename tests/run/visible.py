"""Everything that people can see on GitHub of an issue and its repository, without ids of runs, times and names of
commits.
"""

from __future__ import annotations

import re
from typing import Any

from fake_github.objects import Issue

_VARYING = (
    r"\[run \d+, attempt \d+\]\([^)]*\)|127\.0\.0\.1:\d+|orders-\d+|/(pull|issues)/\d+|#1\d+|(actions/)?runs?/?\s?\d+"
    r"|\b[0-9a-f]{7,64}\b|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
)


def seen_by_people(issue: Issue, column: str | None) -> dict[str, Any]:
    """`column`: where the issue's card is."""
    repository = issue.repository
    branches = {name: head for name, head in repository.branches.items() if name != "main"}
    return {
        "branches": {name: repository.files(name) for name in branches},
        "commits": {name: len(repository.store.ahead(repository.head(), head)) for name, head in branches.items()},
        "pulls": [
            (p.title, _plain(p.body), p.draft, p.state, sorted(p.label_names), p.head, p.base)
            for p in repository.pull_requests
        ],
        "comments": [_plain(c.body) for c in issue.comments],
        "comments on pulls": [[_plain(c.body) for c in p.comments] for p in repository.pull_requests],
        "labels": sorted(issue.label_names),
        "column": column,
        "state": issue.state,
        "main": repository.files(),
    }


def _plain(text: str) -> str:
    return re.sub(_VARYING, "", re.sub(r'"(key|at|run_id|attempt|after|base|changes)":("[^"]*"|\d+)', r'"\1":0', text))
