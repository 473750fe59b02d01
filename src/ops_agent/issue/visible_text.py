"""User text made plain: what a reader of the issue's page sees, and nothing that only a machine reads.

Structure first, on the text as GitHub gets it, then the alphabet; again and again until nothing changes, so that
nothing can be re-assembled from what was taken apart. docs/decisions/0003-cleaning-user-text.md says why, and what
is lost.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token

from ops_agent.model.work_item import Cleaned

# The alphabet of cleaned text: an allow-list of code points. What a reader cannot see is not in it.

_VISIBLE = frozenset(
    {
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "Mn",
        "Mc",
        "Me",
        "Nd",
        "Nl",
        "No",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "Sm",
        "Sc",
        "Sk",
        "So",
    }
)
# Letters, marks and symbols by their category, which yet show nothing: fillers, joiners, variation selectors, blanks,
# an object's place.
_BLANK = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFFC, 0xFFFC),
    (0x16FE4, 0x16FE4),
    (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_LINE_END = re.compile(r"\r\n?")


def is_allowed(character: str) -> bool:
    """True for characters that cleaned text may hold: what a reader sees, a plain space, a tab, a line feed."""
    if character in " \t\n":
        return True
    code = ord(character)
    return unicodedata.category(character) in _VISIBLE and not any(first <= code <= last for first, last in _BLANK)


class _Alphabet(dict[int, str | None]):
    """For str.translate: a code point to itself, a space of another width to a plain one, everything else to nothing."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        kept: str | None = character if is_allowed(character) else None
        if unicodedata.category(character) == "Zs":
            kept = " "
        self[code] = kept
        return kept


_ALPHABET = _Alphabet()


def with_plain_line_ends(text: str) -> str:
    """CRLF and CR become LF."""
    return _LINE_END.sub("\n", text)


def visible(text: str) -> tuple[str, int]:
    """`text` in NFC without the code points that are not allowed, and how many those were. Idempotent."""
    kept = text.translate(_ALPHABET)
    return unicodedata.normalize("NFC", kept), len(text) - len(kept)


def plain_form(text: str) -> str:
    """What cleaning changes without counting it: line ends, spaces of other widths, and NFC."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in with_plain_line_ends(text))
    return unicodedata.normalize("NFC", spaced)


# A text under cleaning: cuts are noted against the source and made all at once; a Stretch is a piece of it as Markdown
# sees it.


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive lines without what their containers put before them (`> `, list indentation).

    `starts` and `sources` say for each line where it begins in `text` and in the page's source.
    """

    text: str
    starts: tuple[int, ...]
    sources: tuple[int, ...]

    def at(self, position: int) -> int:
        """Position in the source of the character at `position` of `text`."""
        line = bisect_right(self.starts, position) - 1
        return self.sources[line] + position - self.starts[line]

    def after(self, position: int) -> int:
        """Where the character before `position` ends in the source."""
        return self.at(position - 1) + 1 if position else self.at(0)


@dataclass(slots=True)
class Page:
    """The source, the cuts so far, and what is open across blocks: the element that hides its content (`hidden_name`),
    and tags in it.
    """

    source: str
    cuts: list[tuple[int, int, str, str]] = field(default_factory=list)
    hidden_name: str = ""
    hidden_open: list[str] = field(default_factory=list)
    hidden_from: int = 0
    hidden_block: int = 0
    ended: bool = False

    def cut(self, start: int, end: int, sort: str, instead: str = "") -> None:
        """Take out source[start:end]; `instead` must not be longer than what it replaces."""
        self.cuts.append((start, end, sort, instead))

    def cut_rest(self, start: int, sort: str) -> None:
        """Take out everything from `start` on: what cannot be told apart from hidden text is treated as hidden."""
        self.cut(start, len(self.source), sort)
        self.ended = True

    def result(self) -> tuple[str, dict[str, int]]:
        """The text without its cuts, and the number of cuts by sort; a cut inside another one does not count."""
        if self.hidden_name:
            self.cut_rest(self.hidden_from, "hidden element")
        pieces: list[str] = []
        removed: dict[str, int] = {}
        done = 0
        for start, end, sort, instead in sorted(self.cuts, key=lambda cut: (cut[0], -cut[1])):
            if end <= done:
                continue
            if start >= done:
                pieces += (self.source[done:start], instead)
            removed[sort] = removed.get(sort, 0) + 1
            done = end
        pieces.append(self.source[done:])
        return "".join(pieces), removed


