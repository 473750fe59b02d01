"""HTML in Markdown: what a browser would hide or swallow is found and cut. Two grammars, because there are two readers.

Inside a paragraph GitHub takes only CommonMark's well-formed constructs for HTML and shows the rest as text. An HTML block goes to an HTML5
parser as it is. Where the two could disagree about an end, everything that follows is cut: over-removal is stated, a leak is not seen.
"""

from __future__ import annotations

import re

from ops_agent.core.intake.cleaning_page import Page, Stretch

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
_AUTOLINK = re.compile(r"<(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\x00-\x20]*+|[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]++@[A-Za-z0-9.-]++)>")
_STEALTHY_ATTRIBUTE = re.compile(r"(?:^|[\s/\"'])(?:hidden|style|aria-hidden)(?=[\s=/]|$)", re.IGNORECASE | re.ASCII)
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
# Elements whose content a page does not show as text, or shows only when something is missing.
_HIDING = re.compile(
    "template|script|style|noscript|title|head|textarea|iframe|noembed|noframes|xmp|plaintext|svg|math|object|video|audio|canvas|select|"
    "datalist|dialog|map|picture|portal|rp|applet|frameset"
)
# Of these the end tag counts wherever it stands; another paragraph, which is open then, keeps the others' from closing anything.
_CLOSED_ANYWHERE = re.compile("script|style|title|textarea|iframe|noembed|noframes|xmp")
_SPACE_INSTEAD = re.compile("br|wbr|td|th|img")
_LINE_INSTEAD = re.compile("p|div|tr|[uod]l|d[td]|li|table|thead|tbody|hr|blockquote|pre|details|summary|section|article|h[1-6]")
_MARK_INSTEAD = {"li": "- ", "h1": "# ", **dict.fromkeys(("h2", "h3", "h4", "h5", "h6"), "## ")}


def scan_block(page: Page, block: Stretch) -> None:
    """An HTML block: text for an HTML5 parser."""
    position = block.text.find("<")
    while position >= 0 and not page.ended:
        position = block.text.find("<", _markup(page, block, position, _LOOSE_TAG))


def scan_inline(page: Page, stretch: Stretch, position: int) -> int:
    """`<` at `position` of a paragraph's text: cut what it opens; returns where to go on (the next character when it opens nothing)."""
    if link := _AUTOLINK.match(stretch.text, position):
        page.cut(stretch.at(position), stretch.at(position) + 1, "link brackets")
        page.cut(stretch.after(link.end()) - 1, stretch.after(link.end()), "link brackets")
        return link.end()
    return _markup(page, stretch, position, _STRICT_TAG)


def drop_comment_marks(page: Page, start: int, end: int) -> None:
    """Code between `start` and `end` of the source is shown as it is; only comments are taken out, so that no later reader finds one."""
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
    page.cut(start, end, "image" if name == "img" else "html tag", instead if closes else instead + _MARK_INSTEAD.get(name, ""))
