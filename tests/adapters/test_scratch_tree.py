"""Nothing leaves the scratch tree, and nothing enters it except through its methods."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.agent_doubles import NASTY, SMALL
from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import PrivateDirectory, ScratchTree, path_trouble, scratch_tree
from ops_agent.model.ports import ScratchRefusal


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[ScratchTree]:
    with scratch_tree(MemoryTree(SMALL), parent=tmp_path) as built:
        yield built


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_ino, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize("path", NASTY)
def test_a_path_that_is_not_plainly_inside_is_refused_by_every_access(tree: ScratchTree, path: str) -> None:
    before = snapshot(tree.root)
    for access in (lambda: tree.read(path), lambda: tree.write(path, b"x"), lambda: tree.delete(path)):
        with pytest.raises(ScratchRefusal):
            access()
    assert snapshot(tree.root) == before
    assert tree.change_set().changes == ()


def test_the_directory_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch_tree(MemoryTree(SMALL), parent=tmp_path) as tree:
        assert tree.root.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_to_a_file_outside_is_neither_read_nor_written(tree: ScratchTree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (tree.root / "infra/link.tf").symlink_to(outside)
    for access in (lambda: tree._disk.read("infra/link.tf"), lambda: tree.write("infra/link.tf", b"x")):
        with pytest.raises(ScratchRefusal):
            access()
    assert outside.read_text() == "secret"


def test_a_symbolic_link_as_a_parent_directory_is_refused(tree: ScratchTree, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (tree.root / "infra/sub").symlink_to(outside)
    with pytest.raises(ScratchRefusal):
        tree.write("infra/sub/new.tf", b"x")
    assert list(outside.iterdir()) == []


def _race(tmp_path: Path, tries: int) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "d").mkdir(parents=True)
    outside.mkdir()
    (outside / "f").write_bytes(b"outside")
    disk, stop = PrivateDirectory(root), threading.Event()

    def flip() -> None:
        while not stop.is_set():
            os.rename(root / "d", root / "kept")
            with suppress(FileExistsError):
                os.symlink(outside, root / "d")
                os.unlink(root / "d")
            shutil.rmtree(root / "d", ignore_errors=True)
            with suppress(OSError):
                os.rename(root / "kept", root / "d")
            if not (root / "d").exists():
                (root / "d").mkdir()
            shutil.rmtree(root / "kept", ignore_errors=True)

    written = refused = 0
    thread = threading.Thread(target=flip)
    thread.start()
    try:
        for _ in range(tries):
            try:
                disk.write("d/f", b"inside")
                written += 1
                assert disk.read("d/f") == b"inside"
            except ScratchRefusal:
                refused += 1
    finally:
        stop.set()
        thread.join()
        disk.close()
    assert snapshot(outside) == {"f": ((outside / "f").stat().st_ino, b"outside")}
    assert sorted(p.name for p in outside.iterdir()) == ["f"]
    assert written and refused, "the race did not happen"


def test_no_write_escapes_while_a_directory_is_swapped_for_a_link(tmp_path: Path) -> None:
    """With fewer tries than the proof."""
    _race(tmp_path, 3_000)


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_no_write_escapes_in_a_hundred_thousand_tries(tmp_path: Path) -> None:
    _race(tmp_path, 100_000)


def test_a_file_with_several_names_is_neither_written_nor_read(tree: ScratchTree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    os.link(outside, tree.root / "infra/hard.tf")
    for access in (lambda: tree._disk.read("infra/hard.tf"), lambda: tree.write("infra/hard.tf", b"x")):
        with pytest.raises(ScratchRefusal, match="hard links"):
            access()
    assert outside.read_bytes() == b"secret"


def test_pipes_sockets_and_huge_files_are_refused_at_once(tree: ScratchTree) -> None:
    os.mkfifo(tree.root / "infra/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(tree.root / "infra")
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
        with (tree.root / "infra/sparse").open("wb") as sparse:
            sparse.truncate(10**12)
        started = time.monotonic()
        for name in ("pipe", "sock", "sparse"):
            for access in (lambda n=name: tree._disk.read(f"infra/{n}"), lambda n=name: tree.write(f"infra/{n}", b"x")):
                with pytest.raises(ScratchRefusal):
                    access()
        assert time.monotonic() - started < 5


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["..", ".", "a", "infra", "", ".git", "/", "\\", "~", "\u200b", " "]), max_size=6).map(
        "/".join
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_string_stays_inside_or_is_refused(tmp_path: Path, path: str) -> None:
    """A reference implementation that resolves the path on disk agrees that it is inside."""
    decoy = tmp_path / "decoy"
    decoy.write_bytes(b"decoy")
    with scratch_tree(MemoryTree({"infra/a": b"a"}), parent=tmp_path) as tree:
        before = snapshot(tree.root)
        try:
            tree.write(path, b"x")
        except ScratchRefusal:
            assert snapshot(tree.root) == before
        else:
            real = Path(os.path.realpath(tree.root / path))
            assert real.is_relative_to(tree.root.resolve())
            assert real.read_bytes() == b"x"
            assert path_trouble(path) is None
    assert [p.name for p in tmp_path.iterdir()] == ["decoy"]
    assert decoy.read_bytes() == b"decoy"


@pytest.mark.parametrize("path", ["infra/Main.tf", "INFRA/new.tf", "Readme.md"])
def test_a_name_that_differs_in_case_only_is_refused(tree: ScratchTree, path: str) -> None:
    """On a file system that ignores case it would be another file."""
    with pytest.raises(ScratchRefusal, match="case"):
        tree.write(path, b"x")


def test_a_directory_is_not_written_over(tree: ScratchTree) -> None:
    for path in ("infra", "app", "infra/backend"):
        with pytest.raises(ScratchRefusal):
            tree.write(path, b"x")
    with pytest.raises(ScratchRefusal):
        tree.write("README.md/x", b"x")
