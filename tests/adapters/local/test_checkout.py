"""A checkout against a commit: every state that git knows, read without running anything of the repository."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkouts import checkout, commit, git, write
from ops_agent.adapters.local.checkout import Checkout, modules_in, open_checkout
from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.errors import ConfigError, ToolchainError
from ops_agent.terraform.links import FollowedTree
from ops_agent.terraform.modules import modules_of

FILES = {
    "infra/main.tf": 'resource "terraform_data" "a" {}\n',
    "infra/other.tf": 'module "m" {\n  source = "../modules/m"\n}\n',
    "modules/m/main.tf": 'variable "x" {}\n',
    "run.sh": "#!/bin/sh\n",
    ".gitignore": "*.ignored\n.terraform/\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return checkout(tmp_path / "repository", FILES)


@pytest.fixture
def read_from_git(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The blobs that are asked for."""
    asked: list[str] = []
    one, many = GitObjects.blob, GitObjects.blobs

    def blob(self: GitObjects, identity: str) -> bytes:
        asked.append(identity)
        return one(self, identity)

    def blobs(self: GitObjects, identities: Any) -> dict[str, bytes]:
        wanted = list(identities)
        asked.extend(wanted)
        return many(self, wanted)

    monkeypatch.setattr(GitObjects, "blob", blob)
    monkeypatch.setattr(GitObjects, "blobs", blobs)
    yield asked


def changes(folder: Path, base: str = "HEAD") -> ChangeSet:
    with open_checkout(folder) as opened:
        return opened.changes_since(FollowedTree(opened.base(base)))


def kinds(folder: Path, base: str = "HEAD") -> dict[str, str]:
    return {change.path: change.kind for change in changes(folder, base).changes}


def test_an_untouched_checkout_has_no_change_and_nothing_is_read(repository: Path, read_from_git: list[str]) -> None:
    assert kinds(repository) == {}
    assert read_from_git == []


def test_every_state_of_a_file_is_seen(repository: Path) -> None:
    (repository / "infra/main.tf").write_text("# changed\n")
    (repository / "infra/other.tf").unlink()
    git(repository, "mv", "modules/m/main.tf", "modules/m/renamed.tf")
    write(repository, {"infra/untracked.tf": "", "infra/staged.tf": "", "x.ignored": "", "infra/.terraform/x.tf": ""})
    git(repository, "add", "infra/staged.tf")
    (repository / "run.sh").chmod(0o755)
    assert kinds(repository) == {
        "infra/main.tf": "modified",
        "infra/other.tf": "deleted",
        "infra/staged.tf": "added",
        "infra/untracked.tf": "added",
        "modules/m/main.tf": "deleted",
        "modules/m/renamed.tf": "added",
    }
    found = {change.path: change for change in changes(repository).changes}
    assert (found["infra/main.tf"].before, found["infra/main.tf"].after) == (
        FILES["infra/main.tf"].encode(),
        b"# changed\n",
    )
    assert found["modules/m/renamed.tf"].after == FILES["modules/m/main.tf"].encode()


def test_a_file_that_was_touched_or_staged_and_taken_back_is_no_change(repository: Path) -> None:
    os.utime(repository / "run.sh")
    (repository / "infra/main.tf").write_text("staged\n")
    git(repository, "add", ".")
    (repository / "infra/main.tf").write_text(FILES["infra/main.tf"])
    assert kinds(repository) == {}


