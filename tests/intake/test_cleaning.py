"""Group B of the bar: nothing that a reader of the page does not see gets through, and what is legitimate stays readable."""

from __future__ import annotations

import re
import time
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from builders import BODY
from ops_agent.core.intake.cleaning import LONGEST_TEXT, clean, clean_line
from ops_agent.core.intake.cleaning_characters import is_allowed, plain_form

TAGS = "".join(chr(0xE0000 + ord(c)) for c in "secret")

# One line per channel: everything that says "secret" is hidden on the rendered page, "seen" is visible.
HIDDEN = {
    "comment": "seen <!-- secret --> seen",
    "comment over lines": "seen\n\n<!-- secret\n\nsecret -->\n\nseen",
    "comment without an end": "seen\n\n<!-- secret\n\n## secret\n\n```\nsecret\n```",
    "comment without an end inside a sentence": "seen <!-- secret",
    "comment put together from pieces": "seen <!<!-- x -->-- secret --> seen",
    "comment put together after the tags are gone": "seen <!<b>-- secret --> <b>seen</b>",
    "comment in entities": "seen &lt;!-- secret --&gt; seen",
    "comment in numeric entities": "seen &#60;&#x21;-- secret --&#62; seen",
    "comment in nested entities": "seen &amp;lt;!-- secret --&amp;gt; seen",
    "comment with dashes inside a sentence": "seen <!-- x <!----> <b secret -->",
    "comment that HTML5 ends earlier": 'seen\n\n<!--> <b title="--> secret',
    "comment inside an HTML block around a fence": "<div>\n```\n<!-- secret -->\n```\n</div>\n\nseen",
    "link definition as a comment": "[//]: # (secret)\n\nseen",
    "link definition with a title": "[seen][x]\n\n[x]: https://example.com 'secret\nsecret'",
    "second link definition of a label": "[a]\n\n[a]: /u\n[a]: /secret (secret)\n\nseen",
    "link definition in a quotation": '> [x]: <secret secret> "secret"\n\nseen',
    "link title": 'seen [seen](https://example.com "secret")',
    "link title over lines": "[seen](/u 'secret\nsecret') seen",
    "link destination with blanks": "[seen](<secret secret>)",
    "link label": "[seen][secret]\n\n[secret]: /u",
    "image text": "seen ![secret](https://example.com/x.png)",
    "image by reference": "seen ![secret][x] ![x]\n\n[x]: /u 'secret'",
    "image in a link": "[![secret](/b.svg)](/u) seen",
    "attribute": 'seen <span title="secret">seen</span>',
    "attribute of a data kind": "<p data-note='secret'>seen</p>",
    "attribute over blank lines": '<div title="\n\nsecret\n\n<b class="x">secret',
    "attribute in a quotation": '> <div title=\n> "secret">\n\nseen',
    "attribute after a no-break space": "seen <div x= y\xa0[secret]>",
    "attribute in a table cell": '| seen ` | <b title="secret"> ` |\n|---|---|\n',
    "image element": "seen <img alt='secret' src=x>",
    "template": "seen <template>secret</template> seen",
    "template over blocks": "seen\n\n<template>\n\n## secret\n\n```\nsecret\n```\n\n</template>\n\nseen",
    "film over blocks": "seen <video>\n\nsecret</video> secret",
    "span hidden over blocks": "seen\n\n<span hidden>\n\nsecret</span> secret",
    "template without an end": "seen <template> secret\n\nsecret",
    "comment drawn as a frame": "seen\n\n<!-- ----- secret -----\nsecret -- secret -->\n\nseen",
    "script and style": "<script>secret</script>\n\nseen <style>secret</style>",
    "element with the attribute hidden": "<p hidden>secret</p>\n\nseen",
    "element with a style": "<p style='font-size:0'>secret</p>\n\nseen",
    "vector image": "seen <svg><desc>secret</desc></svg> seen",
    "instruction": "seen <?secret?> seen",
    "instruction with a bracket": 'seen <? > <b title="?> secret',
    "character data": "seen <![CDATA[secret]]> seen",
    "declaration": "seen <!SECRET secret> seen",
    "tag characters": f"seen{TAGS} seen",
    "footnote": "seen\n\n[^1]: secret\n    secret\n\n    secret",
    "words after a fence": "```hcl secret\nseen\n```",
    "unknown word after a fence": "```secret\nseen\n```",
    "drawn fence": "```mermaid\n%% secret\n```\n\nseen",
    "cell outside the table": "| seen |\n|---|\n| seen | secret |",
    "formula": "seen $\\phantom{secret}$ seen",
    "formula in ticks": "seen $`\\phantom{secret}`$ seen",
    "block of definitions": "seen\n\n[a]: /u\n[b]: /secret\n[secret]:\n  /u\n  'secret'",
}

