"""Hostile prose is shown, and does nothing."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from growth import assert_linear
from ops_agent.text.markdown import (
    cell,
    code,
    code_block,
    fence_verbatim,
    inert,
    neutralise,
    neutralise_commit,
    one_line,
    printable,
    says_nothing,
    sentence,
)

GITHUB = MarkdownIt("gfm-like", {"linkify": True, "html": True})
GITHUB.linkify.set({"fuzzy_link": True, "fuzzy_email": True})  # type: ignore[union-attr]
BY_GITHUB = re.compile(r"(?i)www\.|[a-z][a-z0-9+.-]*:|.*@")
MENTION = re.compile(r"@\w")
REFERENCE = re.compile(r"#[0-9]|(?<![a-z0-9])GH-[0-9]", re.IGNORECASE)
ACTIVE = {"html_inline", "html_block", "image", "link_open", "heading_open", "hr", "table_open", "s_hr"}
PIECES = st.sampled_from(
    [
        "@maria", "@org/team", "Closes #1", "fixes o/r#2", "Resolves GH-3", "GH\\-3", "https://github.com/o/r/issues/4",
        "www.evil.example", "<!-- x", "-->", "<img src=x>", "</details>", "![a](b)", "[a](b)", "[a]: https://x", "[^1]",
        "`", "``", "```", "\t```", "~~~", "\t", "\\", "\\\\", "\\`", "\n", "\n\n", "\n# ", "\n---",
        "\n## Guard verdict", "\n===",
        "\n- ", "\n> ", "\n1. ", "    ", " ", "|", "\n|---|---|\n", "&#64;x", "&lt;b>", "<https://x>", "*", "_",
        "**", "text", "/deploy", "\n/lgtm", "\natlantis apply", "[skip ci]",
        "\x1b[31m", "\u202e", "\u200b", "a", "1", "#", "-", "=", "$",
    ]
)  # fmt: skip
HOSTILE = st.lists(PIECES | st.characters(), max_size=30).map("".join)


def walk(tokens: list[Token]) -> list[Token]:
    return [t for token in tokens for t in (token, *walk(token.children or []))]


def shown(markdown: str) -> tuple[set[str], str]:
    """Types of the active tokens, and the text outside code, as a GitHub-like renderer sees `markdown`."""
    tokens = walk(GITHUB.parse(markdown))
    for opened, inside in pairwise(tokens):
        if opened.markup == "linkify" and not BY_GITHUB.match(inside.content):
            opened.type = "a bare domain, which GitHub does not link"
    return {t.type for t in tokens} & ACTIVE, "\n".join(t.content for t in tokens if t.type == "text")


@given(HOSTILE)
@settings(max_examples=600, deadline=None)
def test_neutralised_prose_renders_to_nothing_active(text: str) -> None:
    active, plain = shown(neutralise(text))
    assert not active
    assert not MENTION.search(plain)
    assert not REFERENCE.search(plain)


@given(HOSTILE, HOSTILE)
@settings(max_examples=300, deadline=None)
def test_neutralised_prose_cannot_reach_the_text_around_it(first: str, second: str) -> None:
    page = f"## Ours\n\n{neutralise(first)}\n\n## Verdict\n\n{neutralise(second)}\n\n## End\n"
    headings = [
        t.content for a, t in zip(GITHUB.parse(page), GITHUB.parse(page)[1:], strict=False) if a.type == "heading_open"
    ]
    assert headings == ["Ours", "Verdict", "End"]


@given(HOSTILE)
@settings(max_examples=400, deadline=None)
def test_neutralising_twice_changes_nothing(text: str) -> None:
    for make in (inert, printable, one_line, neutralise, cell, neutralise_commit):
        once = make(text)
        assert make(once) == once, make.__name__


@given(HOSTILE)
@settings(max_examples=300, deadline=None)
def test_a_code_block_cannot_be_closed_from_inside(text: str) -> None:
    tokens = GITHUB.parse(f"{fence_verbatim(inert(text), 'diff')}\n\nafter\n")
    assert [t.type for t in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


@given(HOSTILE)
@settings(max_examples=300, deadline=None)
def test_cells_and_code_spans_stay_in_their_cell(text: str) -> None:
    tokens = walk(GITHUB.parse(f"| a | b | c |\n|---|---|---|\n| {cell(text)} | {code(text)} | end |\n"))
    assert sum(t.type == "td_open" for t in tokens) == 3
    assert sum(t.type == "tr_open" for t in tokens) == 2
    assert not {t.type for t in tokens} & (ACTIVE - {"table_open"})


@pytest.mark.parametrize(
    "trailer",
    [
        "Co-authored-by: a <a@b>",
        "Signed-off-by: x",
        "[skip ci]",
        "[ci skip] now",
        "skip-checks: true",
        "  Reviewed-by: me",
        "on-behalf-of: @org",
    ],
)
def test_a_commit_message_loses_forged_trailers_and_skip_marks(trailer: str) -> None:
    assert neutralise_commit(f"Add a queue\n\n{trailer}\nCloses #12") == "Add a queue\n\nCloses ＃12"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("o/r#3 is blocked by #4, #5.", "o/r#3 is blocked by #4, #5."),
        ("Pull request #7 (see #8)", "Pull request #7 (see #8)"),
        ("other/r#3 and o/r2#3", "other/r＃3 and o/r2＃3"),
        ("the branch a#3 @team", "the branch a＃3 ＠team"),
        ("closes #3, Fixes: o/r#4", "closes ＃3, Fixes: o/r＃4"),
        ("a branch ＃3 and #3", "a branch ＃3 and ＃3"),
    ],
)
def test_numbers_in_our_own_sentences_link_and_close_nothing(text: str, expected: str) -> None:
    assert sentence(text, "o/r") == expected
    assert "#" not in sentence(text, "")


def test_tabs_in_code_are_kept_and_those_in_prose_are_blanks() -> None:
    text = "a\tb\n\n```make\nall:\n\techo\n```"
    assert neutralise(text) == "a  b\n\n```\nall:\n\techo\n```"
    assert neutralise(neutralise(text)) == neutralise(text)
    assert code_block("all:\n\techo") == "```\nall:\n\techo\n```"


def test_ordinary_prose_is_left_as_it_is() -> None:
    text = "The queue `aws_sqs_queue.orders` keeps **failed** messages:\n\n- one, 14 days\n- two_words\n\n"
    text += "1. `terraform plan` & wait\n\n```\naws sqs list\n```"
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Closes #12", "Closes ＃12"),
        ("see https://x.example/a.", "see `https://x.example/a`."),
        ("# Heading", "\\# Heading"),
        ("<!-- hidden -->", "\\<!-- hidden -->"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("/deploy prod", " \\/deploy prod"),
        ("[a](javascript:x)", "\\[a\\](javascript:x)"),
        ("mail @org/team", "mail ＠org/team"),
    ],
)
def test_each_trick_is_shown_as_text(text: str, expected: str) -> None:
    assert neutralise(text) == expected


@pytest.mark.parametrize(
    "seed",
    [
        "`",
        "\\`",
        "[",
        "@a",
        "#1 ",
        "a://",
        "```\n",
        "> ",
        "<!--",
        "\x1b[",
        "https://x`",
        "- ",
        "www.",
        "&#",
        "-by:",
        "(skip ci",
    ],
)
def test_neutralising_is_linear(seed: str) -> None:
    assert_linear(
        lambda size: (neutralise(seed * (size // len(seed))), neutralise_commit(seed * (size // len(seed)))), 10_000
    )


def test_whether_a_section_says_nothing_is_linear() -> None:
    assert_linear(lambda size: says_nothing(" " * size + "x"), 5_000)
    assert not says_nothing("no\nx") and says_nothing(" *No.* ")


def test_formulas_are_plain_text_so_that_no_link_or_colour_hides_in_them() -> None:
    assert neutralise(r"$`\href{x}{y}`$ and $$a$$") == r"\$`\href{x}{y}`\$ and \$\$a\$\$"
