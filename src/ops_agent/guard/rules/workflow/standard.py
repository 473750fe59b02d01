"""What the standards ask of workflows: shown, never blocking."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile

_TERRAFORM = re.compile(r"\b(terraform|tofu)\s+(-chdir=\S+\s+)?(init|plan|apply|validate|fmt)\b")
_INIT = re.compile(r"\b(terraform|tofu)\s+(-chdir=\S+\s+)?init\b(?![^\n]*(-backend-config|-backend=false))")
_PLAN = re.compile(r"\b(terraform|tofu)\s+(-chdir=\S+\s+)?plan\b(?![^\n]*-var-file)")
_ADDRESS = re.compile(r"https?://[^\s\"']*\b(dev|development|prod|production|staging|hml)\b[^\s\"']*", re.IGNORECASE)


def environment_variable(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow runs Terraform without setting `ENVIRONMENT`.

    The environment comes from the dispatch input first, else from the branch.

    Remedy: Set `env: ENVIRONMENT: ${{ inputs.environment || (github.ref_name == 'main' && 'prod' || 'dev') }}`.
    """
    if not _TERRAFORM.search(_scripts(file)):
        return
    set_somewhere = "ENVIRONMENT" in file.workflow.env or any(
        "ENVIRONMENT" in (*j.env, *(k for s in j.steps for k in s.env)) for j in file.workflow.jobs
    )
    if not set_somewhere and "ENVIRONMENT=" not in _scripts(file):
        yield file.hit(file.workflow, "`ENVIRONMENT` is never set", at="ENVIRONMENT")


def checks_on_pull_requests(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow runs Terraform on pull requests without `fmt` and `validate`.

    Both run on every pull request.

    Remedy: Add `terraform fmt -check -recursive` and `terraform validate`.
    """
    scripts = _scripts(file)
    if "pull_request" in file.workflow.events and _TERRAFORM.search(scripts):
        missing = [
            w for w in ("fmt", "validate") if not re.search(rf"\b(terraform|tofu)\s+(-chdir=\S+\s+)?{w}\b", scripts)
        ]
        if missing:
            yield file.hit(file.workflow, f"`terraform {'` and `terraform '.join(missing)}` never run", at="checks")


def environment_files(file: WorkflowFile) -> Iterator[Hit]:
    """Terraform runs without the environment's backend or variable file.

    `init` takes `-backend-config=backend/{env}/backend.hcl`, `plan` takes
    `-var-file=environments/{env}/terraform.tfvars`.

    Remedy: Add the options with `"$ENVIRONMENT"` in the path.
    """
    for job in file.workflow.jobs:
        for step in job.steps:
            script = re.sub(r"\\\n\s*", " ", step.run)
            if _INIT.search(script):
                yield file.hit(step, "`init` has no `-backend-config`", step.run_line, at=step.run)
            if _PLAN.search(script):
                yield file.hit(step, "`plan` has no `-var-file`", step.run_line, at=step.run)


def hard_coded_address(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow has an environment's address written into it.

    Addresses differ between environments and come from variables.

    Remedy: Use a variable of the GitHub environment (`vars.NAME`).
    """
    for text in file.workflow.texts:
        found = _ADDRESS.search(text.text)
        if found:
            yield file.hit_text(text, f"`{found[0][:80]}` belongs to one environment")


def _scripts(file: WorkflowFile) -> str:
    return "\n".join(s.run for j in file.workflow.jobs for s in j.steps)
