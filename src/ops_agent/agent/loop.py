"""The loop: ask the llm, run its tools, until it ends the work or code ends it. We own it, because judging stands in its middle.

Every way out is a value: how the llm ended (Ending), or why code did (Stopped). What the llm writes as text decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ops_agent.agent.budget import Budget
from ops_agent.agent.compaction import compacted
from ops_agent.agent.progress import CircleWatch
from ops_agent.agent.toolbox import Toolbox, specs
from ops_agent.agent.workbench import Workbench
from ops_agent.core.texts.templates import render
from ops_agent.domain.conversation import Ending, LlmReply, PeopleTurn, StopReason, ToolResult, Turn
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.ports import Llm
from ops_agent.prompts import text as prompt

MAX_TOKENS: Final = 32_000
MAX_IDLE: Final = 3
"""Turns in a row without a tool call that was run (only text, cut off, paused) before the run stops."""

TurnNote = Callable[[int, float, str], None]
"""Number of turns, US dollars so far, and what was done in a few words of ours."""


class AgentLoop:
    """One conversation. `say` puts words of ours into the next turn; `run` goes on until an end."""

    def __init__(self, llm: Llm, system: str, bench: Workbench, toolbox: Toolbox, budget: Budget, note: TurnNote) -> None:
        self._llm = llm
        self._system = system
        self._bench = bench
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
        self.llm_id = ""

    def say(self, words: str) -> None:
        self._words.append(words.strip())

    def run(self) -> Ending | Stopped:
        """Raises LlmError when the llm cannot be reached, and what the world raises; never because of what the llm sends."""
        self._idle = 0
        while True:
            if why := self.budget.exhausted():
                return _out_of_budget(why)
            self._speak()
            reply = self._ask()
            end = self._take(reply)
            if end is not None:
                return end

    def _speak(self) -> None:
        """Our turn: results of the last calls, and what there is to say."""
        if self.budget.is_low() and not self.soft_limit_reached:
            self.soft_limit_reached = True
            self.say(render(prompt("budget_low"), turns_left=self.budget.turns_left()))
        if self._words or self._results:
            self.turns = (*self.turns, PeopleTurn(text="\n\n".join(self._words), tool_results=self._results))
            self._words, self._results = [], ()

    def _ask(self) -> LlmReply:
        reply = self._llm.reply(system=self._system, tools=specs(), turns=self.turns, max_tokens=MAX_TOKENS)
        self.budget.count(reply.usage)
        self.llm_id = reply.llm_id
        self._note(self.budget.turns, self.budget.usage.cost_usd, _summary(reply))
        return reply

    def _take(self, reply: LlmReply) -> Ending | Stopped | None:
        if reply.stop_reason is StopReason.CONTEXT_EXCEEDED:
            return self._make_room()
        self.turns = (*self.turns, reply)
        if reply.stop_reason in _DEAD_ENDS:
            return Stopped(conclusion=Conclusion.LLM_FAILED, reason=_DEAD_ENDS[reply.stop_reason], remedy=_REWRITE)
        if reply.stop_reason is StopReason.MAX_TOKENS:
            words = render(prompt("cut_off"))
            self._results = self._toolbox.refuse_all(reply.tool_calls, words.strip())
            return self._idled("its answers were cut off again and again", None if reply.tool_calls else words)
        if not reply.tool_calls:
            paused = reply.stop_reason is StopReason.PAUSE_TURN
            return self._idled("it ended its turn again and again without using a tool", None if paused else render(prompt("no_ending")))
        self._idle = 0
        return self._run_tools(reply)

    def _run_tools(self, reply: LlmReply) -> Ending | Stopped | None:
        writes = self._bench.writes
        self._results, ending = self._toolbox.run(reply.tool_calls)
        if ending is not None:
            return ending
        tool = self._watch.repeated(reply.tool_calls, self._results, self._bench.writes > writes)
        if tool is None:
            return None
        if self._warned:
            return _no_progress(f"it repeated the same call of `{tool[:60]}` with the same result")
        self._warned = True
        self.say(render(prompt("in_circles"), tool=tool[:60]))
        return None

    def _idled(self, what: str, words: str | None) -> Stopped | None:
        self._idle += 1
        if self._idle >= MAX_IDLE:
            return _no_progress(what)
        if words is not None:
            self.say(words)
        return None

    def _make_room(self) -> Stopped | None:
        if self._compacted:
            return _out_of_budget("the conversation no longer fits into the llm's window")
        self._compacted = True
        self.turns = compacted(self.turns)
        return None


_REWRITE = "Read the issue's text, make it plainer or smaller, and put the label again; the `model` input chooses another llm."
_DEAD_ENDS = {
    StopReason.REFUSAL: "The llm refused to work on this issue.",
    StopReason.UNKNOWN: "The llm stopped for a reason that ops-agent does not know.",
}


def _out_of_budget(why: str) -> Stopped:
    return Stopped(
        conclusion=Conclusion.BUDGET_EXHAUSTED,
        reason=f"The run ended before the work was done: {why}.",
        remedy="Put the label again with a higher limit, or split the issue into smaller ones.",
    )


def _no_progress(what: str) -> Stopped:
    return Stopped(
        conclusion=Conclusion.NO_PROGRESS,
        reason=f"The llm made no progress: {what}.",
        remedy="Make the issue's text more exact, or smaller, and put the label again.",
    )


def _summary(reply: LlmReply) -> str:
    """What the llm did in this turn, from names of our own tools only."""
    counts: dict[str, int] = {}
    known = {spec.name for spec in specs()}
    for call in reply.tool_calls:
        name = call.name if call.name in known else "unknown tool"
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in counts.items()) or str(reply.stop_reason)
