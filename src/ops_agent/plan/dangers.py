"""The danger list: what a reviewer must look at, computed from the plan's values, three-valued (yes, no, cannot tell
until apply).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import UNKNOWN, Hidden, ResourceAction, ResourceChange
from ops_agent.plan.losses import LOSES_DATA, losses, made_here
from ops_agent.plan.references import without_key
from ops_agent.plan.values import STATEFUL, blocks, has_sensitive

# Dangers inside AWS policy documents: `*` actions and resources, everyone as principal, principals of other accounts.

POLICY_ATTRIBUTES: Final = (
    "policy",
    "assume_role_policy",
    "access_policy",
    "access_policies",
    "inline_policy",
    "redrive_allow_policy",
    "resource_policy",
    "repository_policy_text",
    "policy_document",
    "key_policy",
)
# Managed by AWS; `[^/]*` may hold a path. Administration of everything, or of who may do what, of secrets and keys.
_WIDE_MANAGED = re.compile(
    r"arn:[^:]*:iam::aws:policy/([^/]*/)?((AdministratorAccess|PowerUser|IAMFullAccess|SystemAdministrator|SecretsManagerReadWrite).*"
    r"|(AWSOrganizations|AWSLambda_|AmazonSSM|AmazonS3|AmazonEC2|AmazonDynamoDB|AWSKeyManagementService|AWSSSM|AWSSSOMember).*(FullAccess|PowerUser))"
)
_SERVICE_ADMIN = re.compile(r"(?:iam|sts|organizations|kms|secretsmanager|lambda|s3|ec2|ssm):\*$", re.IGNORECASE)
# Every resource, or every role, user, group, policy, however it is spelled: `*`, `**`, `arn:aws:iam::*:role/*`.
_EVERY_RESOURCE = re.compile(r"[*?]+|arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z*-]+[/:])?[*?/]+|arn:[*?:]*")
_ESCALATIONS: Final = frozenset(
    {
        "iam:passrole",
        "iam:createaccesskey",
        "iam:attachrolepolicy",
        "iam:attachuserpolicy",
        "iam:putrolepolicy",
        "iam:putuserpolicy",
    }
    | {
        "iam:attachgrouppolicy",
        "iam:putgrouppolicy",
        "iam:addusertogroup",
        "iam:createloginprofile",
        "iam:updateloginprofile",
    }
    | {"iam:deleterolepermissionsboundary", "iam:putrolepermissionsboundary", "iam:deleteuserpermissionsboundary"}
    | {"iam:createpolicyversion", "iam:setdefaultpolicyversion", "iam:updateassumerolepolicy", "sts:assumerole"}
)


def policy_dangers(change: ResourceChange) -> Iterator[Finding]:
    """Dangers in the policy documents that `change` sets, one for each reason and attribute."""
    after = change.after if isinstance(change.after, dict) else {}
    seen: set[str] = set()
    for why, rule in _reasons(change, after):
        if why not in seen:
            seen.add(why)
            cannot = rule.startswith("?")
            yield Finding(
                address=change.address,
                what=why,
                rule=f"plan/{rule.lstrip('?')}",
                severity=Severity.NOTICE if cannot else Severity.DANGER,
            )


def _reasons(change: ResourceChange, after: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in POLICY_ATTRIBUTES:
        if name not in change.changed_attributes:
            continue
        value = after.get(name)
        if value is UNKNOWN and (
            change.type.startswith("aws_iam") or change.action is not ResourceAction.CREATE or "policy" in change.type
        ):
            yield f"`{name}`: cannot tell until apply what it allows", "?policy-unknown"
        documents = [value] if isinstance(value, str) else [block.get("policy") for block in blocks(value)]
        for document in documents:
            if isinstance(document, str) and document is not UNKNOWN:
                for why, rule in _document(
                    document, trust=name == "assume_role_policy", identity=change.type.startswith("aws_iam_")
                ):
                    yield f"`{name}` {why}", rule
    for name in ("policy_arn", "managed_policy_arns"):
        value = after.get(name) if name in change.changed_attributes else None
        for arn in value if isinstance(value, list) else [value]:
            if isinstance(arn, str) and _WIDE_MANAGED.fullmatch(arn):
                yield f"attaches {arn.rsplit('/', 1)[-1]}", "iam-wildcard"
    if change.type == "aws_lambda_permission" and after.get("principal") == "*":
        yield "`principal` is `*`: anyone may call the function", "foreign-principal"


def _document(document: str, *, trust: bool, identity: bool) -> Iterator[tuple[str, str]]:
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        if "Statement" in document:
            yield "is not readable as a policy document", "policy-unreadable"
        return
    statements = parsed.get("Statement") if isinstance(parsed, dict) else None
    for statement in blocks(statements):
        if statement.get("Effect") == "Allow":
            yield from _allowed(statement, trust=trust, identity=identity)


def _allowed(statement: dict[str, Any], *, trust: bool, identity: bool) -> Iterator[tuple[str, str]]:
    actions, resources = _texts(statement.get("Action")), _texts(statement.get("Resource"))
    if "*" in actions:
        yield "allows every action (`*`)", "iam-wildcard"
    elif any(set(action) <= {"*", "?", ":"} for action in actions):
        yield "allows every action (by wildcards)", "iam-wildcard"
    wide = sorted({action for action in actions if _SERVICE_ADMIN.match(re.sub(r"\*+", "*", action))})
    if wide:
        yield f"allows {', '.join(f'`{action}`' for action in wide[:5])}", "iam-wildcard"
    if "NotAction" in statement:
        yield "allows everything but a list (`NotAction`)", "iam-wildcard"
    if "NotResource" in statement:
        yield "allows all resources but a list (`NotResource`)", "iam-wildcard"
    if identity and not trust and any(_EVERY_RESOURCE.fullmatch(resource) for resource in resources):
        escalating = sorted(
            action for action in actions if any(fnmatchcase(name, action.lower()) for name in _ESCALATIONS)
        )
        escalating = [] if "*" in actions else escalating
        if escalating:
            yield (
                f"allows {', '.join(f'`{action}`' for action in escalating[:5])} on every resource: a way to more rights",
                "iam-wildcard",
            )
        elif "*" not in actions and any("*" in action or "?" in action for action in actions):
            yield "allows whole groups of actions on every resource (`*`)", "iam-wildcard"
    if "NotPrincipal" in statement:
        yield "allows everyone but a list (`NotPrincipal`)", "foreign-principal"
    principals = statement.get("Principal")
    names = (
        _texts(principals)
        if isinstance(principals, str | list)
        else _texts(principals.get("AWS"))
        if isinstance(principals, dict)
        else []
    )
    if "*" in names:
        limited = " under a condition" if statement.get("Condition") else ""
        yield f"lets everyone in (`Principal` is `*`){limited}", "foreign-principal"
    federated = _texts(principals.get("Federated")) if isinstance(principals, dict) else []
    if federated and trust and not statement.get("Condition"):
        yield f"trusts {federated[0][:100]} without a condition", "foreign-principal"


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


# Dangers of a change that shuts people out, and of one that shuts the reviewer out: rights taken away, keys disabled,
# values hidden.

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
    {
        *POLICY_ATTRIBUTES,
        "policy_arn",
        "managed_policy_arns",
        "principal",
        "acl",
        "grant",
        "ingress",
        "authorization_type",
    }
    | {"cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6", "cidr_block", "ipv6_cidr_block"}
    | {"publicly_accessible", "associate_public_ip_address", "assign_public_ip", "map_public_ip_on_launch"}
    | {"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"}
)
"""What the other checks read."""
_WINDOWS: Final = {"aws_kms_key": "deletion_window_in_days", "aws_secretsmanager_secret": "recovery_window_in_days"}


def lockout_dangers(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
    """What `change` makes unreachable for those who reach it today."""
    before = change.before if isinstance(change.before, dict) else {}
    if change.type in _EXCLUSIVE:
        yield _danger_lockouts_danger(change, "takes-rights", _EXCLUSIVE[change.type])
    enabled = "is_enabled" if change.type == "aws_kms_key" else "enabled" if change.type.startswith("aws_kms_") else ""
    if enabled and after.get(enabled) is False and before.get(enabled) is not False:
        yield _danger_lockouts_danger(
            change, "locks-out", f"`{enabled}` is false: nothing that the key encrypts can be read while it is off"
        )
    if (
        after.get("bypass_policy_lockout_safety_check") is True
        and "bypass_policy_lockout_safety_check" in change.changed_attributes
    ):
        yield _danger_lockouts_danger(
            change,
            "locks-out",
            "`bypass_policy_lockout_safety_check` is true: its policy may lock everyone out for good",
        )
    if not change.type.startswith("aws_iam_"):
        for name in change.changed_attributes:
            if name in POLICY_ATTRIBUTES and _denies_everyone(after.get(name)):
                yield _danger_lockouts_danger(
                    change, "locks-out", f"`{name}` denies everyone, the team too, and has no condition"
                )
    window = _WINDOWS.get(change.type, "")
    old, new = before.get(window), after.get(window)
    if isinstance(old, int) and isinstance(new, int) and 0 < new < old:
        why = f"`{window}` falls from {old} to {new}: less time to notice a deletion"
        yield Finding(address=change.address, what=why, rule="plan/destroy-made-easy", severity=Severity.NOTICE)
    if change.action is ResourceAction.UPDATE:
        yield from _detached(change, before, after)


def hidden_dangers(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
    """What is judged by its value and marked sensitive, so that neither these checks nor a reviewer see it."""
    for name in change.changed_attributes:
        if name in _JUDGED and has_sensitive(after.get(name)):
            yield _danger_lockouts_danger(
                change, "hidden-value", f"`{name}` is marked sensitive: nobody can see what it allows"
            )


def _detached(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    old, new = before.get("managed_policy_arns"), after.get("managed_policy_arns")
    if isinstance(old, list) and isinstance(new, list):
        gone = sorted({arn.rsplit("/", 1)[-1] for arn in old if type(arn) is str and arn not in new})
        if gone:
            yield _danger_lockouts_danger(change, "takes-rights", f"takes {', '.join(gone[:5])} away from the role")


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
        wide = any(
            isinstance(action, str) and action.endswith("*")
            for action in (actions if isinstance(actions, list) else [actions])
        )
        everyone = named == "*" or (isinstance(named, list) and "*" in named)
        if statement.get("Effect") == "Deny" and everyone and wide and not statement.get("Condition"):
            return True
    return False


def _danger_lockouts_danger(change: ResourceChange, rule: str, why: str) -> Finding:
    return Finding(address=change.address, what=why, rule=f"plan/{rule}", severity=Severity.DANGER)


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
_PUBLIC_FLAGS: Final = (
    "publicly_accessible",
    "associate_public_ip_address",
    "assign_public_ip",
    "map_public_ip_on_launch",
)
_RANGES: Final = ("cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6", "cidr_block", "ipv6_cidr_block")
_EVERYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
_PUBLIC_ACLS: Final = frozenset({"public-read", "public-read-write", "authenticated-read", "website"})
_CANNOT_TELL: Final = "cannot tell until apply"


LIFTED_BY_ALLOW_DESTROY: Final = frozenset({"plan/destroys-stateful"})
"""Rules that block unless a writer put the label `allow-destroy`: the judge lifts them, for it knows the label."""


def dangers_of(changes: tuple[ResourceChange, ...], invocations: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Every danger, worst first (destroys, then the rest), in the plan's order within."""
    made = made_here(changes)
    found: list[Finding] = [danger for change in changes for danger in _of_change(change, made)]
    found += [_danger(address, "runs-an-action", "an apply would run this provider action") for address in invocations]
    return tuple(sorted(found, key=danger_rank))


