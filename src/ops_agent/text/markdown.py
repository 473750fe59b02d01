"""Make text from the llm, from Terraform or from people inert wherever it lands: in a code block, a title, a commit
message, a log.

What GitHub or a bot would act on is replaced by a sign that looks the same and does nothing. Code blocks stay as they
are, so that they can be copied: GitHub acts on nothing inside them. What would act in a commit message is replaced
there too (see `code_block`), because a pull request's body becomes one when it is squashed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

AT, HASH = "＠", "＃"
"""Full-width signs: read by people as `@` and `#`, by GitHub as letters of a word."""

_ANSI = re.compile(r"\x1b\[[0-?]{0,40}[ -/]{0,8}[@-~]")
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_BOTS: Final = ("atlantis", "digger", "terrateam", "terramate", "env0", "spacelift")
_TRAILERS: Final = (
    *("co-authored-by", "signed-off-by", "skip-checks", "on-behalf-of", "acked-by", "reviewed-by", "change-id"),
)
_REPLACED: Final[tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...]] = (
    (("#",), re.compile(r"#(?=[0-9])"), HASH),
    (("gh-", "gh\\-"), re.compile(r"(?i)(?<![a-z0-9])gh\\?-(?=[0-9])"), "GH\u2011"),
    (("/issues/", "/pull", "/discussions/"), re.compile(r"(?i)/(issues|pulls?|discussions)/(?=[0-9])"), rf"/\1/{HASH}"),
    (("skip", "[no "), re.compile(r"(?i)\[(skip ci|ci skip|no ci|skip actions|actions skip)\]"), r"(\1)"),
    (_TRAILERS, re.compile(rf"(?im)^([ \t>*+-]{{0,20}}(?:{'|'.join(_TRAILERS)}))[ \t]{{0,8}}:"), r"\1 -"),
    (("/", *_BOTS), re.compile(rf"(?im)^(?=/[a-z]|(?:{'|'.join(_BOTS)})[ \t])"), " "),
)
"""(lower-case text without which nothing matches, what is found, what replaces it)."""
_FENCE = re.compile(r"`{3,}")
_NEUTRAL_FENCE = re.compile(r"[ ]*+(?:(`{3,}+)[^`]*+|(~{3,}+).*+)$")
_PREFIX = re.compile(r"(?:[ ]*+(?:>|[-+*](?= )|[0-9]{1,9}[.)](?= )))*[ ]*+")
_RULE_LINE = re.compile(r"[-=_*~|:+ ]+$")
_TICKS = re.compile(r"`+")
_SPECIAL = re.compile(r"[\\`<\[\]|$]|&(?=[#A-Za-z])|[A-Za-z][A-Za-z0-9+.-]{0,20}://|(?<![A-Za-z0-9])[wW]{3}\.")
_URL_REST = re.compile(r"[^\s`<>\"'()\[\]{}|\\,;*]*+")
_ESCAPABLE: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_{|}~")
_COMMIT_LINE = re.compile(
    r"(?i)[ >*+-]*+(?:[a-z-]{1,30}-by|skip-checks|on-behalf-of|change-id)[ ]*+[-:]"
    r"|.*\((?:skip ci|ci skip|no ci|skip actions|actions skip)\)"
)


def inert(text: str) -> str:
    """`text` without control, invisible or direction-changing characters, mentions, references, skip marks, trailers,
    bot commands.

    Line breaks become `\\n`; nothing else is lost. Idempotent and linear. Markdown is left as it is: see
    `neutralise`.
    """
    text = printable(text).replace("@", AT)
    lowered = text.lower()
    for marks, pattern, instead in _REPLACED:
        if any(mark in lowered for mark in marks):
            text = pattern.sub(instead, text)
    return text


def printable(text: str) -> str:
    """`text` with only code points that can be seen, blanks and `\\n`; terminal escapes go whole. A tab becomes two
    blanks.
    """
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.translate({ord(c): seen for c in set(text) if (seen := _seen(c)) != c})


def _with_tabs(text: str) -> str:
    """`printable` for code, where a tab is a tab."""
    return "\t".join(map(printable, text.split("\t")))


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
    is_selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return "" if category in _DROPPED_CATEGORIES or char in _BLANKS or is_selector else char


def as_kept(text: str) -> str:
    """`text` for a comparison with what GitHub gives back: it may trim a body, and change its line ends."""
    return text.replace("\r\n", "\n").strip()


def quoted(text: str) -> str:
    """Markdown as a quotation: every line of it, so that nothing in it passes for what is around it."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def cut_markdown(text: str, most: int) -> tuple[str, str]:
    """(what is kept, the rest): whole lines, at most `most` code points, no code block or `<details>` torn apart."""
    if len(text) <= most:
        return text, ""
    fence, details, length, safe = "", 0, 0, 0
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            if line.rstrip() == fence:
                fence = ""
        elif found:
            fence = found.group()
        else:
            details += line.startswith("<details") - line.startswith("</details>")
        length += len(line) + 1
        if length > most:
            break
        if not fence and details <= 0:
            safe = length
    return text[:safe].rstrip("\n"), text[safe:].lstrip("\n")


