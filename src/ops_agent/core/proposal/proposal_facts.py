"""What code knows about a change, as Markdown: the first lines of each section, before the llm's words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ops_agent.core.plans.plan_rendering import folded, share
from ops_agent.core.plans.plan_table import changes_table
from ops_agent.core.plans.plan_values import blocks
from ops_agent.core.proposal.proposal_prose import Overflow
from ops_agent.core.proposal.proposal_targets import MOST_DANGERS, cautions, danger_list, dangers, headlines
from ops_agent.core.sources.reading_workflows import read_workflow
from ops_agent.core.texts.neutral import cell, code
from ops_agent.domain.change_set import ChangeKind, ChangeSet, FileChange
from ops_agent.domain.terraform_plan import UNKNOWN, ResourceAction, ResourceChange
from ops_agent.domain.terraform_source import Unreadable
from ops_agent.domain.verification import CheckStatus, TargetVerification, Verification

MOST_FILES = 40
_MOST_FACTS = 30
_FEW = 3
_TERRAFORM = (".tf", ".tfvars", ".hcl", ".tf.json", ".tfvars.json", ".tfbackend", ".tofu")


def is_workflow(path: str) -> bool:
    """True for a file that GitHub Actions runs or that needs the `workflows` permission."""
    return path.casefold().startswith(".github/")


def infrastructure(changes: ChangeSet, verification: Verification, overflow: Overflow) -> str:
    """What is not certain, counts per target, the danger list, what changes, and the files; dangers that are too many go to `overflow`."""
    targets = verification.targets
    found = dangers(targets)
    if found[MOST_DANGERS:]:
        overflow.add("Look at these first, continued", "\n".join(found[MOST_DANGERS:]))
    files = [change for change in changes.changes if not is_workflow(change.path)]
    named = f"Files: {_files(files)}." if files else "No infrastructure file is changed."
    parts = (cautions(targets), headlines(targets), danger_list(found), changes_table(targets), named)
    return "\n\n".join(part for part in parts if part)


def ci_cd(changes: ChangeSet, verification: Verification, left_out: tuple[str, ...], patch: str = "") -> str:
    """Changed workflows with their triggers and jobs, `patch` (Markdown) of those `left_out`, and commands to plan and apply."""
    files = [change for change in changes.changes if is_workflow(change.path)]
    parts: list[str] = []
    if files:
        parts.append(
            "> [!IMPORTANT]\n> **CI changes: review before approving runs.** A workflow on this branch runs with this branch's text."
        )
        parts.append("\n".join(_workflow(change, change.path in left_out) for change in files[:MOST_FILES]))
    else:
        parts.append("No workflow is changed.")
    parts += [patch] if patch else []
    commands = list(dict.fromkeys(line for target in verification.targets for line in _commands(target)))
    if commands:
        more = [f"- and {len(commands) - _MOST_FACTS} more"] if len(commands) > _MOST_FACTS else []
        steps = "\n".join(
            [
                "After the merge, on the base branch; compare each plan with the one shown here before its apply:\n",
                *commands[:_MOST_FACTS],
                *more,
            ]
        )
        parts.append(folded("How to plan and apply by hand", steps))
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
    """Every check with the word that code gives it: what failed first, then what was not run; one row for each check and word."""
    rows: dict[tuple[int, str, CheckStatus], list[str]] = {}
    order = (CheckStatus.FAILED, CheckStatus.NOT_RUN, CheckStatus.PASSED)
    results = [(check.name, check.subject, check.status) for check in verification.all_checks]
    results += [("plan", str(target.target), CheckStatus.NOT_RUN) for target in verification.targets if target.unplanned]
    for name, subject, status in results:
        rows.setdefault((order.index(status), name, status), []).append(subject)
    if not rows:
        return "No check was run."
    everywhere = {str(target.target) for target in verification.targets}
    lines = ["| Check | Result | Of |", "|---|---|---|"]
    for (_, name, status), subjects in sorted(rows.items(), key=lambda row: row[0][0]):
        word = status.value if status is CheckStatus.PASSED else f"**{status.value}**"
        distinct = list(dict.fromkeys(subjects))
        if status is CheckStatus.PASSED and len(distinct) > _FEW and set(distinct) == everywhere:
            lines.append(f"| {cell(name)} | {word} | every root and environment ({len(distinct)}) |")
            continue
        more = f" and {len(distinct) - _MOST_FACTS} more" if len(distinct) > _MOST_FACTS else ""
        lines.append(f"| {cell(name)} | {word} | {', '.join(code(subject) for subject in distinct[:_MOST_FACTS])}{more} |")
    silent = [check for check in verification.all_checks if check.status is CheckStatus.NOT_RUN and check.output]
    lines += (
        ["", *(f"- {cell(check.name)} of {code(check.subject)}: {cell(check.output[:300])}" for check in silent[:_MOST_FACTS])]
        if silent
        else []
    )
    return "\n".join(lines)


def _files(files: list[FileChange]) -> str:
    """The worst first: deleted, modified, added."""
    order = (ChangeKind.DELETED, ChangeKind.MODIFIED, ChangeKind.ADDED)
    shown = sorted(files, key=lambda change: order.index(change.kind))[:MOST_FILES]
    words = [f"{kind.value} {', '.join(code(one.path) for one in same)}" for kind, same in groupby(shown, key=lambda change: change.kind)]
    return "; ".join(words) + (f"; and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else "")


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
    yield f"- {cell(environment.name)}, in {code(root.path)}: {code(steps)}, then {code(f'terraform apply {saved}')}"


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
