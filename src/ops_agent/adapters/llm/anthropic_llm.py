"""ports.Llm on Anthropic's official SDK: streaming, explicit prompt caching, our own retries."""

from __future__ import annotations

import email.utils
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from random import SystemRandom
from typing import Any

from ops_agent.adapters.llm.anthropic_client import BedrockKeys, IdentityToken, build_client, priced
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import LlmReply, PeopleTurn, StopReason, ToolCall, ToolSpec, Turn, Usage
from ops_agent.model.errors import LlmError
from ops_agent.model.ports import Clock

# One answer from the Messages API's events, all or nothing.
#
# Event and block shapes: the SDK's types `RawMessageStreamEvent` and `ContentBlock`. Arguments of a tool call are
# parsed strictly once the block is closed: a partial JSON text never becomes a call.

_MAX_COUNT = 10**9
_APPENDED = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class BrokenStream(Exception):
    """The stream ended early or made no sense. `usage` was billed all the same."""

    def __init__(self, why: str, usage: Usage) -> None:
        super().__init__(why)
        self.usage = usage


class Assembly:
    """Collects the events of one stream; `reply()` after the last one, `usage()` at any time."""

    def __init__(self, llm_id: str) -> None:
        self._llm_id = llm_id
        self._blocks: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, list[str]] = {}
        self._open: set[int] = set()
        self._counts: dict[str, int] = {}
        self._stop_reason: str | None = None
        self._ended = False

    def take_all(self, events: Iterable[Any]) -> LlmReply:
        """The whole answer. Raises BrokenStream; errors of the transport pass through."""
        for event in events:
            record = event.to_dict(warnings=False) if hasattr(event, "to_dict") else event
            try:
                self._take(record)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise BrokenStream(
                    f"the API sent an event that makes no sense ({type(error).__name__})", self.usage()
                ) from None
        if not self._ended or self._open:
            raise BrokenStream("the API's stream ended before the answer was complete", self.usage())
        return self._reply()

    def usage(self) -> Usage:
        """What was reported so far; missing or negative numbers count as zero."""
        counts = self._counts
        return priced(
            self._llm_id,
            input_tokens=counts.get("input_tokens", 0),
            output_tokens=counts.get("output_tokens", 0),
            cache_read_tokens=counts.get("cache_read_input_tokens", 0),
            cache_write_tokens=counts.get("cache_creation_input_tokens", 0),
        )

    def _take(self, record: dict[str, Any]) -> None:
        kind = record["type"]
        if kind == "message_start":
            message = record["message"]
            self._llm_id = str(message.get("model") or self._llm_id)
            self._count(message.get("usage"))
        elif kind == "content_block_start":
            block = dict(record["content_block"])
            block["type"] = str(block["type"])
            self._blocks[int(record["index"])] = block
            self._open.add(int(record["index"]))
        elif kind == "content_block_delta":
            self._append(int(record["index"]), record["delta"])
        elif kind == "content_block_stop":
            self._open.remove(int(record["index"]))
        elif kind == "message_delta":
            self._stop_reason = record["delta"].get("stop_reason") or self._stop_reason
            self._count(record.get("usage"))
        elif kind == "message_stop":
            self._ended = True

    def _append(self, index: int, delta: dict[str, Any]) -> None:
        if index not in self._open:
            raise ValueError("a delta for a block that is not open")
        if delta["type"] == "input_json_delta":
            self._arguments.setdefault(index, []).append(str(delta["partial_json"]))
        elif name := _APPENDED.get(delta["type"]):
            self._blocks[index][name] = str(self._blocks[index].get(name) or "") + str(delta[name])

    def _count(self, reported: Any) -> None:
        for name, value in (reported if isinstance(reported, dict) else {}).items():
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                self._counts[name] = min(value, _MAX_COUNT)

    def _reply(self) -> LlmReply:
        calls, wire, texts = [], [], []
        for index, block in sorted(self._blocks.items()):
            if block["type"] == "tool_use":
                call = _tool_call(block, "".join(self._arguments.get(index, ())))
                calls.append(call)
                wire.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments or {}})
            elif block["type"] == "text":
                if text := _valid(str(block.get("text") or "")):
                    texts.append(text)
                    wire.append({"type": "text", "text": text})
            else:
                wire.append({name: value for name, value in block.items() if value is not None})
        reasons = {reason.value: reason for reason in StopReason}
        return LlmReply(
            text="\n".join(texts),
            tool_calls=tuple(calls),
            stop_reason=reasons.get(self._stop_reason or "", StopReason.UNKNOWN),
            usage=self.usage(),
            llm_id=self._llm_id,
            wire_blocks=tuple(wire),
        )


