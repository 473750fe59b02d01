"""Values of a terraform plan: hidden where they are sensitive or unknown, and walked for what they hold.

What is sensitive stands in a tree of its own beside the values (`before_sensitive`, `after_sensitive`): `true` hides
everything below it. `show -json` holds the clear text of sensitive values too, so nothing leaves this floor unmasked.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import SENSITIVE, UNKNOWN, Hidden, ResourceChange
from ops_agent.model.policy import ROOT, Policy
from ops_agent.plan.references import without_key
from ops_agent.text.redaction import Redactor, token_finds

SHORTEST: Final = 6
"""A shorter string is no secret, region or account."""
Leaf = tuple[str, str]
"""(nearest attribute or map key, string)."""


def masked(value: Any, sensitive: Any, unknown: Any, hidden: list[str]) -> Any:
    """`value` with UNKNOWN and SENSITIVE where the two trees say so; the same object where they say nothing.

    The strings that were hidden as sensitive are added to `hidden`. A tree of another shape than the value hides the
    value whole.
    """
    if sensitive is True:
        hidden.extend(text for _, text in leaves(value))
        return SENSITIVE
    if unknown is True:
        return UNKNOWN
    if not sensitive and not unknown:
        return value
    if isinstance(sensitive or {}, dict) and isinstance(unknown or {}, dict) and isinstance(value, dict | None):
        return (
            _masked_map(value or {}, sensitive or {}, unknown or {}, hidden)
            if value is not None or _says(unknown)
            else value
        )
    if isinstance(sensitive or [], list) and isinstance(unknown or [], list) and isinstance(value, list | None):
        if not any(sensitive or ()) and not any(unknown or ()):
            return value
        return (
            _masked_list(value or [], sensitive or [], unknown or [], hidden)
            if value is not None or _says(unknown)
            else value
        )
    if _says(sensitive):
        hidden.extend(text for _, text in leaves(value))
        return SENSITIVE
    return UNKNOWN if _says(unknown) else value


def leaves(value: Any, key: str = "") -> list[Leaf]:
    """Every string of six characters or more below `value` that is shown, with the key it stands under; in no
    particular order.
    """
    found: list[Leaf] = []
    maps: list[dict[str, Any]] = [{key: value}]
    for item in maps:  # which grows meanwhile
        for leaf in item.items():
            name, element = leaf
            kind = type(
                element
            )  # neither a subclass of str (Hidden) nor one of the scalars is wanted: these are the plan's hottest lines
            if kind is str:
                if len(element) >= SHORTEST:
                    found.append(leaf)
            elif kind is dict:
                maps.append(element)
            elif kind is list:
                for inner in element:
                    if type(inner) is dict:
                        maps.append(inner)
                    elif type(inner) is str or type(inner) is list:
                        maps.append({name: inner})
    return found


def planned_leaves(change: ResourceChange) -> list[Leaf]:
    """`leaves` of the attributes that `change` sets or changes."""
    after = change.after
    if not isinstance(after, dict):
        return []
    return leaves({name: after.get(name) for name in change.changed_attributes})


def blocks(value: Any) -> Iterator[dict[str, Any]]:
    """The maps of a nested block, which Terraform writes as a list of maps (or as one map)."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield element


def has_unknown(value: Any) -> bool:
    """True when something below `value` is known only after apply."""
    return _holds(value, UNKNOWN)


def has_sensitive(value: Any) -> bool:
    """True when something below `value` is masked as sensitive."""
    return _holds(value, SENSITIVE)


def _holds(value: Any, mark: object) -> bool:
    items = [value]
    for item in items:  # which grows meanwhile
        if item is mark:
            return True
        if type(item) is dict:
            items.extend(item.values())
        elif type(item) is list:
            items.extend(item)
    return False