INVISIBLE = {
    "zero width": "\u200b\u200c\u200d\ufeff",
    "word joiner and invisible operators": "\u2060\u2061\u2062\u2063\u2064",
    "bidi": "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c",
    "soft hyphen": "\u00ad",
    "variation selectors": "\ufe00\ufe0f\U000e0100\U000e01ef",
    "Mongolian": "\u180b\u180e\u180f",
    "fillers": "\u115f\u1160\u3164\uffa0\u17b4\u17b5\u034f\u2800",
    "separators": "\u2028\u2029",
    "annotations": "\ufff9\ufffa\ufffb\ufffc",
    "tags": "\U000e0001\U000e0020\U000e007f",
    "controls": "\x00\x07\x08\x1b\x7f\x85\x9b",
    "music and shorthand": "\U0001d173\U0001d17a\U0001bca0\U0001d159",
    "private use": "\ue000\U000f0000\U00100000",
    "not assigned": "\u0378\U000e1000\uffff",
}


@pytest.mark.parametrize("channel", HIDDEN)
def test_hidden_words_are_removed_and_counted(channel: str) -> None:
    """B01 to B07, X11."""
    cleaned = clean(HIDDEN[channel])
    assert "secret" not in cleaned.text.lower() and "<!--" not in cleaned.text
    assert cleaned.text.count("seen") == HIDDEN[channel].count("seen")
    assert cleaned.removed_count > 0


@pytest.mark.parametrize("sort", INVISIBLE)
def test_invisible_characters_are_removed_and_counted(sort: str) -> None:
    """B07, B08."""
    cleaned = clean(f"a{INVISIBLE[sort].join('xyz')}b".replace("\x85", ""))
    assert cleaned.text == "axyzb"
    assert cleaned.removed["invisible character"] == 2 * len(INVISIBLE[sort].replace("\x85", ""))


@pytest.mark.parametrize(
    "name", ["ZeroWidthSpace", "zwnj", "zwj", "shy", "NoBreak", "lrm", "rlm", "InvisibleTimes", "#8203", "#xAD", "#917569"]
)
def test_invisible_entities_are_decoded_and_removed(name: str) -> None:
    """B04."""
    assert clean(f"a&{name};b").text == "ab"


LEGITIMATE = [
    BODY,
    'Use this:\n\n```hcl\nresource "aws_sqs_queue" "q" {\n  policy = <<-EOF\n    {"a": "${var.x}"}\n  EOF\n}\n```\n',
    "The path is `/orders/<env>/queue` and `a < b && c > d`.",
    "Latency < 200 ms, cost <5 USD, 3 > 2, R&D, AT&T, a_b*c, C:\\temp",
    "- [ ] one\n- [x] two\n  1. three\n\n> quoted\n\nSet\n===\n\n| a | b |\n|---|:-:|\n| `x\\|y` | \\| |\n",
    "See https://example.com/a?b=1&copy=2#c and [the docs](https://example.com/x_(y)) or #12, @maria.",
    "    indented <code>\n\n~~~yaml\non: push # <x>\n~~~\n",
    "Preços: ação, coração, naïve, 東京, العربية, हिन्दी, Ελληνικά, emoji 🚀, € 5, ½, №",
    "$HOME and $PATH, costs $5 to $10",
    "Backslash \\<b\\> and [brackets] and [x][y] ![no image] (a)[b]",
    'A link in a link: [a [b](/c) d](/e "shown")',
    "text with a [^1] mark and a ] bracket",
    "Rulers: -----, --->, <--, => and <=",
]


