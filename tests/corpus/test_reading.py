"""Every file of the trees in CORPUS that Terraform reads is read by both of our readers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.history import Repository, repositories_in
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Unreadable
from ops_agent.terraform.hcl_tree_sitter import MAX_BYTES

CORPUS = os.environ.get("CORPUS", "")
TERRAFORM = (sys.executable, "-m", "ops_agent_demo.terraform")
ENDINGS = (".tf", ".tofu", ".tfvars", ".tfbackend")


def refused(repository: Repository) -> Iterator[tuple[str, bytes, Unreadable]]:
    """The files of the newest commit that one of our readers does not read. Larger ones are left out on purpose."""
    seen = set[str]()
    for path, blob in repository.tree("HEAD").items():
        content = repository.blob(blob) if path.endswith(ENDINGS) and blob not in seen else None
        seen.add(blob)
        if content is not None and len(content) <= MAX_BYTES:
            source = SourceTree(FilesInMemory.of({path: content}), Policy()).judged(path)
            if isinstance(source, Unreadable):
                yield path, content, source
    repository.close()


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not CORPUS, reason="CORPUS names no folder of repositories")
def test_what_terraform_reads_is_read() -> None:
    ours = [
        f"{repository.name} {path}:{why.line}: {why.what}"
        for repository in repositories_in(Path(CORPUS))
        for path, content, why in refused(repository)
        if subprocess.run([*TERRAFORM, "fmt", "-"], input=content, capture_output=True).returncode == 0
    ]
    assert not ours, "\n".join(ours)