def changed_keys(before: Any, after: Any) -> tuple[str, ...]:
    """Top-level attributes that differ, sorted; an unknown one differs. For a creation: those that get a value."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    if not old:
        return tuple(sorted([key for key, value in new.items() if value is not None]))
    return tuple(
        sorted([key for key in old.keys() | new.keys() if old.get(key) != new.get(key) or new.get(key) is UNKNOWN])
    )


def _masked_map(
    value: dict[str, Any], sensitive: dict[str, Any], unknown: dict[str, Any], hidden: list[str]
) -> dict[str, Any]:
    replaced = {}
    for key in {key for tree in (sensitive, unknown) for key, said in tree.items() if said}:
        old = value.get(key)
        new = masked(old, sensitive.get(key), unknown.get(key), hidden)
        if new is not old:
            replaced[key] = new
    return {**value, **replaced} if replaced else value


def _masked_list(value: list[Any], sensitive: list[Any], unknown: list[Any], hidden: list[str]) -> list[Any]:
    length = max(len(value), len(sensitive), len(unknown))
    return [masked(_at(value, i), _at(sensitive, i), _at(unknown, i), hidden) for i in range(length)]


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _says(tree: Any) -> bool:
    """True when there is a `true` anywhere in a sensitive or unknown tree."""
    return _holds(tree, True)


# Regions and accounts that one planned value names, in whatever form AWS writes them: ARNs, hosts, zones, policies,
# encoded scripts.

REGION: Final = (
    r"(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-gov|-iso[a-z]?|-de)?"
    r"-(?:central|east|north|northeast|northwest|south|southeast|southwest|west)-[0-9]{1,2}"
)
PLACES_IN_TEXT_SHORTEST: Final = 8
"""Shorter texts name no place: `use1-az1` has eight characters."""
_WHOLE = re.compile(rf"({REGION})(?:[a-z]|-[a-z]{{3}}-[0-9]{{1,2}}[a-z])?")
_WHOLE_LIST = re.compile(rf"{REGION}(?:[\s,;|/]+{REGION})+")
_INSIDE = re.compile(rf"(?<![a-z0-9])({REGION})(?![0-9])")
_INSIDE_ZONE = re.compile(REGION)
_SHORT = re.compile(
    r"(?<![a-z0-9])(af|ap|ca|cn|eu|il|me|mx|sa|us|usg)(n|s|e|w|c|ne|nw|se|sw)([0-9]{1,2})(?=-az[0-9]|\.cache\.)"
)
_DIRECTIONS: Final = {"n": "north", "s": "south", "e": "east", "w": "west", "c": "central"} | {
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
_ARN = re.compile(
    r"(?<![a-z0-9])arn:[a-z*?][a-z0-9*?-]{0,20}:[a-z0-9*?-]{0,60}:([a-z0-9*?-]{0,40}):([0-9*?]{0,20})(?=[:\s\"',\]})]|$)"
)
_SEPARATORS = re.compile(r"[\s\"'`,;<>(){}\[\]]+")
_OF_AWS: Final = ("amazonaws", "amazoncognito", "awsapprunner", ".aws", "aws.")
_POOL = re.compile(rf"(?<![a-z0-9])({REGION})[_:](?=[A-Za-z0-9])")
_REGISTRY = re.compile(r"(?<![0-9])([0-9]{12})\.dkr[.-]ecr")
_QUEUE_HOST = re.compile(r"amazonaws\.com(?:\.cn)?/([0-9]{12})/")
_ACCOUNT = re.compile(r"[0-9]{12}")
_ACCOUNT_KEY = re.compile(r"(?i)(?:account(?:_?id)?|owner(?:_?id)?|principal|registry_?id|shared_?id|user_?id|^aws)s?$")
_REGION_KEY = re.compile(r"(?i)(?:.+_)?region(?:_name|s)?")
_PRINCIPAL_KEY = re.compile(r"(?i)(?:aws|.*principal(?:arn|account)?s?)")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{24,}+={0,2}\s*")
_MOST_DECODED: Final = 1_000_000
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What one value names. `regions` may hold patterns (`us-*`); `everyone`: principals of every account."""

    regions: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    everyone: bool = False


NOTHING: Final = Found()
_LEAST_ENCODED: Final = 24
_HINT = re.compile(r"[-.:{\[\"]|[0-9]{12}")
"""What a short text must hold to name a place at all."""


