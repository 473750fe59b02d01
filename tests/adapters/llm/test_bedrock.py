"""Amazon Bedrock without boto3: what is sent (botocore judges the signature), and what comes back (the SDK's own
decoder, on botocore, says what it means).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import botocore
import pytest
from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder
from hypothesis import given
from hypothesis import strategies as st

from adapters.llm.llm_answers import GO, READ, ask, llm_at
from doubles.clock import FakeClock
from ops_agent.adapters.aws.sts import Credentials
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.adapters.llm.bedrock import Frames
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import PeopleTurn, ToolResult
from ops_agent.model.errors import AwsError, LlmError
from ops_agent_demo.llm import bedrock, wire
from ops_agent_demo.llm.script import Answer, of_answers
from ops_agent_demo.llm.server import LlmServer

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PROFILE = "global.anthropic.claude-opus-5-5-v1:0"
ARN = "arn:aws:bedrock:sa-east-1:125611408459:application-inference-profile/a1b2c3"


def keys_of(access_key: str) -> tuple[str, str] | None:
    return (SECRET, f"session-{access_key[4:]}") if access_key.startswith("ASIA") else None


def at_bedrock(*given: Answer, **fields: Any) -> LlmServer:
    return LlmServer([of_answers(*given)], keys_of=keys_of, **fields)


class Sessions:
    """Mints sessions of an hour, numbered."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.minted = clock, 0

    def __call__(self) -> Credentials:
        self.minted += 1
        number, end = self.minted, self.clock.now() + 3_600
        return Credentials(
            access_key=f"ASIA{number}", secret_key=SECRET, session_token=f"session-{number}", expires_at=end
        )


def on_bedrock(server: LlmServer, **fields: Any) -> tuple[AnthropicLlm, Sessions]:
    clock = FakeClock()
    sessions = Sessions(clock)
    region = fields.pop("region", "sa-east-1")
    settings = LlmSettings(**{"use_bedrock": True, "base_url": server.url, "model": PROFILE, **fields})
    llm = AnthropicLlm(
        settings, clock, region=region, working_seconds=9_999, bedrock=sessions, uniform=lambda _, high: high
    )
    return llm, sessions


