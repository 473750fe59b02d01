"""`ops-agent eval`: which runs are still to be made, several at a time within a limit of money, and the table."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TextIO

from ops_agent.config.arguments import Command
from ops_agent.config.settings import Settings
from ops_agent.evaluation.items import Answer, Item, Recording, read_items
from ops_agent.evaluation.playing import Result, given_inputs, play, stored
from ops_agent.model.outcome import Conclusion

RESULT: Final = "result.json"
_NOT_COUNTED: Final = frozenset(conclusion.value for conclusion in Conclusion if conclusion.retryable) - {
    Conclusion.BUDGET_EXHAUSTED.value,
    Conclusion.NO_PROGRESS.value,
}
"""These say nothing about the model, so the next `eval` tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One item with one model or one recording (`recording`); `place` is its folder among the results."""

    item: Item
    model: str
    place: Path
    environment: Mapping[str, str]
    recording: Recording | None = None


def evaluate(
    command: Command, environment: Mapping[str, str], out: TextIO, err: TextIO, pool: Executor | None = None
) -> int:
    """Run what has no result yet and print the table; 0 when every item passed, or went as its recording says.

    Each run is a process of its own, or a call in `pool`. Raises ConfigError for items or inputs that make no sense,
    before anything is run.
    """
    items = read_items(command.items or Path(), command.only)
    results = command.results or Path("ops-agent-eval")
    runs = list(
        _recorded(items, results, environment) if command.recorded else _wanted(items, results, environment, command)
    )
    done = {run.place: found for run in runs if (found := _known(run)) is not None and not command.again}
    left = [run for run in runs if run.place not in done]
    err.write(f"{len(runs)} runs, {len(done)} with a result from before.\n")
    if left:
        with pool or ProcessPoolExecutor(max_workers=command.jobs, mp_context=get_context("spawn")) as workers:
            done |= _played(workers, left, command.jobs, command.max_cost, err)
    made = [(run, done[run.place]) for run in runs if run.place in done]
    results.mkdir(parents=True, exist_ok=True)
    page = table(made)
    (results / "results.md").write_text(page, encoding="utf-8")
    out.write(page)
    if len(made) < len(runs):
        err.write(f"{len(runs) - len(made)} runs were not begun: --max-cost is reached. Start again to go on.\n")
    return 0 if len(made) == len(runs) and all(as_expected(run, result) for run, result in made) else 1


def as_expected(run: Run, result: Result) -> bool:
    """Whether the item passed; of a recording, whether it ended as it says, for its reasons."""
    if run.recording is None or run.recording.passes:
        return result.passed
    reasons = "\n".join((*result.missing, *result.forbidden, result.reason))
    return not result.passed and all(part in reasons for part in run.recording.because)


def table(found: Sequence[tuple[Run, Result]]) -> str:
    """The results as a Markdown table, and what was wrong below it."""
    rows = [
        "| item | model | ended | passed | proved | forbidden | turns | kB sent | tokens in | cached | out | $ | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    wrong = list[str]()
    for run, one in found:
        rows.append(
            f"| {one.item} | {one.model} | {one.conclusion} | {'yes' if as_expected(run, one) else '**no**'} | "
            f"{one.proved} of {one.criteria} | {len(one.forbidden)} | {one.turns} | "
            f"{one.request_bytes / 1000:,.0f} | {one.sent_tokens:,} | "
            f"{one.cached_tokens:,} | {one.output_tokens:,} | {one.cost_usd:.2f} | {one.seconds:.0f} |"
        )
        if not as_expected(run, one):
            why = [*one.missing, *(f"forbidden: {what}" for what in one.forbidden)]
            why += ["it passed, and its recording says that it does not"] if one.passed else []
            if run.recording and not one.passed:
                why += [f"expected: {part}" for part in run.recording.because]
            wrong += [f"- {one.item}, {one.model}: {reason}" for reason in (*why, one.reason) if reason]
    passed = sum(as_expected(run, one) for run, one in found)
    total = f"{passed} of {len(found)} passed, ${sum(one.cost_usd for _, one in found):.2f}."
    return "\n".join([*rows, "", total, *(["", *wrong] if wrong else []), ""])


def _wanted(items: Sequence[Item], results: Path, environment: Mapping[str, str], command: Command) -> Iterator[Run]:
    for model in command.models or (Settings.from_inputs(environment, needs=("llm",)).llm.model,):
        given = dict(environment) | {"INPUT_MODEL": model}
        Settings.from_inputs(given, needs=("llm",))
        for item in items:
            yield Run(item=item, model=model, place=results / _slug(model) / item.name, environment=given)


def _recorded(items: Sequence[Item], results: Path, environment: Mapping[str, str]) -> Iterator[Run]:
    for item in items:
        for name, recording in item.recordings.items():
            place = results / "recorded" / item.name / name
            yield Run(item=item, model=name, place=place, environment=environment, recording=recording)


def _known(run: Run) -> Result | None:
    """The result of before, if everything is as it was then and the run said something about the model."""
    if run.recording is not None:
        return None
    try:
        kept = json.loads((run.place / RESULT).read_text(encoding="utf-8"))
        lists = {name: tuple(kept[name]) for name in ("missing", "forbidden")}
        result = Result(**{f.name: kept[f.name] for f in fields(Result)} | lists)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_same = result.digest == run.item.digest and result.inputs == given_inputs(run.environment)
    return result if is_same and result.conclusion not in _NOT_COUNTED else None


def _played(workers: Executor, runs: Sequence[Run], jobs: int, max_cost: float, err: TextIO) -> dict[Path, Result]:
    """The results by place; no run is begun when `max_cost` US dollars are spent."""
    done, spent, left = dict[Path, Result](), 0.0, list(runs)
    going = dict[Future[Result], Run]()
    while True:
        while left and len(going) < jobs and spent < max_cost:
            run = left.pop(0)
            going[workers.submit(work, run, dict(os.environ))] = run
        if not going:
            return done
        finished, _ = wait(going, return_when=FIRST_COMPLETED)
        for future in finished:
            run = going.pop(future)
            result = done[run.place] = future.result()
            spent += result.cost_usd
            word = "as expected" if as_expected(run, result) else "NOT as expected"
            err.write(f"{run.item.name}, {run.model}: {result.conclusion}, {word} ({run.place})\n")
            err.flush()


def work(run: Run, variables: dict[str, str]) -> Result:
    """One run in a process of its own, whose output goes into a file of its folder."""
    os.environ |= variables
    shutil.rmtree(run.place, ignore_errors=True)
    run.place.mkdir(parents=True)
    with (run.place / "log.txt").open("w", encoding="utf-8") as log:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        answers: Sequence[Answer] | None = run.recording.answers if run.recording else None
        result = play(run.item, run.environment, run.place, run.model, answers)
    kept: dict[str, Any] = stored(result)
    (run.place / RESULT).write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")
    return result


def _slug(model: str) -> str:
    return re.sub(r"[^\w.-]", "-", model)
