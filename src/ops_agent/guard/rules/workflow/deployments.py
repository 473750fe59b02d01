"""How a workflow plans and applies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.guard.rules.workflow.gates import is_gated, keeps_out
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.workflow import Job, Step, WorkflowText

_OPTION = r"-(?:\$\{\{[^}\n]{0,500}\}\}|(?!\$\{\{)\S)+"
_TERRAFORM = rf"\b(?:terraform|tofu|terragrunt)\s+(?:(?:run|run-all|{_OPTION})\s+)*"
_ARGUMENTS = r"((?:\$\{\{[^${}\n]*\}\}|[<>]&|>\||&>|[^\n;&|])*)"
_PLAN = re.compile(rf"{_TERRAFORM}plan\b{_ARGUMENTS}")
_APPLY = re.compile(rf"{_TERRAFORM}apply\b{_ARGUMENTS}")
_OUT = re.compile(r"(?<!\S)--?out[= ](\S+)")
_REDIRECT = re.compile(r"(?:(?<!\S)[0-9]+|&)?[<>]+[&|]?\s*[^\s<>]*")
_VARIABLE = re.compile(r"\$\{\{([^${}\n]*)\}\}|\$\{(\w+)\}")
_BEFORE_A_MERGE = frozenset({"pull_request", "merge_group"})

_Position = tuple[int, int]
"""Of a command in a workflow: its line's place among the lines that steps run, and where it begins there."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A command of Terraform; `words` are its arguments without redirections, each variable in one form."""

    position: _Position
    job: Job
    step: Step
    place: WorkflowText
    words: list[str]


@rule(Severity.BLOCKS)
def ungated_apply(file: WorkflowFile) -> Iterator[Finding]:
    """A job runs `terraform apply` without a gate.

    Apply runs after a merge to a protected branch or by hand, in a job with a GitHub environment, and never on a pull
    request.

    Remedy: Give the job an `environment:`, and start it on `push` to a protected branch or `workflow_dispatch`, with an
    `if:` that excludes pull requests where the workflow also runs on them.
    """
    early = file.events & _BEFORE_A_MERGE
    for run in _runs(file, _APPLY):
        job, step = run.job, run.step
        found = [] if is_gated(job, file.workflow) else ["without an `environment` that is never empty"]
        if early and not (keeps_out(job.condition, early) or keeps_out(step.condition, early)):
            found.append("on pull requests")
        if not file.events & {"push", "workflow_dispatch", "workflow_call"}:
            found.append("on events that are neither a merge nor a person's start")
        for what in found:
            yield file.hit_text(run.place, f"the job `{job.id}` applies {what}", at=f"{job.id} {what}", once=True)


@rule(Severity.BLOCKS, disputable=True)
def apply_without_plan(file: WorkflowFile) -> Iterator[Finding]:
    """A job applies something else than a saved plan.

    What is applied must be what was planned and reviewed: `plan -out=tfplan` first, then `apply tfplan`.

    Remedy: Run `terraform plan -out=tfplan` first, then `terraform apply tfplan` without `-auto-approve`.
    """
    written: dict[str, dict[str, _Position]] = {}
    for run in _runs(file, _PLAN):
        if found := _OUT.search(" ".join(run.words)):
            written.setdefault(run.job.id, {}).setdefault(found[1], run.position)
    elsewhere = {job: {name.rpartition("/")[2] for name in plans} for job, plans in written.items()}
    for run in _runs(file, _APPLY):
        job, given = run.job, [word for word in run.words if not word.startswith("-")]
        if not given or any("-auto-approve" in word for word in run.words):
            yield file.hit_text(run.place, "`apply` is not given a saved plan", at=f"{job.id} no saved plan", once=True)
            continue
        plan = given[-1]
        is_here = plan in written.get(job.id, {}) and written[job.id][plan] < run.position
        # An artifact of another job may have been unpacked anywhere.
        if not is_here and not any(plan.rpartition("/")[2] in elsewhere.get(other, ()) for other in job.needs):
            what = f"no step before writes the plan `{plan}` (`plan -out=`)"
            yield file.hit_text(run.place, what, at=f"{job.id} {what}", once=True)


def _runs(file: WorkflowFile, command: re.Pattern[str]) -> Iterator[_Run]:
    for number, (job, step, place, line) in enumerate(file.commands):
        for found in command.finditer(line.plain):
            arguments = _REDIRECT.sub(" ", _VARIABLE.sub(_variable, found[1]))
            words = [word.removeprefix("./").rstrip(")`") for word in arguments.split()]
            yield _Run((number, found.start()), job, step, place, words)


def _variable(found: re.Match[str]) -> str:
    """`$NAME` for `${NAME}` and `${{ env.NAME }}`; another expression without blanks."""
    expression = "".join((found[1] or "").split())
    name = found[2] or expression.removeprefix("env.")
    return f"${name}" if name.isidentifier() else f"${{{{{expression}}}}}"
