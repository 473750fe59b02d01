"""The three-way merge of a text, beside git's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ops_agent.text.merging import merged_text

OLD = b"a\nb\nc\nd\ne\nf\ng\n"
SIDES = (
    (b"A\nb\nc\nd\ne\nf\ng\n", b"a\nb\nc\nd\ne\nf\nG\n"),
    (b"a\nb\nX\nd\ne\nf\ng\n", b"a\nb\nY\nd\ne\nf\ng\n"),
    (b"a\nb\nX\nd\ne\nf\ng\n", b"a\nb\nX\nd\ne\nf\ng\n"),
    (b"a\nc\nd\ne\nf\ng\n", b"a\nb\nc\nd\nnew\ne\nf\ng\n"),
    (b"a\nb\nc\nd\ne\nf\ng\nours", b"theirs\na\nb\nc\nd\ne\nf\ng\n"),
    (b"", OLD),
)


def test_what_fits_is_merged_as_git_does_and_what_does_not_is_between_marks(tmp_path: Path) -> None:
    for ours, theirs in SIDES:
        for name, content in (("old", OLD), ("ours", ours), ("theirs", theirs)):
            (tmp_path / name).write_bytes(content)
        git = subprocess.run(
            ["git", "merge-file", "-p", "-q", "ours", "old", "theirs"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        text, is_clean = merged_text(OLD, ours, theirs)
        assert is_clean == (git.returncode == 0), (ours, theirs)
        if is_clean:
            assert text == git.stdout
        else:
            assert text.count(b"<<<<<<< this branch\n") == text.count(b">>>>>>> base branch\n") == 1


def test_two_new_files_of_one_name_are_one_conflict() -> None:
    assert merged_text(b"", b"x", b"y") == (b"<<<<<<< this branch\nx\n=======\ny\n>>>>>>> base branch\n", False)