def _tool_call(block: dict[str, Any], raw: str) -> ToolCall:
    arguments: Any = None
    with suppress(ValueError, RecursionError):
        arguments = json.loads(raw) if raw else block.get("input")
    if not isinstance(arguments, dict):
        arguments = None
    return ToolCall(
        id=_valid(str(block["id"])),
        name=_valid(str(block["name"])),
        arguments=_valid(arguments),
        raw=_valid(raw[:2000]),
    )


def _valid(value: Any) -> Any:
    """The value without lone surrogates, which JSON can carry and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_valid(entry) for entry in value]
    if isinstance(value, dict):
        return {_valid(key): _valid(entry) for key, entry in value.items()}
    return value


# What an error of the SDK means: again later, never, the window is full, or a new identity is needed.
#
# The SDK retries before a stream only and waits as long as a server asks, so its own retries are off and this table
# decides. Messages name status, error type and the API's sentence; headers
# never get into them.

_TRANSIENT_TYPE = re.compile(
    r"overloaded|api_error|rate_limit|timeout|throttl|unavailable|internal|streamerror", re.IGNORECASE
)
"""Error types inside a stream: Anthropic's, and Bedrock's exception names."""
_TRANSIENT_STATUS = {408, 409, 429, 499}
_MONEY_CODES = re.compile(r"spend_limit_reached|organization_on_hold|billing_unavailable")
_TOO_LONG = re.compile(r"(prompt|input) is too long|context window|maximum context|too many tokens", re.IGNORECASE)
_MAX_SENTENCE = 600

_HINTS = {
    400: "Check the inputs `model` and `effort`; the sentence above is the API's own.",
    401: "Check the secret behind `anthropic_api_key`, or the federation rule's inputs.",
    402: "Check billing in the Claude Console.",
    403: "The key or the federation rule may not use this workspace or `model`.",
    404: "Check the inputs `model` and `base_url`.",
    413: "The request is larger than the API takes; choose a smaller repository part or `standards`.",
    429: "The organisation's spend limit is reached: raise it in the Claude Console, then put the label again.",
}


class Kind(Enum):
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    CONTEXT_EXCEEDED = "context exceeded"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request. `retry_after` is what the server asked for, in seconds, None when it did not."""

    kind: Kind
    sentence: str
    retry_after: float | None = None
    hint: str | None = None


def understand(error: Exception) -> Failure | None:
    """The failure behind an exception from the SDK or its transport; None when the exception is none of theirs (a bug)."""
    import anthropic
    import httpx2
    from anthropic.lib.credentials import WorkloadIdentityError

    if isinstance(error, BrokenStream):
        return Failure(Kind.TRANSIENT, str(error))
    if isinstance(error, WorkloadIdentityError):
        return _of_identity(error.status_code, str(error))
    if isinstance(error, anthropic.APIStatusError):
        return _of_status(error)
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return Failure(Kind.TRANSIENT, "the API sent nothing for too long")
    if isinstance(error, anthropic.APIConnectionError):
        return Failure(Kind.TRANSIENT, f"no connection to the API ({type(error.__cause__ or error).__name__})")
    if isinstance(error, httpx2.HTTPError):
        return Failure(Kind.TRANSIENT, f"the connection to the API broke ({type(error).__name__})")
    if isinstance(error, anthropic.APIError | ValueError):
        return Failure(Kind.TRANSIENT, f"the API's answer could not be read ({type(error).__name__})")
    if isinstance(error, anthropic.AnthropicError):
        return Failure(Kind.PERMANENT, f"the SDK refused: {str(error)[:_MAX_SENTENCE]}")
    return None


