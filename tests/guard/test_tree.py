"""A head is what its base makes of a change set, and nothing that stayed the same is read again."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory, SourceTree, source_tree
from ops_agent.model.change_set import ChangeSet, TreeEntry
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import FetchedModules, MappedEnvironment, MappedRoot
from ops_agent.terraform import hcl_python_hcl2
from rules.judging import change_set

BACKEND = b'terraform {\n  backend "s3" {}\n}\n'
CALL = b'module "q" {\n  source = "../modules/q"\n}\n'
QUEUE = b'resource "aws_sqs_queue" "orders" {\n  name = "orders"\n}\n'
PATHS = [
    *("app/main.tf", "app/more.tf", "app/main.tofu", "app/x.tf.json", "app/dev.tfvars", "app/terraform.tfvars"),
    *("app/backend/dev/backend.hcl", "app/environments/prod/a.tfvars", "app/env/odd.hcl", "dev/main.tf", "main.tf"),
    *("modules/q/main.tf", "modules/q/deep/main.tf", "live/prod/terragrunt.hcl", "examples/a/main.tf"),
    *(".github/workflows/a.yml", ".github/workflows/b.yml", "README.md"),
]
CONTENTS = [
    b"",
    BACKEND,
    CALL,
    QUEUE,
    b"{",
    BACKEND + CALL,
    b'provider "aws" {}\n',
    b'{"module": {"m": {"source": "./deep"}}}',
]
MAPPED = MappedRoot(path="app", environments=(MappedEnvironment(name="dev", backend_file="app/env/odd.hcl"),))
TREES = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(CONTENTS), max_size=12)


@settings(deadline=None)
@given(TREES, st.dictionaries(st.sampled_from(PATHS), st.sampled_from([None, *CONTENTS]), max_size=4), st.booleans())
def test_a_head_made_of_its_base_is_the_head_read_anew(
    base: dict[str, bytes], written: dict[str, bytes | None], is_mapped: bool
) -> None:
    policy = Policy(layout=(MAPPED,) if is_mapped else ())
    head = SourceTree(FilesInMemory.of(base), policy).with_changes(change_set(base, written))
    files = {path: content for path, content in {**base, **written}.items() if content is not None}
    anew = SourceTree(FilesInMemory.of(files), policy)
    assert head.paths == anew.paths and head.layout == anew.layout
    assert set(head.reached_directories) == set(anew.reached_directories) and head.environment_of == anew.environment_of
    assert dict(head.workflows) == dict(anew.workflows)
    for path in files:
        directory = path.rpartition("/")[0] or "."
        assert head.read(path) == files[path] and head.terraform(path) == anew.terraform(path)
        assert head.configurations(directory) == anew.configurations(directory)
        assert head.named(directory) == anew.named(directory)
        assert head.roots_of(directory) == anew.roots_of(directory) and head.affected_roots(
            (path,)
        ) == anew.affected_roots((path,))
        assert head.loaded_silently(directory) == anew.loaded_silently(directory)


class Counted:
    """Files of a base commit that count how often each is read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.commit = files, "a" * 40
        self.reads: Counter[str] = Counter()

    def entries(self) -> dict[str, TreeEntry]:
        return {p: TreeEntry(path=p, mode="100644", blob="b" * 40, size=1) for p in self.files}

    def read(self, path: str) -> bytes:
        self.reads[path] += 1
        return self.files[path]


def test_a_second_check_reads_nothing_and_no_check_reads_another_root_but_for_the_layout() -> None:
    files = {
        f"r{i}/{name}": content
        for i in range(50)
        for name, content in (("main.tf", BACKEND + QUEUE), ("dev.tfbackend", b""), ("dev.tfvars", b""))
    }
    base: Any = Counted(files)
    changes = change_set(files, {"r7/main.tf": BACKEND + QUEUE.replace(b'"orders"\n', b'"bills"\n')})
    tree = source_tree(base, Policy())
    assert tree is source_tree(base, Policy()) and len(tree.layout.roots) == 50
    judge(changes, tree, Policy())
    assert set(base.reads) == {p for p in files if p.endswith(".tf")} | {"r7/dev.tfvars"}
    judge(changes, tree.with_fetched(FetchedModules()), Policy())
    assert set(base.reads.values()) == {1}


def test_the_second_reader_reads_and_blocks_changed_files_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    opinion = hcl_python_hcl2.second_opinion
    monkeypatch.setattr(hcl_python_hcl2, "second_opinion", lambda content: read.append(content) or opinion(content))
    odd = b'locals {\n  x = "${\nvar.a}"\n}\n'
    files = {"app/main.tf": BACKEND, "app/odd.tf": odd, "app/dev.tfvars": b"", "app/dev.tfbackend": b""}
    base = FilesInMemory.of(files)
    plain = b"locals {\n  y = 1\n}\n"
    assert not judge(change_set(files, {"app/more.tf": plain}), base, Policy()).findings and read == [plain]
    (refused,) = judge(change_set(files, {"app/odd.tf": odd + plain}), base, Policy()).blocking
    assert (refused.rule, refused.place.path) == ("terraform/unreadable-file", "app/odd.tf")
    assert read == [plain, odd + plain]


def test_links_and_submodules_are_no_part_of_the_tree() -> None:
    entries = {
        p: TreeEntry(path=p, mode=mode, blob="b" * 40, size=1)
        for p, mode in (("a.tf", "100644"), ("b.tf", "120000"), ("c", "160000"))
    }
    base: Any = SimpleNamespace(entries=lambda: entries, read=lambda _: b"")
    assert source_tree(base, Policy()).paths == {"a.tf"}


def test_a_change_of_a_resource_keeps_the_layout_of_the_base() -> None:
    files = {"app/main.tf": BACKEND, "app/queue.tf": QUEUE}
    tree = SourceTree(FilesInMemory.of(files), Policy())
    same = {"app/queue.tf": QUEUE * 2, "app/topic.tf": QUEUE}
    assert tree.with_changes(change_set(files, dict(same))).layout is tree.layout
    other: dict[str, bytes | None] = {"app/dev.tfbackend": b""}
    assert tree.with_changes(change_set(files, other)).layout != tree.layout
    assert tree.with_changes(ChangeSet(base_commit="a" * 40, changes=())).layout is tree.layout
