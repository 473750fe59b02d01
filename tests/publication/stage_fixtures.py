"""The embedded GitHub as fixtures: one for a module, and a repository of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from publication.github_world import Stage, Theatre


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    built = Theatre()
    yield built
    built.github.stop()


@pytest.fixture
def here(theatre: Theatre) -> Stage:
    return theatre.stage()
