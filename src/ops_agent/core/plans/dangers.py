"""The danger list: what a reviewer must look at, computed from the plan's values, three-valued (yes, no, cannot tell until apply)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from ops_agent.core.plans.danger_lockouts import hidden_dangers, lockout_dangers
from ops_agent.core.plans.danger_policies import policy_dangers
from ops_agent.core.plans.data_losses import losses, made_here
from ops_agent.core.plans.losses import LOSES_DATA
from ops_agent.core.plans.plan_types import STATEFUL
from ops_agent.core.plans.plan_values import blocks
from ops_agent.domain.terraform_plan import UNKNOWN, Danger, Hidden, ResourceAction, ResourceChange, Severity

_PROTECTIONS: Final = (
    "deletion_protection",
    "deletion_protection_enabled",
    "enable_deletion_protection",
    "termination_protection",
    "disable_api_termination",
    "delete_protection",
)
_ON: Final = (True, "ACTIVE")
"""A user pool says its protection in words."""
_PUBLIC_BLOCKS: Final = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
_ENCRYPTION: Final = (
    "storage_encrypted",
    "encrypted",
    "at_rest_encryption_enabled",
    "transit_encryption_enabled",
    "encryption_at_rest_enabled",
)
_PUBLIC_FLAGS: Final = ("publicly_accessible", "associate_public_ip_address", "assign_public_ip", "map_public_ip_on_launch")
_RANGES: Final = ("cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6", "cidr_block", "ipv6_cidr_block")
_EVERYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
_PUBLIC_ACLS: Final = frozenset({"public-read", "public-read-write", "authenticated-read", "website"})
_CANNOT_TELL: Final = "cannot tell until apply"


LIFTED_BY_ALLOW_DESTROY: Final = frozenset({"plan/destroys-stateful"})
"""Rules that block unless a writer put the label `allow-destroy`: the judge lifts them, for it knows the label."""


def dangers_of(changes: tuple[ResourceChange, ...], invocations: tuple[str, ...] = ()) -> tuple[Danger, ...]:
    """Every danger, worst first (destroys, then the rest), in the plan's order within."""
    made = made_here(changes)
    found: list[Danger] = [danger for change in changes for danger in _of_change(change, made)]
    found += [_danger(address, "runs-an-action", "an apply would run this provider action") for address in invocations]
    return tuple(sorted(found, key=danger_rank))


def danger_rank(danger: Danger) -> tuple[bool, bool, bool]:
    """Sorts dangers: dangers before notices, destroys first, then what loses data."""
    return danger.severity is not Severity.DANGER, not danger.rule.startswith("plan/destroys"), danger.rule != LOSES_DATA


def is_final(danger: Danger) -> bool:
    """Whether something goes that an apply of the old code does not bring back as it was: a destroy, or data."""
    return danger.rule.startswith("plan/destroys") or danger.rule == LOSES_DATA


def _of_change(change: ResourceChange, made: frozenset[str]) -> Iterator[Danger]:
    if change.mode != "managed":
        return
    yield from _destruction(change)
    yield from _forgotten(change)
    yield from _losses(change, made)
    if isinstance(change.after, Hidden):
        yield _danger(change.address, "hidden-value", "all of it is hidden: nobody can see what it does")
    if change.action is ResourceAction.DELETE or not isinstance(change.after, dict):
        return
    for check in _CHECKS:
        yield from check(change, change.after)
    yield from policy_dangers(change)


def _losses(change: ResourceChange, made: frozenset[str]) -> Iterator[Danger]:
    for loss in losses(change, made):
        if loss.grave is not None:
            severity = Severity.DANGER if loss.known and loss.grave else Severity.NOTICE
            yield Danger(address=change.address, why=loss.why, rule=loss.rule, severity=severity)


def _destruction(change: ResourceChange) -> Iterator[Danger]:
    if not change.action.destroys:
        return
    replaced = change.action is not ResourceAction.DELETE
    loss = STATEFUL.get(change.type)
    verb = "replaced" if replaced else "destroyed"
    because = f" ({', '.join(change.replace_paths[:3])} changes)" if replaced and change.replace_paths else ""
    if loss:
        why = f"is {verb}{because}: {loss}"
        yield Danger(address=change.address, why=why, rule="plan/destroys-stateful", blocks=True)
    else:
        yield _notice(change.address, "destroys", f"is {verb}{because}")
    before = change.before if isinstance(change.before, dict) else {}
    if before.get("skip_final_snapshot") is True:
        yield _danger(change.address, "no-final-snapshot", "`skip_final_snapshot` is true: nothing is kept when it is destroyed")
    if before.get("force_destroy") is True or before.get("force_delete") is True:
        yield _danger(change.address, "destroys-contents", "`force_destroy` is true: its contents are deleted with it")


def _forgotten(change: ResourceChange) -> Iterator[Danger]:
    if change.action in (ResourceAction.FORGET, ResourceAction.REPLACE_FORGET):
        yield _danger(change.address, "forgotten", "Terraform lets go of it: it stays in the account, unmanaged")


