"""A job of the consumer's workflow: what it is given, the lines that it logs, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ESCAPES = {"%25": "%", "%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}
_SHOWN = ("group", "endgroup", "notice", "warning", "error")
_COMMAND = re.compile(r"::([\w-]+)(?: ([^:]*))?::(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`event_name` and `event` as GitHub would send them; `files` is the default branch; `variables` are the runner's,
    `secrets` and `repository_variables` the repository's; `command` is the step's."""

    event_name: str
    event: Mapping[str, Any]
    actor: str
    files: Mapping[str, bytes]
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    repository_variables: Mapping[str, str]
    command: str = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """`kind` is text, group, endgroup, notice, warning, error, output (`name`), summary or trouble (the engine's own
    words).
    """

    kind: str
    text: str
    name: str = ""


@dataclass(slots=True)
class JobEnd:
    """What a job left behind: outputs of the step that ran ops-agent, its job summary, annotations, and the whole log
    as text.
    """

    exit_code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    annotations: list[LogLine] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def take(self, line: LogLine) -> None:
        """One more line."""
        if line.kind == "output":
            if line.text:
                self.outputs[line.name] = line.text
        elif line.kind == "summary":
            # act reports it for the step inside the composite action, and again for the action.
            if line.text not in self.summary:
                self.summary += line.text
        else:
            self.log.append(line.text if line.kind in ("text", "trouble") else f"[{line.kind}] {line.text}")
            if line.kind in ("notice", "warning", "error"):
                self.annotations.append(line)


def read_log_line(record: Mapping[str, Any]) -> LogLine | None:
    """A record of act's JSON log as a line, None for a record that concerns only act itself."""
    command = str(record.get("command", ""))
    if record.get("raw_output"):
        return LogLine(kind="text", text=str(record["msg"]).rstrip("\n"))
    if command == "set-output":
        return LogLine(kind="output", name=str(record.get("name", "")), text=str(record.get("arg", "")))
    if command == "summary":
        return LogLine(kind="summary", text=str(record.get("content", "")))
    if command in _SHOWN:
        return LogLine(kind=command, text=_place(record.get("kvPairs")) + str(record.get("arg", "")))
    if record.get("level") == "error" and "job" not in record:
        return LogLine(kind="trouble", text=str(record.get("msg", "")).strip())
    return None


class StepOutput:
    """A step's own output, read as a runner reads it: commands are separated from text, and after `::stop-commands::`
    they are text until the stop ends.
    """

    def __init__(self) -> None:
        self._resumes_at = ""

    def read(self, raw: str) -> LogLine | None:
        """The line of the log; None for a command that a runner obeys without showing it: a mask (it contains a
        secret), a stop, or the end of a stop.
        """
        if self._resumes_at:
            if raw == f"::{self._resumes_at}::":
                self._resumes_at = ""
                return None
            return LogLine(kind="text", text=raw)
        found = _COMMAND.fullmatch(raw)
        if found is None or found[1] not in (*_SHOWN, "add-mask", "stop-commands"):
            return LogLine(kind="text", text=raw)
        if found[1] == "stop-commands":
            self._resumes_at = found[3]
        if found[1] not in _SHOWN:
            return None
        pairs = dict(pair.partition("=")[::2] for pair in (found[2] or "").split(",") if pair)
        return LogLine(kind=found[1], text=_place({k: _unescaped(v) for k, v in pairs.items()}) + _unescaped(found[3]))


def _place(pairs: Mapping[str, str] | None) -> str:
    if not pairs or not pairs.get("file"):
        return ""
    return f"{pairs['file']}:{pairs['line']}: " if pairs.get("line") else f"{pairs['file']}: "


def _unescaped(text: str) -> str:
    for code, character in _ESCAPES.items():
        if code != "%25":
            text = text.replace(code, character)
    return text.replace("%25", "%")
