"""docs/rules.md is generated and current."""

from __future__ import annotations

from pathlib import Path

from golden import assert_golden
from ops_agent.guard.rules import TABLE
from ops_agent.pages.rules_page import rules_page
from rules.judging import samples

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def rendered() -> str:
    files = {rule: tuple((p.name, p.read_text()) for p in paths if p.is_file()) for rule, paths in samples().items()}
    return rules_page(TABLE, files)


def test_the_page_says_what_the_rules_say() -> None:
    assert_golden(PAGE, rendered())


def test_every_rule_is_on_the_page_with_its_remedy() -> None:
    page = rendered()
    assert all(f"### `{r.id}`" in page and r.remedy in page for r in TABLE)
