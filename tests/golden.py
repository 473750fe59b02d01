"""Reviewed files that a test compares with what the code makes now."""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(path: Path, text: str) -> None:
    """Compare `text` with the reviewed file; with UPDATE_GOLDEN=1 in the environment, write the file first."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path.name} differs: run with UPDATE_GOLDEN=1, read the change"
