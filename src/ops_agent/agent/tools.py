"""The agent's tools. Each is one function here, listed in `TOOLS`: the llm sees its name, its docstring and the
annotations of its parameters, all but the workbench.

A tool returns what JSON can hold, or an `Ending`, which ends the conversation. It raises ToolRefusal to decline.
toolbox.py checks the arguments before it calls a tool.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ops_agent.model.change_set import FileChange
from ops_agent.model.conversation import Assertion, CriterionAnswer, Ending
from ops_agent.model.ports import Clock, Scratch
from ops_agent.plan.evidence import is_prose, problem_of
from ops_agent.text.markdown import says_nothing

STRICT = ConfigDict(extra="forbid", strict=True, str_max_length=1_200_000)

WriteRefusal = Callable[[str, bytes | None], str | None]
"""Path and new bytes (None: deleted) in; why the write is refused, as one sentence, or None."""


class ToolRefusal(ValueError):
    """The tool declines; the text goes back to the llm and says what to do instead."""


@dataclass(slots=True)
class Workbench:
    """What the tools of one conversation work on. `standards` are texts by id; `criteria` the ids of the issue's
    acceptance criteria; `writes` counts the writes that changed something, `refused` says by path why others were not
    made; `asked` are what `finish` was sent back for already.
    """

    scratch: Scratch
    refuse: WriteRefusal
    check: Callable[[], dict[str, Any]]
    clock: Clock
    standards: Mapping[str, str] = field(default_factory=dict)
    criteria: tuple[str, ...] = ()
    checks_left: int = 25
    writes: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def allow(self, path: str, content: bytes | None) -> None:
        """Raises ToolRefusal when this write is not allowed. Asked before each: the guard is not in the prompt."""
        why = self.refuse(path, content)
        if why is not None:
            self.refused[path] = why
            raise ToolRefusal(
                f"refused: {why}. Nothing was written; choose another path or content, or say in `not_done` what is "
                "missing."
            )

    def accept(self, answers: Sequence[CriterionAnswer], *, validation: str, observability: str) -> tuple[str, ...]:
        """Raises ToolRefusal when `finish` leaves something out: once for each thing, so that it cannot go round in
        circles; for what names nothing at all, every time. Returns why the work is unfinished all the same.
        """
        known, given = set(self.criteria), [answer.criterion_id for answer in answers]
        if strange := sorted(set(given) - known):
            raise ToolRefusal(
                f"there is no criterion {', '.join(strange)[:200]}; there are {', '.join(self.criteria) or 'none'}"
            )
        if len(given) > len(set(given)):
            raise ToolRefusal("a criterion is answered twice")
        problems = [f"{a.criterion_id}: {why}" for a in answers for one in a.evidence if (why := problem_of(one))]
        if problems:
            raise ToolRefusal("; ".join(problems[:5]))
        changes = [c for c in self.scratch.change_set().changes if not is_prose(c.path)]
        wanted = (
            (known > set(given), f"answer {', '.join(c for c in self.criteria if c not in given)} too", ""),
            (
                bool(changes) and says_nothing(validation),
                "`validation` is empty: say how a person verifies the deployment",
                "the agent does not say how to verify the deployment",
            ),
            (
                says_nothing(observability) and self._runs(changes),
                "`observability` is empty and something runs: say what it logs, which alarms and health checks it has",
                "the agent names neither logs nor alarms of what runs",
            ),
        )
        missing = [(refusal, reason) for is_missing, refusal, reason in wanted if is_missing]
        if unasked := [refusal for refusal, _ in missing if refusal not in self.asked]:
            self.asked.update(unasked)
            raise ToolRefusal("; ".join(unasked))
        return tuple(reason for _, reason in missing if reason)

    def _runs(self, changes: Sequence[FileChange]) -> bool:
        """Whether a changed Terraform file has something that runs, or a local module that it did not call before."""
        files = [(c.path, c.before or b"", c.after) for c in changes if c.after and c.path.endswith(".tf")]
        seen = set[str]()
        while files:
            path, before, after = files.pop()
            if _RUNNABLE.search(after):
                return True
            for source in set(_CALLED.findall(after)) - set(_CALLED.findall(before)):
                directory = posixpath.normpath(posixpath.join(posixpath.dirname(path), source.decode()))
                called = [p for p in self.scratch.paths() if p.endswith(".tf") and posixpath.dirname(p) == directory]
                files += [(p, b"", self.scratch.read(p)) for p in called if p not in seen]
                seen.update(called)
        return False


_RUNNABLE = re.compile(
    rb'resource[ \t]+"aws_(lambda_function|ecs_(service|task_definition|task_set)|instance|spot_instance_request'
    rb"|autoscaling_group|launch_template|sfn_state_machine|apigatewayv2_api|api_gateway_rest_api|appsync_graphql_api"
    rb"|batch_job_definition|apprunner_service|eks_(cluster|node_group|fargate_profile)|glue_job|codebuild_project"
    rb"|synthetics_canary|elastic_beanstalk_environment|sagemaker_(endpoint|notebook_instance)|emr_cluster"
    rb'|mwaa_environment|kinesisanalyticsv2_application)"',
)
_CALLED = re.compile(rb'source[ \t]*=[ \t]*"(\.{1,2}/[\w./-]*)"')
_Path = Annotated[str, AfterValidator(lambda path: path.removeprefix("./")), "Path relative to the repository's root."]
_Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]
_T = TypeVar("_T")
_Entries = Annotated[list[_T], Field(max_length=100)]


# Reading

MAX_LISTED = 500
MAX_LINES = 2_000
MAX_CHARACTERS = 60_000
MAX_MATCHES = 100
MAX_SEARCHED_FILES = 2_000
MAX_SEARCHED_BYTES = 1_000_000
MAX_LINE = 300
SEARCH_SECONDS = 5.0


def list_files(
    bench: Workbench,
    glob: Annotated[str, "Pattern over whole paths: `**/*.tf`, `infra/*`, `.github/workflows/*`."] = "**",
) -> Any:
    """List the repository's files whose path matches a glob, sorted. At most 500 are shown; `matching` counts all."""
    pattern = compiled(glob)
    found = [p for p in bench.scratch.paths() if pattern.fullmatch(p)]
    return {"matching": len(found), "paths": found[:MAX_LISTED]}


