"""Make text from the llm, from Terraform or from people inert wherever it lands: in a code block, a title, a commit message, a log.

What GitHub or a bot would act on is replaced by a sign that looks the same and does nothing. That holds inside code blocks too: a pull
request's body becomes a commit message when it is squashed, and bots read raw lines.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

AT, HASH = "＠", "＃"
"""Full-width signs: read by people as `@` and `#`, by GitHub as letters of a word."""

_ANSI = re.compile(r"\x1b\[[0-?]{0,40}[ -/]{0,8}[@-~]")
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_BOTS: Final = ("atlantis", "digger", "terrateam", "terramate", "env0", "spacelift")
_TRAILERS: Final = ("co-authored-by", "signed-off-by", "skip-checks", "on-behalf-of", "acked-by", "reviewed-by", "change-id")
_REPLACED: Final[tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...]] = (
    (("#",), re.compile(r"#(?=[0-9])"), HASH),
    (("gh-", "gh\\-"), re.compile(r"(?i)(?<![a-z0-9])gh\\?-(?=[0-9])"), "GH\u2011"),
    (("/issues/", "/pull", "/discussions/"), re.compile(r"(?i)/(issues|pull|pulls|discussions)/(?=[0-9])"), rf"/\1/{HASH}"),
    (("skip", "[no "), re.compile(r"(?i)\[(skip ci|ci skip|no ci|skip actions|actions skip)\]"), r"(\1)"),
    (_TRAILERS, re.compile(rf"(?im)^([ \t>*+-]{{0,20}}(?:{'|'.join(_TRAILERS)}))[ \t]{{0,8}}:"), r"\1 -"),
    (("/", *_BOTS), re.compile(rf"(?im)^(?=/[a-z]|(?:{'|'.join(_BOTS)})[ \t])"), " "),
)
"""(lower-case text without which nothing matches, what is found, what stands in its place)."""


def inert(text: str) -> str:
    """`text` without control, invisible or direction-changing characters, mentions, references, skip marks, trailers, bot commands.

    Line breaks become `\\n`; nothing else is lost. Idempotent and linear. Markdown is left as it is: see `neutral.neutralise` for prose.
    """
    text = visible(text).replace("@", AT)
    lowered = text.lower()
    for marks, pattern, instead in _REPLACED:
        if any(mark in lowered for mark in marks):
            text = pattern.sub(instead, text)
    return text


def visible(text: str) -> str:
    """`text` with only code points that can be seen, blanks and `\\n`; terminal escapes go whole. A tab becomes two blanks."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.translate({ord(c): seen for c in set(text) if (seen := _seen(c)) != c})


def one_line(text: str) -> str:
    """`text` inert and on one line, runs of blanks made one."""
    return " ".join(inert(text).split())


def _seen(char: str) -> str:
    if char == "\n" or " " <= char <= "~":
        return char
    if char == "\t":
        return "  "
    category = unicodedata.category(char)
    if category in ("Zl", "Zp") or char in "\x0b\x0c\x85":
        return "\n"
    if category == "Zs":
        return " "
    if category in _DROPPED_CATEGORIES or char in _BLANKS or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return ""
    return char
