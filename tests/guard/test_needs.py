"""What the roots of a base need and have not is read from their files, before anything is run or the llm is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doubles.tree import MemoryTree
from ops_agent.guard.needs import Need, locked_for_one_platform, needs_of, not_with_role
from ops_agent.guard.paths import path_refusal
from ops_agent.guard.providers import allowed_in, installable
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.model.policy import AWS_PROVIDERS, UTILITY_PROVIDERS, Policy
from ops_agent.model.terraform import TerraformTarget
from ops_agent.terraform.links import FollowedTree

VERSIONS = 'terraform {\n  required_version = ">= 1.8"\n  backend "s3" {}\n}\n'
USUAL = {
    "infra/versions.tf": VERSIONS,
    "infra/backend/dev/backend.hcl": 'bucket = "b"\nkey    = "k"\nregion = "sa-east-1"\n',
    "infra/environments/dev/terraform.tfvars": "",
    "infra/main.tf": 'resource "aws_sqs_queue" "q" {}\n',
}
NULL = 'variable "given" {\n  default = null\n}\n'
VALUELESS = 'variable "given" {}\n'
HASH = '"h1:AAAAfGE4SjLps+hpxJFEM/pZFiNgvi6BMG8/w86+f6k="'


def tree_of(files: dict[str, str], policy: Policy | None = None) -> SourceTree:
    return source_tree(MemoryTree({**USUAL, **files}), policy or Policy())


def needs(
    files: dict[str, str], policy: Policy | None = None, engine: str = "Terraform 1.15.5 (x)"
) -> tuple[Need, ...]:
    tree = tree_of(files, policy)
    return needs_of(tree, tree.layout.roots, engine, lambda _: True)


def provider(argument: str) -> str:
    return f'provider "aws" {{\n  {argument}\n}}\n'


def requiring(source: str) -> str:
    return f'terraform {{\n  required_providers {{\n    x = {{\n      source = "{source}"\n    }}\n  }}\n}}\n'


def lock(address: str, hashes: str = HASH) -> str:
    return f'provider "{address}" {{\n  version = "1.0.0"\n  hashes  = [{hashes}]\n}}\n'


@pytest.mark.parametrize(
    ("path", "leads_to", "why"),
    [
        ("infra/out.tf", "../../elsewhere/x.tf", "leads out of the repository"),
        ("infra/gone.tf", "../shared/x.tf", "leads to `shared/x.tf`, which does not exist"),
        ("infra/net", "/opt/modules/net", "leads out of the repository"),
        ("infra/notes", "/opt/notes", ""),
        ("docs/out.tf", "/opt/x.tf", ""),
    ],
)
def test_a_link_that_shows_nothing_stops_the_root_that_would_load_it(path: str, leads_to: str, why: str) -> None:
    calling = {"infra/calls.tf": 'module "net" {\n  source = "./net"\n}\n'}
    tree = FollowedTree(MemoryTree({**USUAL, **calling, path: leads_to}, {path: "120000"}))
    base = source_tree(tree, Policy())
    found = needs_of(base, base.layout.roots, "Terraform 1.15.5 (x)", lambda _: True)
    assert [(need.stops, need.finding.place.path) for need in found] == ([(True, path)] if why else [])
    assert all(why in need.finding.what for need in found)


def test_what_links_show_is_part_of_the_root_and_its_place_may_be_written() -> None:
    files = {**USUAL, "shared/common.tf": VALUELESS, "other/x.tf": "", "infra/common.tf": "../shared/common.tf"}
    base = source_tree(FollowedTree(MemoryTree(files, {"infra/common.tf": "120000"})), Policy())
    assert dict(base.named("infra")).keys() >= {"variable.given"}
    assert path_refusal("shared/common.tf", b"", Policy(), base.layout) is None
    assert "belong under `infra/`, `shared/`" in (path_refusal("other/x.tf", b"", Policy(), base.layout) or "")


@pytest.mark.parametrize(
    ("hashes", "is_named"),
    [(HASH, True), (f'{HASH}, "zh:00"', False), (f"{HASH}, {HASH.replace('AAAA', 'BBBB')}", False), ('"zh:00"', False)],
)
def test_a_lock_file_with_one_hash_of_a_package_may_be_of_another_platform(hashes: str, is_named: bool) -> None:
    tree = tree_of({"infra/.terraform.lock.hcl": lock(AWS_PROVIDERS[0], hashes)})
    found = locked_for_one_platform(tree, tree.layout.roots[0])
    said = [(one.place.path, one.remedy) for one in found]
    command = "Run `terraform providers lock -platform=linux_amd64` in the root, and commit the lock file."
    assert said == ([("infra/.terraform.lock.hcl", command)] if is_named else [])


def test_a_usual_root_needs_nothing() -> None:
    utilities = 'resource "random_id" "r" {}\nresource "null_resource" "n" {}\nresource "tls_private_key" "k" {}\n'
    assert not needs({"infra/utilities.tf": utilities, "infra/.terraform.lock.hcl": lock(AWS_PROVIDERS[0])})


@pytest.mark.parametrize(
    ("files", "what", "remedy"),
    [
        (
            {"infra/versions.tf": VERSIONS.replace(">= 1.8", "~> 1.10.0")},
            "infra/versions.tf:2: it asks for `required_version` ~> 1.10.0, and here runs Terraform 1.15.5 (x)",
            "Before ops-agent: `uses: hashicorp/setup-terraform` with `terraform_version: 1.10.0`.",
        ),
        (
            {"infra/versions.tf": VERSIONS.replace(">= 1.8", "< 1.5")},
            "infra/versions.tf:2: it asks for `required_version` < 1.5, and here runs Terraform 1.15.5 (x)",
            "ops-agent needs 1.8 or newer: widen the constraint on the base branch.",
        ),
        (
            {"infra/more.tofu": ""},
            "infra/more.tofu: it asks for files that only OpenTofu loads, and here runs Terraform 1.15.5 (x)",
            "Before ops-agent: `uses: opentofu/setup-opentofu` with `tofu_version: 1.8.0`.",
        ),
        (
            {"infra/.terraform.lock.hcl": lock(AWS_PROVIDERS[0], "")},
            "infra/.terraform.lock.hcl: no hash of `registry.terraform.io/hashicorp/aws` is for linux_amd64",
            "Run `terraform providers lock -platform=linux_amd64` in the root, and commit the lock file.",
        ),
        (
            {"infra/dns.tf": requiring("tf.acme.io/acme/dns")},
            "infra: it needs the provider `tf.acme.io/acme/dns`, which is not allowed",
            "Allow `tf.acme.io/acme/dns` with `allowed_providers`, or take it out of the root.",
        ),
    ],
    ids=["engine", "too old", "opentofu", "lock", "registry"],
)
def test_what_keeps_a_root_from_any_plan_is_named_with_what_removes_it(
    files: dict[str, str], what: str, remedy: str
) -> None:
    (need,) = needs(files)
    assert need.stops and f"{need.finding.place}: {need.finding.what}" == what and need.finding.remedy == remedy


def test_another_version_than_the_pinned_one_is_said_and_stops_nothing() -> None:
    (need,) = needs({".terraform-version": "1.14.3\n"})
    assert not need.stops and need.finding.what == "it asks for Terraform 1.14.3, and here runs Terraform 1.15.5 (x)"
    assert not needs({".terraform-version": "1.15.5\n"})


BACKEND = "infra/backend/dev/backend.hcl"
ISSUER = 'url = "https://token.actions.githubusercontent.com"'
DYNAMIC = 'dynamic "assume_role" {\n  for_each = var.given == null ? [] : [1]\n  content {\n    role_arn = "r"\n  }\n}'


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        (BACKEND, 'profile = "p"\n', f"{BACKEND}:1: the backend reads files of its user (`profile`)"),
        (
            BACKEND,
            'assume_role = {\n  role_arn = "arn:aws:iam::1:role/x"\n}\n',
            f"{BACKEND}:1: the backend becomes another role (`assume_role`)",
        ),
        (
            "infra/p.tf",
            provider('profile = "pulse-dev"'),
            'infra/p.tf:2: `provider "aws"` reads files of its user (`profile`)',
        ),
        (
            "infra/p.tf",
            provider("access_key = var.given") + VALUELESS,
            'infra/p.tf:2: `provider "aws"` takes keys of its own (`access_key`)',
        ),
        (
            "infra/p.tf",
            provider("assume_role {\n    role_arn = var.given\n  }") + VALUELESS,
            'infra/p.tf:2: `provider "aws"` becomes another role (`assume_role`)',
        ),
        (
            "infra/s.tf",
            'data "terraform_remote_state" "n" {\n  config = {\n    profile = "p"\n  }\n}\n',
            'infra/s.tf:1: `data "terraform_remote_state" "n"` reads files of its user (`profile`)',
        ),
        (
            "infra/m.tf",
            'resource "datadog_monitor" "m" {}\n',
            "infra: it uses the provider `hashicorp/datadog`, which may not run beside the role of a plan",
        ),
        (
            "infra/c.tf",
            f'data "tls_certificate" "c" {{\n  {ISSUER}\n}}\n',
            'infra/c.tf:1: `data "tls_certificate" "c"` asks a server that a plan with a role does not reach',
        ),
    ],
    ids=["backend profile", "backend role", "profile", "keys", "role", "state", "provider", "certificate"],
)
def test_what_may_not_or_cannot_be_planned_with_the_role_is_said_and_planned_without(
    path: str, text: str, what: str
) -> None:
    (need,) = needs({path: text})
    assert not need.stops and f"{need.finding.place}: {need.finding.what}" == what
    assert "is planned without its account" in need.finding.remedy


@pytest.mark.parametrize(
    "given",
    [
        provider("profile = var.given") + NULL,
        provider('profile = ""'),
        provider(DYNAMIC) + NULL,
        provider('default_tags {\n    tags = {\n      token = "x"\n    }\n  }'),
        f'data "tls_certificate" "c" {{\n  count = 0\n  {ISSUER}\n}}\n',
    ],
    ids=["null", "empty", "dynamic", "tags", "count"],
)
def test_what_is_surely_not_given_takes_no_plan_away(given: str) -> None:
    assert needs({"infra/given.tf": given}) == ()


def test_an_environment_that_gives_no_value_is_planned_with_its_role() -> None:
    """One that gives it is not: the values are those of each environment."""
    files = {
        "infra/provider.tf": provider("profile = var.given") + NULL,
        "infra/backend/prod/backend.hcl": 'bucket = "p"\n',
        "infra/environments/prod/terraform.tfvars": 'given = "pulse-prod"\n',
    }
    tree = tree_of(files)
    (root,) = tree.layout.roots
    found = {e.name: bool(not_with_role(tree, TerraformTarget(root=root, environment=e))) for e in root.environments}
    assert found == {"dev": False, "prod": True}


def test_a_root_keeps_the_providers_that_it_has_and_no_other_gets_them() -> None:
    module = 'resource "datadog_monitor" "m" {}\n'
    files = {
        "infra/call.tf": 'module "m" {\n  source = "../modules/m"\n}\n',
        "modules/m/main.tf": module,
        "edge/main.tf": VERSIONS,
        "edge/.terraform.lock.hcl": lock("registry.terraform.io/cloudflare/cloudflare"),
        "edge/private.tf": requiring("tf.acme.io/a/x"),
    }
    tree = tree_of(files)
    infra, edge = sorted(tree.layout.roots, key=lambda root: root.path, reverse=True)
    usual = {*AWS_PROVIDERS, *UTILITY_PROVIDERS}
    names = ("registry.terraform.io/", "registry.opentofu.org/")
    assert {*installable(tree.policy, tree, infra)} - usual == {f"{host}hashicorp/datadog" for host in names}
    assert {*installable(tree.policy, tree, edge)} - usual == {f"{host}cloudflare/cloudflare" for host in names}
    assert "registry.terraform.io/hashicorp/datadog" in allowed_in("infra", tree)
    assert allowed_in("edge", tree) - usual == {f"{host}cloudflare/cloudflare" for host in names}
    both = tree_of({**files, "edge/call.tf": files["infra/call.tf"]})
    allowed = allowed_in("modules/m", both) - usual
    assert allowed == {f"{host}hashicorp/datadog" for host in names}, "what all roots that load it have"
    private = replace(Policy(), allowed_providers=(*Policy().allowed_providers, "tf.acme.io/a/x"))
    assert "tf.acme.io/a/x" in installable(private, tree, edge)