def danger_rank(danger: Finding) -> tuple[bool, bool, bool]:
    """Sorts dangers: dangers before notices, destroys first, then what loses data."""
    return (
        danger.severity is Severity.NOTICE,
        not danger.rule.startswith("plan/destroys"),
        danger.rule != LOSES_DATA,
    )


def is_final(danger: Finding) -> bool:
    """Whether something goes that an apply of the old code does not bring back as it was: a destroy, or data."""
    return danger.rule.startswith("plan/destroys") or danger.rule == LOSES_DATA


def _of_change(change: ResourceChange, made: frozenset[str]) -> Iterator[Finding]:
    if change.mode != "managed":
        return
    yield from _destruction(change)
    yield from _forgotten(change)
    yield from losses(change, made)
    if isinstance(change.after, Hidden):
        yield _danger(change.address, "hidden-value", "all of it is hidden: nobody can see what it does")
    if change.action is ResourceAction.DELETE or not isinstance(change.after, dict):
        return
    for check in _CHECKS:
        yield from check(change, change.after)
    yield from policy_dangers(change)


def _destruction(change: ResourceChange) -> Iterator[Finding]:
    if not change.action.destroys:
        return
    replaced = change.action is not ResourceAction.DELETE
    loss = STATEFUL.get(change.type)
    verb = "replaced" if replaced else "destroyed"
    because = f" ({', '.join(change.replace_paths[:3])} changes)" if replaced and change.replace_paths else ""
    if loss:
        why = f"is {verb}{because}: {loss}"
        yield Finding(address=change.address, what=why, rule="plan/destroys-stateful", severity=Severity.BLOCKS)
    else:
        yield _notice(change.address, "destroys", f"is {verb}{because}")
    before = change.before if isinstance(change.before, dict) else {}
    if before.get("skip_final_snapshot") is True:
        yield _danger(
            change.address, "no-final-snapshot", "`skip_final_snapshot` is true: nothing is kept when it is destroyed"
        )
    if before.get("force_destroy") is True or before.get("force_delete") is True:
        yield _danger(change.address, "destroys-contents", "`force_destroy` is true: its contents are deleted with it")