# HTML in Markdown: what a browser would hide or swallow is found and cut. Two grammars, because there are two readers.
#
# Inside a paragraph GitHub takes only CommonMark's well-formed constructs for HTML and shows the rest as text. An HTML
# block goes to an HTML5 parser as it is. Where the two could disagree about an end, everything that follows is cut:
# over-removal is stated, a leak is not seen.

COMMENT = "html comment"
# re.ASCII: a no-break space separates nothing, neither in CommonMark nor in HTML5.
_VALUE = r"""(?:[^\s"'=<>`]++|'[^']*+'|"[^"]*+")"""
_STRICT_TAG = re.compile(
    rf"<(?P<close>/)?(?P<name>[A-Za-z][A-Za-z0-9-]*+)(?(close)\s*+|(?P<attributes>(?:\s++[A-Za-z_:][A-Za-z0-9_.:-]*+(?:\s*+=\s*+{_VALUE})?+)*+)\s*+/?)>",
    re.ASCII,
)
_LOOSE_TAG = re.compile(
    r"<(?P<close>/)?(?P<name>[A-Za-z][^\s/>]*+)"
    r"""(?P<attributes>(?:[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)|(?!\s*+=)))*+)>""",
    re.ASCII,
)
_AUTOLINK = re.compile(
    r"<(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\x00-\x20]*+|[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]++@[A-Za-z0-9.-]++)>"
)
_STEALTHY_ATTRIBUTE = re.compile(r"(?:^|[\s/\"'])(?:hidden|style|aria-hidden)(?=[\s=/]|$)", re.IGNORECASE | re.ASCII)
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
# Elements whose content a page does not show as text, or shows only when something is missing.
_HIDING = re.compile(
    "template|script|style|noscript|title|head|textarea|iframe|noembed|noframes|xmp|plaintext|svg|math|object|video|audio|canvas|select|"
    "datalist|dialog|map|picture|portal|rp|applet|frameset"
)
# Of these the end tag counts anywhere; another paragraph, which is open then, keeps the others' from closing
# anything.
_CLOSED_ANYWHERE = re.compile("script|style|title|textarea|iframe|noembed|noframes|xmp")
_SPACE_INSTEAD = re.compile("br|wbr|td|th|img")
_LINE_INSTEAD = re.compile(
    "p|div|tr|[uod]l|d[td]|li|table|thead|tbody|hr|blockquote|pre|details|summary|section|article|h[1-6]"
)
_MARK_INSTEAD = {"li": "- ", "h1": "# ", **dict.fromkeys(("h2", "h3", "h4", "h5", "h6"), "## ")}


def scan_block(page: Page, block: Stretch) -> None:
    """An HTML block: text for an HTML5 parser."""
    position = block.text.find("<")
    while position >= 0 and not page.ended:
        position = block.text.find("<", _markup(page, block, position, _LOOSE_TAG))


def scan_inline(page: Page, stretch: Stretch, position: int) -> int:
    """`<` at `position` of a paragraph's text: cut what it opens; returns where to go on (the next character when it
    opens nothing).
    """
    if link := _AUTOLINK.match(stretch.text, position):
        page.cut(stretch.at(position), stretch.at(position) + 1, "link brackets")
        page.cut(stretch.after(link.end()) - 1, stretch.after(link.end()), "link brackets")
        return link.end()
    return _markup(page, stretch, position, _STRICT_TAG)


def drop_comment_marks(page: Page, start: int, end: int) -> None:
    """Code between `start` and `end` of the source is shown as it is; only comments are taken out, so that no later
    reader finds one.
    """
    position = page.source.find("<!--", start, end)
    while position >= 0:
        close = page.source.find("-->", position + 4, end)
        stop = close + 3 if close >= 0 else position + 4
        page.cut(position, stop, COMMENT)
        if close < 0:  # no end for the others either
            while (position := page.source.find("<!--", position + 4, end)) >= 0:
                page.cut(position, position + 4, COMMENT)
            return
        position = page.source.find("<!--", stop, end)