def read_file(
    bench: Workbench,
    path: _Path,
    offset: Annotated[_Count, "First line, counted from 1."] = 1,
    limit: Annotated[_Count, "How many lines, at most 2000."] = 1_000,
) -> Any:
    """Read a text file. The text is exact, so that parts of it can be given to replace_in_file.

    `notes` says when the file is not plain UTF-8 text with `\\n` line ends, or when only a part is shown.
    """
    text, notes = _decoded(bench.scratch.read(path))
    lines = StringIO(text, newline="\n").readlines()
    start, count = max(1, offset), max(1, min(limit, MAX_LINES))
    shown = "".join(lines[start - 1 : start - 1 + count])
    if start > 1 or start - 1 + count < len(lines):
        notes.append(f"lines {start} to {min(len(lines), start - 1 + count)} of {len(lines)}")
    if len(shown) > MAX_CHARACTERS:
        shown = shown[:MAX_CHARACTERS]
        notes.append(f"cut after {MAX_CHARACTERS} characters")
    return {"path": path, "lines": len(lines), "notes": notes, "text": shown}


def _decoded(content: bytes) -> tuple[str, list[str]]:
    """Text, and what is odd about it."""
    notes = []
    if b"\x00" in content:
        notes.append("the file holds NUL bytes: it is binary or UTF-16, and is shown lossily")
    if content.startswith(b"\xef\xbb\xbf"):
        notes.append("the file starts with a byte order mark")
    if b"\r\n" in content:
        notes.append("the file has Windows line ends (CRLF)")
    try:
        return content.decode(), notes
    except UnicodeDecodeError:
        notes.append("the file is not UTF-8: it is shown lossily and cannot be edited in place")
        return content.decode("utf-8", "replace"), notes


