"""Tests of this folder talk to the embedded GitHub over the wire."""

from __future__ import annotations

from publication.stage_fixtures import here, theatre

__all__ = ["here", "theatre"]
