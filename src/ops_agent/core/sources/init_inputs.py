"""What `terraform init` of a root reads: while it stays the same, providers and modules that were installed still fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from ops_agent.core.sources.module_calls import is_configuration, read_source
from ops_agent.domain.layout import TerraformRoot
from ops_agent.domain.terraform_source import Block, Unreadable

_LOCK_FILE = ".terraform.lock.hcl"
_TESTS = (".tftest.hcl", ".tftest.json", ".tofutest.hcl", ".tofutest.json")


def init_inputs(root: TerraformRoot, paths: Iterable[str], read: Callable[[str], bytes]) -> str:
    """A SHA-256 (hex) of it. `paths` are the tree's files, `read` gives their bytes.

    It is: the lock file; every `terraform` block; source and version of every module call; every provider that a block names, or implies
    by its type (`aws_sqs_queue`: `aws`); tests, and what cannot be read, whole. Of the root and of the local modules that it reaches.
    """
    said: set[str] = set()
    directories, tests = {root.path, *root.local_modules}, {root.path, _inside(root, "tests")}
    for path in paths:
        directory = path.rpartition("/")[0] or "."
        if directory in directories and is_configuration(path):
            source = read_source(path, read(path))
            words = (read(path).hex(),) if isinstance(source, Unreadable) else _words(source.blocks)
            said |= {repr((directory, word)) for word in words}
        elif path == _inside(root, _LOCK_FILE) or (directory in tests and path.endswith(_TESTS)):
            said.add(repr((path, read(path))))
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()


def _words(blocks: Iterable[Block]) -> Iterator[str]:
    """One line for each thing that init reads in these blocks."""
    for block in blocks:
        if block.type == "terraform":
            yield block.text
        elif block.type == "module":
            yield repr(("module", block.labels, _text(block, "source"), _text(block, "version")))
        elif block.type == "provider":
            yield repr(("provider", block.labels, _text(block, "version")))
        else:
            for inner in block.walk():
                if len(inner.labels) == 2:
                    yield repr(("uses", inner.labels[0].partition("_")[0]))
                if inner.attribute("provider"):
                    yield repr(("uses", _text(inner, "provider")))


def _text(block: Block, name: str) -> str:
    attribute = block.attribute(name)
    return attribute.expression.text if attribute else ""


def _inside(root: TerraformRoot, name: str) -> str:
    return name if root.path == "." else f"{root.path}/{name}"
