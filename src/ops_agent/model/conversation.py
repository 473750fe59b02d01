"""What is said between us and the llm, in our own words; an adapter translates to the wire format."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as it is described to the llm; `input_schema` is JSON Schema."""

    name: str
    description: str
    input_schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The llm asks for a tool. `arguments` is None when what it sent was not a JSON object; `raw` then holds the text."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or many requests; US dollars by the price table of the llm that answered."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def sent_tokens(self) -> int:
        """What was sent beyond what the cache held: the API counts what it puts into the cache apart from
        `input_tokens`.
        """
        return self.input_tokens + self.cache_write_tokens

    @property
    def tokens_in_words(self) -> str:
        """For people: every token that was billed, once."""
        return f"{self.sent_tokens:,} tokens in, {self.output_tokens:,} out, {self.cache_read_tokens:,} read from the cache"

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


class StopReason(StrEnum):
    """Why the llm stopped (Messages API `stop_reason`); anything we do not know is UNKNOWN and ends the conversation."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    PAUSE_TURN = "pause_turn"
    CONTEXT_EXCEEDED = "model_context_window_exceeded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmReply:
    """One complete answer.

    `wire_blocks` are the content blocks as received, to be sent back verbatim on the next turn (thinking signatures).
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    usage: Usage
    llm_id: str
    wire_blocks: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleTurn:
    """What we say: our own text, and the results of the tool calls of the turn before."""

    text: str = ""
    tool_results: tuple[ToolResult, ...] = ()


Turn = PeopleTurn | LlmReply


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionAnswer:
    """How the agent claims to have met one acceptance criterion. Text from the llm: neutralised before it is shown."""

    criterion_id: str
    met: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the agent declared with its ending tool. Every string is from the llm and hostile until neutralised.

    `kind` is finished, needs_info, needs_split or infeasible.
    """

    kind: str
    title: str = ""
    description: str = ""
    infrastructure: str = ""
    ci_cd: str = ""
    observability: str = ""
    validation: str = ""
    criteria: tuple[CriterionAnswer, ...] = ()
    not_done: str = ""
    questions: tuple[str, ...] = ()
    proposed_issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A whole conversation: turns in order, what it used, and how the agent ended it (None: it did not)."""

    turns: tuple[Turn, ...]
    usage: Usage
    turn_count: int
    ending: Ending | None
    llm_id: str = ""
    soft_limit_reached: bool = False
    extra: dict[str, str] = field(default_factory=dict)