def places_in(key: str, text: str) -> Found:
    """What `text` names when it stands under `key` (the nearest attribute or map key). Total, and linear in the text's
    length.
    """
    if len(text) < PLACES_IN_TEXT_SHORTEST or (len(text) < _LEAST_ENCODED and not _HINT.search(text)):
        return NOTHING
    regions: set[str] = set()
    accounts: set[str] = set()
    everyone = False
    for inner_key, inner in _layers(key, text, _DEEPEST):
        lowered, name = inner.casefold(), inner_key.rsplit(":", 1)[-1]
        regions.update(_regions(lowered))
        if (
            "-" in inner
            and len(inner) <= 30
            and _REGION_KEY.fullmatch(name)
            and not any(char.isspace() for char in inner)
        ):
            regions.add(_WHOLE.sub(r"\1", lowered))
        for region, owner in _ARN.findall(lowered) if "arn:" in lowered else ():
            regions.update({region} if region else ())
            accounts.update({owner} if _ACCOUNT.fullmatch(owner) else ())
            everyone = everyone or ("*" in owner and _PRINCIPAL_KEY.fullmatch(name) is not None)
        if "." in lowered:
            accounts.update(_REGISTRY.findall(lowered))
            accounts.update(_QUEUE_HOST.findall(lowered))
        if len(inner) == 12 and _ACCOUNT.fullmatch(inner) and _ACCOUNT_KEY.search(name):
            accounts.add(inner)
    if not (regions or accounts or everyone):
        return NOTHING
    return Found(frozenset(regions), frozenset(accounts), everyone)


def _regions(text: str) -> Iterator[str]:
    if "-az" in text or ".cache." in text:
        for area, direction, number in _SHORT.findall(text):
            yield f"{'us-gov' if area == 'usg' else area}-{_DIRECTIONS[direction]}-{number}"
    if "-" not in text or not _INSIDE_ZONE.search(text):
        return
    if whole := _WHOLE.fullmatch(text):
        yield whole.group(1)
    elif _WHOLE_LIST.fullmatch(text):
        yield from _INSIDE.findall(text)
    yield from _POOL.findall(text)
    if "aws" in text or "amazon" in text:
        for token in _SEPARATORS.split(text):
            if any(mark in token for mark in _OF_AWS):
                yield from _INSIDE.findall(token)


def _layers(key: str, text: str, depth: int) -> Iterator[tuple[str, str]]:
    """`text` itself, and what it holds in another form: the strings of JSON, the text behind base64 and gzip. At most
    `depth` deep.
    """
    yield key, text
    if depth <= 0:
        return
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        try:
            parsed = json.loads(stripped)
        except (ValueError, RecursionError):
            parsed = None
        for inner_key, inner in _strings(parsed, key):
            yield from _layers(inner_key, inner, depth - 1)
    elif len(text) >= _LEAST_ENCODED and _BASE64.fullmatch(text):
        decoded = _decoded(text)
        if decoded:
            yield from _layers(key, decoded, depth - 1)


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every string, number of 12 digits and long key below `value`, each with the key that it stands under."""
    stack: list[tuple[str, Any]] = [(key, value)]
    while stack:
        name, item = stack.pop()
        if isinstance(item, dict):
            for inner, element in item.items():
                stack.append((str(inner), element))
                if len(inner) >= PLACES_IN_TEXT_SHORTEST:
                    yield name, inner
        elif isinstance(item, list):
            stack.extend((name, element) for element in item)
        elif isinstance(item, str):
            yield name, item
        elif isinstance(item, int) and not isinstance(item, bool) and 10**11 <= item < 10**12:
            yield name, str(item)


def _decoded(text: str) -> str:
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = zlib.decompressobj(wbits=31).decompress(raw, _MOST_DECODED)
        except zlib.error:
            return ""
    decoded = raw[:_MOST_DECODED].decode("utf-8", errors="replace")
    readable = sum(char.isprintable() or char in "\n\r\t" for char in decoded[:200])
    return decoded if readable * 10 >= len(decoded[:200]) * 9 else ""


# Regions and accounts that a plan reaches (H13 of the security bar): `region` arguments of AWS 6, provider blocks,
# ARNs, hosts, zones.


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Regions and accounts, sorted, and the dangers that come from them."""

    regions: tuple[str, ...]
    accounts: tuple[str, ...]
    dangers: tuple[Finding, ...]


