"""Runs tool calls. Whatever the llm sends, it gets a result for every call, in order; nothing that it sends raises
(C20, L11).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from io import StringIO
from typing import Annotated, Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from ops_agent.agent.briefing import fenced
from ops_agent.model.conversation import CriterionAnswer, Ending, ToolCall, ToolResult, ToolSpec
from ops_agent.model.ports import Clock, Scratch, ScratchRefusal

# What the tools may touch, and how they say no.

WriteRefusal = Callable[[str, bytes | None], str | None]
"""Path and new bytes (None: deleted) in; why the write is refused, as one sentence, or None."""


class ToolRefusal(ValueError):
    """A tool's no; the text goes back to the llm and says what to do instead."""


@dataclass(slots=True)
class Workbench:
    """One conversation's scratch tree and judges. `standards` are texts by id; `writes` counts the writes
    that changed something.
    """

    scratch: Scratch
    refuse: WriteRefusal
    check: Callable[[], dict[str, Any]]
    clock: Clock
    standards: Mapping[str, str] = field(default_factory=dict)
    checks_left: int = 25
    writes: int = 0

    def allow(self, path: str, content: bytes | None) -> None:
        """Raises ToolRefusal when this write is not allowed. Asked before every write (the guard is not in the prompt)."""
        why = self.refuse(path, content)
        if why is not None:
            raise ToolRefusal(
                f"refused: {why}. Nothing was written; choose another path or content, or say in `not_done` what is missing."
            )


# A tool is a typed function with a docstring: what the llm is told about it, and whether what it sends fits, both come
# from there.

MAX_TEXT = 1_200_000
MAX_ITEMS = 100


@cache
def spec_of(tool: Callable[..., Any]) -> ToolSpec:
    """Name, description (the docstring) and a strict JSON schema (of the parameters after the first, which is the
    workbench).
    """
    return ToolSpec(
        name=tool.__name__,
        description=inspect.getdoc(tool) or "",
        input_schema=_object_schema(_parameters(tool), _optional(tool)),
    )


def problems_of(tool: Callable[..., Any], arguments: Mapping[str, Any]) -> list[str]:
    """What is wrong with `arguments`, one sentence each without quoting long values; empty when they fit."""
    return list(_object_problems("", arguments, _parameters(tool), _optional(tool)))


