"""SECURITY.md promises nothing that no test shows: each promise links to sections of the threat model, and each section
names tests.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from entry_points.action_files import ROOT
from ops_agent.adapters.terraform import commands
from ops_agent.model.errors import PolicyViolation

SECURITY = (ROOT / "SECURITY.md").read_text()
MODEL = (ROOT / "docs/threat-model.md").read_text()
LEFT_OPEN = "what-is-left-open"
ROWS = re.findall(r"^\| ([^|]+) \| `(tests/[\w/-]+(?:\.py::test_\w+)?)` \|$", MODEL, re.MULTILINE)


def slug(heading: str) -> str:
    """The anchor that GitHub and the documentation site make of a heading in plain words."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


# Anchor of a section -> its text down to the next heading.
SECTIONS = {
    slug(heading): text
    for heading, text in re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##+ |\Z)", MODEL, re.DOTALL | re.MULTILINE)
}


@cache
def functions(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_links_to_sections_of_the_threat_model_that_name_tests() -> None:
    promises = re.findall(r"^(\d+)\. \*\*(.+?)(?=^\d+\. \*\*|^## |\Z)", SECURITY, re.DOTALL | re.MULTILINE)
    assert [number for number, _ in promises] == [str(n) for n in range(1, 11)]
    for number, text in promises:
        anchors = re.findall(r"docs/threat-model\.md#([\w-]+)", text)
        assert anchors, f"promise {number} links to no section of the threat model"
        for anchor in anchors:
            assert "| test |" in SECTIONS[anchor], f"promise {number}: `{anchor}` names no test"


def test_every_row_of_the_threat_model_is_read_here() -> None:
    tables = "\n".join(text for text in SECTIONS.values() if "| promise | test |" in text)
    assert len(ROWS) == len(re.findall(r"^\| ", tables, re.MULTILINE)) - tables.count("| promise | test |")


@pytest.mark.parametrize("named", sorted({named for _, named in ROWS}))
def test_the_test_that_a_promise_names_exists_and_asserts_something(named: str) -> None:
    path, _, name = named.partition("::")
    gone = f"{named} is gone: name the test that shows the promise now, in docs/threat-model.md"
    if not name:
        assert any((ROOT / path).glob("bad-*")), gone
        return
    assert (ROOT / path).is_file(), gone
    assert name in functions(path), gone
    function = functions(path)[name]
    skipped = [
        ast.unparse(d) for d in function.decorator_list if re.search(r"mark\.(skip|xfail|proof)\b", ast.unparse(d))
    ]
    assert not skipped, f"{name} does not run in every suite: {skipped}"
    assert any(isinstance(node, ast.Call | ast.Assert) for node in ast.walk(function))


def test_every_link_to_the_threat_model_leads_to_a_section() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    code = [path for folder in ("src", "tests", "bench", "docs") for path in (ROOT / folder).rglob("*.py")]
    for path in {*pages, *code} - {Path(__file__)}:
        for anchor in re.findall(r"threat-model\.md#([\w-]+)", path.read_text()):
            assert anchor in SECTIONS, f"{path.relative_to(ROOT)} links to `{anchor}`"


def test_what_is_not_promised_is_explained() -> None:
    assert f"docs/threat-model.md#{LEFT_OPEN}" in SECURITY.partition("## What is not promised")[2]
    assert SECTIONS[LEFT_OPEN].count("\n* **") >= SECURITY.partition("## What is not promised")[2].count("\n* ")


def test_the_commands_that_the_first_promise_names_are_those_that_can_be_built() -> None:
    """A new command of Terraform is a change of a promise."""
    promise = re.search(r"^1\. (.+?)^2\. ", SECURITY, re.DOTALL | re.MULTILINE)
    assert promise is not None
    named = set(re.findall(r"`([a-z ]+)`", promise[1]))
    assert {" ".join(words) for words in commands._ALLOWED} <= named
    for forbidden in ("apply", "destroy", "state", "import", "console", "force-unlock", "workspace"):
        with pytest.raises(PolicyViolation):
            commands.TerraformCommand((forbidden,))
