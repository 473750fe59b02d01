"""What the page of a Markdown text shows, written as Markdown again.

markdown-it reads the text as GitHub does. A block in which nothing is hidden stays as it is written; any other block is
replaced by what a reader sees of it. Where parsers could disagree about an end, nothing after it is kept: a loss is
counted, a leak is not seen.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import table
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

COMMENT = "html comment"

_BLANKS = " \t"
_DEEPEST = 100
# markdown-it looks ahead from every bracket, which is not linear: a paragraph with more of them is not read.
_MAX_BRACKETS = 1_000
_REFERENCE = "\0"  # the address of a link by reference; no source contains it
_LEAVES = ("inline", "html_block", "fence", "code_block", "tr_open")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]:")
_CONTAINERS = re.compile(r"(?:[ \t]*(?:>|[-*+](?=[ \t])|[0-9]{1,9}[.)](?=[ \t])))*[ \t]*")
_ONLY_MARKS = re.compile(r"[\s>*+\-.)(|:=_~`#0-9]*")
_PIPE = re.compile(r"(?<!\\)\|")
_FENCE = re.compile(r"(?:`{3,}|~{3,})[ \t]*(\S*)")
_LANGUAGES = re.compile(
    "hcl|terraform|tf|tfvars|jsonc?|ya?ml|toml|ini|conf|env|properties|bash|sh|shell|zsh|console|powershell|python|py|"
    "javascript|js|typescript|ts|go|java|csharp|sql|xml|html|css|dockerfile|makefile|diff|patch|text|txt|plain|"
    "plaintext|log|output|csv|markdown|md|http|graphql",
    re.IGNORECASE,
)
# Fences that GitHub draws as a picture: their source, with its comments, is not on the page.
_DRAWN = re.compile("mermaid|math|geojson|topojson|stl", re.IGNORECASE)

# HTML5's tag, as a browser reads it in an HTML block; CommonMark's stricter one is a case of it. Each repetition can
# match in one way only, so that a failure costs linear time. re.ASCII: a no-break space separates nothing.
_TAG = re.compile(
    r"<(?P<close>/)?(?P<name>[A-Za-z][^\s/>]*+)"
    r"(?P<attributes>(?:[\s/]++|[^\s/>][^\s/>=]*+"
    r"""(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)|(?!\s*+=)))*)>""",
    re.ASCII,
)
_TAG_START = re.compile("</?[A-Za-z]")
# GitHub draws `<pre lang="mermaid">` as it draws a fence; an entity may spell any language.
_STEALTHY_ATTRIBUTE = re.compile(
    r"(?:^|[\s/\"'])(?:(?:hidden|style|aria-hidden)(?=[\s=/]|$)"
    rf"|lang\s*=\s*[\"']?\s*(?:{_DRAWN.pattern}|[^\s\"'>&]{{0,40}}&))",
    re.IGNORECASE | re.ASCII,
)
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
# Elements whose content a page does not show as text, or shows only when something is missing.
_HIDING = re.compile(
    "template|script|style|noscript|title|head|textarea|iframe|noembed|noframes|xmp|plaintext|svg|math|object|video|"
    "audio|canvas|select|datalist|dialog|map|picture|portal|rp|applet|frameset"
)
_SPACE_INSTEAD = re.compile("br|wbr|td|th|img")
_LINE_INSTEAD = re.compile(
    "p|div|tr|[uod]l|d[td]|li|table|thead|tbody|hr|blockquote|pre|details|summary|section|article|h[1-6]"
)
_MARK_INSTEAD = {"li": "- ", "h1": "# ", **dict.fromkeys(("h2", "h3", "h4", "h5", "h6"), "## ")}
_ADDRESS = re.compile(r"[^\s<>`\"'\[\]\\]*+")
_BARE_ADDRESS = re.compile(r"(?:https?://|ftp://|www\.)[^\s<\0]*+(\0|(?<=\\)<)?", re.IGNORECASE)
_DEFINITION = re.compile(r"\A\[[^\]]*+\]:\s*+(\S*+)")
_DESTINATION = re.compile(r"\]\(\s*+(\S*+)")
_ESCAPED_TITLE_END = re.compile(r"\\[\"')]\s*+(?:\)|$)", re.MULTILINE)
_FORMULA_IN_TICKS = re.compile(r"\$\0+\$")
_COMMAND = re.compile(r"\\[A-Za-z]")
_FORMULA_WITH_COMMENT = re.compile(r"\$[^$%]*+%[^$]*+\$(?!\w)")  # `%` hides the rest of its line


def shown(text: str) -> tuple[str, Counter[str]]:
    """What the page of `text` (line ends LF) shows, entities decoded; and how many things of each sort it hides."""
    return _Page(text).read()


def _is_disputed(content: str, pieces: str) -> bool:
    """GitHub's parser takes more for a link than markdown-it: an address with markup in it, a destination with an open
    parenthesis, or a title that an escaped quotation mark ends. In `pieces` code is \\0.
    """
    if any(address[1] for address in _BARE_ADDRESS.finditer(pieces)):
        return True
    destinations = [*_DEFINITION.findall(content), *_DESTINATION.findall(pieces)]
    is_open = any(destination.count("(") > destination.count(")") for destination in destinations)
    return is_open or (bool(destinations) and _ESCAPED_TITLE_END.search(pieces) is not None)


class _TooMuchMarkupError(Exception):
    """A paragraph with too much markup for markdown-it to read in linear time."""


class _Inline(ParserInline):
    def skipToken(self, state: StateInline) -> None:  # noqa: N802 - markdown-it's name
        if state.level >= _DEEPEST - 1:  # deeper, it would take links for text
            raise _TooMuchMarkupError
        super().skipToken(state)


class _Grammar(MarkdownIt):
    """CommonMark and tables; addresses stay as they are written, and the text of a block is read by `spans`."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"maxNesting": _DEEPEST})
        rules = self.inline.ruler.get_active_rules()
        self.inline = _Inline()
        self.inline.ruler.enableOnly(rules)
        # A line belongs to a table only when it begins nothing else; markdown-it's own place for the rule is the first.
        self.block.ruler.before("lheading", "table_of_github", table, {"alt": ["paragraph", "reference"]})
        self.disable("inline")

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return True

    def spans(self, content: str, environment: dict[str, Any]) -> list[Token]:
        """The tokens of a paragraph's text. Raises _TooMuchMarkupError."""
        if content.count("[") + content.count("<") > _MAX_BRACKETS:
            raise _TooMuchMarkupError
        return self.inline.parse(content, self, environment, [])


