"""`.github/ops-agent.yml` on the base branch over the action's inputs: it narrows and never widens.

Read strictly: every problem at once, each with its line; an unknown key is a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from operator import eq
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ops_agent.config.inputs import boolean, matching, one_tag
from ops_agent.config.renamed import with_new_names
from ops_agent.config.settings import Settings
from ops_agent.config.strict_yaml import YamlNode, read_yaml
from ops_agent.model.errors import ConfigError
from ops_agent.model.ports import BaseTree
from ops_agent.model.terraform import MappedEnvironment, MappedRoot, Unreadable

POLICY_FILE = ".github/ops-agent.yml"
_PATH = r"(?!/)(?!.*(^|/)\.\.(/|$)).+"

_Path = Annotated[str, AfterValidator(matching(_PATH, "a path inside the repository", "correct it"))]
_Tag = Annotated[str, AfterValidator(one_tag)]
_Texts = tuple[Annotated[str, Field(min_length=1)], ...]
_Count = Annotated[int, Field(ge=1, lt=1_000_000)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Environment:
    __pydantic_config__: ClassVar = _STRICT

    backend: _Path | None = None
    variables: tuple[_Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    __pydantic_config__: ClassVar = _STRICT

    root: _Path
    environments: dict[str, _Environment]

    def mapped(self) -> MappedRoot:
        environments = (
            MappedEnvironment(name=name, backend_file=e.backend, var_files=e.variables)
            for name, e in self.environments.items()
        )
        return MappedRoot(path=self.root, environments=tuple(environments))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """What the file says. None means that it is silent; a list keeps only those input entries."""

    __pydantic_config__: ClassVar = _STRICT

    allowed_providers: _Texts | None = None
    allowed_modules: _Texts | None = None
    allowed_uses: _Texts | None = None
    allowed_secrets: _Texts | None = None
    allowed_permissions: _Texts | None = None
    allowed_runners: _Texts | None = None
    workflows: Annotated[bool, BeforeValidator(boolean)] | None = None
    environments: _Texts | None = None
    required_tags: tuple[_Tag, ...] = ()
    """On top of those of the input."""
    tag_values: dict[_Tag, _Texts] = field(default_factory=dict)
    """A tag that the input names keeps some of its values; others are added."""
    max_files: _Count | None = None
    max_turns: _Count | None = None
    max_cost_usd: Annotated[float, Field(gt=0, lt=10_000, allow_inf_nan=False)] | None = None
    closed_paths: tuple[_Path, ...] = ()
    """Globs that may not be written, on top of what is always closed."""
    layout: tuple[_Root, ...] = ()
    """Roots that discovery cannot find."""


@cache
def _adapter() -> TypeAdapter[PolicyFile]:
    return TypeAdapter(PolicyFile)


def read_policy(content: bytes) -> tuple[PolicyFile, tuple[str, ...], tuple[str, ...]]:
    """The file's policy, its problems (`line 4: ...`), and notices of old names. With problems, reject the file: a
    limit that could not be read would not be enforced.

    The policy holds what could be read, so that everything else that is wrong can be reported as well.
    """
    root = read_yaml(content) if content.strip() else YamlNode("map", 1)
    if isinstance(root, Unreadable):
        return PolicyFile(), (f"line {root.line}: {root.what}",), ()
    if root.kind != "map":
        return PolicyFile(), (f"line {root.line}: must be keys with values",), ()
    given: dict[str, Any] = root.plain
    values, notices, both = with_new_names("policy key", given)
    problems = {(_line(root, (name,)), f"`{name}`: {what}") for name, what in both}
    wrong: list[ErrorDetails] = []
    try:
        _adapter().validate_python(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
    unusable = {one["loc"][0] for one in wrong}
    policy = _adapter().validate_python({key: value for key, value in values.items() if key not in unusable})
    problems |= {(_line(root, one["loc"]), _sentence(one)) for one in wrong}
    return policy, tuple(f"line {line}: {sentence}" for line, sentence in sorted(problems)), notices


def _line(node: YamlNode, steps: tuple[int | str, ...]) -> int:
    for step in steps:
        inner = node.get(step) if isinstance(step, str) else node.items[step]
        if inner is None:
            break
        node = inner
    return node.line


def _sentence(error: ErrorDetails) -> str:
    name = next(step for step in reversed(error["loc"]) if isinstance(step, str))
    if error["type"] == "value_error":
        return f"`{name}`: {error['ctx']['error']}"
    if error["type"] == "unexpected_keyword_argument":
        shape = {1: PolicyFile, 3: _Root}.get(len(error["loc"]), _Environment)
        return f"`{name}` is not known; known are {', '.join(sorted(f.name for f in fields(shape)))}"
    words = {
        "missing": "is missing",
        "tuple_type": "must be a list",
        "string_type": "must hold texts only",
        "dict_type": "must have keys with values",
        "dataclass_type": "must have keys with values",
    }
    return f"`{name}` {words[error['type']]}" if error["type"] in words else f"`{name}`: {error['msg']}"


_WIDENING_REMEDY = (
    "Take these entries out of the policy file; where an input is named, it can allow more in the workflow file."
)


def _equal_without_case(given: str, asked: str) -> bool:
    return given.casefold() == asked.casefold()


def _same_provider(given: str, asked: str) -> bool:
    """`hashicorp/aws` in the file means that provider in every registry that the inputs name."""
    return given == asked or (asked.count("/") == 1 and given.endswith(f"/{asked}"))


def _below(given: str, asked: str) -> bool:
    """A module source is narrower than the prefix that it starts with."""
    return asked.startswith(given)


_LISTS: dict[str, Callable[[str, str], bool]] = {
    "allowed_providers": _same_provider,
    "allowed_modules": _below,
    "allowed_uses": _equal_without_case,
    "allowed_secrets": eq,
    "allowed_permissions": eq,
    "allowed_runners": _equal_without_case,
}
"""List of the policy -> whether an entry of it covers one of the file."""
_COUNTS = ("max_files", "max_turns", "max_cost_usd")
_INPUTS = frozenset({*_LISTS, "environments", "tag_values", "max_turns", "max_cost_usd"})
"""The limits that an input of the same name sets; the others are built in."""


def narrow(settings: Settings, file: PolicyFile, problems: Sequence[str] = ()) -> Settings:
    """`settings` with the limits of `file`, which is silent where it says None.

    Raises ConfigError with the `problems` of reading the file and every limit that would widen what the inputs allow.
    """
    policy, limits, widening = settings.policy, settings.limits, list[str]()

    def part(
        name: str, asked: tuple[str, ...] | None, given: tuple[str, ...], covers: Callable[[str, str], bool]
    ) -> tuple[str, ...]:
        if asked is None:
            return given
        kept: list[str] = []
        for entry in asked:
            matching = [one for one in given if covers(one, entry)]
            if not matching:
                input_name = name.partition(".")[0]
                where = f"by the input `{input_name}`" if input_name in _INPUTS else "by the built-in list"
                widening.append(f"`{name}`: {entry!a} is not allowed {where}, and the file can only take away")
            kept += [max(entry, one, key=len) for one in matching]  # the longer of the two is the narrower
        return tuple(dict.fromkeys(kept))

    def at_most(name: str) -> Any:
        asked, given = getattr(file, name), getattr(limits, name)
        if asked is not None and asked > given:
            limit = f"{given:g} of the input `{name}`" if name in _INPUTS else f"built-in limit of {given:g}"
            widening.append(f"`{name}`: {asked:g} is more than the {limit}")
        return given if asked is None else min(asked, given)

    if file.workflows and not policy.allow_workflow_files:
        widening.append("`workflows`: workflow files are not allowed, and the file can only take away")
    environments = settings.environments
    if file.environments is not None:
        environments = part("environments", file.environments, environments or file.environments, eq)
    values = {**policy.tag_values}
    for tag, asked in file.tag_values.items():
        values[tag] = part(f"tag_values.{tag}", asked, values.get(tag, asked), eq)
    lists: dict[str, Any] = {
        name: part(name, getattr(file, name), getattr(policy, name), covers) for name, covers in _LISTS.items()
    }
    narrowed = replace(
        settings,
        environments=environments,
        policy=replace(
            policy,
            **lists,
            allow_workflow_files=policy.allow_workflow_files and file.workflows is not False,
            closed_paths=tuple(dict.fromkeys((*policy.closed_paths, *file.closed_paths))),
            required_tags=tuple(dict.fromkeys((*policy.required_tags, *file.required_tags))),
            tag_values=values,
            layout=tuple(root.mapped() for root in file.layout),
        ),
        limits=replace(limits, **{name: at_most(name) for name in _COUNTS}),
    )
    if found := (*problems, *widening):
        correct = f"Correct `{POLICY_FILE}` on the base branch."
        hint = f"{correct} {_WIDENING_REMEDY}" if widening else correct
        raise ConfigError(f"{POLICY_FILE} cannot be used: {'; '.join(found)}", problems=found, hint=hint)
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
    file, problems, notices = read_policy(base.read(POLICY_FILE))
    told = tuple(f"{POLICY_FILE}: {notice}" for notice in notices)
    return replace(narrow(settings, file, problems), notices=(*settings.notices, *told))