def _markup(page: Page, stretch: Stretch, position: int, tag: re.Pattern[str]) -> int:
    text, start = stretch.text, stretch.at(position)
    loose = tag is _LOOSE_TAG
    if text.startswith("<!--", position):
        close = text.find("-->", position + 4)
        inner = text[position + 4 : close]
        # Readers differ about where these end; an HTML block ends at the first mark for all of them.
        if close < 0 or inner.startswith((">", "->")) or "--!>" in inner or (not loose and "--" in inner + "-"):
            page.cut_rest(start, COMMENT)
            return len(text)
        page.cut(start, stretch.after(close + 3), COMMENT)
        return close + 3
    opener = text[position : position + 3]
    bogus = loose and (opener.startswith("<!") or (opener.startswith("</") and not opener[2:].isalpha()))
    if bogus or opener.startswith("<?") or (opener.startswith("<!") and (opener[2:].isalpha() or opener[2:] == "[")):
        end = "?>" if opener[1] == "?" else "]]>" if text.startswith("<![CDATA[", position) else ">"
        close = text.find(end, position + 2)
        if close < 0 or re.search("[<>\"'`]", text[position + 2 : close]):
            page.cut_rest(start, "markup declaration")
            return len(text)
        page.cut(start, stretch.after(close + len(end)), "markup declaration")
        return close + len(end)
    found = tag.match(text, position)
    if found is not None:
        _tag(page, found, start, stretch.after(found.end()), block=0 if loose else stretch.sources[0] + 1)
        return found.end()
    if loose and re.match(r"</?[A-Za-z]", opener):
        page.cut_rest(start, "unterminated tag")
        return len(text)
    return position + 1


def _tag(page: Page, tag: re.Match[str], start: int, end: int, block: int) -> None:
    """`block` is 0 in an HTML block, else a number of the paragraph."""
    name, closes = tag["name"].lower(), tag["close"] is not None
    hides = _HIDING.fullmatch(name) is not None or _STEALTHY_ATTRIBUTE.search(tag["attributes"] or "") is not None
    if page.hidden_name:
        same_place = block in (0, page.hidden_block) or _CLOSED_ANYWHERE.fullmatch(name)
        if closes and name == page.hidden_name and not page.hidden_open and same_place:
            page.cut(page.hidden_from, end, "hidden element")
            page.hidden_name = ""
        elif (closes and page.hidden_open[-1:] != [name]) or (hides and not closes) or name == page.hidden_name:
            # Parsers differ in how such nesting ends.
            page.cut_rest(page.hidden_from, "hidden element")
        elif closes:
            page.hidden_open.pop()
        elif not _VOID.fullmatch(name):
            page.hidden_open.append(name)
        return
    if hides and not closes and not _VOID.fullmatch(name):
        page.hidden_name, page.hidden_open, page.hidden_from, page.hidden_block = name, [], start, block
        return
    instead = " " if _SPACE_INSTEAD.fullmatch(name) else "\n" if _LINE_INSTEAD.fullmatch(name) else ""
    page.cut(
        start,
        end,
        "image" if name == "img" else "html tag",
        instead if closes else instead + _MARK_INSTEAD.get(name, ""),
    )


# A paragraph's text, read left to right as CommonMark does: code spans, escapes, HTML, links and images. Linear in its
# length.
#
# Link titles, image texts, reference labels and mathematics are cut: a reader does not see them as they are written.

