"""What every report does to its text first: secrets out, control characters made visible. And the files of a run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ops_agent.model.change_set import KeptPatch
from ops_agent.model.record import RunRecord

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
WITHHELD = "(withheld: the redaction of this text failed)"


def escape_controls(text: str) -> str:
    """`text` with terminal escapes and other control characters shown as their codes (line feeds and tabs stay)."""
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def closed_redaction(redact: Callable[[str], str]) -> Callable[[str], str]:
    """`redact`, but text that it fails on is withheld: a reporter must neither leak nor end the run."""

    def apply(text: str) -> str:
        try:
            return redact(text)
        except Exception:
            return WITHHELD

    return apply


def write_record(record: RunRecord, folder: Path, number: int, redact: Callable[[str], str]) -> Path:
    """The path of the run's redacted record (mode 0600) in `folder`. Raises OSError, RedactionFailed."""
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False, default=str)
    return _written(folder / f"ops-agent-transcript-{number}.json", redact(text))


def write_patch(patch: KeptPatch, folder: Path, number: int) -> Path:
    """The path of the kept patch (mode 0600) in `folder`. Raises OSError."""
    return _written(folder / f"ops-agent-{number}.patch", patch.text)


def _written(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
    return path
