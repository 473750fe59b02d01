"""Documents say what is there: links lead somewhere, commands and files exist, pictures are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doors.door_files import ROOT
from ops_agent.domain.outcome import Conclusion

PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in _LINK.findall(text):
        assert (page.parent / target).resolve().exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|&& )make ([a-z]+)\b", page.read_text(), re.MULTILINE))
    assert named <= targets, named - targets


def test_every_outcome_is_explained_with_its_exit_code() -> None:
    page = (ROOT / "docs/outcomes.md").read_text()
    for conclusion in Conclusion:
        (row,) = re.findall(rf"^\| (\d+) \| `{conclusion}` \| (yes|no) \| [^|]{{10,}} \| [^|]{{10,}} \|$", page, re.MULTILINE)
        assert row == (str(conclusion.exit_code), "yes" if conclusion.retryable else "no")


def test_the_pictures_in_the_repository_are_small() -> None:
    pictures = list((ROOT / "docs/images").glob("*.png"))
    assert pictures and all(picture.stat().st_size < 300_000 for picture in pictures)


def test_security_makes_ten_promises_and_says_what_is_not_promised() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert re.findall(r"^(\d+)\. \*\*", text, re.MULTILINE) == [str(n) for n in range(1, 11)]
    assert "## What is not promised" in text
