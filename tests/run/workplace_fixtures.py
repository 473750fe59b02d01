"""The embedded GitHub as fixtures: one for a module, and a repository of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from run.github_world import SharedGitHub, Workplace


@pytest.fixture(scope="module")
def shared_github() -> Iterator[SharedGitHub]:
    built = SharedGitHub()
    yield built
    built.github.stop()


@pytest.fixture
def here(shared_github: SharedGitHub) -> Workplace:
    return shared_github.workplace()
