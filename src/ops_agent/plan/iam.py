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
from ops_agent.model.plan import UNKNOWN, Hidden, ResourceAction, ResourceChange
from ops_agent.plan.configuration import OWN, is_data, is_own
from ops_agent.plan.deliveries import NOTHING_KNOWN, Known
from ops_agent.plan.findings import finding, table
from ops_agent.plan.masking import blocks, every, parsed_json

_ARGUMENTS: Final = table("arguments")
POLICY_DOCUMENTS: Final[tuple[str, ...]] = tuple(_ARGUMENTS["policy_documents"])
_ESCALATIONS: Final[tuple[str, ...]] = tuple(_ARGUMENTS["ways_to_more_permissions"])
_EXCLUSIVE: Final[dict[str, str]] = _ARGUMENTS["takes_away_unlisted"]
_GRANTED_BY: Final[dict[str, dict[str, str]]] = _ARGUMENTS["granted_by_arguments"]
# Managed by AWS; `[^/]*` may hold a path. Administration of everything, or of who may do what, of secrets and keys.
_WIDE_MANAGED = re.compile(
    r"arn:[^:]*:iam::aws:policy/([^/]*/)?("
    r"(AdministratorAccess|PowerUser|IAMFullAccess|SystemAdministrator|SecretsManagerReadWrite).*"
    r"|(AWSOrganizations|AWSLambda_|AmazonSSM|AmazonS3|AmazonEC2|AmazonDynamoDB|AWSKeyManagementService|AWSSSM"
    r"|AWSSSOMember).*(FullAccess|PowerUser))"
)
_ADMINISTRATOR = re.compile(
    r"arn:[^:]*:(?:iam::aws:policy/([^/]*/)?(?:AdministratorAccess.*|IAMFullAccess)"
    r"|eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy)"
)
"""Also who may do everything in a cluster (EKS user guide, "Access policy permissions")."""
_ATTACHED: Final = ("policy_arn", "managed_policy_arn", "policy_arns", "managed_policy_arns")
_READS = re.compile(r"[a-z0-9-]+:(?:Describe|List)", re.IGNORECASE)
_SERVICE_ADMIN = re.compile(r"(?:iam|sts|organizations|kms|secretsmanager|lambda|s3|ec2|ssm):\*+$", re.IGNORECASE)
# Every resource, or every role, user, group, policy, however it is spelled: `*`, `**`, `arn:aws:iam::*:role/*`.
_EVERY_RESOURCE = re.compile(r"[*?]+|arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z*-]+[/:])?[*?/]+|arn:[*?:]*")


@dataclass(frozen=True, slots=True)
class Trust:
    """Who may be let in: the accounts of the inputs and what else `known` names. `log_writers` are accounts of AWS that
    deliver logs to buckets, `owner` is whose repository it is on GitHub. `document(address, argument)` gives the
    statements of a policy that is unknown until the apply, None where the plan does not know them; `is_set(change,
    argument)` says whether the source sets an argument.
    """

    known: Known = NOTHING_KNOWN
    log_writers: frozenset[str] = frozenset()
    owner: str = ""
    document: Callable[[str, str], list[dict[str, Any]] | None] = lambda *_: None
    is_set: Callable[[ResourceChange, str], bool] = lambda *_: True

    @property
    def accounts(self) -> frozenset[str]:
        return self.known.accounts


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
            if written is None and trust.is_set(change, name):
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
    for name in _ATTACHED:
        for arn in every(change.new, name) if name in change.changed_attributes else ():
            if isinstance(arn, Hidden):
                if arn is UNKNOWN and trust.known.is_open(change, name):
                    yield "policy-unknown", f"`{name}`: cannot tell until apply what is attached", Severity.DECISION
            elif isinstance(arn, str) and _ADMINISTRATOR.fullmatch(arn):
                yield "administrator", f"attaches {arn.rsplit('/', 1)[-1]}", Severity.BLOCKS
            elif isinstance(arn, str) and _WIDE_MANAGED.fullmatch(arn):
                yield "iam-wildcard", f"attaches {arn.rsplit('/', 1)[-1]}", Severity.DECISION
    if change.type in _GRANTED_BY and "principal" in change.changed_attributes:
        yield from _granted(change, trust)


