"""The log, the outputs and the summary of a job, read back as the runner reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_agent.adapters.runner.job_log import ActionsReporter


def commands_in(log: str) -> list[tuple[str, str]]:
    """The workflow commands that a runner would carry out: both spellings, and the stop token respected."""
    found, stopped = [], None
    for line in re.split(r"\r\n|\n|\r", log):
        if stopped is not None:
            if line.strip() == f"::{stopped}::":
                stopped = None
            continue
        if match := re.match(r"\s*::([\w-]+)(?:\s[^:]*)?::(.*)", line):
            if match[1] == "stop-commands":
                stopped = match[2]
            else:
                found.append((match[1], match[2]))
        elif match := re.search(r"##\[([\w-]+)[^\]]*\](.*)", line):
            found.append((match[1], match[2]))
    return found


def outputs_in(text: str) -> dict[str, str]:
    """A file command as the runner parses it."""
    found, lines, at = {}, text.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line:
            continue
        name, mark, delimiter = line.partition("<<")
        assert mark, f"a line that is no heredoc: {line!r}"
        value = []
        while lines[at] != delimiter:
            value.append(lines[at])
            at += 1
        at += 1
        found[name] = "\n".join(value)
    return found


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    made = {}
    for name in ("OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY"):
        made[name] = tmp_path / name
        made[name].write_text("")
        monkeypatch.setenv(f"GITHUB_{name}", str(made[name]))
    return made


def reporter(redact: object = None) -> ActionsReporter:
    return ActionsReporter(redact if callable(redact) else lambda text: text)
