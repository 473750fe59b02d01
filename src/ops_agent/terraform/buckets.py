"""Names of S3 buckets that a repository and its state use already: the only ones that a plan of a change may reach.

Every bucket in the region has a host name of its own, so a stranger's bucket would be a way out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ASSIGNED = re.compile(rf'\b[\w-]*bucket[\w-]*"?\s*[=:]\s*"({_NAME.pattern})"', re.IGNORECASE)
_ARN = re.compile(rf"\barn:aws:s3:::({_NAME.pattern})(?![\w.${{-])")
_PATH_STYLE = re.compile(r"\b(?:use|force)_path_style\s*=\s*true\b")


def named_buckets(texts: Iterable[str]) -> frozenset[str]:
    """Buckets that Terraform, variable and backend files name in full: `bucket = "..."`, `..._bucket = "..."`, ARNs."""
    return frozenset(name for text in texts for pattern in (_ASSIGNED, _ARN) for name in pattern.findall(text))


def state_buckets(state: bytes) -> frozenset[str]:
    """Buckets that a state file (`terraform state pull`, version 4) names; none when it is not a state."""
    try:
        document = json.loads(state)
    except ValueError:
        return frozenset()
    return frozenset(value for value in _values_of(document, "bucket") if _NAME.fullmatch(value))


def needs_path_style(buckets: frozenset[str], texts: Iterable[str]) -> bool:
    """Whether S3 is asked at the region's own host name, with the bucket in the path: for names with a dot, which no
    certificate covers, or where a backend says so.
    """
    return any("." in name for name in buckets) or any(_PATH_STYLE.search(text) for text in texts)


def _values_of(document: Any, key: str) -> Iterator[str]:
    pending = [document]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if isinstance(value := one.get(key), str):
                yield value
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
