"""Acceptance criteria against what is planned and written: does the evidence that the agent names hold?

Planned values are looked at in every environment that has a plan; a masked value proves nothing. Comments, Markdown and
names for people are no evidence, nor is anything that nearly every change fulfils. What already holds before the change
is marked, for it shows nothing about the change.
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
from ops_agent.workflows import evaluation
from ops_agent.workflows.reader import read_workflow
from ops_agent.workflows.shell import commands_of, script_lines

ReadFile = Callable[[str], bytes | None]
"""A path in, the file's bytes out; None where there is no file."""

_ACTIONS: Final[dict[str, Callable[[ResourceAction], bool]]] = {
    "created": lambda action: action is ResourceAction.CREATE or action.replaces,
    "updated": lambda action: action is ResourceAction.UPDATE,
    "destroyed": lambda action: action.destroys,
}
_COMPARE: Final = frozenset({"equals", "not_equals", "contains", "matches", "at_least", "at_most"})
_OPERATORS: Final = {
    "plan": _COMPARE | {"exists", "absent"} | set(_ACTIONS),
    "workflow": _COMPARE | {"exists", "absent"},
    "file": frozenset({"contains", "equals", "absent"}),
}
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_TYPE = re.compile(r"(?:^|[.*\]])(?:[a-z0-9]+_\w+|output)\.")
"""In an address: the type of a resource or data source, or an output."""
_OUTPUT, _LITERAL = "output", "literal"
_NOTHINGS: Final = ("terraform_data", "null_resource")
"""Types of resources that are nothing but what the code says of them."""
_OF_RESOURCE = re.compile(rf"(?:module\.[^.]+\.)*(?:data\.)?(?!(?:{'|'.join(_NOTHINGS)})\b)[a-z0-9]+_\w+\.\w")
"""A reference to a resource or data source, and none to a variable, a local or what a module's output may be."""
_MAX_SHOWN: Final = 120
_MAX_VALUES: Final = 2_000
_LONGEST: Final = 4_000
"""A longer line is none that a person wrote."""


@dataclass(frozen=True, slots=True)
class _Result:
    """Whether one assertion holds (None: it cannot be told), in which environments, whether before too, and why not."""

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
    given = (one for answer in answers for one in answer.evidence if one.kind == "plan" and not problem_of(one))
    return any(_is_named(one.where, change.address) for one in given)


def problem_of(assertion: Assertion) -> str:
    """Why this can be no evidence whatever the change is, as a sentence that says what to name instead; else empty."""
    kind, op, value, where = assertion.kind, assertion.op, assertion.value, _quoted(assertion.where)
    if op not in (operators := _OPERATORS.get(kind, frozenset())):
        return f"{where}: the operators for evidence of this kind are {', '.join(sorted(operators))}"
    if kind == "file" and is_prose(assertion.where):
        return f"{where} is text for people and no evidence: leave it out, and say it in `how`"
    if kind == "file" and not assertion.where.casefold().endswith(_CODE):
        return f"{where} is no file of code or data that is known: name the line of one that does it"
    shortest = r"\w{2}" if kind == "file" else r"\S" if op in ("equals", "not_equals") else r"\w"
    if (op in _COMPARE or kind == "file") and not re.search(shortest, value):
        return f"{where}: `value` is {_quoted(value)}, which shows nothing: name what is expected"
    if op in ("at_least", "at_most") and number(value) is None:
        return f"{where}: `{op}` needs a number as its value"
    if kind == "plan" and not _TYPE.search(assertion.where):
        return f"{where} names no type of resource: give an address such as `aws_sqs_queue.orders`, or `output.NAME`"
    if kind == "plan" and op in _COMPARE and not assertion.key and not _is_output(assertion.where):
        return f"{where}: name the attribute as `key`"
    if kind == "workflow" and not assertion.key:
        return f"{where}: name the key of the workflow, such as `jobs.plan.environment`"
    if kind == "workflow" and _steps(assertion.key)[-1:] == ["name"]:
        return f"{where}: {_quoted(assertion.key)} is a name for people: name the key that does it"
    return ""


def _is_output(where: str) -> bool:
    return where.strip().startswith("output.")


