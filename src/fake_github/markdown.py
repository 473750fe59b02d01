"""Plain text of Markdown, for closing keywords."""

from __future__ import annotations

from markdown_it import MarkdownIt

_BREAKS = {"softbreak": "\n", "hardbreak": "\n", "code_inline": "\0"}


def plain_text(markdown: str) -> str:
    """The text of a Markdown document without code and comments, where GitHub looks for closing keywords.

    Emphasis and links are looked through (`**Closes** #1` counts): GitHub may be less eager, and who must not close an
    issue by accident is better held to this.
    """
    lines = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if token.type == "inline":
            lines.append(
                "".join(c.content if c.type == "text" else _BREAKS.get(c.type, "") for c in token.children or ())
            )
    return "\n".join(lines)
