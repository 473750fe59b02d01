"""The base tree over the API: listed whole, read once, each byte verified."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tracemalloc
from typing import Any

import pytest

from adapters.github.calls import host
from ops_agent.adapters.github import branches
from ops_agent.adapters.github.branches import GitHubTree
from ops_agent.model.change_set import blob_id
from ops_agent.model.errors import ConfigError, GitHubError, NoSpace, PolicyViolation
from run.github_world import Workplace


def tree(here: Workplace, commit: str = "") -> Any:
    return host(here).branches.tree(here.repository.full_name, commit or here.repository.head())


def test_the_name_of_a_blob_is_gits() -> None:
    assert blob_id(b"what is up, doc?") == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_every_file_costs_two_requests_together(here: Workplace) -> None:
    """One listing, one archive (which the API answers with a redirect)."""
    found = tree(here)
    for path, content in here.repository.files().items():
        assert found.read(path) == content and found.entries()[path].size == len(content)
    assert [c.operation for c in here.github.recorder.calls] == [
        "GET /repos/{owner}/{repo}/git/trees/{tree_sha}",
        "GET /repos/{owner}/{repo}/tarball/{ref}",
    ]


def test_the_same_commit_is_listed_once_in_a_run(here: Workplace) -> None:
    found = host(here).branches
    for _ in range(3):
        assert "README.md" in found.tree(here.repository.full_name, here.repository.head()).entries()
    assert len(here.github.recorder.calls) == 1


def test_a_symlink_is_read_as_its_text_and_a_submodule_not_at_all(here: Workplace) -> None:
    commit = here.repository.commit(
        "main", {"link": "/etc/passwd", "sub": "", "run.sh": "#!/bin/sh\n"}, "odd things", by="maria",
        modes={"link": "120000", "sub": "160000", "run.sh": "100755"},
    )  # fmt: skip
    found = tree(here, commit)
    assert (found.entries()["link"].mode, found.entries()["sub"].mode, found.entries()["run.sh"].mode) == (
        "120000",
        "160000",
        "100755",
    )
    assert found.read("link") == b"/etc/passwd"
    assert [call.operation for call in here.github.recorder.calls][-1].endswith("/tarball/{ref}"), (
        "no request of its own"
    )
    for path in ("sub", "nothing", "infra", "../README.md"):
        with pytest.raises(KeyError):
            found.read(path)
    assert found.read("run.sh") == b"#!/bin/sh\n"


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as built:
        for path, content in files.items():
            member = tarfile.TarInfo(f"root/{path}")
            member.size = len(content)
            built.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("left out by export-ignore", lambda files: {p: c for p, c in files.items() if p != "README.md"}),
        ("rewritten by export-subst", lambda files: files | {"README.md": b"other bytes"}),
        ("rewritten to the same length", lambda files: files | {"README.md": b"#" * len(files["README.md"])}),
        ("beside foreign paths", lambda files: files | {"../../evil": b"x", "/etc/evil": b"x"}),
        ("nothing at all", lambda files: {}),
    ],
)
def test_a_file_that_the_archive_lacks_or_changes_is_fetched_as_a_blob(
    here: Workplace, monkeypatch: pytest.MonkeyPatch, case: str, change: Any
) -> None:
    real = here.repository.files()
    content = archive(change(real))

    class Answer:
        raw = io.BytesIO(content)

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None: ...

    found = tree(here)
    monkeypatch.setattr(found._http, "download", lambda url, doing: Answer())
    assert {path: found.read(path) for path in real} == real, case


@pytest.mark.parametrize("cut", [0, 10, 100, 250])
def test_an_archive_that_breaks_off_is_completed_by_blobs(
    here: Workplace, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    content = archive(here.repository.files())[:cut]
    found = tree(here)
    answer: Any = type(
        "Answer", (), {"raw": io.BytesIO(content), "__enter__": lambda s: s, "__exit__": lambda *_: None}
    )()
    monkeypatch.setattr(found._http, "download", lambda url, doing: answer)
    assert found.read("infra/main.tf") == here.repository.files()["infra/main.tf"]


def test_bytes_that_are_not_what_the_tree_names_are_refused(here: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other content can be put under a path of the base."""
    monkeypatch.setattr(branches, "MAX_FILE_BYTES", 0)
    here.github.faults.on("git/blobs").answer(200, body={"encoding": "base64", "content": "ZXZpbA=="})
    with pytest.raises(PolicyViolation, match=r"README\.md"):
        tree(here).read("README.md")


def test_a_large_file_is_fetched_only_when_it_is_read(here: Workplace) -> None:
    commit = here.repository.commit("main", {"big.bin": b"\x00" * 1_000_001}, "big", by="maria")
    found = tree(here, commit)
    assert found.read("README.md") and found.entries()["big.bin"].size == 1_000_001
    assert here.github.recorder.of("blobs") == []
    assert len(found.read("big.bin")) == 1_000_001 and len(here.github.recorder.of("blobs")) == 1


def test_a_listing_that_github_cuts_is_walked_folder_by_folder(here: Workplace) -> None:
    commit = here.repository.commit(
        "main", {f"d{n}/e{m}/f.tf": f"{n}{m}" for n in range(4) for m in range(4)}, "many", by="maria"
    )
    here.repository.tree_limit = 10
    found = tree(here, commit)
    assert set(found.entries()) == set(here.repository.files()) and found.read("d3/e3/f.tf") == b"33"


def test_a_folder_that_cannot_be_listed_is_an_error_not_a_part(here: Workplace) -> None:
    commit = here.repository.commit("main", {f"f{n}": "x" for n in range(20)}, "many", by="maria")
    here.repository.tree_limit = 10
    with pytest.raises(ConfigError, match="more entries"):
        tree(here, commit).entries()


def test_a_full_disk_is_reported_as_such(here: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(branches.tempfile, "TemporaryFile", full)
    with pytest.raises(NoSpace, match="disk is full"):
        tree(here).read("README.md")


def test_an_unknown_commit_is_an_error(here: Workplace) -> None:
    with pytest.raises(GitHubError):
        tree(here, "0" * 40).entries()


class _Listing:
    """A requester that answers one listing of `count` files."""

    def __init__(self, count: int) -> None:
        self.count = count

    def get(self, path: str, doing: str, read: Any, **_: object) -> Any:
        entries = [
            {
                "path": f"m{n % 500}/file_{n}.tf",
                "mode": "100644",
                "type": "blob",
                "sha": hashlib.sha1(b"%d" % n).hexdigest(),
                "size": 9,
            }
            for n in range(self.count)
        ]
        return read({"tree": entries, "truncated": False})


def listed(count: int) -> GitHubTree:
    http: Any = _Listing(count)
    return GitHubTree(http, "o/r", "a" * 40)


def test_a_listed_file_costs_less_than_half_a_kilobyte() -> None:
    """200,000 files stay under 100 MB."""
    count, found = 20_000, listed(20_000)
    tracemalloc.start()
    assert len(found.entries()) == count
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / count < 500


def test_more_files_than_the_cap_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MAX_ENTRIES", 1000)
    assert len(listed(1000).entries()) == 1000
    with pytest.raises(ConfigError, match="1,000 files"):
        listed(1001).entries()
