"""What the agent's tools work on, and what they share. `tools.py` lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from ops_agent.model.conversation import Assertion, CriterionAnswer
from ops_agent.model.finding import Dispute, Finding
from ops_agent.model.ports import Clock, Scratch
from ops_agent.model.terraform import DescribedType

STRICT = ConfigDict(extra="forbid", strict=True, str_max_length=1_200_000)


def _all_required(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])


COMPLETE = STRICT | ConfigDict(json_schema_extra=_all_required)
"""The llm is asked for every field, and one that it leaves out has its default: strict tools of one request may have 24
optional properties in all.
"""

PlainPath = Annotated[str, AfterValidator(lambda path: path.removeprefix("./"))]
RepositoryPath = Annotated[PlainPath, "Path relative to the repository's root."]
Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]
_T = TypeVar("_T")
Entries = Annotated[list[_T], Field(max_length=100)]

WriteRefusal = Callable[[str, bytes | None], str | None]
"""Path and new bytes (None: deleted) in; why the write is refused, as one sentence, or None."""


class ToolRefusal(ValueError):
    """The tool declines; the text goes back to the llm and says what to do instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool has to say: `facts` that JSON can hold, then `texts`, which are shown as they are, each with its
    heading. `failed`: a part of what was asked for was not done, and `facts` say which.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    texts: tuple[tuple[str, str], ...] = ()
    failed: bool = False


@dataclass(slots=True)
class Workbench:
    """What the tools of one conversation work on. `settle` formats, pins and judges after an edit of these paths, and
    answers with facts for the llm; `describe` says what the provider knows of a type (True: of a data source), and
    raises ToolRefusal. `standards` are texts by id; `criteria` the ids of the issue's acceptance criteria, `threads`
    those of the review's threads; `writes` counts the writes that changed something, `refused` says by path
    why others were not made. `check` is the tool's, `look` tries evidence, `findings` are those of the change as it is
    now; `checked_at` is `writes` at the last check. What `finish` was given last: `declared` by field, `answers` by
    criterion, `replies` by thread, `justified` by rule and place; `asked` are what it was sent back for already.
    """

    scratch: Scratch
    refuse: WriteRefusal
    settle: Callable[[Sequence[str]], dict[str, Any]]
    check: Callable[[], dict[str, Any]]
    describe: Callable[[str, bool], DescribedType]
    clock: Clock
    standards: Mapping[str, str] = field(default_factory=dict)
    criteria: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    replies: dict[str, str] = field(default_factory=dict)
    checks_left: int = 25
    descriptions_left: int = 30
    writes: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    look: Callable[[Sequence[Assertion]], list[dict[str, Any]]] = lambda _: []
    findings: Callable[[], Sequence[Finding]] = tuple
    disputes: list[Dispute] = field(default_factory=list)
    checked_at: int = -1
    declared: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, CriterionAnswer] = field(default_factory=dict)
    justified: dict[tuple[str, str], str] = field(default_factory=dict)

    def allow(self, path: str, content: bytes | None) -> None:
        """Raises ToolRefusal when this write is not allowed. Asked before each: the guard is not in the prompt."""
        why = self.refuse(path, content)
        if why is not None:
            self.refused[path] = why
            raise ToolRefusal(
                f"refused: {why}. Nothing was written; choose another path or content, or say in `not_done` what is "
                "missing."
            )