def search(
    bench: Workbench,
    text: Annotated[
        str,
        "Text to find in one line, upper and lower case alike. `*` matches any characters; nothing else is special.",
    ],
    glob: Annotated[str, "Only in files whose path matches."] = "**",
) -> Any:
    """Find lines that hold a text. At most 100 matches; when `notes` says that it was cut short, narrow the glob."""
    pieces = [piece for piece in text.casefold().split("*") if piece]
    if not pieces or len(text) > 500:
        raise ToolRefusal("`text` has 1 to 500 characters besides `*`")
    pattern, end = compiled(glob), bench.clock.monotonic() + SEARCH_SECONDS
    candidates = sorted((p for p in bench.scratch.paths() if pattern.fullmatch(p)), key=_likely_first)
    matches: list[dict[str, Any]] = []
    notes = []
    for number, path in enumerate(candidates):
        if len(matches) >= MAX_MATCHES or number >= MAX_SEARCHED_FILES or bench.clock.monotonic() > end:
            notes = [f"searched {number} of {len(candidates)} files only: narrow the glob"]
            break
        matches += _matches(bench, path, pieces)
    return {"matches": matches[:MAX_MATCHES], "notes": notes}


def _likely_first(path: str) -> tuple[bool, str]:
    return (not path.endswith((".tf", ".tfvars", ".hcl", ".yml", ".yaml", ".md")), path)


def _matches(bench: Workbench, path: str, pieces: list[str]) -> list[dict[str, Any]]:
    try:
        content = bench.scratch.read(path)
    except ValueError:
        return []
    if len(content) > MAX_SEARCHED_BYTES or b"\x00" in content[:8000]:
        return []
    lines = enumerate(content.decode("utf-8", "replace").split("\n"), start=1)
    return [
        {"path": path, "line": number, "text": line.strip()[:MAX_LINE]}
        for number, line in lines
        if _holds(line.casefold(), pieces)
    ]


def _holds(line: str, pieces: list[str]) -> bool:
    at = 0
    for piece in pieces:
        at = line.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def read_standard(
    bench: Workbench,
    id: Annotated[str, "The standard's id, as listed in the task."],  # noqa: A002 - the llm reads it
) -> Any:
    """Read one of the team's written standards that was not loaded into the task."""
    text = bench.standards.get(id)
    if text is None:
        raise ToolRefusal(f"there is no such standard; there are {', '.join(sorted(bench.standards)) or 'none'}")
    return text


# Writing. Every write is judged for its path and content first.


def write_file(
    bench: Workbench,
    path: _Path,
    content: Annotated[str, "The whole file, UTF-8, `\\n` line ends."],
) -> Any:
    """Create a file or replace it whole. For a small change to an existing file use replace_in_file."""
    return _write(bench, path, content.encode())


def replace_in_file(
    bench: Workbench,
    path: _Path,
    old: Annotated[str, "Text that occurs exactly once in the file, whitespace included."],
    new: Annotated[str, "The text that replaces it."],
) -> Any:
    """Replace one piece of an existing file. The old text must occur exactly once: add neighbouring lines if needed."""
    content = bench.scratch.read(path)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ToolRefusal(f"`{path}` is not UTF-8, so it is not edited in place") from None
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
    if not old or (count := text.count(old)) != 1:
        found = "is empty" if not old else f"occurs {count} times"
        raise ToolRefusal(
            f"`old` {found} in `{path}`; it must occur exactly once. Read the file again and take more lines."
        )
    return _write(bench, path, text.replace(old, new).encode())


def delete_file(bench: Workbench, path: _Path) -> Any:
    """Delete a file. Apply destroys the resources that leave with it: deletions of stateful ones are blocked."""
    bench.allow(path, None)
    bench.scratch.delete(path)
    bench.writes += 1
    return {"path": path, "deleted": True}


