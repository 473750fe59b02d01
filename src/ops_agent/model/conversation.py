"""What the llm is given and what is said with it, in our own words; an adapter translates to the wire format."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from ops_agent.model.terraform import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """One written standard, e.g. `infrastructure-terraform`.

    `source` cites where it is from, as the pull request shows it: `bundled`, `input`, a path, or a page with its
    version. It applies to every work item (`always`), to those that touch a path of `globs`, or by words of its id and
    description in the issue. `is_material`: people wrote it who may not write to the repository, so it is fenced.
    """

    id: str
    description: str
    text: str
    source: str
    globs: tuple[str, ...] = ()
    always: bool = False
    is_material: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStandards:
    """What one source outside of the repository gave: its standards, and one sentence for each that could not be had
    (`unavailable`), which the pull request shows.
    """

    found: tuple[Standard, ...] = ()
    unavailable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What the llm is given at the start: one clean, bounded page, no history. `system` and `task` are the prompts.

    `boundary` is this run's random mark (128 bits) around everything that is material and not an instruction.
    `more_standards` were not loaded and can be read by the agent, `unavailable` says which could not be had.
    `pitfalls` are the ids of those that `task` holds, `criteria` those of the issue's criteria, `threads` those of the
    review's threads (`T1`, ...), `labels_by_writers` the labels that writers gave it.
    """

    standards: tuple[Standard, ...]
    layout: Layout
    system: str
    task: str
    boundary: str = ""
    more_standards: tuple[Standard, ...] = ()
    unavailable: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    labels_by_writers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as it is described to the llm; `input_schema` is JSON Schema."""

    name: str
    description: str
    input_schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The llm asks for a tool. `arguments` is None when it sent no JSON object; `raw` then holds the text."""

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
        """What the cache did not hold: the API counts what it puts there apart from `input_tokens`."""
        return self.input_tokens + self.cache_write_tokens

    @property
    def tokens_in_words(self) -> str:
        """For people: every token that was billed, once."""
        sent, written, cached = self.sent_tokens, self.output_tokens, self.cache_read_tokens
        return f"{sent:,} tokens in, {written:,} out, {cached:,} read from the cache"

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)})


class StopReason(StrEnum):
    """Why the llm stopped (Messages API `stop_reason`); any other reason is UNKNOWN and ends the conversation."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    PAUSE_TURN = "pause_turn"
    CONTEXT_EXCEEDED = "model_context_window_exceeded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmReply:
    """One complete answer. `wire_blocks` are its content blocks as received, to be sent back verbatim (signatures)."""

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


def without_thinking(turn: Turn) -> Turn:
    """The turn without what the llm thought: only the one that thought it may be sent it, its history unchanged."""
    if isinstance(turn, PeopleTurn):
        return turn
    kept = (block for block in turn.wire_blocks if block.get("type") not in ("thinking", "redacted_thinking"))
    return replace(turn, wire_blocks=tuple(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """Evidence for a criterion that code can look at. Text from the llm.

    `kind` is plan, workflow or terraform; `where` a resource's address (`*` for any characters) or a file's path; `key`
    the path of an attribute, of a key of a workflow, or of an argument in the code; `op` one of
    `agent.ending.Operator`; `value` what it is compared with, as text. `environments`: where it has to hold, all that
    are planned when there are none.
    """

    kind: str
    where: str
    op: str
    key: str = ""
    value: str = ""
    environments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionAnswer:
    """How the agent claims to have met one acceptance criterion. Text from the llm: neutralised before it is shown.

    `met` is yes, partly or no; `instead` is what was built in the place of what cannot be.
    """

    criterion_id: str
    met: str
    how: str
    instead: str = ""
    evidence: tuple[Assertion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """An issue that the agent proposes for what this change leaves to others."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the agent declared with its ending tool. Every string is from the llm and hostile until neutralised.

    `kind` is finished, needs_info, needs_split or infeasible. `justifications` are (rule, place or address, reason) of
    findings that the agent leaves as they are, `replies` (thread, answer) to a review. `lacking` is ours: what `finish`
    asked for in vain, one clause each.
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
    follow_ups: tuple[FollowUp, ...] = ()
    assumptions: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    justifications: tuple[tuple[str, str, str], ...] = ()
    replies: tuple[tuple[str, str], ...] = ()
    questions: tuple[str, ...] = ()
    proposed_issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A whole conversation: turns in order, what it used, and how the agent ended it (None: it did not; what it had
    declared is `so_far` then).
    """

    turns: tuple[Turn, ...]
    usage: Usage
    turn_count: int
    ending: Ending | None
    llm_id: str = ""
    soft_limit_reached: bool = False
    so_far: Ending | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def cache_share(self) -> float | None:
        """The share of the input from the third turn on that came from the cache; None for shorter conversations."""
        late = [turn.usage for turn in self.turns if isinstance(turn, LlmReply)][2:]
        total = sum(usage.sent_tokens + usage.cache_read_tokens for usage in late)
        return sum(usage.cache_read_tokens for usage in late) / total if total else None