def _of_status(error: Any) -> Failure:
    status, kind, code = error.status_code, error.type, error.error_code or ""
    body = error.body if isinstance(error.body, dict) else {}
    said = str(error.api_message or body.get("message") or "no reason given")[:_MAX_SENTENCE]
    sentence = f"the API answered {status} {kind or 'error'}: {said}"
    if status == 400 and _TOO_LONG.search(said):
        return Failure(Kind.CONTEXT_EXCEEDED, sentence)
    if _MONEY_CODES.search(code) or kind == "billing_error":
        return Failure(Kind.PERMANENT, sentence, hint=_HINTS[429])
    if status < 300:
        fatal = kind is not None and not _TRANSIENT_TYPE.search(kind)
        return Failure(
            Kind.PERMANENT if fatal else Kind.TRANSIENT, f"the API's stream broke off with {kind or 'an error'}: {said}"
        )
    if status in _TRANSIENT_STATUS or status >= 500:
        return Failure(Kind.TRANSIENT, sentence, retry_after=_retry_after(error.response.headers))
    if status == 401 or (status == 403 and "expired" in said.casefold()):
        return Failure(Kind.IDENTITY, sentence, hint=_HINTS[401])
    return Failure(Kind.PERMANENT, sentence, hint=_HINTS.get(status))


def _of_identity(status: int | None, text: str) -> Failure:
    """A failed exchange of the OIDC token (`/v1/oauth/token`): single use (`jti_reused`) or expired, so mint once more."""
    if status is None or status == 429 or status >= 500:
        return Failure(Kind.TRANSIENT, f"the token exchange failed: {text[:_MAX_SENTENCE]}")
    return Failure(Kind.IDENTITY, f"the token exchange was refused: {text[:_MAX_SENTENCE]}", hint=_HINTS[401])


def _retry_after(headers: Any) -> float | None:
    """RFC 9110 `Retry-After`: seconds or a date. Nonsense counts as absent."""
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(0.0, float(said)) if float(said) == float(said) else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 600.0
REQUEST_SECONDS = 900.0
KEYS_LAST_SECONDS = 45 * 60
_LONGEST_BACKOFF = 60.0
_WITHOUT_ADAPTIVE_THINKING = ("claude-haiku-4", "claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-4-1")
_CACHED = {"type": "ephemeral"}


