"""What limits a job: an environment that is never empty, a condition that excludes events, steps that only plan."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Collection

from ops_agent.model.workflow import Job, Step, Workflow
from ops_agent.workflows.expressions import parts_of, terms, unwrapped

_EXPRESSION = re.compile(r"\s*\$\{\{(.*)\}\}\s*", re.DOTALL)
_ENDS_IN_A_NAME = re.compile(r".*\|\|\s*'[A-Za-z0-9_-]+'[\s)]*", re.DOTALL)
_INPUT = re.compile(r"\s*(github\.event\.)?inputs\.([A-Za-z0-9_-]+)\s*")
_MATRIX = re.compile(r"\s*matrix\.([A-Za-z0-9_-]+)\s*")
_CALL = re.compile(r"[A-Za-z]\s*\(")
_ONE_EVENT = re.compile(r"github\.event_name\s*==\s*'(\w+)'", re.ASCII)
_NOT_THE_EVENT = re.compile(r"github\.event_name\s*!=\s*'(\w+)'", re.ASCII)
_BRANCH = re.compile(
    r"github\.ref(_name\s*==\s*'|\s*==\s*'refs/heads/)(?!.*/merge'|.*queue)[A-Za-z0-9._/-]+'", re.ASCII | re.IGNORECASE
)


def is_gated(job: Job, workflow: Workflow) -> bool:
    """True when `environment` cannot be empty: a name, an expression that falls back to a name, or an input that is
    never empty.
    """
    expression = _EXPRESSION.fullmatch(job.environment)
    if expression is None:
        return bool(job.environment.strip()) and "${{" not in job.environment
    named = _INPUT.fullmatch(expression[1])
    if named:
        asked = [t for t in workflow.triggers if t.event in ("workflow_dispatch", "workflow_call")]
        return len(asked) == len(workflow.triggers) and all(named[2] in t.filled_inputs for t in asked)
    if _MATRIX.fullmatch(expression[1]):
        return bool(environments_of(job))
    if _CALL.search(expression[1]):
        return False  # `format('', 'x' || 'y')` ends in a name and is empty
    return bool(_ENDS_IN_A_NAME.fullmatch(expression[1])) and "&&" not in expression[1].rpartition("||")[2]


def environments_of(job: Job) -> tuple[str, ...]:
    """Every name that `environment` can have, as far as it is written out: the name itself, or the values of a literal
    matrix.
    """
    expression = _EXPRESSION.fullmatch(job.environment)
    axis = _MATRIX.fullmatch(expression[1]) if expression else None
    return job.matrix.get(axis[1], ()) if axis else (job.environment,)


def keeps_out(condition: str, events: Collection[str]) -> bool:
    """True when a job or step with this `if` never runs on any of `events`; False when in doubt.

    An expression with text around it, be it a line end, is a text, and a text is true. GitHub compares texts without
    regard to case.
    """
    if "${{" in condition:
        whole = list(parts_of(condition))
        return len(whole) == 1 and whole[0].closed and all(_is_false_on(whole[0].text, e) for e in events)
    return all(_is_false_on(condition, event) for event in events)


def _is_false_on(expression: str, event: str) -> bool:
    text = unwrapped(expression)
    either = terms(text, "||")
    if len(either) > 1:
        return all(_is_false_on(t, event) for t in either)
    both = terms(text, "&&")
    if len(both) > 1:
        return any(_is_false_on(t, event) for t in both)
    only = _ONE_EVENT.fullmatch(text)
    if only:
        return only[1].lower() != event
    other = _NOT_THE_EVENT.fullmatch(text)
    if other:
        return other[1].lower() == event
    return text == "false" or (event in ("pull_request", "merge_group") and bool(_BRANCH.fullmatch(text)))


_CLOSED_INPUTS: dict[str, frozenset[str]] = {
    "actions/checkout": frozenset({"persist-credentials", "fetch-depth"}),
    "aws-actions/configure-aws-credentials": frozenset(
        {"role-to-assume", "aws-region", "role-session-name", "role-duration-seconds", "mask-aws-account-id"}
    ),
    "hashicorp/setup-terraform": frozenset({"terraform_version", "terraform_wrapper"}),
    "opentofu/setup-opentofu": frozenset({"tofu_version", "tofu_wrapper"}),
}
_CONTEXT = r"(?:inputs|matrix|vars)\.[\w-]+|github\.(?:ref|ref_name|base_ref|event_name|sha|run_id)"
_EXPRESSION_OF_WRITERS = re.compile(rf"(?:{_CONTEXT}|'(?!-)[\w./-]*'|[\s()&|!=])+")
_INPUT_TEXT = re.compile(r"[\w./:@=~<>, +-]*")
_WORD = re.compile(r"(?!-)[\w./:@+-]*")
_VALUE = r"(?!-)(?:[\w./:@+-]|\$\{?[A-Z_][A-Z0-9_]*\}?)+"
_CHECKS = re.compile(
    rf"(?:terraform|tofu)(?: -chdir={_VALUE})?"
    rf" (?:fmt(?: -check| -recursive| -diff| -no-color| {_VALUE})*"
    rf"|init(?: -backend-config={_VALUE}| -backend=false| -input=false| -no-color| -lockfile=readonly| -reconfigure)*"
    r"|validate(?: -no-color| -json)*"
    rf"|plan(?: -var-file={_VALUE}| -out={_VALUE}| -input=false| -no-color| -lock=false| -detailed-exitcode)*)"
)


def is_closed_step(step: Step, job: Job, workflow: Workflow) -> bool:
    """True when the step can only check out, take AWS credentials, set Terraform up, or run `terraform fmt`, `init`,
    `validate` and `plan` with arguments that are written out, or that people with write permission choose.
    """
    if step.uses:
        inputs = _CLOSED_INPUTS.get(step.uses.partition("@")[0].casefold(), frozenset())
        given = step.with_.items()
        return bool(inputs) and all(n.casefold() in inputs and _is_chosen(v, job, _INPUT_TEXT) for n, v in given)
    variables = ChainMap(step.env, job.env, workflow.env)
    script = re.sub(r"\\\n\s*", " ", step.run).replace('"', "")
    commands = [" ".join(c.split()) for line in script.split("\n") for c in line.split("&&")]
    named = re.findall(r"\$\{?([A-Z_][A-Z0-9_]*)", script)
    return (
        step.shell in ("", "bash")
        and all(_CHECKS.fullmatch(c) for c in commands if c and c[0] != "#")
        and all(name in variables and _is_chosen(variables[name], job, _WORD) for name in named)
    )


def _is_chosen(value: str, job: Job, text: re.Pattern[str]) -> bool:
    """Whether a value is `text`, with expressions that only people with write permission choose the value of."""
    kinds = {True: _EXPRESSION_OF_WRITERS, False: text}
    axes = (job.matrix.get(axis, (" ",)) for axis in re.findall(r"\bmatrix\.([\w-]+)", value))
    return all(part.closed and kinds[part.is_expression].fullmatch(part.text) for part in parts_of(value)) and all(
        _WORD.fullmatch(known) for values in axes for known in values
    )
