"""The loop: ask the llm, run its tools, until it ends the work or code ends it. It is our own, because judging happens
inside it.

Every ending is a value: how the llm ended (Ending), or why code did (Stopped). The llm's text decides nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from ops_agent.agent.toolbox import Toolbox, specs
from ops_agent.model.conversation import (
    Ending,
    LlmReply,
    PeopleTurn,
    StopReason,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
    without_thinking,
)
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.policy import Limits
from ops_agent.model.ports import Clock, Llm
from ops_agent.text.templates import fill

MAX_TOKENS: Final = 32_000
MAX_IDLE: Final = 3
"""Turns in a row without a tool call that was run (only text, cut off, paused) before the run stops."""
SOFT_SHARE: Final = 0.8
REPEATS: Final = 3
KEPT_TURNS: Final = 6
KEPT_CHARACTERS: Final = 300

TurnNote = Callable[[int, float, str], None]
"""Number of turns, US dollars so far, and what was done in a few words."""


class AgentLoop:
    """One conversation. `say` puts our text into the next turn; `run` goes on until an end."""

    def __init__(
        self,
        llm: Llm,
        system: str,
        toolbox: Toolbox,
        budget: Budget,
        note: TurnNote,
        before_call: Callable[[], Stopped | None] = lambda: None,
    ) -> None:
        """`before_call` may `say` something, or stop the run before it pays for another answer."""
        self._llm = llm
        self._before_call = before_call
        self._system = system
        self._toolbox = toolbox
        self._note = note
        self._watch = CircleWatch()
        self._words: list[str] = []
        self._results: tuple[ToolResult, ...] = ()
        self._idle = 0
        self._warned = False
        self._compacted = False
        self.budget = budget
        self.turns: tuple[Turn, ...] = ()
        self.soft_limit_reached = False
        self._llm_ids = list[str]()

    @property
    def llm_id(self) -> str:
        """Every llm that answered, in the order of their first answers."""
        return ", ".join(self._llm_ids)

    def say(self, words: str) -> None:
        self._words.append(words.strip())

    def run(self) -> Ending | Stopped:
        """Raises LlmError when the llm cannot be reached, and what the world raises; never for what the llm sends."""
        self._idle = 0
        while True:
            if why := self.budget.exhausted():
                return _out_of_budget(why)
            if stopped := self._before_call():
                return stopped
            self._speak()
            end = self._take(self._ask())
            if end is not None:
                return end

    def _speak(self) -> None:
        """Our turn: results of the last calls, and what there is to say."""
        if self.budget.is_low() and not self.soft_limit_reached:
            self.soft_limit_reached = True
            self.say(fill("agent/prompts/budget_low.md", turns_left=self.budget.turns_left()))
        if self._words or self._results:
            self.turns = (*self.turns, PeopleTurn(text="\n\n".join(self._words), tool_results=self._results))
            self._words, self._results = [], ()

    def _ask(self) -> LlmReply:
        reply = self._llm.reply(system=self._system, tools=specs(), turns=self.turns, max_tokens=MAX_TOKENS)
        self.budget.count(reply.usage)
        if reply.llm_id not in self._llm_ids:
            self._llm_ids.append(reply.llm_id)
        self._note(self.budget.turns, self.budget.usage.cost_usd, _summary(reply))
        return reply

    def _take(self, reply: LlmReply) -> Ending | Stopped | None:
        if reply.stop_reason is StopReason.CONTEXT_EXCEEDED:
            return self._compact()
        self.turns = (*self.turns, reply)
        if reply.stop_reason in _DEAD_ENDS:
            return Stopped(conclusion=Conclusion.LLM_FAILED, reason=_DEAD_ENDS[reply.stop_reason], remedy=_REWRITE)
        if reply.stop_reason is StopReason.MAX_TOKENS:
            words = fill("agent/prompts/cut_off.md")
            self._results = self._toolbox.refuse_all(reply.tool_calls, words.strip())
            return self._idled("its answers were cut off again and again", "" if reply.tool_calls else words)
        if not reply.tool_calls:
            paused = reply.stop_reason is StopReason.PAUSE_TURN
            words = "" if paused else fill("agent/prompts/no_ending.md")
            return self._idled("it ended its turn again and again without using a tool", words)
        self._idle = 0
        return self._run_tools(reply)

    def _run_tools(self, reply: LlmReply) -> Ending | Stopped | None:
        writes = self._toolbox.bench.writes
        self._results, ending = self._toolbox.run(reply.tool_calls)
        if ending is not None:
            return ending
        tool = self._watch.repeated(reply.tool_calls, self._results, self._toolbox.bench.writes > writes)
        if tool is None:
            return None
        if self._warned:
            return _no_progress(f"it repeated the same call of `{tool[:60]}` with the same result")
        self._warned = True
        self.say(fill("agent/prompts/in_circles.md", tool=tool[:60]))
        return None

    def _idled(self, what: str, words: str) -> Stopped | None:
        self._idle += 1
        if self._idle >= MAX_IDLE:
            return _no_progress(what)
        if words:
            self.say(words)
        return None

    def _compact(self) -> Stopped | None:
        if self._compacted:
            return _out_of_budget("the conversation no longer fits into the llm's window")
        self._compacted = True
        self.turns = compacted(self.turns)
        return None


_REWRITE = (
    "Read the issue's text, make it plainer or smaller, and re-apply the label; the `model` input chooses another llm."
)
_DEAD_ENDS = {
    StopReason.REFUSAL: "The llm refused to work on this issue.",
    StopReason.UNKNOWN: "The llm stopped for a reason that ops-agent does not know.",
}


def _out_of_budget(why: str) -> Stopped:
    return Stopped(
        conclusion=Conclusion.BUDGET_EXHAUSTED,
        reason=f"The run ended before the work was done: {why}.",
        remedy="Re-apply the label with a higher limit, or split the issue into smaller ones.",
    )


def _no_progress(what: str) -> Stopped:
    return Stopped(
        conclusion=Conclusion.NO_PROGRESS,
        reason=f"The llm made no progress: {what}.",
        remedy="Make the issue's text more exact, or smaller, and re-apply the label.",
    )


def _summary(reply: LlmReply) -> str:
    """What the llm did in this turn, from names of our own tools only."""
    known = {spec.name for spec in specs()}
    counts = Counter(call.name if call.name in known else "unknown tool" for call in reply.tool_calls)
    done = ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in counts.items())
    return done or str(reply.stop_reason)


class Budget:
    """What one conversation may use, repair rounds included: turns, money, tokens, and time from its construction.

    Asked before every call of the llm, never afterwards.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._start = clock.monotonic()
        self._dearest = 0.0
        self.usage = Usage()
        self.turns = 0

    def count(self, usage: Usage) -> None:
        """One answer of the llm was paid for."""
        self.turns += 1
        self.usage = self.usage + usage
        self._dearest = max(usage.cost_usd, self._dearest * 0.5)

    def exhausted(self) -> str | None:
        """Which limit does not allow another call, as half a sentence; None when one more fits.

        Money is kept for the next call: it is expected to cost about as much as the last ones.
        """
        limits, cost = self._limits, self.usage.cost_usd
        if self.turns >= limits.max_turns:
            return f"all {limits.max_turns} turns are used (`max_turns`)"
        if cost >= limits.max_cost_usd or (self.turns and cost + self._dearest > limits.max_cost_usd):
            return f"${cost:.2f} of ${limits.max_cost_usd:.2f} are spent (`max_cost_usd`)"
        if self._tokens() >= limits.max_total_tokens:
            return f"{self._tokens():,} tokens are used"
        elapsed = self._elapsed()
        if elapsed >= limits.working_seconds:
            return f"{elapsed / 60:.0f} of {limits.timeout_seconds / 60:.0f} minutes are over (`timeout_minutes`)"
        return None

    def is_low(self) -> bool:
        """True from 80 % of any limit on."""
        limits = self._limits
        used = (
            (self.turns, limits.max_turns),
            (self.usage.cost_usd, limits.max_cost_usd),
            (self._tokens(), limits.max_total_tokens),
            (self._elapsed(), limits.working_seconds),
        )
        return any(amount >= SOFT_SHARE * limit for amount, limit in used)

    def turns_left(self) -> int:
        return max(0, self._limits.max_turns - self.turns)

    def _tokens(self) -> int:
        return self.usage.sent_tokens + self.usage.output_tokens + self.usage.cache_read_tokens

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._start


