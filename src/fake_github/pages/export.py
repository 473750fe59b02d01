"""The pages as files: self-contained HTML, links relative, so that a browser opens them from a folder."""

from __future__ import annotations

import os.path
import re
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from fake_github.pages.site import canonical, pages

if TYPE_CHECKING:
    from fake_github.platform import EmbeddedGitHub

# Our templates and the sanitiser write every attribute in double quotes and escape what is inside.
_HREF = re.compile(r' href="([^"]*)"')


def _file(path: str) -> str:
    """Where the page of `path` is written, e.g. `/o/r/pull/1` as `o/r/pull/1.html`."""
    return f"{path.strip('/') or 'index'}.html"


def export_pages(github: EmbeddedGitHub, folder: Path) -> list[Path]:
    """Write every page below `folder`; returns the files, `index.html` first. A link to what is not exported becomes
    plain text.
    """
    with github.lock:
        rendered = {path: render() for path, render in pages(github).items()}
    known = {path.lower(): path for path in rendered}
    written = []
    for path, html in rendered.items():
        here = _file(path)
        target = folder / here
        target.parent.mkdir(parents=True, exist_ok=True)
        linked = _HREF.sub(lambda found, here=here: _relative(found[1], here, github.base_url, known), html)  # type: ignore[misc]
        target.write_text(linked, encoding="utf-8")
        written.append(target)
    return written


def _relative(href: str, here: str, base_url: str, known: dict[str, str]) -> str:
    address = unescape(href).removeprefix(base_url)
    if not address.startswith("/"):
        return f' href="{href}"'
    parts = urlsplit(address)
    path, section = canonical(unquote(parts.path))
    page = known.get(path.lower())
    if page is None:
        return ""
    relative = quote(os.path.relpath(_file(page), Path(here).parent))
    fragment = parts.fragment or section
    return f' href="{escape(relative + (f"#{fragment}" if fragment else ""))}"'
