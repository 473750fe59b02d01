"""One answer from the events of the Messages API, all or nothing, and what it cost.

Event and block shapes: the SDK's types `RawMessageStreamEvent` and `ContentBlock`. Arguments of a tool call are parsed
strictly once the block is closed: a partial JSON text never becomes a call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import LlmReply, StopReason, ToolCall, Usage

_MAX_COUNT = 10**9
_APPENDED = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class BrokenStream(Exception):
    """The stream ended early or made no sense. `usage` was billed all the same."""

    def __init__(self, why: str, usage: Usage) -> None:
        super().__init__(why)
        self.usage = usage


class Assembly:
    """Collects the events of one stream. `usage()` may be asked at any time."""

    def __init__(self, llm_id: str, surcharge: float = 1.0) -> None:
        self._llm_id = llm_id
        self._surcharge = surcharge
        self._blocks: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, str] = {}
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
                why = f"the API sent an event that makes no sense ({type(error).__name__})"
                raise BrokenStream(why, self.usage()) from None
        if not self._ended or self._open:
            raise BrokenStream("the API's stream ended before the answer was complete", self.usage())
        return self._reply()

    def usage(self) -> Usage:
        """What was reported so far; missing or negative numbers count as zero."""
        counts = self._counts
        usage = Usage(
            input_tokens=counts.get("input_tokens", 0),
            output_tokens=counts.get("output_tokens", 0),
            cache_read_tokens=counts.get("cache_read_input_tokens", 0),
            cache_write_tokens=counts.get("cache_creation_input_tokens", 0),
        )
        return replace(usage, cost_usd=cost_of(self._llm_id, usage) * self._surcharge)

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
            self._arguments[index] = self._arguments.get(index, "") + str(delta["partial_json"])
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
                call = _tool_call(block, self._arguments.get(index, ""))
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
    return ToolCall(
        id=_valid(str(block["id"])),
        name=_valid(str(block["name"])),
        arguments=_valid(arguments) if isinstance(arguments, dict) else None,
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


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: float
    output: float
    cache_write: float
    cache_read: float


@cache
def _prices() -> dict[str, Price]:
    """The API's price list by family of llms."""
    families = json.loads(files(__package__).joinpath("prices.json").read_text(encoding="utf-8"))["families"]
    return {name: Price(*row) for name, row in families.items()}


def price_of(llm_id: str) -> Price:
    """The price of an llm id, also inside an id or ARN of Bedrock's (`eu.anthropic.claude-opus-5-5-v1:0`).

    What is not listed has the dearest listed rates, so that a budget errs on the safe side.
    """
    start, listed = llm_id.find("claude-"), _prices()
    family = llm_id[start:] if start >= 0 else ""
    found = [name for name in listed if family.startswith(name) and not family.removeprefix(name)[:1].isalnum()]
    return listed[max(found, key=len)] if found else Price(*map(max, *listed.values()))


def surcharge_of(settings: LlmSettings) -> float:
    """Bedrock's and Vertex's prices by the list's: a tenth higher unless the answer may come from anywhere."""
    if settings.vertex_project:
        return 1.0 if settings.vertex_region == "global" else 1.1
    return 1.1 if settings.use_bedrock and "global.anthropic." not in settings.model else 1.0


def cost_of(llm_id: str, usage: Usage) -> float:
    """US dollars."""
    price = price_of(llm_id)
    cost = usage.input_tokens * price.input + usage.output_tokens * price.output
    cost += usage.cache_read_tokens * price.cache_read + usage.cache_write_tokens * price.cache_write
    return cost / 1_000_000
