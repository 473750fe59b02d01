"""One embedded GitHub for each module; a play of its own for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sweep.sweep_world import Play, Theatre


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    built = Theatre()
    yield built
    built.close()


@pytest.fixture
def play(theatre: Theatre) -> Play:
    return theatre.play()
