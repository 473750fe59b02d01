"""A run that waits is not silent: each wait says what failed, which try it was and how long the wait is."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from builders import settings_with
from doubles.clock import FakeClock
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.adapters.github.client import GitHubHttp
from ops_agent.adapters.github.failures import RetryPolicy
from ops_agent.adapters.llm.anthropic_llm import MAX_ATTEMPTS, AnthropicLlm
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.errors import AwsError, GitHubError, LlmError
from ops_agent.wiring import actions_world

KEY = "sk-ant-api03-canary-0123456789"


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address on this machine where nothing listens: the port is taken, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def waits(lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := re.search(r"the next one in ([\d.]+) s$", line))]


def test_each_failed_try_to_reach_the_llm_is_one_log_line(nowhere: str) -> None:
    said: list[str] = []
    clock = FakeClock()
    llm = AnthropicLlm(
        LlmSettings(anthropic_api_key=KEY, base_url=nowhere),
        clock,
        region="sa-east-1",
        working_seconds=2_700,
        uniform=lambda _, high: high,
        say=said.append,
    )
    with pytest.raises(LlmError, match=f"after {MAX_ATTEMPTS} attempts"):
        llm.reply(system="x", tools=(), turns=(PeopleTurn(text="go"),), max_tokens=10)
    assert (
        said[0]
        == "Language model: no connection to the API (ConnectError); that was try 1 of at most 8, the next one in 2 s"
    )
    assert [float(wait) for wait in waits(said)] == clock.slept and len(said) == MAX_ATTEMPTS - 1
    assert KEY not in "".join(said)


def test_each_failed_try_to_reach_github_names_the_request_and_the_wait(nowhere: str) -> None:
    said: list[str] = []
    http = GitHubHttp(
        "ghs_canary0123456789",
        FakeClock(),
        lambda: 1.0,
        api_url=nowhere,
        policy=RetryPolicy(attempts=3),
        say=said.append,
    )
    with pytest.raises(GitHubError):
        http.get("/repos/o/r?secret=query", "reading o/r", lambda found: found)
    assert said == [
        "GitHub, GET /repos/o/r: connection lost (ConnectionError); that was try 1 of at most 3, the next one in 1 s",
        "GitHub, GET /repos/o/r: connection lost (ConnectionError); that was try 2 of at most 3, the next one in 2 s",
    ]


def test_failed_tries_to_reach_sts_and_the_token_endpoint_are_logged_too(nowhere: str) -> None:
    said: list[str] = []
    sts = Sts("sa-east-1", endpoint=nowhere, sleep=lambda _: None, say=said.append)
    with pytest.raises(AwsError):
        sts.id_token(Runner(url=f"{nowhere}/?a=b", token="canary-0123456789"))
    assert waits(said) == ["0.5", "1", "2"]
    assert all(line.startswith("GitHub's token endpoint: ") for line in said) and "canary" not in "".join(said)
    with pytest.raises(AwsError):
        sts.assume("arn:aws:iam::125611408459:role/x", "jwt-canary", name="n", policy="{}", seconds=900)
    assert said[-1].startswith("AWS STS: ") and "jwt-canary" not in "".join(said)


def test_retry_lines_reach_the_log_of_a_run(nowhere: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_with(anthropic_api_key=KEY, base_url=nowhere, github_token="ghs_canary0123456789")
    with actions_world(settings, {"PATH": "/usr/bin:/bin", "GITHUB_API_URL": nowhere}) as world:
        for waiting in (world.llm, world.issues._http):  # type: ignore[attr-defined]  # real clocks would take minutes
            waiting._clock = FakeClock(1_000.0)  # type: ignore[attr-defined]
        with pytest.raises(LlmError):
            world.llm.reply(system="x", tools=(), turns=(PeopleTurn(text="go"),), max_tokens=10)
        with pytest.raises(GitHubError):
            world.issues.repository("o/r")
    said = capsys.readouterr().out
    assert "Language model: no connection" in said and "GitHub, GET /repos/o/r: connection lost" in said
