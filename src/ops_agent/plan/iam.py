"""Who may do what after the apply: policy documents that allow too much or let everyone in, and changes that take
permissions or access away from those who have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from ops_agent.model.finding import Finding
from ops_agent.model.plan import UNKNOWN, ResourceAction, ResourceChange
from ops_agent.plan.findings import finding, table
from ops_agent.plan.masking import blocks, parsed_json

_ARGUMENTS: Final = table("arguments")
POLICY_DOCUMENTS: Final[tuple[str, ...]] = tuple(_ARGUMENTS["policy_documents"])
_ESCALATIONS: Final[tuple[str, ...]] = tuple(_ARGUMENTS["ways_to_more_permissions"])
_EXCLUSIVE: Final[dict[str, str]] = _ARGUMENTS["takes_away_unlisted"]
# Managed by AWS; `[^/]*` may hold a path. Administration of everything, or of who may do what, of secrets and keys.
_WIDE_MANAGED = re.compile(
    r"arn:[^:]*:iam::aws:policy/([^/]*/)?("
    r"(AdministratorAccess|PowerUser|IAMFullAccess|SystemAdministrator|SecretsManagerReadWrite).*"
    r"|(AWSOrganizations|AWSLambda_|AmazonSSM|AmazonS3|AmazonEC2|AmazonDynamoDB|AWSKeyManagementService|AWSSSM"
    r"|AWSSSOMember).*(FullAccess|PowerUser))"
)
_SERVICE_ADMIN = re.compile(r"(?:iam|sts|organizations|kms|secretsmanager|lambda|s3|ec2|ssm):\*+$", re.IGNORECASE)
# Every resource, or every role, user, group, policy, however it is spelled: `*`, `**`, `arn:aws:iam::*:role/*`.
_EVERY_RESOURCE = re.compile(r"[*?]+|arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z*-]+[/:])?[*?/]+|arn:[*?:]*")


def policy_findings(change: ResourceChange) -> Iterator[Finding]:
    """What the policy documents that `change` sets allow, one finding for each reason and attribute."""
    for rule, what in dict.fromkeys(_reasons(change)):
        yield finding(rule, change.address, what)


def access_findings(change: ResourceChange) -> Iterator[Finding]:
    """What `change` makes unreachable for those who reach it today."""
    if change.type in _EXCLUSIVE:
        yield finding("takes-rights", change.address, _EXCLUSIVE[change.type])
    enabled = "is_enabled" if change.type == "aws_kms_key" else "enabled" if change.type.startswith("aws_kms_") else ""
    if enabled and change.new.get(enabled) is False and change.old.get(enabled) is not False:
        why = f"`{enabled}` is false: nothing that the key encrypts can be read while it is disabled"
        yield finding("locks-out", change.address, why)
    bypass = "bypass_policy_lockout_safety_check"
    if change.new.get(bypass) is True and bypass in change.changed_attributes:
        why = f"`{bypass}` is true: its policy may lock everyone out for good"
        yield finding("locks-out", change.address, why)
    if not change.type.startswith("aws_iam_"):
        for name in change.changed_attributes:
            if name in POLICY_DOCUMENTS and any(map(_denies_everyone, _statements(parsed_json(change.new.get(name))))):
                why = f"`{name}` denies everyone, the team included, without a condition"
                yield finding("locks-out", change.address, why)
    old, new = change.old.get("managed_policy_arns"), change.new.get("managed_policy_arns")
    if change.action is ResourceAction.UPDATE and isinstance(old, list) and isinstance(new, list):
        gone = sorted({arn.rsplit("/", 1)[-1] for arn in old if type(arn) is str and arn not in new})
        if gone:
            yield finding("takes-rights", change.address, f"detaches {', '.join(gone[:5])} from the role")


def _reasons(change: ResourceChange) -> Iterator[tuple[str, str]]:
    """(rule, what it finds)."""
    for name in POLICY_DOCUMENTS:
        if name not in change.changed_attributes:
            continue
        value = change.new.get(name)
        may_be_wide = change.type.startswith("aws_iam") or "policy" in change.type
        if value is UNKNOWN and (may_be_wide or change.action is not ResourceAction.CREATE):
            yield "policy-unknown", f"`{name}`: cannot tell until apply what it allows"
        for document in [value] if isinstance(value, str) else [block.get("policy") for block in blocks(value)]:
            parsed = parsed_json(document)
            if type(document) is str and parsed is None and "Statement" in document:
                yield "policy-unreadable", f"`{name}` cannot be read as a policy document"
            for statement in _statements(parsed):
                if statement.get("Effect") == "Allow":
                    trust, identity = name == "assume_role_policy", change.type.startswith("aws_iam_")
                    yield from ((rule, f"`{name}` {what}") for rule, what in _allowed(statement, trust, identity))
    for name in ("policy_arn", "managed_policy_arns"):
        for arn in _texts(change.new.get(name)) if name in change.changed_attributes else ():
            if _WIDE_MANAGED.fullmatch(arn):
                yield "iam-wildcard", f"attaches {arn.rsplit('/', 1)[-1]}"
    if change.type == "aws_lambda_permission" and change.new.get("principal") == "*":
        yield "foreign-principal", "`principal` is `*`: anyone may call the function"


def _statements(policy: Any) -> Iterator[dict[str, Any]]:
    return blocks(policy.get("Statement") if isinstance(policy, dict) else None)


def _allowed(statement: dict[str, Any], trust: bool, identity: bool) -> Iterator[tuple[str, str]]:
    """(rule, what it finds) of a statement with the effect `Allow`."""
    actions = _texts(statement.get("Action"))
    if "*" in actions:
        yield "iam-wildcard", "allows every action (`*`)"
    elif any(set(action) <= {"*", "?", ":"} for action in actions):
        yield "iam-wildcard", "allows every action (by wildcards)"
    if wide := [action for action in actions if _SERVICE_ADMIN.match(action)]:
        yield "iam-wildcard", f"allows {_few(wide)}"
    for key, things in (("NotAction", "actions"), ("NotResource", "resources")):
        if key in statement:
            yield "iam-wildcard", f"allows all {things} except a list (`{key}`)"
    everywhere = any(_EVERY_RESOURCE.fullmatch(resource) for resource in _texts(statement.get("Resource")))
    if identity and not trust and everywhere and "*" not in actions:
        escalating = [a for a in actions if any(fnmatchcase(known, a.lower()) for known in _ESCALATIONS)]
        if escalating:
            yield "iam-wildcard", f"allows {_few(escalating)} on every resource: a way to more permissions"
        elif any("*" in action or "?" in action for action in actions):
            yield "iam-wildcard", "allows whole groups of actions on every resource (`*`)"
    yield from _let_in(statement, trust)


def _let_in(statement: dict[str, Any], trust: bool) -> Iterator[tuple[str, str]]:
    if "NotPrincipal" in statement:
        yield "foreign-principal", "lets in everyone except a list (`NotPrincipal`)"
    if "*" in _principals(statement):
        limited = " under a condition" if statement.get("Condition") else ""
        yield "foreign-principal", f"lets everyone in (`Principal` is `*`){limited}"
    principal = statement.get("Principal")
    federated = _texts(principal.get("Federated")) if isinstance(principal, dict) else []
    if federated and trust and not statement.get("Condition"):
        yield "foreign-principal", f"trusts {federated[0][:100]} without a condition"


def _denies_everyone(statement: dict[str, Any]) -> bool:
    wide = any(action.endswith("*") for action in _texts(statement.get("Action")))
    return (
        statement.get("Effect") == "Deny" and wide and "*" in _principals(statement) and not statement.get("Condition")
    )


def _principals(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    return _texts(principal.get("AWS") if isinstance(principal, dict) else principal)


def _texts(value: Any) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, str)]


def _few(actions: list[str]) -> str:
    return ", ".join(f"`{action}`" for action in sorted(set(actions))[:5])
