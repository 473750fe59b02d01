"""Small parts of our own Markdown, and what does not fit into a page."""

from __future__ import annotations

import html
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ops_agent.model.conversation import Transcript
from ops_agent.text.markdown import cell, one_line

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

IN_SUMMARY: Final = "in the job summary"
NOTES: Final = "> [!IMPORTANT]\n"


@dataclass(slots=True)
class Overflow:
    """What did not fit, by title; the job summary shows it."""

    parts: list[str] = field(default_factory=list)

    def add(self, title: str, markdown: str) -> None:
        self.parts.append(f"### {title}\n\n{markdown}")

    @property
    def text(self) -> str:
        return "\n\n".join(self.parts)


def counted(number: int, noun: str) -> str:
    """`1 finding`, `1,200 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def spent(transcript: Transcript) -> str:
    """`3 turns, $0.12, 1,234 tokens in ...`: what the conversation cost."""
    usage = transcript.usage
    return f"{counted(transcript.turn_count, 'turn')}, ${usage.cost_usd:.2f}, {usage.tokens_in_words}"


def capped(items: Sequence[str], most: int, rest: str = "") -> list[str]:
    """At most `most` list items; what is left out is counted, and `rest` says where it is."""
    return [*items[:most], *left_out(len(items) - most, rest)]


def items(texts: Iterable[str], most: int = 20, longest: int = 4_000) -> list[str]:
    """The first `most` of `texts`, from anywhere, as list items; a longer one is cut with a mark."""
    shown = [text for text in texts if text.strip()][:most]
    return [f"- {cell(text if len(text) <= longest else f'{text[:longest]}…')}" for text in shown]


def left_out(number: int, rest: str = "") -> list[str]:
    """The list item that counts what is left out; none for nothing."""
    return [f"- **and {number:,} more{rest and ' '}{rest}**"] if number > 0 else []


def details(summary: str, content: str, *, is_open: bool = False) -> str:
    """A collapsible part. `summary` is plain text from anywhere."""
    title = html.escape(one_line(summary))
    return f"<details{' open' if is_open else ''}><summary>{title}</summary>\n\n{content}\n\n</details>"


def joined(*parts: str) -> str:
    """Paragraphs; empty ones are left out."""
    return "\n\n".join(part for part in parts if part)


def with_notes(body: str, notes: Sequence[str]) -> str:
    """`body` with what publication notes, as Markdown, below its first line: the headline stays first."""
    first, _, rest = body.partition("\n\n")
    return joined(first, NOTES + "\n>\n".join(f"> {note}" for note in notes) if notes else "", rest)


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values of each key, both in their order."""
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