def _write(bench: Workbench, path: str, content: bytes) -> Any:
    bench.allow(path, content)
    try:
        unchanged = bench.scratch.read(path) == content
    except ValueError:
        unchanged = False
    if not unchanged:
        bench.scratch.write(path, content)
        bench.writes += 1
    return {"path": path, "bytes": len(content), **({"note": "the file already had this content"} if unchanged else {})}


# Checking


def check(bench: Workbench) -> Any:
    """Check everything changed so far: source rules; then `terraform fmt`, `validate` and an offline plan of the roots
    that you touched, in every environment.

    Gives findings with file and line; of each resource the action, the values that are set and what forces a
    replacement; and dangers, with what to do. Offline is without the account: a row that only it decides is `cannot
    tell without the account`. At most 25 checks in one run: edit first.
    """
    if bench.checks_left <= 0:
        raise ToolRefusal("no checks are left in this run; finish, the action checks everything again anyway")
    bench.checks_left -= 1
    return bench.check()


# Ending. Exactly one of these is called, alone, as the last call.


Operator = Literal[
    "equals",
    "not_equals",
    "contains",
    "matches",
    "at_least",
    "at_most",
    "exists",
    "absent",
    "created",
    "updated",
    "destroyed",
]


class Evidence(BaseModel):
    """Something that code can look at to see that a criterion is met. Comments, Markdown, texts and names for people
    are no evidence.
    """

    model_config = STRICT

    kind: Literal["plan", "workflow", "file"] = Field(
        description="`plan`: a planned value; `workflow`: a key of a workflow; `file`: a line of code in another file. "
        "Text for people, such as `.md`, is no evidence: such a criterion has none."
    )
    where: str = Field(
        description="A resource's address as in the plan (`*` for any characters; without a key at the end all "
        "instances), or `output.NAME`, or the file's path."
    )
    key: str = Field(
        "",
        description="The attribute's path (`redrive_policy.maxReceiveCount`, JSON in a text is entered), or the key's "
        "in the workflow (`jobs.plan.steps.*.run`). Empty for a file, and for created, updated, destroyed.",
    )
    op: Operator = Field(
        description="`contains`: a part of a text, or one of several values; every other operator asks all values "
        "that the key leads to; `matches` knows `*`; created, updated and destroyed ask what the plan does. For a file "
        "only contains, equals (a whole line) and absent."
    )
    value: str = Field("", description="What the value is compared with, as text; for a file the line or a part of it.")
    environments: list[str] = Field(
        default_factory=list, description="Only in these environments; empty: in every one that is planned."
    )


class Criterion(BaseModel):
    """One acceptance criterion of the issue."""

    model_config = STRICT

    id: str = Field(description="`AC1`, `AC2`, ... as in the task.")
    met: Literal["yes", "partly", "no"]
    how: str = Field(description="Which resource, file or job meets it, or why it is not met.")
    evidence: list[Evidence] = Field(
        default_factory=list,
        max_length=20,
        description="What shows it; all of it has to hold. The action looks at the plan and the files: evidence that "
        "does not hold comes back, a criterion without evidence is shown as claimed only.",
    )


class Justification(BaseModel):
    """Why a finding that does not block is left as it is."""

    model_config = STRICT

    rule: str = Field(description="The finding's rule.")
    where: str = Field(description="The finding's place or address, as it was given.")
    why: str = Field(description="One sentence for the reviewer.")


