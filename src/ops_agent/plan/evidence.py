"""Acceptance criteria against what is planned and written: does the evidence that the agent names hold?

Planned values are looked at in every environment that has a plan; a masked value proves nothing. Comments and Markdown
are no evidence. What already holds before the change is marked, for it shows nothing about the change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ops_agent.model.conversation import Assertion, CriterionAnswer
from ops_agent.model.plan import Hidden, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.verification import CriterionProof, ProofState, TargetVerification
from ops_agent.model.work_item import Criterion
from ops_agent.model.workflow import Workflow
from ops_agent.plan.masking import number, parsed_json
from ops_agent.workflows.reader import read_workflow
from ops_agent.workflows.shell import script_lines

ReadFile = Callable[[str], bytes | None]
"""A path in, the file's bytes out; None where there is no file."""

_ACTIONS: Final[dict[str, Callable[[ResourceAction], bool]]] = {
    "created": lambda action: action is ResourceAction.CREATE or action.replaces,
    "updated": lambda action: action is ResourceAction.UPDATE,
    "destroyed": lambda action: action.destroys,
}
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_MISSING: Final = object()
_MAX_SHOWN: Final = 120
_MAX_VALUES: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Result:
    """Whether one assertion holds (None: it cannot be told), where, whether it did before, and why not."""

    holds: bool | None
    where: tuple[str, ...] = ()
    on_base: bool = False
    why: str = ""


def prove(
    criteria: Sequence[Criterion],
    answers: Iterable[CriterionAnswer],
    targets: Sequence[TargetVerification],
    before: ReadFile,
    after: ReadFile,
) -> tuple[CriterionProof, ...]:
    """One proof for each criterion, in their order. `before` and `after` read files of the base and of the change."""
    answered = {answer.criterion_id: answer for answer in answers}
    return tuple(_proof(criterion.id, answered.get(criterion.id), targets, before, after) for criterion in criteria)


def touched_by(answers: Iterable[CriterionAnswer], change: ResourceChange) -> bool:
    """Whether the evidence of a criterion names the resource of `change`."""
    named = (one.where for answer in answers for one in answer.evidence if one.kind == "plan")
    return any(_is_named(where, change.address) for where in named)


def _proof(
    id_: str,
    answer: CriterionAnswer | None,
    targets: Sequence[TargetVerification],
    before: ReadFile,
    after: ReadFile,
) -> CriterionProof:
    if answer is None:
        return CriterionProof(criterion_id=id_, state=ProofState.OPEN, why="not answered")
    results = [_result(one, targets, before, after) for one in answer.evidence]
    wrong = [result.why for result in results if result.holds is False]
    unsure = [result.why for result in results if result.holds is None]
    if answer.met != "yes":
        holds = [one for one, result in zip(answer.evidence, results, strict=True) if result.holds]
        known = f"; of its evidence {len(holds)} of {len(results)} hold" if results else ""
        return CriterionProof(criterion_id=id_, state=ProofState.OPEN, why=f"the agent says: {answer.met}{known}")
    if wrong:
        return CriterionProof(criterion_id=id_, state=ProofState.REFUTED, why="; ".join(dict.fromkeys(wrong)))
    if unsure or not results:
        return CriterionProof(
            criterion_id=id_, state=ProofState.CLAIMED, why="; ".join(unsure) or "no evidence is named"
        )
    return CriterionProof(
        criterion_id=id_,
        state=ProofState.BY_PLAN if any(one.kind == "plan" for one in answer.evidence) else ProofState.BY_FILE,
        where=tuple(dict.fromkeys(place for result in results for place in result.where)),
        on_base=all(result.on_base for result in results),
    )


def _result(assertion: Assertion, targets: Sequence[TargetVerification], before: ReadFile, after: ReadFile) -> _Result:
    if assertion.kind == "plan":
        return _in_plans(assertion, targets)
    look = _in_workflow if assertion.kind == "workflow" else _in_file
    result = look(assertion, after)
    if result.holds:
        return replace(result, where=(assertion.where,), on_base=bool(look(assertion, before).holds))
    return result


# Planned values.


def _in_plans(assertion: Assertion, targets: Sequence[TargetVerification]) -> _Result:
    """It has to hold in each environment that is planned, or in each that the assertion names."""
    planned = [(target.target.environment.name, target) for target in targets if target.plan is not None]
    wanted = set(assertion.environments) or {name for name, _ in planned}
    if not wanted:
        return _Result(None, why=f"`{assertion.where}`: nothing was planned")
    results = []
    for name in sorted(wanted):
        results.append(_in_environment(assertion, name, [target for its, target in planned if its == name]))
    worst = min(results, key=lambda result: (result.holds is not False, result.holds is not None))
    if not worst.holds:
        return worst
    return _Result(True, tuple(sorted(wanted)), on_base=all(result.on_base for result in results))


