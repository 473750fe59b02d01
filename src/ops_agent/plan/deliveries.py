"""Where data goes after the apply: subscriptions, destinations, replication and shares whose other end is a host, an
account or a bucket that nothing on the base branch names.

`data/deliveries.json` lists the arguments; its source are the resource pages of the AWS provider. What the account's
own resources name already (before the change) is known; so is what this plan creates, and what its data sources found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import UNKNOWN, Hidden, ResourceChange
from ops_agent.plan.configuration import REFERENCE, is_own
from ops_agent.plan.findings import finding, table
from ops_agent.plan.masking import every, leaves
from ops_agent.text.aws_regions import REGION

_TABLES: Final[dict[str, dict[str, list[str]]]] = table("deliveries")
_ARN = re.compile(r"arn:[a-z-]+:([a-z0-9-]*):[a-z0-9-]*:([0-9]{12})?:?(.*)", re.DOTALL)
_ACCOUNTS_IN_ARN = re.compile(r"(?:arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:|:path/)([0-9]{12})(?=[:/])")
"""An integration's ARN holds that of a function, or the account of a queue (API Gateway API reference, `uri`)."""
_HOST = re.compile(r"(?i)((?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{2,63})(?::[0-9]{1,5})?")
_OF_AWS = re.compile(r"(.+)\.amazonaws\.com(?:\.cn)?")
_SERVICE = re.compile(rf"[a-z0-9-]+(?:\.{REGION})?")
"""A service's own name for all (`sqs.eu-west-1`): the path, or who signs, says whose things it serves. What has more in
front is somebody's: an API, a load balancer, a database (AWS general reference, "Service endpoints").
"""
_OF_API = re.compile(rf"([a-z0-9]+)\.(?:execute-api|appsync-api)\.{REGION}")
_OF_BUCKET = re.compile(rf"(?:(.+)\.)?s3(?:-website)?(?:[.-](?:dualstack\.)?{REGION})?")
_ENDPOINT_SERVICE = re.compile(rf"com\.amazonaws\.(?!vpce\.)\S+|aws\.\S+|com\.amazonaws\.vpce\.{REGION}\.[a-z]+")
"""What AWS offers through VPC endpoints; `com.amazonaws.vpce.REGION.vpce-svc-...` is anybody's (AWS PrivateLink)."""
_STANDS_FOR: Final = "ops-agent-reference"
"""In a host, for a reference, which may hold any character."""
_CANONICAL, _LONG_ID = re.compile(r"[0-9a-f]{64}"), 64
_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{5,20}")
_AT_RUN_TIME: Final = ("$", "{%")
"""How a JSONPath or JSONata expression of a state machine, or a variable of an API's stage, begins."""
_PRIVATE: Final = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
_EVERYONE: Final = frozenset({"*", "all", "All"})
RULE: Final = "new-destination"


@dataclass(frozen=True, slots=True)
class Known:
    """What the other end of a delivery may be: the inputs' accounts, and hosts, mail domains, buckets and ids that
    exist, or are made by this plan. `is_open(change, argument)`: whether an unknown value comes from elsewhere than
    this plan's resources and their providers; `texts(address, path)`: what the sources write for it.
    """

    accounts: frozenset[str]
    hosts: frozenset[str]
    buckets: frozenset[str]
    ids: frozenset[str]
    is_open: Callable[[ResourceChange, str], bool]
    texts: Callable[[str, str], tuple[str, ...]] = lambda *_: ()


_NONE: Final = frozenset[str]()
NOTHING_KNOWN: Final = Known(_NONE, _NONE, _NONE, _NONE, lambda *_: True)
_ID = re.compile(r"(?<![\w-])(?:o-[a-z0-9]{10,32}|vpce?-[0-9a-f]{8,17}|repo:[\w.-]+(?=[@/]))(?![\w-])")
"""An organization, a VPC, its endpoint (API reference of each); an owner in the subject of a workflow on GitHub."""