def finish(
    bench: Workbench,
    title: Annotated[
        str, "Title of the pull request, at most 70 characters, without `[ops]` and without an issue number."
    ],
    description: Annotated[
        str, "What was provisioned or changed, and how it supports the user story. Markdown, a few sentences."
    ],
    infrastructure: Annotated[
        str, "Resources added or changed, which environments, breaking changes and migration notes."
    ],
    ci_cd: Annotated[
        str,
        "Jobs, environment variables, triggers; how plan and apply run for each environment. `None` when untouched.",
    ],
    observability: Annotated[str, "What is logged and where, alarms, health checks."],
    validation: Annotated[str, "How to verify the deployment: commands, smoke tests, health checks."],
    criteria: Annotated[_Entries[Criterion], "One entry for every acceptance criterion of the task."],
    not_done: Annotated[
        str,
        "What the issue asks for and this change does not do, why, and a follow-up issue to open. Empty when nothing.",
    ] = "",
    justifications: Annotated[
        _Entries[Justification], "For findings that came back and do not block: why each is left as it is."
    ] = [],  # noqa: B006 - never changed
) -> Ending:
    """End the work: every edit is made. The action judges, checks and plans the change, and opens the pull request.

    When something fails it comes back to you. Claims about checks or plans are not taken from this text.
    """
    answers = tuple(
        CriterionAnswer(
            criterion_id=c.id,
            met=c.met,
            how=c.how,
            evidence=tuple(
                Assertion(**one.model_dump() | {"environments": tuple(one.environments)}) for one in c.evidence
            ),
        )
        for c in criteria
    )
    lacking = bench.accept(answers, validation=validation, observability=observability)
    return Ending(
        kind="finished",
        title=title,
        description=description,
        infrastructure=infrastructure,
        ci_cd=ci_cd,
        observability=observability,
        validation=validation,
        criteria=answers,
        not_done=not_done,
        lacking=lacking,
        justifications=tuple((one.rule, one.where, one.why) for one in justifications),
    )


def ask_for_info(
    bench: Workbench,  # noqa: ARG001 - every tool takes the workbench
    reason: Annotated[str, "Why the work cannot be done without an answer."],
    questions: Annotated[_Entries[str], "Questions that a person can answer in a sentence each; at most ten."],
) -> Ending:
    """End without a change, because something essential is missing or contradictory and no sensible assumption
    exists.
    """
    return Ending(kind="needs_info", description=reason, questions=tuple(questions[:10]))


def propose_split(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why one focused pull request cannot hold this work."],
    issues: Annotated[
        _Entries[str],
        "Titles of the smaller issues to open instead, in order, each with one sentence of scope; at most ten.",
    ],
) -> Ending:
    """End without a change, because the issue is too large for one focused pull request."""
    return Ending(kind="needs_split", description=reason, proposed_issues=tuple(issues[:10]))


def declare_infeasible(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why it cannot be done with infrastructure or CI/CD changes in this repository."],
    follow_up: Annotated[_Entries[str], "Issues to open instead, if any."],
) -> Ending:
    """End without a change, because nothing of the issue can be done here. When a part can be done, do it and use
    `not_done` of finish.
    """
    return Ending(kind="infeasible", description=reason, proposed_issues=tuple(follow_up[:10]))


TOOLS: tuple[Callable[..., Any], ...] = (
    list_files,
    read_file,
    search,
    read_standard,
    write_file,
    replace_in_file,
    delete_file,
    check,
    finish,
    ask_for_info,
    propose_split,
    declare_infeasible,
)


# Path patterns in linear time: `*` and `?` inside a name, `**` over directories; nothing else is special.

MAX_PATTERN = 200
MAX_DEEP = 3


@lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression for `fullmatch`. Raises ToolRefusal for a pattern that is too long or has too many `**`.

    Each piece after a `*` is an atomic group, so a pattern cannot make matching slow.
    """
    if not pattern or len(pattern) > MAX_PATTERN or pattern.count("**") > MAX_DEEP:
        raise ToolRefusal(
            f"a glob has 1 to {MAX_PATTERN} characters and at most {MAX_DEEP} `**`, for example `infra/**/*.tf`"
        )
    *folders, name = pattern.split("/")
    expression = "".join("(?:[^/]+/)*" if folder == "**" else f"{_segment(folder)}/" for folder in folders)
    return re.compile(expression + (".*" if name == "**" else _segment(name)), re.DOTALL)


def _segment(segment: str) -> str:
    first, *rest = (re.escape(piece).replace(r"\?", "[^/]") for piece in re.split(r"\*+", segment))
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*{last}"
