"""When a workflow runs, and what its jobs may do then: events, permissions, identity tokens, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.guard.rules.workflow.gates import environments_of, is_closed_step, is_gated, keeps_out
from ops_agent.guard.tree import workflows_of
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.workflow import SCOPES, Job, Permissions, WorkflowText
from ops_agent.workflows.expressions import parts_of

_OPEN = frozenset({"push", "release", "pull_request", "workflow_dispatch", "workflow_call", "schedule", "merge_group"})
_BEFORE_A_MERGE = frozenset({"pull_request", "merge_group"})
_ELSEWHERE = re.compile(r"\$\{\{.*\b(?:env|inputs|matrix|needs|strategy)\b", re.DOTALL)
_SECRETS = re.compile(r"(?<![A-Za-z0-9_.-])secrets\b(\s*\.\s*([A-Za-z_][A-Za-z0-9_-]*))?", re.IGNORECASE)


@rule(Severity.BLOCKS)
def dangerous_trigger(file: WorkflowFile) -> Iterator[Finding]:
    """A job starts on an event that strangers can cause, or that has the rights of the default branch.

    `pull_request_target`, `workflow_run`, `issue_comment` and the like run with secrets on what others wrote.

    Remedy: Use `pull_request` or `merge_group` (read-only), `push` to named branches, `release`, `workflow_dispatch`,
    `workflow_call` or `schedule`.
    """
    for event, line, what in _dangerous_events(file):
        for job in file.workflow.jobs:
            yield file.hit(job, what, line, at=f"{job.id} on {event}")


@rule(Severity.BLOCKS)
def push_from_any_branch(file: WorkflowFile) -> Iterator[Finding]:
    """A job that does more than read starts on a tag or release, or on a push to a branch that is not named.

    ops-agent's own branch is pushed before anybody has reviewed it, and a tag can be on any commit. What starts then
    may only read, without secrets; on a tag or release it may do more with a GitHub environment.

    Remedy: Write `push:` with `branches: [main]`, without patterns; give a job that starts on tags or releases an
    `environment:`.
    """
    start = file.workflow.trigger("push") or file.workflow.trigger("release")
    found = [
        "a push to any branch starts it" if b == "*" else f"`{b}` is not the name of a protected branch"
        for b in file.workflow.open_branches
    ]
    marks = ["tags start it"] if file.workflow.starts_on_tags else []
    marks += ["a release starts it"] if file.workflow.trigger("release") else []
    for job in file.workflow.jobs if start is not None else ():
        of_marks = [] if is_gated(job, file.workflow) else marks
        for what in () if _only_reads(file, job) else (*found, *of_marks):
            yield file.hit(job, what, start.line if start else 0, at=f"{job.id} {what}")


@rule(Severity.BLOCKS)
def pull_request_beyond_reading(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow that runs on pull requests may do more than read.

    It runs as the pull request's branch has it, before anybody has reviewed it, and so do the workflows that it calls.
    Allowed are `contents: read`, and `id-token: write` in a job with a GitHub environment. A workflow of the base
    branch must already name that environment, or compute it alike from the event: GitHub creates an unknown one on
    first use, without protection. Jobs whose `if:` excludes pull requests do not count.

    Remedy: Give its jobs `contents: read` only; put steps that write into a workflow on `push` to a protected branch,
    or into a job with `if: github.event_name != 'pull_request'`.
    """
    known = {job.environment for job in file.base.jobs if not _ELSEWHERE.search(job.environment)} - {""}
    for job in _before_a_merge(file):
        for scope in _written(file, job):
            if not (scope == "id-token" and is_gated(job, file.workflow)):
                what = f"the job `{job.id}` has `{scope}: write` on pull requests"
            elif not known.issuperset(environments_of(job)):
                what = f"no workflow of the base names the environment `{job.environment}` of the job `{job.id}`"
            else:
                continue
            yield file.hit(job, what, at=f"{job.id} {scope}")


