"""What a publication may look like: links, trees, patches. Pure."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ops_agent.model.change_set import ChangeSet, FileChange, TreeEntry, blob_id
from ops_agent.model.event import IssueRef
from ops_agent.model.ports import TokenAbilities
from ops_agent.run.commit import as_patch, moved_paths, split_by_abilities, tree_problems, unwritable
from ops_agent.run.publish import closing_references, link_problem
from ops_agent.text.markdown import as_kept

HERE = "DrivvenConsulting/orders"
ISSUE = IssueRef(repository=HERE, number=12)
BASE = "a" * 40


def entry(path: str, content: bytes = b"x", mode: str = "100644") -> TreeEntry:
    return TreeEntry(path=path, mode=mode, blob=blob_id(content), size=len(content))


def tree(*entries: TreeEntry) -> dict[str, TreeEntry]:
    return {e.path: e for e in entries}


def change(path: str, before: bytes | None, after: bytes | None) -> FileChange:
    return FileChange(path=path, before=before, after=after)


def change_set(*changes: FileChange) -> ChangeSet:
    return ChangeSet(base_commit=BASE, changes=tuple(sorted(changes, key=lambda c: c.path)))


# --- closing keywords
# -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["Closes #12", "closes: #12", "FIXES  #12", "resolved #12", "Close DrivvenConsulting/orders#12",
     "fix drivvenconsulting/ORDERS#12", "closes https://github.com/DrivvenConsulting/orders/issues/12", "Fixed GH-12",
     "see\n- closes #12.", "```\ncloses #12\n```"],
)  # fmt: skip
def test_every_spelling_of_a_closing_keyword_is_seen(text: str) -> None:
    assert closing_references(text, HERE) == (IssueRef(repository=HERE.casefold(), number=12),)


@pytest.mark.parametrize(
    "text", ["", "#12", "Parent issue: #12", "closes the door 12", "encloses #12", "closes ＃12", "prefix-closes #12"]
)
def test_what_closes_nothing_is_not_seen(text: str) -> None:
    assert closing_references(text, HERE) == ()


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (("T", "Closes #12", "m"), None),
        (("T", "Closes DrivvenConsulting/orders#12. Parent issue: #3", "m"), None),
        (("T", "no link", "m"), "0 closing keywords"),
        (("Closes #12", "Closes #12", "m"), "2 closing keywords"),
        (("T", "Closes #12", "m\n\nfixes #12"), "2 closing keywords"),
        (("T", "Closes #12 and fixes #3", "m"), "would close drivvenconsulting/orders#3"),
        (("T", "Closes #12", "resolves other/repo#1"), "would close other/repo#1"),
        (("T", "Closes #13", "m"), "would close"),
    ],
)
def test_exactly_one_issue_is_closed_and_it_is_the_right_one(texts: tuple[str, ...], problem: str | None) -> None:
    """Never the parent, never twice."""
    found = link_problem(texts, HERE, ISSUE)
    assert found is None if problem is None else found is not None and problem in found


@hypothesis_settings(deadline=None)
@given(st.text(max_size=200), st.integers(1, 99_999))
def test_a_closing_keyword_for_another_issue_is_a_problem_anywhere(text: str, number: int) -> None:
    found = link_problem((f"{text}\nCloses #12", f"fixes #{number}"), HERE, ISSUE)
    assert found is not None


# --- trees
# ----------------------------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "d/e", "d/f"])
contents = st.binary(max_size=3)
trees = st.dictionaries(names, contents, max_size=5)


def as_tree(files: dict[str, bytes]) -> dict[str, TreeEntry]:
    return tree(*(entry(p, c) for p, c in files.items()))


@hypothesis_settings(deadline=None)
@given(base=trees, head=trees, wanted=st.dictionaries(names, st.one_of(st.none(), contents), max_size=5))
def test_a_commits_steps_on_any_head_lead_to_base_plus_changes(
    base: dict[str, bytes], head: dict[str, bytes], wanted: dict[str, bytes | None]
) -> None:
    """Whatever is on the branch, the result is the base and the change set; and the check agrees with it, and with
    nothing else.
    """
    wanted = {p: c for p, c in wanted.items() if c is not None or p in base}
    changes = change_set(*(change(p, base.get(p), c) for p, c in wanted.items()))
    assert unwritable(as_tree(base), changes) == ()
    expected = {p: c for p, c in {**base, **wanted}.items() if c is not None}
    assert tree_problems(as_tree(base), changes, as_tree(expected)) == ()
    assert (tree_problems(as_tree(base), changes, as_tree(head)) == ()) == (head == expected)


CHANGES = change_set(change("new.tf", None, b"n"), change("old.tf", b"o", b"p"), change("gone.tf", b"g", None))
OLD = tree(entry("old.tf", b"o"), entry("gone.tf", b"g"), entry("keep.tf", b"k"), entry("run.sh", b"s", "100755"))
GOOD = tree(entry("old.tf", b"p"), entry("new.tf", b"n"), entry("keep.tf", b"k"), entry("run.sh", b"s", "100755"))


@pytest.mark.parametrize(
    ("tampered", "says"),
    [
        (entry("extra.tf"), "extra.tf differs from the branch"),
        (entry("keep.tf", b"other"), "keep.tf differs from the branch"),
        (entry("keep.tf", b"k", "100755"), "keep.tf differs from the branch"),
        (entry("run.sh", b"s", "100644"), "run.sh differs from the branch"),
        (entry("gone.tf", b"g"), "gone.tf should be deleted"),
        (entry("new.tf", b"evil"), "new.tf does not hold"),
        (entry("new.tf", b"n", "100755"), "new.tf has mode 100755"),
        (entry("new.tf", b"n", "120000"), "new.tf has mode 120000"),
        (entry("old.tf", b"p", "160000"), "old.tf has mode 160000"),
    ],
)
def test_a_tree_that_was_tampered_with_is_named(tampered: TreeEntry, says: str) -> None:
    assert tree_problems(OLD, CHANGES, GOOD) == ()
    (problem,) = tree_problems(OLD, CHANGES, GOOD | {tampered.path: tampered})
    assert says in problem


@pytest.mark.parametrize(
    ("base", "changes", "says"),
    [
        (tree(entry("l", b"x", "120000")), change_set(change("l", None, b"y")), "mode 120000"),
        (tree(entry("s", b"x", "160000")), change_set(change("s/f", None, b"y")), "inside of s"),
        (tree(entry("f", b"x")), change_set(change("f/g", None, b"y")), "inside of f"),
        (tree(entry("f", b"x")), change_set(change("f", b"other", b"y")), "not what the change set starts from"),
        (tree(entry("f", b"x")), change_set(change("f", None, b"y")), "not what the change set starts from"),
        (tree(), change_set(change("f", b"x", b"y")), "not what the change set starts from"),
    ],
)
def test_a_change_that_cannot_be_committed_as_a_file_is_named(
    base: dict[str, TreeEntry], changes: ChangeSet, says: str
) -> None:
    """Symlinks, submodules, and change sets made from another base."""
    assert any(says in problem for problem in unwritable(base, changes))


def test_a_file_may_be_replaced_by_a_folder_of_its_name() -> None:
    base = tree(entry("f", b"x"))
    assert unwritable(base, change_set(change("f", b"x", None), change("f/g", None, b"y"))) == ()


def test_moved_paths_are_those_that_differ() -> None:
    assert moved_paths(OLD, GOOD) == {"old.tf", "new.tf", "gone.tf"}


# --- workflow files and patches
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workflows", "left"), [(True, ()), (None, ()), (False, (".github/workflows/ci.yml",))])
def test_workflow_files_are_left_out_only_when_the_token_surely_may_not(
    workflows: bool | None, left: tuple[str, ...]
) -> None:
    changes = change_set(change(".github/workflows/ci.yml", None, b"on: push\n"), change("main.tf", None, b"x"))
    abilities = TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=workflows)
    kept, out = split_by_abilities(changes, lambda: abilities)
    assert out.paths == left and set(kept.paths) | set(out.paths) == set(changes.paths)


lines = st.lists(st.text("ab \t#-+@\\é\r\x0c\u2028", max_size=5), max_size=8)


@hypothesis_settings(deadline=None)
@given(before=st.one_of(st.none(), lines), after=st.one_of(st.none(), lines), end=st.booleans())
def test_a_patch_is_one_that_git_applies(
    before: list[str] | None, after: list[str] | None, end: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The person who applies it by hand gets exactly the change."""
    if before == after or (before is None and after is None):
        return
    old = None if before is None else ("\n".join(before) + ("\n" if before else "")).encode()
    new = None if after is None else ("\n".join(after) + ("\n" if end and after else "")).encode()
    if old == new or b"" in (old, new):
        return
    folder: Path = tmp_path_factory.mktemp("patch")
    target = folder / "w.yml"
    if old is not None:
        target.write_bytes(old)
    patch = as_patch(change_set(change("w.yml", old, new))).encode()
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"], input=patch, cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, (done.stderr, patch)
    assert (target.read_bytes() if target.exists() else None) == new


def test_a_file_that_is_no_text_is_named_in_the_patch() -> None:
    assert "Binary files differ" in as_patch(change_set(change("x", None, b"\xff\x00")))


@pytest.mark.parametrize("kept", ["a\n\nb", "a\r\n\r\nb", "a\n\nb\n", " a\r\n\r\nb \r\n"])
def test_a_text_is_recognised_after_github_changed_its_line_ends_and_edges(kept: str) -> None:
    assert as_kept(kept) == as_kept("a\n\nb\n") != as_kept("a\nb")