def _proof(
    id_: str,
    answer: CriterionAnswer | None,
    targets: Sequence[TargetVerification],
    before: ReadFile,
    after: ReadFile,
) -> CriterionProof:
    if answer is None:
        return CriterionProof(criterion_id=id_, state=ProofState.OPEN, why="not answered")
    results = [
        _Result(False, why=why) if (why := problem_of(one)) else _result(one, targets, before, after)
        for one in answer.evidence
    ]
    wrong = [result.why for result in results if result.holds is False]
    unsure = [result.why for result in results if result.holds is None]
    if answer.met != "yes":
        holding, of = sum(bool(result.holds) for result in results), len(results)
        known = f"; its evidence holds in {holding} of {of} case{'s' if of > 1 else ''}" if results else ""
        known = ", although its evidence holds" if results and holding == of else known
        state = ProofState.PARTLY if answer.met == "partly" else ProofState.OPEN
        return CriterionProof(criterion_id=id_, state=state, why=f'the agent says "{answer.met}"{known}')
    if wrong:
        return CriterionProof(criterion_id=id_, state=ProofState.REFUTED, why="; ".join(dict.fromkeys(wrong)))
    if unsure or not results:
        return CriterionProof(
            criterion_id=id_, state=ProofState.CLAIMED, why="; ".join(unsure) or "no evidence is named"
        )
    planned = {target.target.environment.name for target in targets if target.plan is not None}
    places = _environments(answer.evidence, results)
    if places is not None and not places:
        why = "there is no environment in which all of its evidence holds"
        return CriterionProof(criterion_id=id_, state=ProofState.CLAIMED, why=why)
    left = sorted(planned - places) if places is not None else []
    files = (one.where for one in answer.evidence if one.kind != "plan")
    return CriterionProof(
        criterion_id=id_,
        state=ProofState.BY_FILE if places is None else ProofState.BY_PLAN,
        where=tuple(sorted(places or ())),
        files=tuple(dict.fromkeys(files)),
        on_base=all(result.on_base for result in results),
        why=f"not looked at in {', '.join(left)}" if left else "",
    )


def _environments(evidence: Sequence[Assertion], results: Sequence[_Result]) -> set[str] | None:
    """Where everything that is said of plans holds; None when nothing is. What asks the same of the same attribute may
    do so with another value in each environment.
    """
    found: dict[tuple[str, str, str], set[str]] = {}
    for one, result in zip(evidence, results, strict=True):
        if one.kind == "plan":
            found.setdefault((one.where, one.key, one.op), set()).update(result.where)
    return set.intersection(*found.values()) if found else None


def _result(assertion: Assertion, targets: Sequence[TargetVerification], before: ReadFile, after: ReadFile) -> _Result:
    if assertion.kind == "plan":
        return _in_plans(assertion, targets)
    look = _in_workflow if assertion.kind == "workflow" else _in_file
    result = look(assertion, after)
    if assertion.op == "absent" and after(assertion.where) is None and before(assertion.where) is None:
        why = f"there is no file {_quoted(assertion.where)}, before the change or after it"
        return _Result(False, why=why)
    if result.holds:
        return replace(result, on_base=bool(look(assertion, before).holds))
    return result


# Planned values.


def _in_plans(assertion: Assertion, targets: Sequence[TargetVerification]) -> _Result:
    """It has to hold in each environment that is planned, or in each that the assertion names."""
    planned = [(target.target.environment.name, target) for target in targets if target.plan is not None]
    known = {target.target.environment.name for target in targets}
    wanted = set(assertion.environments) or {name for name, _ in planned}
    if not wanted:
        return _Result(None, why=f"{_quoted(assertion.where)}: nothing was planned")
    if known and (strange := sorted(wanted - known)):
        there = ", ".join(sorted(known))
        return _Result(False, why=f"there is no environment {_quoted(strange[0])} in what this changes, only {there}")
    results = []
    for name in sorted(wanted):
        results.append(_in_environment(assertion, name, [target for its, target in planned if its == name]))
    worst = min(results, key=lambda result: (result.holds is not False, result.holds is not None))
    if not worst.holds:
        return worst
    return _Result(True, tuple(sorted(wanted)), on_base=all(result.on_base for result in results))


