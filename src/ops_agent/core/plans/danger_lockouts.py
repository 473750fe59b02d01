"""Dangers of a change that shuts people out, and of one that shuts the reviewer out: rights taken away, keys disabled, values hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from ops_agent.core.plans.danger_policies import POLICY_ATTRIBUTES
from ops_agent.core.plans.plan_values import blocks, has_sensitive
from ops_agent.domain.terraform_plan import Danger, ResourceAction, ResourceChange, Severity

_EXCLUSIVE: Final = {
    "aws_iam_policy_attachment": "takes the policy from every user, group and role of the account that it does not name",
    "aws_iam_group_membership": "takes everyone out of the group whom it does not name",
    "aws_iam_role_policies_exclusive": "takes away every inline policy of the role that it does not name",
    "aws_iam_role_policy_attachments_exclusive": "takes away every policy of the role that it does not name",
    "aws_iam_user_policies_exclusive": "takes away every inline policy of the user that it does not name",
    "aws_iam_user_policy_attachments_exclusive": "takes away every policy of the user that it does not name",
    "aws_iam_group_policies_exclusive": "takes away every inline policy of the group that it does not name",
    "aws_iam_group_policy_attachments_exclusive": "takes away every policy of the group that it does not name",
}
_JUDGED: Final = frozenset(
    {*POLICY_ATTRIBUTES, "policy_arn", "managed_policy_arns", "principal", "acl", "grant", "ingress", "authorization_type"}
    | {"cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6", "cidr_block", "ipv6_cidr_block"}
    | {"publicly_accessible", "associate_public_ip_address", "assign_public_ip", "map_public_ip_on_launch"}
    | {"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"}
)
"""What the other checks read."""
_WINDOWS: Final = {"aws_kms_key": "deletion_window_in_days", "aws_secretsmanager_secret": "recovery_window_in_days"}


def lockout_dangers(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    """What `change` makes unreachable for those who reach it today."""
    before = change.before if isinstance(change.before, dict) else {}
    if change.type in _EXCLUSIVE:
        yield _danger(change, "takes-rights", _EXCLUSIVE[change.type])
    enabled = "is_enabled" if change.type == "aws_kms_key" else "enabled" if change.type.startswith("aws_kms_") else ""
    if enabled and after.get(enabled) is False and before.get(enabled) is not False:
        yield _danger(change, "locks-out", f"`{enabled}` is false: nothing that the key encrypts can be read while it is off")
    if after.get("bypass_policy_lockout_safety_check") is True and "bypass_policy_lockout_safety_check" in change.changed_attributes:
        yield _danger(change, "locks-out", "`bypass_policy_lockout_safety_check` is true: its policy may lock everyone out for good")
    if not change.type.startswith("aws_iam_"):
        for name in change.changed_attributes:
            if name in POLICY_ATTRIBUTES and _denies_everyone(after.get(name)):
                yield _danger(change, "locks-out", f"`{name}` denies everyone, the team too, and has no condition")
    window = _WINDOWS.get(change.type, "")
    old, new = before.get(window), after.get(window)
    if isinstance(old, int) and isinstance(new, int) and 0 < new < old:
        why = f"`{window}` falls from {old} to {new}: less time to notice a deletion"
        yield Danger(address=change.address, why=why, rule="plan/destroy-made-easy", severity=Severity.NOTICE)
    if change.action is ResourceAction.UPDATE:
        yield from _detached(change, before, after)


def hidden_dangers(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    """What is judged by its value and marked sensitive, so that neither these checks nor a reviewer see it."""
    for name in change.changed_attributes:
        if name in _JUDGED and has_sensitive(after.get(name)):
            yield _danger(change, "hidden-value", f"`{name}` is marked sensitive: nobody can see what it allows")


def _detached(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Danger]:
    old, new = before.get("managed_policy_arns"), after.get("managed_policy_arns")
    if isinstance(old, list) and isinstance(new, list):
        gone = sorted({arn.rsplit("/", 1)[-1] for arn in old if type(arn) is str and arn not in new})
        if gone:
            yield _danger(change, "takes-rights", f"takes {', '.join(gone[:5])} away from the role")


def _denies_everyone(document: Any) -> bool:
    if type(document) is not str:
        return False
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        return False
    for statement in blocks(parsed.get("Statement") if isinstance(parsed, dict) else None):
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, dict) else principal
        actions = statement.get("Action")
        wide = any(isinstance(action, str) and action.endswith("*") for action in (actions if isinstance(actions, list) else [actions]))
        everyone = named == "*" or (isinstance(named, list) and "*" in named)
        if statement.get("Effect") == "Deny" and everyone and wide and not statement.get("Condition"):
            return True
    return False


def _danger(change: ResourceChange, rule: str, why: str) -> Danger:
    return Danger(address=change.address, why=why, rule=f"plan/{rule}")