def known_ends(
    accounts: Collection[str],
    changes: Iterable[ResourceChange],
    unchanged: Iterable[ResourceChange],
    is_open: Callable[[ResourceChange, str], bool],
    texts: Callable[[str, str], tuple[str, ...]],
    answers: Iterable[Any] = (),
) -> Known:
    """`Known` by what the plan says exists before the change, by what data sources answered, and by the buckets that it
    creates.
    """
    hosts: set[str] = set()
    buckets: set[str] = set()
    ids: set[str] = set()
    all_changes = (*changes, *unchanged)
    for values in (*(one.before for one in all_changes), *answers):
        for key, text in leaves(values):
            hosts.update(_hosts_in(text))
            buckets.update([text] if key == "bucket" else _bucket_of(text))
            ids.update([text] if key == "id" else ids_in(text))
    for one in all_changes:
        if one.type == "aws_s3_bucket" and type(name := one.new.get("bucket")) is str:
            buckets.add(str(name))
    return Known(frozenset(accounts), frozenset(hosts), frozenset(buckets), frozenset(ids), is_open, texts)


def ids_in(text: str) -> list[str]:
    """Organizations, VPCs and end points, owners of repositories (`repo:owner`), and canonical ids, lower-case."""
    if len(text) == _LONG_ID and _CANONICAL.fullmatch(text):
        return [text]
    may_hold = "o-" in text or "vpc" in text or "repo:" in text
    return [found.casefold() for found in _ID.findall(text)] if may_hold else []


def delivery_findings(change: ResourceChange, known: Known) -> Iterable[Finding]:
    """One finding for each argument of `change` that leads to a new end, or whose end cannot be told."""
    return dict.fromkeys(_found(change, known))


def _found(change: ResourceChange, known: Known) -> Iterator[Finding]:
    for kind, judge in (("addresses", _address), ("arns", _arn), ("accounts", _account), ("buckets", _bucket)):
        for path in _TABLES[kind].get(change.type, ()):
            argument = path.split(".")[0]
            if argument not in change.changed_attributes:
                continue
            for value in dict.fromkeys(one for one in every(change.new, path) if isinstance(one, str)):
                if not isinstance(value, Hidden):
                    found = judge(value, known)
                elif value is UNKNOWN and (texts := known.texts(change.address, path)):
                    found = min((_unknown(text, judge, known) for text in texts), key=lambda one: one or _QUIET)
                else:
                    found = _UNTOLD if known.is_open(change, argument) else None
                if found == _UNTOLD:
                    what = f"cannot tell until apply where `{path}` leads"
                    yield finding(RULE, change.address, what, Severity.DECISION, certain=False)
                elif found:
                    severity, end = found
                    yield finding(
                        RULE, change.address, f"`{path}` leads to {end}, which the base branch does not know", severity
                    )


_Found = tuple[Severity, str] | None
_UNTOLD: Final[_Found] = (Severity.DECISION, "")
_QUIET: Final = (Severity.NOTICE, "")


def _unknown(text: str, judge: Callable[[str, Known], _Found], known: Known) -> _Found:
    """What the text in the sources of an unknown value shows: the end, that it is ours, or that it cannot be told."""
    if found := judge(text, known):
        return found
    return None if all(map(is_own, REFERENCE.findall(text))) else _UNTOLD


def _address(value: str, known: Known) -> _Found:
    """URLs, hosts, mail addresses, separated by commas. Mail is a decision: a person reads it, and a new one is
    ordinary; so is a telephone, and a private address.
    """
    found = [one for part in value.split(",") if (one := _one_address(part.strip(), known))]
    return min(found, default=None)


