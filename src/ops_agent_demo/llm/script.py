"""What the scripted llm says: steps that react to the last message.

A script is a Python generator, or a YAML file (`load_script`) such as

    name: queue                         # for messages about the script
    match: "Queue for orders"           # plays when the first message holds this text; without it, always
    steps:
      - say: "I look at the layout first."
        calls:
          - list: {glob: "**/*.tf"}
          - read: {paths: [infra/main.tf]}
      - calls:
          - edit: {edits: [{path: infra/queue.tf, new_file: files/queue.tf}]}     # beside the script
          - check: {}
      - if_result: "not formatted"      # a regular expression over the last tool results; the step is skipped when it
        is absent
        calls:
          - edit: {edits: [{path: infra/queue.tf, new_file: files/queue-formatted.tf}]}
      - unless_result: "passed"         # skipped when the expression is there
        calls:
          - check: {}
      - if_text: "came back"            # the same over the last text that we wrote (a repair round begins with one)
        calls: []
      - fault: overloaded               # see FAULTS, or Bedrock's ERRORS; the next request gets the next step
        times: 2
      - calls:
          - finish: {title: "...", description: "..."}
      - stop_reason: end_turn           # default: tool_use with calls, end_turn without
        say: "done"

Steps are played once, in their order; a skipped step is gone. After the last one the llm answers `AFTER_THE_END`. A
repeated step is written `repeat: 3`. Everything after the words is computed for real: the script only chooses the
words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops_agent_demo.llm import bedrock

AFTER_THE_END = "I have nothing more to say."
FAULTS = (
    "rate_limit",
    "overloaded",
    "server_error",
    "sse_overloaded",
    "cut",
    "cut_in_tool",
    "stall",
    "reset",
    "too_long",
    "no_model",
    "unknown_field",
    "unauthorised",
    "spend_limit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request as the script sees it: the parsed body and the pieces a reaction needs."""

    body: Mapping[str, Any]

    @property
    def first_text(self) -> str:
        return _texts(self.body["messages"][0])

    @property
    def last_text(self) -> str:
        """Text blocks of the last message."""
        return _texts(self.body["messages"][-1])

    @property
    def last_results(self) -> str:
        """Contents of the tool results in the last message."""
        content = self.body["messages"][-1]["content"]
        blocks = content if isinstance(content, list) else []
        return "\n".join(_flat(b.get("content", "")) for b in blocks if b.get("type") == "tool_result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the llm says: text, tool calls (name, arguments), or a fault.

    `stop_reason` None means tool_use with calls and end_turn without. `raw_arguments` replaces the JSON text of the
    last call.
    """

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    stop_reason: str | None = None
    fault: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_arguments: str | None = None
    usage: Mapping[str, Any] | None = None
    thinking: str = ""


Player = Generator[Answer, Exchange, None]
"""Primed with `next`, then sent one Exchange for each request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """`play` starts the script for one conversation; it plays when `match` is in the conversation's first message."""

    play: Callable[[], Player]
    match: str = ""
    name: str = "script"


def of_answers(*answers: Answer, match: str = "") -> Script:
    """A script without reactions: these answers in order."""

    def play() -> Player:
        yield Answer()
        for answer in answers:  # noqa: UP028 - a tuple cannot be sent an exchange
            yield answer

    return Script(play=play, match=match)


def load_script(path: Path) -> Script:
    """The script in a YAML file. Raises ValueError that names the step when it is malformed."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise ValueError(f"{path.name}: a script is a mapping with a list of `steps`")
    steps = [_Step.of(step, number, path) for number, step in enumerate(document["steps"], start=1)]

    def play() -> Player:
        exchange = yield Answer()
        for step in steps:
            for _ in range(step.times):
                if step.fits(exchange):
                    exchange = yield step.answer

    return Script(play=play, match=str(document.get("match", "")), name=str(document.get("name", path.stem)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    answer: Answer
    times: int
    if_result: str | None
    unless_result: str | None
    if_text: str | None

    _KEYS = frozenset(
        {"say", "calls", "fault", "times", "repeat", "stop_reason", "if_result", "unless_result", "if_text", "thinking"}
    )

    @classmethod
    def of(cls, step: Any, number: int, path: Path) -> _Step:
        where = f"{path.name}, step {number}"
        if not isinstance(step, dict) or (unknown := set(step) - cls._KEYS):
            raise ValueError(
                f"{where}: a step is a mapping of {', '.join(sorted(cls._KEYS))}"
                + (f", not {unknown}" if isinstance(step, dict) else "")
            )
        if step.get("fault") not in (None, *FAULTS, *bedrock.ERRORS):
            raise ValueError(f"{where}: unknown fault {step['fault']!r}; there are {', '.join(FAULTS)}")
        calls = tuple(_call(call, where, path.parent) for call in step.get("calls") or ())
        answer = Answer(
            text=str(step.get("say", "")),
            calls=calls,
            stop_reason=step.get("stop_reason"),
            fault=step.get("fault"),
            thinking=str(step.get("thinking", "")),
        )
        times = int(step.get("times") or step.get("repeat") or 1)
        return cls(
            answer=answer,
            times=times,
            if_result=step.get("if_result"),
            unless_result=step.get("unless_result"),
            if_text=step.get("if_text"),
        )

    def fits(self, exchange: Exchange) -> bool:
        if self.if_result is not None and not re.search(self.if_result, exchange.last_results):
            return False
        if self.unless_result is not None and re.search(self.unless_result, exchange.last_results):
            return False
        return self.if_text is None or re.search(self.if_text, exchange.last_text) is not None


def _call(call: Any, where: str, folder: Path) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(call, dict) or len(call) != 1:
        raise ValueError(f"{where}: a call is `tool: {{arguments}}`")
    ((name, arguments),) = call.items()
    return str(name), _filled(arguments or {}, folder)


def _filled(arguments: Any, folder: Path) -> Any:
    """The arguments with the file's text in the place of `..._file`, at any depth."""
    if isinstance(arguments, list):
        return [_filled(one, folder) for one in arguments]
    if not isinstance(arguments, dict):
        return arguments
    return {
        key.removesuffix("_file"): (folder / value).read_text(encoding="utf-8")
        if key.endswith("_file")
        else _filled(value, folder)
        for key, value in arguments.items()
    }


def _texts(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(b["text"] for b in content if b.get("type") == "text")


def _flat(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(b.get("text", "") for b in content)
