"""What a workflow may hold (F04, F07 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile
from ops_agent.guard.rules.workflow.gates import is_gated
from ops_agent.model.workflow import Permissions
from ops_agent.workflows.expressions import parts_of

_SCOPES = frozenset(
    {
        "actions",
        "attestations",
        "checks",
        "contents",
        "deployments",
        "discussions",
        "id-token",
        "issues",
        "models",
        "packages",
        "pages",
    }
    | {"pull-requests", "repository-projects", "security-events", "statuses"}
)
_SECRETS = re.compile(r"(?<![A-Za-z0-9_.-])secrets\b(\s*\.\s*([A-Za-z_][A-Za-z0-9_-]*))?", re.IGNORECASE)


def missing_permissions(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow or job does not say its permissions.

    Without `permissions` the repository's default holds, which may be everything.

    Remedy: Write `permissions: {}` at the top and `permissions: { contents: read }` in the job that checks out.
    """
    if file.workflow.permissions is None:
        for job in file.workflow.jobs:
            if job.permissions is None:
                what = f"the job `{job.id}` has no `permissions`, and neither has the workflow"
                yield file.hit(job, what, at="permissions")


def wide_permissions(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow asks for more than it needs.

    Scopes are named one by one; writing is open for `id-token` only (OIDC), which needs an environment.

    Remedy: Use `contents: read` and, where AWS is needed, `id-token: write` in that job.
    """
    for permissions, job in (
        (file.workflow.permissions, None),
        *((job.permissions, job) for job in file.workflow.jobs),
    ):
        for what in _objections(permissions):
            line = permissions.line if permissions else 0
            yield from file.hits_of_jobs(what, what, line, job)


def identity_token_without_environment(file: WorkflowFile) -> Iterator[Hit]:
    """A job can take an identity token without a GitHub environment.

    Whoever holds the token can become the AWS role. The environment's protection rules (reviewers, branches) gate it.

    Remedy: Give the job an `environment:` with a name that cannot be empty, and `id-token: write` to that job only.
    """
    for job in file.workflow.jobs:
        permissions = job.permissions or file.workflow.permissions
        if permissions and permissions.scopes.get("id-token") == "write" and not is_gated(job, file.workflow):
            what = f"the job `{job.id}` has `id-token: write` and no certain `environment`"
            yield from file.hits_of_jobs("id-token", what, job.line, job)


def unlisted_secret(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow uses a secret that the policy does not name.

    A secret in a step is readable by everything that the step runs. `secrets: inherit` and `toJSON(secrets)` hand over
    all of them.

    Remedy: Use OIDC and variables (`vars.NAME`); a secret must be allowed by the action's policy.
    """
    allowed = {"github_token", *(s.casefold() for s in file.policy.allowed_secrets)}
    for job in file.workflow.jobs:
        if job.inherits_secrets:
            yield file.hit(
                job, f"the job `{job.id}` hands over all secrets (`secrets: inherit`)", at=f"secrets {job.uses}"
            )
    for text in file.workflow.texts:
        parts = list(parts_of(text.text))
        inside = text.text if text.path[-1] == "if" else " ".join(p.text for p in parts if p.is_expression)
        if not all(p.closed for p in parts):
            yield from file.hits_of_text(text, "an expression is not closed")
        for found in _SECRETS.finditer(inside):
            if not found[2] or found[2].casefold() not in allowed:
                yield from file.hits_of_text(text, f"`{found[0].strip()}` is used")


def _objections(permissions: Permissions | None) -> Iterator[str]:
    if permissions is None:
        return
    if permissions.shorthand:
        yield f"`permissions: {permissions.shorthand}` names no scope"
    for scope, access in permissions.scopes.items():
        if (
            scope not in _SCOPES
            or access not in ("read", "none", "write")
            or (access == "write" and scope != "id-token")
        ):
            yield f"`{scope}: {access}` is not open"
