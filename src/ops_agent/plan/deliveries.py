"""Where data goes after the apply: subscriptions, destinations, replication and shares whose other end is a host, an
account or a bucket that nothing on the base branch names.

`data/deliveries.json` lists the arguments; its source are the resource pages of the AWS provider. What the account's
own resources name already (before the change) is known; so is what this plan creates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import Hidden, ResourceChange
from ops_agent.plan.findings import finding, table
from ops_agent.plan.masking import leaves

_TABLES: Final[dict[str, dict[str, list[str]]]] = table("deliveries")
_ARN = re.compile(r"arn:[a-z-]+:([a-z0-9-]*):[a-z0-9-]*:([0-9]{12})?:?(.*)", re.DOTALL)
_HOST = re.compile(r"(?i)(?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}")
_OF_AWS = re.compile(r"(?i)(?:.+\.)?amazonaws\.com(?:\.cn)?")
_EVERYONE: Final = frozenset({"*", "all"})
RULE: Final = "new-destination"


@dataclass(frozen=True, slots=True)
class Known:
    """What the other end of a delivery may be: the inputs' accounts, and hosts, mail domains and buckets that exist, or
    are made by this plan. `is_made_here(address, argument)`: whether an unknown value comes from this plan's resources.
    """

    accounts: frozenset[str]
    hosts: frozenset[str]
    buckets: frozenset[str]
    is_made_here: Callable[[str, str], bool]


def known_ends(
    accounts: Collection[str],
    changes: Iterable[ResourceChange],
    unchanged: Iterable[ResourceChange],
    is_made_here: Callable[[str, str], bool],
) -> Known:
    """`Known` by what the plan says exists before the change, and by the buckets that it creates."""
    hosts: set[str] = set()
    buckets: set[str] = set()
    for one in (*changes, *unchanged):
        for _, text in leaves(one.before):
            hosts.update(_hosts_in(text))
            buckets.update(_bucket_of(text))
        if one.type == "aws_s3_bucket":
            buckets.update(str(side["bucket"]) for side in (one.old, one.new) if type(side.get("bucket")) is str)
    return Known(frozenset(accounts), frozenset(hosts), frozenset(buckets), is_made_here)


def delivery_findings(change: ResourceChange, known: Known) -> Iterable[Finding]:
    """One finding for each argument of `change` that leads to a new end, or whose end cannot be told."""
    return dict.fromkeys(_found(change, known))


def _found(change: ResourceChange, known: Known) -> Iterator[Finding]:
    for kind, judge in (("addresses", _address), ("arns", _arn), ("accounts", _account), ("buckets", _bucket)):
        for path in _TABLES[kind].get(change.type, ()):
            argument = path.split(".")[0]
            if argument not in change.changed_attributes:
                continue
            for value in dict.fromkeys(_at(change.new, path.split("."))):
                if isinstance(value, Hidden):
                    if not known.is_made_here(change.address, argument):
                        what = f"cannot tell until apply where `{path}` leads"
                        yield finding(RULE, change.address, what, Severity.DECISION, certain=False)
                elif found := judge(value, known):
                    severity, end = found
                    yield finding(
                        RULE, change.address, f"`{path}` leads to {end}, which the base branch does not know", severity
                    )


_Found = tuple[Severity, str] | None


def _address(value: str, known: Known) -> _Found:
    """A URL, a host or a mail address. Mail is a decision: a person reads it, and a new one is ordinary."""
    if "@" in value and "://" not in value:
        domain = value.rpartition("@")[2].casefold()
        return None if domain in known.hosts else (Severity.DECISION, f"the mail domain `{domain}`")
    host = _host(value)
    if not host or host in known.hosts or _OF_AWS.fullmatch(host):
        return None
    return Severity.BLOCKS, f"the host `{host}`"


def _arn(value: str, known: Known) -> _Found:
    found = _ARN.match(value)
    return _account_of(found[2], known) if found and found[2] else None


def _account(value: str, known: Known) -> _Found:
    if value in _EVERYONE:
        return Severity.BLOCKS, "everyone"
    found = _ARN.match(value)
    account = (found[2] or "") if found else value
    return _account_of(account, known) if re.fullmatch(r"[0-9]{12}", account) else None


def _account_of(account: str, known: Known) -> _Found:
    return None if account in known.accounts else (Severity.BLOCKS, f"the account `{account}`")


def _bucket(value: str, known: Known) -> _Found:
    name = next(iter(_bucket_of(value)), value if re.fullmatch(r"[a-z0-9.-]{3,63}", value) else "")
    return None if not name or name in known.buckets else (Severity.DECISION, f"the bucket `{name}`")


def _bucket_of(text: str) -> Iterator[str]:
    if text.startswith("arn:") and ":s3:::" in text:
        yield text.partition(":s3:::")[2].partition("/")[0]
    elif text.startswith("s3://"):
        yield text[5:].partition("/")[0]


def _hosts_in(text: str) -> Iterator[str]:
    if "://" in text:
        yield _host(text)
    elif "@" in text:
        yield text.rpartition("@")[2].casefold()
    elif _HOST.fullmatch(text):
        yield text.casefold()


def _host(value: str) -> str:
    """The host of a URL or `host[:port][/path]`, lower-case; empty when there is none."""
    bare = value.removeprefix("jdbc:")
    try:
        host = urlsplit(bare if "://" in bare else f"//{bare}").hostname or ""
    except ValueError:
        return value[:100]
    return host if "." in host else ""


def _at(value: Any, steps: list[str]) -> Iterator[Any]:
    """Every string, or hidden value, at the path; nested blocks are entered, `*` stands for any name."""
    if isinstance(value, Hidden):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _at(one, steps)
    elif not steps:
        yield from [value] if isinstance(value, str) else []
    elif isinstance(value, dict):
        for name in value if steps[0] == "*" else [steps[0]] if steps[0] in value else []:
            yield from _at(value[name], steps[1:])
