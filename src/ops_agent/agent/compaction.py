"""Makes room in a full window once, by fixed rules: old long tool results go, and old thinking goes."""

from __future__ import annotations

from dataclasses import replace

from ops_agent.domain.conversation import LlmReply, PeopleTurn, ToolResult, Turn

KEPT_TURNS = 6
KEPT_CHARACTERS = 300
_LOST = "[dropped to make room: call the tool again when you need it]"
_THINKING = ("thinking", "redacted_thinking")


def compacted(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The same conversation without the long tool results before the last few turns.

    All thinking is dropped: the API refuses thinking blocks whose history was edited (docs: preserved thinking, prefix checks).
    """
    border = max(1, len(turns) - KEPT_TURNS)
    return tuple(_without_thinking(t) if isinstance(t, LlmReply) else (_shorter(t) if n < border else t) for n, t in enumerate(turns))


def _shorter(turn: PeopleTurn) -> PeopleTurn:
    return replace(turn, tool_results=tuple(_short(r) for r in turn.tool_results))


def _short(result: ToolResult) -> ToolResult:
    if len(result.text) <= KEPT_CHARACTERS:
        return result
    return replace(result, text=_LOST)


def _without_thinking(reply: LlmReply) -> LlmReply:
    return replace(reply, wire_blocks=tuple(b for b in reply.wire_blocks if b.get("type") not in _THINKING))