_SPECIAL = re.compile(r"[\\`<\[\]]|!\[")
_ESCAPABLE = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_TICKS = re.compile(r"`+")
_TITLE = re.compile(r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)""", re.DOTALL)
_ANGLED = re.compile(r"<(?:[^<>\n\\]|\\.)*+>")
_LABEL = re.compile(r"\[((?:[^\[\]\\]|\\.){0,999})\]", re.DOTALL)
_COMMAND = re.compile(r"\\[A-Za-z]")
_SPACES = re.compile(r"[ \t]*+(?:\n[ \t]*+)?")


class _Bracket:
    """An opening `[` or `![` that waits for its end; a link inside a link switches it off."""

    __slots__ = ("active", "image", "start", "text_start")

    def __init__(self, start: int, image: bool) -> None:
        self.start, self.image, self.active = start, image, True
        self.text_start = start + (2 if image else 1)


class InlineScan:
    """One pass over a stretch. `references` are the normalised labels of the page's link definitions."""

    def __init__(self, page: Page, stretch: Stretch, references: Collection[str]) -> None:
        self._page, self._stretch, self._references = page, stretch, references
        self._text = stretch.text
        self._brackets: list[_Bracket] = []
        self._code: list[tuple[int, int]] = []
        self._runs: dict[int, list[int]] = {}
        for run in _TICKS.finditer(self._text):
            self._runs.setdefault(len(run[0]), []).append(run.start())

    def run(self) -> None:
        position = 0
        while not self._page.ended and (found := _SPECIAL.search(self._text, position)):
            start = found.start()
            if found[0] == "\\":
                position = start + (2 if self._text[start + 1 : start + 2] in _ESCAPABLE else 1)
            elif found[0] == "`":
                position = self._code_span(start)
            elif found[0] == "<":
                position = scan_inline(self._page, self._stretch, start)
            elif found[0] == "]":
                position = self._close(start)
            else:
                self._brackets.append(_Bracket(start, found[0] == "!["))
                position = found.end()
        if not self._page.ended:
            self._mathematics()
        elif unfinished := [bracket for bracket in self._brackets if bracket.image]:
            self._page.cut_rest(self._stretch.at(unfinished[0].start), "image")

    def _cut(self, start: int, end: int, sort: str) -> None:
        if start < end:
            self._page.cut(self._stretch.at(start), self._stretch.after(end), sort)

    def _code_span(self, start: int) -> int:
        ticks = _TICKS.match(self._text, start)
        length = len(ticks[0]) if ticks else 1
        runs = self._runs.get(length, [])
        following = bisect_right(runs, start)
        if following == len(runs):
            return start + length
        end = runs[following] + length
        drop_comment_marks(self._page, self._stretch.at(start), self._stretch.after(end))
        if self._text[start - 1 : start] == "$" and self._text[end : end + 1] == "$":
            self._cut(start - 1, end + 1, "mathematics")
        self._code.append((start, end))
        return end

    def _close(self, end: int) -> int:
        """`]` at `end`: the link or image that it ends, if any (CommonMark's bracket stack)."""
        if not self._brackets:
            return end + 1
        opener = self._brackets.pop()
        if not opener.active:
            return end + 1
        tail = self._inline_tail(end + 1)
        if tail is None:
            tail = self._reference_tail(opener, end + 1)
        if tail is None:
            return end + 1
        stop, cuts = tail
        if opener.image:
            self._cut(opener.start, stop, "image")
            return stop
        for start, finish, sort in cuts:
            self._cut(start, finish, sort)
        for bracket in self._brackets:
            if not bracket.image:
                bracket.active = False
        return stop

    def _inline_tail(self, position: int) -> tuple[int, list[tuple[int, int, str]]] | None:
        """`(destination "title")` at `position`: where it ends, and what of it a reader does not see."""
        text, cuts = self._text, list[tuple[int, int, str]]()
        if text[position : position + 1] != "(":
            return None
        start = _after_spaces(text, position + 1)
        end = _destination_end(text, start)
        if end is None:
            return None
        if re.search(r"\s", text[start:end]):
            cuts.append((start, end, "link destination"))
        gap = _after_spaces(text, end)
        if gap > end and (title := _TITLE.match(text, gap)):
            cuts.append((end, title.end(), "link title"))
            gap = _after_spaces(text, title.end())
        return (gap + 1, cuts) if text[gap : gap + 1] == ")" else None

    def _reference_tail(self, opener: _Bracket, position: int) -> tuple[int, list[tuple[int, int, str]]] | None:
        """`[label]`, `[]` or nothing at `position`, when the label has a definition."""
        label = _LABEL.match(self._text, position)
        if label and label[1]:
            known = normalizeReference(label[1]) in self._references
            return (label.end(), [(position, label.end(), "link label")]) if known else None
        own = self._text[opener.text_start : position - 1] if position - opener.text_start <= 1000 else ""
        if own and normalizeReference(own) in self._references:
            return (label.end() if label else position), []
        return None

    def _mathematics(self) -> None:
        """A formula can hide words (`\\phantom`); where there may be one, everything from the first to the last dollar
        sign goes.
        """
        signs = [found.start() for found in re.finditer(r"\$", self._text)]
        if len(signs) < 2 or not _COMMAND.search(self._text):
            return
        starts = [start for start, _ in self._code]

        def in_code(position: int) -> bool:
            index = bisect_right(starts, position) - 1
            return index >= 0 and position < self._code[index][1]

        shown = [sign for sign in signs if not in_code(sign)]
        commands = [found.start() for found in _COMMAND.finditer(self._text) if not in_code(found.start())]
        if len(shown) > 1 and any(shown[0] < command < shown[-1] for command in commands):
            self._cut(shown[0], shown[-1] + 1, "mathematics")


