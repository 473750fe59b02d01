"""What a branch changes, laid over the newest base: what a merge of it would make of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from ops_agent.config.baseline import BASELINE_FILE
from ops_agent.config.policy_file import POLICY_FILE
from ops_agent.guard.paths import areas, is_action, is_workflow
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.model.change_set import ChangeSet, FileChange, TreeEntry, blob_id
from ops_agent.model.errors import NotFound
from ops_agent.model.finding import Finding
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, Branches
from ops_agent.run.checkout import is_judged, unjudged
from ops_agent.terraform.links import FollowedTree, broken_links
from ops_agent.text.markdown import code
from ops_agent.text.merging import merged_text

MAX_BYTES_OF_A_FILE = 1_000_000
"""A larger file is neither judged nor planned; Terraform's own are far smaller."""
MAX_FILES = 3_000
"""GitHub lists no more of a pull request either."""
MAX_BYTES = 50_000_000
"""Of all changed files together: a stranger's pull request is read into memory."""
_RUN_BY_TERRAFORM = re.compile(r"(?i)(^|/)(\.terraform|terraform\.d)/")
_NAMED = 5


class MergedTree:
    """ports.BaseTree: `below` with the `paths` as they are in `above`."""

    def __init__(self, below: BaseTree, above: BaseTree, paths: frozenset[str]) -> None:
        self.commit = above.commit
        self._below, self._above, self._paths = below, above, paths
        kept = {path: entry for path, entry in below.entries().items() if path not in paths}
        self._found = kept | {path: entry for path, entry in above.entries().items() if path in paths}

    def entries(self) -> Mapping[str, TreeEntry]:
        return self._found

    def read(self, path: str) -> bytes:
        return (self._above if path in self._paths else self._below).read(path)


@dataclass(frozen=True)
class Merged:
    """What a merge would make of a pull request: `changes` to `base`, which gives `head`.

    `base` is the newest commit of the base branch, or the merge base when both have changed the files `conflicts`.
    `laid` is `head` as git stores it. `pushed` are the files that the pull request's own commit, `pushed_tree`, changes
    since the merge base; `unread`: changed files that cannot be judged.
    """

    base: BaseTree
    head: BaseTree
    changes: ChangeSet
    merge_base: str
    pushed: tuple[str, ...]
    pushed_tree: BaseTree
    conflicts: tuple[str, ...]
    unread: tuple[Finding, ...]
    after: SourceTree
    laid: BaseTree

    @property
    def notes(self) -> tuple[str, ...]:
        lost = (
            f"**{code(path)} is no root any more.** What was applied from it stays, and no plan shows that."
            for path in self.lost_roots
        )
        rules = (
            f"**{code(c.path)} is changed**, which counts from the merge on: review it like a rule."
            for c in self.changes.changes
            if c.path in (POLICY_FILE, BASELINE_FILE) or (is_workflow(c.path) and b"ops-agent" in (c.before or b""))
        )
        return (*self._conflict, *lost, *rules)

    @property
    def _conflict(self) -> tuple[str, ...]:
        if not self.conflicts:
            return ()
        shown = ", ".join(code(path) for path in self.conflicts[:_NAMED])
        more = f" and {len(self.conflicts) - _NAMED} more" if len(self.conflicts) > _NAMED else ""
        what = f"**The base branch has changed {shown}{more} too**, so this was judged on the merge base"
        return (f"{what} {self.merge_base[:12]}, and nothing is planned. Merge the base branch into this branch.",)

    @cached_property
    def concerns_terraform(self) -> bool:
        return bool(self.after.affected_roots(self.changes.paths))

    @cached_property
    def lost_roots(self) -> tuple[str, ...]:
        before = self.after.base.layout.roots if self.after.base else ()
        return tuple(sorted({root.path for root in before} - {root.path for root in self.after.layout.roots}))

    @property
    def concerns_us(self) -> bool:
        return bool(self.concerns_terraform or self.unread or self.notes) or any(map(concerns_us, self.changes.paths))

    def read_base(self, path: str) -> bytes | None:
        return read_of(self.base, path)

    def read_head(self, path: str) -> bytes | None:
        return read_of(self.head, path)


def merge(
    branches: Branches, repository: str, newest: BaseTree, head_commit: str, policy: Policy, tried: str = ""
) -> Merged:
    """The files of the branch at `head_commit` that differ from its merge base, on the `newest` base; `tried` is the
    commit with which GitHub tried to merge them. Raises NotFound when the two have no history in common.
    """
    merge_base = branches.merge_base(repository, newest.commit, head_commit)
    old, head = branches.tree(repository, merge_base), branches.tree(repository, head_commit)
    before, after, now = old.entries(), head.entries(), newest.entries()
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    conflicts = tuple(p for p in changed if now.get(p) not in (before.get(p), after.get(p)))
    merged = MergedTree(newest, head, frozenset(changed))
    conflicts = conflicts or tuple(p for p in directories_of(merged.entries()) if p in merged.entries())
    base, laid, whose, pushed = newest, merged, head, tuple(changed)
    if conflicts:
        # GitHub merges within files too. Its commit counts only when it is of this base and this head.
        parents = tuple[str, ...]()
        with suppress(NotFound):  # one of an older head may be gone
            parents = branches.parents(repository, tried) if tried else ()
        if tried and parents == (newest.commit, head_commit):
            conflicts, whose = (), branches.tree(repository, tried)
            now, after = newest.entries(), whose.entries()
            changed = sorted(path for path in {*now, *after} if now.get(path) != after.get(path))
        base = old if conflicts else newest
        laid = MergedTree(base, whose, frozenset(changed))
    return _laid(base, laid, frozenset(changed), policy, merge_base, pushed, head, conflicts)


