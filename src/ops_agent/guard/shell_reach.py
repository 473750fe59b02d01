"""A quick look, before a script is read: which files can it mean at all? Never fewer than the reading finds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ops_agent.guard.shell_flows import Target, lists
from ops_agent.guard.shell_words import COMPUTED, forms

_SEPARATORS = re.compile(r"[\s|&;()<>=,:@`\[\]{}]+")
_LISTER = re.compile(
    r"(?<![\w.-])(?:find|fd|ls|tree|git|e?grep|rg)\s[^|;&)`\n]*|(?<![\w.-])(?:find|fd|ls|tree)\s*(?=[|;&)`\n]|$)"
)
_SAYS_NOTHING = re.compile(rf"[{COMPUTED}/.*?-]*{COMPUTED}[{COMPUTED}/.*?-]*{COMPUTED}[{COMPUTED}/.*?-]*")


@dataclass(frozen=True, slots=True)
class Reach:
    """Last parts of plain words (lower case), words with a pattern, commands that list files; `anything`: a word is
    only variables.
    """

    names: frozenset[str]
    patterns: tuple[str, ...]
    listers: tuple[tuple[str, ...], ...]
    anything: bool

    def holds(self, target: Target) -> bool:
        return (
            self.anything
            or target.name in self.names
            or any(target.meant_by(p) for p in self.patterns)
            or any(lists(list(words), target) for words in self.listers)
        )


@lru_cache(maxsize=1024)
def reach_of(script: str) -> Reach:
    """What the words of `script` can mean, whoever gets them."""
    text = forms(script.replace("\\\n", " "), {})[0]
    bare = re.sub(r"[\"'\\]", "", text)
    words = {
        *_SEPARATORS.split(bare),
        *_SEPARATORS.split(re.sub(r"\{[^{}\n]+\}", "*", bare)),
        *_SEPARATORS.split(text.replace("\\", "/")),
    }
    patterns = tuple(sorted(w for w in words if re.search(rf"[*?\[{COMPUTED}]", w)))
    listers = tuple(dict.fromkeys(tuple(found[0].split()) for found in _LISTER.finditer(bare)))
    names = frozenset(w.rpartition("/")[2].casefold() for w in words)
    return Reach(names, patterns, listers, any(_SAYS_NOTHING.fullmatch(p) for p in patterns))


def can_mean(script: str, values: Iterable[str], target: Target) -> bool:
    """True when `script`, or a value that it is given, can mean the file."""
    return reach_of(script).holds(target) or any(
        target.name in v.casefold() or ("*" in v and target.meant_by(v)) for v in values
    )
