"""Markdown as GitHub shows it: tables, task lists, alerts, diffs in colour, links for `#12` and `@maria`; then
sanitised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.tasklists import tasklists_plugin

from fake_github.pages.sanitizer import sanitize
from fake_github.repositories import Repository

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
