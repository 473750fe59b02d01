"""Where a file's name and content flow in a script: variables, loops, lists of files, copies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from itertools import pairwise

from ops_agent.guard.shell_words import (
    COMPUTED,
    Command,
    Line,
    Pipeline,
    forms,
    pipelines,
    substitutions,
    unquoted,
    words_of,
)

WRAPPERS = words_of(
    "sudo doas env command builtin exec nohup nice ionice time timeout stdbuf setsid unbuffer strace xargs parallel "
    "npx uvx watch"
    " chroot unshare flock trap su runuser script retry faketime coproc if then do else elif while until ! { } ) && &"
)
_COPIERS = words_of("cp mv ln install rsync dd tee")
_LISTERS = words_of("find fd ls tree git grep egrep rg")
_LISTS = {"git": ("ls-files", "diff", "ls-tree", "grep", "show")}
_NAME_FILTERS = words_of("-name -iname -path -ipath -wholename")
_BINDS = re.compile(r"""(?<![\w$.-])([A-Za-z_]\w*)=((?:\$\{\{[^}]*\}\}|"[^"]*"|'[^']*'|[^\s;&|)"'])+)""")
_LOOP = re.compile(r"\b(?:for|select)\s+([A-Za-z_]\w*)\s+in\s+([^;\n]+)")
_READ = re.compile(r"\b(?:read|mapfile|readarray)\s+((?:-\w+\s+(?:''\s+|\"\"\s+|\$'[^']*'\s+)?)*)([A-Za-z_][\w ]*)")
_WORDS = re.compile(r"[A-Za-z0-9._]{3,}")
_PASSES = 3
MOST_DEPTH = 6


@lru_cache(maxsize=8192)
def _pattern(word: str) -> tuple[str, re.Pattern[str] | None]:
    """A word as a path without what stands before it; with a pattern when it has one. "" says nothing."""
    name = _bare(re.sub(r"\{[^{}]+\}", "*", word))
    if not name or name.endswith("/") or (COMPUTED in name and not _WORDS.search(name)):
        return "", None
    glob = name.replace(COMPUTED, "*").casefold()
    return name, re.compile(translate(glob)) if re.search(r"[*?\[]", glob) else None


@dataclass(slots=True)
class Target:
    """The file that is looked for, and the names that copies of it go by."""

    file: str
    copies: set[str] = field(default_factory=set)
    _ends: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = self.file.casefold().split("/")
        self._ends = frozenset("/".join(parts[start:]) for start in range(len(parts)))

    @property
    def name(self) -> str:
        """The last part of its path, without case."""
        return self.file.rpartition("/")[2].casefold()

    @property
    def is_document(self) -> bool:
        return self.file.endswith(".md")

    def meant_by(self, word: str) -> bool:
        """Can `word` be a path of the file, from any working directory? A computed word with hardly a letter says
        nothing.
        """
        name, pattern = _pattern(word)
        if pattern is not None:
            return any(pattern.match(e) for e in self._ends) or name in self.copies
        return name.casefold() in self._ends or name in self.copies

    def named_by(self, word: str) -> bool:
        """Meant without a pattern: patterns name what everything that checks and deploys works on."""
        return "*" not in word and "?" not in word and any(self.meant_by(w) for w in re.split(r"[=,:@]", word) if w)

    def command(self, word: str) -> bool:
        return bool(_WORDS.search(word)) and word[:1] != "*" and self.meant_by(word)


def bind(lines: list[Line], target: Target, known: dict[str, tuple[str, ...]]) -> None:
    """Learn from all lines which variables hold the file's name or content (into `known`), and the names of copies
    (into `target`).
    """
    for _ in range(_PASSES):
        before = (len(target.copies), sum(len(v) for v in known.values()))
        _bind(lines, target, known)
        if (len(target.copies), sum(len(v) for v in known.values())) == before:
            return