def _one_address(value: str, known: Known) -> _Found:
    if value.startswith("arn:"):
        return next((one for account in _ACCOUNTS_IN_ARN.findall(value) if (one := _account_of(account, known))), None)
    if "@" in value and "://" not in value and not value.startswith("jdbc:"):
        domain = value.rpartition("@")[2].casefold()
        return None if domain in known.hosts else (Severity.DECISION, f"the mail domain `{domain[:100]}`")
    if _PHONE.fullmatch(value):
        return Severity.DECISION, f"the telephone `{value}`"
    references = REFERENCE.findall(value)
    host, path = _host(REFERENCE.sub(_STANDS_FOR, value))
    if host in known.hosts or not host:
        return None
    if value.startswith(_AT_RUN_TIME) or host.startswith(_STANDS_FOR):
        rest = host.removeprefix(_STANDS_FOR) if references else "?"
        is_ours = bool(references) and is_own(references[0]) and (not rest or _OF_AWS.fullmatch(f"x{rest}"))
        return None if is_ours else _UNTOLD if not rest or value.startswith(_AT_RUN_TIME) else _stranger(host)
    if "@" not in host and (of_aws := _OF_AWS.fullmatch(host)):
        return _of_aws(host, of_aws[1], path.strip("/").split("/")[0], known)
    return None if _ENDPOINT_SERVICE.fullmatch(host) else _stranger(host)


def _of_aws(host: str, name: str, first: str, known: Known) -> _Found:
    """Of a host of AWS, with the `first` step of the path, where that names an account or a bucket."""
    if found := _OF_BUCKET.fullmatch(name):
        return _stranger(host) if _bucket(found[1] or first, known) else None
    if (found := _OF_API.fullmatch(name)) and found[1] in known.ids:
        return None
    if _SERVICE.fullmatch(name):
        return _account_of(first, known) if re.fullmatch(r"[0-9]{12}", first) else None
    return _stranger(host)


def _stranger(host: str) -> _Found:
    if _STANDS_FOR in host:
        return _UNTOLD
    return Severity.DECISION if _is_private(host) else Severity.BLOCKS, f"the host `{host[:100]}`"


def _is_private(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE)


def _arn(value: str, known: Known) -> _Found:
    found = _ARN.match(value)
    return _account_of(found[2], known) if found and found[2] else None


def _account(value: str, known: Known) -> _Found:
    """Accounts, or ARNs of principals, separated by commas."""
    for one in map(str.strip, value.split(",")):
        if one in _EVERYONE or one.startswith("arn:aws:iam::*:"):
            return Severity.BLOCKS, "everyone"
        if _CANONICAL.fullmatch(one) and one not in known.ids:
            return Severity.BLOCKS, f"the account with the canonical id `{one[:16]}...`"
        found = _ARN.match(one)
        account = (found[2] or "") if found else one
        if re.fullmatch(r"[0-9]{12}", account) and (foreign := _account_of(account, known)):
            return foreign
    return None


def _account_of(account: str, known: Known) -> _Found:
    return None if account in known.accounts else (Severity.BLOCKS, f"the account `{account}`")


def _bucket(value: str, known: Known) -> _Found:
    value = value.partition(".s3.")[0] if _OF_AWS.fullmatch(value) else value
    name = next(iter(_bucket_of(value)), value if re.fullmatch(r"[a-z0-9.-]{3,63}", value) else "")
    return None if not name or name in known.buckets or is_own(name) else (Severity.DECISION, f"the bucket `{name}`")


def _bucket_of(text: str) -> Iterator[str]:
    if text.startswith("arn:") and ":s3:::" in text:
        yield text.partition(":s3:::")[2].partition("/")[0]
    elif text.startswith("s3://"):
        yield text[5:].partition("/")[0]


def _hosts_in(text: str) -> Iterator[str]:
    if "://" in text:
        yield _host(text)[0]
    elif "@" in text:
        yield text.rpartition("@")[2].casefold()
    elif found := _HOST.fullmatch(text):
        yield found[1].casefold()


def _host(value: str) -> tuple[str, str]:
    """The host of a URL or `host[:port][/path]`, lower-case, and the path. Who is named before an `@` is no host, but
    software disagrees about which part is: then it is the whole, which nobody knows.
    """
    bare = value.removeprefix("jdbc:")
    bare = bare.rpartition("@")[2].removeprefix("//") if bare.startswith("oracle:") else bare
    try:
        parts = urlsplit(bare if "://" in bare else f"//{bare}")
        host = parts.netloc if "@" in parts.netloc or "\\" in parts.netloc else parts.hostname or ""
    except ValueError:
        return value[:100], ""
    return host.rstrip(".").casefold(), parts.path
