"""Acceptance criteria against what is planned and written: does the evidence that the agent names hold?

Planned values are looked at in every environment that has a plan; a masked value proves nothing. Comments, Markdown and
names for people are no evidence, nor is anything that nearly every change fulfils. Terraform's source shows something
only where a plan has loaded it. What already holds before the change is marked, for it shows nothing about the change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ops_agent.model.conversation import Assertion, CriterionAnswer
from ops_agent.model.plan import Hidden, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.verification import CriterionProof, ProofState, TargetVerification
from ops_agent.model.work_item import Criterion
from ops_agent.plan.configuration import without_key
from ops_agent.plan.evidence_files import in_terraform, in_workflow
from ops_agent.plan.evidence_values import (
    COMPARE,
    as_asked,
    as_seen,
    compared,
    is_like,
    quoted,
    shows_little,
    steps_of,
    values_at,
)
from ops_agent.plan.masking import number
from ops_agent.terraform.modules import directory_of

ReadFile = Callable[[str], bytes | None]
"""A path in, the file's bytes out; None where there is no file."""

_ACTIONS: Final[dict[str, Callable[[ResourceAction], bool]]] = {
    "created": lambda action: action is ResourceAction.CREATE or action.replaces,
    "updated": lambda action: action is ResourceAction.UPDATE,
    "destroyed": lambda action: action.destroys,
}
_OF_VALUES: Final = COMPARE | {"exists", "absent"}
_OPERATORS: Final = {"plan": _OF_VALUES | set(_ACTIONS), "workflow": _OF_VALUES, "terraform": _OF_VALUES}
_LITTLE: Final = {"equals": r"\S", "not_equals": r"\S", "contains": r"\w.*\w", "matches": r"\w.*\w"}
"""What a value has at least, to be compared with."""
_TERRAFORM: Final = (".tf", ".tofu", ".tfvars", ".hcl")
_FOR_PEOPLE: Final = ("description", "error_message", "comment")
_FOR_OTHERS: Final = ("locals", "variable", "output")
"""Blocks whose arguments are values for other code, but for a variable's validation."""
_TYPE = re.compile(r"(?:^|[.*\]])(?:[a-z0-9]+_\w+|output)\.")
"""In an address: the type of a resource or data source, or an output."""
_OUTPUT, _LITERAL = "output", "literal"
_NOTHINGS: Final = ("terraform_data", "null_resource")
"""Types of resources that are nothing but what the code says of them."""
_OF_RESOURCE = re.compile(rf"(?:module\.[^.]+\.)*(?:data\.)?(?!(?:{'|'.join(_NOTHINGS)})\b)[a-z0-9]+_\w+\.\w")
"""A reference to a resource or data source, and none to a variable, a local or what a module's output may be."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether one assertion holds (None: it cannot be told), in which environments, whether before too, and why not.

    `only_seen`: it is so in a file, and no plan has loaded the file or shows what comes of it.
    """

    holds: bool | None
    where: tuple[str, ...] = ()
    on_base: bool = False
    why: str = ""
    only_seen: bool = False


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
    given = [one for answer in answers for one in answer.evidence if not problem_of(one)]
    of_code = (steps_of(one.key) for one in given if one.kind == "terraform")
    blocks = (".".join(steps[1:3]) for steps in of_code if steps[:1] == ["resource"])
    return any(_is_named(one.where, change.address) for one in given if one.kind == "plan") or any(
        _is_block(block, change.address) for block in blocks
    )


def problem_of(assertion: Assertion) -> str:
    """Why this can be no evidence whatever the change is, as a sentence that says what to name instead; else empty."""
    kind, op, value, where, key = assertion.kind, assertion.op, assertion.value, quoted(assertion.where), assertion.key
    if op not in (operators := _OPERATORS.get(kind, frozenset())):
        return f"{where}: the operators for evidence of this kind are {', '.join(sorted(operators))}"
    if kind != "plan" and is_prose(assertion.where):
        return f"{where} is text for people and no evidence: leave it out, and say it in `how`"
    if op in COMPARE and not re.search(_LITTLE.get(op, r"\w"), value):
        return f"{where}: `value` is {quoted(value)}, which shows nothing: name what is expected"
    if op in ("at_least", "at_most") and (bound := number(value)) is None:
        return f"{where}: `{op}` needs a number as its value"
    if op == "at_least" and bound is not None and bound <= 0:
        return f"{where}: nearly everything is at least {quoted(value)}: name the bound that is asked for"
    if kind == "plan" and not _TYPE.search(assertion.where):
        return f"{where} names no type of resource: give an address such as `aws_sqs_queue.orders`, or `output.NAME`"
    if kind == "plan" and op in COMPARE and not key and not _is_output(assertion.where):
        return f"{where}: name the attribute as `key`"
    if kind == "workflow" and not steps_of(key):
        return f"{where}: name the key of the workflow, such as `jobs.plan.environment`"
    if kind == "terraform" and not assertion.where.endswith(_TERRAFORM):
        return f"{where} is no file of Terraform: name the `.tf`, `.tfvars` or `.hcl` file that says it"
    if kind == "terraform" and not steps_of(key):
        return f"{where}: name the block and the argument, such as `resource.aws_sqs_queue.orders.name`"
    last = (steps_of(key) or [""])[-1]
    if (kind == "workflow" and last == "name") or (kind == "terraform" and last in _FOR_PEOPLE):
        return f"{where}: {quoted(key)} is a text for people: name the key that does it"
    return ""


