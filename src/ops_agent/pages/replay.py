"""A run's record as one self-contained HTML page: a timeline, what each turn cost and did, findings, plans, evidence.

Everything on it is text of the llm, of people or of the repository: the template escapes all of it, and the page holds
no script and loads nothing.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from pydantic import TypeAdapter, ValidationError

from ops_agent.model.conversation import Ending, LlmReply, PeopleTurn, ToolCall, Transcript
from ops_agent.model.errors import ConfigError
from ops_agent.model.record import FORMAT, RunRecord
from ops_agent.text.templates import read

MAX_TEXT = 20_000
MAX_DIFF_LINES = 400
_ENDINGS = ("finish", "ask_for_info", "propose_split", "declare_infeasible")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A piece of the timeline: where it begins and how wide it is, in percent of the run."""

    name: str
    start: float
    seconds: float
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call. `diffs` are (path, lines with their sign); `findings`, `plans` come from the tool's answer."""

    name: str
    about: str
    failed: bool
    diffs: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[Mapping[str, Any], ...]
    plans: tuple[Mapping[str, Any], ...]
    arguments: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the llm, what was said to it before, and its calls. Widths are in percent of the largest turn."""

    number: int
    said: str
    text: str
    calls: tuple[Call, ...]
    sent: int
    cached: int
    output: int
    cost_usd: float
    widths: tuple[float, float, float]


def read_record(text: str) -> RunRecord:
    """The record in the file's text. Raises ConfigError when it is none, or of a newer version."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or "format" not in found:
            raise ConfigError(
                "This is no record of a run.",
                hint="Give the file that the output `execution_file` names (input `upload_transcript: true`).",
            )
        if found["format"] != FORMAT:
            raise ConfigError(
                f"The record has format {str(found['format'])[:20]}; this version reads format {FORMAT}.",
                hint="Use the version of ops-agent that wrote it.",
            )
        return TypeAdapter(RunRecord).validate_python(found)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            where = f"{'.'.join(map(str, first['loc']))[:200]}: {first['msg']}"
        else:
            where = "it is not JSON"
        raise ConfigError(
            f"The record cannot be read: {where}.", hint="Keep the file as the run wrote it, whole and unchanged."
        ) from error