_GRAMMAR = _Grammar()


class _Reader:
    """Reads the texts of a page in their order and counts in `removed` what is hidden, by sort.

    `hidden` are the element that hides what follows and those that are open in it. `ended`: parsers may disagree about
    where something ends, so nothing after it can be kept.
    """

    def __init__(self, environment: dict[str, Any]) -> None:
        self.removed: Counter[str] = Counter()
        self.hidden: list[str] = []
        self.ended = False
        self._environment = environment
        self._pieces: list[tuple[str, bool, bool]] = []  # text, whether it is code, and whether it is shown
        self._prefixes: Iterator[str] = iter(())
        self._link_end = ""

    def count(self, sort: str) -> None:
        """Nothing is counted inside a hidden element, which counts as one."""
        if not self.hidden:
            self.removed[sort] += 1

    def end(self, sort: str) -> None:
        self.count(sort)
        self.ended = True

    def markdown(self, content: str, prefixes: Iterable[str] = ()) -> str:
        """What a paragraph shows, as Markdown; `prefixes` are put before each line after the first."""
        self._pieces, self._prefixes = [], iter(prefixes)
        try:
            spans = _GRAMMAR.spans(content, self._environment)
        except _TooMuchMarkupError:
            self.count("too much markup in one paragraph")
            return ""
        for token in spans:
            self._span(token, content)
        if _is_disputed(content, "".join("\0" if is_code else text for text, is_code, _ in self._pieces)):
            self.end("unclear link")
            return ""
        return self._without_formulas()

    def html(self, content: str, prefixes: Iterable[str] = ()) -> str:
        """What an HTML block shows, as Markdown."""
        self._pieces, self._prefixes = [], iter(prefixes)
        self._html(content, in_block=True)
        return "".join(text for text, _, is_shown in self._pieces if is_shown)

    def code(self, code: str) -> str:
        """Code is shown as it is written; only comments are removed, so that no later reader takes one for its own."""
        end = code.rfind("-->") + 3 if "-->" in code else 0
        closed, comments = re.subn("<!--.*?-->|<!--", "", code[:end], flags=re.DOTALL)
        for _ in range(comments + code.count("<!--", end)):
            self.count(COMMENT)
        return closed + code[end:].replace("<!--", "")

    def element(self, token: Token) -> None:
        """What Markdown opens and closes is an element on the page too."""
        if self.hidden and token.nesting:
            self._nest(token.tag, closes=token.nesting < 0)

    def _nest(self, name: str, closes: bool) -> None:
        """An element inside the hidden one opens or closes, or that one closes. Parsers differ in any other order."""
        if not closes and name != self.hidden[0]:
            self.hidden.append(name)
        elif closes and name == self.hidden[-1]:
            self.hidden.pop()
        else:
            self.ended = True

    def _show(self, text: str, is_code: bool = False) -> None:
        self._pieces.append((text, is_code, not self.hidden and not self.ended))

    def _without_formulas(self) -> str:
        """A formula can hide words (`\\phantom`, a comment). Where one may be, all from the first to the last dollar
        sign goes.
        """
        pieces = [(text, is_code) for text, is_code, is_shown in self._pieces if is_shown]
        text = "".join(piece for piece, _ in pieces)
        outside_code = "".join("\0" * len(piece) if is_code else piece for piece, is_code in pieces)
        cuts = [found.span() for found in _FORMULA_IN_TICKS.finditer(outside_code)]
        first, last = outside_code.find("$"), outside_code.rfind("$")
        if _COMMAND.search(outside_code, first + 1, max(last, 0)) or _FORMULA_WITH_COMMENT.search(outside_code):
            cuts = [(first, last + 1)]
        for start, end in reversed(cuts):
            self.count("mathematics")
            text = text[:start] + text[end:]
        return text

    def _span(self, token: Token, content: str) -> None:
        self.element(token)
        if token.type == "text":
            before, mark, after = token.content.partition("<!--")
            self._show(before)
            if mark:
                self.end(COMMENT)
                self._show(after)
        elif token.type == "text_special" and token.info == "entity":
            self.count("encoded character")
            # A line feed or tab that is written as an entity makes no line and no indentation on the page.
            self._show(" " if token.content.isspace() else token.content)
        elif token.type in ("softbreak", "hardbreak"):
            self._show("\n" + next(self._prefixes, ""))
        elif token.type == "code_inline":
            code = self.code(token.content)
            padded = code[:1] == "`" or code[-1:] == "`" or (code[:1] == code[-1:] == " " and code.strip())
            pad = " " if padded else ""
            self._show(f"{token.markup}{pad}{code}{pad}{token.markup}", is_code=True)
        elif token.type == "link_open":
            self._link(token, content)
        elif token.type == "link_close":
            self._show(self._link_end)
        elif token.type == "image":
            self.count("image")
        elif token.type == "html_inline":
            self._html(token.content, in_block=False)
        else:
            self._show(token.markup)  # an escaped character, or emphasis

    def _link(self, token: Token, content: str) -> None:
        address = str(token.attrs["href"])
        self._link_end = ""
        if token.info == "auto":
            self.count("link brackets")
            return
        self._show("[")
        self._link_end = "]"
        if address == _REFERENCE:
            self.count("link label")
            return
        if "title" in token.attrs:
            self.count("link title")
        if not _ADDRESS.fullmatch(address):
            self.count("link destination")
            return
        if address not in content:
            self.count("encoded character")
        self._link_end = f"]({address})"

    def _html(self, text: str, in_block: bool) -> None:
        position = 0
        while not self.ended:
            start = text.find("<", position)
            self._html_text(text[position : start if start >= 0 else len(text)])
            if start < 0:
                return
            if tag := _TAG.match(text, start):
                self._tag(tag)
                position = tag.end()
            elif _TAG_START.match(text, start):
                self.end("unterminated tag")
            elif text.startswith(("<!", "<?", "</"), start):
                position = self._declaration(text, start, in_block)
            else:
                self._show("<")
                position = start + 1

    def _html_text(self, text: str) -> None:
        decoded = html.unescape(text)
        if decoded != text:
            self.count("encoded character")
        first, *others = decoded.split("\n")
        self._show(first)
        for line in others:
            self._show("\n" + next(self._prefixes, "") + line)

    def _declaration(self, text: str, start: int, in_block: bool) -> int:
        """A comment, a declaration, an instruction or character data; returns where it ends."""
        if text.startswith("<!--", start):
            close = text.find("-->", start + 4)
            inner = text[start + 4 : close]
            # Parsers differ about where these end; an HTML block ends at the first mark for all of them.
            odd = inner.startswith((">", "->")) or "--!>" in inner or (not in_block and "--" in inner + "-")
            sort, end = COMMENT, "-->"
        else:
            end = "?>" if text[start + 1] == "?" else "]]>" if text.startswith("<![CDATA[", start) else ">"
            close = text.find(end, start + 2)
            odd = re.search("[<>\"'`]", text[start + 2 : close]) is not None
            sort = "markup declaration"
        if close < 0 or odd:
            self.end(sort)
            return len(text)
        self.count(sort)
        return close + len(end)

    def _tag(self, tag: re.Match[str]) -> None:
        name, closes = tag["name"].lower(), tag["close"] is not None
        hides = _HIDING.fullmatch(name) is not None or _STEALTHY_ATTRIBUTE.search(tag["attributes"]) is not None
        if self.hidden:
            if hides and not closes:
                self.ended = True  # parsers differ in how such nesting ends
            elif closes or not _VOID.fullmatch(name):
                self._nest(name, closes)
        elif hides and not closes and not _VOID.fullmatch(name):
            self.count("hidden element")
            self.hidden = [name]
        else:
            self.count("image" if name == "img" else "html tag")
            self._show(" " if _SPACE_INSTEAD.fullmatch(name) else "\n" if _LINE_INSTEAD.fullmatch(name) else "")
            self._show("" if closes else _MARK_INSTEAD.get(name, ""))


