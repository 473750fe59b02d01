"""What the standards ask of workflows that run Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import WholeChange, WorkflowFile, hit, rule
from ops_agent.guard.tree import SourceTree, called_on, workflows_of
from ops_agent.model.finding import Finding, Severity

_TERRAFORM = r"\b(?:terraform|tofu)\s+(?:-chdir=\S+\s+)?"
_RUNS_TERRAFORM = re.compile(rf"{_TERRAFORM}(?:init|plan|apply|validate|fmt)\b")
# What may run anything else: nothing is said of a repository whose checks are there.
_MAY_RUN_IT = re.compile(
    r"\b(?:make|just|task|pre-commit|tox|nox|terragrunt)\b|\.(?:sh|py)\b|(?:^|\s)\./\w", re.MULTILINE
)
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
def repository_without_checks(change: WholeChange) -> Iterator[Finding]:
    """No workflow of the repository checks Terraform on pull requests, or plans what another one applies.

    A change of workflows is where it can be added, so it is said there and by the doctor, and nowhere else.

    Remedy: Add a workflow on `pull_request` with `contents: read` that runs
    `terraform fmt -check -recursive`, `init -backend=false` and `validate` (examples/terraform-checks.yml). A plan
    needs a role that reads, in a job with an `environment:`.
    """
    changed = [c.path for c in change.changes.changes if c.after is not None and is_workflow(c.path)]
    for what in missing_checks(change.head) if changed else ():
        yield hit(path=changed[0], what=what, anchor=what)


def missing_checks(tree: SourceTree) -> list[str]:
    """What no workflow of a repository with Terraform does on pull requests; nothing where that cannot be told."""
    workflows = workflows_of(tree)
    if not tree.layout.roots or len(workflows) < len(tree.workflows):
        return []
    of_all, early = [], []
    for path, workflow in workflows.items():
        is_early = "pull_request" in workflow.events | called_on(path, tree)
        scripts = [step.run for job in workflow.jobs for step in job.steps]
        calls = [uses for job in workflow.jobs for uses in (job.uses, *(s.uses for s in job.steps))]
        own = (uses.startswith("./.github/workflows/") for uses in calls if uses.startswith(".") or "/.github/" in uses)
        if is_early and (not all(own) or any(map(_MAY_RUN_IT.search, scripts))):
            return []
        of_all += scripts
        early += scripts if is_early else []
    seen = "\n".join(early)
    missing = [word for word in ("fmt", "validate") if not re.search(rf"{_TERRAFORM}{word}\b", seen)]
    found = [f"no workflow runs `terraform {'` and `terraform '.join(missing)}` on pull requests"] if missing else []
    if re.search(rf"{_TERRAFORM}apply\b", "\n".join(of_all)) and not re.search(rf"{_TERRAFORM}plan\b", seen):
        found.append("a workflow runs `terraform apply`, and none runs `terraform plan` on pull requests")
    return found


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
