"""What code knows about a change, as Markdown: the first lines of each section, before the llm's words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from ops_agent.core.plans.plan_rendering import share
from ops_agent.core.plans.plan_values import blocks
from ops_agent.core.proposal.proposal_targets import dangers, headlines, not_planned, tables
from ops_agent.core.sources.reading_workflows import read_workflow
from ops_agent.core.texts.neutral import cell, code
from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.terraform_plan import UNKNOWN, ResourceAction, ResourceChange
from ops_agent.domain.terraform_source import Unreadable
from ops_agent.domain.verification import TargetVerification, Verification

MOST_FILES = 40
_MOST_FACTS = 30
_TERRAFORM = (".tf", ".tfvars", ".hcl", ".tf.json", ".tfvars.json", ".tfbackend", ".tofu")


def is_workflow(path: str) -> bool:
    """True for a file that GitHub Actions runs or that needs the `workflows` permission."""
    return path.casefold().startswith(".github/")


def infrastructure(changes: ChangeSet, verification: Verification) -> str:
    """Scope and counts per target, the danger list, each resource's change, and the files."""
    targets = verification.targets
    parts = [part for part in (not_planned(targets), headlines(targets), *dangers(targets), *tables(targets)) if part]
    files = [change for change in changes.changes if not is_workflow(change.path)]
    parts.append(f"Files:\n\n{_files(files)}" if files else "No infrastructure file is changed.")
    return "\n\n".join(parts)


def ci_cd(changes: ChangeSet, verification: Verification, left_out: tuple[str, ...]) -> str:
    """Changed workflows with their triggers and jobs, and how a plan and an apply are run for each environment."""
    files = [change for change in changes.changes if is_workflow(change.path)]
    parts: list[str] = []
    if files:
        parts.append(
            "> [!IMPORTANT]\n> **CI changes: review before approving runs.** A workflow on this branch runs with this branch's text."
        )
        parts.append("\n".join(_workflow(change, change.path in left_out) for change in files[:MOST_FILES]))
    else:
        parts.append("No workflow is changed.")
    commands = list(dict.fromkeys(line for target in verification.targets for line in _commands(target)))
    if commands:
        parts.append("A plan and an apply by hand:\n\n" + "\n".join(commands[:_MOST_FACTS]))
    return "\n\n".join(parts)


def observability(verification: Verification) -> str:
    """Log groups, alarms and health checks among the planned changes; what runs code and has none is named."""
    own = [
        (change, target.plan.log_groups)
        for target in verification.targets
        if target.plan
        for change in share(target, target.plan).own
        if change.mode == "managed" and isinstance(change.after, dict)
    ]
    lines = list(dict.fromkeys(line for change, groups in own if not _gone(change) for line in _observed(change, groups)))
    if not lines:
        return "The plan changes no log group, alarm or health check." if own else "No planned resource to say something about."
    more = [f"- and {len(lines) - _MOST_FACTS} more"] if len(lines) > _MOST_FACTS else []
    return "\n".join(lines[:_MOST_FACTS] + more)


def checks_table(verification: Verification) -> str:
    """Every check with the word that code gives it."""
    lines = ["| Check | Subject | Result |", "|---|---|---|"]
    for check in verification.all_checks[:60]:
        word = check.status.value if check.status.value == "passed" else f"**{check.status.value}**"
        lines.append(f"| {cell(check.name)} | {code(check.subject)} | {word} |")
    lines += [f"| plan | {code(str(t.target))} | **not run**: {cell(t.unplanned)} |" for t in verification.targets if t.unplanned]
    named = sorted({name for target in verification.targets for name in target.placeholders})
    if named:
        names = ", ".join(code(name) for name in named)
        lines += ["", f"**Invented values** stand for what has none in the repository: {names}. The plan is not what an apply would do."]
    return "\n".join(lines)


def _files(files: list[FileChange]) -> str:
    lines = [f"- {code(change.path)} ({change.kind.value})" for change in files[:MOST_FILES]]
    if len(files) > MOST_FILES:
        lines.append(f"- and {len(files) - MOST_FILES} more")
    return "\n".join(lines)


