"""Actions are pinned by our code: the llm cannot know commits."""

from __future__ import annotations

import re
import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.guard.data import table
from ops_agent.guard.pins import UsedAction, find_uses, is_commit, pin, vouched_commit
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy
from ops_agent.run.judge import pin_actions

PATH = ".github/workflows/x.yml"
COMMIT = "c" * 40


def changes(text: str, path: str = PATH, before: str | None = None) -> ChangeSet:
    old = None if before is None else before.encode()
    return ChangeSet(base_commit="a" * 40, changes=(FileChange(path=path, before=old, after=text.encode()),))


def after(change_set: ChangeSet) -> str:
    content = change_set.changes[0].after
    assert content is not None
    return content.decode()


def test_uses_are_found_with_line_and_tag() -> None:
    text = (
        f"x:\n  - uses: actions/checkout@v4\n  - uses: 'a/b/c@{COMMIT}' # v7.1 pinned\n"
        "  - name: uses: no\n    uses: ./local\n"
    )
    assert find_uses(changes(text)) == (
        UsedAction(path=PATH, line=2, uses="actions/checkout", ref="v4"),
        UsedAction(path=PATH, line=3, uses="a/b/c", ref=COMMIT, tag="v7.1"),
    )
    assert find_uses(changes(text, "infra/main.tf")) == ()


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("      - uses: actions/checkout@v4\n", f"      - uses: actions/checkout@{COMMIT} # v4\n"),
        ("        uses: actions/checkout@v4 # the source\n", f"        uses: actions/checkout@{COMMIT} # v4\n"),
        ('        uses: "actions/checkout@v4"\r\n', f'        uses: "actions/checkout@{COMMIT}" # v4\r\n'),
        ("      - uses: actions/checkout@v5\n", "      - uses: actions/checkout@v5\n"),
        ("      - uses: evil/checkout@v4\n", "      - uses: evil/checkout@v4\n"),
        ("      - {uses: actions/checkout@v4}\n", "      - {uses: actions/checkout@v4}\n"),
        ("      - uses: &co actions/checkout@v4\n", f"      - uses: &co actions/checkout@{COMMIT} # v4\n"),
    ],
)
def test_a_known_tag_becomes_its_commit_with_the_tag_beside_it(line: str, pinned: str) -> None:
    assert after(pin(changes(line), {("actions/checkout", "v4"): COMMIT})) == pinned


def test_lines_that_the_base_has_are_left_as_people_wrote_them() -> None:
    old = "- uses: actions/checkout@v4\n- run: a\n"
    commits = {("actions/checkout", "v4"): COMMIT, ("actions/checkout", "v5"): COMMIT}
    assert after(pin(changes("- run: b\n" + old, before=old), commits)) == "- run: b\n" + old
    assert find_uses(changes("- run: b\n" + old, before=old)) == ()
    raised = changes(old.replace("v4", "v5"), before=old)
    assert after(pin(raised, commits)) == f"- uses: actions/checkout@{COMMIT} # v5\n- run: a\n"
    twice = changes(old + old, before=old)
    assert after(pin(twice, commits)) == f"{old}- uses: actions/checkout@{COMMIT} # v4\n- run: a\n"
    assert [u.line for u in find_uses(twice)] == [3]


def test_an_answer_that_is_not_a_commit_changes_nothing() -> None:
    text = "- uses: actions/checkout@v4\n"
    assert after(pin(changes(text), {("actions/checkout", "v4"): "main\n  evil: x"})) == text


@given(st.text(alphabet=" -uses:acton/@v4#'\"\n\r", max_size=80))
def test_pinning_twice_is_pinning_once_and_touches_only_uses(text: str) -> None:
    commits = {("actions/checkout", "v4"): COMMIT, ("a/a", "v4"): COMMIT}
    once = pin(changes(text), commits)
    assert after(pin(once, commits)) == after(once)
    kept = [line for line in text.split("\n") if "uses" not in line]
    assert all(line in after(once).split("\n") for line in kept)


