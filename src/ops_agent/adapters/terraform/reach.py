"""Which hosts Terraform's children may reach, for each command: a closed list, by name, port 443 unless the runner's
own configuration names another one for a mirror.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ops_agent.model.policy import PUBLIC_REGISTRIES, Policy

# Hosts of services that have no region, or only one (botocore's endpoints; a test compares), and the us-east-1 parts of
# what CloudFront needs. The session policy lets exactly these services answer outside the region.
GLOBAL_HOSTS: Mapping[str, str] = {
    "iam": "iam.amazonaws.com",
    "sts": "sts.amazonaws.com",
    "organizations": "organizations.us-east-1.amazonaws.com",
    "route53": "route53.amazonaws.com",
    "cloudfront": "cloudfront.amazonaws.com",
    "waf": "waf.amazonaws.com",
    "wafv2": "wafv2.us-east-1.amazonaws.com",
    "shield": "shield.us-east-1.amazonaws.com",
    "globalaccelerator": "globalaccelerator.us-west-2.amazonaws.com",
    "budgets": "budgets.amazonaws.com",
    "support": "support.us-east-1.amazonaws.com",
    "acm": "acm.us-east-1.amazonaws.com",
}
# Services whose name has a point (botocore's endpoints for sa-east-1). Everything else with a further label is a
# customer's own: an API (execute-api), a load balancer (elb), a GraphQL address (appsync-api), and would be a way out.
_POINTED = "api.detective api.ecr api.mediatailor api.sagemaker portal.sso streams.dynamodb"
_S3 = re.compile(r"(?:.+\.)?s3\.(?:dualstack\.)?[a-z0-9-]+\.amazonaws\.com")
_GITHUB = ("github.com", "objects.githubusercontent.com", "release-assets.githubusercontent.com")
# A registry answers with addresses: Terraform's for HashiCorp's own providers are on releases.hashicorp.com, all
# others, and all of OpenTofu's, on GitHub, which sends on to one of two stores (provider registry protocol; GitHub
# moved from the first store to the second).
_DOWNLOADS = {"registry.terraform.io": ("releases.hashicorp.com", *_GITHUB), "registry.opentofu.org": _GITHUB}
_LOOPBACK = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):\d+", re.IGNORECASE)
_OTHER_BUCKET = "a bucket that neither the base branch, its state nor the input `allowed_buckets` names"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """What one command may reach. `aws` may have private addresses (AWS's interface endpoints), and those of `others`
    (`host` or `host:port`) that are `inside` the company's network; `words` says why another host is refused,
    `bucket_words` why another bucket is. `anywhere`: nothing is refused.
    """

    aws: re.Pattern[str] | None = None
    others: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    words: str = "on no list for this command"
    bucket_words: str = ""
    anywhere: bool = False

    def why(self, host: str) -> str:
        """Why `host` is refused, for people."""
        return self.bucket_words if self.bucket_words and _S3.fullmatch(host) else self.words

    def is_aws(self, host: str) -> bool:
        return self.aws is not None and self.aws.fullmatch(host) is not None

    def may_be_private(self, host: str) -> bool:
        return host in self.inside or self.is_aws(host)

    def opens(self, host: str, port: int) -> bool:
        return host in self if port == 443 else f"{host}:{port}" in self.others

    def __contains__(self, host: str) -> bool:
        return host in self.others or self.is_aws(host)


NOWHERE, ANYWHERE = Hosts(), Hosts(anywhere=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the children of one cell may reach: hosts through the proxy, by command, and our TCP ports on this
    machine.
    """

    commands: Mapping[str, Hosts] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()

    def hosts(self, command: str) -> Hosts:
        return self.commands.get(command, NOWHERE)

    def ports_for(self, command: str) -> frozenset[int]:
        return self.ports if command in self.commands else frozenset()


@dataclass(frozen=True, slots=True)
class Buckets:
    """S3 buckets that a child may reach by name; with `path_style` also the region's own host of S3, which serves every
    bucket.
    """

    names: frozenset[str] = frozenset()
    path_style: bool = False


def reach(
    policy: Policy,
    *,
    lease: Iterable[str] | None,
    harness: Iterable[str] = (),
    registries: bool,
    mirrors: frozenset[str] = frozenset(),
    buckets: Buckets | None = None,
) -> Reach:
    """init: AWS (the backend), the `mirrors` on the network and the allow-list's registries; plan: AWS; state: the
    backend; everything else: nothing. Without a lease no AWS.

    `lease` and `harness` are texts with addresses on this machine: a lease's variables, the files that point at an
    emulator. `buckets` are the only ones of the region, None: all.
    """
    aws = aws_hosts(policy.region, policy.accounts.values(), buckets) if lease is not None else None
    origins = {source.partition("/")[0] for source in policy.allowed_providers} if registries else set()
    sources = mirrors.union(host for origin in origins for host in (origin, *_DOWNLOADS.get(origin, ())))
    own = frozenset(place.partition(":")[0] for place in (*mirrors, *(origins - {*PUBLIC_REGISTRIES})))
    words = f"not AWS in {policy.region}" if aws else NOWHERE.words
    plan = Hosts(aws=aws, words=words, bucket_words=_OTHER_BUCKET if aws and buckets else "")
    no_source = f"{words} and no provider registry of the allow-list{' and no mirror of the runner' * bool(mirrors)}"
    init = replace(plan, others=sources, inside=own, words=no_source if sources else words)
    return Reach(commands={"init": init, "plan": plan, "state": plan}, ports=loopback_ports((*harness, *(lease or ()))))


def aws_hosts(region: str, accounts: Iterable[str], buckets: Buckets | None = None) -> re.Pattern[str]:
    """Host names of AWS's own services in `region`, of `buckets` there (None: any), of the given accounts' addresses,
    and the global services.
    """
    place = re.escape(region)
    services = "|".join(["[a-z0-9-]+", *map(re.escape, _POINTED.split())])
    ours = "|".join(re.escape(account) for account in sorted(accounts)) or "(?!)"
    named = r"(?:[a-z0-9.-]+\.)?"
    if buckets is not None:
        names = "|".join(re.escape(name) for name in sorted(buckets.names)) or "(?!)"
        named = rf"(?:(?:{names})\.){'?' if buckets.path_style else ''}"
    patterns = (
        rf"(?!s3\.)(?:{services})\.{place}\.(?:amazonaws\.com|api\.aws)",
        rf"{named}s3\.(?:dualstack\.)?{place}\.amazonaws\.com",
        rf"(?:{ours})\.(?:s3-control|ddb)\.{place}\.amazonaws\.com",
        *(re.escape(host) for host in GLOBAL_HOSTS.values()),
    )
    return re.compile("|".join(patterns))


def loopback_ports(texts: Iterable[str]) -> frozenset[int]:
    """Ports of the addresses on this machine in `texts`: the broker's, and those of an emulator."""
    return frozenset(urlsplit(url).port or 0 for text in texts for url in _LOOPBACK.findall(text)) - {0}
