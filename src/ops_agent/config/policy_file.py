"""`.github/ops-agent.yml` -> PolicyFile. Strict: every problem at once, each with its line; an unknown key is a
problem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ops_agent.config.settings import Settings
from ops_agent.config.strict_yaml import YamlNode, read_yaml
from ops_agent.model.errors import ConfigError
from ops_agent.model.policy import PolicyFile
from ops_agent.model.ports import BaseTree
from ops_agent.model.terraform import MappedEnvironment, MappedRoot, Unreadable

POLICY_FILE = ".github/ops-agent.yml"
_PATH = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[A-Za-z0-9._@+=/*?-]+")


def read_policy(content: bytes) -> tuple[PolicyFile, tuple[str, ...]]:
    """The file's policy and its problems (`line 4: ...`). With problems the policy must not be used: an unread limit is
    no limit.

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
    problems.extend(
        f"line {node.line}: `{p}` in `{key}` is not a path inside the repository"
        for p in paths
        if not _PATH.fullmatch(p)
    )
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


# A repository's policy file over the action's inputs: it may take away, never add.

WIDENING_REMEDY = (
    "Take these entries out of the policy file; where an input is named, it can allow more in the workflow file."
)
_INPUTS = frozenset({"allowed_providers", "allowed_modules", "environments", "max_turns", "max_cost_usd"})
"""The limits that an input of the same name sets; the others are built in."""


def narrow(settings: Settings, file: PolicyFile) -> Settings:
    """`settings` with the limits of `file`, which is silent where it says None.

    Raises ConfigError with every line of the file that would widen what the inputs allow: a limit that is not
    understood is no limit.
    """
    policy, limits, problems = settings.policy, settings.limits, list[str]()

    def part(
        name: str, asked: tuple[str, ...] | None, given: tuple[str, ...], covers: Callable[[str, str], bool]
    ) -> tuple[str, ...]:
        if asked is None:
            return given
        kept: list[str] = []
        for entry in asked:
            matching = [one for one in given if covers(one, entry)]
            if not matching:
                where = f"by the input `{name}`" if name in _INPUTS else "by the built-in list"
                problems.append(f"`{name}`: {entry!a} is not allowed {where}, and the file can only take away")
            kept += [max(entry, one, key=len) for one in matching]  # the longer of the two is the narrower
        return tuple(dict.fromkeys(kept))

    def at_most(name: str, asked: float | None, given: float) -> float:
        if asked is not None and asked > given:
            limit = f"{given:g} of the input `{name}`" if name in _INPUTS else f"built-in limit of {given:g}"
            problems.append(f"`{name}`: {asked:g} is more than the {limit}")
        return given if asked is None else min(asked, given)

    if file.workflows and not policy.allow_workflow_files:
        problems.append("`workflows`: workflow files are not allowed, and the file can only take away")
    environments = settings.environments
    if file.environments is not None:
        environments = part("environments", file.environments, environments or file.environments, _equal)
    narrowed = replace(
        settings,
        environments=environments,
        policy=replace(
            policy,
            allowed_providers=part(
                "allowed_providers", file.allowed_providers, policy.allowed_providers, _same_provider
            ),
            allowed_modules=part("allowed_modules", file.allowed_modules, policy.allowed_modules, _below),
            allowed_uses=part("allowed_uses", file.allowed_uses, policy.allowed_uses, _equal_without_case),
            allowed_secrets=part("allowed_secrets", file.allowed_secrets, policy.allowed_secrets, _equal),
            allow_workflow_files=policy.allow_workflow_files and file.workflows is not False,
            closed_paths=tuple(dict.fromkeys((*policy.closed_paths, *file.closed_paths))),
            layout=file.layout,
        ),
        limits=replace(
            limits,
            max_files=int(at_most("max_files", file.max_files, limits.max_files)),
            max_turns=int(at_most("max_turns", file.max_turns, limits.max_turns)),
            max_cost_usd=at_most("max_cost_usd", file.max_cost_usd, limits.max_cost_usd),
        ),
    )
    if problems:
        raise ConfigError(
            f"the policy file on the base branch would widen what the workflow allows: {'; '.join(problems)}",
            problems=tuple(problems),
            hint=WIDENING_REMEDY,
        )
    return narrowed


def narrow_by_policy_file(settings: Settings, base: BaseTree) -> Settings:
    """`settings` narrowed by `.github/ops-agent.yml` of `base`; as they are when there is no such file.

    Raises ConfigError with every problem of the file: a line that cannot be read, a key that is not known, a limit that
    would widen.
    """
    entry = base.entries().get(POLICY_FILE)
    if entry is None:
        return settings
    if not entry.is_regular:
        raise ConfigError(
            f"{POLICY_FILE} is not a regular file on the base branch",
            hint=f"Replace `{POLICY_FILE}` by a regular file.",
        )
    file, problems = read_policy(base.read(POLICY_FILE))
    if not problems:
        return narrow(settings, file)
    correct = f"Correct `{POLICY_FILE}` on the base branch."
    try:
        narrow(settings, file)
    except ConfigError as widening:
        problems, correct = (*problems, *widening.problems), f"{correct} {WIDENING_REMEDY}"
    raise ConfigError(f"{POLICY_FILE} cannot be used: {'; '.join(problems)}", problems=problems, hint=correct)


def _equal(given: str, asked: str) -> bool:
    return given == asked


def _equal_without_case(given: str, asked: str) -> bool:
    return given.casefold() == asked.casefold()


def _same_provider(given: str, asked: str) -> bool:
    """`hashicorp/aws` in the file means that provider in every registry that the inputs name."""
    return given == asked or (asked.count("/") == 1 and given.endswith(f"/{asked}"))


def _below(given: str, asked: str) -> bool:
    """A module source is narrower than the prefix that it starts with."""
    return asked.startswith(given)
