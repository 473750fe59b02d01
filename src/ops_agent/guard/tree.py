"""One side of a change, base or head, as the rules see it: its files, each read once, its layout, who calls whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from ops_agent.guard.paths import is_workflow
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree
from ops_agent.model.terraform import Block, FetchedModules, Layout, TerraformRoot, TerraformSource, Unreadable
from ops_agent.model.workflow import Job, Workflow
from ops_agent.terraform.environments import is_backend, is_loaded_silently, may_be_backend
from ops_agent.terraform.layout import LayoutUses, Survey, survey
from ops_agent.terraform.links import broken_links
from ops_agent.terraform.modules import (
    Module,
    by_directory,
    directory_of,
    is_configuration,
    local_source,
    modules_of,
    read_source,
)
from ops_agent.workflows.reader import read_workflow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FilesInMemory:
    """Regular files of one commit: their paths, and `read(path)` for the bytes. `modules` are those of the files by
    directory, where they are known. `links` lead from some paths to others; `broken` ones show nothing, each with
    the reason.
    """

    paths: Collection[str]
    read: Callable[[str], bytes]
    modules: Mapping[str, Module] | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, files: dict[str, bytes]) -> FilesInMemory:
        return cls(tuple(files), files.__getitem__)


@dataclass(frozen=True, eq=False)
class SourceTree:
    """A side of the change. Everything is read when it is asked for, and once; nothing here raises on odd content.

    `fetched` are the modules from outside that the base calls, the same on both sides; their files are none of `paths`.
    A head asks its `base` for every file that is not in `changed` (None: it is gone). What has the same content is read
    once, on both sides together.
    """

    files: FilesInMemory
    policy: Policy
    fetched: FetchedModules = field(default_factory=FetchedModules)
    base: SourceTree | None = None
    changed: Mapping[str, bytes | None] = field(default_factory=dict)
    _remembered: dict[object, Any] = field(default_factory=dict, init=False, repr=False)
    _contents: dict[str, bytes] = field(default_factory=dict, init=False, repr=False)
    _named: dict[str, Mapping[str, tuple[Block, ...]]] = field(default_factory=dict, init=False, repr=False)

    def with_changes(self, changes: ChangeSet) -> SourceTree:
        """The tree that a change set makes of this one."""
        changed = {c.path: c.after for c in changes.changes}
        kept = (self.paths - changed.keys()) | {p for p, after in changed.items() if after is not None}
        return SourceTree(FilesInMemory(kept, self.read), self.policy, self.fetched, base=self, changed=changed)

    def with_fetched(self, fetched: FetchedModules) -> SourceTree:
        """The same tree with what came for its calls of modules from outside."""
        return SourceTree(FilesInMemory(self.paths, self.read), self.policy, fetched, base=self)

    @cached_property
    def _changed_directories(self) -> Mapping[str, list[str]]:
        """The changed paths by directory."""
        found: dict[str, list[str]] = {}
        for path in self.changed:
            found.setdefault(directory_of(path), []).append(path)
        return found

    @cached_property
    def paths(self) -> frozenset[str]:
        return frozenset(self.files.paths)

    def read(self, path: str) -> bytes:
        if path in self.fetched.files:
            return self.fetched.files[path]
        content = self.changed.get(path)
        if content is None and path not in self._contents:
            self._contents[path] = self.files.read(path)
        return self._contents[path] if content is None else content

    def holds(self, path: str) -> bool:
        """True for a file of this side, and for one of a fetched module."""
        return path in self.paths or path in self.fetched.files

    @cached_property
    def _modules(self) -> Mapping[str, Module]:
        """Of the whole base, and of a head where it differs."""
        if self.base is None:
            known = self.files.modules
            return modules_of(self.paths, self.read) if known is None else known
        found = dict(self.base._modules)
        for directory in self._changed_directories:
            found.pop(directory, None)
            found |= modules_of(self._by_directory.get(directory, ()), self.read)
        return dict(sorted(found.items()))

    @cached_property
    def layout(self) -> Layout:
        if self.base is not None and self._modules == self.base._modules:
            mapped = {p for m in self.policy.layout for e in m.environments for p in (e.backend_file, *e.var_files)}
            moved = self.paths.symmetric_difference(self.base.paths) | set(filter(may_be_backend, self.changed))
            if not any(path in mapped or _counts_in_layout(path) for path in moved):
                return self.base.layout
        found = self.survey.layout
        if not self.files.links:
            return found
        uses = LayoutUses(found)
        shown = (p for p in self.files.links if directory_of(p) in uses.by_directory or p in uses.environment_of)
        return replace(found, linked=tuple(sorted({directory_of(self.files.links[path]) for path in shown})))

    @cached_property
    def survey(self) -> Survey:
        """What discovery saw of this side."""
        return survey(self.paths, self._modules, self.policy, self.read)

    def broken_links_of(self, root: TerraformRoot) -> Iterator[tuple[str, str]]:
        """Symbolic links that show nothing where Terraform would load a file or a module of `root`: path and reason."""
        directories = {root.path, *root.local_modules}
        called = {f"{call}/" for directory in directories for call in self._modules[directory].calls}
        for path, why in self.files.broken.items():
            is_file = is_configuration(path) and not path.rpartition("/")[2].startswith(".")
            if (is_file and directory_of(path) in directories) or any(c.startswith(f"{path}/") for c in called):
                yield path, why

    @cached_property
    def _uses(self) -> LayoutUses:
        return self.base._uses if self.base is not None and self.layout is self.base.layout else LayoutUses(self.layout)

    @property
    def reached_directories(self) -> Collection[str]:
        """Root modules and everything that they call: what a plan loads."""
        return self._uses.by_directory.keys()

    def roots_of(self, directory: str) -> list[TerraformRoot]:
        """The roots whose plans load a directory."""
        return self._uses.by_directory.get(directory, [])

    def affected_roots(self, paths: Iterable[str]) -> tuple[TerraformRoot, ...]:
        """The roots that a change of these files can affect, in the order of the layout."""
        return self._uses.affected(paths)

    @property
    def environment_of(self) -> Mapping[str, str]:
        """The name of the environment that a backend or variable file belongs to, by its path."""
        return self._uses.environment_of

    @property
    def backend_files(self) -> frozenset[str]:
        """The backend files that environments use."""
        return self._uses.backend_files

    @cached_property
    def _silent(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(p for p in self.paths if is_loaded_silently(p)):
            found.setdefault(directory_of(path), []).append(path)
        return found

    def loaded_silently(self, directory: str) -> tuple[str, ...]:
        """The variable files of a directory that Terraform loads in every environment, in the order of their names."""
        return tuple(self._silent.get(directory, ()))

    def terraform(self, path: str) -> TerraformSource | Unreadable:
        """One file, as the first reader reads it."""
        suffix = "." + path.rpartition("/")[2].partition(".")[2]
        return self._once(read_source, suffix, self.read(path))

    def judged(self, path: str) -> TerraformSource | Unreadable:
        """One file that the change writes: both readers must agree about it."""
        source = self.terraform(path)
        if isinstance(source, Unreadable) or path.endswith(".json"):
            return source
        # Loading python-hcl2 takes half a second, and only a run that judges a change needs it.
        from ops_agent.terraform.hcl_python_hcl2 import second_opinion

        return self._once(second_opinion, self.read(path)) or source

    @cached_property
    def _known(self) -> dict[object, Any]:
        return {} if self.base is None else self.base._known

    def remembered(self, key: object, find: Callable[[], T]) -> T:
        """What rules find out about this side by `find`, found out once."""
        if key not in self._remembered:
            self._remembered[key] = find()
        answer: T = self._remembered[key]
        return answer

    def _once(self, read: Callable[..., T], *given: object) -> T:
        """What `read` makes of `given`, found out once for this side and its base."""
        key = (read, *given)
        if key not in self._known:
            self._known[key] = read(*given)
        answer: T = self._known[key]
        return answer

    def configurations(self, directory: str) -> tuple[str, ...]:
        """The paths of a directory's configuration files."""
        if directory in self.fetched.directories:
            return self._fetched_by_directory.get(directory, ())
        return self._by_directory.get(directory, ())

    @cached_property
    def _by_directory(self) -> dict[str, tuple[str, ...]]:
        if self.base is None:
            return by_directory(self.paths)
        found = dict(self.base._by_directory)
        for directory, changed in self._changed_directories.items():
            of_both = {*found.get(directory, ()), *(p for p in changed if is_configuration(p))}
            found[directory] = tuple(sorted(of_both & self.paths))
        return found

    @cached_property
    def _fetched_by_directory(self) -> dict[str, tuple[str, ...]]:
        return by_directory(self.fetched.files)

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
        """The blocks of one directory by their addresses: `type.x`, `data.type.x`, `module.x`, `variable.x`."""
        is_other = directory in self._changed_directories or directory in self.fetched.directories
        if self.base is not None and not is_other:
            return self.base.named(directory)
        if directory not in self._named:
            found: dict[str, list[Block]] = {}
            for _, source in self.module(directory):
                for block in source.of_type("resource", "data", "ephemeral", "module", "variable"):
                    name = ".".join(block.labels if block.type == "resource" else (block.type, *block.labels))
                    found.setdefault(name, []).append(block)
            self._named[directory] = {name: tuple(blocks) for name, blocks in found.items()}
        return self._named[directory]

    def called(self, directory: str, block: Block) -> str | None:
        """The directory of the files that a `module` block of `directory` calls, None when they are not here."""
        if directory in self.fetched.directories:
            return self.fetched.by_call.get((directory, block.labels[0] if block.labels else ""))
        outside = (str(block.literal("source") or ""), str(block.literal("version") or ""))
        return local_source(directory, block) or self.fetched.by_source.get(outside)

    @cached_property
    def workflows(self) -> Mapping[str, Workflow | Unreadable]:
        """Every workflow by its path."""
        return {path: self._once(read_workflow, self.read(path)) for path in sorted(filter(is_workflow, self.paths))}

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs of all workflows that can be read."""
        return tuple(job for workflow in workflows_of(self).values() for job in workflow.jobs)

    @cached_property
    def used_actions(self) -> frozenset[str]:
        """Every `uses` of a workflow, in lower case."""
        return frozenset(
            uses.casefold() for job in self.jobs for uses in (job.uses, *(s.uses for s in job.steps)) if uses
        )


_last: list[tuple[BaseTree, Policy, SourceTree]] = []


def source_tree(base: BaseTree, policy: Policy) -> SourceTree:
    """The regular files of a base commit; submodules are no part of it. What was read of the base that was asked for
    last is kept, so that no stage reads it again.
    """
    if not _last or _last[0][0] is not base or _last[0][1] != policy:
        entries = base.entries()
        paths = tuple(path for path, entry in entries.items() if entry.is_regular)
        links = {path: entries[path].leads_to for path in paths if entries[path].leads_to}
        files = FilesInMemory(paths, base.read, links=links, broken=broken_links(entries))
        _last[:] = [(base, policy, SourceTree(files, policy))]
    return _last[0][2]


def _counts_in_layout(path: str) -> bool:
    """True for files whose mere presence counts: those of environments, workflows and other tools."""
    is_file_of_environment = path.endswith((".tfvars", ".tfvars.json")) or is_backend(path) or may_be_backend(path)
    return is_file_of_environment or is_workflow(path) or "terragrunt." in path


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
    """The workflows that can be read, by path."""
    return {path: workflow for path, workflow in tree.workflows.items() if isinstance(workflow, Workflow)}


def called_on(path: str, tree: SourceTree) -> frozenset[str]:
    """The events of the workflows that call the workflow `path`, through any number of others. A workflow that cannot
    be read (it may have anchors, which GitHub knows) counts for every word in it that can be a dangerous event."""
    workflows = workflows_of(tree)
    unreadable = {p: tree.read(p).decode(errors="replace") for p in tree.workflows if p not in workflows}
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
