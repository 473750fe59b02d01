"""The record of a run as a page: what it shows, and that nothing in it is executed, loaded or trusted."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.conversation import (
    Assertion,
    CriterionAnswer,
    Ending,
    LlmReply,
    PeopleTurn,
    StopReason,
    ToolCall,
    ToolResult,
    Transcript,
    Usage,
)
from ops_agent.model.errors import ConfigError
from ops_agent.model.record import RunEvent, RunRecord
from ops_agent.pages.replay import read_record, replay_page

MARK = "B0123"


def fence(material: object) -> str:
    return f"--- data {MARK}\n{json.dumps(material)}\n--- end {MARK}"


def reply(number: int, calls: tuple[ToolCall, ...] = (), cached: int = 0, sent: int = 100) -> LlmReply:
    return LlmReply(
        text=f"I do step {number}.",
        tool_calls=calls,
        stop_reason=StopReason.TOOL_USE,
        usage=Usage(input_tokens=sent, cache_read_tokens=cached, output_tokens=10, cost_usd=0.01),
        llm_id="claude",
    )


CHECKED = {
    "tool": "check",
    "result": {
        "passed": False,
        "findings": [{"rule": "terraform/foreign-region", "where": "infra/queue.tf:3", "blocks": True, "what": "no"}],
        "plans": [
            {
                "root": "infra",
                "environments": {"dev, prod": "+1 ~0 -1"},
                "changes": [{"action": "replace", "address": "aws_sqs_queue.a", "forces_replacement": ["name"]}],
                "dangers": [{"rule": "plan/destroy", "where": "aws_sqs_queue.a", "blocks": False, "what": "lost"}],
            }
        ],
    },
}
TURNS = (
    PeopleTurn(text="Do the work item now."),
    reply(1, (ToolCall(id="1", name="read", arguments={"paths": ["infra/main.tf"]}),)),
    PeopleTurn(tool_results=(ToolResult(call_id="1", text=f"--- data {MARK} infra/main.tf\nx = 1\n--- end {MARK}"),)),
    reply(
        2,
        (
            ToolCall(
                id="2",
                name="edit",
                arguments={"edits": [{"path": "infra/main.tf", "old": "a = 1", "new": "a = 2"}]},
            ),
            ToolCall(id="3", name="check", arguments={}),
            ToolCall(id="4", name="read", arguments=None, raw='{"paths": "infr'),
        ),
        cached=100,
    ),
    PeopleTurn(
        tool_results=(
            ToolResult(call_id="2", text=fence({"tool": "edit", "result": {}})),
            ToolResult(call_id="3", text=fence(CHECKED)),
            ToolResult(call_id="4", text=fence({"error": "the arguments are not one"}), is_error=True),
        )
    ),
    reply(3, cached=300),
)
ENDING = Ending(
    kind="finished",
    description="A queue.",
    not_done="The alarm.",
    criteria=(
        CriterionAnswer(
            criterion_id="AC1",
            met="yes",
            how="The queue.",
            evidence=(Assertion(kind="plan", where="aws_sqs_queue.a", op="equals", key="name", value="orders"),),
        ),
    ),
)
RECORD = RunRecord(
    issue="o/r#2",
    title="[ops] Queue",
    conclusion="published",
    reason="",
    seconds=10.0,
    events=(
        RunEvent(at=0.0, kind="stage", text="converse"),
        RunEvent(at=1.0, kind="stage", text="check"),
        RunEvent(at=2.0, kind="end", text="check"),
        RunEvent(at=4.0, kind="turn", text="turn 1, $0.01: read"),
        RunEvent(at=8.0, kind="end", text="converse"),
        RunEvent(at=9.0, kind="warning", text="Something is odd."),
    ),
    transcript=Transcript(
        turns=TURNS, usage=Usage(cost_usd=0.03), turn_count=3, ending=ENDING, llm_id="claude", extra={"boundary": MARK}
    ),
    pull_request="https://github.com/o/r/pull/7",
)


class _Page(HTMLParser):
    """Tags with their attributes, and the words that a person sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def written(record: RunRecord) -> str:
    return json.dumps(asdict(record), default=str)


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_record(written(RECORD)) == RECORD


def test_the_page_shows_stages_turns_edits_findings_plans_and_evidence() -> None:
    page = _Page(replay_page(RECORD))
    for part in (
        *("o/r#2", "published", "https://github.com/o/r/pull/7", "75 %", "converse 8.0 s", "Do the work item now."),
        *("I do step 2.", "-a = 1", "+a = 2", "terraform/foreign-region (blocks)", "infra/queue.tf:3", "plan/destroy"),
        *("Plan of infra: dev, prod +1 ~0 -1", "aws_sqs_queue.a", "forced by name", '{"paths": "infr', "AC1", "x = 1"),
        *("plan aws_sqs_queue.a name equals orders", "The alarm.", "Something is odd."),
    ):
        assert part in page.words, part
    assert "check 1.0 s" not in page.words, "a stage inside of another one has no bar of its own"


def test_a_run_that_ended_before_the_model_was_asked_has_a_page_too() -> None:
    words = _Page(replay_page(replace(RECORD, transcript=None, events=(), conclusion="not_ready"))).words
    assert "not_ready" in words and "the model was not asked" in words


def test_the_share_of_the_cache_counts_from_the_third_turn_on() -> None:
    assert RECORD.transcript is not None
    assert RECORD.transcript.cache_share == 0.75
    assert replace(RECORD.transcript, turns=TURNS[:4]).cache_share is None


@given(st.text(st.sampled_from("<>\"'&ab/= \n{}%|-+`") | st.characters(), max_size=60))
def test_no_text_of_a_run_becomes_a_tag_an_attribute_or_an_address(text: str) -> None:
    calls = (ToolCall(id="1", name=text, arguments={"path": text, "new": text, text: [text, {text: text}]}),)
    answer = {"result": {"findings": [{"rule": text, "what": text}], "plans": [{"root": text, "environments": text}]}}
    transcript = Transcript(
        turns=(
            PeopleTurn(text=text),
            replace(reply(1, calls), text=text),
            PeopleTurn(tool_results=(ToolResult(call_id="1", text=fence(answer)),)),
        ),
        usage=Usage(),
        turn_count=1,
        ending=replace(ENDING, description=text, not_done=text),
        llm_id=text,
        extra={"boundary": MARK},
    )
    record = replace(
        RECORD, title=text, issue=text, reason=text, pull_request=text, conclusion=text, transcript=transcript
    )
    for tag, attributes in _Page(replay_page(record)).tags:
        assert tag not in ("script", "img", "iframe", "a", "link", "base", "form", "object")
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href", "srcdoc")}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    )
)
def test_whatever_a_tool_answered_the_page_is_made(answer: object) -> None:
    result = ToolResult(call_id="1", text=fence({"result": {"findings": answer, "plans": [answer], "checks": answer}}))
    turns = (
        reply(1, (ToolCall(id="1", name="check", arguments={"edits": answer}),)),
        PeopleTurn(tool_results=(result,)),
    )
    transcript = replace(RECORD.transcript, turns=turns)  # type: ignore[type-var]
    assert "Turn 1" in replay_page(replace(RECORD, transcript=transcript))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not JSON", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("{}", "no record of a run"),
        ("[1]", "no record of a run"),
        ('{"turns": []}', "no record of a run"),
        ('{"format": 99}', "has format 99; this version reads format 1"),
        ('{"format": 1, "issue": 3}', "issue: Input should be a valid string"),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        read_record(text)
