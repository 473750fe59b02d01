"""Symbolic links of a commit, followed as Terraform follows them, as long as they stay in the repository.

What a link leads to is seen at the link's place as well. It is written in its own place only: every change of it is a
change of all places that show it (`places_of`), and what is judged and planned holds them all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from ops_agent.model.change_set import LINK, TreeEntry
from ops_agent.model.errors import ConfigError
from ops_agent.model.ports import BaseTree

MAX_SHOWN = 50_000
"""Files that are seen at a second place because of links."""
MAX_STEPS = 500_000
"""Segments of paths, of all links together."""
_MAX_HOPS = 40
_MAX_TEXT = 4_095
"""The longest text of a link on Linux, in bytes."""
_OUT = "/"

Tree = Mapping[str, TreeEntry]


class FollowedTree:
    """ports.BaseTree: `tree`, and at each link what it leads to; these entries have `leads_to`.

    A link to a directory stays an entry of its own beside the files that it shows. A link that leads out of the
    repository, or around in a circle, has no `leads_to`. Raises ConfigError when links multiply the files.
    """

    def __init__(self, tree: BaseTree) -> None:
        self.commit, self._tree = tree.commit, tree

    def entries(self) -> Tree:
        return self._entries

    @cached_property
    def _entries(self) -> Tree:
        raw = self._tree.entries()
        texts = {path: self._text(entry) for path, entry in raw.items() if entry.mode == LINK}
        return _Following(raw, texts).entries() if texts else raw

    def _text(self, link: TreeEntry) -> str:
        text = self._tree.read(link.path) if link.size <= _MAX_TEXT else b""
        return text.decode("utf-8", "surrogateescape") if 0 < len(text) <= _MAX_TEXT else _OUT

    def read(self, path: str) -> bytes:
        return self._tree.read(self._entries[path].leads_to or path)


def target_of(path: str, entries: Tree) -> str:
    """The place in the repository that `path` leads to through links of `entries`; empty when it is that place."""
    above, rest = path, ""
    while above:
        if (entry := entries.get(above)) is not None and entry.leads_to:
            return entry.leads_to + rest
        above = above.rpartition("/")[0]
        rest = path[len(above) :]
    return ""


def places_of(entries: Tree) -> Callable[[str], tuple[str, ...]]:
    """Gives for a path the other places that show it, or would show it if it existed."""
    links = [e for e in entries.values() if e.leads_to and e.mode == LINK]
    files: dict[str, list[str]] = {}
    for entry in entries.values():
        if entry.leads_to and entry.mode != LINK:
            files.setdefault(entry.leads_to, []).append(entry.path)

    def places(path: str) -> tuple[str, ...]:
        new = (e.path + path[len(e.leads_to) :] for e in links if f"{path}/".startswith(f"{e.leads_to}/"))
        return tuple(dict.fromkeys((*files.get(path, ()), *new)))

    return places


def broken_links(entries: Tree) -> dict[str, str]:
    """The links of a followed tree that show nothing, each with the reason."""
    links = [entry for entry in entries.values() if entry.mode == LINK]
    existing = {above for path in entries for above in _directories_above(path)} if links else set()
    found = {}
    for entry in links:
        if not entry.leads_to:
            found[entry.path] = "leads out of the repository, or in a circle"
        elif entry.leads_to not in existing:
            found[entry.path] = f"leads to `{entry.leads_to}`, which does not exist"
    return found


def _directories_above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


class _Following:
    def __init__(self, raw: Tree, texts: Mapping[str, str]) -> None:
        self._raw, self._texts = raw, texts
        self._sorted = sorted(raw)
        self._directories = {above for path in raw for above in _directories_above(path)}
        self._shown = self._steps = 0
        self._targets = {path: self._resolved(path) for path in texts}

    def entries(self) -> Tree:
        found = dict(self._raw)
        for path, target in self._targets.items():
            found.update((entry.path, entry) for entry in self._at(path, target, ()))
        return found

    def _at(self, place: str, target: str, above: tuple[str, ...]) -> Iterator[TreeEntry]:
        """What is seen at `place`, which leads to `target`, inside of what leads to the directories `above`."""
        self._shown += 1
        if self._shown > MAX_SHOWN:
            raise ConfigError(
                f"The symbolic links of the repository show more than {MAX_SHOWN:,} files once more.",
                hint="Remove links to large directories, or those that lead to one another.",
            )
        entry = self._raw.get(target)
        if entry is not None and entry.is_regular:
            yield replace(entry, path=place, leads_to=target)
            return
        if not target or entry is not None or target in above:
            return
        yield TreeEntry(path=place, mode=LINK, blob="", size=0, leads_to=target)
        for path in self._below(target):
            further = self._targets.get(path, path)
            if not path.startswith(f"{further}/"):
                yield from self._at(place + path[len(target) :], further, (*above, target))

    def _below(self, directory: str) -> Iterator[str]:
        for path in self._sorted[bisect_left(self._sorted, f"{directory}/") :]:
            if not path.startswith(f"{directory}/"):
                return
            yield path

    def _resolved(self, link: str) -> str:
        """Where a link leads, which need not exist; empty when that is outside, in a circle, or a directory above."""
        here, pending, hops = link.split("/")[:-1], self._texts[link].split("/")[::-1], 0
        if not pending[-1]:
            return ""
        while pending:
            segment = pending.pop()
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise ConfigError(
                    "The symbolic links of the repository are too many, or too long, to be followed.",
                    hint="Remove links that lead through long paths or through many others.",
                )
            if segment in ("", ".", ".."):
                if (here and "/".join(here) not in self._directories) or (segment == ".." and not here):
                    return ""
                here = here[:-1] if segment == ".." else here
            else:
                here.append(segment)
                text = self._texts.get("/".join(here))
                if text is not None:
                    hops += 1
                    if hops > _MAX_HOPS or text.startswith("/"):
                        return ""
                    here.pop()
                    pending += text.split("/")[::-1]
        target = "/".join(here)
        return "" if f"{link}/".startswith(f"{target}/") else target