def look_at(assertion: Assertion, targets: Sequence[TargetVerification], before: ReadFile, after: ReadFile) -> Look:
    """Whether one assertion holds of the plans of `targets` and of the files."""
    if why := problem_of(assertion):
        return Look(False if assertion.kind in _OPERATORS else None, why=why)
    return _in_plans(assertion, targets) if assertion.kind == "plan" else _in_files(assertion, targets, before, after)


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
    results = [look_at(one, targets, before, after) for one in answer.evidence]
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
        why = "; ".join(dict.fromkeys(unsure)) or "no evidence is named"
        return CriterionProof(criterion_id=id_, state=ProofState.CLAIMED, why=why, undecided=bool(unsure))
    planned = {target.target.environment.name for target in targets if target.plan is not None}
    places = _environments(answer.evidence, results)
    if places is not None and not places:
        why = "there is no environment in which all of its evidence holds"
        return CriterionProof(criterion_id=id_, state=ProofState.CLAIMED, why=why)
    left = sorted(planned - places) if places is not None else []
    files = (one.where for one in answer.evidence if one.kind != "plan")
    only_seen = any(result.only_seen for result in results)
    proved = ProofState.BY_FILE if places is None else ProofState.BY_PLAN
    return CriterionProof(
        criterion_id=id_,
        state=ProofState.SEEN if only_seen else proved,
        where=tuple(sorted(places or ())),
        files=tuple(dict.fromkeys(files)),
        on_base=all(result.on_base for result in results),
        why=f"not looked at in {', '.join(left)}" if left else "",
    )


def _environments(evidence: Sequence[Assertion], results: Sequence[Look]) -> set[str] | None:
    """Where everything that is said of plans holds; None when nothing is. What asks the same of the same attribute may
    do so with another value in each environment.
    """
    found: dict[tuple[str, str, str], set[str]] = {}
    for one, result in zip(evidence, results, strict=True):
        if one.kind == "plan":
            found.setdefault((one.where, one.key, one.op), set()).update(result.where)
    return set.intersection(*found.values()) if found else None


# Files.


def _in_files(assertion: Assertion, targets: Sequence[TargetVerification], before: ReadFile, after: ReadFile) -> Look:
    look = in_workflow if assertion.kind == "workflow" else in_terraform
    contents, where = (before(assertion.where), after(assertion.where)), quoted(assertion.where)
    if contents == (None, None) or (contents[1] is None and assertion.op != "absent"):
        return Look(False, why=f"there is no file {where}{', before or after' if assertion.op == 'absent' else ''}")
    old, new = (look(assertion, content) if content is not None else [] for content in contents)
    if isinstance(new, str):
        return Look(False, why=f"{where} {new}")
    old = old if isinstance(old, list) else []
    if not compared(assertion, new):
        return Look(False, why=f"{where} {quoted(assertion.key)} {as_seen(new)}, not {as_asked(assertion)}")
    if little := shows_little(assertion, new, old):
        return Look(None, why=f"{where} {quoted(assertion.key)} {little}")
    held = Look(True, on_base=bool(compared(assertion, old)) and contents[0] is not None)
    return held if assertion.kind == "workflow" else _loaded(held, assertion, targets)


def _loaded(held: Look, assertion: Assertion, targets: Sequence[TargetVerification]) -> Look:
    """What is written in a file of Terraform counts where a plan has loaded the file, and where a resource has an
    instance; what is only a value for other code is seen and no more.
    """
    steps, planned = steps_of(assertion.key), [target for target in targets if target.plan is not None]
    loading = [target for target in planned if _loads(target, assertion.where)]
    is_value = steps[0] in _FOR_OTHERS and steps[2:3] != ["validation"]
    if not loading or is_value or assertion.where.endswith(".tfvars"):
        return replace(held, only_seen=True)
    if steps[0] != "resource" or assertion.op == "absent":
        return held
    wanted = ".".join(steps[1:3])
    kept = (r for t in loading if t.plan for r in _resources(t.plan) if r.action is not ResourceAction.DELETE)
    if any(_is_block(wanted, one.address) for one in kept):
        return held
    return Look(False, why=f"no plan has an instance of {quoted(wanted)}")


