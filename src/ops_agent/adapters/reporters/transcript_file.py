"""The transcript as a file on the runner: redacted, for its owner only, written when the input `upload_transcript` asks for it (G13)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from ops_agent.domain.conversation import Transcript


def write_transcript(transcript: Transcript, folder: Path, number: int, redact: Callable[[str], str]) -> Path:
    """Write `ops-agent-transcript-{number}.json` (mode 0600) into `folder`; returns its path. Raises OSError, RedactionFailed."""
    import cattrs  # loaded by the runs that keep a transcript

    text = json.dumps(cattrs.unstructure(transcript), indent=1, ensure_ascii=False, default=str)
    path = folder / f"ops-agent-transcript-{number}.json"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(redact(text))
    return path