@rule(Severity.WARNING)
def open_step_with_identity_token(file: WorkflowFile) -> Iterator[Finding]:
    """A pull request workflow with `id-token: write` or a secret does more than plan: it is offered as a patch, not
    committed.

    Such a job runs as the pull request's branch has it, before a review, and can assume the AWS role or send the secret
    away. ops-agent commits it only when every step is checkout, AWS credentials, Terraform or OpenTofu setup, or
    `terraform fmt`, `init`, `validate` and `plan` with literal arguments. Otherwise the pull request contains the
    workflow as a patch for a person to apply.

    Remedy: Use only these steps, or move the others to a job without `id-token: write` and secrets.
    """
    shells = {text.text for text in file.workflow.texts if text.path[-3:] == ("defaults", "run", "shell")}
    for job in _before_a_merge(file):
        has_token = "id-token" in _written(file, job)
        if not has_token and not _has_secret(file, job):
            continue
        held = "`id-token: write`" if has_token else "a secret"
        if job.uses or job.images or not shells <= {"bash"}:
            why = "calls a workflow, or has containers or a shell of its own"
            what = f"the job `{job.id}` with {held} on pull requests {why}"
            yield file.hit(job, what, at=f"{job.id} {job.uses} {job.images} {sorted(shells)}")
        for step in job.steps:
            if not is_closed_step(step, job, file.workflow):
                what = f"this step of the job `{job.id}` could use {held} on pull requests"
                yield file.hit(step, what)


