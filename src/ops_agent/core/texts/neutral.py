"""Prose of the llm or of people inside our Markdown.

Paragraphs, lists, emphasis and code stay; everything that acts, links, loads, hides or imitates our own sections is shown as plain text.
"""

from __future__ import annotations

import re
from typing import Final

from ops_agent.core.texts.inert import inert

_FENCE = re.compile(r"[ ]*+(?:(`{3,}+)[^`]*+|(~{3,}+).*+)$")
_PREFIX = re.compile(r"(?:[ ]*+(?:>|[-+*](?= )|[0-9]{1,9}[.)](?= )))*+[ ]*+")
_RULE_LINE = re.compile(r"[-=_*~|:+ ]+$")
_TICKS = re.compile(r"`+")
_SPECIAL = re.compile(r"[\\`<\[\]|$]|&(?=[#A-Za-z])|[A-Za-z][A-Za-z0-9+.-]{0,20}://|(?<![A-Za-z0-9])[wW]{3}\.")
_URL_REST = re.compile(r"[^\s`<>\"'()\[\]{}|\\,;*]*+")
_ESCAPABLE: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_{|}~")
_COMMIT_LINE = re.compile(
    r"(?i)[ >*+-]*+(?:[a-z-]{1,30}-by|skip-checks|on-behalf-of|change-id)[ ]*+[-:]"
    r"|.*\((?:skip ci|ci skip|no ci|skip actions|actions skip)\)"
)


def neutralise(text: str) -> str:
    """`text` as Markdown that can do nothing: no mention, reference, keyword, link, image, HTML, heading, rule, table, command.

    Fenced code stays a code block, with a fence of ours that nothing inside can close. Idempotent; linear in the text's length.
    """
    out: list[str] = []
    block: list[str] = []
    fence = ""
    for line in inert(text).split("\n"):
        if fence:
            bare = line.strip()
            if len(bare) >= len(fence) and set(bare) == {fence[0]}:
                out.append(fence_verbatim("\n".join(block)))
                fence, block = "", []
            else:
                block.append(line)
        elif opened := _FENCE.match(line):
            fence = opened.group(1) or opened.group(2)
        else:
            out.append(_prose_line(line))
    if fence:
        out.append(fence_verbatim("\n".join(block)))
    return "\n".join(out)


def fenced(text: str, language: str = "") -> str:
    """`text` inert and in a code block whose fence is longer than any run of backticks inside."""
    return fence_verbatim(inert(text), language)


def fence_verbatim(text: str, language: str = "") -> str:
    """`text` byte for byte in a code block that it cannot close: for text that is inert already, or that must stay as it is."""
    ticks = "`" * max(3, 1 + _longest_ticks(text))
    return f"{ticks}{language}\n{text}\n{ticks}"


def cell(text: str) -> str:
    """`text` neutralised on one line, for a table's cell: `|` would end it."""
    return _prose_line(" ".join(inert(text).split()).replace("|", "¦"))


def list_item(text: str) -> str:
    """`text` neutralised on one line, inside a list's item and never in a table: `|` stays, so that code in it can be copied."""
    return _prose_line(" ".join(inert(text).split()))


def code(text: str) -> str:
    """`text` inert on one line as a code span (an address, a path, a name); safe in a table's cell."""
    flat = " ".join(inert(text).split()).replace("|", "¦")
    ticks = "`" * (1 + _longest_ticks(flat))
    pad = " " if not flat or flat[0] == "`" or flat[-1] == "`" else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def neutralise_commit(text: str) -> str:
    """`text` for a commit message: inert; lines with a trailer or a skip mark go (G14). Idempotent."""
    kept = [line.rstrip() for line in inert(text).split("\n") if not _COMMIT_LINE.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)


def _prose_line(line: str) -> str:
    line = line.rstrip()
    found = _PREFIX.match(line)
    prefix = found.group() if found else ""
    rest = line[len(prefix) :]
    if rest and (rest[0] in "#/" or rest.startswith("~~~") or _RULE_LINE.match(rest)):
        rest = "\\" + rest
    return prefix + _inline(rest)


def _inline(line: str) -> str:
    """One line after its block marks: code spans that open and close on it stay; a lone backtick is escaped: none pairs across lines."""
    closings = _closings(line)
    out: list[str] = []
    at = 0
    while found := _SPECIAL.search(line, at):
        out.append(line[at : found.start()])
        at = found.end()
        mark = found.group()
        if mark == "\\":
            if line[at : at + 1] == "`":
                length = closings[at][0]
                mark = "\\`" * length
                at += length
            elif line[at : at + 1] in _ESCAPABLE:
                mark += line[at]
                at += 1
            out.append(mark)
        elif mark == "`":
            at, piece = _ticks(line, found.start(), closings)
            out.append(piece)
        elif len(mark) == 1:
            out.append("\\" + mark)
        else:
            rest = _URL_REST.match(line, at)
            at = rest.end() if rest else at
            while at > found.end() and line[at - 1] in ".:!?":
                at -= 1
            before = " " if "".join(out[-2:])[-1:] in ("`", "\\") else ""
            after = " " if line[at : at + 1] == "`" else ""
            out.append(f"{before}`{line[found.start() : at]}`{after}")
    out.append(line[at:])
    return "".join(out)


def _ticks(line: str, start: int, closings: dict[int, tuple[int, int]]) -> tuple[int, str]:
    length, end = closings[start]
    return (end, line[start:end]) if end else (start + length, "\\`" * length)


def _closings(line: str) -> dict[int, tuple[int, int]]:
    """For each run of backticks: its length, and where the code span that it would open ends (0: nowhere on this line)."""
    closings: dict[int, tuple[int, int]] = {}
    following: dict[int, int] = {}
    for run in reversed(list(_TICKS.finditer(line))):
        length = len(run.group())
        closings[run.start()] = (length, following.get(length, 0))
        following[length] = run.end()
    return closings