class PlaceFinder:
    """Every region and account that what changes names. Fed with one change after the other."""

    def __init__(self, policy: Policy, account: str | None) -> None:
        self._policy = policy
        self._account = account
        self._ours = {number: name for name, number in policy.accounts.items()}
        self._regions: set[str] = set()
        self._accounts: set[str] = {account} if account else set()
        self._dangers: list[Finding] = []
        self._found: dict[Leaf, Found] = {}
        self._nothing: set[Leaf] = set()
        self._unseen: list[ResourceChange] = []

    def add(self, change: ResourceChange, strings: Set[Leaf]) -> None:
        """What `change` sets: `strings` are its planned leaves. An import brings all of what is there."""
        if change.import_id is not None:
            strings = {*leaves(change.after), ("import", change.import_id)}
        self.named(change.address, strings)
        if isinstance(change.after, dict) and isinstance(change.after.get("region"), Hidden):
            self._unseen.append(change)

    def named(self, address: str, strings: Set[Leaf]) -> None:
        """What `address` (a resource or a provider action) sets."""
        regions: set[str] = set()
        accounts: set[str] = set()
        everyone = False
        for leaf in strings - self._nothing:
            found = self._found.get(leaf) or places_in(*leaf)
            if found is NOTHING:
                self._nothing.add(leaf)
                continue
            self._found[leaf] = found
            regions |= found.regions
            accounts |= found.accounts
            everyone = everyone or found.everyone
        if regions or accounts:
            self._note(address, regions, accounts)
        if everyone:
            self._dangers.append(
                Finding(
                    address=address,
                    what="names principals of every account (`*`)",
                    rule="plan/foreign-principal",
                    severity=Severity.DANGER,
                )
            )

    def places(self, plan: dict[str, Any]) -> Places:
        """All that was found, and what the plan's configuration says of providers and of regions that cannot be seen."""
        found, self._dangers = self._dangers, []
        for provider, region in _provider_regions(plan):
            if region is None:
                why = "takes its region from something that the plan cannot resolve: cannot tell where its resources would be"
                self._dangers.append(
                    Finding(address=provider, what=why, rule="plan/unresolved-region", severity=Severity.DANGER)
                )
            else:
                self._note(provider, {region}, set())
        explicit = frozenset(_with_own_region(plan)) if self._unseen else frozenset()
        dangers = (*self._dangers, *found, *(danger for change in self._unseen for danger in _unseen(change, explicit)))
        return Places(regions=tuple(sorted(self._regions)), accounts=tuple(sorted(self._accounts)), dangers=dangers)

    def _note(self, address: str, regions: set[str], accounts: set[str]) -> None:
        ours = self._policy.region
        foreign = {region for region in regions if region != ours and not fnmatchcase(ours, region)}
        self._regions |= foreign | (regions & {ours})
        self._accounts |= accounts
        for region in sorted(foreign):
            why = f"names region {region}; only {ours} is allowed"
            self._dangers.append(
                Finding(address=address, what=why, rule="plan/foreign-region", severity=Severity.BLOCKS)
            )
        for owner in sorted(accounts):
            name = self._ours.get(owner)
            if name is None:
                why = f"names account {owner}, which is none of ours"
                self._dangers.append(
                    Finding(address=address, what=why, rule="plan/foreign-account", severity=Severity.DANGER)
                )
            elif self._account is not None and owner != self._account:
                whose = "the organisation's root account" if name == ROOT else f"the account of {name}"
                why = f"names account {owner} ({whose}) from a plan of another account"
                self._dangers.append(
                    Finding(address=address, what=why, rule="plan/other-account", severity=Severity.DANGER)
                )


def _unseen(change: ResourceChange, explicit: frozenset[str]) -> Iterator[Finding]:
    """A region that is hidden: it blocks when the source sets it; the provider's own computed one is a notice, or
    nothing at a creation.
    """
    is_secret = change.after["region"] is SENSITIVE
    is_grave = is_secret or without_key(change.address) in explicit
    if is_grave or (isinstance(change.before, dict) and "region" in change.before):
        why = "hides its region as sensitive" if is_secret else "cannot tell until apply in which region it would be"
        severity = Severity.BLOCKS if is_grave else Severity.NOTICE
        yield Finding(address=change.address, what=why, rule="plan/unresolved-region", severity=severity)


