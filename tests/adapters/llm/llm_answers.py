"""An Anthropic adapter, connected to a local server that gives the answers a test prepares."""

from __future__ import annotations

from typing import Any

from doubles.clock import FakeClock
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.agent.toolbox import specs
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import LlmReply, PeopleTurn, Turn
from ops_agent_demo.llm.script import Answer, of_answers
from ops_agent_demo.llm.server import LlmServer

KEY = "sk-ant-api03-canary-0123456789"
READ = Answer(text="reading", calls=(("read", {"paths": ["infra/main.tf"]}),))
GO: tuple[Turn, ...] = (PeopleTurn(text="go"),)


def llm_at(
    server: LlmServer | str, clock: FakeClock | None = None, working_seconds: float = 2_700, **fields: Any
) -> AnthropicLlm:
    url = server if isinstance(server, str) else server.url
    given = {"anthropic_api_key": KEY, "base_url": url, **fields}
    return AnthropicLlm(
        LlmSettings(**given),
        clock or FakeClock(),
        region="sa-east-1",
        working_seconds=working_seconds,
        uniform=lambda low, high: high,
    )


def ask(llm: AnthropicLlm, turns: tuple[Turn, ...] = GO) -> LlmReply:
    return llm.reply(system="You are a test. " * 200, tools=specs(), turns=turns, max_tokens=1000)


def answers(*given: Answer, **fields: Any) -> LlmServer:
    return LlmServer([of_answers(*given)], **fields)
