"""Tests of this folder talk to the embedded GitHub over the wire."""

from __future__ import annotations

from run.workplace_fixtures import here, shared_github

__all__ = ["here", "shared_github"]