def _with_own_region(plan: dict[str, Any]) -> Iterator[str]:
    """Addresses, without keys, of resources whose source sets `region` (AWS provider 6)."""
    configuration = plan.get("configuration")
    stack: list[tuple[str, Any]] = [("", configuration.get("root_module") if isinstance(configuration, dict) else None)]
    while stack:
        prefix, module = stack.pop()
        for resource in blocks(module.get("resources")) if isinstance(module, dict) else ():
            if isinstance(resource.get("expressions"), dict) and resource["expressions"].get("region"):
                yield f"{prefix}{resource.get('address', '')}"
        calls = module.get("module_calls") if isinstance(module, dict) else None
        for name, call in calls.items() if isinstance(calls, dict) else ():
            stack.append((f"{prefix}module.{name}.", call.get("module") if isinstance(call, dict) else None))


def _provider_regions(plan: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """(provider block, region) of every AWS provider block that sets one; None for what the plan cannot resolve."""
    configuration = plan.get("configuration")
    providers = configuration.get("provider_config") if isinstance(configuration, dict) else None
    for key, provider in providers.items() if isinstance(providers, dict) else ():
        expressions = provider.get("expressions") if isinstance(provider, dict) else None
        region = expressions.get("region") if isinstance(expressions, dict) else None
        if isinstance(region, dict):
            resolved = _resolved(region, plan, in_root=not provider.get("module_address"))
            yield f"provider {key}", resolved if isinstance(resolved, str) else None


def _resolved(expression: dict[str, Any], plan: dict[str, Any], *, in_root: bool) -> Any:
    if "constant_value" in expression:
        return expression["constant_value"]
    references = expression.get("references")
    if in_root and isinstance(references, list) and len(references) == 1 and str(references[0]).startswith("var."):
        given = plan.get("variables")
        entry = given.get(str(references[0])[4:]) if isinstance(given, dict) else None
        return entry.get("value") if isinstance(entry, dict) else None
    return None


# AWS resource types that hold something which a new resource of the same name does not bring back.

_DATABASE = "its data goes with it"
_FILES = "what is stored in it goes with it"
_KEY = "everything encrypted with it becomes unreadable"
_QUEUE = "messages in it are lost"
_LOGS = "its log lines go with it"
_IDENTITY = "its users and their passwords cannot be brought back"
_NAME = "its name or address is given away and may not come back"
_REPOSITORY = "its images go with it"
_RECOVERY = "what it keeps to recover from is lost"

STATEFUL: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "aws_db_instance",
            "aws_rds_cluster",
            "aws_rds_cluster_instance",
            "aws_rds_global_cluster",
            "aws_dynamodb_table",
            "aws_dynamodb_table_item",
            "aws_dynamodb_global_table",
            "aws_docdb_cluster",
            "aws_docdb_cluster_instance",
            "aws_neptune_cluster",
            "aws_elasticache_cluster",
            "aws_elasticache_replication_group",
            "aws_elasticache_serverless_cache",
            "aws_memorydb_cluster",
            "aws_redshift_cluster",
            "aws_redshiftserverless_namespace",
            "aws_elasticsearch_domain",
            "aws_opensearch_domain",
            "aws_opensearchserverless_collection",
            "aws_timestreamwrite_table",
            "aws_timestreamwrite_database",
            "aws_keyspaces_table",
            "aws_keyspaces_keyspace",
            "aws_qldb_ledger",
            "aws_glue_catalog_database",
            "aws_glue_catalog_table",
            "aws_athena_database",
            "aws_docdbelastic_cluster",
            "aws_dsql_cluster",
            "aws_dax_cluster",
            "aws_timestreaminfluxdb_db_instance",
            "aws_lightsail_database",
            "aws_emr_cluster",
            "aws_kendra_index",
            "aws_prometheus_workspace",
            "aws_cloudtrail_event_data_store",
            "aws_cloudwatch_event_archive",
        ),
        _DATABASE,
    ),
    **dict.fromkeys(
        (
            "aws_s3_bucket",
            "aws_s3_object",
            "aws_s3_bucket_object",
            "aws_s3_directory_bucket",
            "aws_s3tables_table",
            "aws_efs_file_system",
            "aws_fsx_lustre_file_system",
            "aws_fsx_ontap_file_system",
            "aws_fsx_openzfs_file_system",
            "aws_fsx_windows_file_system",
            "aws_ebs_volume",
            "aws_instance",
            "aws_glacier_vault",
            "aws_codecommit_repository",
            "aws_s3tables_table_bucket",
            "aws_fsx_ontap_volume",
            "aws_fsx_openzfs_volume",
            "aws_lightsail_instance",
            "aws_lightsail_disk",
            "aws_workspaces_workspace",
            "aws_sagemaker_domain",
            "aws_codeartifact_domain",
            "aws_codeartifact_repository",
            "aws_kinesis_video_stream",
        ),
        _FILES,
    ),
    **dict.fromkeys(("aws_kms_key", "aws_kms_replica_key", "aws_kms_external_key", "aws_cloudhsm_v2_cluster"), _KEY),
    **dict.fromkeys(
        ("aws_secretsmanager_secret", "aws_secretsmanager_secret_version", "aws_ssm_parameter"),
        "its value goes with it",
    ),
    **dict.fromkeys(("aws_sqs_queue", "aws_kinesis_stream", "aws_msk_cluster", "aws_mq_broker"), _QUEUE),
    **dict.fromkeys(("aws_cloudwatch_log_group", "aws_cloudwatch_log_stream"), _LOGS),
    "aws_cloudtrail": "what happens in the account is not recorded any more",
    "aws_acmpca_certificate_authority": "certificates that it signed can neither be renewed nor revoked",
    **dict.fromkeys(
        (
            "aws_cognito_user_pool",
            "aws_cognito_user",
            "aws_cognito_identity_pool",
            "aws_iam_user",
            "aws_iam_access_key",
        ),
        _IDENTITY,
    ),
    **dict.fromkeys(
        (
            "aws_route53_zone",
            "aws_eip",
            "aws_apigatewayv2_api",
            "aws_api_gateway_rest_api",
            "aws_cloudfront_distribution",
            "aws_lb",
        ),
        _NAME,
    ),
    **dict.fromkeys(("aws_ecr_repository", "aws_ecrpublic_repository"), _REPOSITORY),
    **dict.fromkeys(
        (
            "aws_backup_vault",
            "aws_db_snapshot",
            "aws_db_cluster_snapshot",
            "aws_ebs_snapshot",
            "aws_ami",
            "aws_fsx_backup",
        ),
        _RECOVERY,
    ),
    **dict.fromkeys(("aws_eks_cluster",), "what runs in it stops, and its objects go with it"),
    **dict.fromkeys(("aws_vpc", "aws_subnet"), "what is attached to it stops"),
}
"""Type -> what is lost."""


