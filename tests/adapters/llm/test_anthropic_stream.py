"""The stream of events: any chunking gives the same calls, any cut gives none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.llm.llm_answers import GO, READ, answers, ask, llm_at
from ops_agent.adapters.llm.stream import Assembly, BrokenStream
from ops_agent.model.conversation import LlmReply, PeopleTurn, StopReason, ToolResult
from ops_agent_demo.llm.script import Answer
from ops_agent_demo.llm.wire import events, message


@pytest.mark.parametrize(
    ("stop", "seen"),
    [
        ("refusal", StopReason.REFUSAL),
        ("pause_turn", StopReason.PAUSE_TURN),
        ("stop_sequence", StopReason.UNKNOWN),
        ("new", StopReason.UNKNOWN),
    ],
)
def test_stop_reasons_are_a_closed_list(stop: str, seen: StopReason) -> None:
    with answers(Answer(text="x", stop_reason=stop)) as server:
        assert ask(llm_at(server)).stop_reason is seen


@pytest.mark.parametrize(
    "raw", ['{"path": "infra/ma', '{"path": NaN1}', "[1]", '"x"', "[" * 100_000, '{"n": ' + "9" * 5_000 + "}"]
)
def test_arguments_that_are_not_one_object_are_malformed_never_guessed(raw: str) -> None:
    """The SDK's own accumulator would complete a partial JSON text."""
    with answers(Answer(calls=READ.calls, raw_arguments=raw, stop_reason="max_tokens")) as server:
        got = ask(llm_at(server))
    assert got.tool_calls[0].arguments is None
    assert got.tool_calls[0].raw == raw[:2000]
    assert got.wire_blocks[-1]["input"] == {}


def test_half_a_character_in_arguments_can_be_sent_back() -> None:
    with answers(Answer(calls=READ.calls, raw_arguments='{"path": "\\ud800x"}'), Answer(text="ok")) as server:
        llm = llm_at(server)
        first = ask(llm)
        assert first.tool_calls[0].arguments == {"path": "?x"}
        assert (
            ask(
                llm, (*GO, first, PeopleTurn(tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="x"),)))
            ).text
            == "ok"
        )


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"input_tokens": -5, "output_tokens": 7},
        {"input_tokens": None, "output_tokens": "x"},
        {"input_tokens": True, "output_tokens": 10**30},
    ],
)
def test_usage_that_is_missing_or_absurd_never_lowers_the_count(usage: dict[str, Any]) -> None:
    with answers(Answer(text="x", usage=usage)) as server:
        got = ask(llm_at(server)).usage
    assert got.input_tokens >= 0 and 0 <= got.output_tokens <= 10**9 and got.cost_usd >= 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "message_start"},
        {"type": 7},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta"}},
        [],
    ],
)
def test_an_event_that_makes_no_sense_is_a_broken_stream(body: Any) -> None:
    with pytest.raises(BrokenStream):
        Assembly("x").take_all([body])


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)
_scripted = st.builds(
    Answer,
    text=_texts.filter(str.strip),
    calls=st.lists(
        st.tuples(st.just("edit"), st.fixed_dictionaries({"path": _texts, "content": _texts})), max_size=3
    ).map(tuple),
)


@given(_scripted, st.lists(st.integers(1, 60), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_chunking_of_a_stream_gives_the_same_calls(answer: Answer, sizes: list[int]) -> None:
    """The fuzzing target "SSE parser": chunks cut events, lines and characters anywhere."""

    def rechunk(whole: bytes) -> Iterable[bytes]:
        at = turn = 0
        while at < len(whole):
            yield whole[at : at + sizes[turn % len(sizes)]]
            at, turn = at + sizes[turn % len(sizes)], turn + 1

    got = _through_sdk(rechunk(b"".join(events(message(answer, 1, "claude-opus-5-5", {"output_tokens": 1})))))
    assert [(c.name, c.arguments) for c in got.tool_calls] == [(n, dict(a)) for n, a in answer.calls]
    assert got.text == answer.text


@given(_scripted, st.data())
@settings(max_examples=60, deadline=None)
def test_a_stream_that_ends_early_gives_no_calls_at_all(answer: Answer, data: st.DataObject) -> None:
    """At any place of the cut."""
    whole = b"".join(events(message(answer, 1, "claude-opus-5-5", {"output_tokens": 1})))
    end = whole.rindex(b"event: message_stop")
    with pytest.raises((BrokenStream, ValueError)):
        _through_sdk([whole[: data.draw(st.integers(0, end))]])


def _through_sdk(chunks: Iterable[bytes]) -> LlmReply:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter(chunks))
    )
    client = anthropic.Anthropic(
        api_key="x", base_url="http://127.0.0.1", http_client=httpx2.Client(transport=transport), max_retries=0
    )
    with client.messages.create(
        model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}], stream=True
    ) as stream:
        return Assembly("m").take_all(stream)
