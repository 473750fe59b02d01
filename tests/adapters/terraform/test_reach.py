"""Which names are AWS's own in the region, and which only look like it."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from ops_agent.adapters.aws.sts import session_policy
from ops_agent.adapters.terraform.reach import GLOBAL_HOSTS, Buckets, loopback_ports, reach
from ops_agent.model.policy import Policy

ACCOUNTS = Policy().accounts.values()
ENDPOINTS = json.loads(files("botocore").joinpath("data/endpoints.json").read_text())["partitions"][0]


def hosts(command: str = "plan", *, registries: tuple[str, ...] = (), aws: bool = True):
    policy = Policy(allowed_providers=tuple(f"{host}/hashicorp/aws" for host in registries))
    return reach(policy, lease=() if aws else None, registries=bool(registries)).hosts(command)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "sqs.sa-east-1.amazonaws.com",
            "sts.sa-east-1.amazonaws.com",
            "api.ecr.sa-east-1.amazonaws.com",
            "ec2.sa-east-1.api.aws",
        ),
        *(
            "s3.sa-east-1.amazonaws.com",
            "tfstate.s3.sa-east-1.amazonaws.com",
            "a.b.s3.dualstack.sa-east-1.amazonaws.com",
        ),
        *("125611408459.s3-control.sa-east-1.amazonaws.com", "283165662494.ddb.sa-east-1.amazonaws.com"),
    ],
)
def test_services_of_the_region_and_addresses_of_our_accounts_may_be_reached(host):
    assert host in hosts("plan")
    assert host in hosts("init")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "amazonaws.com", "sqs.us-east-1.amazonaws.com", "sqs.sa-east-1.amazonaws.com.evil.example"),
        *("evilsqs.sa-east-1xamazonaws.com", "sqs.sa-east-1.amazonaws.com.cn", "sqs.sa-east-1.amazonaws.com\n", ""),
        *("169.254.169.254", "127.0.0.1", "10.0.0.1", "[::1]"),
    ],
)
def test_other_regions_and_look_alikes_may_not_be_reached(host):
    assert host not in hosts("plan")
    assert host not in hosts("init")


@pytest.mark.parametrize(
    "host",
    [
        *(
            "abc123.execute-api.sa-east-1.amazonaws.com",
            "x.elb.sa-east-1.amazonaws.com",
            "x.sa-east-1.elb.amazonaws.com",
        ),
        *(
            "ec2-1-2-3-4.sa-east-1.compute.amazonaws.com",
            "x.lambda-url.sa-east-1.on.aws",
            "x.appsync-api.sa-east-1.amazonaws.com",
        ),
        *(
            "999999999999.s3-control.sa-east-1.amazonaws.com",
            "x.s3-website.sa-east-1.amazonaws.com",
            "x.cloudfront.net",
        ),
    ],
)
def test_hosts_of_aws_customers_in_the_region_may_not_be_reached(host):
    """Anyone may own an API, a load balancer or a function there."""
    assert host not in hosts("plan")


def test_the_global_hosts_are_botocores_and_of_the_services_that_the_session_policy_allows_outside_the_region():
    statement = next(s for s in json.loads(session_policy("sa-east-1", ACCOUNTS))["Statement"] if s["Sid"] == "Region")
    assert {action.partition(":")[0] for action in statement["NotAction"]} - {"s3"} == set(GLOBAL_HOSTS)
    for service, host in GLOBAL_HOSTS.items():
        described = ENDPOINTS["services"].get(service, {})
        partition = described.get("endpoints", {}).get(described.get("partitionEndpoint"), {})
        if "hostname" in partition:
            assert host == partition["hostname"]
        else:
            # One region only (CloudFront's certificates and firewalls, Global Accelerator): botocore's pattern for a
            # region.
            assert host in {f"{service}.us-east-1.amazonaws.com", f"{service}.us-west-2.amazonaws.com"}


def test_every_regional_address_that_botocore_knows_for_the_region_may_be_reached_but_for_those_of_customers():
    pattern = ENDPOINTS["defaults"]["hostname"]
    missing = set()
    for service, described in ENDPOINTS["services"].items():
        endpoint = described["endpoints"].get("sa-east-1")
        if endpoint is not None:
            host = endpoint.get("hostname") or described.get("defaults", {}).get("hostname") or pattern
            host = host.format(service=service, region="sa-east-1", dnsSuffix="amazonaws.com")
            if host not in hosts("plan"):
                missing.add(service)
    # Calls at run time: device traffic, metering, inference. No plan makes them.
    assert missing <= {
        *(
            "api.iotwireless",
            "api.tunneling.iot",
            "data-ats.iot",
            "data.iot",
            "data.jobs.iot",
            "iotdata",
            "metering.marketplace",
        ),
        *("metrics.sagemaker", "runtime.sagemaker", "runtime.lex", "models.lex", "entitlement.marketplace"),
    }


def test_registries_are_for_init_alone_and_only_those_of_the_allow_list():
    terraform, tofu = "registry.terraform.io", "registry.opentofu.org"
    assert terraform in hosts("init", registries=(terraform,))
    assert "releases.hashicorp.com" in hosts("init", registries=(terraform,))
    assert tofu not in hosts("init", registries=(terraform,))
    assert "release-assets.githubusercontent.com" in hosts("init", registries=(tofu,))
    assert terraform not in hosts("init")
    assert terraform not in hosts("plan", registries=(terraform,))


@pytest.mark.parametrize("command", ["fmt", "validate", "show", "version", "test", "providers"])
def test_every_other_command_may_reach_nothing(command):
    everything = reach(Policy(), lease=("http://127.0.0.1:1/credentials",), registries=True)
    assert everything.ports_for("plan") == {1}
    assert "sqs.sa-east-1.amazonaws.com" not in everything.hosts(command)
    assert "registry.terraform.io" not in everything.hosts(command)
    assert everything.ports_for(command) == frozenset()


@pytest.mark.parametrize(
    ("buckets", "host", "open_"),
    [
        (Buckets(frozenset({"tfstate-dev"})), "tfstate-dev.s3.sa-east-1.amazonaws.com", True),
        (Buckets(frozenset({"tfstate-dev"})), "tfstate-dev.s3.dualstack.sa-east-1.amazonaws.com", True),
        (Buckets(frozenset({"tfstate-dev"})), "xtfstate-dev.s3.sa-east-1.amazonaws.com", False),
        (Buckets(frozenset({"tfstate-dev"})), "x.tfstate-dev.s3.sa-east-1.amazonaws.com", False),
        (Buckets(frozenset({"a.b"})), "a.b.s3.sa-east-1.amazonaws.com", True),
        (Buckets(frozenset({"a.b"})), "axb.s3.sa-east-1.amazonaws.com", False),
        (Buckets(frozenset({"tfstate-dev"})), "s3.sa-east-1.amazonaws.com", False),
        (Buckets(frozenset({"tfstate-dev"}), path_style=True), "s3.sa-east-1.amazonaws.com", True),
        (Buckets(), "s3.sa-east-1.amazonaws.com", False),
        (Buckets(), "sqs.sa-east-1.amazonaws.com", True),
        (None, "any.s3.sa-east-1.amazonaws.com", True),
    ],
)
def test_of_the_regions_buckets_only_the_named_ones_may_be_reached(buckets, host, open_):
    for command in ("init", "plan", "state"):
        assert (host in reach(Policy(), lease=(), registries=False, buckets=buckets).hosts(command)) is open_


def test_a_refused_bucket_says_what_would_open_it():
    plan = reach(Policy(), lease=(), registries=False, buckets=Buckets(frozenset({"mine"}))).hosts("plan")
    assert "`allowed_buckets`" in plan.why("other.s3.sa-east-1.amazonaws.com")
    assert plan.why("evil.example") == "not AWS in sa-east-1"


def test_without_a_role_no_command_reaches_aws():
    assert "sqs.sa-east-1.amazonaws.com" not in hosts("init", aws=False)
    assert "sqs.sa-east-1.amazonaws.com" not in hosts("plan", aws=False)


def test_only_addresses_of_this_machine_give_ports():
    text = 'sqs = "http://127.0.0.1:4566" x http://localhost:80/ https://[::1]:9 http://evil.example:22 '
    text += "http://127.0.0.1.evil.example:23"
    assert loopback_ports([text]) == {4566, 80, 9}
