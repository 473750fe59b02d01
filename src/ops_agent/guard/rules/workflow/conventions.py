"""What the standards ask of workflows that run Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.model.finding import Finding, Severity

_TERRAFORM = r"\b(?:terraform|tofu)\s+(?:-chdir=\S+\s+)?"
_RUNS_TERRAFORM = re.compile(rf"{_TERRAFORM}(?:init|plan|apply|validate|fmt)\b")
_ADDRESS = re.compile(r"https?://[^\s\"']*\b(dev|development|prod|production|staging|hml)\b[^\s\"']*", re.IGNORECASE)


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


def _scripts(file: WorkflowFile) -> str:
    return "\n".join(step.run for _, step in file.steps)