def _after_spaces(text: str, position: int) -> int:
    found = _SPACES.match(text, position)
    return found.end() if found else position


def _destination_end(text: str, start: int) -> int | None:
    """End of a link destination: `<...>`, or characters without blanks and with balanced parentheses."""
    if text[start : start + 1] == "<":
        angled = _ANGLED.match(text, start)
        return angled.end() if angled else None
    depth, position = 0, start
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in _ESCAPABLE:
            position += 2
            continue
        if character <= " " or character == "\x7f":
            break
        if character == "(":
            depth += 1
            if depth > 32:
                return None
        elif character == ")":
            if depth == 0:
                break
            depth -= 1
        position += 1
    return position if depth == 0 else None


# One structural pass over Markdown: what a reader of the rendered page does not see is cut.
#
# CommonMark's block grammar (markdown-it-py, as GitHub's cmark) says what is code, HTML, table or paragraph; each is
# read by its own rules.

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
    """`source` (line ends LF) without what its rendered page hides, entities decoded; and how many things of each sort
    were cut.
    """
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
        if token.type == "table_open" or (
            not inside_table and token.type in ("inline", "html_block", "fence", "code_block")
        ):
            yield token


def _paragraph(
    page: Page, lines: _Lines, covered: bytearray, stretch: Stretch, first: int, last: int, defined: dict[str, Any]
) -> None:
    for offset, start in enumerate(stretch.starts):
        if _FOOTNOTE.match(stretch.text, start):
            _cut_footnote(page, lines, covered, first + offset, last)
            stretch = Stretch(
                stretch.text[: max(start - 1, 0)], stretch.starts[: max(offset, 1)], stretch.sources[: max(offset, 1)]
            )
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
            page.cut(
                stretch.at(found.start()),
                stretch.after(found.end()),
                "encoded character",
                " " if decoded.isspace() else decoded,
            )


LONGEST_TEXT = 65_536
LONGEST_LINE = 256
_MOST_ROUNDS = 10
_CUT = "cut at the size limit"
_MARK = "\n\n(The text was longer than ops-agent reads; the rest was cut.)"


def clean(raw: str, longest: int = LONGEST_TEXT) -> Cleaned:
    """`raw` Markdown without hidden content, and how much of each sort was removed; at most `longest` characters, in
    time linear in it.

    Cleaning twice gives the same as cleaning once. Line ends, NFC and spaces of other widths change without being
    counted.
    """
    removed: dict[str, int] = {}
    text, limit = with_plain_line_ends(raw[: 2 * longest + 1]), longest
    for number in range(2 * _MOST_ROUNDS):
        if len(text) > limit:
            limit = max(longest - len(_MARK), 0)
            text = text[:limit]
            removed[_CUT] = 1
        before = text
        text, cuts = strip_hidden(text)
        text, invisible = visible(text)
        if number >= _MOST_ROUNDS and text != before:
            # Only text made to resist gets here: what could hide something is taken out as such.
            text = _only_words(text)
            cuts["nested encoding"] = 1
        for sort, count in (*cuts.items(), ("invisible character", invisible)):
            if count:
                removed[sort] = removed.get(sort, 0) + count
        if text == before:
            break
    if _CUT in removed and longest > len(_MARK):
        text = text.rstrip("\n") + _MARK
    return Cleaned(text=text, removed=removed)


def clean_line(raw: str, longest: int = LONGEST_LINE) -> Cleaned:
    """A title: one line, shown by GitHub as it is written, so only invisible characters go, and what looks like a
    comment.
    """
    removed: dict[str, int] = {}
    text, invisible = visible(" ".join(raw[: 4 * longest].split()))
    shorter = re.sub(r"<!-*|-->", "", text)
    while shorter != text:
        removed["html comment"] = removed.get("html comment", 0) + 1
        text, shorter = shorter, re.sub(r"<!-*|-->", "", shorter)
    text = " ".join(text.split())
    if invisible:
        removed["invisible character"] = invisible
    if len(text) > longest or len(raw) > 4 * longest:
        text = text[:longest].rstrip()
        removed[_CUT] = 1
    return Cleaned(text=text, removed=removed)


def _only_words(text: str) -> str:
    """Letters, marks, numbers, commas and line feeds: nothing of it means anything to Markdown or HTML."""
    lines = (" ".join(re.sub(r"[^\w,]|_", " ", line).split()) for line in text.split("\n"))
    return visible("\n".join(lines))[0]