def _in_environment(assertion: Assertion, name: str, targets: list[TargetVerification]) -> _Result:
    if not targets:
        return _Result(None, why=f"there is no plan of {name}")
    plans = [target.plan for target in targets if target.plan is not None]
    found = [one for plan in plans for one in _resources(plan) if _is_named(assertion.where, one.address)]
    if not found:
        if assertion.op == "absent" and not assertion.key:
            return _Result(True)
        return _Result(False, why=f"{name}: no resource or output `{assertion.where}` is in the plan")
    if (doubt := next((one for one in found if one.action is ResourceAction.CANNOT_TELL), None)) is not None:
        return _Result(None, why=f"{name}: what happens to `{doubt.address}` cannot be told without the account")
    if assertion.op in _ACTIONS:
        other = [one for one in found if not _ACTIONS[assertion.op](one.action)]
        why = f"{name}: `{other[0].address}` is not {assertion.op}, the plan says {other[0].action}" if other else ""
        return _Result(not other, why=why)
    results = [_of_resource(assertion, one, name) for one in found]
    worst = min(results, key=lambda result: (result.holds is not False, result.holds is not None))
    return worst if not worst.holds else _Result(True, on_base=all(result.on_base for result in results))


def _of_resource(assertion: Assertion, change: ResourceChange, name: str) -> _Result:
    steps = _steps(assertion.key)
    values = list(_values(change.after, steps))
    holds = _compared(assertion, values)
    before = _compared(assertion, list(_values(change.before, steps))) if change.before is not None else None
    if holds:
        return _Result(True, on_base=bool(before))
    what = f"{name}: `{change.address}`{f' `{assertion.key}`' if assertion.key else ''}"
    if holds is None:
        return _Result(None, why=f"{what} is {next((v for v in values if isinstance(v, Hidden)), 'not comparable')}")
    return _Result(False, why=f"{what} {_seen(values)}, not {assertion.op} {_short(assertion.value)}".rstrip())


def _resources(plan: TerraformPlan) -> Iterator[ResourceChange]:
    """Everything that the plan shows the value of: what changes, what stays, and outputs under `output.NAME`."""
    yield from plan.changes
    yield from plan.unchanged
    for output in plan.outputs:
        address = f"output.{output.name}"
        yield ResourceChange(address=address, type="", action=output.action, before=output.before, after=output.after)


def _is_named(where: str, address: str) -> bool:
    """Without a key at its end an address means all instances."""
    name = where.strip()
    return _is_like(name, address) or _is_like(f"{name}[*]", address)


def _is_like(pattern: str, text: str) -> bool:
    """Whether `text` is as `pattern` says, in which `*` stands for any characters; linear."""
    first, *rest = re.split(r"\*+", pattern)
    if not rest:
        return text == first
    *middle, last = rest
    at = len(first)
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return text.startswith(first) and text.endswith(last) and at <= len(text) - len(last)


def _steps(key: str) -> list[str]:
    return [step.strip("[]\"'") for step in _STEP.findall(key)]


def _values(value: Any, steps: list[str]) -> Iterator[Any]:
    """Every value at the path. Nested blocks are lists: a name goes into each element. JSON in a text is entered."""
    if isinstance(value, Hidden):
        yield value
        return
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    inner = parsed_json(value) if type(value) is str else value
    if isinstance(inner, dict):
        chosen = inner.values() if step == "*" else [inner[step]] if step in inner else []
        for one in chosen:
            yield from _values(one, rest)
    elif isinstance(inner, list) and step == "*":
        for one in inner[:_MAX_VALUES]:
            yield from _values(one, rest)
    elif isinstance(inner, list) and step.isdigit():
        yield from _values(inner[int(step)], rest) if int(step) < len(inner) else ()
    elif isinstance(inner, list):
        for one in inner[:_MAX_VALUES]:
            yield from _values(one, steps)


# Comparison: of values as Terraform shows them with the text that the agent gives.


def _compared(assertion: Assertion, values: list[Any]) -> bool | None:
    """True when one value does (`absent` and `not_equals`: all); None when only hidden values could."""
    present = [value for value in values if value is not None and value not in ("", [], {})]
    shown = [value for value in present if not isinstance(value, Hidden)]
    op = assertion.op
    if op == "exists":
        return bool(present)
    if op == "absent":
        return not present
    if op == "not_equals":
        if any(_equal(value, assertion.value) for value in shown):
            return False
        return None if len(shown) < len(present) else bool(shown)
    if any(_satisfies(op, value, assertion.value) for value in shown):
        return True
    return None if len(shown) < len(present) else False


