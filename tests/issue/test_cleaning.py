"""Cleaning removes what a reader of the issue's page does not see, and keeps what is legitimate readable."""

from __future__ import annotations

import pytest

from growth import assert_linear
from issue.markup_samples import HIDDEN, INVISIBLE, LEGITIMATE
from ops_agent.issue.visible_text import MAX_TEXT, clean, clean_line


@pytest.mark.parametrize("channel", HIDDEN)
def test_hidden_words_are_removed_and_counted(channel: str) -> None:
    cleaned = clean(HIDDEN[channel])
    assert "secret" not in cleaned.text.lower() and "<!--" not in cleaned.text
    assert cleaned.text.count("seen") == HIDDEN[channel].count("seen")
    assert sum(cleaned.removed.values()) > 0


@pytest.mark.parametrize("sort", INVISIBLE)
def test_invisible_characters_are_removed_and_counted(sort: str) -> None:
    cleaned = clean(f"a{INVISIBLE[sort].join('xyz')}b".replace("\x85", ""))
    assert cleaned.text == "axyzb"
    assert cleaned.removed["invisible character"] == 2 * len(INVISIBLE[sort].replace("\x85", ""))


@pytest.mark.parametrize(
    "name",
    ["ZeroWidthSpace", "zwnj", "zwj", "shy", "NoBreak", "lrm", "rlm", "InvisibleTimes", "#8203", "#xAD", "#917569"],
)
def test_invisible_entities_are_decoded_and_removed(name: str) -> None:
    assert clean(f"a&{name};b").text == "ab"


@pytest.mark.parametrize("text", LEGITIMATE)
def test_what_a_reader_sees_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.text == text and sum(cleaned.removed.values()) == 0


def test_a_line_feed_written_as_an_entity_makes_no_heading() -> None:
    """On the page it is a blank."""
    assert clean("a&#10;&#10;## Acceptance Criteria&#9;b").text == "a  ## Acceptance Criteria b"


def test_visible_content_of_elements_stays() -> None:
    text = clean(
        "<details><summary>More</summary>\n\nThe **details** count.\n\n</details>\n<h2>Acceptance "
        "Criteria</h2><ul><li>one<li>two</ul>"
    ).text
    for words in ("More", "The **details** count.", "\n## Acceptance Criteria", "\n- one", "\n- two"):
        assert words in text


def test_links_are_shown_as_text_and_nothing_is_fetched(socket_disabled: None) -> None:
    text = (
        "[docs](https://example.com/a 'x') <https://example.com/b> ![p](https://example.com/c.png) "
        "<img src=https://example.com/d>"
    )
    assert clean(text).text.split() == ["[docs](https://example.com/a)", "https://example.com/b"]


def test_a_huge_body_is_cut_and_the_text_says_so() -> None:
    for body in ("word " * 1_000_000, "- line\n" * 200_000, "<!-- x --> y\n" * 400_000, "\u200b" * 5_000_000):
        cleaned = clean(body)
        assert len(cleaned.text) <= MAX_TEXT and cleaned.removed["cut at the size limit"] == 1
        assert (
            cleaned.text.endswith("the rest was cut.)")
            and clean(body) == cleaned
            and clean(cleaned.text).text == cleaned.text
        )


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "![",
        "[](<",
        '[a](b "',
        "<a ",
        '<div a="',
        "`a``b```",
        "&amp;",
        "> ",
        "- ",
        "<!",
        "$\\a",
        "[a]: b\n",
        "<!<!",
        "*a\n\n",
        "|",
        "[^1]: a\n",
        "\t",
        "(",
    ],
)
def test_cleaning_takes_linear_time(unit: str) -> None:
    """For each piece that could make a parser slow, repeated."""
    assert_linear(lambda size: clean(unit * (size // len(unit))), MAX_TEXT // 8)


def test_a_title_becomes_one_line_of_visible_characters() -> None:
    """A title is not Markdown, so `<env>` in it was seen and stays."""
    title = clean_line("[ops] Queue\u202e for `<env>`\n<!-- x\u200b -->  now\x1b[31m")
    assert title.text == "[ops] Queue for `<env>` x now[31m" and title.removed["invisible character"] == 3
    assert clean_line("a" * 300).text == "a" * 256
