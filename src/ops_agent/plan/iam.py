"""Who may do what after the apply: policy documents that allow too much or let everyone in, and changes that take
permissions or access away from those who have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import UNKNOWN, ResourceAction, ResourceChange
from ops_agent.plan.configuration import is_data, is_own
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
_ADMINISTRATOR = re.compile(r"arn:[^:]*:iam::aws:policy/([^/]*/)?(AdministratorAccess.*|IAMFullAccess)")
_READS = re.compile(r"[a-z0-9-]+:(?:Describe|List)", re.IGNORECASE)
_SERVICE_ADMIN = re.compile(r"(?:iam|sts|organizations|kms|secretsmanager|lambda|s3|ec2|ssm):\*+$", re.IGNORECASE)
# Every resource, or every role, user, group, policy, however it is spelled: `*`, `**`, `arn:aws:iam::*:role/*`.
_EVERY_RESOURCE = re.compile(r"[*?]+|arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z*-]+[/:])?[*?/]+|arn:[*?:]*")


@dataclass(frozen=True, slots=True)
class Trust:
    """Who may be let in: the accounts of the inputs. `document(address, argument)` gives the statements of a policy
    that is unknown until the apply, None where the plan does not know them; `sets(address, argument)` says whether the
    configuration sets an argument.
    """

    accounts: frozenset[str] = frozenset()
    document: Callable[[str, str], list[dict[str, Any]] | None] = lambda *_: None
    sets: Callable[[str, str], bool] = lambda *_: True


def policy_findings(change: ResourceChange, trust: Trust) -> Iterator[Finding]:
    """What the policy documents that `change` sets allow, one finding for each reason and attribute."""
    for rule, what, severity in dict.fromkeys(_reasons(change, trust)):
        yield finding(rule, change.address, what, severity)


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


_Reason = tuple[str, str, Severity]


def _reasons(change: ResourceChange, trust: Trust) -> Iterator[_Reason]:
    """(rule, what it finds, how grave it is)."""
    for name in POLICY_DOCUMENTS:
        if name not in change.changed_attributes:
            continue
        value = change.new.get(name)
        statements: list[dict[str, Any]] = []
        if value is UNKNOWN:
            written = trust.document(change.address, name)
            may_be_wide = change.type.startswith("aws_iam") or "policy" in change.type
            if change.action is ResourceAction.CREATE and not trust.sets(change.address, name):
                continue
            if written is None and (may_be_wide or change.action is not ResourceAction.CREATE):
                yield "policy-unknown", f"`{name}`: cannot tell until apply what it allows", Severity.DECISION
            statements = written or []
        for document in [value] if isinstance(value, str) else [block.get("policy") for block in blocks(value)]:
            parsed = parsed_json(document)
            if type(document) is str and parsed is None and "Statement" in document:
                yield "policy-unreadable", f"`{name}` cannot be read as a policy document", Severity.DECISION
            statements += _statements(parsed)
        for statement in statements:
            if statement.get("Effect", "Allow") == "Allow":
                kind = _Kind(trust=name == "assume_role_policy", identity=change.type.startswith("aws_iam_"))
                yield from ((rule, f"`{name}` {what}", how) for rule, what, how in _allowed(statement, kind, trust))
    for name in ("policy_arn", "managed_policy_arns"):
        for arn in _texts(change.new.get(name)) if name in change.changed_attributes else ():
            if _ADMINISTRATOR.fullmatch(arn):
                yield "administrator", f"attaches {arn.rsplit('/', 1)[-1]}", Severity.BLOCKS
            elif _WIDE_MANAGED.fullmatch(arn):
                yield "iam-wildcard", f"attaches {arn.rsplit('/', 1)[-1]}", Severity.DECISION
    if change.type == "aws_lambda_permission" and "principal" in change.changed_attributes:
        yield from _lambda_permission(change, trust)


def _lambda_permission(change: ResourceChange, trust: Trust) -> Iterator[_Reason]:
    principal, closed = change.new.get("principal"), any(change.new.get(n) for n in ("source_arn", "source_account"))
    organization = bool(change.new.get("principal_org_id"))
    if principal == "*" and not (closed or organization):
        yield "foreign-principal", "`principal` is `*`: anyone may call the function", Severity.BLOCKS
    elif isinstance(principal, str) and (account := _account(principal)) and account not in trust.accounts:
        yield "foreign-principal", f"lets in the account {account}, which is not one of ours", Severity.BLOCKS


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a document is: a role's trust policy; a policy of an identity (else of a resource)."""

    trust: bool
    identity: bool


def _statements(policy: Any) -> Iterator[dict[str, Any]]:
    return blocks(policy.get("Statement") if isinstance(policy, dict) else None)


