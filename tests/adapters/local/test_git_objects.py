"""Git's plumbing commands give the bytes of a commit, and run nothing that the repository's configuration names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ops_agent.adapters.local.git_objects import GitObjects, GitTree, quarantined
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import ConfigError, ToolchainError


def _git(folder: Path, *arguments: str) -> str:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    person = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(
        ["git", *person, *arguments], cwd=folder, check=True, capture_output=True, text=True, env=variables
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    (folder / "infra").mkdir()
    (folder / "infra" / "main.tf").write_text('resource "terraform_data" "a" {}\n')
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "snow ☃.md").write_text("x\n")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", "base")
    return folder


def _changes(base: str) -> ChangeSet:
    return ChangeSet(
        base_commit=base,
        changes=(
            FileChange(path="infra/main.tf", before=b"x", after=b"changed\n"),
            FileChange(path="infra/new.tf", before=None, after=b"new\n"),
            FileChange(path="run.sh", before=b"x", after=b"#!/bin/sh\nexit 0\n"),
            FileChange(path="snow ☃.md", before=b"x\n", after=None),
        ),
    )


def test_a_tree_lists_modes_and_sizes_and_follows_no_link(repository: Path) -> None:
    objects = GitObjects(repository)
    tree = GitTree(objects, _git(repository, "rev-parse", "HEAD").strip())
    entries = tree.entries()
    assert {p: e.mode for p, e in entries.items()} == {
        "infra/main.tf": "100644", "link": "120000", "run.sh": "100755", "snow ☃.md": "100644",
    }  # fmt: skip
    assert tree.read("run.sh") == b"#!/bin/sh\n"
    assert entries["run.sh"].size == 10
    assert tree.read("link") == b"/etc/passwd", "the link itself, and not what it leads to"
    with pytest.raises(KeyError):
        tree.read("../outside")
    objects.close()


def test_hooks_filters_and_fsmonitor_of_the_repository_never_run(repository: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    script.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.external",
        "diff.evil.textconv",
        "core.pager",
        "core.sshCommand",
    ):
        _git(repository, "config", name, str(script))
    hooks = repository / ".git" / "hooks"
    for name in ("reference-transaction", "post-index-change", "pre-commit", "post-commit"):
        (hooks / name).write_text(script.read_text())
        (hooks / name).chmod(0o755)
    (repository / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    objects = GitObjects(repository)
    base = objects.commit_of("HEAD")
    assert base is not None
    commit = objects.commit_tree(base, "headline", "body", _changes(base))
    assert objects.patch(base, commit)
    assert objects.create_branch("ops", commit)
    assert GitTree(objects, commit).read("infra/new.tf") == b"new\n"
    objects.close()
    assert not canary.exists()


def test_a_commit_holds_exactly_base_plus_changes_and_keeps_modes(repository: Path) -> None:
    objects = GitObjects(repository)
    base = objects.commit_of("HEAD")
    assert base is not None
    commit = objects.commit_tree(base, "headline", "body", _changes(base))
    tree = GitTree(objects, commit)
    assert {p: e.mode for p, e in tree.entries().items()} == {
        "infra/main.tf": "100644", "infra/new.tf": "100644", "link": "120000", "run.sh": "100755",
    }  # fmt: skip
    objects.close()


def test_the_patch_applies_to_the_base(repository: Path) -> None:
    objects = GitObjects(repository)
    base = objects.commit_of("HEAD")
    assert base is not None
    patch = objects.patch(base, objects.commit_tree(base, "headline", "body", _changes(base)))
    (repository.parent / "p.patch").write_bytes(patch)
    _git(repository, "apply", str(repository.parent / "p.patch"))
    assert (repository / "infra" / "new.tf").read_text() == "new\n"
    objects.close()


def test_a_quarantined_commit_leaves_nothing_in_the_repository(repository: Path) -> None:
    before = sorted((repository / ".git" / "objects").rglob("*"))
    with quarantined(repository) as objects:
        base = objects.commit_of("HEAD")
        assert base is not None
        commit = objects.commit_tree(base, "headline", "body", _changes(base))
        assert GitTree(objects, commit).read("infra/main.tf") == b"changed\n"
    assert sorted((repository / ".git" / "objects").rglob("*")) == before


def test_an_existing_branch_is_never_moved(repository: Path) -> None:
    objects = GitObjects(repository)
    base = objects.commit_of("HEAD")
    assert base is not None
    assert objects.create_branch("ops", base)
    assert not objects.create_branch("ops", objects.commit_tree(base, "h", "b", _changes(base)))
    assert objects.commit_of("refs/heads/ops") == base
    objects.close()


def test_a_folder_that_is_not_a_repository_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a git repository"):
        GitObjects(tmp_path)


@pytest.mark.parametrize(
    ("name", "in_the_way"),
    [("ops", "ops/queue"), ("ops/queue", "ops/queue"), ("ops/queue/2", "ops/queue"), ("main/x", "main"), ("op", "")],
)
def test_a_branch_name_that_clashes_with_another_is_refused_before_any_work(
    repository: Path, name: str, in_the_way: str
) -> None:
    _git(repository, "branch", "ops/queue")
    objects = GitObjects(repository)
    assert objects.in_the_way_of(name) == in_the_way
    head = objects.commit_of("HEAD") or ""
    if in_the_way and name != in_the_way:
        with pytest.raises(ToolchainError):
            objects.create_branch(name, head)
    else:
        assert objects.create_branch(name, head) is (not in_the_way)
    objects.close()


def test_who_reads_many_files_gets_the_rest_of_the_terraform_in_one_go(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"infra/{number}.tf": f"# {number}\n" * number for number in range(9)}
    for path, text in texts.items():
        (repository / path).write_text(text)
    _git(repository, "add", ".")
    _git(repository, "commit", "-q", "-m", "more")
    monkeypatch.setattr("ops_agent.adapters.local.git_objects._SINGLE_READS", 3)
    objects = GitObjects(repository)
    single: list[str] = []
    blob = objects.blob
    monkeypatch.setattr(objects, "blob", lambda identity: single.append(identity) or blob(identity))
    tree = GitTree(objects, _git(repository, "rev-parse", "HEAD").strip())
    assert {path: tree.read(path).decode() for path in texts} == texts and len(single) == 2
    gone = tree.entries()["infra/8.tf"].blob
    (repository / ".git/objects" / gone[:2] / gone[2:]).unlink()
    tree = GitTree(objects, tree.commit)
    assert {path: tree.read(path).decode() for path in texts if path != "infra/8.tf"}
    with pytest.raises(ToolchainError, match="has no blob"):
        tree.read("infra/8.tf")
    objects.close()