def _protection(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    before = change.before if isinstance(change.before, dict) else {}
    for name in _PROTECTIONS:
        if before.get(name) in _ON and after.get(name) not in _ON:
            if isinstance(after.get(name), Hidden):
                yield _notice(change.address, "protection-off", f"{_CANNOT_TELL} whether `{name}` stays on")
            else:
                yield _danger(change.address, "protection-off", f"`{name}` was on and is not any more")
    for name in ("skip_final_snapshot", "force_destroy", "force_delete", "delete_automated_backups"):
        made = change.action is ResourceAction.CREATE and name == "delete_automated_backups"
        if after.get(name) is True and before.get(name) is not True and name in change.changed_attributes and not made:
            yield _danger(change.address, "destroy-made-easy", f"`{name}` becomes true")
    if (
        _number(after.get("backup_retention_period")) == 0
        and "backup_retention_period" in change.changed_attributes
        and change.type.startswith("aws_")
    ):
        yield _danger(change.address, "no-backups", "`backup_retention_period` is 0: no backups are kept")
    window = after.get("recovery_window_in_days", after.get("deletion_window_in_days"))
    if change.type == "aws_secretsmanager_secret" and _number(window) == 0:
        yield _danger(change.address, "destroy-made-easy", "`recovery_window_in_days` is 0: a deleted secret cannot be brought back")


def _open_network(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    rules: list[dict[str, Any]] = list(blocks(after.get("ingress"))) if "ingress" in change.changed_attributes else []
    if (
        change.type == "aws_security_group_rule" and after.get("type") == "ingress"
    ) or change.type == "aws_vpc_security_group_ingress_rule":
        rules.append(after)
    for rule in rules:
        ranges = [rule[name] for name in _RANGES if name in rule]
        flat = [entry for value in ranges for entry in (value if isinstance(value, list) else [value])]
        open_to = sorted({entry for entry in flat if isinstance(entry, str) and entry in _EVERYWHERE})
        if open_to:
            ports = f"ports {rule.get('from_port')} to {rule.get('to_port')}"
            yield _danger(change.address, "open-to-everyone", f"lets in {' and '.join(open_to)} on {ports}")
        elif any(entry is UNKNOWN for entry in flat if change.type != "aws_security_group") or after.get("ingress") is UNKNOWN:
            yield _notice(change.address, "open-to-everyone", f"{_CANNOT_TELL} from where it lets in")
    for name in _PUBLIC_FLAGS:
        if after.get(name) is True and name in change.changed_attributes:
            yield _danger(change.address, "public-address", f"`{name}` is true: it can be reached from the internet")


def _public_bucket(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    acl = after.get("acl")
    if isinstance(acl, str) and acl in _PUBLIC_ACLS and "acl" in change.changed_attributes:
        yield _danger(change.address, "public-bucket", f"`acl` is {acl}")
    if "public_access_block" in change.type:
        off = [name for name in _PUBLIC_BLOCKS if after.get(name) is False and name in change.changed_attributes]
        if off:
            yield _danger(change.address, "public-bucket", f"{', '.join(f'`{name}`' for name in off)} off")
    for grant in blocks(after.get("grant")):
        if "AllUsers" in str(grant.get("uri")) or "AuthenticatedUsers" in str(grant.get("uri")):
            yield _danger(change.address, "public-bucket", "grants access to everyone")
    if change.type == "aws_lambda_function_url" and after.get("authorization_type") == "NONE":
        yield _danger(change.address, "public-function", "`authorization_type` is NONE: anyone may call it")


def _unencrypted(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    for name in _ENCRYPTION:
        if after.get(name) is False and name in change.changed_attributes:
            yield _danger(change.address, "unencrypted", f"`{name}` is false")
    for block in blocks(after.get("server_side_encryption")):
        if block.get("enabled") is False and change.type != "aws_dynamodb_table":
            yield _danger(change.address, "unencrypted", "`server_side_encryption` is off")
    if change.type in ("aws_lb_listener", "aws_alb_listener") and after.get("protocol") == "HTTP":
        redirects = [action for action in blocks(after.get("default_action")) if action.get("type") == "redirect"]
        if not redirects:
            yield _danger(change.address, "unencrypted", "listens on plain HTTP")


def _code(change: ResourceChange, after: dict[str, Any]) -> Iterator[Danger]:
    for name in ("user_data", "user_data_base64"):
        if name in change.changed_attributes and after.get(name) not in (None, ""):
            if after.get(name) is UNKNOWN:
                if change.action is not ResourceAction.CREATE:
                    yield _notice(change.address, "runs-code", f"{_CANNOT_TELL} what `{name}` runs at start")
            else:
                yield _danger(change.address, "runs-code", f"`{name}` runs as root when it starts")


def _number(value: Any) -> Any:
    return None if isinstance(value, bool) else value


def _danger(address: str, rule: str, why: str) -> Danger:
    return Danger(address=address, why=why, rule=f"plan/{rule}")


def _notice(address: str, rule: str, why: str) -> Danger:
    return Danger(address=address, why=why, rule=f"plan/{rule}", severity=Severity.NOTICE)


_CHECKS: Final[tuple[Callable[[ResourceChange, dict[str, Any]], Iterator[Danger]], ...]] = (
    _protection,
    _open_network,
    _public_bucket,
    _unencrypted,
    _code,
    lockout_dangers,
    hidden_dangers,
)