def _granted(change: ResourceChange, trust: Trust) -> Iterator[_Reason]:
    """What a resource grants that is a statement without JSON: its `principal`, and arguments that are conditions."""
    conditions: dict[str, str] = {
        str(block.get("key")): str(block.get("value")) for block in blocks(change.new.get("condition"))
    }
    for name, key in _GRANTED_BY[change.type].items():
        value = change.new.get(name)
        if value is UNKNOWN and not trust.known.is_open(change, name):
            conditions[key] = OWN
        elif value and not isinstance(value, Hidden):
            conditions[key] = str(value)
    principal = change.new.get("principal")
    if principal is UNKNOWN:
        if trust.known.is_open(change, "principal"):
            yield "policy-unknown", "`principal`: cannot tell until apply whom it lets in", Severity.DECISION
        return
    statement = {"Principal": {"AWS": principal}} | ({"Condition": {"StringLike": conditions}} if conditions else {})
    yield from _let_in(statement, _Kind(trust=False, identity=False), trust)


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
    condition, named = statement.get("Condition"), statement.get("Principal")
    if (open_to := _open_to(condition, trust)) is not None:
        yield from (("foreign-principal", *one) for one in _let_in_by_name(statement, open_to, trust))
    for provider in _texts(named.get("Federated")) if isinstance(named, dict) and kind.trust else []:
        if (stranger := _whoever(provider, condition, trust)) is not None:
            yield "foreign-principal", f"trusts {provider[:100]} {stranger.what}", stranger.severity


def _let_in_by_name(statement: dict[str, Any], open_to: _Open, trust: Trust) -> Iterator[tuple[str, Severity]]:
    """(who gets in, how grave that is) of a statement that no condition closes."""
    actions = {action.casefold() for action in _texts(statement.get("Action"))}
    writes_logs = bool(actions) and actions <= _WRITES_LOGS
    for principal in _principals(statement):
        account = _account(principal)
        if account and (account in trust.accounts or (writes_logs and account in trust.log_writers)):
            continue
        if principal == "*" or "*" in principal.split(":")[4:5]:
            limited = f", and its condition does not close that{open_to.what}" if statement.get("Condition") else ""
            yield f"lets everyone in (`Principal` is `*`){limited}", open_to.severity
        elif principal.startswith("${") and is_data(principal[2:]):
            yield f"lets in whoever {principal[:100]} is", Severity.DECISION
        elif account:
            yield f"lets in the account {account}, which is not one of ours", open_to.severity
    named = statement.get("Principal")
    for user in _texts(named.get("CanonicalUser")) if isinstance(named, dict) else []:
        if user not in trust.known.ids and not is_own(user):
            yield f"lets in the account with the canonical id `{user[:16]}...`", open_to.severity


@dataclass(frozen=True, slots=True)
class _Open:
    """How a condition fails to close a statement."""

    severity: Severity = Severity.BLOCKS
    what: str = ""


_WRITES_LOGS: Final = frozenset({"s3:putobject", "s3:getbucketacl"})
"""What load balancers, CloudTrail and Redshift need to deliver their logs ("Access logs", user guide of each)."""
_CLOSING: Final[dict[str, str]] = _ARGUMENTS["closing_conditions"]
"""Condition key -> what its values name. A stranger cannot fulfil them, as long as their values have no wildcard there.
An external id is no secret of ours and closes nothing; neither does an address. Source: IAM user guide, "AWS global
condition context keys".
"""
_POSITIVE = re.compile(r"(?:foranyvalue:)?(?:stringequals(?:ignorecase)?|stringlike|arnequals|arnlike)")
"""`ForAllValues`, `...IfExists` and `Null` are true for a request without the key (IAM user guide, "Condition operators
and keys with multiple values").
"""


def _tests(condition: Any) -> Iterator[tuple[str, list[str]]]:
    """(key in lower case, its values) of every test that a request without the key fails. At least one value."""
    for operator, tests in condition.items() if isinstance(condition, dict) else ():
        if _POSITIVE.fullmatch(operator.casefold()):
            for key, values in tests.items() if isinstance(tests, dict) else ():
                if texts := _texts(values):
                    yield key.casefold(), texts


def _open_to(condition: Any, trust: Trust) -> _Open | None:
    """None when one of the conditions, which all must hold, names accounts, an organization or networks of ours; a
    decision when one names what may be ours.
    """
    found = _Open()
    for key, values in _tests(condition):
        if key in _CLOSING:
            severities = [_is_ours(_CLOSING[key], value, trust) for value in values]
            if all(one is None for one in severities):
                return None
            if Severity.BLOCKS not in severities and len(values) == len(severities):
                unknown = next(v for v, one in zip(values, severities, strict=True) if one is not None)
                found = _Open(Severity.DECISION, f": nothing on the base branch names `{unknown[:100]}`")
    return found


