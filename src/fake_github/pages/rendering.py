"""Markdown as GitHub shows it: tables, task lists, alerts, diffs in colour, links for `#12` and `@maria`; then
sanitised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import escape
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.tasklists import tasklists_plugin

from fake_github.objects import Repository

# The HTML that is kept in user-written text, in the spirit of GitHub's allow-list: no scripts, no styles, and only
# http, https and mailto addresses.
#
# The result is well formed whatever the input is: an end tag without a start tag is dropped and an open tag is closed,
# so the text cannot break out of its box.

_VOID = re.compile("br|hr|img|wbr|input|source")
_TAGS = re.compile(
    "br|hr|img|wbr|input|source|h[1-6]|b|i|strong|em|a|pre|code|tt|div|ins|del|sup|sub|p|ol|ul|li|table|thead|tbody|"
    "tfoot|tr|td|th|caption|blockquote|dl|dt|dd|kbd|q|samp|var|ruby|rt|rp|s|strike|summary|details|figure|figcaption|"
    "abbr|bdo|cite|dfn|mark|small|span|time|picture"
)
# The content of these is never shown.
_SILENT = re.compile("script|style|title|textarea|xmp|iframe|noembed|noframes|noscript|plaintext|template")
_ATTRIBUTES = re.compile(
    "align|alt|border|cellpadding|cellspacing|cite|colspan|rowspan|dir|height|width|lang|open|start|title|type|value|"
    "checked|disabled|datetime|scope"
)
_CLASSES = re.compile(
    r"language-[\w+#.-]{1,40}|mermaid|task-list-item|contains-task-list|task-list-item-checkbox|"
    r"mention|alert|alert-\w+|d-(add|del|hunk)"
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


_REFERENCE = re.compile(
    r"(?<![\w/&`])(?P<repository>[\w.-]+/[\w.-]+)?#(?P<number>\d+)\b|(?<![\w/`@.-])@(?P<login>[A-Za-z0-9][A-Za-z0-9-]*)"
)
_ALERT = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*$")
_DIFF_CLASSES = {"+": "d-add", "-": "d-del", "@": "d-hunk"}


def render(markdown: str, repository: Repository) -> str:
    """Sanitised HTML. References become links only when what they name exists, as on GitHub."""
    return sanitize(_renderer().render(markdown, {"repository": repository}))


@cache
def _renderer() -> MarkdownIt:
    parser = MarkdownIt("gfm-like", {"html": True, "breaks": True}).use(tasklists_plugin)
    parser.core.ruler.push("references", _link_references)
    parser.core.ruler.push("alerts", _mark_alerts)
    parser.add_render_rule("fence", _fence)
    return parser


def _fence(_renderer: RendererHTML, tokens: list[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    language = token.info.split()[0] if token.info.strip() else ""
    if language == "mermaid":
        return f'<pre class="mermaid">{escape(token.content)}</pre>\n'
    if language == "diff":
        return f"<pre><code>{''.join(map(_diff_line, token.content.splitlines(keepends=True)))}</code></pre>\n"
    named = f' class="language-{escape(language)}"' if language else ""
    return f"<pre><code{named}>{escape(token.content)}</code></pre>\n"


def _diff_line(line: str) -> str:
    kind, text = _DIFF_CLASSES.get(line[:1]), line.rstrip("\n")
    return f'<span class="{kind}">{escape(text)}</span>\n' if kind else escape(line)


def _link_references(state: StateCore) -> None:
    repository: Repository = state.env["repository"]
    for token in state.tokens:
        if token.type != "inline" or not token.children:
            continue
        children: list[Token] = []
        inside_link = 0
        for child in token.children:
            inside_link += {"link_open": 1, "link_close": -1}.get(child.type, 0)
            children += [child] if child.type != "text" or inside_link else _linked(child, repository)
        token.children = children


def _linked(text: Token, repository: Repository) -> Iterator[Token]:
    at = 0
    for found in _REFERENCE.finditer(text.content):
        address = _address(found, repository)
        if address:
            yield _text(text.content[at : found.start()])
            yield Token("link_open", "a", 1, attrs={"href": address, "class": "mention"})
            yield _text(found[0])
            yield Token("link_close", "a", -1)
            at = found.end()
    yield _text(text.content[at:])


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _address(found: re.Match[str], repository: Repository) -> str | None:
    github = repository.github
    if login := found["login"]:
        known = github.accounts.get(login.lower())
        return f"/{known.login}" if known else None
    target = github.repositories.get(found["repository"].lower()) if found["repository"] else repository
    issue = target.issues.get(int(found["number"])) if target else None
    return issue.path if issue else None


def _mark_alerts(state: StateCore) -> None:
    """`> [!NOTE]` on a line of its own turns the quotation into an alert."""
    tokens = state.tokens
    for at in range(len(tokens) - 2):
        first = tokens[at + 2]
        if tokens[at].type != "blockquote_open" or first.type != "inline" or not first.children:
            continue
        found = _ALERT.fullmatch(first.children[0].content)
        if found:
            tokens[at].attrSet("class", f"alert alert-{found[1].lower()}")
            first.children[0:2] = [
                Token("strong_open", "strong", 1),
                _text(found[1].capitalize()),
                Token("strong_close", "strong", -1),
            ]
            first.children.insert(3, Token("hardbreak", "br", 0))