def replay_page(record: RunRecord) -> str:
    """The page, as HTML."""
    turns = tuple(_turns(record.transcript)) if record.transcript else ()
    stages, ticks = _timeline(record)
    usage = record.transcript.usage if record.transcript else None
    return _template().render(
        record=record,
        stages=stages,
        ticks=ticks,
        turns=turns,
        usage=usage,
        cache_share=record.transcript.cache_share if record.transcript else None,
        ending=record.transcript.ending if record.transcript else None,
        evidence=_evidence(record.transcript.ending) if record.transcript and record.transcript.ending else (),
        notes=[event for event in record.events if event.kind in ("notice", "warning", "error")],
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(read("pages/replay.html"))


def _timeline(record: RunRecord) -> tuple[tuple[Bar, ...], tuple[Bar, ...]]:
    """The stages that are not inside of another one, and the turns of the llm, each as it lies in the run."""
    whole = max([record.seconds, *(event.at for event in record.events), 0.001])
    stages, ticks, opened = list[Bar](), list[Bar](), list[tuple[str, float]]()
    for event in record.events:
        if event.kind == "stage":
            opened.append((event.text, event.at))
        elif event.kind == "end" and opened:
            name, start = opened.pop()
            if not opened:
                stages.append(_bar(name, start, event.at, whole))
        elif event.kind == "turn":
            ticks.append(_bar(event.text, event.at, event.at, whole))
    return tuple(stages), tuple(ticks)


def _bar(name: str, start: float, end: float, whole: float) -> Bar:
    return Bar(
        name=name,
        start=start,
        seconds=end - start,
        left=round(100 * start / whole, 2),
        width=round(max(0.3, 100 * (end - start) / whole), 2),
    )


def _turns(transcript: Transcript) -> Iterator[Turn]:
    boundary = transcript.extra.get("boundary", "")
    results = {r.call_id: r for turn in transcript.turns if isinstance(turn, PeopleTurn) for r in turn.tool_results}
    replies = [turn for turn in transcript.turns if isinstance(turn, LlmReply)]
    most = max([1, *(r.usage.sent_tokens + r.usage.cache_read_tokens + r.usage.output_tokens for r in replies)])
    said, number = "", 0
    for turn in transcript.turns:
        if isinstance(turn, PeopleTurn):
            said = turn.text
            continue
        number += 1
        used = turn.usage
        parts = (used.cache_read_tokens, used.sent_tokens, used.output_tokens)
        yield Turn(
            number=number,
            said=_cut(said),
            text=_cut(turn.text),
            calls=tuple(_call(call, results.get(call.id), boundary) for call in turn.tool_calls),
            sent=used.sent_tokens,
            cached=used.cache_read_tokens,
            output=used.output_tokens,
            cost_usd=used.cost_usd,
            widths=(
                round(100 * parts[0] / most, 2),
                round(100 * parts[1] / most, 2),
                round(100 * parts[2] / most, 2),
            ),
        )
        said = ""


def _call(call: ToolCall, result: Any, boundary: str) -> Call:
    arguments = call.arguments or {}
    answers = list(_parts(result.text, boundary)) if result is not None else []
    answer = next((part for part in answers if isinstance(part, dict)), {})
    inner = answer.get("result", answer)
    shown = inner if isinstance(inner, dict) else {}
    checks = [one for check in _rows(shown.get("checks")) for one in _rows(check.get("findings"))]
    dangers = [one for plan in _rows(shown.get("plans")) for one in _rows(plan.get("dangers"))]
    return Call(
        name=call.name[:60],
        about=_about(call.name, arguments),
        failed=bool(result is None or result.is_error),
        diffs=tuple(_diffs(arguments)),
        findings=tuple(map(_finding, (*_rows(shown.get("findings")), *checks, *dangers))),
        plans=tuple(map(_plan, _rows(shown.get("plans")))),
        arguments=_cut(call.raw if call.arguments is None else _pretty(call.arguments)),
        answer=_cut("\n\n".join(part if isinstance(part, str) else _pretty(part) for part in answers)),
    )


def _parts(text: str, boundary: str) -> Iterator[Any]:
    """What is between the marks, read as JSON where it is JSON; a plain text below its heading; the words between."""
    if not boundary:
        yield text
        return
    for number, piece in enumerate(text.split(f"--- data {boundary}")):
        inside, marked, after = piece.partition(f"--- end {boundary}")
        heading, _, inside = inside.partition("\n") if number else ("", "", inside)
        try:
            yield json.loads(inside) if marked and not heading else f"{heading.strip()}\n{inside}".strip("\n")
        except ValueError:
            yield inside
        if after.strip():
            yield after.strip()


def _finding(row: Mapping[str, Any]) -> Mapping[str, Any]:
    texts = {name: str(row.get(name) or "") for name in ("rule", "where", "what", "remedy")}
    return texts | {"blocks": row.get("blocks") is True}


def _plan(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A plan of the tool's answer: root, counts by environment; (action, address, what forces it) of each change."""
    counts = row.get("environments")
    changes = [
        (str(one.get("action") or ""), str(one.get("address") or ""), _listed(one.get("forces_replacement")))
        for one in _rows(row.get("changes"))
    ]
    environments = [f"{name} {count}" for name, count in counts.items()] if isinstance(counts, dict) else []
    return {"root": str(row.get("root") or ""), "counts": "; ".join(environments), "changes": changes}


def _listed(found: Any) -> str:
    return ", ".join(map(str, found)) if isinstance(found, list) else ""


def _rows(found: Any) -> list[Mapping[str, Any]]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _about(name: str, arguments: Mapping[str, Any]) -> str:
    """What a call is about, in a few words: its paths, patterns or names."""
    if name in _ENDINGS:
        return str(arguments.get("title") or arguments.get("reason") or "")[:200]
    names = [str(one.get("path", "")) for one in _edits(arguments)] if "edits" in arguments else []
    for key in ("path", "paths", "text", "glob", "id", "type", "address", "to"):
        value = arguments.get(key)
        names += [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []
    return ", ".join(dict.fromkeys(filter(None, names)))[:300]


def _edits(arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _rows(arguments.get("edits")) or ([arguments] if "path" in arguments else [])


def _diffs(arguments: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each edit of a call replaces by what, as lines with their sign."""
    for edit in _edits(arguments):
        new = edit.get("new", edit.get("content"))
        if isinstance(new, str):
            before, after = str(edit.get("old") or "").splitlines(), new.splitlines()
            lines = [line for line in difflib.ndiff(before, after) if not line.startswith("?")]
            more = len(lines) - MAX_DIFF_LINES
            cut = lines[:MAX_DIFF_LINES] + ([f"  … {more} more lines"] if more > 0 else [])
            yield str(edit.get("path", "")), tuple(f"{line[:1]}{line[2:]}" for line in cut)


def _evidence(ending: Ending) -> Sequence[tuple[str, str, str, tuple[str, ...]]]:
    """Each criterion: id, answer, how, and its evidence as one line each."""
    return [
        (
            one.criterion_id,
            one.met,
            one.how,
            tuple(
                " ".join(filter(None, (e.kind, e.where, e.key, e.op, e.value, ", ".join(e.environments))))
                for e in one.evidence
            ),
        )
        for one in ending.criteria
    ]


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n… {len(text) - MAX_TEXT:,} more characters"
