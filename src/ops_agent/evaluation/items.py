"""A work item of an evaluation: a folder with `issue.md`, `item.yml` and recordings, read strictly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ops_agent.model.conversation import Assertion
from ops_agent.model.errors import ConfigError
from ops_agent.model.outcome import Conclusion
from ops_agent.plan.evidence import problem_of

ITEM, ISSUE, OVERLAY, RECORDINGS = "item.yml", "issue.md", "overlay", "recordings"
_LARGEST = 1_000_000
_STRICT = ConfigDict(extra="forbid", frozen=True)
_Model = TypeVar("_Model", bound=BaseModel)


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


class ExpectedEvidence(BaseModel):
    """As the agent's evidence in `finish`: a planned value, a key of a workflow, or a line of a file."""

    model_config = _STRICT

    kind: Literal["plan", "workflow", "file"]
    where: str
    op: str
    key: str = ""
    value: str = ""
    environments: _Texts = ()

    @property
    def assertion(self) -> Assertion:
        return Assertion(**self.model_dump())


class Facts(BaseModel):
    """What is, or must not be, true at the end. `changed` are globs of paths; `text` are pieces of what people read, in
    any case: pull request or comment; `patch` are pieces of added lines.
    """

    model_config = _STRICT

    changed: _Texts = ()
    evidence: tuple[ExpectedEvidence, ...] = ()
    text: _Texts = ()
    patch: _Texts = ()


class Expected(Facts):
    """`conclusion`: any one of these; `proved`: criteria that the proof must hold for; `draft`: whether the pull
    request has to be one (None: either).
    """

    conclusion: Annotated[_Texts, Field(min_length=1)]
    proved: _Texts = ()
    draft: bool | None = None


class _File(BaseModel):
    model_config = _STRICT

    about: str = Field(min_length=10)
    repository: str
    inputs: dict[str, str] = {}
    expected: Expected
    forbidden: Facts = Facts()


class Call(BaseModel):
    """One tool call: its name and arguments."""

    model_config = _STRICT

    tool: str
    arguments: dict[str, Any] = {}


class Answer(BaseModel):
    """One answer of a model."""

    model_config = _STRICT

    say: str = ""
    calls: tuple[Call, ...] = ()


class Recording(BaseModel):
    """Answers of a model, in order, and what becomes of them: the item `passes`, or it does not and each of `because`
    is a part of a reason.
    """

    model_config = _STRICT

    passes: bool
    because: _Texts = ()
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One work item. `repository` is the folder with the files, `digest` changes with anything that a run is given."""

    name: str
    folder: Path
    about: str
    repository: Path
    inputs: dict[str, str]
    expected: Expected
    forbidden: Facts
    recordings: dict[str, Recording]
    digest: str

    @property
    def issue_file(self) -> Path:
        return self.folder / ISSUE


def read_items(folder: Path, only: tuple[str, ...] = ()) -> tuple[Item, ...]:
    """The items in `folder`, by name; `only` keeps those. Raises ConfigError with everything that is wrong."""
    found = sorted(path.parent for path in folder.glob(f"*/{ITEM}"))
    if not found:
        raise ConfigError(
            f"{folder} holds no work item.", hint=f"Each item is a folder in it with {ITEM} and {ISSUE} (docs/eval.md)."
        )
    names = {path.name for path in found}
    if strange := sorted(set(only) - names):
        raise ConfigError(f"There is no item {', '.join(strange)}.", hint=f"The items are {', '.join(sorted(names))}.")
    items, problems = list[Item](), list[str]()
    for path in found:
        if not only or path.name in only:
            try:
                items.append(_read(path))
            except ConfigError as error:
                problems += error.problems or (str(error),)
    if problems:
        raise ConfigError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the items.",
            problems=tuple(problems),
            hint="Correct the files; docs/eval.md has their shape.",
        )
    return tuple(items)


def _read(folder: Path) -> Item:
    problems = list[str]()
    file = _parsed(folder / ITEM, _File, problems)
    recordings = {
        path.stem: recording
        for path in sorted((folder / RECORDINGS).glob("*.yml"))
        if (recording := _parsed(path, Recording, problems)) is not None
    }
    if not (folder / ISSUE).is_file():
        problems.append(f"{folder.name}: there is no {ISSUE}; its first line is `# [ops] Title`")
    if file is not None:
        problems += [f"{folder.name}/{ITEM}: {problem}" for problem in _problems(file, folder)]
    if problems or file is None:
        raise ConfigError(problems[0], problems=tuple(problems))
    repository = (folder / file.repository).resolve()
    return Item(
        name=folder.name,
        folder=folder,
        about=file.about,
        repository=repository,
        inputs=file.inputs,
        expected=file.expected,
        forbidden=file.forbidden,
        recordings=recordings,
        digest=_digest([folder / ITEM, folder / ISSUE], (folder / OVERLAY, repository)),
    )


def _parsed(path: Path, shape: type[_Model], problems: list[str]) -> _Model | None:
    where = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST:,} bytes")
        return shape.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            place = ".".join(str(step) for step in one["loc"])
            problems.append(f"{where}: {f'{place}: ' if place else ''}{one['msg']}")
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        problems.append(f"{where}: {' '.join(str(error).split())[:300]}")
    return None


def _problems(file: _File, folder: Path) -> Iterator[str]:
    if not (folder / file.repository).is_dir():
        yield f"repository: {file.repository} is no folder beside the item"
    known = {conclusion.value for conclusion in Conclusion}
    for word in file.expected.conclusion:
        if word not in known:
            yield f"expected.conclusion: {word} is no conclusion (docs/outcomes.md)"
    for name, facts in (("expected", file.expected), ("forbidden", file.forbidden)):
        for one in facts.evidence:
            if problem := problem_of(one.assertion):
                yield f"{name}.evidence: {problem}"


def _digest(files: list[Path], folders: tuple[Path, ...]) -> str:
    inside = [path for folder in folders for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    made = hashlib.sha256()
    for path in [*files, *sorted(inside)]:
        made.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()
