"""Dangers inside AWS policy documents: `*` actions and resources, everyone as principal, principals of other accounts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from ops_agent.core.plans.plan_values import blocks
from ops_agent.domain.terraform_plan import UNKNOWN, Danger, ResourceAction, ResourceChange, Severity

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
    {"iam:passrole", "iam:createaccesskey", "iam:attachrolepolicy", "iam:attachuserpolicy", "iam:putrolepolicy", "iam:putuserpolicy"}
    | {"iam:attachgrouppolicy", "iam:putgrouppolicy", "iam:addusertogroup", "iam:createloginprofile", "iam:updateloginprofile"}
    | {"iam:deleterolepermissionsboundary", "iam:putrolepermissionsboundary", "iam:deleteuserpermissionsboundary"}
    | {"iam:createpolicyversion", "iam:setdefaultpolicyversion", "iam:updateassumerolepolicy", "sts:assumerole"}
)


def policy_dangers(change: ResourceChange) -> Iterator[Danger]:
    """Dangers in the policy documents that `change` sets, one for each reason and attribute."""
    after = change.after if isinstance(change.after, dict) else {}
    seen: set[str] = set()
    for why, rule in _reasons(change, after):
        if why not in seen:
            seen.add(why)
            cannot = rule.startswith("?")
            yield Danger(
                address=change.address,
                why=why,
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
                for why, rule in _document(document, trust=name == "assume_role_policy", identity=change.type.startswith("aws_iam_")):
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
        escalating = sorted(action for action in actions if any(fnmatchcase(name, action.lower()) for name in _ESCALATIONS))
        escalating = [] if "*" in actions else escalating
        if escalating:
            yield f"allows {', '.join(f'`{action}`' for action in escalating[:5])} on every resource: a way to more rights", "iam-wildcard"
        elif "*" not in actions and any("*" in action or "?" in action for action in actions):
            yield "allows whole groups of actions on every resource (`*`)", "iam-wildcard"
    if "NotPrincipal" in statement:
        yield "allows everyone but a list (`NotPrincipal`)", "foreign-principal"
    principals = statement.get("Principal")
    names = (
        _texts(principals) if isinstance(principals, str | list) else _texts(principals.get("AWS")) if isinstance(principals, dict) else []
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
