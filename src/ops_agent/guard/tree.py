"""One side of a change, base or head, as the rules see it: files, read once, and where Terraform stands among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from ops_agent.guard.paths import is_workflow
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Block, FetchedModules, Layout, TerraformSource, Unreadable
from ops_agent.model.workflow import Workflow
from ops_agent.terraform.layout import directory_of, discover_layout
from ops_agent.terraform.modules import is_configuration, local_source, read_source
from ops_agent.workflows.reader import read_workflow


class Files(Protocol):
    """Regular files of one commit: their paths, and `read(path)` for the bytes."""

    @property
    def paths(self) -> Collection[str]: ...

    def read(self, path: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class FilesInMemory:
    """Files from a dictionary or from any reader."""

    paths: Collection[str]
    read: Callable[[str], bytes]

    @classmethod
    def of(cls, files: dict[str, bytes]) -> FilesInMemory:
        return cls(tuple(files), files.__getitem__)


@dataclass(frozen=True)
class SourceTree:
    """A side of the change. Reading is cached; nothing here raises on odd content.

    `fetched` are the modules from outside that the base calls, the same on both sides; their files are none of `paths`.
    """

    files: Files
    policy: Policy
    fetched: FetchedModules = field(default_factory=FetchedModules)
    _read: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    _named: dict[str, Mapping[str, tuple[Block, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def paths(self) -> frozenset[str]:
        return frozenset(self.files.paths)

    @cached_property
    def layout(self) -> Layout:
        return discover_layout(self.paths, self.read, self.policy)

    @cached_property
    def reached_directories(self) -> frozenset[str]:
        """Root modules and everything that they call: what a plan loads."""
        return frozenset(d for r in self.layout.roots for d in (r.path, *r.local_modules))

    @cached_property
    def _by_directory(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self.paths):
            if is_configuration(path):
                found.setdefault(directory_of(path), []).append(path)
        return found

    @cached_property
    def _fetched_by_directory(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for path in sorted(self.fetched.files):
            if is_configuration(path):
                found[directory_of(path)] = (*found.get(directory_of(path), ()), path)
        return found

    def read(self, path: str) -> bytes:
        if path in self.fetched.files:
            return self.fetched.files[path]
        if path not in self._read:
            self._read[path] = self.files.read(path)
        return self._read[path]

    def terraform(self, path: str, *, checked: bool = False) -> TerraformSource | Unreadable:
        """One file; `checked` asks both readers, for files that are judged."""
        return read_source(path, self.read(path), checked=checked)

    def module(self, directory: str) -> Iterator[tuple[str, TerraformSource]]:
        """The readable configuration files of one directory."""
        for path in self.configurations(directory):
            source = self.terraform(path)
            if isinstance(source, TerraformSource):
                yield path, source

    def unread(self, directory: str) -> Iterator[tuple[str, Unreadable]]:
        """The configuration files of one directory that a reader refused."""
        for path in self.configurations(directory):
            source = self.terraform(path)
            if isinstance(source, Unreadable):
                yield path, source

    def named(self, directory: str) -> Mapping[str, tuple[Block, ...]]:
        """The blocks of one directory by what references call them: `type.x`, `data.type.x`, `module.x`; `variable.x`
        is a declaration.
        """
        if directory not in self._named:
            found: dict[str, tuple[Block, ...]] = {}
            for _, source in self.module(directory):
                for block in source.of_type("resource", "data", "ephemeral", "module", "variable"):
                    name = ".".join(block.labels if block.type == "resource" else (block.type, *block.labels))
                    found[name] = (*found.get(name, ()), block)
            self._named[directory] = found
        return self._named[directory]

    def called(self, directory: str, block: Block) -> str | None:
        """The directory of the files that a `module` block of `directory` calls, None when they are not here."""
        if directory in self.fetched.directories:
            return self.fetched.by_call.get((directory, block.labels[0] if block.labels else ""))
        source, version = (
            a.expression.value if (a := block.attribute(name)) else None for name in ("source", "version")
        )
        return local_source(directory, block) or self.fetched.by_source.get((str(source or ""), str(version or "")))

    def configurations(self, directory: str) -> tuple[str, ...]:
        if directory in self.fetched.directories:
            return self._fetched_by_directory.get(directory, ())
        return tuple(self._by_directory.get(directory, ()))

    def holds(self, path: str) -> bool:
        """True for a file of this side, and for one of a fetched module."""
        return path in self.paths or path in self.fetched.files


def head_of(base: SourceTree, changes: ChangeSet) -> SourceTree:
    """The tree that the change set makes of `base`."""
    after = {c.path: c.after for c in changes.changes}
    kept = {p for p in base.paths if p not in after} | {p for p, content in after.items() if content is not None}

    def read(path: str) -> bytes:
        content = after.get(path)
        return base.read(path) if content is None else content

    return SourceTree(FilesInMemory(kept, read), base.policy, base.fetched)


# The workflows of one side of a change, and who calls whom.

_WORTH_KNOWING = (
    "pull_request",
    "pull_request_target",
    "merge_group",
    "workflow_run",
    "issue_comment",
    "issues",
    "repository_dispatch",
)


def workflows_of(tree: SourceTree) -> dict[str, Workflow]:
    """The workflows that can be read, by path. Reading is cached by content."""
    found = {p: read_workflow(tree.read(p)) for p in sorted(tree.paths) if is_workflow(p)}
    return {p: w for p, w in found.items() if isinstance(w, Workflow)}


def called_on(path: str, tree: SourceTree) -> frozenset[str]:
    """The events of the workflows that call the workflow `path`, through any number of others. A workflow that cannot
    be read (it may have anchors, which GitHub knows) counts for every word in it that can be a dangerous event."""
    workflows = workflows_of(tree)
    unreadable = {p: tree.read(p).decode(errors="replace") for p in tree.paths if is_workflow(p) and p not in workflows}
    callers, pending = {path}, [path]
    while pending:
        called = pending.pop()
        found = [
            c for c, w in workflows.items() if any(j.uses.partition("@")[0].endswith(f"/{called}") for j in w.jobs)
        ]
        found += [c for c, text in unreadable.items() if f"/{called}" in text]
        pending += [c for c in found if c not in callers]
        callers.update(found)
    events = {e for c in callers - {path} if c in workflows for e in workflows[c].events}
    events |= {
        e for c in callers - {path} if c in unreadable for e in _WORTH_KNOWING if re.search(rf"\b{e}\b", unreadable[c])
    }
    return frozenset(events) - {"workflow_call"}
