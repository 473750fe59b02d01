"""What the agent gets: one clean, bounded page, no history."""

from __future__ import annotations

from dataclasses import dataclass

from ops_agent.model.terraform import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """One written standard, e.g. `infrastructure-terraform`.

    `source` says where it came from: bundled, a path in the repository, or an input.
    """

    id: str
    description: str
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use. Money in US dollars, time in seconds, sizes in bytes."""

    max_turns: int = 80
    max_cost_usd: float = 5.0
    timeout_seconds: int = 45 * 60
    max_repair_rounds: int = 3
    max_files: int = 50
    max_file_bytes: int = 1_000_000
    max_total_bytes: int = 5_000_000
    max_tool_calls_per_turn: int = 20
    max_total_tokens: int = 20_000_000

    @property
    def working_seconds(self) -> int:
        """The run's time without its last three minutes, which belong to the clean-up: comment, claim, outputs."""
        return max(60, self.timeout_seconds - 180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """Standards and layout of the repository; `system` and `task` are the rendered prompts.

    `boundary` is this run's random mark (128 bits) around everything that is material and not an instruction.
    `more_standards` were not loaded and can be read by the agent.
    """

    standards: tuple[Standard, ...]
    layout: Layout
    system: str
    task: str
    boundary: str = ""
    more_standards: tuple[Standard, ...] = ()
