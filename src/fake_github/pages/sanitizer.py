"""What HTML may stay in people's text: GitHub's allow-list in its spirit. No script, no style, no address but http,
https and mailto.

The result is well formed whatever came in: an end tag without its start is dropped, an open tag is closed, so text
cannot leave its box.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

_VOID = re.compile("br|hr|img|wbr|input|source")
_TAGS = re.compile(
    "br|hr|img|wbr|input|source|h[1-6]|b|i|strong|em|a|pre|code|tt|div|ins|del|sup|sub|p|ol|ul|li|table|thead|tbody|tfoot|tr|td|th|"
    "caption|blockquote|dl|dt|dd|kbd|q|samp|var|ruby|rt|rp|s|strike|summary|details|figure|figcaption|abbr|bdo|cite|dfn|mark|small|"
    "span|time|picture"
)
# The content of these is never shown.
_SILENT = re.compile("script|style|title|textarea|xmp|iframe|noembed|noframes|noscript|plaintext|template")
_ATTRIBUTES = re.compile(
    "align|alt|border|cellpadding|cellspacing|cite|colspan|rowspan|dir|height|width|lang|open|start|title|type|value|checked|"
    "disabled|datetime|scope"
)
_CLASSES = re.compile(
    r"language-[\w+#.-]{1,40}|mermaid|task-list-item|contains-task-list|task-list-item-checkbox|mention|alert|alert-\w+|d-(add|del|hunk)"
)
# An allow-list, so that a scheme hidden behind control characters does not match: http, https, mailto, or no scheme at
# all.
_SAFE_ADDRESS = re.compile(r"(?:https?:|mailto:|#|/(?!/)|\.{1,2}/|[\w.-]+(?:[/?#]|\Z))", re.IGNORECASE)
_ALIGN = re.compile(r"text-align:\s*(left|right|center)")


def safe_address(address: str) -> str | None:
    """The address, None when following it could do anything but open a page or a mail."""
    bare = address.strip()
    return bare if _SAFE_ADDRESS.match(bare) else None


class _Sanitizer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._open: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent or _SILENT.fullmatch(tag):
            if _SILENT.fullmatch(tag):
                self._silent.append(tag)
            return
        if not _TAGS.fullmatch(tag) or (tag == "input" and ("class", "task-list-item-checkbox") not in attrs):
            return
        self.out.append(f"<{tag}{''.join(self._attributes(tag, attrs))}>")
        if not _VOID.fullmatch(tag):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if not _VOID.fullmatch(tag):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
            return
        if tag in self._open:
            while (last := self._open.pop()) != tag:
                self.out.append(f"</{last}>")
            self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.out.append(escape(data, quote=False))

    def finish(self) -> str:
        self.close()
        self.out += [f"</{tag}>" for tag in reversed(self._open)]
        return "".join(self.out)

    @staticmethod
    def _attributes(tag: str, attrs: list[tuple[str, str | None]]) -> list[str]:
        kept: dict[str, str] = {}
        for name, given in attrs:
            value = given or ""
            if _ATTRIBUTES.fullmatch(name) or (name == "src" and tag == "img") or (name == "href" and tag == "a"):
                safe = safe_address(value) if name in ("src", "href", "cite") else value
                if safe is not None:
                    kept.setdefault(name, safe)
            elif name == "class":
                names = " ".join(one for one in value.split() if _CLASSES.fullmatch(one))
                kept.update({"class": names} if names else {})
            elif name in ("id", "name") and tag in ("a", "h1", "h2", "h3", "h4", "h5", "h6", "div", "span", "li"):
                kept.setdefault("id", f"user-content-{value}")
            elif name == "style" and (aligned := _ALIGN.fullmatch(value)):
                kept.setdefault("align", aligned[1])
        if tag == "a" and "href" in kept:
            kept["rel"] = "nofollow noopener noreferrer"
        if tag == "input":
            kept |= {"disabled": "", "type": "checkbox", "aria-label": "done" if "checked" in kept else "to do"}
        return [f' {name}="{escape(value)}"' for name, value in kept.items()]


def sanitize(html: str) -> str:
    parser = _Sanitizer()
    parser.feed(html)
    return parser.finish()
