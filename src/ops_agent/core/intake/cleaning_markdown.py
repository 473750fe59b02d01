"""One structural pass over Markdown: what a reader of the rendered page does not see is cut.

CommonMark's block grammar (markdown-it-py, as GitHub's cmark) says what is code, HTML, table or paragraph; each is read by its own rules.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ops_agent.core.intake.cleaning_html import drop_comment_marks, scan_block
from ops_agent.core.intake.cleaning_inline import InlineScan
from ops_agent.core.intake.cleaning_page import Page, Stretch

# Block structure only: the inline rules of markdown-it are not linear, ours are.
_GRAMMAR = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").disable("inline")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_CONTAINERS = re.compile(r"(?:[ \t]*(?:>|[-*+](?=[ \t])|[0-9]{1,9}[.)](?=[ \t])))*[ \t]*")
_ONLY_MARKS = re.compile(r"[\s>*+\-.)(|:=_~`#0-9]*")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]:")
_PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")
_INFO = re.compile(r"(`{3,}|~{3,})[ \t]*(\S*)")
_LANGUAGES = re.compile(
    "hcl|terraform|tf|tfvars|jsonc?|ya?ml|toml|ini|conf|env|properties|bash|sh|shell|zsh|console|powershell|python|py|javascript|js|typescript|"
    "ts|go|java|csharp|sql|xml|html|css|dockerfile|makefile|diff|patch|text|txt|plain|plaintext|log|output|csv|markdown|md|http|graphql",
    re.IGNORECASE,
)
# Fences that GitHub draws as a picture: their source, with its comments, is not on the page.
_DRAWN = re.compile("mermaid|math|geojson|topojson|stl", re.IGNORECASE)


def strip_hidden(source: str) -> tuple[str, dict[str, int]]:
    """`source` (line ends LF) without what its rendered page hides, entities decoded; and how many things of each sort were cut."""
    page = Page(source)
    environment: dict[str, Any] = {}
    tokens = _GRAMMAR.parse(source, environment)
    lines = _Lines(source)
    covered = bytearray(len(lines.starts))
    defined = environment.get("references", {})
    definitions = [*defined.values(), *environment.get("duplicate_refs", [])]
    for definition in definitions:
        first, last = definition["map"]
        lines.cover(covered, first, last)
        page.cut(lines.starts[first], lines.end(last - 1), "link definition")
        if _FOOTNOTE.match(source[lines.starts[first] :].lstrip()[:200]):
            _cut_footnote(page, lines, covered, first, last)
    for token in _leaves(tokens):
        if token.map is None:
            continue
        first, last = token.map
        if page.ended or covered[first]:
            continue
        if token.type in ("inline", "html_block"):
            lines.cover(covered, first, last)
            stretch = lines.stretch(first, token.content)
            if token.type == "html_block":
                scan_block(page, stretch)
            else:
                _paragraph(page, lines, covered, stretch, first, last, defined)
            _decode(page, stretch)
        elif token.type == "table_open":
            lines.cover(covered, first, last)
            _table(page, lines, first, last, defined)
        else:
            lines.cover(covered, first, last)
            _code(page, lines, token, first, last)
    if not page.ended:
        for number, seen in enumerate(covered):
            if not seen and not _ONLY_MARKS.fullmatch(source, lines.starts[number], lines.end(number)):
                page.cut(lines.starts[number], lines.end(number), "text nested too deeply")
    return page.result()


class _Lines:
    def __init__(self, source: str) -> None:
        self.source = source
        self.starts = [0]
        self.starts += [found.end() for found in re.finditer("\n", source)]

    def end(self, number: int) -> int:
        """End of a line, without its line feed."""
        return self.starts[number + 1] - 1 if number + 1 < len(self.starts) else len(self.source)

    def text(self, number: int) -> str:
        return self.source[self.starts[number] : self.end(number)]

    @staticmethod
    def cover(covered: bytearray, first: int, last: int) -> None:
        covered[first:last] = b"\x01" * (min(last, len(covered)) - first)

    def stretch(self, first: int, content: str) -> Stretch:
        """The lines from `first` on as the parser saw them: `content` without what containers put before each line."""
        texts, starts, sources, length = list[str](), list[int](), list[int](), 0
        for offset, seen in enumerate(content.rstrip("\n").split("\n")):
            number = first + offset
            if number >= len(self.starts):
                break
            line, bare = self.text(number), seen.strip()
            indent = line.rfind(bare) if bare else len(line)
            if indent < 0:  # tabs that the parser widened inside the line: keep all of it
                indent = 0
            own = line[indent : indent + len(bare)] if line[indent:].startswith(bare) else line
            texts.append(own)
            starts.append(length)
            sources.append(self.starts[number] + indent)
            length += len(own) + 1
        return Stretch("\n".join(texts), tuple(starts), tuple(sources))


def _leaves(tokens: list[Token]) -> Iterator[Token]:
    inside_table = False
    for token in tokens:
        if token.type in ("table_open", "table_close"):
            inside_table = token.type == "table_open"
        if token.type == "table_open" or (not inside_table and token.type in ("inline", "html_block", "fence", "code_block")):
            yield token


def _paragraph(page: Page, lines: _Lines, covered: bytearray, stretch: Stretch, first: int, last: int, defined: dict[str, Any]) -> None:
    for offset, start in enumerate(stretch.starts):
        if _FOOTNOTE.match(stretch.text, start):
            _cut_footnote(page, lines, covered, first + offset, last)
            stretch = Stretch(stretch.text[: max(start - 1, 0)], stretch.starts[: max(offset, 1)], stretch.sources[: max(offset, 1)])
            break
    InlineScan(page, stretch, defined).run()


def _cut_footnote(page: Page, lines: _Lines, covered: bytearray, first: int, last: int) -> None:
    """A footnote and the indented blocks that belong to it: a footnote that nothing refers to is not on the page."""

    def indent(number: int) -> int:
        line = lines.text(number).expandtabs(4)
        return len(line) - len(line.lstrip("> "))

    own = indent(first)
    while last < len(lines.starts) and (not lines.text(last).strip("> \t") or indent(last) >= own + 4):
        last += 1
    lines.cover(covered, first, last)
    page.cut(lines.starts[first], lines.end(last - 1), "footnote")


def _table(page: Page, lines: _Lines, first: int, last: int, defined: dict[str, Any]) -> None:
    """A table cell is a paragraph of its own; cells beyond the header's are not on the page."""
    columns = 0
    for number in range(first, last):
        line = lines.text(number)
        found = _CONTAINERS.match(line)
        start, end = found.end() if found else 0, len(line.rstrip())
        start += line[start:end].startswith("|")
        pipes = [pipe.end() - 1 for pipe in _PIPE.finditer(line, start, end)]
        if not pipes or pipes[-1] != end - 1:
            pipes.append(end)
        columns = columns or len(pipes)
        if len(pipes) > columns and number != first + 1:
            page.cut(lines.starts[number] + pipes[columns - 1], lines.end(number), "cell outside the table")
        for stop in pipes[:columns]:
            cell = Stretch(line[start:stop], (0,), (lines.starts[number] + start,))
            if cell.text.strip() and not page.ended:
                InlineScan(page, cell, defined).run()
                _decode(page, cell)
            start = stop + 1


def _code(page: Page, lines: _Lines, token: Token, first: int, last: int) -> None:
    """Code stays readable; of the info string only the name of a known language stays."""
    start, end = lines.starts[first], lines.end(last - 1)
    if token.type == "fence":
        line = lines.text(first)
        info = _INFO.search(line)
        language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        if _DRAWN.match(language):
            page.cut(start, end, "drawn code block")
            return
        if info is not None and token.info.strip():
            keep = info.end(2) if _LANGUAGES.fullmatch(info[2]) else info.end(1)
            if line[keep:].strip():
                page.cut(start + keep, start + len(line), "words after a code fence")
        start += len(line)
    drop_comment_marks(page, start, end)


def _decode(page: Page, stretch: Stretch) -> None:
    for found in _ENTITY.finditer(stretch.text):
        decoded = html.unescape(found[0])
        if decoded != found[0]:
            # A line feed or tab that is written as an entity makes no line and no indentation on the page.
            page.cut(stretch.at(found.start()), stretch.after(found.end()), "encoded character", " " if decoded.isspace() else decoded)