@rule(Severity.BLOCKS)
def wide_permissions(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow asks for permissions that it may not have.

    Each scope is named on its own. Write access is allowed for `id-token` (OIDC) with an environment, and for the
    scopes in `allowed_permissions`.

    Remedy: Use `contents: read` and, in a job that needs AWS, `id-token: write`.
    """
    whole = file.workflow.permissions
    for what in _too_wide(file, whole):
        yield file.hit(file.workflow, what, whole.line if whole else 0, at=what)
    for job in file.workflow.jobs:
        rights = job.permissions or whole
        for what in _too_wide(file, rights):
            yield file.hit(job, what, rights.line if rights else 0, at=f"{job.id} {what}")


@rule(Severity.BLOCKS)
def identity_token_without_environment(file: WorkflowFile) -> Iterator[Finding]:
    """A job can get an identity token without a GitHub environment.

    Who holds the token can assume the AWS role. The protection rules of an environment (reviewers, branches) prevent
    that.

    Remedy: Give the job an `environment:` whose name cannot be empty, and give `id-token: write` to that job only.
    """
    if "id-token" in file.policy.allowed_permissions:
        return
    for job in file.workflow.jobs:
        if "id-token" in _written(file, job) and not is_gated(job, file.workflow):
            what = f"the job `{job.id}` has `id-token: write` and no `environment` that is never empty"
            yield file.hit(job, what, at=f"{job.id} id-token")


@rule(Severity.WARNING)
def privileged_step(file: WorkflowFile) -> Iterator[Finding]:
    """The change writes a step that runs with rights, or on events, that a new workflow may not have.

    The job has them on the base branch already, so people decided on them; the step that uses them is new.

    Remedy: Move the step to a job with `contents: read`, or explain in the pull request why it needs the job's rights.
    """
    events = [f"starts on `{event}`" for event, _, _ in _dangerous_events(file)]
    of_workflow = _held_secrets(file, file.workflow.env)
    for job in file.workflow.jobs:
        rights = job.permissions or file.workflow.permissions
        secrets = [*of_workflow, *_held_secrets(file, job.env)]
        why = [*events, *(f"has permissions of which {what}" for what in _too_wide(file, rights)), *secrets]
        for step in job.steps if why else ():
            yield file.hit(step, f"the job `{job.id}` {' and '.join(why)}")


@rule(Severity.BLOCKS)
def unlisted_secret(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow uses a secret that the policy does not allow.

    Everything that a step runs can read the step's secrets; `toJSON(secrets)` contains all of them.

    Remedy: Use OIDC and variables (`vars.NAME`); a secret must be listed in the action's input `allowed_secrets`.
    """
    for text in file.workflow.texts:
        if not all(part.closed for part in parts_of(text.text)):
            yield file.hit_text(text, "an expression is not closed")
        is_condition = text.path[-1] == "if"
        for name in _unlisted_secrets(file, text.text, is_condition=is_condition):
            yield file.hit_text(text, f"`{name}` is used", at=f"{name} {_user_of(file, text)}", once=True)


def _before_a_merge(file: WorkflowFile) -> Iterator[Job]:
    """The jobs that can run on pull requests."""
    early = file.events & _BEFORE_A_MERGE
    return (job for job in file.workflow.jobs if early and not keeps_out(job.condition, early))


def _held_secrets(file: WorkflowFile, variables: dict[str, str]) -> list[str]:
    return [f"holds `{name}`" for value in variables.values() for name in _unlisted_secrets(file, value)]


def _unlisted_secrets(file: WorkflowFile, text: str, *, is_condition: bool = False) -> Iterator[str]:
    """What expressions of a text, or a condition that needs no braces, name of `secrets` and the policy does not."""
    allowed = {"github_token", *(s.casefold() for s in file.policy.allowed_secrets)}
    inside = text if is_condition else " ".join(p.text for p in parts_of(text) if p.is_expression)
    for found in _SECRETS.finditer(inside):
        if not found[2] or found[2].casefold() not in allowed:
            yield found[0].strip()


def _user_of(file: WorkflowFile, text: WorkflowText) -> str:
    """What gets the value of a text in a step: a secret that another script reads is another use of it."""
    job = file.job(text.path[1]) if text.path[0] == "jobs" and text.path[2:3] == ("steps",) else None
    step = job.steps[int(text.path[3])] if job is not None else None
    return f"{step.uses.partition('@')[0]} {step.run}" if step is not None else ""


def _dangerous_events(file: WorkflowFile) -> Iterator[tuple[str, int, str]]:
    """Event, its line, and what to say about it."""
    for trigger in file.workflow.triggers:
        if trigger.event not in _OPEN:
            yield trigger.event, trigger.line, f"it starts on `{trigger.event}`"
    for event in sorted(file.called_on - _OPEN):
        yield event, 1, f"a workflow that starts on `{event}` calls it"


def _written(file: WorkflowFile, job: Job) -> list[str]:
    """The scopes that the job may write. A called workflow of the base without `permissions` has those of its callers,
    and can never have more: a change that writes them down adds nothing.
    """
    rights = [job.permissions or file.workflow.permissions]
    if rights == [None] and file.tree is file.base and file.workflow.events == {"workflow_call"}:
        calls = ((w, j) for w in workflows_of(file.tree).values() for j in w.jobs)
        rights = [j.permissions or w.permissions for w, j in calls if j.uses == f"./{file.path}"]
    scopes = (given for permissions in rights if permissions for given in permissions.scopes.items())
    return list(dict.fromkeys(scope for scope, access in scopes if access == "write"))


def _only_reads(file: WorkflowFile, job: Job) -> bool:
    """Whether a job has a token that is said to read, and no secret, environment or called workflow."""
    rights = job.permissions or file.workflow.permissions
    has_more = job.uses or job.environment or _written(file, job) or rights is None or rights.shorthand == "write-all"
    return not has_more and not _has_secret(file, job)


def _has_secret(file: WorkflowFile, job: Job) -> bool:
    """Whether a job is given a secret besides its own token."""
    texts = (t.text for t in file.workflow.texts if t.path[0] == "env" or t.path[:2] == ("jobs", job.id))
    return any(set(_secrets_in(text)) - {"github_token"} for text in texts)


def _secrets_in(text: str) -> Iterator[str]:
    inside = " ".join(p.text for p in parts_of(text) if p.is_expression)
    return ((found[2] or "").casefold() for found in _SECRETS.finditer(inside))


def _too_wide(file: WorkflowFile, permissions: Permissions | None) -> Iterator[str]:
    if permissions is None:
        return
    if permissions.shorthand:
        yield f"`permissions: {permissions.shorthand}` names no scope"
    for scope, access in permissions.scopes.items():
        known = scope in SCOPES and access in ("read", "none", "write")
        if not known or (access == "write" and scope not in ("id-token", *file.policy.allowed_permissions)):
            yield f"`{scope}: {access}` is not allowed"