def _in_environment(assertion: Assertion, name: str, targets: list[TargetVerification]) -> _Result:
    planned = [(target, target.plan) for target in targets if target.plan is not None]
    if not planned:
        return _Result(None, why=f"there is no plan of {name}")
    found = [
        (one, not _is_own(target, one))
        for target, plan in planned
        for one in _resources(plan)
        if _is_named(assertion.where, one.address)
    ]
    if not found:
        if assertion.op == "absent" and not assertion.key and "*" not in assertion.where:
            return _Result(True, on_base=True)
        return _Result(False, why=f"{name}: no resource or output {_quoted(assertion.where)} is in the plan")
    results = [_of_resource(assertion, one, name, is_pending=pending) for one, pending in found]
    worst = min(results, key=lambda result: (result.holds is not False, result.holds is not None))
    return worst if not worst.holds else _Result(True, on_base=all(result.on_base for result in results))


def _is_own(target: TargetVerification, change: ResourceChange) -> bool:
    """Whether this change makes the difference, and not what is on the base branch and not applied yet."""
    if _is_output(change.address):
        return target.own_outputs is None or change.address.removeprefix("output.") in target.own_outputs
    return target.own is None or change.address in target.own


def _of_resource(assertion: Assertion, change: ResourceChange, name: str, *, is_pending: bool) -> _Result:
    what = f"{name}: {_quoted(change.address)}{f' {_quoted(assertion.key)}' if assertion.key else ''}"
    if change.action is ResourceAction.CANNOT_TELL:
        return _Result(None, why=f"{what}: what happens to it cannot be told without the account")
    if assertion.op in _ACTIONS:
        if _ACTIONS[assertion.op](change.action):
            return _Result(True, on_base=is_pending)
        return _Result(False, why=f"{what} is not {assertion.op}, the plan says {change.action}")
    steps = _steps(assertion.key)
    known = change.new.keys() | change.old.keys()
    if change.mode != _OUTPUT and steps and known and steps[0] not in {*known, "*"}:
        return _Result(False, why=f"{what}: it has no argument or attribute {_quoted(steps[0])}")
    values = list(_values(change.after, steps))
    holds = _compared(assertion, values)
    before = _compared(assertion, list(_values(change.before, steps))) if change.before is not None else None
    if holds and (change.type == _LITERAL or (steps and change.type in _NOTHINGS)):
        return _Result(None, why=f"{what} is a literal in the code as far as can be seen, so its value shows nothing")
    if holds:
        return _Result(True, on_base=bool(before) or is_pending)
    if holds is None:
        return _Result(None, why=f"{what} is {next((v for v in values if isinstance(v, Hidden)), 'not comparable')}")
    return _Result(False, why=f"{what} {_seen(values)}, not {_wanted(assertion)}")


def _resources(plan: TerraformPlan) -> Iterator[ResourceChange]:
    """Everything that the plan shows the value of: what changes, what stays, and outputs under `output.NAME`."""
    yield from plan.changes
    yield from plan.unchanged
    for output in plan.outputs:
        yield ResourceChange(
            address=f"output.{output.name}",
            type="" if any(map(_OF_RESOURCE.match, output.references)) else _LITERAL,
            mode=_OUTPUT,
            action=output.action,
            before=output.before,
            after=output.after,
        )


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
    """Whether all of the values are as asked, of a list all its elements; for `contains` and `exists` one is enough.
    None when that depends on a hidden value.
    """
    if assertion.op in _COMPARE - {"contains"} and not isinstance(parsed_json(assertion.value), list):
        values = [inner for value in values for inner in (value if _is_plain(value) else [value])]
    shown = [value for value in values if not isinstance(value, Hidden)]
    present = [value for value in shown if value is not None and value not in ("", [], {})]
    is_hidden = len(shown) < len(values)
    op, wanted = assertion.op, assertion.value
    if op == "exists":
        return True if present else None if is_hidden else False
    if op == "absent":
        return False if present else None if is_hidden else True
    if op == "contains":
        several = len(values) > 1
        if any(_satisfies(op, value, wanted) or (several and _equal(value, wanted)) for value in present):
            return True
        return None if is_hidden else False
    if len(present) < len(shown) or not values:
        return False
    if op == "not_equals":
        wrong = any(_equal(value, wanted) for value in present)
    else:
        wrong = not all(_satisfies(op, value, wanted) for value in present)
    return False if wrong else None if is_hidden else True


