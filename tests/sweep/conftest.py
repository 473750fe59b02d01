"""One embedded GitHub for each module; a scenario of its own for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sweep.sweep_world import IssueScenario, SweepGitHub


@pytest.fixture(scope="module")
def sweep_github() -> Iterator[SweepGitHub]:
    built = SweepGitHub()
    yield built
    built.close()


@pytest.fixture
def scenario(sweep_github: SweepGitHub) -> IssueScenario:
    return sweep_github.scenario()