def fit(sections: Mapping[str, str], most: int, least: int = 1_500) -> tuple[dict[str, str], dict[str, str]]:
    """(sections of together at most about `most` code points, what was cut from each): the longest is cut first, none
    below `least`.
    """
    kept, rest = dict(sections), dict.fromkeys(sections, "")
    while sum(map(len, kept.values())) > most:
        name = max(kept, key=lambda n: len(kept[n]))
        if len(kept[name]) <= least:
            break
        shorter, left = cut_markdown(kept[name], max(least, len(kept[name]) * 2 // 3))
        kept[name] = shorter
        rest[name] = "\n\n".join(part for part in (left, rest[name]) if part)
    return kept, {name: text for name, text in rest.items() if text}


def neutralise(text: str) -> str:
    """`text` as Markdown that can do nothing: no mention, reference, keyword, link, image, HTML, heading, rule, table,
    command.

    Paragraphs, lists, emphasis and code stay; everything that acts, links, loads, hides or imitates our own sections is
    shown as plain text. Fenced code stays a code block with what can be seen of it, in our own fence that nothing
    inside can close. Idempotent; linear in the text's length.
    """
    out: list[str] = []
    block: list[str] = []
    fence = ""
    for line in _with_tabs(text).split("\n"):
        if fence:
            bare = line.strip()
            if len(bare) >= len(fence) and set(bare) == {fence[0]}:
                out.append(code_block("\n".join(block)))
                fence, block = "", []
            else:
                block.append(line)
        elif opened := _NEUTRAL_FENCE.match(printable(line)):
            fence = opened.group(1) or opened.group(2)
        else:
            out.append(_prose_line(inert(line)))
    if fence:
        out.append(code_block("\n".join(block)))
    return "\n".join(out)


_ACTS_IN_A_COMMIT: Final = (
    (
        re.compile(
            r"(?i)\b((?:close[sd]?|fix(?:es|ed)?|resolve[sd]?):?[ \t]{1,20}(?:[\w.-]{1,100}/[\w.-]{1,100})?)#(?=[0-9])"
        ),
        rf"\1{HASH}",
    ),
    (re.compile(r"(?i)\b((?:close[sd]?|fix(?:es|ed)?|resolve[sd]?):?[ \t]{1,20}gh)-(?=[0-9])"), "\\1\u2011"),
    (re.compile(r"(?i)\b((?:close[sd]?|fix(?:es|ed)?|resolve[sd]?):?[ \t]{1,20}https?:)//"), "\\1\u2215/"),
    (re.compile(r"(?i)\[(skip ci|ci skip|no ci|skip actions|actions skip)\]"), r"(\1)"),
)


def code_block(text: str, language: str = "") -> str:
    """What can be seen of `text` in a code block that it cannot close; exact but for what acts in a commit message:
    closing keywords and marks that skip workflows.
    """
    shown = _with_tabs(text)
    for pattern, instead in _ACTS_IN_A_COMMIT:
        shown = pattern.sub(instead, shown)
    return fence_verbatim(shown, language)


def fence_verbatim(text: str, language: str = "") -> str:
    """`text` byte for byte in a code block that it cannot close: for text that is inert already, or that must stay as
    it is.
    """
    ticks = "`" * max(3, 1 + _longest_ticks(text))
    return f"{ticks}{language}\n{text}\n{ticks}"


def cell(text: str) -> str:
    """`text` neutralised on one line, for a table's cell: `|` would end it."""
    return list_item(text.replace("|", "¦"))


def sentence(text: str, repository: str) -> str:
    """`cell` for a sentence of ours: `owner/name#3` of this `repository` and `#3` link. What would close an issue, and
    the names of other repositories, stay inert. Without a `repository` nothing links.
    """
    shown = cell(text)
    if not repository or HASH in text:
        return shown
    linked = re.sub(rf"(?i)(?<![^\s(])({re.escape(repository)})?{HASH}(?=[0-9])", r"\1#", shown)
    closing, instead = _ACTS_IN_A_COMMIT[0]
    return closing.sub(instead, linked)


def list_item(text: str) -> str:
    """`text` neutralised on one line, inside a list's item and never in a table: `|` stays, so that code in it can be
    copied.
    """
    return _prose_line(one_line(text))


def code(text: str) -> str:
    """`text` inert on one line as a code span (an address, a path, a name); safe in a table's cell."""
    flat = one_line(text).replace("|", "¦")
    ticks = "`" * (1 + _longest_ticks(flat))
    pad = " " if not flat or flat[0] == "`" or flat[-1] == "`" else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def neutralise_commit(text: str) -> str:
    """`text` for a commit message: inert; lines with a trailer or a skip mark go. Idempotent."""
    kept = [line.rstrip() for line in inert(text).split("\n") if not _COMMIT_LINE.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)


def _prose_line(line: str) -> str:
    line = line.rstrip()
    found = _PREFIX.match(line)
    prefix = found.group() if found else ""
    rest = line[len(prefix) :]
    if rest and (rest[0] in "#/" or rest.startswith("~~~") or _RULE_LINE.match(rest)):
        rest = "\\" + rest
    return prefix + _inline(rest)


def _inline(line: str) -> str:
    """One line after its block marks: code spans that open and close on it stay; a lone backtick is escaped: none pairs
    across lines.
    """
    closings = _closings(line)
    out: list[str] = []
    at = 0
    while found := _SPECIAL.search(line, at):
        out.append(line[at : found.start()])
        at = found.end()
        mark = found.group()
        if mark == "\\":
            if line[at : at + 1] == "`":
                length = closings[at][0]
                mark = "\\`" * length
                at += length
            elif line[at : at + 1] in _ESCAPABLE:
                mark += line[at]
                at += 1
            out.append(mark)
        elif mark == "`":
            at, piece = _ticks(line, found.start(), closings)
            out.append(piece)
        elif len(mark) == 1:
            out.append("\\" + mark)
        else:
            rest = _URL_REST.match(line, at)
            at = rest.end() if rest else at
            while at > found.end() and line[at - 1] in ".:!?":
                at -= 1
            before = " " if "".join(out[-2:])[-1:] in ("`", "\\") else ""
            after = " " if line[at : at + 1] == "`" else ""
            out.append(f"{before}`{line[found.start() : at]}`{after}")
    out.append(line[at:])
    return "".join(out)


def _ticks(line: str, start: int, closings: dict[int, tuple[int, int]]) -> tuple[int, str]:
    length, end = closings[start]
    return (end, line[start:end]) if end else (start + length, "\\`" * length)


def _closings(line: str) -> dict[int, tuple[int, int]]:
    """For each run of backticks: its length, and where a code span opened by it ends (0: nowhere on this line)."""
    closings: dict[int, tuple[int, int]] = {}
    following: dict[int, int] = {}
    for run in reversed(list(_TICKS.finditer(line))):
        length = len(run.group())
        closings[run.start()] = (length, following.get(length, 0))
        following[length] = run.end()
    return closings


_NOTHING = re.compile(
    r"(?i)[\s*_`-]*+(?:none|nothing(?: to \w+)?|n/?a|no|no changes?|tb[acd]|to ?do|to be (?:added|decided|defined|done)"
    r"|(?:none |not |no \w+ )(?:is |are )?(?:applicable|needed|necessary|required)|see above|\?+)?[\s*_`.!-]*"
)


def says_nothing(text: str) -> bool:
    """Whether a section of an llm is empty, or one of the words that it writes where a section wants none."""
    return bool(_NOTHING.fullmatch(text))