# Secrets among the planned values: what Terraform's own marks miss must not be published, not even masked (it is in the
# change itself).

RULE: Final = "plan/secret-value"
_SECRET_NAME = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|secret[_-]?key|credential)s?(?:[_-]?(?:value|string|plain))?$"
)
_NAME_LIKE = re.compile(r"(?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4})(?:[-_/.:@](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*$")
_REFERENCE_LIKE = ("arn:", "/", "http:", "https:", "${", "{{", "secretsmanager:", "ssm:")
_STRONG_LENGTH = 16
_PARTS = 200
"""So many sensitive values are also looked for inside longer strings; all of them as whole strings."""
_ELSEWHERE = "shows a value that is sensitive elsewhere"


def configured_secrets(plan: dict[str, Any]) -> list[str]:
    """Values of the root variables that the configuration declares sensitive or ephemeral; the plan's `variables` carry
    no mark.
    """
    configuration = plan.get("configuration")
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    declared = root.get("variables") if isinstance(root, dict) else None
    given = plan.get("variables")
    if not isinstance(declared, dict) or not isinstance(given, dict):
        return []
    found: list[str] = []
    for name, declaration in declared.items():
        if isinstance(declaration, dict) and (declaration.get("sensitive") or declaration.get("ephemeral")):
            found.extend(text for _, text in leaves(given.get(name)))
    return found