class Scratch:
    """A journal in memory."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = {p: t.encode() for p, t in files.items()}

    def change_set(self) -> ChangeSet:
        return ChangeSet(
            base_commit="a" * 40,
            changes=tuple(FileChange(path=p, before=None, after=c) for p, c in sorted(self.files.items())),
        )

    def write(self, path: str, content: bytes) -> None:
        self.files[path] = content


def test_the_scratch_tree_holds_the_pinned_bytes_and_only_allowed_names_are_asked_for() -> None:
    """A name that the llm invents reaches no server."""
    asked: list[tuple[str, str]] = []

    def resolve(uses: str, ref: str) -> str | None:
        asked.append((uses, ref))
        return COMMIT if ref == "v4" else None

    world: Any = SimpleNamespace(branches=SimpleNamespace(resolve_action=resolve))
    text = (
        "- uses: actions/checkout@v4\n- uses: Actions/Checkout@v4\n- uses: evil/secret-in-a-name@v4\n"
        "- uses: actions/setup-node@gone\n"
    )
    scratch: Any = Scratch({PATH: text, "infra/main.tf": text})
    pinned = pin_actions(world.branches, Policy(), scratch)
    assert asked == [("actions/checkout", "v4"), ("Actions/Checkout", "v4"), ("actions/setup-node", "gone")]
    assert [u.line for u in pinned] == [1, 2]
    assert (
        scratch.files[PATH].decode().count(COMMIT) == 2 and "evil/secret-in-a-name@v4" in scratch.files[PATH].decode()
    )
    assert scratch.files["infra/main.tf"].decode() == text


def test_the_table_that_ships_answers_for_tags_of_common_actions() -> None:
    """A run without GitHub pins by it. It holds whole commits, and every action of the built-in list that has one."""
    entries = [entry.partition("@") for versions in table("action_pins").values() for entry in versions]
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) and is_commit(commit) for version, _, commit in entries)
    assert len({commit for _, _, commit in entries}) == len(entries)
    missing = set(Policy().allowed_uses) - set(table("action_pins"))
    assert missing == {"opentofu/setup-opentofu"}, "no two repositories were found that pin it alike"
    v7 = vouched_commit("actions/checkout", "v7")
    assert v7 == vouched_commit("Actions/Checkout/folder", "v7.0.1") and v7 != vouched_commit("actions/checkout", "v4")
    unknown = [("actions/checkout", ref) for ref in ("v", "v70", "main", "", "7", "a" * 40)] + [("evil/checkout", "v7")]
    assert {vouched_commit(*one) for one in unknown} == {None}


def test_beside_a_known_commit_stands_the_version_that_it_stays() -> None:
    commit = vouched_commit("actions/checkout", "v7") or ""
    pinned = after(pin(changes("- uses: actions/checkout@v7\n"), {("actions/checkout", "v7"): commit}))
    assert re.fullmatch(rf"- uses: actions/checkout@{commit} # v7\.\d+\.\d+\n", pinned)


def test_the_table_is_renewed_from_the_actions_own_tags_and_a_moved_tag_stops_it() -> None:
    path = Path(__file__).parents[2] / ".ci/action_pins.py"
    script: dict[str, Any] = runpy.run_path(str(path))
    old = f"# Source: x\n\na/b:\n  v2.1.0@{'2' * 40}\n"
    tags = {"v1.0.0": "1", "v2.1.0": "2", "v2.10.0": "3", "v2.9.0": "4", "v3.0.0": "5", "v3.0.0^{}": "6", "v3": "7"}
    tags |= {"v3.1.0": "8"}
    days = {"v1.0.0": 1, "v2.1.0": 2, "v2.10.0": 3, "v2.9.0": 4, "v3.0.0": 5, "v3.1.0": 29}

    def run(*command: str) -> str:
        if command[0] == "git":
            return "".join(f"{digit * 40}\trefs/tags/{tag}\n" for tag, digit in tags.items())
        return "".join(f"{tag} 2026-01-{day:02}T00:00:00Z\n" for tag, day in days.items())

    now = datetime(2026, 2, 1, tzinfo=UTC)
    text, problems = script["renewed"](old, now, run)
    assert text == f"# Source: x\n\na/b:\n  v2.10.0@{'3' * 40}\n  v3.0.0@{'6' * 40}\n" and not problems
    assert script["renewed"](text, now, run) == (text, [])
    tags["v2.1.0"] = "9"
    assert script["renewed"](old, now, run)[1] == [f"a/b v2.1.0: {'9' * 40}, not {'2' * 40}"]
