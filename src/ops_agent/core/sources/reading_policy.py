"""`.github/ops-agent.yml` -> PolicyFile. Strict: every problem at once, each with its line; an unknown key is a problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ops_agent.core.sources.reading_yaml import YamlNode, read_yaml
from ops_agent.domain.layout import MappedEnvironment, MappedRoot
from ops_agent.domain.policy import PolicyFile
from ops_agent.domain.terraform_source import Unreadable

POLICY_FILE = ".github/ops-agent.yml"
_PATH = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[A-Za-z0-9._@+=/*?-]+")


def read_policy(content: bytes) -> tuple[PolicyFile, tuple[str, ...]]:
    """The file's policy and its problems (`line 4: ...`). With problems the policy must not be used: an unread limit is no limit.

    It holds what could be read all the same, so that whoever says the problems can say what else is wrong.
    """
    root = read_yaml(content) if content.strip() else YamlNode("map", 1)
    if isinstance(root, Unreadable):
        return PolicyFile(), (f"line {root.line}: {root.what}",)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, node in _members(root, problems):
        reader = _READERS.get(key)
        if reader is None:
            problems.append(f"line {node.line}: `{key}` is not known; known are {', '.join(sorted(_READERS))}")
            continue
        before = len(problems)
        value = reader(key, node, problems)
        if len(problems) == before:
            values[key] = value
    return PolicyFile(**values), tuple(problems)


def _members(node: YamlNode, problems: list[str]) -> Iterator[tuple[str, YamlNode]]:
    if node.kind != "map":
        problems.append(f"line {node.line}: keys with values are expected")
    yield from node.members


def _texts(key: str, node: YamlNode, problems: list[str]) -> tuple[str, ...]:
    if node.kind != "list" or any(i.kind != "text" or not i.text for i in node.items):
        problems.append(f"line {node.line}: `{key}` is a list of texts")
    return tuple(i.text for i in node.items)


def _paths(key: str, node: YamlNode, problems: list[str]) -> tuple[str, ...]:
    paths = _texts(key, node, problems)
    problems.extend(f"line {node.line}: `{p}` in `{key}` is not a path inside the repository" for p in paths if not _PATH.fullmatch(p))
    return paths


def _path(key: str, node: YamlNode, problems: list[str]) -> str:
    if node.kind != "text" or not _PATH.fullmatch(node.text):
        problems.append(f"line {node.line}: `{key}` is a path inside the repository")
    return node.text


def _switch(key: str, node: YamlNode, problems: list[str]) -> bool:
    if node.text not in ("true", "false"):
        problems.append(f"line {node.line}: `{key}` is true or false")
    return node.text == "true"


def _count(key: str, node: YamlNode, problems: list[str]) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", node.text):
        problems.append(f"line {node.line}: `{key}` is a whole number above zero")
        return 1
    return int(node.text)


def _money(key: str, node: YamlNode, problems: list[str]) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,2})?", node.text) or float(node.text) == 0:
        problems.append(f"line {node.line}: `{key}` is an amount of US dollars above zero")
        return 0.01
    return float(node.text)


def _layout(key: str, node: YamlNode, problems: list[str]) -> tuple[MappedRoot, ...]:
    roots = []
    if node.kind != "list":
        problems.append(f"line {node.line}: `{key}` is a list of roots")
    for item in node.items:
        path, environments = item.get("root"), item.get("environments")
        _only(item, ("root", "environments"), problems)
        if path is None or environments is None or environments.kind != "map":
            problems.append(f"line {item.line}: a root of `{key}` has `root` and `environments`")
            continue
        mapped = tuple(_environment(name, value, problems) for name, value in environments.members)
        roots.append(MappedRoot(path=_path("root", path, problems), environments=mapped))
    return tuple(roots)


def _environment(name: str, node: YamlNode, problems: list[str]) -> MappedEnvironment:
    _only(node, ("backend", "variables"), problems)
    backend, variables = node.get("backend"), node.get("variables")
    return MappedEnvironment(
        name=name,
        backend_file=_path("backend", backend, problems) if backend is not None else None,
        var_files=_paths("variables", variables, problems) if variables is not None else (),
    )


def _only(node: YamlNode, known: tuple[str, ...], problems: list[str]) -> None:
    for key, value in _members(node, problems):
        if key not in known:
            problems.append(f"line {value.line}: `{key}` is not known; known are {', '.join(known)}")


_READERS: dict[str, Callable[[str, YamlNode, list[str]], Any]] = {
    "allowed_providers": _texts,
    "allowed_modules": _texts,
    "allowed_uses": _texts,
    "allowed_secrets": _texts,
    "workflows": _switch,
    "environments": _texts,
    "max_files": _count,
    "max_turns": _count,
    "max_cost_usd": _money,
    "closed_paths": _paths,
    "layout": _layout,
}
