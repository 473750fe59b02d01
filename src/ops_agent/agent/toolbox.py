"""Runs tool calls. Whatever the llm sends, it gets a result for every call, in order; nothing that it sends raises (C20, L11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops_agent.agent.schema import problems_of, spec_of
from ops_agent.agent.tools.checking import check
from ops_agent.agent.tools.ending import ask_for_info, declare_infeasible, finish, propose_split
from ops_agent.agent.tools.reading import list_files, read_file, read_standard, search
from ops_agent.agent.tools.writing import delete_file, replace_in_file, write_file
from ops_agent.agent.workbench import ToolRefusal, Workbench
from ops_agent.core.briefing.briefing_fences import fenced
from ops_agent.domain.conversation import Ending, ToolCall, ToolResult, ToolSpec
from ops_agent.ports import ScratchRefusal

TOOLS: tuple[Callable[..., Any], ...] = (
    list_files,
    read_file,
    search,
    read_standard,
    write_file,
    replace_in_file,
    delete_file,
    check,
    finish,
    ask_for_info,
    propose_split,
    declare_infeasible,
)


def specs() -> tuple[ToolSpec, ...]:
    """What the llm is told about every tool; the golden file tests/agent/golden/tools.json shows it."""
    return tuple(spec_of(tool) for tool in TOOLS)


class Toolbox:
    """The tools over one workbench.

    Results are fenced with `boundary` and go through `redact`: no secret of the job reaches the llm. At most `max_calls` calls of one
    turn are run.
    """

    def __init__(self, bench: Workbench, boundary: str, max_calls: int, redact: Callable[[str], str]) -> None:
        self._bench = bench
        self._boundary = boundary
        self._max_calls = max_calls
        self._redact = redact
        self._tools = {tool.__name__: tool for tool in TOOLS}

    def run(self, calls: tuple[ToolCall, ...]) -> tuple[tuple[ToolResult, ...], Ending | None]:
        """One result for each call, in order, and how the llm ended the conversation, if it did."""
        results: list[ToolResult] = []
        ending: Ending | None = None
        seen: set[str] = set()
        for number, call in enumerate(calls):
            if call.id in seen:
                outcome: Any = ToolRefusal("two calls of one turn have the same id; this one was not run")
            elif number >= self._max_calls:
                outcome = ToolRefusal(f"not run: at most {self._max_calls} calls in one turn; call it again in the next one")
            elif ending is not None:
                outcome = ToolRefusal("not run: the conversation was ended by a call before this one")
            else:
                outcome = self._outcome(call)
            seen.add(call.id)
            if isinstance(outcome, Ending):
                ending, outcome = outcome, {"ended": outcome.kind}
            results.append(self._result(call, outcome))
        return tuple(results), ending

    def refuse_all(self, calls: tuple[ToolCall, ...], why: str) -> tuple[ToolResult, ...]:
        """An error for every call; none is run."""
        return tuple(self._result(call, ToolRefusal(why)) for call in calls)

    def _outcome(self, call: ToolCall) -> Any:
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolRefusal(f"there is no tool {call.name[:60]!r}; there are {', '.join(self._tools)}")
        if call.arguments is None:
            return ToolRefusal("the arguments are not one complete JSON object; send the call again")
        if problems := problems_of(tool, call.arguments):
            return ToolRefusal("; ".join(problems[:10]))
        try:
            return tool(self._bench, **call.arguments)
        except (ToolRefusal, ScratchRefusal) as refusal:
            return refusal

    def _result(self, call: ToolCall, outcome: Any) -> ToolResult:
        failed = isinstance(outcome, ValueError)
        told = {"tool": call.name[:60], "error": str(outcome)} if failed else {"tool": call.name, "result": outcome}
        return ToolResult(call_id=call.id, text=self._redact(fenced(self._boundary, told)), is_error=failed)