def _bind(lines: list[Line], target: Target, known: dict[str, tuple[str, ...]]) -> None:
    fed = any(
        mentions(text, target)
        for line in lines
        if re.search(r"\b(read|mapfile|readarray|done)\b", line.text)
        for text in forms(line.text, known)
    )
    for line in lines:
        for name, value in _BINDS.findall(line.text):
            _add(
                known,
                name,
                [_outer(text, target) for text in forms(unquoted(value) if "$(" not in line.text else value, known)],
            )
            if "$(" in line.text or "`" in line.text:
                inner = [i for text in forms(line.text, known) for _, _, i in substitutions(text)]
                _add(known, name, [target.file for i in inner if mentions(i, target)])
        for name, items in _LOOP.findall(line.text):
            _add(known, name, [w for text in forms(items, known) for w in _outer(text, target).split()])
        if fed:
            for _, names in _READ.findall(line.text):
                for name in names.split():
                    _add(known, name, [target.file])
        for text in forms(line.text, known):
            for pipeline in pipelines(_outer(text, target)):
                if any(gives(c, target) for c in pipeline.commands):
                    target.copies.update(_bare(w) for w in _written(pipeline) if COMPUTED not in w and _WORDS.search(w))


def _add(known: dict[str, tuple[str, ...]], name: str, values: list[str]) -> None:
    known[name] = tuple(dict.fromkeys((*known.get(name, ()), *values)))[:8] or (COMPUTED,)


def _written(pipeline: Pipeline) -> Iterator[str]:
    for command in pipeline.commands:
        yield from (w for w in command.writes if not w.startswith(("/dev/", "&", "/GITHUB_")))
        if command.words and command.words[0].rpartition("/")[2] in _COPIERS and len(command.words) > 1:
            yield command.words[-1].removeprefix("of=")


def _outer(text: str, target: Target, depth: int = 0) -> str:
    """The text with the file's name in place of every substitution that names it, and a mark in place of the others."""
    found = substitutions(text)
    out, last = [], 0
    for start, end, inside in found:
        out += [text[last:start], target.file if mentions(inside, target, depth + 1) else COMPUTED]
        last = end
    return "".join([*out, text[last:]])


def mentions(text: str, target: Target, depth: int = 0) -> bool:
    """Does a command of this line name the file, read it, or list it?"""
    if depth > MOST_DEPTH:
        return target.name in text.casefold()
    return any(gives(c, target) for p in pipelines(outer_of(text, target, depth)) for c in p.commands)


def outer_of(text: str, target: Target, depth: int = 0) -> str:
    """The line with the file's name in place of what reads or lists the file, and a mark in place of other
    substitutions.
    """
    return _outer(text, target, depth) if "(" in text or "`" in text else text


def gives(command: Command, target: Target) -> bool:
    """Does the command name the file, read it, or list it?"""
    words = [w for w in command.words if w not in WRAPPERS]
    if any(target.meant_by(w) for w in (*words[1:], *words[:1], *command.reads)):
        return True
    return bool(words) and words[0].rpartition("/")[2] in _LISTERS and lists(words, target)


def lists(words: list[str], target: Target) -> bool:
    name, rest = words[0].rpartition("/")[2], words[1:]
    if name in _LISTS and not (rest and rest[0] in _LISTS[name]):
        return False
    if "grep" in name or name == "rg":
        if not any(re.fullmatch(r"-[a-zA-Z]*[lL][a-zA-Z]*|--files.*", w) for w in rest):
            return False
        rest = [w for w in rest if w.startswith("-")] + [w for w in rest if not w.startswith("-")][1:]
    if any(a == "-type" and b == "d" for a, b in pairwise(rest)):
        return False
    filters = [
        b
        for n, (a, b) in enumerate(pairwise(rest))
        if a in _NAME_FILTERS and (n == 0 or rest[n - 1] not in ("!", "-not"))
    ]
    base = target.file.rpartition("/")[2]
    if filters and not any(
        fnmatchcase(base, f.replace(COMPUTED, "*")) or fnmatchcase(target.file, f.replace(COMPUTED, "*"))
        for f in filters
    ):
        return False
    places = []
    for word in rest[1:] if name in _LISTS else rest:
        if word.startswith("-") and name == "find":
            break
        if not word.startswith("-"):
            places.append(word)
    parts = target.file.split("/")
    within = {"/".join(parts[a:b]) for a in range(len(parts)) for b in range(a + 1, len(parts) + 1)}
    return not places or any(
        p.strip("./") in within or p in (".", "./") or COMPUTED in p or target.meant_by(p) for p in places
    )


def _bare(word: str) -> str:
    return re.sub(r"^(\.{1,2}/|/|[*\x00]/)+", "", word)