@pytest.mark.parametrize("model", [PROFILE, ARN, "anthropic.claude-opus-5-5", "us.anthropic.claude-opus-5-5-v1:0"])
def test_an_answer_comes_over_bedrocks_wire_to_a_request_that_botocore_would_have_signed_so(model: str) -> None:
    """Cache points, thinking and effort are sent, whatever the id looks like; nothing that needs a beta is."""
    with at_bedrock(Answer(text="one", calls=READ.calls), Answer(text="two")) as server:
        llm, sessions = on_bedrock(server, model=model)
        first = ask(llm)
        result = ToolResult(call_id=first.tool_calls[0].id, text="x")
        second = ask(llm, (*GO, first, PeopleTurn(tool_results=(result,))))
    assert first.tool_calls[0].arguments == {"paths": ["infra/main.tf"]} and second.text == "two"
    assert second.usage.cache_read_tokens > 0 and 0 < first.usage.cost_usd < 1
    assert sessions.minted == 1 and not server.problems
    sent = server.requests[0]
    assert sent["thinking"] == {"type": "adaptive"} and sent["output_config"] == {"effort": "high"}
    assert sent["system"][-1]["cache_control"] == sent["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert sent["model"] == model and "anthropic_beta" not in sent and not any("strict" in t for t in sent["tools"])


def test_a_wrong_key_or_region_is_not_accepted_by_the_server_of_these_tests() -> None:
    with at_bedrock(Answer(text="one")) as server, pytest.raises(LlmError, match="InvalidSignatureException"):
        ask(on_bedrock(server, region="us-east-1")[0])
    assert all("'20270115/sa-east-1/bedrock/aws4_request'" in one for one in server.problems), server.problems
    with at_bedrock(Answer(text="one")) as server, pytest.raises(LlmError, match="does not match the signature"):
        server.keys_of = lambda access_key: ("another", f"session-{access_key[4:]}")
        ask(on_bedrock(server)[0])
    assert len(server.problems) == 2, "asked again once, with a new session"


@pytest.mark.parametrize("fault", ["rate_limit", "overloaded", "sse_overloaded", "cut", "cut_in_tool", "server_error"])
def test_what_passes_is_asked_again_whole(fault: str) -> None:
    with at_bedrock(Answer(fault=fault, text="x" * 99, calls=READ.calls), Answer(text="ok")) as server:
        assert ask(on_bedrock(server)[0]).text == "ok"


def test_a_session_is_renewed_before_its_end_and_when_aws_says_that_it_ended() -> None:
    with at_bedrock(Answer(text="1"), Answer(text="2"), Answer(fault="unauthorised"), Answer(text="3")) as server:
        llm, sessions = on_bedrock(server)
        ask(llm)
        sessions.clock.time += 54 * 60
        ask(llm, (*GO, PeopleTurn(text="a")))
        assert sessions.minted == 1
        sessions.clock.time += 2 * 60
        assert ask(llm, (*GO, PeopleTurn(text="b"))).text == "3"
    assert sessions.minted == 3
    assert [h["x-amz-security-token"] for h in server.headers] == ["session-1", "session-1", "session-2", "session-3"]


def test_a_role_that_cannot_be_assumed_is_the_error_and_no_role_is_said_before_any_request() -> None:
    def refused() -> Credentials:
        raise AwsError("AWS did not let this job assume it")

    with at_bedrock() as server:
        llm, _ = on_bedrock(server)
        llm._bedrock = refused
        with pytest.raises(AwsError, match="did not let"):
            ask(llm)
        assert not server.requests
    with pytest.raises(LlmError) as caught:
        ask(llm_at("http://127.0.0.1:9", use_bedrock=True))
    assert "bedrock_role_arn" in caught.value.hint


ON_DEMAND = (
    "Invocation of model ID anthropic.claude-opus-5-5 with on-demand throughput isn’t supported. Retry your request "
    "with the ID or ARN of an inference profile that contains this model."
)
NOT_ALLOWED = (
    "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: bedrock:InvokeModelWithResponseStream on "
    "resource: arn:aws:bedrock:us-east-2::foundation-model/anthropic.claude-opus-5-5 because no identity-based policy "
    "allows the action"
)
NOT_SUBSCRIBED = (
    "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace "
    "actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe)."
)
REFUSALS = [
    ("ValidationException", ON_DEMAND, "aws bedrock list-inference-profiles"),
    ("ValidationException", "The provided model identifier is invalid.", "`bedrock_region`"),
    ("ResourceNotFoundException", "Could not resolve the foundation model from the identifier.", "`bedrock_region`"),
    ("ResourceNotFoundException", "Model use case details have not been submitted.", "use case form"),
    ("AccessDeniedException", "You don't have access to the model with the specified model ID.", "model catalog"),
    ("AccessDeniedException", NOT_ALLOWED, "foundation model in each region"),
    ("AccessDeniedException", NOT_SUBSCRIBED, "AWS Marketplace"),
    ("ThrottlingException", "Too many tokens per day, please wait before trying again.", "Service Quotas"),
    ("ServiceQuotaExceededException", "Your request exceeds the service quota for your account.", "Service Quotas"),
    ("ValidationException", "thinking.adaptive: Extra inputs are not permitted", "`effort`"),
    ("InvalidSignatureException", "Signature expired: 20270115T075000Z is now earlier than 20270115T080000Z", "clock"),
]


@pytest.mark.parametrize(("name", "words", "remedy"), REFUSALS)
def test_a_refusal_says_aws_words_and_what_to_do(name: str, words: str, remedy: str) -> None:
    fault = Answer(fault=name, text=words)
    with at_bedrock(fault, fault) as server, pytest.raises(LlmError) as caught:
        ask(on_bedrock(server)[0])
    assert f"{name}: {words[:60]}" in str(caught.value) and remedy in (caught.value.hint or "")
    assert len(server.requests) == (2 if name == "InvalidSignatureException" else 1)


def test_a_prompt_that_is_too_long_is_no_error() -> None:
    with at_bedrock(Answer(fault="too_long")) as server:
        assert ask(on_bedrock(server)[0]).stop_reason.name == "CONTEXT_EXCEEDED"


def test_the_errors_of_these_tests_are_those_of_the_published_service_model() -> None:
    path = next(Path(botocore.__file__).parent.glob("data/bedrock-runtime/*/service-2.json*"))
    raw = path.read_bytes()
    model = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    operation = model["operations"]["InvokeModelWithResponseStream"]
    assert operation["http"]["requestUri"] == "/model/{modelId}/invoke-with-response-stream"
    named = {one["shape"]: model["shapes"][one["shape"]].get("error", {}) for one in operation["errors"]}
    known = {name: fault["httpStatusCode"] for name, fault in named.items()}
    assert {name: bedrock.ERRORS[name] for name in known if name in bedrock.ERRORS} == {
        name: status for name, status in known.items() if name in bedrock.ERRORS
    }
    assert set(known) - set(bedrock.ERRORS) == {"ModelStreamErrorException"}, "which comes in a stream only"


ANSWER = wire.message(
    Answer(text="é" * 90, thinking="hm", calls=READ.calls),
    1,
    "claude-opus-5-5",
    {"input_tokens": 1, "output_tokens": 2},
)
BODY = b"".join(bedrock.frames([*wire.events(ANSWER), wire.error_event("overloaded_error", "slow down")]))


@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=12))
def test_the_frames_are_read_as_the_sdk_reads_them_with_botocore_however_they_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BODY)]
    pieces = [BODY[a:b] for a, b in pairwise(edges)]
    theirs = list(AWSEventStreamDecoder().iter_bytes(iter([BODY])))
    ours = list(Frames().iter_bytes(iter(pieces)))
    assert [(one.event, one.json()) for one in ours[:-1]] == [(one.event, one.json()) for one in theirs[:-1]]
    assert ours[-1].event == theirs[-1].event == "error" and ours[-1].json()["error"] == theirs[-1].json()["error"]