def _workflow(change: FileChange, is_left_out: bool) -> str:
    note = " **not committed, see the patch below**" if is_left_out else ""
    line = f"- {code(change.path)} ({change.kind.value}){note}"
    if change.after is None:
        return line
    read = read_workflow(change.after)
    if isinstance(read, Unreadable):
        return line
    triggers = ", ".join(code(trigger.event) for trigger in read.triggers[:20])
    jobs = ", ".join(code(job.id) for job in read.jobs[:20])
    return f"{line}: on {triggers}; jobs {jobs}"


def _commands(target: TargetVerification) -> Iterator[str]:
    root, environment = target.target.root, target.target.environment
    inside = "" if root.path == "." else root.path + "/"
    backend = shlex.quote(_relative(environment.backend_file, inside)) if environment.backend_file else ""
    # Without -reconfigure, init refuses the second environment, and what it offers instead copies the first one's state there.
    chosen = f" -reconfigure -backend-config={backend}" if backend else ""
    variables = "".join(f" -var-file={shlex.quote(_relative(path, inside))}" for path in environment.var_files)
    saved = shlex.quote(f"{environment.name}.tfplan")
    steps = f"terraform init{chosen} && terraform plan{variables} -out={saved}"
    yield f"- {cell(environment.name)}, in {code(root.path)}: {code(steps)}, then {code(f'terraform apply {saved}')} after the merge"


def _relative(path: str, inside: str) -> str:
    return path[len(inside) :] if inside and path.startswith(inside) else path


def _gone(change: ResourceChange) -> bool:
    return change.action in (ResourceAction.DELETE, ResourceAction.FORGET)


def _observed(change: ResourceChange, log_groups: frozenset[str]) -> Iterator[str]:
    after: dict[str, Any] = change.after
    where = code(change.address)
    match change.type:
        case "aws_cloudwatch_log_group":
            days = after.get("retention_in_days")
            kept = "retention known after apply" if days is UNKNOWN else f"kept {days} days" if days else "**kept for ever**"
            yield f"- Logs: {where} holds {_named(after.get('name'))}, {kept}"
        case "aws_cloudwatch_metric_alarm":
            yield f"- Alarm: {where} on {_named(after.get('metric_name'))}"
        case "aws_lambda_function":
            yield from _function(change, log_groups)
        case "aws_ecs_task_definition":
            yield from _task(change)
        case "aws_lb_target_group" | "aws_alb_target_group":
            path = next((block.get("path") for block in blocks(after.get("health_check"))), None)
            yield f"- Health check: {where}" + (f" asks for {_named(path)}" if path else " has the default one")
        case "aws_route53_health_check":
            yield f"- Health check: {where} of {_named(after.get('fqdn') or after.get('ip_address'))}"


def _function(change: ResourceChange, log_groups: frozenset[str]) -> Iterator[str]:
    own_group = next((block.get("log_group") for block in blocks(change.after.get("logging_config"))), None)
    named = f"/aws/lambda/{change.after.get('function_name')}"
    if change.action is ResourceAction.CREATE and not own_group and not log_groups & {named, ""}:
        yield f"- **No log group** in this configuration for {code(change.address)}: Lambda makes one that is kept for ever"


def _task(change: ResourceChange) -> Iterator[str]:
    definitions = change.after.get("container_definitions")
    try:
        containers = json.loads(definitions) if isinstance(definitions, str) and definitions is not UNKNOWN else None
    except (ValueError, RecursionError):
        containers = None
    if containers is None:
        yield f"- Containers of {code(change.address)}: cannot tell until apply where they log"
        return
    for container in blocks(containers):
        logs = container.get("logConfiguration")
        options = logs.get("options") if isinstance(logs, dict) else None
        group = options.get("awslogs-group") if isinstance(options, dict) else None
        said = f"logs to {_named(group)}" if group else "logs by its driver" if logs else "**logs nowhere**"
        checked = "has a health check" if container.get("healthCheck") else "has no health check of its own"
        yield f"- Container {_named(container.get('name'))} of {code(change.address)} {said}, {checked}"


def _named(value: object) -> str:
    return "something known after apply" if value is UNKNOWN else code(str(value))
