"""The briefing of the agent in a test, with a fixed boundary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.agent_doubles import BOUNDARY, SMALL
from builders import settings_with, work_item
from doubles.tree import MemoryTree
from ops_agent.model.conversation import Briefing, SharedStandards
from ops_agent.model.ports import TokenAbilities
from ops_agent.run import brief as brief_module
from ops_agent.run.brief import brief


@pytest.fixture(autouse=True)
def fixed_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief_module.secrets, "token_hex", lambda _: BOUNDARY[1:])


def briefing(
    files: dict[str, bytes] | None = None,
    item: Any = None,
    abilities: TokenAbilities | None = None,
    messages: tuple[str, ...] = (),
    shared: tuple[SharedStandards, ...] = (),
    **settings: Any,
) -> Briefing:
    world: Any = SimpleNamespace(
        redact=lambda text: text.replace("s3cr3t", "***"),
        reporter=SimpleNamespace(line=lambda _: None, annotate=lambda *_: None),
        cloud=SimpleNamespace(unplanned_reason=lambda _: None),
        pull_requests=SimpleNamespace(open_with_prefix=lambda *_: (), files=lambda *_: ()),
        issues=SimpleNamespace(sub_issues=lambda _: ()),
    )
    base = MemoryTree(SMALL if files is None else files)
    made = brief(world, settings_with(**settings), item or work_item(), base, abilities, messages, shared)
    assert isinstance(made, Briefing)
    return made
