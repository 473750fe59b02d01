"""Where a workflow acts, how it plans and applies, and what the standards ask of workflows that run Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.regions import accounts_in, foreign_regions
from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.guard.rules.workflow.gates import is_gated, keeps_out
from ops_agent.guard.shell import script_lines
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.workflow import Job, Step, WorkflowText

_TERRAFORM = r"\b(?:terraform|tofu)\s+(?:-chdir=\S+\s+)?"
_APPLY = re.compile(r"\b(?:terraform|tofu|terragrunt)\s+(?:(?:run|run-all|-\S+)\s+)*apply\b([^\n;&|]*)")
_RUNS_TERRAFORM = re.compile(rf"{_TERRAFORM}(?:init|plan|apply|validate|fmt)\b")
_SAVED_PLAN = re.compile(rf"{_TERRAFORM}plan\b[^\n;&|]*-out[= ]")
_ADDRESS = re.compile(r"https?://[^\s\"']*\b(dev|development|prod|production|staging|hml)\b[^\s\"']*", re.IGNORECASE)
_BEFORE_A_MERGE = frozenset({"pull_request", "merge_group"})


@rule(Severity.BLOCKS)
def workflow_region(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow names another AWS region.

    Everything is in the policy's region.

    Remedy: Use the policy's region, or `vars.AWS_REGION`.
    """
    for line in file.workflow.lines:
        for region in foreign_regions(line.text, file.policy.region):
            what = f"`{region}` is not the policy's region `{file.policy.region}`"
            yield file.hit_text(line, what, anywhere=True)


@rule(Severity.BLOCKS)
def workflow_account(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow contains an AWS account id.

    Account ids belong to environments: the role that a job assumes is a variable of its GitHub environment.

    Remedy: Use `${{ vars.AWS_ROLE_ARN }}` of the job's GitHub environment.
    """
    for line in file.workflow.lines:
        for account in accounts_in(line.text):
            yield file.hit_text(line, f"the account `{account}` is written here", anywhere=True)


@rule(Severity.BLOCKS)
def ungated_apply(file: WorkflowFile) -> Iterator[Finding]:
    """A job runs `terraform apply` without a gate.

    Apply runs after a merge to a protected branch or by hand, in a job with a GitHub environment, and never on a pull
    request.

    Remedy: Give the job an `environment:`, and start it on `push` to a protected branch or `workflow_dispatch`, with an
    `if:` that excludes pull requests where the workflow also runs on them.
    """
    early = file.events & _BEFORE_A_MERGE
    for job, step, line, _ in _applies(file):
        found = [] if is_gated(job, file.workflow) else ["without an `environment` that is never empty"]
        if early and not (keeps_out(job.condition, early) or keeps_out(step.condition, early)):
            found.append("on pull requests")
        if not file.events & {"push", "workflow_dispatch", "workflow_call"}:
            found.append("on events that are neither a merge nor a person's start")
        for what in found:
            yield file.hit_text(line, f"the job `{job.id}` applies {what}", at=f"{job.id} {what}", once=True)


@rule(Severity.BLOCKS)
def apply_without_plan(file: WorkflowFile) -> Iterator[Finding]:
    """A job applies something else than a saved plan.

    What is applied must be what was planned and reviewed: `plan -out=tfplan` first, then `apply tfplan`.

    Remedy: Run `terraform plan -out=tfplan` first, then `terraform apply tfplan` without `-auto-approve`.
    """
    for job, step, line, arguments in _applies(file):
        words = [w for w in arguments.split() if not w.startswith(("-", "#", ">", "2>"))]
        if "-auto-approve" in arguments or not words:
            yield file.hit_text(line, "`apply` is not given a saved plan", at=f"{job.id} no saved plan", once=True)
        elif not _planned_before(file, job, step):
            what = f"no step before writes the plan `{words[0]}` (`plan -out=`)"
            yield file.hit_text(line, what, at=f"{job.id} {what}", once=True)


@rule(Severity.NOTICE)
def environment_variable(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow runs Terraform without setting `ENVIRONMENT`.

    The standard takes the environment from the dispatch input, or else from the branch.

    Remedy: Set `env: ENVIRONMENT: ${{ inputs.environment || (github.ref_name == 'main' && 'prod' || 'dev') }}`.
    """
    scripts = _scripts(file)
    names = {t.path[-1] for t in file.workflow.texts if t.path[-2:-1] == ("env",)}
    if _RUNS_TERRAFORM.search(scripts) and "ENVIRONMENT" not in names and "ENVIRONMENT=" not in scripts:
        yield file.hit(file.workflow, "`ENVIRONMENT` is never set", at="ENVIRONMENT")


@rule(Severity.NOTICE)
def checks_on_pull_requests(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow runs Terraform on pull requests without `fmt` and `validate`.

    The standard requires both on every pull request.

    Remedy: Add `terraform fmt -check -recursive` and `terraform validate`.
    """
    scripts = _scripts(file)
    if "pull_request" in file.workflow.events and _RUNS_TERRAFORM.search(scripts):
        missing = [w for w in ("fmt", "validate") if not re.search(rf"{_TERRAFORM}{w}\b", scripts)]
        if missing:
            yield file.hit(file.workflow, f"`terraform {'` and `terraform '.join(missing)}` never run", at="checks")


@rule(Severity.NOTICE)
def environment_files(file: WorkflowFile) -> Iterator[Finding]:
    """Terraform runs without the environment's backend or variable file.

    `init` takes `-backend-config=backend/{env}/backend.hcl`, `plan` takes
    `-var-file=environments/{env}/terraform.tfvars`.

    Remedy: Add the options with `"$ENVIRONMENT"` in the path.
    """
    for _, _, place, line in file.commands:
        for command, option in (("init", "-backend-config"), ("plan", "-var-file")):
            found = re.search(rf"{_TERRAFORM}{command}\b", line.text)
            if found and option not in line.text[found.end() :] and "-backend=false" not in line.text:
                yield file.hit_text(place, f"`{command}` has no `{option}`")


@rule(Severity.NOTICE)
def hard_coded_address(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow contains the address of one environment.

    Addresses differ between environments and come from variables.

    Remedy: Use a variable of the GitHub environment (`vars.NAME`).
    """
    for line in file.workflow.lines:
        if found := _ADDRESS.search(line.text):
            yield file.hit_text(line, f"`{found[0][:80]}` belongs to one environment", anywhere=True)


def _applies(file: WorkflowFile) -> Iterator[tuple[Job, Step, WorkflowText, str]]:
    for job, step, place, line in file.commands:
        for found in _APPLY.finditer(line.plain):
            yield job, step, place, found[1]


def _planned_before(file: WorkflowFile, job: Job, step: Step) -> bool:
    needed = [s for j in file.workflow.jobs if j.id in job.needs for s in j.steps]
    same = [s for s in job.steps if s.line <= step.line]
    return any(_SAVED_PLAN.search(line.text) for s in (*same, *needed) for line in script_lines(s.run))


def _scripts(file: WorkflowFile) -> str:
    return "\n".join(step.run for _, step in file.steps)