def _is_block(block: str, address: str) -> bool:
    """Whether `address` is an instance of the block (`aws_sqs_queue.orders`), in whatever module."""
    return is_like(block, without_key(address)) or is_like(f"*.{block}", without_key(address))


def _loads(target: TargetVerification, path: str) -> bool:
    root, environment = target.target.root, target.target.environment
    if path.endswith(".hcl"):
        return path == environment.backend_file and not target.offline
    return path in environment.var_files or directory_of(path) in (root.path, *root.local_modules)


# Planned values.


def _in_plans(assertion: Assertion, targets: Sequence[TargetVerification]) -> Look:
    """It has to hold in each environment that is planned, or in each that the assertion names."""
    planned = [(target.target.environment.name, target) for target in targets if target.plan is not None]
    known = {target.target.environment.name for target in targets}
    wanted = set(assertion.environments) or {name for name, _ in planned}
    if not wanted:
        return Look(None, why=f"{quoted(assertion.where)}: nothing was planned")
    if known and (strange := sorted(wanted - known)):
        there = ", ".join(sorted(known))
        return Look(False, why=f"there is no environment {quoted(strange[0])} in what this changes, only {there}")
    results = []
    for name in sorted(wanted):
        results.append(_in_environment(assertion, name, [target for its, target in planned if its == name]))
    worst = min(results, key=lambda result: (result.holds is not False, result.holds is not None))
    if not worst.holds:
        return worst
    return Look(True, tuple(sorted(wanted)), on_base=all(result.on_base for result in results))


def _in_environment(assertion: Assertion, name: str, targets: list[TargetVerification]) -> Look:
    planned = [(target, target.plan) for target in targets if target.plan is not None]
    if not planned:
        return Look(None, why=f"there is no plan of {name}")
    found = [
        (one, not _is_own(target, one))
        for target, plan in planned
        for one in _resources(plan)
        if _is_named(assertion.where, one.address)
    ]
    if not found:
        if assertion.op == "absent" and not assertion.key and "*" not in assertion.where:
            return Look(True, on_base=True)
        return Look(False, why=f"{name}: no resource or output {quoted(assertion.where)} is in the plan")
    results = [_of_resource(assertion, one, name, is_pending=pending) for one, pending in found]
    worst = min(results, key=lambda result: (result.holds is not False, result.holds is not None))
    return worst if not worst.holds else Look(True, on_base=all(result.on_base for result in results))


def _is_own(target: TargetVerification, change: ResourceChange) -> bool:
    """Whether this change makes the difference, and not what is on the base branch and not applied yet."""
    if _is_output(change.address):
        return target.own_outputs is None or change.address.removeprefix("output.") in target.own_outputs
    return target.own is None or change.address in target.own


def _of_resource(assertion: Assertion, change: ResourceChange, name: str, *, is_pending: bool) -> Look:
    what = f"{name}: {quoted(change.address)}{f' {quoted(assertion.key)}' if assertion.key else ''}"
    if change.action is ResourceAction.CANNOT_TELL:
        return Look(None, why=f"{what}: what happens to it cannot be told without the account")
    if assertion.op in _ACTIONS:
        if _ACTIONS[assertion.op](change.action):
            return Look(True, on_base=is_pending)
        return Look(False, why=f"{what} is not {assertion.op}, the plan says {change.action}")
    steps = steps_of(assertion.key)
    known = change.new.keys() | change.old.keys()
    if change.mode != _OUTPUT and steps and known and steps[0] not in {*known, "*"}:
        return Look(False, why=f"{what}: it has no argument or attribute {quoted(steps[0])}")
    values = list(values_at(change.after, steps))
    holds = compared(assertion, values)
    before = compared(assertion, list(values_at(change.before, steps))) if change.before is not None else None
    if holds and (change.type == _LITERAL or (steps and change.type in _NOTHINGS)):
        return Look(None, why=f"{what} is a literal in the code as far as can be seen, so its value shows nothing")
    old = list(values_at(change.before, steps)) if change.before is not None else []
    if holds and (little := shows_little(assertion, values, old)):
        return Look(None, why=f"{what} {little}")
    if holds:
        return Look(True, on_base=bool(before) or is_pending)
    if holds is None:
        return Look(None, why=f"{what} is {next((v for v in values if isinstance(v, Hidden)), 'not comparable')}")
    return Look(False, why=f"{what} {as_seen(values)}, not {as_asked(assertion)}")


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
    return is_like(name, address) or is_like(f"{name}[*]", address)


def is_prose(path: str) -> bool:
    """Whether the file at `path` is text for people."""
    return path.casefold().endswith((".md", ".markdown", ".txt", ".rst", ".adoc"))