def _satisfies(op: str, value: Any, wanted: str) -> bool:
    if op == "equals":
        return _equal(value, wanted)
    if op == "contains":
        if isinstance(value, list):
            return any(_equal(one, wanted) or (isinstance(one, str) and wanted in one) for one in value)
        return wanted in value if isinstance(value, dict | str) else False
    if op == "matches":
        return isinstance(value, str) and _is_like(wanted, value)
    ours, theirs = number(value), number(wanted)
    if ours is None or theirs is None:
        return False
    return ours >= theirs if op == "at_least" else ours <= theirs if op == "at_most" else False


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.strip().casefold() == str(value).casefold()
    if isinstance(value, dict | list):
        return bool(parsed_json(wanted) == value)
    ours, theirs = number(value), number(wanted)
    if ours is not None and theirs is not None:
        return ours == theirs
    document = parsed_json(wanted)
    return str(value) == wanted or (isinstance(document, dict | list) and bool(parsed_json(value) == document))


def _seen(values: list[Any]) -> str:
    shown = [_short(value) for value in values if value is not None]
    return f"is {', '.join(shown[:3])}{' and more' if len(shown) > 3 else ''}" if shown else "has no value"


def _short(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text[:_MAX_SHOWN]}…`" if len(text) > _MAX_SHOWN else f"`{text}`" if text else ""


# Files.


def _in_workflow(assertion: Assertion, read: ReadFile) -> _Result:
    """The value of a key of a workflow: `jobs.plan.environment`, `jobs.plan.steps.*.run`."""
    content = read(assertion.where)
    if content is None:
        return _Result(False, why=f"there is no file `{assertion.where}`")
    workflow = read_workflow(content)
    if not isinstance(workflow, Workflow):
        return _Result(False, why=f"`{assertion.where}` is not a workflow that can be read")
    steps = tuple(_steps(assertion.key))
    below = assertion.op in ("exists", "absent")
    found = [text for text in workflow.texts if _is_at(text.path, steps, below=below)]
    texts = [_without_comments(text.text) if text.path[-1] == "run" else text.text for text in found]
    holds = _compared(assertion, texts)
    seen = _seen(texts) if len(texts) <= 3 else f"has {len(texts)} values"
    why = "" if holds else f"`{assertion.where}` `{assertion.key}` {seen}, not {assertion.op} {_short(assertion.value)}"
    return _Result(holds, why=why.rstrip())


def _is_at(path: tuple[str, ...], steps: tuple[str, ...], *, below: bool) -> bool:
    """Whether a scalar is the key's value or, if that is a list, one of it; or anything `below` the key."""
    more = path[len(steps) :]
    ends_here = not more or (len(more) == 1 and more[0].isdigit())
    return (
        (below or ends_here)
        and all(s in ("*", name) for s, name in zip(steps, path, strict=False))
        and len(path) >= len(steps)
    )


def _without_comments(script: str) -> str:
    return "\n".join(line.text for line in script_lines(script))


def _in_file(assertion: Assertion, read: ReadFile) -> _Result:
    """A line of a file that is neither a comment nor Markdown; blanks count as one."""
    if is_prose(assertion.where):
        return _Result(False, why=f"`{assertion.where}`: text for people is no evidence")
    content = read(assertion.where)
    if content is None:
        return _Result(assertion.op == "absent", why=f"there is no file `{assertion.where}`")
    wanted = " ".join(assertion.value.split())
    holds = bool(wanted) and any(wanted in line for line in _code_lines(content))
    if (holds and assertion.op != "absent") or (not holds and assertion.op == "absent"):
        return _Result(True)
    return _Result(
        False, why=f"`{assertion.where}` has {'a' if holds else 'no'} line {_short(wanted)} outside of comments"
    )


def is_prose(path: str) -> bool:
    """Whether the file at `path` is text for people."""
    return path.casefold().endswith((".md", ".markdown", ".txt", ".rst", ".adoc"))


_COMMENT_OR_TEXT = re.compile(
    r"\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|(?P<comment>/\*.*?(?:\*/|\Z)|(?:#|//)[^\n]*)", re.DOTALL
)


def _code_lines(content: bytes) -> Iterator[str]:
    """Lines of HCL or YAML without comments, each run of blanks as one blank."""
    text = _COMMENT_OR_TEXT.sub(
        lambda m: "\n" * m[0].count("\n") if m["comment"] else m[0], content.decode(errors="replace")
    )
    return (" ".join(line.split()) for line in text.split("\n"))