@cache
def _parameters(tool: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(tool, include_extras=True)
    return {name: hints[name] for name in list(inspect.signature(tool).parameters)[1:]}


@cache
def _optional(tool: Callable[..., Any]) -> frozenset[str]:
    return frozenset(
        n for n, p in inspect.signature(tool).parameters.items() if p.default is not inspect.Parameter.empty
    )


def _object_schema(fields: Mapping[str, Any], optional: frozenset[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _schema(hint) for name, hint in fields.items()},
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }


def _schema(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is Annotated:
        inner, words = get_args(hint)
        return {**_schema(inner), "description": words}
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if get_origin(hint) is list:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if is_typeddict(hint):
        return _object_schema(get_type_hints(hint, include_extras=True), frozenset())
    return {"type": {str: "string", int: "integer", bool: "boolean"}[hint]}


def _object_problems(where: str, value: Any, fields: Mapping[str, Any], optional: frozenset[str]) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{where or 'the arguments'}: an object is wanted"]
    unknown = [k for k in value if k not in fields]
    found = [f"{len(unknown)} unknown field(s), the first is {str(unknown[0])[:60]!r}"] if unknown else []
    found += [f"{where}{name}: is missing" for name in fields if name not in value and name not in optional]
    for name, hint in fields.items():
        if name in value:
            found += _value_problems(f"{where}{name}", value[name], hint)
    return found


def _value_problems(where: str, value: Any, hint: Any) -> list[str]:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return (
            []
            if isinstance(value, str) and value in get_args(hint)
            else [f"{where}: one of {', '.join(get_args(hint))} is wanted"]
        )
    if get_origin(hint) is list:
        return _list_problems(where, value, get_args(hint)[0])
    if is_typeddict(hint):
        return _object_problems(f"{where}.", value, get_type_hints(hint, include_extras=True), frozenset())
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        return [f"{where}: {_NAMES[hint]} is wanted"]
    if isinstance(value, str):
        return _text_problems(where, value)
    return [f"{where}: the number is out of range"] if hint is int and not -(2**31) < value < 2**31 else []


def _list_problems(where: str, value: Any, item: Any) -> list[str]:
    if not isinstance(value, list):
        return [f"{where}: a list is wanted"]
    if len(value) > MAX_ITEMS:
        return [f"{where}: at most {MAX_ITEMS} entries"]
    return [
        problem for number, entry in enumerate(value) for problem in _value_problems(f"{where}[{number}]", entry, item)
    ][:20]


def _text_problems(where: str, value: str) -> list[str]:
    if len(value) > MAX_TEXT:
        return [f"{where}: at most {MAX_TEXT:,} characters, these are {len(value):,}"]
    try:
        value.encode()
    except UnicodeEncodeError:
        return [f"{where}: this is not valid Unicode"]
    return []


_NAMES = {str: "a text", int: "a whole number", bool: "true or false"}


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
    segments = pattern.split("/")
    parts = []
    for number, segment in enumerate(segments):
        last = number + 1 == len(segments)
        if segment == "**":
            parts.append(".*" if last else "(?:[^/]+/)*")
        else:
            parts.append(_segment(segment) + ("" if last else "/"))
    return re.compile("".join(parts), re.DOTALL)


def _segment(segment: str) -> str:
    first, *rest = re.sub(r"\*+", "*", segment).split("*")
    if not rest:
        return _literal(first)
    *middle, last = rest
    inner = "".join(f"(?>[^/]*?{_literal(piece)})" for piece in middle)
    return f"{_literal(first)}{inner}[^/]*{_literal(last)}"


def _literal(text: str) -> str:
    return "".join("[^/]" if c == "?" else re.escape(c) for c in text)


# The tool that asks the judges.


def check(bench: Workbench) -> Any:
    """Check everything changed so far: the source rules, then formatting and `terraform validate` of the roots that you
    touched.

    Gives findings with file and line. Plans are made after finish, by the action. At most 25 checks in one run, so edit
    first.
    """
    if bench.checks_left <= 0:
        raise ToolRefusal("no checks are left in this run; finish, the action checks everything again anyway")
    bench.checks_left -= 1
    return bench.check()


# Tools that end the conversation. Exactly one of them is called, alone, as the last call.


class Criterion(TypedDict):
    """One acceptance criterion of the issue."""

    id: Annotated[str, "`AC1`, `AC2`, ... as in the task."]
    met: Literal["yes", "partly", "no"]
    how: Annotated[str, "Which resource, file or job meets it, or why it is not met."]


def finish(
    bench: Workbench,  # noqa: ARG001 - every tool takes the workbench
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
    criteria: Annotated[list[Criterion], "One entry for every acceptance criterion of the task."],
    not_done: Annotated[
        str,
        "What the issue asks for and this change does not do, why, and a follow-up issue to open. Empty when nothing.",
    ] = "",
) -> Ending:
    """End the work: every edit is made. The action then judges, checks and plans the change, and opens the pull request
    itself.

    When something fails it comes back to you. Claims about checks or plans are not taken from this text.
    """
    return Ending(
        kind="finished",
        title=title,
        description=description,
        infrastructure=infrastructure,
        ci_cd=ci_cd,
        observability=observability,
        validation=validation,
        criteria=tuple(CriterionAnswer(criterion_id=c["id"], met=c["met"], how=c["how"]) for c in criteria),
        not_done=not_done,
    )


def ask_for_info(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why the work cannot be done without an answer."],
    questions: Annotated[list[str], "Questions that a person can answer in a sentence each; at most ten."],
) -> Ending:
    """End without a change, because something essential is missing or contradictory and no sensible assumption exists."""
    return Ending(kind="needs_info", description=reason, questions=tuple(questions[:10]))


def propose_split(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why one focused pull request cannot hold this work."],
    issues: Annotated[
        list[str],
        "Titles of the smaller issues to open instead, in order, each with one sentence of scope; at most ten.",
    ],
) -> Ending:
    """End without a change, because the issue is too large for one focused pull request."""
    return Ending(kind="needs_split", description=reason, proposed_issues=tuple(issues[:10]))


def declare_infeasible(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why it cannot be done with infrastructure or CI/CD changes in this repository."],
    follow_up: Annotated[list[str], "Issues to open instead, if any."],
) -> Ending:
    """End without a change, because nothing of the issue can be done here. When a part can be done, do it and use
    `not_done` of finish.
    """
    return Ending(kind="infeasible", description=reason, proposed_issues=tuple(follow_up[:10]))


# Tools that look.

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
    """List the repository's files whose path matches a glob, sorted. At most 500 are shown; `matching` is the full
    count.
    """
    pattern = compiled(glob)
    found = [p for p in bench.scratch.paths() if pattern.fullmatch(p)]
    return {"matching": len(found), "paths": found[:MAX_LISTED]}


def read_file(
    bench: Workbench,
    path: Annotated[str, "Path relative to the repository's root."],
    offset: Annotated[int, "First line, counted from 1."] = 1,
    limit: Annotated[int, "How many lines, at most 2000."] = 1_000,
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


def search(
    bench: Workbench,
    text: Annotated[
        str,
        "Text to find in one line, upper and lower case alike. `*` stands for any characters; nothing else is special.",
    ],
    glob: Annotated[str, "Only in files whose path matches."] = "**",
) -> Any:
    """Find lines that hold a text. At most 100 matches; `notes` says when the search was cut short, then narrow the
    glob.
    """
    pieces = [piece for piece in text.casefold().split("*") if piece]
    if not pieces or len(text) > 500:
        raise ToolRefusal("`text` has 1 to 500 characters besides `*`")
    pattern, end = compiled(glob), bench.clock.monotonic() + SEARCH_SECONDS
    candidates = sorted((p for p in bench.scratch.paths() if pattern.fullmatch(p)), key=_likely_first)
    matches: list[dict[str, Any]] = []
    for number, path in enumerate(candidates):
        if len(matches) >= MAX_MATCHES or number >= MAX_SEARCHED_FILES or bench.clock.monotonic() > end:
            return {
                "matches": matches[:MAX_MATCHES],
                "notes": [f"searched {number} of {len(candidates)} files only: narrow the glob"],
            }
        matches += _matches(bench, path, pieces)
    return {"matches": matches[:MAX_MATCHES], "notes": []}


def read_standard(bench: Workbench, id: Annotated[str, "The standard's id, as listed in the task."]) -> Any:  # noqa: A002 - the llm reads it
    """Read one of the team's written standards that was not loaded into the task."""
    text = bench.standards.get(id)
    if text is None:
        raise ToolRefusal(f"there is no such standard; there are {', '.join(sorted(bench.standards)) or 'none'}")
    return text


def _matches(bench: Workbench, path: str, pieces: list[str]) -> list[dict[str, Any]]:
    try:
        content = bench.scratch.read(path)
    except ValueError:
        return []
    if len(content) > MAX_SEARCHED_BYTES or b"\x00" in content[:8000]:
        return []
    lines = content.decode("utf-8", "replace").split("\n")
    found = (n for n, line in enumerate(lines, start=1) if _holds(line.casefold(), pieces))
    return [{"path": path, "line": n, "text": lines[n - 1].strip()[:MAX_LINE]} for n in found]


def _holds(line: str, pieces: list[str]) -> bool:
    at = 0
    for piece in pieces:
        at = line.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def _likely_first(path: str) -> tuple[bool, str]:
    return (not path.endswith((".tf", ".tfvars", ".hcl", ".yml", ".yaml", ".md")), path)


def _decoded(content: bytes) -> tuple[str, list[str]]:
    """Text and what is odd about it (C14)."""
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
        return content.decode("utf-8", "replace"), [
            *notes,
            "the file is not UTF-8: it is shown lossily and cannot be edited in place",
        ]


# Tools that change the scratch tree. Every write is judged for its path and content first.

_Path = Annotated[str, "Path relative to the repository's root."]


def write_file(
    bench: Workbench, path: _Path, content: Annotated[str, "The whole file, UTF-8, `\\n` line ends."]
) -> Any:
    """Create a file or replace it whole. For a small change to an existing file use replace_in_file."""
    return _write(bench, path, content.encode())


def replace_in_file(
    bench: Workbench,
    path: _Path,
    old: Annotated[str, "Text that stands in the file exactly once, whitespace included."],
    new: Annotated[str, "What stands there afterwards."],
) -> Any:
    """Replace one piece of an existing file. The old text must occur exactly once: take in neighbouring lines when it
    is ambiguous.
    """
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
    """Delete a file. Resources that leave the configuration are destroyed when it is applied: deletions of stateful
    ones are blocked.
    """
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


def specs() -> tuple[ToolSpec, ...]:
    """What the llm is told about every tool; the golden file tests/agent/golden/tools.json shows it."""
    return tuple(spec_of(tool) for tool in TOOLS)


class Toolbox:
    """The tools over one workbench.

    Results are fenced with `boundary` and go through `redact`: no secret of the job reaches the llm. At most
    `max_calls` calls of one turn are run.
    """

    def __init__(self, bench: Workbench, boundary: str, max_calls: int, redact: Callable[[str], str]) -> None:
        self._bench = bench
        self._boundary = boundary
        self._max_calls = max_calls
        self._redact = redact
        self._tools = {tool.__name__: tool for tool in TOOLS}

    def run(self, calls: tuple[ToolCall, ...]) -> tuple[tuple[ToolResult, ...], Ending | None]:
        """One result for each call, in order, and how the llm ended the conversation, if it did."""
        results: list[ToolResult] = []
        ending: Ending | None = None
        seen: set[str] = set()
        for number, call in enumerate(calls):
            if call.id in seen:
                outcome: Any = ToolRefusal("two calls of one turn have the same id; this one was not run")
            elif number >= self._max_calls:
                outcome = ToolRefusal(
                    f"not run: at most {self._max_calls} calls in one turn; call it again in the next one"
                )
            elif ending is not None:
                outcome = ToolRefusal("not run: the conversation was ended by a call before this one")
            else:
                outcome = self._outcome(call)
            seen.add(call.id)
            if isinstance(outcome, Ending):
                ending, outcome = outcome, {"ended": outcome.kind}
            results.append(self._result(call, outcome))
        return tuple(results), ending

    def refuse_all(self, calls: tuple[ToolCall, ...], why: str) -> tuple[ToolResult, ...]:
        """An error for every call; none is run."""
        return tuple(self._result(call, ToolRefusal(why)) for call in calls)

    def _outcome(self, call: ToolCall) -> Any:
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolRefusal(f"there is no tool {call.name[:60]!r}; there are {', '.join(self._tools)}")
        if call.arguments is None:
            return ToolRefusal("the arguments are not one complete JSON object; send the call again")
        if problems := problems_of(tool, call.arguments):
            return ToolRefusal("; ".join(problems[:10]))
        try:
            return tool(self._bench, **call.arguments)
        except (ToolRefusal, ScratchRefusal) as refusal:
            return refusal

    def _result(self, call: ToolCall, outcome: Any) -> ToolResult:
        failed = isinstance(outcome, ValueError)
        told = {"tool": call.name[:60], "error": str(outcome)} if failed else {"tool": call.name, "result": outcome}
        return ToolResult(call_id=call.id, text=self._redact(fenced(self._boundary, told)), is_error=failed)
