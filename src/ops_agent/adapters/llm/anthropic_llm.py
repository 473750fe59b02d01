"""ports.Llm on Anthropic's official SDK: streaming, explicit prompt caching, our own retries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import SystemRandom
from typing import Any

from ops_agent.adapters.llm.bedrock import BedrockKeys
from ops_agent.adapters.llm.client import IdentityToken, build_client
from ops_agent.adapters.llm.failures import Failure, Kind, understand
from ops_agent.adapters.llm.stream import Assembly, BrokenStream, surcharge_of
from ops_agent.adapters.network import DIRECT, Network
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import LlmReply, PeopleTurn, StopReason, ToolSpec, Turn, Usage, without_thinking
from ops_agent.model.errors import LlmError
from ops_agent.model.ports import Clock

MAX_ATTEMPTS = 8
OVERLOADED_ATTEMPTS = 3
"""Tries of an overloaded llm before the next one is asked, if there is one."""
MAX_WAIT_SECONDS = 600.0
REQUEST_SECONDS = 900.0
_MAX_BACKOFF = 60.0
_WITHOUT_ADAPTIVE_THINKING = ("claude-haiku-4", "claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-4-1")
_CACHED = {"type": "ephemeral"}
MANAGED_FROM_TOKENS = 120_000
"""From a conversation of this length on the API itself clears the results of old tool calls, where it can."""
_MANAGEMENT: dict[str, Any] = {
    "betas": ["context-management-2025-06-27"],
    "context_management": {
        "edits": [
            {
                "type": "clear_tool_uses_20250919",
                "trigger": {"type": "input_tokens", "value": MANAGED_FROM_TOKENS},
                "keep": {"type": "tool_uses", "value": 10},
                "clear_at_least": {"type": "input_tokens", "value": 30_000},
            }
        ]
    },
}


class AnthropicLlm:
    """Answers of one llm. `uniform` is a source of jitter, `say` gets a line for each try that failed, `mask` every
    token that is exchanged for this.

    Build it when the run starts: no wait and no request outlives `working_seconds` from then. `region` is Bedrock's.
    """

    def __init__(
        self,
        settings: LlmSettings,
        clock: Clock,
        *,
        region: str,
        working_seconds: float,
        identity: IdentityToken | None = None,
        bedrock: BedrockKeys | None = None,
        uniform: Callable[[float, float], float] | None = None,
        say: Callable[[str], None] = lambda _: None,
        mask: Callable[[str], None] = lambda _: None,
        network: Network = DIRECT,
    ) -> None:
        self._settings = settings
        self._region = region
        self._clock = clock
        self._identity = identity
        self._bedrock = bedrock
        self._uniform = uniform or SystemRandom().uniform
        self._say, self._mask = say, mask
        self._network = network
        self._end = clock.monotonic() + working_seconds
        self._deadline = self._end
        self._client: Any = None
        self._fallbacks = settings.model_fallbacks
        self._foreign = 0
        self._length = 0
        self._manages = not (settings.use_bedrock or settings.vertex_project)

    def warm_up(self) -> None:
        """Import the SDK (about a second) in a thread while other work continues."""
        threading.Thread(target=_import_sdk, daemon=True).start()

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        """One complete answer; a full window is one with the stop reason CONTEXT_EXCEEDED. Raises LlmError.

        Usage counts every request that was billed, broken ones included.
        """
        waited, spent, renewed, attempt = 0.0, Usage(), False, 0
        while True:
            attempt += 1
            request = request_body(
                self._settings, system=system, tools=tools, turns=turns, max_tokens=max_tokens, foreign=self._foreign
            )
            try:
                answer = self._ask(request)
                return replace(answer, usage=answer.usage + spent)
            except Exception as error:
                failure = self._understand(error)
                if failure is None:
                    raise
            spent = spent + failure.usage
            if failure.kind is Kind.PERMANENT and self._is_managed and failure.of_management:
                self._manages = False
                self._say(f"Language model: {failure.sentence}; asking again without context management")
                continue
            if failure.kind is Kind.CONTEXT_EXCEEDED:
                full = StopReason.CONTEXT_EXCEEDED
                return LlmReply(text="", tool_calls=(), stop_reason=full, usage=spent, llm_id=self._settings.model)
            overloaded = failure.kind is Kind.TRANSIENT
            if failure.of_model and self._fallbacks and (not overloaded or attempt >= OVERLOADED_ATTEMPTS):
                self._fall_back(failure.sentence, turns)
                attempt = 0
                continue
            if failure.kind is Kind.IDENTITY and self._renewable and not renewed and attempt < MAX_ATTEMPTS:
                self._client, renewed = None, True
                self._say(f"Language model: {failure.sentence}; asking again with a new credential")
                continue
            if failure.kind is not Kind.TRANSIENT:
                raise LlmError(failure.sentence, hint=failure.hint)
            left = min(MAX_WAIT_SECONDS - waited, self._end - self._clock.monotonic())
            wait = wait_before_retry(attempt - 1, failure.retry_after, self._uniform)
            if attempt == MAX_ATTEMPTS or wait > left:
                what = f"{failure.sentence} after {attempt} attempts"
                if failure.retry_after is not None:
                    what += f"; it asks to wait {failure.retry_after:.0f} s, {max(0.0, left):.0f} s are left"
                raise LlmError(what, hint=failure.hint)
            tried = f"that was try {attempt} of at most {MAX_ATTEMPTS}, the next one in {wait:.0f} s"
            self._say(f"Language model: {failure.sentence}; {tried}")
            self._clock.sleep(wait)
            waited += wait

    def _fall_back(self, why: str, turns: tuple[Turn, ...]) -> None:
        """From now on the next llm is asked. What the one before thought is not sent: only its author can read it."""
        before, (following, *rest) = self._settings.model, self._fallbacks
        self._settings, self._fallbacks = replace(self._settings, model=following), tuple(rest)
        self._foreign = len(turns)
        self._say(f"Language model: {why}; {following} is asked instead of {before}")

    def _ask(self, request: dict[str, Any]) -> LlmReply:
        self._deadline = min(self._end, self._clock.monotonic() + REQUEST_SECONDS)
        assembly = Assembly(self._settings.model, surcharge_of(self._settings))
        try:
            client = self._open_client()
            create = client.messages.create
            if self._is_managed:
                create = partial(client.beta.messages.create, **_MANAGEMENT)
            with create(**request, stream=True) as stream:
                answer = assembly.take_all(stream)
            self._length = answer.usage.sent_tokens + answer.usage.cache_read_tokens
            return answer
        except BrokenStream:
            raise
        except Exception as error:
            failure = understand(error)
            if failure is not None and failure.kind is Kind.TRANSIENT and assembly.usage() != Usage():
                raise BrokenStream(failure.sentence, assembly.usage()) from None
            raise

    @property
    def _is_managed(self) -> bool:
        return self._manages and self._length >= MANAGED_FROM_TOKENS

    def _understand(self, error: Exception) -> Failure | None:
        """See `understand`; an API that echoes the key does not get it into a sentence."""
        failure, key = understand(error), self._settings.anthropic_api_key
        return replace(failure, sentence=failure.sentence.replace(key, "***")) if failure and key else failure

    @property
    def _renewable(self) -> bool:
        """Whether a new client comes with a new credential; a key that was refused stays refused."""
        return self._settings.use_bedrock or (self._identity is not None and not self._settings.anthropic_api_key)

    def _open_client(self) -> Any:
        if self._client is None:
            self._client = build_client(
                self._settings,
                region=self._region,
                clock=self._clock,
                deadline=lambda: self._deadline,
                identity=self._identity,
                bedrock=self._bedrock,
                mask=self._mask,
                network=self._network,
            )
        return self._client


def wait_before_retry(attempt: int, retry_after: float | None, uniform: Callable[[float, float], float]) -> float:
    """Seconds before the next attempt: what the server asked for and up to one more, else full jitter to a minute."""
    if retry_after is not None:
        return retry_after + uniform(0.0, 1.0)
    return uniform(0.0, min(_MAX_BACKOFF, 2.0 * 2**attempt))


def request_body(
    settings: LlmSettings,
    *,
    system: str,
    tools: tuple[ToolSpec, ...],
    turns: tuple[Turn, ...],
    max_tokens: int,
    foreign: int = 0,
) -> dict[str, Any]:
    """Keyword arguments for `messages.create`. History is only appended to: the newest llms refuse moved thinking.

    Cache points are on the last tool, the system prompt and the last two things that we said: the API looks back 20
    blocks from a point, and a turn with many calls is longer. The first `foreign` turns are with another llm, so the
    thinking in them is left out.
    """
    strict = {} if settings.use_bedrock or settings.vertex_project else {"strict": True}
    body: dict[str, Any] = {
        "model": settings.model,
        "max_tokens": max_tokens,
        "system": [{"type": "text", "text": system, "cache_control": _CACHED}],
        "messages": _messages((*map(without_thinking, turns[:foreign]), *turns[foreign:])),
    }
    if tools:
        body["tools"] = [
            {"name": t.name, "description": t.description, "input_schema": t.input_schema, **strict} for t in tools
        ]
        body["tools"][-1]["cache_control"] = _CACHED
    if settings.effort and not any(name in settings.model for name in _WITHOUT_ADAPTIVE_THINKING):
        body["thinking"] = {"type": "adaptive" if settings.thinking == "adaptive" else "disabled"}
        body["output_config"] = {"effort": settings.effort}
    return body


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks = _people_blocks(turn) if isinstance(turn, PeopleTurn) else list(turn.wire_blocks)
        if blocks:
            messages.append({"role": "user" if isinstance(turn, PeopleTurn) else "assistant", "content": _once(blocks)})
    for message in [message for message in messages if message["role"] == "user"][-2:]:
        message["content"][-1] = {**message["content"][-1], "cache_control": _CACHED}
    return messages


def _people_blocks(turn: PeopleTurn) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for result in turn.tool_results:
        error = {"is_error": True} if result.is_error else {}
        blocks.append({"type": "tool_result", "tool_use_id": result.call_id, "content": result.text, **error})
    return [*blocks, {"type": "text", "text": turn.text}] if turn.text else blocks


def _once(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The API refuses a message in which a tool call's id occurs twice; the first one is kept."""
    seen: set[str] = set()
    kept = []
    for block in blocks:
        call = block.get("id") if block.get("type") == "tool_use" else block.get("tool_use_id")
        if call is None or call not in seen:
            kept.append(block)
            seen.add(str(call))
    return kept


def _import_sdk() -> None:
    import anthropic.types  # noqa: F401