class CircleWatch:
    """Notices a conversation that goes in circles. A call counts as repeated when name, arguments and result were all
    seen before; a write that is new starts the count afresh.

    So reading again after an edit is progress, and flipping a file to and fro is not.
    """

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        self._known_writes: set[bytes] = set()

    def repeated(self, calls: Sequence[ToolCall], results: Sequence[ToolResult], wrote: bool) -> str | None:
        """The name of a tool that was called the same way, with the same result, for the third time; None otherwise."""
        marks = [_mark(call, result) for call, result in zip(calls, results, strict=True)]
        if wrote and not self._known_writes.issuperset(marks):
            self._counts.clear()
        if wrote:
            self._known_writes.update(marks)
        self._counts.update(set(marks))
        for call, mark in zip(calls, marks, strict=True):
            if self._counts[mark] >= REPEATS:
                self._counts.clear()
                return call.name
        return None


def _mark(call: ToolCall, result: ToolResult) -> bytes:
    text = json.dumps(
        [call.name, call.arguments, call.raw if call.arguments is None else "", result.text], sort_keys=True
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def compacted(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The same conversation without the long tool results before the last few turns.

    All thinking is dropped: the API refuses thinking blocks whose history was edited.
    """
    border = max(1, len(turns) - KEPT_TURNS)
    return tuple(
        without_thinking(_shorter(t) if isinstance(t, PeopleTurn) and n < border else t) for n, t in enumerate(turns)
    )


def _shorter(turn: PeopleTurn) -> PeopleTurn:
    lost = "[dropped to save space: call the tool again when you need it]"
    return replace(
        turn,
        tool_results=tuple(r if len(r.text) <= KEPT_CHARACTERS else replace(r, text=lost) for r in turn.tool_results),
    )
