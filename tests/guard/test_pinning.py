"""Actions are pinned by our code: the llm cannot know commits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.guard.pins import UsedAction, find_uses, pin
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
