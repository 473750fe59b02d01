"""Every workflow acts in the policy's region and names no account."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.regions_and_accounts import foreign_regions, real_accounts
from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.model.finding import Finding, Severity


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
        for account in real_accounts(line.text):
            yield file.hit_text(line, f"the account `{account}` is written here", anywhere=True)
