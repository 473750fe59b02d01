"""The repository map: what stands where, in a page, so that the agent need not search for it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from ops_agent.core.sources.reading_terraform import read_terraform
from ops_agent.domain.layout import Layout, TerraformRoot
from ops_agent.domain.terraform_source import TerraformSource

MAX_FILES = 150
MAX_NAMES = 40
MAX_DIRECTORIES = 40
MAX_NAME = 200
_BLOCKS = ("resource", "data", "module", "variable", "output", "provider", "terraform", "locals", "moved")


def repository_map(layout: Layout, paths: Collection[str], read: Callable[[str], bytes]) -> dict[str, Any]:
    """Roots with environments and files, blocks by Terraform file, workflows, and how many files the rest has. Bounded; names escaped."""
    held = _terraform_files(layout, paths)
    shown = held[:MAX_FILES]
    found: dict[str, Any] = {
        "roots": [_root(r) for r in layout.roots[:MAX_DIRECTORIES]],
        "terraform_files": {plain_name(p): _names(read(p)) for p in shown},
        "workflows": [plain_name(p) for p in layout.workflows[:MAX_DIRECTORIES]],
        "other_files_by_directory": _others(set(paths) - set(held) - set(layout.workflows)),
    }
    if len(held) > len(shown):
        found["not_shown"] = f"{len(held) - len(shown)} more Terraform files: use list_files"
    if layout.findings:
        found["odd"] = [f"{plain_name(str(f.place))}: {f.what}" for f in layout.findings[:20]]
    return found


def plain_name(text: str) -> str:
    """A file or branch name with everything that cannot be seen escaped (B15), cut at 200 characters."""
    seen = "".join(c if c == " " or (c.isprintable() and unicodedata.category(c)[0] != "Z") else f"\\u{ord(c):04x}" for c in text)
    return seen if len(seen) <= MAX_NAME else seen[:MAX_NAME] + "…"


def _root(root: TerraformRoot) -> dict[str, Any]:
    environments = {
        plain_name(e.name): {
            "account": e.account,
            "backend_file": e.backend_file and plain_name(e.backend_file),
            "var_files": [plain_name(v) for v in e.var_files],
        }
        for e in root.environments
    }
    return {"path": plain_name(root.path), "environments": environments, "local_modules": [plain_name(m) for m in root.local_modules]}


def _terraform_files(layout: Layout, paths: Collection[str]) -> list[str]:
    """Those of the roots first, then of their modules, then all others."""
    order = {d: n for n, d in enumerate([r.path for r in layout.roots] + [m for r in layout.roots for m in r.local_modules])}
    held = [p for p in paths if p.endswith(".tf")]
    return sorted(held, key=lambda p: (order.get(p.rpartition("/")[0] or ".", len(order)), p))


def _names(content: bytes) -> str:
    source = read_terraform(content)
    if not isinstance(source, TerraformSource):
        return "cannot be read"
    names = [f"{b.type} {'.'.join(b.labels)}".strip() for b in source.blocks if b.type in _BLOCKS]
    more = f", and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return plain_names(names[:MAX_NAMES]) + more


def plain_names(names: list[str]) -> str:
    return ", ".join(plain_name(n) for n in names)


def _others(paths: set[str]) -> dict[str, int]:
    counts = Counter(p.split("/")[0] + "/" if "/" in p else p for p in paths)
    return {plain_name(name): count for name, count in sorted(counts.most_common(MAX_DIRECTORIES))}
