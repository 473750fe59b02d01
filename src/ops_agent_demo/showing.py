"""The demo on the terminal: steps with their time, the job's log as it grows, and the pull request at the end."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from fake_github.objects import PullRequest
from ops_agent_demo.job import LogLine

_TAG = re.compile(r"</?(?:details|summary|br|sub|sup|b|i|code|a)\b[^>]*>|<!--.*?-->", re.DOTALL)
_DIAGRAM = re.compile(r"^```mermaid\n.*?^```\n", re.DOTALL | re.MULTILINE)
_MARKS = {"notice": ("·", "cyan"), "warning": ("!", "yellow"), "error": ("✗", "red"), "trouble": ("✗", "red")}


class Show:
    """One demo's output. On a terminal the running step has a spinner, elsewhere every step is two lines."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self.console = console
        self._verbose = verbose
        self._group, self._since = "", time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A step of the demo itself."""
        started = time.monotonic()
        with self.console.status(f"{what} ..."):
            yield
        self.console.print(Text.assemble(("✓ ", "green"), what, (f"  {time.monotonic() - started:.1f} s", "dim")))

    def log(self, line: LogLine) -> None:
        """One line of the job's log: headings and annotations always, the rest dimmed, shortened unless verbose."""
        if line.kind == "group":
            self._group, self._since = line.text, time.monotonic()
            self.console.print(Text.assemble(("  ▸ ", "blue"), line.text))
        elif line.kind == "endgroup" and self._group:
            self.console.print(Text(f"    {self._group}: {time.monotonic() - self._since:.1f} s", style="dim"))
            self._group = ""
        elif line.kind in _MARKS:
            mark, colour = _MARKS[line.kind]
            self.console.print(Text(f"    {mark} {line.text}", style=colour))
        elif line.kind == "text" and line.text.strip():
            text = line.text if self._verbose or len(line.text) <= 150 else line.text[:149] + "…"
            self.console.print(Text(f"    {text}", style="dim"))

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def pull_request(self, pull: PullRequest) -> None:
        """The pull request as a person would read it: title, text, files."""
        state = "draft" if pull.draft else pull.state
        heading = f"[{state}] {pull.title}  #{pull.number}"
        files = "\n".join(
            f"{file.status:<9} +{file.additions:<4} -{file.deletions:<4} {file.path}" for file in pull.files
        )
        body = Group(
            Markdown(readable(pull.body), code_theme="ansi_dark"),
            Text("\nFiles changed", style="bold"),
            Syntax(files, "text", background_color="default"),
        )
        self.console.print(
            Panel(
                body,
                title=Text(heading, style="bold"),
                subtitle=Text(f"{pull.head} → {pull.base}", style="dim"),
                border_style="green",
            )
        )

    def outcomes(self, rows: list[tuple[str, str, str]]) -> None:
        """What became of every issue: issue, column on the board, pull request or reason."""
        table = Table(title="What became of the issues", title_justify="left", header_style="bold")
        for heading in ("issue", "board", "result"):
            table.add_column(heading)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print(table)


def readable(body: str) -> str:
    """Markdown of a pull request without the HTML that only a browser shows; a fold becomes a bold line."""
    body = _DIAGRAM.sub("", body)
    body = re.sub(
        r"<summary>(.*?)</summary>", lambda found: f"\n**{_TAG.sub('', found[1]).strip()}**\n", body, flags=re.DOTALL
    )
    return _TAG.sub("", body)
