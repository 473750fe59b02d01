"""Where a workflow acts, and when it applies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile, accounts_in, foreign_regions
from ops_agent.guard.rules.workflow.gates import is_gated, keeps_out
from ops_agent.guard.shell_words import plain_script
from ops_agent.model.workflow import Job, Step, Workflow

_APPLY = re.compile(r"\b(?:terraform|tofu|terragrunt)\s+(?:(?:run|run-all|-\S+)\s+)*apply\b([^\n;&|]*)")
_PLAN = re.compile(r"\b(?:terraform|tofu)\s+(?:-chdir=\S+\s+)?plan\b[^\n;&|]*-out[= ]")
_BEFORE_A_MERGE = frozenset({"pull_request", "merge_group"})


def workflow_region(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow names another region.

    Everything stands in the region of the policy.

    Remedy: Use the policy's region, or `vars.AWS_REGION`.
    """
    for text in file.workflow.texts:
        for region in foreign_regions(text.text, file.policy.region):
            what = f"`{region}` is named; only `{file.policy.region}` may be"
            yield file.hit_text(text, what)


def workflow_account(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow has an account id written into it.

    Account ids belong to environments: the GitHub environment's variables say which role a job takes.

    Remedy: Use `${{ vars.AWS_ROLE_ARN }}` of the job's GitHub environment.
    """
    for text in file.workflow.texts:
        for account in accounts_in(text.text):
            yield file.hit_text(text, f"the account `{account}` is written here")


def ungated_apply(file: WorkflowFile) -> Iterator[Hit]:
    """A job applies without a gate.

    Apply runs after a merge to a protected branch or by hand, in a job that a GitHub environment gates, never on a pull
    request.

    Remedy: Give the job an `environment:`, and start it on `push` to a protected branch or `workflow_dispatch`, with an
    `if:` that excludes pull requests where the workflow also runs on them.
    """
    events = file.events
    early = events & _BEFORE_A_MERGE
    for job, step, _ in _applies(file.workflow):
        if not is_gated(job, file.workflow):
            yield file.hit(step, f"the job `{job.id}` applies without a certain `environment`", step.run_line)
        if early and not (keeps_out(job.condition, early) or keeps_out(step.condition, early)):
            yield file.hit(step, f"the job `{job.id}` applies on pull requests", step.run_line)
        if not events & {"push", "workflow_dispatch", "workflow_call"}:
            yield file.hit(step, f"the job `{job.id}` applies without a merge and without a person", step.run_line)


def apply_without_plan(file: WorkflowFile) -> Iterator[Hit]:
    """A job applies something else than a saved plan.

    What is applied must be what was planned and seen: `plan -out=tfplan` first, then `apply tfplan`.

    Remedy: Run `terraform plan -out=tfplan` before, and `terraform apply tfplan`, without `-auto-approve`.
    """
    for job, step, arguments in _applies(file.workflow):
        words = [w for w in arguments.split() if not w.startswith(("-", "#", ">", "2>"))]
        if "-auto-approve" in arguments or not words:
            yield file.hit(step, "`apply` is not given a saved plan", step.run_line)
        elif not _planned_before(file.workflow, job, step):
            yield file.hit(step, f"no step before writes the plan `{words[0]}` (`plan -out=`)", step.run_line)


def _applies(workflow: Workflow) -> Iterator[tuple[Job, Step, str]]:
    for job in workflow.jobs:
        for step in job.steps:
            for found in _APPLY.finditer(plain_script(step.run)):
                yield job, step, found[1]


def _planned_before(workflow: Workflow, job: Job, step: Step) -> bool:
    same = [s for s in job.steps if s.line < step.line] + [step]
    needed = [s for j in workflow.jobs if j.id in job.needs for s in j.steps]
    return any(_PLAN.search(re.sub(r"\\\n\s*", " ", s.run)) for s in [*same, *needed])
