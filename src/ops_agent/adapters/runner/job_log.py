"""The job's log, annotations, summary and outputs on GitHub Actions, through `actions_toolkit.core`.

What that library lacks is done here: the job summary, masks of several lines, `::stop-commands::` around echoed text, a
closed stdout. What it offers and we must not use is not called: `set_failed` ends the process, `export_variable`,
`add_path` and `save_state` write GITHUB_ENV, GITHUB_PATH and GITHUB_STATE, which later steps trust.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actions_toolkit import core  # type: ignore[import-untyped]  # it ships no types

from ops_agent.adapters.runner.printing import closed_redaction, escape_controls
from ops_agent.model.finding import Place

SUMMARY_LIMIT = 1024 * 1024
_CUT = "\n\n*(cut here: a job summary holds at most 1 MiB)*\n"
_ANNOTATION_LIMIT = 4_000
_OUTPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


class ActionsReporter:
    """ports.Reporter for a job on GitHub Actions. `redact` is applied to every text first; safe for several threads."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = closed_redaction(redact)
        self._lock = threading.Lock()
        self._depth = 0
        self._writable = sys.stdout is not None
        with suppress(AttributeError, ValueError, OSError):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]  # LC_ALL=C

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A folded group; groups cannot be nested, so an inner stage is a line."""
        self._depth += 1
        if self._depth == 1:
            self._emit(core.start_group, _one_line(self._redact(name)))
        else:
            self.line(name)
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._emit(core.end_group)

    def line(self, text: str) -> None:
        self._emit(core.info, _inert(escape_controls(self._redact(text))))

    def turn(self, number: int, cost_usd: float, note: str) -> None:
        self.line(f"turn {number}, ${cost_usd:.2f}" + (f": {_one_line(note)}" if note else ""))

    def annotate(self, level: str, text: str, place: Place | None = None) -> None:
        write: Callable[..., Any] = {"notice": core.notice, "warning": core.warning}.get(level, core.error)
        where: dict[str, Any] = {}
        if place is not None:
            where = {"file": escape_controls(self._redact(place.path))} | (
                {"start_line": place.line} if place.line else {}
            )
        self._emit(write, escape_controls(self._redact(text))[:_ANNOTATION_LIMIT], **where)

    def mask(self, secret: str) -> None:
        """Each line by itself: the runner masks line by line."""
        for part in secret.splitlines():
            if part.strip():
                self._emit(core.set_secret, part.strip())

    def output(self, name: str, text: str) -> None:
        """Nothing without GITHUB_OUTPUT: the old `::set-output` command is not used."""
        if not _OUTPUT_NAME.match(name):
            raise ValueError(f"{name!r} cannot be the name of an output")
        if not os.environ.get("GITHUB_OUTPUT"):
            return
        try:
            core.set_output(name, self._redact(text).encode("utf-8", "replace").decode())
        except Exception as error:  # actions_toolkit raises bare Exception for a missing file
            self.annotate("warning", f"The output {name} could not be written: {type(error).__name__}.")

    def summary(self, markdown: str) -> None:
        target = os.environ.get("GITHUB_STEP_SUMMARY")
        if not target:
            return
        content = (self._redact(markdown).rstrip("\n") + "\n").encode("utf-8", "replace")
        try:
            path = Path(target)
            space = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
            if len(content) > space:
                content = _cut(content, space)
            with path.open("ab") as file:
                file.write(content)
        except OSError as error:
            self.annotate("warning", f"The job summary could not be written: {error.strerror}.")

    def _emit(self, write: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """A closed or broken standard output silences the log, not the run."""
        with self._lock:
            if not self._writable:
                return
            try:
                write(*arguments, **options)
                sys.stdout.flush()
            except (OSError, ValueError):
                self._writable = False


def _inert(text: str) -> str:
    """Text in which the runner finds no command: between `::stop-commands::` and a token that nobody can guess."""
    if "::" not in text and "##[" not in text:
        return text
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}\n::{token}::"


def _one_line(text: str) -> str:
    return " ".join(escape_controls(text).split())[:200]


def _cut(content: bytes, space: int) -> bytes:
    """The whole lines of `content` that fit, and a visible mark; nothing when not even the mark fits."""
    mark = _CUT.encode()
    if space < len(mark):
        return b""
    return content[: content.rfind(b"\n", 0, space - len(mark)) + 1] + mark