def test_an_edit_that_hides_behind_the_old_size_and_time_is_seen(repository: Path) -> None:
    file = repository / "infra/main.tf"
    before = file.stat()
    file.write_text(FILES["infra/main.tf"].replace('"a"', '"b"'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kinds(repository) == {"infra/main.tf": "modified"}


def test_a_file_as_young_as_the_index_is_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been written again within the same clock tick."""
    read: list[str] = []
    from_disk = Checkout._from_disk
    monkeypatch.setattr(Checkout, "_from_disk", lambda self, path: read.append(path) or from_disk(self, path))
    assert kinds(repository) == {} and read == []
    os.utime(repository / ".git/index", ns=(0, (repository / "run.sh").stat().st_mtime_ns))
    assert kinds(repository) == {} and "run.sh" in read


def test_a_file_that_git_forgot_and_that_is_still_there_is_no_change(repository: Path) -> None:
    git(repository, "rm", "-q", "--cached", "run.sh")
    assert kinds(repository) == {}


def test_untracked_files_are_read_when_they_are_asked_for(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    from_disk = Checkout._from_disk
    monkeypatch.setattr(Checkout, "_from_disk", lambda self, path: read.append(path) or from_disk(self, path))
    write(repository, {"notes/large.txt": "x", "infra/new.tf": "x"})
    with open_checkout(repository / "infra") as opened:
        assert opened.changes_since(opened.base("HEAD")).paths == ("infra/new.tf",)
        opened.load(["infra/new.tf", "infra/main.tf"])
    assert read == ["infra/new.tf"]


def test_a_file_that_cannot_be_read_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"infra/new.tf": "x"})

    def refused(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    with open_checkout(repository) as opened, pytest.raises(ConfigError, match="cannot be read: Permission") as said:
        base, _ = opened.base("HEAD"), opened.entries()
        monkeypatch.setattr("ops_agent.adapters.local.checkout.os.open", refused)
        opened.changes_since(base)
    assert "infra/new.tf" in str(said.value)


def test_links_and_what_is_behind_them_are_no_files(repository: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside", {"main.tf": "secret\n", "a/b.tf": "secret\n"})
    (repository / "infra/link.tf").symlink_to(tmp_path / "outside/main.tf")
    shutil.rmtree(repository / "modules/m")
    (repository / "modules/m").symlink_to(tmp_path / "outside")
    (repository / "run.sh").unlink()
    (repository / "run.sh").symlink_to("/etc/passwd")
    git(repository, "add", "infra/link.tf")
    assert kinds(repository) == {"modules/m/main.tf": "deleted", "run.sh": "deleted"}


def test_a_link_is_changed_with_what_it_shows(repository: Path) -> None:
    (repository / "infra/link.tf").symlink_to("main.tf")
    base = commit(repository)
    (repository / "infra/link.tf").unlink()
    (repository / "infra/link.tf").symlink_to("../run.sh")
    assert kinds(repository, base) == {"infra/link.tf": "modified"}
    time.sleep(0.02)
    commit(repository)
    assert kinds(repository, base) == {"infra/link.tf": "modified"}
    (repository / "infra/new.tf").symlink_to("main.tf")
    (repository / "infra/link.tf").unlink()
    assert kinds(repository, base) == {"infra/link.tf": "deleted", "infra/new.tf": "added"}


def test_a_device_a_pipe_and_a_directory_in_the_place_of_a_file_are_no_files(repository: Path) -> None:
    (repository / "run.sh").unlink()
    os.mkfifo(repository / "run.sh")
    (repository / "infra/main.tf").unlink()
    write(repository, {"infra/main.tf/inside.tf": ""})
    assert kinds(repository) == {
        "infra/main.tf": "deleted",
        "infra/main.tf/inside.tf": "added",
        "run.sh": "deleted",
    }


def test_submodules_and_other_repositories_inside_are_left_alone(repository: Path, tmp_path: Path) -> None:
    other = checkout(tmp_path / "other", {"main.tf": "x = 1\n"})
    git(repository, "submodule", "add", "-q", str(other), "vendor/other")
    base = commit(repository)
    write(repository, {"vendor/other/main.tf": "changed\n"})
    checkout(repository / "nested", {"main.tf": "x = 1\n"})
    assert kinds(repository, base) == {}


def test_the_base_is_any_revision_and_a_detached_head_is_fine(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    write(repository, {"infra/second.tf": ""})
    second = commit(repository)
    git(repository, "tag", "v1", first)
    git(repository, "checkout", "-q", "--detach", second)
    assert kinds(repository) == {}
    assert (
        kinds(repository, "HEAD^")
        == kinds(repository, "v1")
        == kinds(repository, first[:9])
        == {"infra/second.tf": "added"}
    )


def test_a_directory_limits_the_change_and_a_conflict_is_what_is_on_the_disk(repository: Path) -> None:
    write(repository, {"infra/x.tf": "", "modules/m/x.tf": ""})
    assert set(kinds(repository / "modules")) == {"modules/m/x.tf"}
    git(repository, "checkout", "-q", "-b", "theirs")
    write(repository, {"run.sh": "theirs\n"})
    commit(repository)
    git(repository, "checkout", "-q", "main")
    write(repository, {"run.sh": "ours\n"})
    commit(repository)
    with pytest.raises(Exception, match="merge"):
        git(repository, "merge", "theirs")
    (found,) = (change for change in changes(repository).changes if change.path == "run.sh")
    assert b"<<<<<<<" in (found.after or b"")


def test_a_sparse_checkout_is_as_whole_as_its_index(repository: Path) -> None:
    git(repository, "sparse-checkout", "set", "modules")
    assert not (repository / "infra").exists()
    assert kinds(repository) == {}


def test_a_linked_work_tree_and_an_odd_name_are_read(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    write(tmp_path / "linked", {"snow ☃\n.tf": "x\n"})
    assert kinds(tmp_path / "linked") == {"snow ☃\n.tf": "added"}
    name = os.fsdecode(b"\xff.tf")
    write(tmp_path / "linked", {name: ""})
    assert kinds(tmp_path / "linked")[name] == "added"


def test_filters_hooks_and_fsmonitor_of_the_repository_never_run(repository: Path, tmp_path: Path) -> None:
    canary, script = tmp_path / "canary", tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    script.chmod(0o755)
    for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process", "diff.external", "core.pager"):
        git(repository, "config", name, str(script))
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (repository / ".git/info/attributes").write_text("* filter=evil\n")
    (repository / "infra/main.tf").write_text("changed\n")
    os.utime(repository / "run.sh")
    assert kinds(repository) == {".gitattributes": "added", "infra/main.tf": "modified"}
    assert not canary.exists()


def test_what_is_no_checkout_is_refused_with_what_to_do(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    (tmp_path / "file").write_text("")
    for place, why in (
        (tmp_path / "bare", "no work tree"),
        (repository / ".git", "no work tree"),
        (tmp_path / "gone", "is not a directory"),
        (tmp_path / "file", "is not a directory"),
        (tmp_path, "is not a git repository"),
    ):
        with pytest.raises(ConfigError, match=why) as refused, open_checkout(place):
            pass
        assert refused.value.hint == "Give PATH a directory inside a git checkout."


def test_a_revision_that_is_not_here_is_named_and_a_shallow_clone_is_told_to_fetch(
    repository: Path, tmp_path: Path
) -> None:
    first = git(repository, "rev-parse", "HEAD")
    write(repository, {"infra/second.tf": ""})
    commit(repository)
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    assert kinds(tmp_path / "shallow") == {}
    with pytest.raises(ConfigError, match="no commit") as shallow:
        changes(tmp_path / "shallow", first)
    assert "fetch-depth: 0" in shallow.value.hint
    for revision in ("nowhere", "HEAD:infra", "--output=/tmp/x", "HEAD\n"):
        with pytest.raises(ConfigError, match="no commit") as unknown:
            changes(repository, revision)
        assert "--base" in unknown.value.hint


def test_a_repository_without_a_commit_has_files_and_no_base(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, {"main.tf": "x\n"})
    with open_checkout(tmp_path) as opened:
        assert set(opened.entries()) == {"main.tf"} and opened.head() is None
        assert opened.read("main.tf") == b"x\n"


def test_modules_are_read_once_and_kept_by_content(repository: Path, tmp_path: Path, read_from_git: list[str]) -> None:
    def modules() -> dict[str, Any]:
        with open_checkout(repository) as opened:
            return modules_in(opened, opened.base("HEAD"), tmp_path / "cache")

    def expected(files: dict[str, str]) -> dict[str, Any]:
        return modules_of(files, lambda path: files[path].encode())

    first = modules()
    assert first == expected(FILES) and first["infra"].calls == ("modules/m",)
    assert len(read_from_git) == 3
    assert modules() == first and len(read_from_git) == 3
    write(repository, {"infra/more.tf": 'provider "aws" {}\n', "tests/x.tf": ""})
    commit(repository)
    assert modules() == expected({**FILES, "infra/more.tf": 'provider "aws" {}\n', "tests/x.tf": ""})
    assert len(read_from_git) == 7, "the files of the two directories"
    (kept,) = (tmp_path / "cache").iterdir()
    for broken in ("", "{", "[]", '{"a": 1}', '{"a": {"calls": 1}}', '{"a": {}}', '{"a": {"calls": [], "x": 1}}'):
        kept.write_text(broken)
        assert modules()["infra"].has_provider
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file")
    assert modules()["infra"].has_provider


_NAMES = st.sampled_from(["a.tf", "b.tf", "d/a.tf", "d/b.tf", "e", "e.ignored", "new/x.tf"])
_STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "delete", "touch", "add", "commit", "chmod"]), _NAMES), max_size=9
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS, st.sampled_from(["same\n", "other\n", "same size\n", "", "size same\n"]))
def test_it_finds_what_is_on_the_disk_whatever_the_index_says(
    tmp_path: Path, steps: list[tuple[str, str]], text: str
) -> None:
    start = {"a.tf": "same\n", "d/a.tf": "same size\n", "e": "x\n", ".gitignore": "*.ignored\n"}
    folder = checkout(tmp_path / str(len(list(tmp_path.iterdir()))), start)
    first = git(folder, "rev-parse", "HEAD")
    for step, name in steps:
        file = folder / name
        match step:
            case "write":
                write(folder, {name: text})
            case "add":
                git(folder, "add", "--all")
            case "commit":
                commit(folder)
            case _ if not file.is_file():
                continue
            case "delete":
                file.unlink()
            case "touch":
                os.utime(file)
            case "chmod":
                file.chmod(0o755)
    files = {path: folder / path for path in git(folder, "ls-files", "-co", "--exclude-standard").split("\n")}
    now = {path: file.read_bytes() for path, file in files.items() if file.is_file()}
    before = {path: content.encode() for path, content in start.items()}
    assert {change.path: (change.before, change.after) for change in changes(folder, first).changes} == {
        path: (before.get(path), now.get(path)) for path in before | now if before.get(path) != now.get(path)
    }


def test_a_missing_object_is_named(repository: Path) -> None:
    with open_checkout(repository) as opened, pytest.raises(ToolchainError, match="git has no blob"):
        opened.objects.blobs(["a" * 40])


def test_a_clone_that_lacks_objects_is_judged_by_those_it_has(repository: Path) -> None:
    """`git clone --filter=blob:none` and its like: git tells no size for what is not here."""
    with open_checkout(repository) as opened:
        tree = GitTree(opened.objects, git(repository, "rev-parse", "HEAD"))
        lost, *_, kept = sorted(tree.entries())
    (repository / ".git/objects" / tree.entries()[lost].blob[:2] / tree.entries()[lost].blob[2:]).unlink()
    with open_checkout(repository) as opened:
        tree = GitTree(opened.objects, tree.commit)
        assert tree.read(kept)
        with pytest.raises(ToolchainError, match="the repository is incomplete"):
            tree.read(lost)


def test_a_list_of_the_index_in_another_form_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = GitObjects.run
    monkeypatch.setattr(
        GitObjects,
        "run",
        lambda self, *a, **k: run(self, *a, **k).replace(b"mtime", b"time") if "--debug" in a else run(self, *a, **k),
    )
    with open_checkout(repository) as opened, pytest.raises(ToolchainError, match="cannot be read"):
        Checkout.entries(opened)