class _Page:
    """The lines of a text by its blocks."""

    def __init__(self, text: str) -> None:
        environment: dict[str, Any] = {}
        self._tokens = _GRAMMAR.parse(text + "\n", environment)  # markdown-it can fail on a text without it
        definitions = [*environment.get("references", {}).values(), *environment.get("duplicate_refs", [])]
        self._definitions: list[tuple[int, int]] = [tuple(definition["map"]) for definition in definitions]
        for definition in definitions:
            definition.update(href=_REFERENCE, title="")
        self._lines = text.split("\n")
        self._reader = _Reader(environment)
        self._kept: list[str | None] = list(self._lines)
        self._done = bytearray(len(self._lines))
        self._end = 0  # of the block that was read last

    def read(self) -> tuple[str, Counter[str]]:
        self._drop_definitions()
        stream = iter(self._tokens)
        for token in stream:
            self._reader.element(token)
            if token.map and token.type in _LEAVES and not self._done[token.map[0]] and not self._reader.ended:
                self._block(token, token.map[0], min(token.map[1], len(self._lines)), stream)
            if self._reader.ended:
                self._take(self._end, len(self._lines), None)
                break
        for number, line in enumerate(self._lines):
            if not self._done[number] and not _ONLY_MARKS.fullmatch(line):
                self._reader.count("text nested too deeply")
                self._take(number, number + 1, None)
        return "\n".join(line for line in self._kept if line is not None), self._reader.removed

    def _take(self, first: int, last: int, *instead: str | None) -> None:
        """These lines are read; `instead` replaces them (None: nothing does), without it they stay."""
        self._done[first:last] = b"\x01" * (last - first)
        self._end = max(first, last)
        if instead and first < last:
            self._kept[first:last] = [instead[0], *[None] * (last - first - 1)]

    def _block(self, token: Token, first: int, last: int, stream: Iterator[Token]) -> None:
        self._take(first, last)
        if token.type == "tr_open":
            self._row(first, stream)
        elif token.type in ("fence", "code_block"):
            self._code(token, first, last)
        elif token.type == "inline":
            self._paragraph(token, first, last)
        else:
            self._text(first, last, token.content.rstrip("\n").split("\n"), self._reader.html)

    def _drop_definitions(self) -> None:
        for first, last in self._definitions:
            if self._done[first]:
                continue
            if _FOOTNOTE.match(self._content(first)):
                self._drop_footnote(first, last)
            else:
                self._reader.count("link definition")
                self._take(first, last, None)
        self._end = 0

    def _drop_footnote(self, first: int, last: int) -> None:
        """A footnote may not be on the page. The rest of its paragraph and indented blocks after it belong to it."""

        def indent(line: str) -> int:
            wide = line.expandtabs(4)
            return len(wide) - len(wide.lstrip("> "))

        own, after_blank = indent(self._lines[first]), False
        for line in self._lines[last:]:
            blank = not line.strip("> \t")
            if after_blank and not blank and indent(line) < max(4, own + 1):
                break
            after_blank = blank
            last += 1
        if any("<" in line for line in self._lines[first + 1 : last]):  # which may not belong to the footnote
            last = len(self._lines)
        self._reader.count("footnote")
        self._take(first, last, None)

    def _paragraph(self, token: Token, first: int, last: int) -> None:
        """A paragraph or a heading, up to a footnote."""
        lines = token.content.split("\n")
        if token.level > 1 and self._is_split(first, lines):
            self._end = first
            return self._reader.end("unclear block")
        for offset, line in enumerate(lines):
            if _FOOTNOTE.match(line.lstrip(_BLANKS)):
                self._text(first, first + offset, lines[:offset], self._reader.markdown)
                return self._drop_footnote(first + offset, last)
        return self._text(first, last, lines, self._reader.markdown)

    def _is_split(self, first: int, lines: list[str]) -> bool:
        """On a line with fewer container marks than its paragraph, GitHub's parser starts an HTML block or a table
        where markdown-it goes on with the paragraph.
        """
        marks = [len(self._prefix(first + offset, line).replace("> ", ">")) for offset, line in enumerate(lines)]
        return any(line.startswith(("<", "|")) and mark < marks[0] for line, mark in zip(lines, marks, strict=True))

    def _text(self, first: int, last: int, lines: list[str], read: Callable[[str, list[str]], str]) -> None:
        """A block whose `lines` are without what containers put before them."""
        if not lines:
            return
        before, hidden = self._reader.removed.total(), bool(self._reader.hidden)
        prefix, *prefixes = [self._prefix(first + offset, line) for offset, line in enumerate(lines)]
        text = read("\n".join(line.lstrip(_BLANKS) for line in lines), prefixes)
        if hidden or self._reader.removed.total() != before:
            self._take(first, last, prefix + text)

    def _prefix(self, number: int, content: str) -> str:
        """What containers put before `content` on a line: `> `, list marks, indentation."""
        line, bare = self._lines[number], content.strip(_BLANKS)
        start = line.rfind(bare) if bare else len(line)
        return line[:start] if start >= 0 else self._marks(number)

    def _marks(self, number: int) -> str:
        found = _CONTAINERS.match(self._lines[number])
        return found[0] if found else ""

    def _content(self, number: int) -> str:
        return self._lines[number].removeprefix(self._marks(number))

    def _row(self, number: int, stream: Iterator[Token]) -> None:
        """A row of a table: each cell is a paragraph of its own; cells beyond the header's are not on the page."""
        prefix, content = self._marks(number), self._content(number).strip()
        if _FOOTNOTE.match(content):
            return self._drop_footnote(number, number + 1)
        before, hidden = self._reader.removed.total(), bool(self._reader.hidden)
        cells: list[str] = []
        for token in stream:
            self._reader.element(token)
            if token.type == "tr_close":
                break
            if token.type == "inline":
                cells.append(self._reader.markdown(token.content).replace("|", "\\|"))
        opened, closed = content.startswith("|"), content.endswith("|") and not content.endswith("\\|")
        written = len(_PIPE.split(content)) - opened - closed
        if "\\\\|" in content:  # parsers differ about what the backslashes escape
            cells = []
        if written > len(cells):
            self._reader.count("cell outside the table")
        if hidden or self._reader.removed.total() != before:
            row = "|".join(cells[:written])
            text = f"{prefix}{'|' if opened else ''}{row}{'|' if closed and written <= len(cells) else ''}"
            self._take(number, number + 1, text)
        return None

    def _code(self, token: Token, first: int, last: int) -> None:
        """Code stays readable; of the words after a fence only the name of a known language stays."""
        language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        if self._reader.hidden or _DRAWN.match(language):
            self._reader.count("drawn code block")
            return self._take(first, last, None)
        if token.type == "fence":
            line = self._lines[first]
            if language and (found := _FENCE.search(line)):
                keep = found.end() if _LANGUAGES.fullmatch(found[1]) else found.start(1)
                if line[keep:].strip():
                    self._reader.count("words after a code fence")
                    self._take(first, first + 1, line[:keep])
            first += 1
        text = "\n".join(self._lines[first:last])
        if "<!--" in text:
            self._take(first, last, self._reader.code(text))
        self._end = last
        return None
