"""Tests of this folder talk to the embedded GitHub over the wire, or write the files of a job."""

from __future__ import annotations

from publication.workplace_fixtures import here, shared_github
from runner_files import files

__all__ = ["files", "here", "shared_github"]
