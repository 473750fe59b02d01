"""Documents match the repository: links resolve, commands and files exist, pictures are small."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from entry_points.action_files import ACTION, ROOT, load
from ops_agent import model
from ops_agent.config.settings import Settings
from ops_agent.model.outcome import Conclusion

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


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    """A path is given from the repository's root, or inside a package: `guard/rule.py`."""
    places = [ROOT, ROOT / "src/ops_agent", ROOT / "src/fake_github"]
    for named in re.findall(r"`((?:src|tests)/[\w./-]+|[\w/]+\.py)(?:::\w+)?`", page.read_text()):
        assert any((place / named).exists() for place in places), named


def test_the_architecture_page_names_every_package() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("## Packages")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)/`", table))
    assert named == {path.parent.name for path in (ROOT / "src/ops_agent").glob("*/__init__.py")}


def test_every_word_of_the_architecture_page_is_a_noun_of_the_domain() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    table = page.partition("## Words")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z, ]+) \| (`[^|]+`) \| [^|]{10,} \|$", table, re.MULTILINE)
    assert len(rows) == table.count("\n| ") - 1, "a row that is not read here"
    nouns = {
        name
        for module in pkgutil.iter_modules(model.__path__)
        for name, found in vars(importlib.import_module(f"{model.__name__}.{module.name}")).items()
        if isinstance(found, type) and found.__module__.startswith(model.__name__)
    }
    for _, code in rows:
        assert set(re.findall(r"`(\w+)`", code)) <= nouns, code


def test_every_document_that_code_or_pages_point_to_is_in_the_repository() -> None:
    """Repositories in tests have a docs/ of their own; of tests only decisions are looked at."""
    private = r"\b(?:mission|security-bar|facts|peers)\.md\b"
    for folder, ours in (
        ("src/ops_agent", r"docs/[\w/-]+\.(?:md|json)"),
        ("bench", r"docs/[\w/-]+\.md"),
        ("tests", r"docs/decisions/[\w-]+\.md"),
    ):
        for source in set((ROOT / folder).rglob("*.py")) - {Path(__file__)}:
            for named in re.findall(rf"{private}|\b{ours}\b", source.read_text()):
                assert (ROOT / named).is_file(), f"{source.relative_to(ROOT)} points to {named}"


def test_every_outcome_is_explained_with_its_exit_code() -> None:
    page = (ROOT / "docs/outcomes.md").read_text()
    for conclusion in Conclusion:
        (row,) = re.findall(
            rf"^\| (\d+) \| `{conclusion}` \| (yes|no) \| [^|]{{10,}} \| [^|]{{10,}} \|$", page, re.MULTILINE
        )
        assert row == (str(conclusion.exit_code), "yes" if conclusion.retryable else "no")


def test_the_pictures_in_the_repository_are_small() -> None:
    pictures = list((ROOT / "docs/images").glob("*.png"))
    assert pictures and all(picture.stat().st_size < 300_000 for picture in pictures)


def test_security_makes_ten_promises_and_says_what_is_not_promised() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert re.findall(r"^(\d+)\. \*\*", text, re.MULTILINE) == [str(n) for n in range(1, 11)]
    assert "## What is not promised" in text


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yml")), ids=lambda p: p.name)
def test_an_example_gives_inputs_that_exist_with_values_that_a_run_accepts(path: Path) -> None:
    called = load(ROOT / ".github/workflows/ops-agent.yml")[True]["workflow_call"]
    for job in load(path)["jobs"].values():
        for call in (job, *job.get("steps", ())):
            if not call.get("uses", "").startswith("org/ops-agent"):
                continue
            given = call["with"]
            assert set(given) <= set(called["inputs"] if call is job else ACTION["inputs"])
            assert set(job.get("secrets", ())) <= set(called["secrets"])
            values = {name: re.sub(r"\$\{\{.*?\}\}", "", str(value)) for name, value in given.items()}
            inputs = {name: value for name, value in values.items() if name in ACTION["inputs"]}
            own = dict.fromkeys(call.get("env", ()), "a-secret-of-the-server")
            Settings.from_inputs(own | {f"INPUT_{name.upper()}": value for name, value in inputs.items()})
    assert f"examples/{path.name}" in (ROOT / "docs/examples.md").read_text()
