"""What the scratch tree collects: base plus journal and nothing else, within its quotas."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.agent_doubles import SMALL
from doubles.tree import MemoryTree
from ops_agent.adapters import scratch
from ops_agent.adapters.scratch import ScratchTree, scratch_tree
from ops_agent.model.change_set import ChangeKind
from ops_agent.model.errors import NoSpace, PolicyViolation
from ops_agent.model.policy import Limits
from ops_agent.model.ports import ScratchRefusal
from ops_agent.terraform.links import FollowedTree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[ScratchTree]:
    with scratch_tree(MemoryTree(SMALL), parent=tmp_path) as built:
        yield built


def test_quotas_are_refused_with_the_number(tmp_path: Path) -> None:
    with scratch_tree(MemoryTree(SMALL), parent=tmp_path) as tree:
        for number in range(50):
            tree.write(f"infra/f{number}.tf", b"x")
        with pytest.raises(ScratchRefusal, match="50 files"):
            tree.write("infra/one-more.tf", b"x")
        with pytest.raises(ScratchRefusal, match="50 files"):
            tree.delete("infra/main.tf")
        tree.write("infra/f0.tf", b"changed again")
        tree.delete("infra/f1.tf")
        tree.write("infra/one-more.tf", b"x")
    with scratch_tree(MemoryTree(SMALL), parent=tmp_path) as tree:
        tree.write("infra/a.tf", b"x" * 1_000_000)
        with pytest.raises(ScratchRefusal, match="1,000,000"):
            tree.write("infra/b.tf", b"x" * 1_000_001)
        for name in "bcde":
            tree.write(f"infra/{name}.tf", b"x" * 1_000_000)
        with pytest.raises(ScratchRefusal, match="5,000,000"):
            tree.write("infra/f.tf", b"x")


def test_the_change_set_holds_what_was_written_against_the_base(tree: ScratchTree) -> None:
    tree.write("infra/main.tf", b"new")
    tree.write("infra/added.tf", b"added")
    tree.delete("infra/variables.tf")
    tree.write("README.md", SMALL["README.md"])
    changes = tree.change_set()
    assert [(c.path, c.kind, c.after) for c in changes.changes] == [
        ("infra/added.tf", ChangeKind.ADDED, b"added"),
        ("infra/main.tf", ChangeKind.MODIFIED, b"new"),
        ("infra/variables.tf", ChangeKind.DELETED, None),
    ]
    assert "infra/variables.tf" not in tree.paths()
    assert "infra/added.tf" in tree.paths()


def test_a_new_file_that_is_deleted_again_leaves_no_trace(tree: ScratchTree) -> None:
    tree.write("infra/added.tf", b"x")
    tree.delete("infra/added.tf")
    assert tree.change_set().changes == ()
    with pytest.raises(ScratchRefusal):
        tree.delete("infra/added.tf")


@pytest.mark.parametrize("tamper", ["stranger", "changed base", "changed written", "removed", "link", "came back"])
def test_a_tree_that_somebody_else_touched_is_not_collected(tree: ScratchTree, tamper: str, tmp_path: Path) -> None:
    tree.write("infra/main.tf", b"ours")
    tree.delete("infra/variables.tf")
    if tamper == "stranger":
        (tree.root / "infra/new.tf").write_text("x")
    elif tamper == "changed base":
        (tree.root / "infra/backend/dev/backend.hcl").write_text("x")
    elif tamper == "changed written":
        (tree.root / "infra/main.tf").write_text("x")
    elif tamper == "removed":
        (tree.root / "infra/backend/dev/backend.hcl").unlink()
    elif tamper == "link":
        (tree.root / "infra/l").symlink_to(tmp_path)
    else:
        (tree.root / "infra/variables.tf").write_text("x")
    with pytest.raises(PolicyViolation):
        tree.change_set()


_paths = st.sampled_from([*SMALL, "infra/new.tf", "infra/sub/deep.tf", "docs/x.md", "app/main.py", "infra"])
_edits = st.lists(st.tuples(_paths, st.one_of(st.none(), st.binary(max_size=20))), max_size=15)


@given(_edits)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tree_is_the_base_plus_the_journal_after_any_edits(
    tmp_path: Path, edits: list[tuple[str, bytes | None]]
) -> None:
    expected = dict(SMALL)
    with scratch_tree(MemoryTree(SMALL), parent=tmp_path) as tree:
        for path, content in edits:
            try:
                if content is None:
                    tree.delete(path)
                    del expected[path]
                else:
                    tree.write(path, content)
                    expected[path] = content
            except ScratchRefusal:
                assert path == "infra" or (content is None and path not in expected)
        assert {p: tree.read(p) for p in tree.paths()} == expected
        changes = tree.change_set()
        assert {c.path: c.after for c in changes.changes} == {
            p: expected.get(p) for p in expected.keys() | SMALL.keys() if expected.get(p) != SMALL.get(p)
        }


def test_links_submodules_state_and_terraform_internals_are_left_out(tmp_path: Path) -> None:
    left_out = (
        "infra/.terraform/providers/evil",
        "infra/terraform.tfstate",
        "infra/x.tfplan",
        "infra/link.tf",
        "terraform.d/p",
        "vendored",
    )
    files = {**SMALL, **dict.fromkeys(left_out, b"/etc/passwd")}
    base = MemoryTree(files, modes={"infra/link.tf": "120000", "vendored": "160000"})
    with scratch_tree(base, parent=tmp_path) as tree:
        assert set(tree.paths()) == set(SMALL)
        assert not any(
            ".terraform" in p.parts or p.name in ("link.tf", "terraform.tfstate") for p in tree.root.rglob("*")
        )
        with pytest.raises(ScratchRefusal, match="symbolic link"):
            tree.write("infra/link.tf", b"x")
        with pytest.raises(ScratchRefusal, match="not a directory"):
            tree.write("vendored/x.tf", b"x")


def test_what_terraform_needs_is_on_the_disk_and_the_rest_comes_when_asked_for(tmp_path: Path) -> None:
    files = {**SMALL, "infra/policies/a.json": b"{}", "app/big.bin": b"0" * 6_000_000}
    with scratch_tree(MemoryTree(files), parent=tmp_path) as tree:
        assert (tree.root / "infra/policies/a.json").exists()
        assert (tree.root / "infra/backend/dev/backend.hcl").exists()
        assert not (tree.root / "app").exists()
        assert tree.read("app/main.py") == SMALL["app/main.py"]
        with pytest.raises(ScratchRefusal, match="larger"):
            tree.read("app/big.bin")
        assert tree.change_set().changes == ()


def test_a_repository_of_two_hundred_thousand_files_is_not_written_to_the_disk(tmp_path: Path) -> None:
    files = {**SMALL, **{f"src/d{n // 500}/file{n}.py": b"x" for n in range(200_000)}}
    with scratch_tree(MemoryTree(files), parent=tmp_path) as tree:
        assert len(tree.paths()) == 200_000 + len(SMALL)
        tree.write("infra/new.tf", b"x")
        assert len(tree.change_set().changes) == 1
        assert sum(1 for _ in tree.root.rglob("*")) < 100


def test_a_full_disk_ends_the_run_as_no_space_and_leaves_the_old_file(
    tree: ScratchTree, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(scratch.os, "rename", full)
    with pytest.raises(NoSpace):
        tree.write("infra/main.tf", b"x")
    monkeypatch.undo()
    assert tree.read("infra/main.tf") == SMALL["infra/main.tf"]
    assert tree.change_set().changes == ()


def test_the_limits_of_the_run_hold(tmp_path: Path) -> None:
    with scratch_tree(MemoryTree(SMALL), Limits(max_files=1), tmp_path) as tree:
        tree.write("infra/a.tf", b"x")
        with pytest.raises(ScratchRefusal, match="1 files"):
            tree.write("infra/b.tf", b"x")
        assert tree.change_set().digest != hashlib.sha256(b"").hexdigest()


LINKED = {
    "shared/common.tf": b"common",
    "shared/net/main.tf": b"net",
    "infra/common.tf": b"../shared/common.tf",
    "infra/net": b"../shared/net",
    "infra/state.json": b"../shared/terraform.tfstate",
    "shared/terraform.tfstate": b"secret",
    "infra/out.tf": b"/etc/passwd",
    "infra/late.tf": b"../shared/late.tf",
}
LINKS = dict.fromkeys(("infra/common.tf", "infra/net", "infra/state.json", "infra/out.tf", "infra/late.tf"), "120000")


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[ScratchTree]:
    with scratch_tree(FollowedTree(MemoryTree(LINKED, LINKS)), parent=tmp_path) as built:
        yield built


def test_what_a_link_shows_is_a_file_and_what_leads_out_or_to_a_state_is_none(linked: ScratchTree) -> None:
    assert linked.paths() == ("infra/common.tf", "infra/net/main.tf", "shared/common.tf", "shared/net/main.tf")
    assert (linked.root / "infra/net/main.tf").read_bytes() == b"net"
    assert not [path for path in linked.root.rglob("*") if path.is_symlink()]


def test_a_file_that_links_show_is_changed_in_all_places_and_written_in_its_own(linked: ScratchTree) -> None:
    linked.write("shared/common.tf", b"changed")
    linked.write("shared/net/new.tf", b"new")
    linked.write("shared/late.tf", b"late")
    linked.delete("shared/net/main.tf")
    assert linked.read("infra/common.tf") == b"changed" and linked.read("infra/net/new.tf") == b"new"
    changes = linked.change_set()
    assert {c.path: (c.after, c.leads_to) for c in changes.changes} == {
        "infra/common.tf": (b"changed", "shared/common.tf"),
        "infra/late.tf": (b"late", "shared/late.tf"),
        "infra/net/main.tf": (None, "shared/net/main.tf"),
        "infra/net/new.tf": (b"new", "shared/net/new.tf"),
        "shared/common.tf": (b"changed", ""),
        "shared/late.tf": (b"late", ""),
        "shared/net/main.tf": (None, ""),
        "shared/net/new.tf": (b"new", ""),
    }
    assert changes.written.paths == tuple(path for path in changes.paths if path.startswith("shared/"))
    linked.delete("shared/net/new.tf")
    assert "infra/net/new.tf" not in linked.paths() and "infra/net/new.tf" not in linked.change_set().paths


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("infra/common.tf", "shared/common.tf"),
        ("infra/net/main.tf", "shared/net/main.tf"),
        ("infra/net/new.tf", "shared/net/new.tf"),
        ("infra/late.tf", "shared/late.tf"),
    ],
)
def test_a_write_at_a_link_is_refused_with_the_place_to_write(linked: ScratchTree, path: str, target: str) -> None:
    with pytest.raises(ScratchRefusal, match=f"is `{target}` through a symbolic link: change it there"):
        linked.write(path, b"x")
    with pytest.raises(ScratchRefusal):
        linked.delete(path)


def test_no_write_replaces_a_link_that_leads_out_and_no_deletion_breaks_one(linked: ScratchTree) -> None:
    with pytest.raises(ScratchRefusal, match="a symbolic link that leads out"):
        linked.write("infra/out.tf", b"x")
    with pytest.raises(ScratchRefusal, match=r"`infra/common\.tf` leads to `shared/common\.tf`"):
        linked.delete("shared/common.tf")
    assert linked.change_set().changes == ()