def _laid(
    base: BaseTree,
    laid: BaseTree,
    stored: frozenset[str],
    policy: Policy,
    merge_base: str,
    pushed: tuple[str, ...],
    pushed_tree: BaseTree,
    conflicts: tuple[str, ...],
) -> Merged:
    base, result = FollowedTree(base), FollowedTree(laid)
    before, after = base.entries(), result.entries()
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    files = source_tree(base, policy)
    places = {".github", *areas(files.layout), *(p.split("/")[0] if "/" in p else "." for p in changed if is_judged(p))}
    ours = [p for p in changed if concerns_us(p) or "." in places or p.split("/")[0] in places]
    taken, size = list[str](), 0
    for path in dict.fromkeys((*ours, *changed)):  # what Terraform and GitHub read comes first
        found = [tree.get(path) for tree in (before, after)]
        size += sum(e.size for e in found if e and e.size <= MAX_BYTES_OF_A_FILE)
        if len(taken) == MAX_FILES or size > MAX_BYTES:
            break
        taken.append(path)
    contents = [c for path in taken if (c := _content(base, result, path, stored)) and c.before != c.after]
    changes = ChangeSet(base_commit=base.commit, changes=tuple(sorted(contents, key=lambda c: c.path)))
    looked_at = dict.fromkeys((*ours, *filter(_RUN_BY_TERRAFORM.search, changed)))
    broken = broken_links(after)
    unread = [f for path in looked_at if (f := _unreadable(after.get(path), path, broken.get(path, "")))]
    if len(ours) > len(taken):
        what = f"{len(changed):,} files are changed; only the first {len(taken):,} were judged"
        unread.insert(0, unjudged(".", what))
    return Merged(
        base=base,
        head=result,
        changes=changes,
        merge_base=merge_base,
        pushed=pushed,
        pushed_tree=pushed_tree,
        conflicts=conflicts,
        unread=tuple(unread),
        after=files.with_changes(changes),
        laid=laid,
    )


class TextsOver:
    """ports.BaseTree: `below` with `texts` in the place of its files, which keep their modes."""

    def __init__(self, below: BaseTree, texts: Mapping[str, bytes]) -> None:
        self.commit, self._below, self._texts = below.commit, below, texts
        entries = dict(below.entries())
        for path, text in texts.items():
            entries[path] = replace(entries[path], blob=blob_id(text), size=len(text))
        self._found = entries

    def entries(self) -> Mapping[str, TreeEntry]:
        return self._found

    def read(self, path: str) -> bytes:
        return self._texts[path] if path in self._texts else self._below.read(path)


def merge_with_marks(
    branches: Branches, repository: str, newest: BaseTree, head_commit: str, policy: Policy
) -> tuple[Merged, tuple[str, ...]]:
    """The branch and the base merged as git does it, where GitHub could not: `conflicts` are files that hold both sides
    between marks. Also the paths that nobody can settle in text: those are as on the branch.
    """
    merge_base = branches.merge_base(repository, newest.commit, head_commit)
    old, head = branches.tree(repository, merge_base), branches.tree(repository, head_commit)
    before, after, now = old.entries(), head.entries(), newest.entries()
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    texts, marked, hopeless = dict[str, bytes](), list[str](), list[str]()
    for path in changed:
        if now.get(path) in (before.get(path), after.get(path)):
            continue
        sides = [read_of(old, path) if path in before else b"", read_of(head, path), read_of(newest, path)]
        if None in sides or not is_judged(path):
            hopeless.append(path)
            continue
        texts[path], is_clean = merged_text(*(side or b"" for side in sides))
        marked += [] if is_clean else [path]
    laid = TextsOver(MergedTree(newest, head, frozenset(changed)), texts)
    hopeless += [path for path in directories_of(laid.entries()) if path in laid.entries()]
    found = _laid(newest, laid, frozenset(changed), policy, merge_base, tuple(changed), head, tuple(marked))
    return found, tuple(hopeless)


def directories_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Every directory that holds one of `paths`, sorted."""
    found = set[str]()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return tuple(sorted(found))


def concerns_us(path: str) -> bool:
    """Whether it can change what is judged, or what a merge applies."""
    return is_judged(path) or is_action(path)


def _content(base: BaseTree, head: BaseTree, path: str, stored: frozenset[str]) -> FileChange | None:
    """The change of a file whose bytes count: what is judged, or text. What is not `stored` is shown by links alone."""
    before, after = read_of(base, path), read_of(head, path)
    is_text = is_judged(path) or b"\0" not in (after or before or b"")[:8000]
    entry = head.entries().get(path)
    leads_to = entry.leads_to if entry and path not in stored else ""
    return FileChange(path=path, before=before, after=after, leads_to=leads_to) if is_text else None


def read_of(tree: BaseTree, path: str) -> bytes | None:
    entry = tree.entries().get(path)
    return tree.read(path) if entry and entry.is_regular and entry.size <= MAX_BYTES_OF_A_FILE else None


def _unreadable(entry: TreeEntry | None, path: str, broken: str) -> Finding | None:
    """Why a changed file is not what Terraform would see after a merge."""
    if entry is None:
        return None
    if _RUN_BY_TERRAFORM.search(path):
        return unjudged(path, "Terraform runs what lies there, wherever this is checked out", "Take it out.")
    if broken:
        return unjudged(path, f"it is a symbolic link that {broken}: it is neither judged nor planned")
    if not entry.is_regular and not entry.leads_to:
        return unjudged(path, "a submodule is neither judged nor planned")
    if entry.size > MAX_BYTES_OF_A_FILE and is_judged(path):
        return unjudged(path, f"a file of {entry.size:,} bytes is neither judged nor planned")
    return None
