"""What is logged, watched and checked for health, and where: read from the planned changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops_agent.model.plan import UNKNOWN, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.verification import Verification
from ops_agent.pages.fragments import capped
from ops_agent.pages.results import is_own
from ops_agent.plan.configuration import ALARMS, without_key
from ops_agent.plan.masking import blocks, parsed_json
from ops_agent.plan.standards import UNWATCHED
from ops_agent.text.markdown import cell, code

_MOST: Final = 30


def observability(verification: Verification) -> str:
    """Log groups, alarms and health checks among the planned changes; what runs code and has none is named."""
    own = [
        (change, target.plan)
        for target in verification.targets
        if target.plan
        for change in target.caused
        if change.mode == "managed" and isinstance(change.after, dict)
    ]
    observed = [
        f"- **Not watched**: {code(without_key(one.address))} {cell(one.what)}"
        for target in verification.targets
        for one in (target.plan.standards if target.plan else ())
        if one.rule == UNWATCHED and is_own(one, target) and not one.pre_existing
    ]
    observed += [line for change, plan in own if not _goes(change) for line in _observed(change, plan)]
    if lines := list(dict.fromkeys(observed)):
        return "\n".join(capped(lines, _MOST))
    if verification.targets and not any(target.plan for target in verification.targets):
        return "Nothing was planned, so nothing is known here."
    return "The plan changes no log group, alarm or health check." if own else "The plan changes no resource."


def _goes(change: ResourceChange) -> bool:
    return change.action in (ResourceAction.DELETE, ResourceAction.FORGET)


def _observed(change: ResourceChange, plan: TerraformPlan) -> Iterator[str]:
    after, where = change.new, code(change.address)
    match change.type:
        case "aws_cloudwatch_log_group":
            days = after.get("retention_in_days")
            kept = f"kept {days} days" if days else "**kept forever**"
            kept = "retention known after apply" if days is UNKNOWN else kept
            yield f"- Logs: {where} holds {_named(after.get('name'))}, {kept}"
        case "aws_cloudwatch_metric_alarm":
            yield f"- Alarm: {where} on {_named(after.get('metric_name'))}{_undelivered(change, plan)}"
        case "aws_cloudwatch_composite_alarm":
            yield f"- Alarm: {where} on other alarms{_undelivered(change, plan)}"
        case "aws_sns_topic" if _is_silent(change):
            alarms = [one for one in plan.unchanged if one.type in ALARMS and after.get("arn") in _actions(one)]
            yield from (f"- Alarm: {code(one.address)}{_undelivered(one, plan)}" for one in alarms)
        case "aws_ecs_task_definition":
            yield from _containers(change)
        case "aws_lb_target_group" | "aws_alb_target_group":
            path = next((block.get("path") for block in blocks(after.get("health_check"))), None)
            yield f"- Health check: {where} " + (f"requests {_named(path)}" if path else "uses the default")
        case "aws_route53_health_check":
            yield f"- Health check: {where} of {_named(after.get('fqdn') or after.get('ip_address'))}"


def _undelivered(change: ResourceChange, plan: TerraformPlan) -> str:
    """Why an alarm reaches nobody, as a clause; empty when nothing shows that it does not.

    CloudWatch may not use the key `alias/aws/sns` that AWS manages (Amazon SNS developer guide, "Encryption at rest").
    """
    actions = change.new.get("alarm_actions")
    if change.new.get("actions_enabled") is False:
        return ", **its actions are switched off**"
    if not actions:
        return ", **without an action: it notifies nobody**"
    topics = [one for one in (*plan.changes, *plan.unchanged) if _is_silent(one)]
    is_named = {one.new.get("arn") for one in topics} & set(_actions(change))
    if is_named or {(change.address, without_key(one.address)) for one in topics} & plan.notifies:
        return ", **not delivered: its topic is encrypted with `alias/aws/sns`, which CloudWatch may not use**"
    return ""


def _is_silent(change: ResourceChange) -> bool:
    """Whether it is a topic with the key of AWS, by its alias or the alias's ARN."""
    key = str(change.new.get("kms_master_key_id")).removesuffix("alias/aws/sns")
    return change.type == "aws_sns_topic" and key != change.new.get("kms_master_key_id") and key[-1:] in ("", ":")


def _actions(alarm: ResourceChange) -> list[str]:
    actions = alarm.new.get("alarm_actions")
    return [one for one in actions if type(one) is str] if isinstance(actions, list) else []


def _containers(change: ResourceChange) -> Iterator[str]:
    where = code(change.address)
    containers = parsed_json(change.new.get("container_definitions"))
    if containers is None:
        yield f"- Containers of {where}: cannot tell until apply where they log"
    for container in blocks(containers):
        logs = container.get("logConfiguration")
        options = logs.get("options") if isinstance(logs, dict) else None
        group = options.get("awslogs-group") if isinstance(options, dict) else None
        logging = f"logs to {_named(group)}" if group else "logs through its driver" if logs else "**has no logging**"
        checked = "has a health check" if container.get("healthCheck") else "has no health check"
        yield f"- Container {_named(container.get('name'))} of {where} {logging}, {checked}"


def _named(value: object) -> str:
    return "a name known after apply" if value is UNKNOWN else code(str(value))
