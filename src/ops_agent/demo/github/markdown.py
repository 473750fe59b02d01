"""Markdown as GitHub renders it."""

from __future__ import annotations

from markdown_it import MarkdownIt


def plain_text(markdown: str) -> str:
    """The text of a Markdown document without code, where GitHub looks for references and closing keywords."""
    lines = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if token.type == "inline":
            lines.append("".join(c.content if c.type == "text" else "\n" for c in token.children or () if c.type != "code_inline"))
    return "\n".join(lines)