def _allowed(statement: dict[str, Any], kind: _Kind, trust: Trust) -> Iterator[_Reason]:
    """What a statement with the effect `Allow` finds."""
    yield from _let_in(statement, kind, trust)
    principals = {account for one in _principals(statement) if (account := _account(one))}
    if not kind.identity and principals and principals <= trust.accounts:
        return  # a resource's own account: what its policy allows there, IAM narrows
    actions = _texts(statement.get("Action"))
    everywhere = any(_EVERY_RESOURCE.fullmatch(resource) for resource in _texts(statement.get("Resource")))
    if any(set(action) <= {"*", "?", ":"} for action in actions):
        how = Severity.BLOCKS if everywhere or not kind.identity or "Resource" not in statement else Severity.DECISION
        yield "administrator", "allows every action (`*`)", how
    elif wide := [action for action in actions if _SERVICE_ADMIN.match(action)]:
        yield "iam-wildcard", f"allows {_few(wide)}", Severity.DECISION
    for key, things in (("NotAction", "actions"), ("NotResource", "resources")):
        if key in statement:
            how = Severity.BLOCKS if key == "NotAction" and everywhere else Severity.DECISION
            yield (
                "administrator" if how is Severity.BLOCKS else "iam-wildcard",
                f"allows all {things} except a list (`{key}`)",
                how,
            )
    if kind.identity and not kind.trust and everywhere and not any(set(a) <= {"*", "?", ":"} for a in actions):
        escalating = [a for a in actions if any(fnmatchcase(known, a.lower()) for known in _ESCALATIONS)]
        if escalating:
            what = f"allows {_few(escalating)} on every resource: a way to more permissions"
            yield "iam-wildcard", what, Severity.DECISION
        elif any("*" in action or "?" in action for action in actions):
            reads = all(_READS.match(action) for action in actions)
            how = Severity.NOTICE if reads else Severity.DECISION
            yield "iam-wildcard", "allows whole groups of actions on every resource (`*`)", how


def _let_in(statement: dict[str, Any], kind: _Kind, trust: Trust) -> Iterator[_Reason]:
    if "NotPrincipal" in statement:
        yield "foreign-principal", "lets in everyone except a list (`NotPrincipal`)", Severity.BLOCKS
    closed = _is_closed(statement.get("Condition"), trust)
    for principal in _principals(statement):
        account = _account(principal)
        if closed or (account and account in trust.accounts):
            continue
        if principal == "*" or "*" in principal.split(":")[4:5]:
            limited = ", and its condition does not close that" if statement.get("Condition") else ""
            yield "foreign-principal", f"lets everyone in (`Principal` is `*`){limited}", Severity.BLOCKS
        elif principal.startswith("${") and is_data(principal[2:]):
            yield "foreign-principal", f"lets in whoever {principal[:100]} is", Severity.DECISION
        elif account:
            yield "foreign-principal", f"lets in the account {account}, which is not one of ours", Severity.BLOCKS
    named = statement.get("Principal")
    for provider in _texts(named.get("Federated")) if isinstance(named, dict) and kind.trust else []:
        if not _names_a_subject(statement.get("Condition")):
            what = f"trusts {provider[:100]} without a condition that names who may come (`sub`, or `aud` and a group)"
            yield "foreign-principal", what, Severity.BLOCKS


_CLOSING: Final = frozenset(
    {
        "aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid", "aws:sourceorgpaths", "aws:principalaccount",
        "aws:sourceaccount", "aws:sourceowner", "aws:principalarn", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce",
        "kms:calleraccount",
    }
)  # fmt: skip
"""Condition keys that a stranger cannot fulfil, as long as their values have no wildcard for the account. An external
id is no secret of ours and closes nothing; neither does an address.
"""
_ACCOUNT_KEYS: Final = ("account", "owner")


def _is_closed(condition: Any, trust: Trust) -> bool:
    """Whether one of the conditions, which all must hold, names accounts, an organization or networks of ours."""
    for operator, tests in condition.items() if isinstance(condition, dict) else ():
        positive = operator.casefold().replace("foranyvalue:", "").startswith(("stringequals", "stringlike", "arn"))
        if not positive or "not" in operator.casefold() or operator.casefold().endswith("ifexists"):
            continue
        for key, values in tests.items() if isinstance(tests, dict) else ():
            if key.casefold() in _CLOSING and all(_is_ours(key.casefold(), value, trust) for value in _texts(values)):
                return True
    return False


def _is_ours(key: str, value: str, trust: Trust) -> bool:
    if value.strip("*?:") == "":
        return False
    if any(word in key for word in _ACCOUNT_KEYS):
        return value in trust.accounts or is_own(value)
    if key.endswith("arn") and not is_own(value):
        account = value.split(":")[4] if value.count(":") >= 5 else ""
        return account in trust.accounts or (account == "" and ":s3:::" in value and not value.endswith(":::*"))
    return True


def _names_a_subject(condition: Any) -> bool:
    """Whether a trust policy's condition says which subject of an identity provider may come, not any (`*`)."""
    found = [
        value
        for tests in (condition.values() if isinstance(condition, dict) else ())
        for key, values in (tests.items() if isinstance(tests, dict) else ())
        if key.casefold().endswith((":sub", ":aud", ":amr", ":email", ":job_workflow_ref", ":repository"))
        for value in _texts(values)
    ]
    subjects = [value for value in found if value.strip("*?") and not re.match(r"repo:[*?]", value)]
    return bool(subjects) and len(subjects) == len(found)


def _account(principal: str) -> str:
    """The account of an AWS principal: an ARN's, or the number itself; empty for none."""
    if principal.isdigit() and len(principal) == 12:
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 5 and parts[4].isdigit() else ""


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
