"""For any text: cleaning twice changes nothing more, and keeps only allowed characters that the page shows."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from issue.markup_samples import MARKUP
from ops_agent.issue.visible_text import clean, clean_line, is_allowed, with_plain_line_ends


@given(st.text())
@example("&amp;" * 40 + "lt;")
@example("\u0958<\u0338!--x-->")
def test_cleaning_any_text_twice_gives_the_same_in_allowed_characters(text: str) -> None:
    """Idempotent; only allowed code points; never longer than the text in NFC; counted exactly when it changed."""
    _holds(text)


def _holds(text: str) -> None:
    cleaned = clean(text)
    again = clean(cleaned.text)
    assert again.text == cleaned.text and sum(again.removed.values()) == 0
    assert all(is_allowed(c) for c in cleaned.text)
    assert len(cleaned.text) <= max(len(text), len(unicodedata.normalize("NFC", text)))
    assert (sum(cleaned.removed.values()) > 0) == (cleaned.text != _uncounted(text))


def _uncounted(text: str) -> str:
    """What cleaning changes without counting it: line ends, spaces of other widths, and NFC."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in with_plain_line_ends(text))
    return unicodedata.normalize("NFC", spaced)


@settings(max_examples=400)
@example("\\<!--")
@given(MARKUP)
def test_cleaning_any_markup_twice_gives_the_same_without_comments(text: str) -> None:
    """A backslash before it makes `<!--` plain text that every reader sees."""
    _holds(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*<!--", clean(text).text)


@settings(max_examples=100)
@given(MARKUP, st.integers(80, 200))
def test_cleaning_a_cut_text_twice_gives_the_same(text: str, longest: int) -> None:
    cleaned = clean(text * 5, longest)
    assert len(cleaned.text) <= longest and clean(cleaned.text, longest).text == cleaned.text


class _Page(HTMLParser):
    """The words that a page shows: not those of comments, attributes, declarations, or of elements that are not
    displayed.
    """

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
    """The page as markdown-it renders it and as an HTML parser reads it is the judge."""
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


@given(st.text())
def test_cleaning_any_title_twice_gives_the_same_line(text: str) -> None:
    title = clean_line(text)
    assert (
        clean_line(title.text).text == title.text and "\n" not in title.text and all(is_allowed(c) for c in title.text)
    )
