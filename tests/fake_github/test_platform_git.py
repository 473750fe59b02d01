"""The objects are git's own: a real git reads them, verifies them, and computes the same names."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fake_github.diffs import diff_files
from fake_github.git_objects import Entry, GitStore, Signature
from fake_github.objects import Repository


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["git", "--git-dir", str(folder), *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


def export_bare(repository: Repository, folder: Path) -> Path:
    """Every object, branch and tag as a real bare repository at `folder`, for a second opinion by git."""
    with repository.github.lock:
        objects, default = dict(repository.store.objects), repository.default_branch
        refs = {f"refs/heads/{name}": commit for name, commit in repository.branches.items()}
        refs |= {f"refs/tags/{name}": target for name, target in repository.tags.items()}
    git(folder, "init", "--quiet", "--bare", f"--initial-branch={default}")
    for sha, (kind, payload) in objects.items():
        target = folder / "objects" / sha[:2] / sha[2:]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(zlib.compress(f"{kind} {len(payload)}\0".encode() + payload))
    for ref, named in refs.items():
        git(folder, "update-ref", ref, named)
    return folder


def test_git_verifies_every_object_and_clones_the_files(org: Any, tmp_path: Path) -> None:
    modes = {"run.sh": "100755", "link": "120000"}
    files = {"run.sh": "#!/bin/sh\n", "link": "README.md", "a.b": "1", "a/b": "2", "a0": "3", "ünicode ☃.tf": "4"}
    org.orders.commit("main", files, "Modes and an order that git is particular about", by="maria", modes=modes)
    org.orders.commit("work", {"infra/queue.tf": "# queue\n", "a/b": None}, "Queue\n\nWith a body.", by="maria")
    org.orders.open_pull_request("Queue", head="work", by="maria").merge(by="maria")
    org.orders.tag("v1", by="maria")
    bare = export_bare(org.orders, tmp_path / "orders.git")
    git(bare, "fsck", "--strict", "--full")
    assert git(bare, "rev-parse", "v1^{commit}").strip() == org.orders.head()
    assert git(bare, "rev-parse", "main").strip() == org.orders.head()
    assert git(bare, "rev-list", "--count", "main").strip() == "4"
    listed = git(bare, "-c", "core.quotePath=false", "ls-tree", "-r", "main").splitlines()
    assert [line.split("\t")[1] for line in listed] == sorted(org.orders.files(), key=str.encode)
    assert "100755 blob" in next(line for line in listed if line.endswith("run.sh"))
    subprocess.run(["git", "clone", "-q", str(bare), str(tmp_path / "clone")], check=True, capture_output=True)
    assert (tmp_path / "clone/infra/queue.tf").read_text() == "# queue\n"
    assert (tmp_path / "clone/link").is_symlink()


def test_git_writes_the_same_commit_from_the_same_facts(org: Any, tmp_path: Path) -> None:
    bare = export_bare(org.orders, tmp_path / "orders.git")
    commit = org.orders.store.commits[org.orders.head()]
    raw = git(bare, "cat-file", "commit", commit.sha)
    assert git(bare, "hash-object", "-t", "commit", "--stdin", stdin=raw.encode()).strip() == commit.sha
    assert f"tree {commit.tree}\nauthor DrivvenConsulting <" in raw


_NAMES = st.text("abc.-_ é0", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(_PATHS, st.binary(max_size=8), max_size=12))
def test_a_tree_gives_back_the_files_that_went_in(files: dict[str, bytes]) -> None:
    store = GitStore()
    entries = {path: Entry("100644", store.put_blob(content)) for path, content in files.items()}
    clashes = any(one != other and other.startswith(f"{one}/") for one in files for other in files)
    try:
        tree = store.put_tree(entries)
    except ValueError:
        assert clashes
        return
    assert not clashes
    who = Signature("maria", "m@example.org", 0)
    assert store.files(store.put_commit(tree, (), "m", who, who)) == entries


def test_history_knows_what_is_ahead_and_where_two_branches_part() -> None:
    store = GitStore()
    who = Signature("maria", "m@example.org", 0)

    def commit(name: str, *parents: str) -> str:
        return store.put_commit(
            store.put_tree({name: Entry("100644", store.put_blob(name.encode()))}), parents, name, who, who
        )

    root = commit("root")
    left, right = commit("left", root), commit("right", root)
    merged = commit("merged", left, right)
    assert store.merge_base(left, right) == root
    assert store.ahead(left, merged) == [right, merged]
    assert store.history(merged)[0] == merged and store.history(merged)[-1] == root
    assert store.merge_base(merged, commit("stranger")) is None


def test_a_patch_reports_a_missing_last_newline_as_git_does(org: Any, tmp_path: Path) -> None:
    org.orders.commit("main", {"a.txt": "one\ntwo", "b.txt": "one\n"}, "before", by="maria")
    org.orders.commit("main", {"a.txt": "one\ntwo\n", "b.txt": None, "c.txt": "", "d.bin": b"\0"}, "after", by="maria")
    head = org.orders.head()
    before = org.orders.store.commits[head].parents[0]
    ours = {f.path: f for f in diff_files(org.orders.store, before, head)}
    bare = export_bare(org.orders, tmp_path / "orders.git")
    theirs = git(bare, "diff", "--no-renames", before, head, "--", "a.txt")
    assert ours["a.txt"].patch is not None and theirs.endswith(ours["a.txt"].patch + "\n")
    assert "\\ No newline at end of file" in ours["a.txt"].patch
    numbers = git(bare, "diff", "--no-renames", "--numstat", before, head).splitlines()
    assert [
        f"{f.additions if f.patch is not None else '-'}\t{f.deletions if f.patch is not None else '-'}\t{p}"
        for p, f in ours.items()
    ] == numbers
    assert [f.status for f in ours.values()] == ["modified", "removed", "added", "added"]
