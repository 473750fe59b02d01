"""Tests of this folder write the files of a job."""

from __future__ import annotations

from runner_files import files

__all__ = ["files"]
