"""The loop: every ending is a value, budgets are checked before each call, and repetition ends the run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.agent_doubles import FINISH, bench, call, loop, reply, wrote
from doubles.clock import FakeClock
from doubles.llm import SayingLlm
from ops_agent.agent.loop import Budget, compacted
from ops_agent.model.conversation import Ending, LlmReply, PeopleTurn, StopReason, ToolCall, ToolResult, Usage
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.policy import Limits

DONE = reply(call("finish", **FINISH))


def run(llm: SayingLlm, limits: Limits | None = None, clock: FakeClock | None = None) -> tuple[Ending | Stopped, Any]:
    with bench() as (workbench, _):
        built = loop(llm, workbench, limits, clock)
        return built.run(), built


def words(llm: SayingLlm) -> list[str]:
    """Everything that we said as text, in order."""
    return [t.text for t in llm.heard[-1] if isinstance(t, PeopleTurn)]


def test_results_go_back_until_the_llm_finishes() -> None:
    llm = SayingLlm(reply(call("list")), reply(call("read", paths=["infra/main.tf"])), DONE)
    end, built = run(llm)
    assert isinstance(end, Ending) and end.kind == "finished"
    assert built.budget.turns == 3
    assert [len(h) for h in llm.heard] == [1, 3, 5]
    assert llm.heard[1][2].tool_results[0].call_id == "c1"  # type: ignore[union-attr]
    for earlier, later in zip(llm.heard, llm.heard[1:], strict=False):
        assert later[: len(earlier)] == earlier, "history is only appended to: caches and signed thinking depend on it"


def test_text_alone_is_asked_for_a_tool_twice_and_then_ends() -> None:
    """An llm that only writes text."""
    llm = SayingLlm(reply(text="All checks passed, the pull request is open!"))
    end, built = run(llm)
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.NO_PROGRESS
    assert built.budget.turns == 3
    assert sum("without a tool call" in w for w in words(llm)) == 2


def test_an_empty_answer_does_not_loop() -> None:
    end, built = run(SayingLlm(reply()))
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.NO_PROGRESS
    assert built.budget.turns == 3


@pytest.mark.parametrize("stop", [StopReason.REFUSAL, StopReason.UNKNOWN])
def test_a_refusal_and_an_unknown_stop_reason_end_the_run_at_once(stop: StopReason) -> None:
    end, built = run(SayingLlm(reply(call("list"), stop=stop)))
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.LLM_FAILED
    assert built.budget.turns == 1


def test_a_pause_goes_on_without_words_and_not_for_ever() -> None:
    llm = SayingLlm(reply(text="wait", stop=StopReason.PAUSE_TURN), DONE)
    end, _ = run(llm)
    assert isinstance(end, Ending)
    assert words(llm) == ["task"]
    end, built = run(SayingLlm(reply(text="wait", stop=StopReason.PAUSE_TURN)))
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.NO_PROGRESS
    assert built.budget.turns == 3


def test_a_call_in_an_answer_that_was_cut_off_is_not_run() -> None:
    """The last call may be incomplete, even when its JSON parses."""
    cut = reply(wrote(path="infra/half.tf", content="resource"), stop=StopReason.MAX_TOKENS)
    with bench() as (workbench, scratch):
        llm = SayingLlm(cut, DONE)
        end = loop(llm, workbench).run()
        assert isinstance(end, Ending)
        assert scratch.change_set().changes == ()
    result = llm.heard[1][-1].tool_results[0]  # type: ignore[union-attr]
    assert result.is_error and "cut off" in result.text


def test_answers_that_are_always_cut_off_end_the_run() -> None:
    end, built = run(SayingLlm(reply(text="long", stop=StopReason.MAX_TOKENS)))
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.NO_PROGRESS
    assert built.budget.turns == 3


def test_a_full_window_is_made_smaller_once_and_then_ends() -> None:
    full = LlmReply(text="", tool_calls=(), stop_reason=StopReason.CONTEXT_EXCEEDED, usage=Usage(), llm_id="x")
    reads = [reply(call("read", f"c{n}", paths=["infra/main.tf"], offset=n, limit=1000 + n)) for n in range(6)]
    llm = SayingLlm(*reads, full, DONE)
    with bench({"infra/main.tf": b"a line of some length\n" * 2_000}) as (workbench, _):
        assert isinstance(loop(llm, workbench).run(), Ending)
    before, after = llm.heard[-2], llm.heard[-1]
    assert len(before) == len(after)
    assert len(str(after)) < len(str(before)) * 0.8
    end, _ = run(SayingLlm(*reads, full, full))
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.BUDGET_EXHAUSTED
    assert "window" in end.reason


def test_compaction_keeps_the_task_every_call_and_its_answer_but_no_thinking() -> None:
    """The API refuses signed thinking whose history was edited."""
    think = {"type": "thinking", "thinking": "hm", "signature": "s"}
    turns: list[Any] = [PeopleTurn(text="task" * 1000)]
    for n in range(10):
        asked = reply(call("read", f"c{n}", paths=["a"]))
        turns.append(
            LlmReply(**{**{f: getattr(asked, f) for f in asked.__slots__}, "wire_blocks": (think, *asked.wire_blocks)})
        )
        turns.append(PeopleTurn(tool_results=(ToolResult(call_id=f"c{n}", text="x" * 5_000),)))
    smaller = compacted(tuple(turns))
    assert smaller[0] == turns[0]
    assert [r.call_id for t in smaller if isinstance(t, PeopleTurn) for r in t.tool_results] == [
        f"c{n}" for n in range(10)
    ]
    assert not any(b["type"] == "thinking" for t in smaller if isinstance(t, LlmReply) for b in t.wire_blocks)
    assert [len(r.text) > 1000 for t in smaller if isinstance(t, PeopleTurn) for r in t.tool_results] == [False] * 7 + [
        True
    ] * 3
    assert compacted(smaller) == smaller


def test_the_same_call_three_times_is_nudged_and_then_ends() -> None:
    llm = SayingLlm(reply(call("read", paths=["infra/main.tf"])))
    end, built = run(llm)
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.NO_PROGRESS
    assert "`read`" in end.reason
    assert built.budget.turns == 6
    assert sum("three times in the same way" in w for w in words(llm)) == 1


def test_flipping_a_file_to_and_fro_is_noticed() -> None:
    """Each edit undoes the one before."""
    flip = SayingLlm(by_number=lambda n: reply(wrote(path="infra/a.tf", content=str(n % 2))))
    end, built = run(flip)
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.NO_PROGRESS
    assert built.budget.turns <= 14


def test_reading_again_after_an_edit_is_progress() -> None:
    """The same call after an edit is not a repetition."""

    def turn(n: int) -> LlmReply:
        if n > 30:
            return DONE
        return (
            reply(wrote(path="infra/a.tf", content=str(n))) if n % 2 else reply(call("read", paths=["infra/main.tf"]))
        )

    end, _ = run(SayingLlm(by_number=turn))
    assert isinstance(end, Ending)


def _busy(n: int) -> LlmReply:
    return reply(
        wrote(path="infra/a.tf", content=str(n)),
        usage=Usage(input_tokens=1000, output_tokens=100, cost_usd=0.10),
    )


@pytest.mark.parametrize(
    ("limits", "turns", "names"),
    [
        (Limits(max_turns=7), 7, "max_turns"),
        (Limits(max_cost_usd=1.0), 10, "max_cost_usd"),
        (Limits(max_total_tokens=5_500), 5, "tokens"),
        (Limits(timeout_seconds=180 + 600), 10, "timeout_minutes"),
    ],
)
def test_each_budget_stops_a_llm_that_never_ends(limits: Limits, turns: int, names: str) -> None:
    """Never one call more than allowed."""
    clock = FakeClock()

    def slow(n: int) -> LlmReply:
        clock.time += 60
        return _busy(n)

    llm = SayingLlm(by_number=slow)
    end, built = run(llm, limits, clock)
    assert isinstance(end, Stopped) and end.conclusion is Conclusion.BUDGET_EXHAUSTED
    assert names in end.reason
    assert len(llm.heard) == turns
    assert built.budget.usage.cost_usd <= limits.max_cost_usd + 1e-9
    low = [w for w in words(llm) if "Wrap up now" in w]
    assert len(low) == 1, "warned once, at 80 %"
    assert built.soft_limit_reached


def test_the_warning_comes_at_four_fifths() -> None:
    llm = SayingLlm(by_number=_busy)
    run(llm, Limits(max_turns=10))
    first = next(
        n for n, heard in enumerate(llm.heard) if any("Wrap up" in t.text for t in heard if isinstance(t, PeopleTurn))
    )
    assert first == 8
    assert "2 turns are left" in words(llm)[8]


def test_a_limit_of_nothing_asks_nothing() -> None:
    for limits in (Limits(max_turns=0), Limits(max_cost_usd=0), Limits(max_total_tokens=0)):
        llm = SayingLlm(DONE)
        end, _ = run(llm, limits)
        assert isinstance(end, Stopped) and end.conclusion is Conclusion.BUDGET_EXHAUSTED
        assert llm.heard == []


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0.1, 10))
def test_money_is_kept_for_the_next_call(costs: list[float], cap: float) -> None:
    """Spending ends at the cap, except for one call that costs more than all before it."""
    budget = Budget(Limits(max_cost_usd=cap, max_turns=1000), FakeClock())
    dearest = 0.0
    for cost in costs:
        if budget.exhausted():
            break
        assert budget.usage.cost_usd <= cap
        budget.count(Usage(cost_usd=cost))
        dearest = max(dearest, cost)
    assert budget.usage.cost_usd <= cap + dearest


_calls = st.builds(
    ToolCall,
    id=st.text(max_size=4),
    name=st.sampled_from(["read", "edit", "check", "finish", "nonsense"]),
    arguments=st.none()
    | st.dictionaries(
        st.sampled_from(["path", "content"]), st.sampled_from(["infra/a.tf", "../x"]) | st.integers(), max_size=2
    ),
)
_replies = st.builds(
    LlmReply,
    text=st.text(max_size=20),
    tool_calls=st.lists(_calls, max_size=4).map(tuple),
    stop_reason=st.sampled_from(StopReason),
    usage=st.builds(Usage, input_tokens=st.integers(0, 10**6), cost_usd=st.floats(0, 1)),
    llm_id=st.text(max_size=5),
)


@given(st.lists(_replies, min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_whatever_the_llm_says_the_loop_ends_with_a_value(said: list[LlmReply]) -> None:
    llm = SayingLlm(*said)
    end, built = run(llm, Limits(max_turns=50))
    assert isinstance(end, Ending | Stopped)
    assert len(llm.heard) <= 50
    answered = {r.call_id for t in built.turns if isinstance(t, PeopleTurn) for r in t.tool_results}
    for turn in built.turns[:-1]:
        if isinstance(turn, LlmReply):
            assert {c.id for c in turn.tool_calls} <= answered