def _is_ours(kind: str, value: str, trust: Trust) -> Severity | None:
    """None for ours, BLOCKS for a stranger's or a pattern, a decision for what neither the base nor the plan knows."""
    if is_own(value) or _OWN_DATA.match(value):
        return None
    if kind == "arn" and value.count(":") >= 5:
        account, name = value.split(":")[4], value.split(":")[5]
        if account or ":s3:::" not in value:
            return None if account in trust.accounts else Severity.BLOCKS
        kind, value = "bucket", name.partition("/")[0]
    if kind == "account":
        return None if value in trust.accounts else Severity.BLOCKS
    name = value.partition("/")[0] if kind == "organization" else value
    if not name or set(name) & set("*?") or kind == "arn":
        return Severity.BLOCKS
    known = trust.known.buckets if kind == "bucket" else trust.known.ids
    return None if name in known else Severity.DECISION


_OWN_DATA = re.compile(rf"\$\{{(?:module\.[^{{}}.]+\.)*data\.(?:{'|'.join(_ARGUMENTS['answers_of_ours'])})\.")
"""A reference to a data source that finds nothing but what is the account's own."""
_SHARED: Final[dict[str, str]] = _ARGUMENTS["shared_identity_providers"]
"""Issuer -> the claims that name a customer of it, one of which a trust policy must test. Of any other issuer, which
is an organization's own, the subject may be everyone whom it knows (IAM user guide, "Identity-provider controls for
shared OIDC providers"; for Cognito "Trust policies for IAM roles in identity pools").
"""
_GITHUB = re.compile(r"token\.actions\.(?:githubusercontent|[\w-]+\.ghe)\.com(?:/.*)?")
"""github.com, an enterprise's own issuer there, and GitHub Enterprise Cloud with data residency. A GitHub Enterprise
Server's (`HOST/_services/token`) is an organization's own.
"""


def _whoever(provider: str, condition: Any, trust: Trust) -> _Open | None:
    """None when a trust policy names who may come from an identity provider."""
    issuer = provider.partition("provider/")[2] or provider
    tests = [(key.rpartition(":")[2], values) for key, values in _tests(condition)]
    claims = dict(tests)
    is_github = _GITHUB.fullmatch(issuer) is not None
    shared = next((needs for name, needs in _SHARED.items() if issuer == name or issuer.startswith(f"{name}/")), "")
    needs = "sub" if is_github else shared
    if issuer == "cognito-identity.amazonaws.com":
        signed_in = "amr" in claims and not any("unauthenticated" in one for one in claims["amr"])
        if "aud" in claims and signed_in and not any(set(one) & set("*?") for one in claims["aud"]):
            return None
        return _Open(what="without conditions on its pool (`aud`) and on people who signed in (`amr`)")
    if ":saml-provider/" in provider or issuer.startswith("saml-provider"):
        return None if "aud" in claims or "sub" in claims else _Open(what="without a condition on `SAML:aud`")
    subjects = [one for key, values in tests if key in (needs or "sub").split() for one in [values] if _names(values)]
    if not subjects:
        if not needs and ("aud" in claims or issuer.startswith("${")) and "sub" not in claims:
            return _Open(Severity.DECISION, "for everyone whom it knows: no condition on `sub`")
        return _Open(what=f"without a condition that names who may come (`{(needs or 'sub').split()[0]}`)")
    return _stranger_on_github(subjects, trust) if is_github else None


def _names(values: list[str]) -> bool:
    """Whether each subject names an owner: nothing up to its second `:` or `/` is a pattern or a variable."""
    return all(value and not set("".join(re.split("[:/]", value)[:2])) & set("*?$") for value in values)


def _stranger_on_github(subjects: list[list[str]], trust: Trust) -> _Open | None:
    """The subject is `repo:owner/name:...`, or `repo:owner@id/name@id:...` (GitHub docs, "OpenID Connect reference",
    "Immutable subject claims"); a repository can have one of another form.
    """
    found = None
    for values in subjects:
        owners = [re.match(r"(?:repo|job_workflow_ref):([\w.-]+)(?:@\d+)?/", value) for value in values]
        named = [owner[1].casefold() if owner else "" for owner in owners]
        foreign = [
            one for one in named if one and one != trust.owner.casefold() and f"repo:{one}" not in trust.known.ids
        ]
        if foreign and trust.owner:
            found = _Open(what=f"for repositories of `{foreign[0]}`, which owns none of ours")
        elif "" in named:
            found = found or _Open(Severity.DECISION, "for a subject that does not begin with `repo:owner/`")
        else:
            return None
    return found


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