def _forgotten(change: ResourceChange) -> Iterator[Finding]:
    if change.action in (ResourceAction.FORGET, ResourceAction.REPLACE_FORGET):
        yield _danger(change.address, "forgotten", "Terraform lets go of it: it stays in the account, unmanaged")


def _protection(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
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
        yield _danger(
            change.address,
            "destroy-made-easy",
            "`recovery_window_in_days` is 0: a deleted secret cannot be brought back",
        )


def _open_network(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
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
        elif (
            any(entry is UNKNOWN for entry in flat if change.type != "aws_security_group")
            or after.get("ingress") is UNKNOWN
        ):
            yield _notice(change.address, "open-to-everyone", f"{_CANNOT_TELL} from where it lets in")
    for name in _PUBLIC_FLAGS:
        if after.get(name) is True and name in change.changed_attributes:
            yield _danger(change.address, "public-address", f"`{name}` is true: it can be reached from the internet")


def _public_bucket(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
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


def _unencrypted(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
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


def _code(change: ResourceChange, after: dict[str, Any]) -> Iterator[Finding]:
    for name in ("user_data", "user_data_base64"):
        if name in change.changed_attributes and after.get(name) not in (None, ""):
            if after.get(name) is UNKNOWN:
                if change.action is not ResourceAction.CREATE:
                    yield _notice(change.address, "runs-code", f"{_CANNOT_TELL} what `{name}` runs at start")
            else:
                yield _danger(change.address, "runs-code", f"`{name}` runs as root when it starts")


def _number(value: Any) -> Any:
    return None if isinstance(value, bool) else value


def _danger(address: str, rule: str, why: str) -> Finding:
    return Finding(address=address, what=why, rule=f"plan/{rule}", severity=Severity.DANGER)


def _notice(address: str, rule: str, why: str) -> Finding:
    return Finding(address=address, what=why, rule=f"plan/{rule}", severity=Severity.NOTICE)


_CHECKS: Final[tuple[Callable[[ResourceChange, dict[str, Any]], Iterator[Finding]], ...]] = (
    _protection,
    _open_network,
    _public_bucket,
    _unencrypted,
    _code,
    lockout_dangers,
    hidden_dangers,
)


# Provisioners: programs that an apply runs where it runs, for resources that the plan makes, replaces or destroys.
#
# The source rules let the llm write none; but one in a module from outside, or in code that stands, runs with what the
# change hands to it, and no line of the plan's text shows it.


def program_dangers(plan: dict[str, Any], changes: Iterable[ResourceChange]) -> Iterator[Finding]:
    """One danger for each changed resource whose configuration has provisioners. An update in place runs none."""
    runs = dict(_provisioners(plan))
    for change in changes if runs else ():
        if change.mode == "managed" and (change.action is ResourceAction.CREATE or change.action.destroys):
            kinds = runs.get(without_key(change.address))
            if kinds:
                may = "may run" if change.action is ResourceAction.DELETE else "runs"
                why = f"an apply {may} what its provisioners say ({', '.join(kinds)}), which no plan shows"
                yield Finding(address=change.address, what=why, rule="plan/runs-a-program", severity=Severity.DANGER)


def _provisioners(plan: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(configuration address, kinds of provisioners) of every resource that has some."""
    configuration = plan.get("configuration")
    stack: list[tuple[str, Any]] = [("", configuration.get("root_module") if isinstance(configuration, dict) else None)]
    while stack:
        prefix, module = stack.pop()
        if not isinstance(module, dict):
            continue
        for resource in blocks(module.get("resources")):
            kinds = tuple(sorted({str(found.get("type"))[:60] for found in blocks(resource.get("provisioners"))}))
            if kinds:
                yield f"{prefix}{resource.get('address', '')}", kinds
        calls = module.get("module_calls")
        for name, call in calls.items() if isinstance(calls, dict) else ():
            if isinstance(call, dict):
                stack.append((f"{prefix}module.{name}.", call.get("module")))
