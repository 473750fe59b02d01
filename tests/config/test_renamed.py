"""Old names hold for one release, and whoever writes one is told the new one (docs/upgrading.md)."""

from __future__ import annotations

from datetime import date

import pytest

from doubles.tree import MemoryTree
from entry_points.action_files import ACTION
from ops_agent.config import renamed
from ops_agent.config.baseline import excuse, fingerprint, read_baseline, write_baseline
from ops_agent.config.policy_file import POLICY_FILE, narrow_by_policy_file
from ops_agent.config.renamed import RENAMED, Renamed
from ops_agent.config.settings import INPUT_NAMES, Settings, read_inputs
from ops_agent.model.errors import ConfigError
from ops_agent.model.finding import Finding, Place
from ops_agent.pages.rules_page import render_rules

TODAY = date(2026, 12, 1)
NEXT = (
    Renamed("input", "turns", "max_turns", since="0.1.0", until="99.0.0"),
    Renamed("policy key", "uses", "allowed_uses", since="0.1.0", until="99.0.0"),
    Renamed("rule", "terraform/region", "terraform/foreign-region", since="0.1.0", until="99.0.0"),
    Renamed("input", "cost", "max_cost_usd", since="0.0.1", until="0.1.0"),
)
TURNS = "the input `turns` is called `max_turns` since version 0.1.0; write `max_turns`, version 99.0.0 no longer takes"


@pytest.fixture
def next_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "RENAMED", NEXT)


@pytest.mark.usefixtures("next_names")
def test_an_old_input_counts_as_the_new_one_and_both_are_refused() -> None:
    settings = Settings.from_inputs({"INPUT_TURNS": "3", "INPUT_MAX_TURNS": ""})
    assert settings.limits.max_turns == 3
    assert settings.notices == (f"{TURNS} `turns`",)
    assert Settings.from_inputs({"INPUT_TURNS": "", "INPUT_MAX_TURNS": "4"}).notices == ()
    both = read_inputs({"INPUT_TURNS": "3", "INPUT_MAX_TURNS": "4"})
    assert both.problems == ("input `turns`: it is the old name of `max_turns`; remove it",)
    (gone,) = read_inputs({"INPUT_COST": "3"}).problems
    assert gone.startswith("input `cost`: there is no such input")


@pytest.mark.usefixtures("next_names")
def test_an_old_key_of_the_policy_file_counts_as_the_new_one_and_both_are_refused() -> None:
    settings = narrow_by_policy_file(Settings(), MemoryTree({POLICY_FILE: b"uses: [actions/checkout]\n"}))
    assert settings.policy.allowed_uses == ("actions/checkout",)
    (notice,) = settings.notices
    assert notice.startswith(
        f"{POLICY_FILE}: the policy key `uses` is called `allowed_uses` since version 0.1.0; write"
    )
    with pytest.raises(ConfigError) as refused:
        narrow_by_policy_file(Settings(), MemoryTree({POLICY_FILE: b"allowed_uses: []\nuses: []\n"}))
    assert refused.value.problems == ("line 2: `uses`: it is the old name of `allowed_uses`; remove it",)


def test_a_rule_keeps_its_fingerprints_and_its_entries_in_a_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(path="infra/main.tf", line=1)
    found = Finding(rule="terraform/region", what="x", remedy="y", place=place)
    old = fingerprint(found, lambda _: "a\n")
    entry = f"- {{rule: terraform/region, path: infra/main.tf, fingerprint: {old}, reason: why, expires: 2027-01-01}}\n"
    monkeypatch.setattr(renamed, "RENAMED", NEXT)

    now = Finding(rule="terraform/foreign-region", what="x", remedy="y", place=place)
    prints = {now: fingerprint(now, lambda _: "a\n")}
    entries, problems = read_baseline(entry.encode())
    (told,), excused = excuse((now,), prints, entries, TODAY, whole=True)
    assert not problems and excused == 1
    assert (told.rule, told.blocks) == ("baseline/renamed", False) and "`terraform/foreign-region`" in told.what
    text, count, unwritten = write_baseline((now,), prints, entries, TODAY, lambda _: True)
    ((again,), _) = read_baseline(text.encode())
    assert (count, unwritten, again.rule, again.reason, again.notice) == (
        1,
        0,
        "terraform/foreign-region",
        "why",
        "",
    )


def test_what_the_table_says_is_so() -> None:
    """New names exist, old ones do not; action.yml has old inputs and outputs beside the new ones."""
    rules = render_rules()
    for row in RENAMED:
        if row.kind == "rule":
            assert f"`{row.new}`" in rules and f"`{row.old}`" not in rules, row
        if row.kind == "input":
            assert row.new in INPUT_NAMES and f"`{row.new}`" in ACTION["inputs"][row.old]["deprecationMessage"], row
        if row.kind == "output":
            assert ACTION["outputs"][row.old]["value"] == ACTION["outputs"][row.new]["value"], row


def test_the_first_name_of_a_rule_holds_over_several_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (
        Renamed("rule", "terraform/a", "terraform/b", since="0.1.0", until="0.2.0"),
        Renamed("rule", "terraform/b", "terraform/c", since="0.2.0", until="0.3.0"),
    )
    monkeypatch.setattr(renamed, "RENAMED", rows)
    assert renamed.first_name("terraform/c") == renamed.first_name("terraform/b") == "terraform/a"
