"""The code that stands in the first message: all of it where it is little, else what matters for the work item.

The order is deterministic: what the words of the work item name, then the roots that they name with their variable
files, modules and workflows, then the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ops_agent.agent.briefing import plain_name
from ops_agent.agent.reading import part
from ops_agent.model.terraform import Layout, TerraformRoot
from ops_agent.terraform.layout import LayoutUses
from ops_agent.terraform.modules import directory_of, is_configuration
from ops_agent.workflows.merging import MergeEffect

MAX_CODE: Final = 40_000
"""Bytes of all files that are shown."""
MAX_FILE: Final = 24_000
"""A longer file is left to `read`, which can show a part of it."""
_APPLIES = re.compile(rb"\b(?:terraform|tofu|terragrunt|opentofu)\b", re.IGNORECASE)
_NAME: Final = re.compile(r"[^\W_]{3,}")
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        "add adds all and are aws create each environment environments every exists for from has have infra into issue "
        "its main must new not one ops our resource service should terraform that the their this variable variables "
        "when will with ambiente ambientes com deve para uma",
    )
)


@dataclass(frozen=True, slots=True)
class CodeInView:
    """`files` are (path with what is odd about the file, its text) as `read` shows them; `paths` those files; `left`
    how many more there are of these sorts.
    """

    files: tuple[tuple[str, str], ...]
    paths: frozenset[str]
    left: int


def code_in_view(
    layout: Layout,
    paths: Collection[str],
    read: Callable[[str], bytes],
    words: str,
    merges: Sequence[MergeEffect] = (),
) -> CodeInView:
    """The files of roots, environments and modules, and the workflows that run Terraform. `words`: the work item's."""
    contents = _candidates(layout, paths, read)
    shown = {path for path, content in contents.items() if len(content) <= MAX_FILE and b"\x00" not in content}
    if sum(len(contents[path]) for path in shown) > MAX_CODE:
        room, ranked = MAX_CODE, _ranked({p: contents[p] for p in shown}, layout, words, merges)
        shown = set()
        for path in ranked:
            if len(contents[path]) <= room:
                shown.add(path)
                room -= len(contents[path])
    files = []
    for path in contents:
        if path in shown:
            text, notes = part(contents[path])
            files.append((", ".join((plain_name(path), *notes)), text))
    return CodeInView(tuple(files), frozenset(shown), len(contents) - len(shown))


def _candidates(layout: Layout, paths: Collection[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """By path, a root with its environments first, then the modules, then the workflows."""
    held: dict[str, list[str]] = {}
    for path in sorted(paths):
        if is_configuration(path):
            held.setdefault(directory_of(path), []).append(path)
    found: dict[str, None] = {}
    for root in layout.roots:
        found.update(dict.fromkeys(held.get(root.path, ())))
        found.update(dict.fromkeys(_of_environments(root)))
    for module in dict.fromkeys(m for root in layout.roots for m in root.local_modules):
        found.update(dict.fromkeys(held.get(module, ())))
    known = set(paths)
    contents = {path: read(path) for path in found if path in known}
    for path in layout.workflows:
        content = read(path) if path in known else b""
        if _APPLIES.search(content):
            contents[path] = content
    return contents


def _of_environments(root: TerraformRoot) -> list[str]:
    return [path for e in root.environments for path in (e.backend_file, *e.var_files) if path]


def _ranked(contents: Mapping[str, bytes], layout: Layout, words: str, merges: Sequence[MergeEffect]) -> list[str]:
    """The paths, what the work item names first."""
    said = words.casefold()
    terms = frozenset(_NAME.findall(said.replace("_", " "))) - _COMMON
    uses = LayoutUses(layout)
    own = {path: _named(path, content, said, terms) for path, content in contents.items()}
    strength = dict.fromkeys((root.path for root in layout.roots), 0)
    for path, points in own.items():
        for root in uses.affected([path]):
            strength[root.path] += points
    applied = {effect.workflow: max(strength.get(effect.root, 0), 1) for effect in merges}

    def rank(path: str) -> tuple[int, int, str]:
        of_roots = max((strength[root.path] for root in uses.affected([path])), default=applied.get(path, 0))
        is_value = not is_configuration(path)
        return (-10 * own[path] - of_roots - (2 if is_value and of_roots else 0), len(contents[path]), path)

    return sorted(contents, key=rank)


def _named(path: str, content: bytes, said: str, terms: Collection[str]) -> int:
    """How much the work item names a file: its path whole, then words of its path, then names of its blocks."""
    points = 40 if path.casefold() in said else 0
    in_path = frozenset(_NAME.findall(path.casefold().replace("_", " ")))
    points += 5 * len(in_path & frozenset(terms))
    text = content.decode("utf-8", "replace").casefold()
    labels = re.findall(
        r'^\s*(?:resource|data|module|variable|output)\s+"([^"\n]+)"(?:\s+"([^"\n]+)")?', text, re.MULTILINE
    )
    for kind, name in labels:
        if f"{kind}.{name}" in said:
            points += 10
        points += len(frozenset(_NAME.findall((name or kind).replace("_", " "))) & frozenset(terms))
    return points
