"""Hooks of mkdocs: the root's own documents become pages, and links out of the site lead to the repository.

Pages are written for reading on GitHub, so every link is relative to the file that holds it. Here each link is resolved
to a path of the repository: a page of the site is linked as such, any other file by the repository's address.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Repository path -> page of the site, for documents that are not below docs/.
ROOT_PAGES = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_SOURCES = {page: source for source, page in ROOT_PAGES.items()}
_CODE_OR_LINK = re.compile(r"(^```.*?^```|`[^`\n]+`)|(\]\()(?!https?:|mailto:|#)([^)#\s]+)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """The site's files with the root's documents added."""
    for source, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A page's text with every relative link rewritten for the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(_SOURCES.get(here, f"docs/{here}"))

    def rewritten(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        target = posixpath.normpath(posixpath.join(folder, found[3]))
        inside = ROOT_PAGES.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
        if inside is not None and files.get_file_from_path(inside) is not None:
            return found[2] + posixpath.relpath(inside, posixpath.dirname(here) or ".")
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{found[2]}{config['repo_url'].rstrip('/')}/{kind}/main/{target}"

    return _CODE_OR_LINK.sub(rewritten, markdown)