@given(at=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_a_damaged_frame_is_never_read(at: int, bit: int) -> None:
    damaged = bytearray(BODY)
    damaged[at] ^= 1 << bit
    with pytest.raises(ValueError, match="event stream"):
        list(Frames().iter_bytes(iter([bytes(damaged)])))


def test_neither_boto3_nor_botocore_is_loaded() -> None:
    """Nor needed: both are refused to the process that asks."""
    code = (
        "import sys; sys.modules['boto3'] = sys.modules['botocore'] = None\n"
        "import anthropic\n"
        "from ops_agent.adapters.llm.bedrock import bedrock_client, Frames\n"
        "from ops_agent.wiring import SystemClock\n"
        "from ops_agent.adapters.aws.sts import Credentials\n"
        "keys = lambda: Credentials(access_key='A', secret_key='b', session_token='c', expires_at=9e9)\n"
        "where = {'region': 'sa-east-1', 'base_url': 'http://127.0.0.1:9'}\n"
        "client = bedrock_client(keys, SystemClock(), max_retries=0, **where)\n"
        "try:\n"
        "    said = [{'role': 'user', 'content': 'x'}]\n"
        "    client.messages.create(model='m', max_tokens=1, messages=said, stream=True)\n"
        "except anthropic.APIConnectionError:\n"
        "    print('sent')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "sent\n", done.stderr


def test_a_profile_of_a_geography_costs_a_tenth_more_than_a_global_one() -> None:
    """By the answer's own id, so an application's profile has its llm's price."""
    costs = {}
    for model in (PROFILE, "us.anthropic.claude-opus-5-5-v1:0"):
        with at_bedrock(Answer(text="one", usage={"input_tokens": 10**6, "output_tokens": 0})) as server:
            costs[model] = ask(on_bedrock(server, model=model)[0]).usage.cost_usd
    assert [round(cost, 2) for cost in costs.values()] == [4.0, 4.4]