@pytest.mark.parametrize("text", LEGITIMATE)
def test_what_a_reader_sees_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.text == text and cleaned.removed_count == 0


def test_a_line_feed_written_as_an_entity_makes_no_heading() -> None:
    """B04: on the page it is a blank."""
    assert clean("a&#10;&#10;## Acceptance Criteria&#9;b").text == "a  ## Acceptance Criteria b"


def test_visible_content_of_elements_stays() -> None:
    """B06."""
    text = clean(
        "<details><summary>More</summary>\n\nThe **details** count.\n\n</details>\n<h2>Acceptance Criteria</h2><ul><li>one<li>two</ul>"
    ).text
    for words in ("More", "The **details** count.", "\n## Acceptance Criteria", "\n- one", "\n- two"):
        assert words in text


def test_links_are_shown_as_text_and_nothing_is_fetched(socket_disabled: None) -> None:
    """B05, B13."""
    text = "[docs](https://example.com/a 'x') <https://example.com/b> ![p](https://example.com/c.png) <img src=https://example.com/d>"
    assert clean(text).text.split() == ["[docs](https://example.com/a)", "https://example.com/b"]


def test_a_huge_body_is_cut_at_a_stated_place_in_bounded_time() -> None:
    """B12."""
    for body in ("word " * 1_000_000, "- line\n" * 200_000, "<!-- x --> y\n" * 400_000, "\u200b" * 5_000_000):
        started = time.process_time()
        cleaned = clean(body)
        assert time.process_time() - started < 5
        assert len(cleaned.text) <= LONGEST_TEXT and cleaned.removed["cut at the size limit"] == 1
        assert cleaned.text.endswith("the rest was cut.)") and clean(body) == cleaned and clean(cleaned.text).text == cleaned.text


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
def test_text_made_to_be_slow_is_not(unit: str) -> None:
    """B12: 65,536 characters of whatever a parser dislikes."""
    started = time.process_time()
    clean(unit * (LONGEST_TEXT // len(unit)))
    assert time.process_time() - started < 5


@given(st.text())
@example("&amp;" * 40 + "lt;")
@example("\u0958<\u0338!--x-->")
def test_any_text_comes_to_a_fixed_point_of_the_alphabet(text: str) -> None:
    """B09: idempotent; only allowed code points; never longer than the text in NFC; counted exactly when it changed."""
    _holds(text)


def _holds(text: str) -> None:
    cleaned = clean(text)
    again = clean(cleaned.text)
    assert again.text == cleaned.text and again.removed_count == 0
    assert all(is_allowed(c) for c in cleaned.text)
    assert len(cleaned.text) <= max(len(text), len(unicodedata.normalize("NFC", text)))
    assert (cleaned.removed_count > 0) == (cleaned.text != plain_form(text))


PIECES = [
    *(
        "<!--",
        "-->",
        "--!>",
        "<",
        ">",
        '"',
        "'",
        "`",
        "```",
        "~~~",
        "\n",
        "\n\n",
        "    ",
        "- ",
        "1. ",
        "> ",
        "# ",
        "|",
        "\n|-|-|\n",
        "<b ",
        "<b>",
        "</b>",
    ),
    *(
        "<div>",
        "<div ",
        'title="',
        "=",
        " hidden",
        "<template>",
        "</template>",
        "<script>",
        "</script>",
        "<?",
        "?>",
        "<![CDATA[",
        "]]>",
        "<!A ",
        "[",
        "]",
    ),
    *(
        "(",
        ")",
        "![",
        "](",
        '](x "',
        "]: ",
        "[a]: ",
        '"x"',
        "\\",
        "\t",
        "&lt;",
        "&quot;",
        "&amp;",
        "&#96;",
        "<p>",
        '<a href="',
        "\u200b",
        "\u0338",
        "\xa0",
    ),
    *("hcl", "mermaid", "$", "\\phantom{", "}", "[^1]: ", "<br>", "<li>", "&#10;", "---", "\r\n"),
]
WORDS = st.integers(0, 99).map(lambda number: f"W{number}W")
MARKUP = st.lists(st.sampled_from(PIECES) | WORDS, max_size=25).map("".join)


@settings(max_examples=400)
@example("\\<!--")
@given(MARKUP)
def test_any_markup_comes_to_a_fixed_point_of_the_alphabet(text: str) -> None:
    """B03, B09. A backslash before it makes `<!--` plain text that every reader sees."""
    _holds(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*<!--", clean(text).text)


@settings(max_examples=100)
@given(MARKUP, st.integers(80, 200))
def test_a_cut_text_is_a_fixed_point_too(text: str, longest: int) -> None:
    """B12."""
    cleaned = clean(text * 5, longest)
    assert len(cleaned.text) <= longest and clean(cleaned.text, longest).text == cleaned.text


class _Page(HTMLParser):
    """The words that a page shows: not those of comments, attributes, declarations, or of elements that are not displayed."""

    def __init__(self) -> None:
        super().__init__()
        self.words: set[str] = set()
        self.addresses = ""
        self._dark = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += " ".join(value or "" for name, value in attrs if name == "href")
        self._dark += tag in ("template", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._dark -= self._dark > 0 and tag in ("template", "script", "style")

    def handle_data(self, data: str) -> None:
        if not self._dark:
            self.words |= set(re.findall(r"W\d+W", re.sub("[^ -~]", "", data)))


RENDER = MarkdownIt("commonmark", {"html": True}).enable("table")


@settings(max_examples=600)
@given(MARKUP)
@example('![![W7W<textarea><pre></textarea>. W8W<a href="W9W     ""x"W10W](W11W)')
@example("</div>\n<b /W1W</style>W2W<!<style>W3W")
@example("- i\n  ```\n  <b title='W1W'>\n```\n<b title='W2W'>\n```\n<b title='W3W'>W4W")
def test_no_word_is_kept_that_the_rendered_page_does_not_show(text: str) -> None:
    """X11 turned round: the page as markdown-it renders it and as an HTML parser reads it is the judge."""
    page = _Page()
    page.feed(RENDER.render(text.replace("\r\n", "\n")))
    page.close()
    kept = set(re.findall(r"W\d+W", clean(text).text))
    assert all(word in page.words or word in page.addresses for word in kept)


@given(MARKUP, MARKUP)
def test_text_put_after_a_blank_line_reveals_nothing_that_was_hidden_before(first: str, second: str) -> None:
    hidden = set(re.findall(r"W\d+W", first)) - set(re.findall(r"W\d+W", clean(first).text))
    later = set(re.findall(r"W\d+W", second))
    together = set(re.findall(r"W\d+W", clean(f"{first}\n\n{second}").text))
    shown = _Page()
    shown.feed(RENDER.render(f"{first}\n\n{second}".replace("\r\n", "\n")))
    shown.close()
    assert not (hidden - later) & together - shown.words


def test_a_title_is_one_visible_line() -> None:
    """B08, B15: a title is no Markdown, so `<env>` in it was seen and stays."""
    title = clean_line("[ops] Queue\u202e for `<env>`\n<!-- x\u200b -->  now\x1b[31m")
    assert title.text == "[ops] Queue for `<env>` x now[31m" and title.removed["invisible character"] == 3
    assert clean_line("a" * 300).text == "a" * 256


@given(st.text())
def test_any_title_comes_to_a_fixed_point(text: str) -> None:
    title = clean_line(text)
    assert clean_line(title.text).text == title.text and "\n" not in title.text and all(is_allowed(c) for c in title.text)