class SecretFinder:
    """Secrets that a plan would set in clear. Fed with one change after the other.

    A secret is: what `redact` knows, a token of a known format, a value that is sensitive elsewhere (`hidden`), or what
    looks random under a name such as `password`.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._leaves: set[Leaf] = set()

    def add(self, strings: Iterable[Leaf]) -> None:
        """Strings that are shown, planned or not."""
        self._leaves.update(strings)

    def secrets(self, hidden: Iterable[str]) -> dict[str, str]:
        """Every secret that was fed, and why it is one (words for a reviewer, without the value). `hidden`: what is
        sensitive elsewhere.
        """
        sensitive = frozenset(text for text in hidden if _worth_hiding(text))
        parts = tuple(sorted(sensitive, key=len, reverse=True)[:_PARTS])
        texts = {text for _, text in self._leaves}
        names = {key for key, _ in self._leaves if _SECRET_NAME.search(key)}
        found = {text: "looks like a secret" for key, text in self._leaves if key in names and looks_random(text)}
        found |= dict.fromkeys(texts & sensitive, _ELSEWHERE)
        joined = "\n".join(texts)
        if (
            self._redact(joined) == joined
            and Redactor().redact(joined) == joined
            and not any(part in joined for part in parts)
        ):
            return found
        known = {text: why for text in texts if (why := _known_secret(text, self._redact, parts))}
        return found | known


def secret_dangers(
    changes: Iterable[ResourceChange], plan: dict[str, Any], secrets: dict[str, str]
) -> tuple[Finding, ...]:
    """Blocking dangers for those of `secrets` that this plan would set; each names the attribute, never the value."""
    if not secrets:
        return ()
    dangers: dict[tuple[str, str], Finding] = {}
    places = [(change.address, planned_leaves(change)) for change in changes]
    for address, strings in (*places, *((f"output.{name}", found) for name, found in output_leaves(plan))):
        for key, text in strings:
            if text in secrets:
                why = f"`{key}` {secrets[text]}: it would be published and stored in clear"
                dangers.setdefault(
                    (address, key), Finding(address=address, what=why, rule=RULE, severity=Severity.BLOCKS)
                )
    return tuple(dangers.values())


def output_leaves(plan: dict[str, Any]) -> Iterator[tuple[str, list[Leaf]]]:
    """(name, strings) of every output that changes and is shown."""
    outputs = plan.get("output_changes")
    for name, change in outputs.items() if isinstance(outputs, dict) else ():
        if isinstance(change, dict) and change.get("actions") != ["no-op"] and not change.get("after_sensitive"):
            yield name, leaves(change.get("after"), name)


def looks_random(text: str) -> bool:
    """True for what a machine made or a person chose as a password; False for names, paths, ARNs, URLs and words."""
    if not 8 <= len(text) <= 8192 or any(char.isspace() for char in text):
        return False
    if text.startswith(_REFERENCE_LIKE) or _NAME_LIKE.match(text):
        return False
    kinds = (
        any(c.islower() for c in text),
        any(c.isupper() for c in text),
        any(c.isdigit() for c in text),
        not text.isalnum(),
    )
    return sum(kinds) >= 3 or (len(text) >= _STRONG_LENGTH and _entropy(text) >= 3.0)


def _entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _known_secret(text: str, redact: Callable[[str], str], parts: tuple[str, ...]) -> str | None:
    for name, _, _ in token_finds(text):
        return f"holds a secret ({name})"
    if redact(text) != text:
        return "holds a secret of this run"
    return _ELSEWHERE if any(part in text for part in parts) else None


def _worth_hiding(text: str) -> bool:
    """False for what may well be both sensitive here and public there: short words, names without a digit, ARNs, paths,
    URLs.
    """
    return len(text) >= 12 and not text.startswith(_REFERENCE_LIKE) and any(char.isdigit() for char in text)