class AnthropicLlm:
    """Answers of one llm. `identity` mints OIDC tokens for federation, `bedrock` gives AWS keys; `uniform` is a source
    of jitter, `say` gets a line for each try that failed.

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
    ) -> None:
        self._settings = settings
        self._region = region
        self._clock = clock
        self._identity = identity
        self._bedrock = bedrock
        self._uniform = uniform or SystemRandom().uniform
        self._say = say
        self._end = clock.monotonic() + working_seconds
        self._deadline = self._end
        self._client: Any = None
        self._client_since = 0.0

    def warm_up(self) -> None:
        """Import the SDK (about a second) in a thread while other work goes on."""
        threading.Thread(target=_import_sdk, daemon=True).start()

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        """One complete answer. A full window is an answer with the stop reason CONTEXT_EXCEEDED; what cannot be cured
        raises LlmError.

        Usage counts every request that was billed, broken ones included.
        """
        request = request_body(self._settings, system=system, tools=tools, turns=turns, max_tokens=max_tokens)
        waited, spent, renewed = 0.0, Usage(), False
        for attempt in range(MAX_ATTEMPTS):
            try:
                answer = self._ask(request)
                return replace(answer, usage=answer.usage + spent)
            except Exception as error:
                failure = understand(error)
                if failure is None:
                    raise
                if isinstance(error, BrokenStream):
                    spent = spent + error.usage
            if failure.kind is Kind.CONTEXT_EXCEEDED:
                return LlmReply(
                    text="",
                    tool_calls=(),
                    stop_reason=StopReason.CONTEXT_EXCEEDED,
                    usage=spent,
                    llm_id=self._settings.model,
                )
            if failure.kind is Kind.IDENTITY and self._renewable and not renewed:
                self._client, renewed = None, True
                self._say(f"Language model: {self._without_key(failure.sentence)}; asking again with a new credential")
                continue
            if failure.kind is not Kind.TRANSIENT:
                raise self._error(failure, "")
            left = min(MAX_WAIT_SECONDS - waited, self._end - self._clock.monotonic())
            wait = wait_before_retry(attempt, failure.retry_after, self._uniform)
            if attempt + 1 == MAX_ATTEMPTS or wait > left:
                asked = (
                    ""
                    if failure.retry_after is None
                    else f"; it asks to wait {failure.retry_after:.0f} s, {max(0.0, left):.0f} s are left"
                )
                raise self._error(failure, f" after {attempt + 1} attempts{asked}")
            said = self._without_key(failure.sentence)
            self._say(
                f"Language model: {said}; that was try {attempt + 1} of at most {MAX_ATTEMPTS}, the next one in {wait:.0f} s"
            )
            self._clock.sleep(wait)
            waited += wait
        raise AssertionError("the loop returns or raises")

    def _ask(self, request: dict[str, Any]) -> LlmReply:
        self._deadline = min(self._end, self._clock.monotonic() + REQUEST_SECONDS)
        assembly = Assembly(self._settings.model)
        try:
            with self._open_client().messages.create(**request, stream=True) as stream:
                return assembly.take_all(stream)
        except BrokenStream:
            raise
        except Exception as error:
            failure = understand(error)
            if failure is not None and failure.kind is Kind.TRANSIENT and assembly.usage() != Usage():
                raise BrokenStream(failure.sentence, assembly.usage()) from None
            raise

    @property
    def _renewable(self) -> bool:
        """Whether a new client comes with a new credential; a key that was refused stays refused."""
        return self._settings.use_bedrock or (self._identity is not None and not self._settings.anthropic_api_key)

    def _open_client(self) -> Any:
        stale = self._settings.use_bedrock and self._clock.monotonic() - self._client_since > KEYS_LAST_SECONDS
        if self._client is None or stale:
            self._client = build_client(
                self._settings,
                region=self._region,
                clock=self._clock,
                deadline=lambda: self._deadline,
                identity=self._identity,
                bedrock=self._bedrock,
            )
            self._client_since = self._clock.monotonic()
        return self._client

    def _error(self, failure: Failure, suffix: str) -> LlmError:
        return LlmError(self._without_key(failure.sentence) + suffix, hint=failure.hint)

    def _without_key(self, sentence: str) -> str:
        key = self._settings.anthropic_api_key
        return sentence.replace(key, "***") if key else sentence


def wait_before_retry(attempt: int, retry_after: float | None, uniform: Callable[[float, float], float]) -> float:
    """Seconds to wait before the next attempt: what the server asked for plus up to a second, else full jitter up to a
    minute.
    """
    if retry_after is not None:
        return retry_after + uniform(0.0, 1.0)
    return uniform(0.0, min(_LONGEST_BACKOFF, 2.0 * 2**attempt))


def request_body(
    settings: LlmSettings, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int
) -> dict[str, Any]:
    """Keyword arguments for `messages.create`. History is only appended to: the newest llms refuse thinking that is
    elsewhere.

    Cache points are on the last tool, the system prompt and the last thing that we said; nothing is inferred from the
    llm's name.
    """
    body: dict[str, Any] = {
        "model": settings.model,
        "max_tokens": max_tokens,
        "system": [{"type": "text", "text": system, "cache_control": _CACHED}],
        "tools": [
            {
                "name": t.name,
                "description": t.description,
                "input_schema": t.input_schema,
                **({} if settings.use_bedrock else {"strict": True}),
            }
            for t in tools
        ],
        "messages": _messages(turns),
    }
    if body["tools"]:
        body["tools"][-1]["cache_control"] = _CACHED
    if settings.effort and not any(name in settings.model for name in _WITHOUT_ADAPTIVE_THINKING):
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {"effort": settings.effort}
    return body


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks = _people_blocks(turn) if isinstance(turn, PeopleTurn) else list(turn.wire_blocks)
        if blocks:
            messages.append({"role": "user" if isinstance(turn, PeopleTurn) else "assistant", "content": _once(blocks)})
    for message in reversed(messages):
        if message["role"] == "user":
            message["content"][-1] = {**message["content"][-1], "cache_control": _CACHED}
            break
    return messages


def _people_blocks(turn: PeopleTurn) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": r.call_id,
            "content": r.text,
            **({"is_error": True} if r.is_error else {}),
        }
        for r in turn.tool_results
    ]
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
