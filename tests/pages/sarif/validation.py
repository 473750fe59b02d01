"""SARIF logs against the slice of the published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0.json").read_text(encoding="utf-8"))


def invalid(log: Any) -> list[str]:
    """What is wrong with a log, empty when it fits."""
    return [str(error) for error in jsonschema_rs.validator_for(SCHEMA, validate_formats=True).iter_errors(log)]
