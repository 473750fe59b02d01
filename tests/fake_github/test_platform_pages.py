"""The pages: readable, linked, and inert, whatever people wrote."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from fake_github.pages.rendering import sanitize
from fake_github.pages.site import rows

HOSTILE = """</div></main></body><script>alert(1)</script><style>*{display:none}</style>
<img src=x onerror=alert(1)> <a href="java&#10;script:alert(1)">one</a> [two](javascript:alert(1))
<a href=" javascript:alert(1)">three</a>
<iframe src="https://example.org"></iframe><svg onload=alert(1)>
<form action="https://example.org"><input name=q><button>go</button></form>
<a href="data:text/html,<script>alert(1)</script>">four</a>
<div style="position:fixed" class="top" onclick="alert(1)" id="content">five</div>
<details><summary>Plan</summary>

```diff
+ created
- destroyed
```
</details>
<math><mi//xlink:href="data:x,<script>alert(1)</script>">
"""


class Outline(HTMLParser):
    """Elements with their attributes, in order; and whether every element is closed where it should be."""

    VOID = frozenset({"br", "hr", "img", "wbr", "input", "meta", "link"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_inert(outline: Outline) -> None:
    assert outline.open == []
    for tag, attributes in outline.elements:
        assert tag not in ("script", "iframe", "svg", "math", "form", "button", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("style", "srcdoc", "action", "formaction", "xlink:href")
            if name in ("href", "src"):
                assert urlsplit(re.sub(r"[\x00-\x20]", "", value or "")).scheme in ("", "http", "https", "mailto")


def page(org: Any, path: str) -> Outline:
    answer = requests.get(org.github.base_url + path, timeout=10)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return Outline(answer.text)


@pytest.fixture
def published(org: Any) -> Any:
    org.github.label(org.issue, "ready", by="maria")
    org.issue.comment("Claimed by @tom, see #12", by="maria")
    org.orders.commit(
        "ops-agent/issue-12",
        {"infra/queue.tf": "# queue\n", "README.md": "# Orders and queue\n"},
        "Add the queue",
        by="maria",
    )
    return org.orders.open_pull_request("Queue", "Closes #12\n\n" + HOSTILE, head="ops-agent/issue-12", by="maria")


def test_each_page_has_one_title_one_main_and_headings_in_order(org: Any, published: Any) -> None:
    commit = published.commits[0]
    paths = (
        "/",
        "/DrivvenConsulting/orders",
        org.issue.path,
        published.path,
        org.board.path,
        f"/DrivvenConsulting/orders/commit/{commit}",
    )
    for path in paths:
        outline = page(org, path)
        levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
        assert len(outline.of("main")) == 1 and outline.of("html") == [{"lang": "en"}]
        assert all("aria-label" in nav for nav in outline.of("nav"))


def test_a_hostile_body_is_inert_and_stays_in_its_box(org: Any, published: Any) -> None:
    """Nothing that people write can run, fetch anything, or leave its place on the page."""
    org.issue.edit(title="<script>alert(1)</script>", by="maria")
    for path in (published.path, org.issue.path, org.board.path, "/DrivvenConsulting/orders"):
        assert_inert(page(org, path))
    text = requests.get(org.github.base_url + published.path, timeout=10).text
    assert 'id="files"' in text and text.count("</main>") == 1 and 'class="top" onclick' not in text
    assert '<span class="d-add">+ created</span>' in text and "<summary>Plan</summary>" in text


@given(
    st.lists(
        st.sampled_from(
            [
                *re.findall(r"<[^>]*>?|[^<]+", HOSTILE),
                "<",
                ">",
                '"',
                "'",
                "<!--",
                "-->",
                "<a href='",
                "</a",
                "\0",
                "&#x6A;",
            ]
        ),
        max_size=12,
    )
)
def test_no_mixture_of_hostile_pieces_gets_through(pieces: list[str]) -> None:
    assert_inert(Outline(sanitize("".join(pieces))))


@pytest.mark.parametrize(
    "path",
    ["/DrivvenConsulting/orders/pull/{n}/files", "/DrivvenConsulting/orders/issues", "/drivvenconsulting/ORDERS"],
)
def test_githubs_other_addresses_lead_to_a_page(org: Any, published: Any, path: str) -> None:
    page(org, path.format(n=published.number))


@pytest.mark.parametrize(
    ("given_html", "expected"),
    [
        ("<div><b>x</div>y", "<div><b>x</b></div>y"),
        ("</div></main>x", "x"),
        ("<b><i>x", "<b><i>x</i></b>"),
        ("<script>a</script>b<style>c</style>", "b"),
        ("<svg><circle/>x</svg>", "x"),
        ('<a href="java\nscript:x">y</a>', "<a>y</a>"),
        ('<a href="\x01javascript:x">y</a>', "<a>y</a>"),
        ('<a href="//example.org">y</a>', "<a>y</a>"),
        ('<a href=" docs/a.md">y</a>', '<a href="docs/a.md" rel="nofollow noopener noreferrer">y</a>'),
        ('<img src="data:image/svg+xml,x" alt="a&quot;b">', '<img alt="a&quot;b">'),
        ("<p class='top d-add' style='text-align:right'>x</p>", '<p class="d-add" align="right">x</p>'),
        ("<input type=text value=x>", ""),
        ("<!-- hidden -->x", "x"),
    ],
)
def test_what_is_left_of_peoples_html(given_html: str, expected: str) -> None:
    assert sanitize(given_html) == expected


def test_an_unknown_page_is_404(org: Any) -> None:
    answer = requests.get(f"{org.github.base_url}/DrivvenConsulting/orders/issues/<b>", timeout=10)
    assert answer.status_code == 404 and "<b>" not in answer.text


def test_references_become_links_only_when_they_exist(org: Any, published: Any) -> None:
    body = "#12 #99 @tom @ghostwriter `#12` other/repo#1 DrivvenConsulting/orders#12 mail@tom"
    org.issue.edit(body=body, by="maria")
    links = [a["href"] for a in page(org, org.issue.path).of("a") if a.get("class") == "mention"]
    assert links[:3] == ["/DrivvenConsulting/orders/issues/12", "/tom", "/DrivvenConsulting/orders/issues/12"]


def test_the_exported_pages_link_each_other_and_nothing_else(org: Any, published: Any, tmp_path: Path) -> None:
    org.issue.edit(body=f"See {published.url} and {org.github.base_url}/nowhere and https://example.org/x", by="maria")
    written = org.github.export_pages(tmp_path)
    assert written[0] == tmp_path / "index.html" and {w.name for w in written} >= {"12.html", "6.html", "orders.html"}
    anchored = False
    for file in written:
        outline = Outline(file.read_text())
        assert org.github.base_url not in file.read_text().replace(f"{org.github.base_url}/nowhere", "").replace(
            published.url, ""
        )
        for link in outline.of("a"):
            parts = urlsplit(link.get("href") or "")
            if parts.scheme or not parts.path:
                continue
            target = (file.parent / unquote(parts.path)).resolve()
            assert target in [w.resolve() for w in written], link
            anchored |= target.name == f"{published.number}.html" and file.parent.name == "issues"
    assert anchored


def test_a_patch_becomes_numbered_rows() -> None:
    patch = "@@ -1,2 +1,2 @@\n same\n-old\n+new\n\\ No newline at end of file"
    assert [(r.kind, r.old, r.new) for r in rows(patch)] == [
        ("hunk", "", ""),
        ("same", "1", "1"),
        ("del", "2", ""),
        ("add", "", "2"),
        ("note", "", ""),
    ]
    assert [r.kind for r in rows(None)] == ["note"]
