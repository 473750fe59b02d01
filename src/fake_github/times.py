"""GitHub's way to write a moment."""

from __future__ import annotations

import time


def iso(at: float) -> str:
    """Seconds since the epoch as ISO 8601 UTC with whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
