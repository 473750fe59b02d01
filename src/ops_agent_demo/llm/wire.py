"""The Messages API's wire format, outwards: a message, or the server-sent events that spell it.

Shapes: the official SDK's types (`Message`, `RawMessageStreamEvent`); requests are checked against them too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ops_agent_demo.llm.script import Answer

_PIECE = 40
_BYTES_PER_TOKEN = 4


class CacheOfPrefixes:
    """Prompt caching as the API documents it: what a request holds up to a cache point is written, and read by a later
    request that has a cache point at most LOOKBACK blocks behind the end of it; four points, and no short prefixes.
    """

    LOOKBACK = 20
    SHORTEST_TOKENS = 1024
    MOST_POINTS = 4

    def __init__(self) -> None:
        self._known: set[str] = set()

    def usage(self, body: Mapping[str, Any], output_bytes: int) -> dict[str, Any]:
        """Token counts of one request, four bytes a token."""
        hasher, ends = hashlib.sha256(), list[tuple[str, int]]()
        points, total = list[int](), 0
        for block in _blocks(body):
            piece = json.dumps({k: v for k, v in block.items() if k != "cache_control"}, sort_keys=True).encode()
            hasher.update(piece)
            total += len(piece)
            ends.append((hasher.hexdigest(), total))
            if block.get("cache_control") and total >= self.SHORTEST_TOKENS * _BYTES_PER_TOKEN:
                points.append(len(ends) - 1)
        behind = (ends[at] for point in points for at in range(point, max(-1, point - self.LOOKBACK), -1))
        read = max((length for digest, length in behind if digest in self._known), default=0)
        cached = max([read, *(ends[point][1] for point in points)])
        self._known.update(ends[point][0] for point in points)
        return {
            "input_tokens": (total - cached) // _BYTES_PER_TOKEN,
            "cache_creation_input_tokens": (cached - read) // _BYTES_PER_TOKEN,
            "cache_read_input_tokens": read // _BYTES_PER_TOKEN,
            "output_tokens": max(1, output_bytes // _BYTES_PER_TOKEN),
        }


def message(answer: Answer, number: int, llm_id: str, usage: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as one `Message`."""
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": f"signature-{number}"})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for position, (name, arguments) in enumerate(answer.calls):
        blocks.append(
            {"type": "tool_use", "id": f"toolu_{number:04d}{position:02d}", "name": name, "input": dict(arguments)}
        )
    return {
        "id": f"msg_{number:04d}",
        "type": "message",
        "role": "assistant",
        "model": llm_id,
        "content": blocks,
        "stop_reason": answer.stop_reason or ("tool_use" if answer.calls else "end_turn"),
        "stop_sequence": None,
        "usage": dict(usage),
    }


def events(whole: Mapping[str, Any], raw_arguments: str | None = None) -> Iterator[bytes]:
    """The message as server-sent events, text and arguments in small pieces."""
    usage = whole["usage"]
    start = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1} if usage else usage}
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    for index, block in enumerate(whole["content"]):
        last = index + 1 == len(whole["content"])
        yield from _block_events(index, block, raw_arguments if last else None)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.get("output_tokens", 0)}})
    yield _event({"type": "message_stop"})


def error_body(kind: str, text: str, code: str | None = None) -> dict[str, Any]:
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": text, **details}, "request_id": "req_demo"}


def error_event(kind: str, text: str) -> bytes:
    return _event({**error_body(kind, text), "type": "error"})


def request_problem(body: Any, *, is_beta: bool = False) -> str | None:
    """Why the SDK's own types and the API's rules would refuse the request; None when it is sound.

    `is_beta`: the request names context management as a beta feature.
    """
    from pydantic import ValidationError

    adapter, names = _request_type(is_beta)
    if not isinstance(body, dict):
        return "the body is not an object"
    if unknown := set(body) - names:
        return f"unknown fields: {', '.join(sorted(unknown))}"
    try:
        adapter.validate_json(json.dumps({k: v for k, v in body.items() if k != "stream"}))
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return _sequence_problem(body["messages"])


@cache
def _request_type(is_beta: bool) -> tuple[Any, frozenset[str]]:
    from anthropic.types.beta.message_create_params import MessageCreateParamsBase as BetaParams
    from anthropic.types.message_create_params import MessageCreateParamsBase
    from pydantic import TypeAdapter

    params = BetaParams if is_beta else MessageCreateParamsBase
    return TypeAdapter(params), (frozenset(params.__annotations__) | {"stream"}) - {"betas"}


def _sequence_problem(messages: list[dict[str, Any]]) -> str | None:
    """Every tool call is answered in the next message, once, and nothing else is answered."""
    if not messages or messages[0]["role"] != "user":
        return "messages: the first message must be the user's"
    asked: list[str] = []
    for number, entry in enumerate(messages):
        content = entry["content"]
        if not content:
            return f"messages.{number}: content is empty"
        blocks = content if isinstance(content, list) else []
        if any(b["type"] == "text" and not b["text"].strip() for b in blocks):
            return f"messages.{number}: text content blocks must contain non-whitespace text"
        if entry["role"] == "assistant":
            asked = [b["id"] for b in blocks if b["type"] == "tool_use"]
            if len(set(asked)) != len(asked):
                return f"messages.{number}: `tool_use` ids must be unique"
            continue
        answered = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if sorted(answered) != sorted(asked):
            return f"messages.{number}: `tool_use` ids {asked} do not match `tool_result` ids {answered}"
        asked = []
    return None


def _block_events(index: int, block: Mapping[str, Any], raw_arguments: str | None) -> Iterator[bytes]:
    empty: dict[str, Any]
    if block["type"] == "tool_use":
        empty, kind, name = {**block, "input": {}}, "input_json_delta", "partial_json"
        text = json.dumps(block["input"]) if raw_arguments is None else raw_arguments
    elif block["type"] == "thinking":
        empty, kind, name, text = (
            {**block, "thinking": "", "signature": ""},
            "thinking_delta",
            "thinking",
            block["thinking"],
        )
    else:
        empty, kind, name, text = {**block, "text": ""}, "text_delta", "text", block["text"]
    yield _event({"type": "content_block_start", "index": index, "content_block": empty})
    for at in range(0, len(text), _PIECE):
        yield _event(
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text[at : at + _PIECE]}}
        )
    if block["type"] == "thinking":
        delta = {"type": "signature_delta", "signature": block["signature"]}
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def _blocks(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from body.get("tools") or ()
    system = body.get("system") or ()
    yield from [{"type": "text", "text": system}] if isinstance(system, str) else system
    for entry in body["messages"]:
        content = entry["content"]
        yield from [{"type": "text", "text": content}] if isinstance(content, str) else content