def _is_plain(value: Any) -> bool:
    """Whether it is a list that holds something, and neither lists nor maps."""
    return isinstance(value, list) and bool(value) and not any(isinstance(inner, list | dict) for inner in value)


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


def _wanted(assertion: Assertion) -> str:
    return f"{assertion.op} {_short(assertion.value)}".rstrip()


def _quoted(text: str) -> str:
    """The agent's words in ours: they cannot leave the code span."""
    flat = " ".join(text.replace("`", "'").split())
    return f"`{flat[:_MAX_SHOWN]}…`" if len(flat) > _MAX_SHOWN else f"`{flat}`"


def _seen(values: list[Any]) -> str:
    shown = [_short(value) for value in values if value is not None]
    return f"is {', '.join(shown[:3])}{' and more' if len(shown) > 3 else ''}" if shown else "has no value"


def _short(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _quoted(text) if text else ""


# Files.


def _in_workflow(assertion: Assertion, read: ReadFile) -> _Result:
    """The value of a key of a workflow: `jobs.plan.environment`, `jobs.plan.steps.*.run`."""
    content = read(assertion.where)
    where = _quoted(assertion.where)
    if content is None:
        return _Result(False, why=f"there is no file {where}")
    workflow = read_workflow(content)
    if not isinstance(workflow, Workflow):
        return _Result(False, why=f"{where} is not a workflow that can be read")
    steps = tuple(_steps(assertion.key))
    below = assertion.op in ("exists", "absent")
    never = tuple(_never_run(workflow))
    found = [
        text
        for text in workflow.texts
        if _is_at(text.path, steps, below=below) and not any(text.path[: len(one)] == one for one in never)
    ]
    texts = [_commands(text.text) if text.path[-1] == "run" else text.text for text in found]
    result = _compared(assertion, texts)
    seen = _seen(texts) if len(texts) <= 3 else f"has {len(texts)} values"
    why = "" if result else f"{where} {_quoted(assertion.key)} {seen}, not {_wanted(assertion)}"
    return _Result(result, why=why)


def _never_run(workflow: Workflow) -> Iterator[tuple[str, ...]]:
    """The places of the jobs and steps whose condition is always false."""
    never = {job.id for job in workflow.jobs if evaluation.holds(job.condition, {}) is False}
    for _ in workflow.jobs:  # GitHub skips what needs a skipped job, unless its condition says otherwise
        never |= {job.id for job in workflow.jobs if never & set(job.needs) and "()" not in job.condition}
    yield from (("jobs", name) for name in never)
    for job in workflow.jobs:
        for at, step in enumerate(job.steps):
            if evaluation.holds(step.condition, {}) is False:
                yield ("jobs", job.id, "steps", str(at))


def _is_at(path: tuple[str, ...], steps: tuple[str, ...], *, below: bool) -> bool:
    """Whether a scalar is the key's value or, if that is a list, one of it; or anything `below` the key."""
    more = path[len(steps) :]
    ends_here = not more or (len(more) == 1 and more[0].isdigit())
    return (
        (below or ends_here)
        and all(s in ("*", name) for s, name in zip(steps, path, strict=False))
        and len(path) >= len(steps)
    )


_SAYS: Final = frozenset({"echo", "printf", ":", "true", "false"})


def _commands(script: str) -> str:
    """The lines of a script without comments, and without those that only print something, do nothing or never run."""
    found, says, depth, dead = list[str](), False, 0, 0
    for line in script_lines(script):
        if not line.is_text:
            says = _only_says(line.text)
            words = _NESTS.findall(line.text)
            depth += sum(-1 if word in ("fi", "done", "esac", "}") else 1 for word in words)
            if depth <= 0 and line.text in ("exit", "exit 0") and not dead:
                break
            if not dead and re.match(r"if +false\b", line.text):
                if words[-1:] == ["fi"]:
                    continue
                dead = depth
            if dead and (depth < dead or (depth == dead and re.match("else|elif", line.text))):
                dead = 0
        if not says and not dead:
            found.append(line.text)
    return "\n".join(found)


_NESTS = re.compile(
    r"(?:^|[;&|]|\b(?:then|do|else)\b)\s*(?:[\w-]+ *\(\) *)?"
    r"(if|for|while|until|case|fi|done|esac|\{|\})(?![\w{])"
)
_NOWHERE = re.compile(r"[0-9&]*>+ *(?:/dev/null|&[12])\b|<<-? *[\"']?\w+[\"']?")


def _only_says(line: str) -> bool:
    if "<<" in line and re.match(r"cat\b", line):
        return not set("|>$`") & set(_NOWHERE.sub("", line))
    line = _NOWHERE.sub("", line)
    return not set("|>$`") & set(line) and all(words[0] in _SAYS for words in commands_of(line))


def _in_file(assertion: Assertion, read: ReadFile) -> _Result:
    """A line of code of a file; blanks count as one."""
    content, where = read(assertion.where), _quoted(assertion.where)
    if content is None:
        return _Result(assertion.op == "absent", why=f"there is no file {where}")
    wanted = " ".join(assertion.value.split())
    is_data = assertion.where.casefold().endswith((".json", ".yml", ".yaml"))
    is_like = str.__eq__ if assertion.op == "equals" else str.__contains__ if is_data else _says
    lines = tuple(_code_lines(content, is_data=is_data))
    is_there = any(is_like(line, wanted) for line in lines)
    if assertion.op == "absent":
        is_there |= any(wanted in line for line in lines if len(line) > _LONGEST)
    what = f"{'a' if is_there else 'no'} line {_short(wanted)} outside of comments and texts"
    return _Result(is_there is not (assertion.op == "absent"), why=f"{where} has {what}")


def _says(line: str, wanted: str) -> bool:
    """Whether the line holds `wanted`, and not only inside of a quoted text of several words."""
    if wanted not in line or len(line) > _LONGEST:
        return False
    texts = [found.span() for found in _TEXT.finditer(line) if " " in found[0] or "=" in wanted]
    at = line.find(wanted)
    while at >= 0 and any(start < at < end for start, end in texts):
        at = line.find(wanted, at + 1)
    return at >= 0


def is_prose(path: str) -> bool:
    """Whether the file at `path` is text for people."""
    return path.casefold().endswith((".md", ".markdown", ".txt", ".rst", ".adoc"))


_CODE: Final = (
    *(".tf", ".tofu", ".tfvars", ".hcl", ".json", ".yml", ".yaml", ".toml", ".tpl", ".tftpl", ".sh", ".py", ".js"),
    *(".ts", ".go", ".rego", ".sql", ".ini", ".cfg", ".conf", "makefile", "dockerfile", "codeowners", ".gitignore"),
    *(".terraform-version", ".tool-versions", ".dockerignore", ".gitattributes", ".tfbackend", ".j2", ".tmpl"),
)
_TEXT = re.compile(r"\"(?:[^\"\\$]|\\.|\$(?!\{)|\$\{(?:[^{}\"]|\"[^\"]*\")*\})*\"")
_HERE = re.compile(
    r"<<[-~]?[ \t]*[\"']?(?P<end>[A-Za-z_]\w*)[\"']?[^\n\"]*\n.*?(?:^[ \t]*(?P=end)[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_COMMENT_OR_TEXT = re.compile(
    r"\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|(?P<comment>/\*.*?(?:\*/|\Z)|(?:#|//)[^\n]*)", re.DOTALL
)


def _code_lines(content: bytes, *, is_data: bool) -> Iterator[str]:
    """Lines without comments and, except in JSON and YAML, here-documents; each run of blanks as one blank."""
    text = _COMMENT_OR_TEXT.sub(
        lambda m: "\n" * m[0].count("\n") if m["comment"] else m[0], content.decode(errors="replace")
    )
    shown = text if is_data else _HERE.sub("", text)
    return (" ".join(line.split()) for line in shown.split("\n"))
