"""What `init` of Terraform and OpenTofu says about things that no change of configuration is about, and what to do."""

from __future__ import annotations

import pytest

from ops_agent.terraform.obstacles import init_remedy

QUERY = "Failed to query available provider packages: Could not retrieve the list of available versions for provider "


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            QUERY
            + "hashicorp/google: provider registry.terraform.io/hashicorp/google was not found in any of the search "
            "locations",
            "give the provider mirror this version",
        ),
        (
            QUERY + "hashicorp/aws: provider registry.terraform.io/hashicorp/aws was not found in any of the search "
            "locations",
            "Correct the version constraint",
        ),
        (QUERY + "hashicorp/aws: no available releases match the given constraints >= 99.0.0", "Correct the version"),
        (QUERY + "hashicorp/aws: the previously-selected version 5.0.0 is no longer available", "Correct the version"),
        (
            "Failed to install provider: the local package doesn't match any of the checksums previously recorded",
            "`terraform providers lock -platform=linux_amd64`",
        ),
        (
            QUERY
            + 'a/b: could not connect to registry.example: Get "https://registry.example/.well-known/terraform.json"'
            ": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "`ca_certificates`",
        ),
        (
            "Failed to load plugin schemas: failed to instantiate: fork/exec .terraform/providers/x: permission denied",
            "`TMPDIR`",
        ),
        (
            "Unsupported Terraform Core version: This configuration does not support Terraform version 1.15.5.",
            "`required_version`",
        ),
        ('Failed to get existing workspaces: S3 bucket "nope" does not exist.', "backend"),
        ('Missing Required Value: The attribute "bucket" is required by the backend.', "backend"),
        (
            "Module `sqs` of the root `infra` cannot be fetched from `git::https://git.corp/m.git`: no token",
            "`module_credentials`",
        ),
    ],
)
def test_an_obstacle_has_its_remedy(said: str, remedy: str) -> None:
    assert remedy in (init_remedy(said) or "")


DISCOVERY = 'failed to request discovery document: Get "https://registry.terraform.io/.well-known/terraform.json": '
CONNECT = f"{QUERY}hashicorp/aws: could not connect to registry.terraform.io: {DISCOVERY}"


@pytest.mark.parametrize(
    ("said", "host"),
    [
        (
            CONNECT + "refused by ops-agent: registry.terraform.io:443, which is unknown to the name service.",
            "registry.terraform.io",
        ),
        (CONNECT + "The host does not answer.", "registry.terraform.io"),
        (CONNECT + "context deadline exceeded", "registry.terraform.io"),
        (
            "Failed to install provider: refused by ops-agent: files.example:443, which is unknown to the name service",
            "files.example",
        ),
    ],
)
def test_a_host_that_does_not_answer_is_named(said: str, host: str) -> None:
    wanted = f"{host} does not answer from here: open the way on port 443, set HTTPS_PROXY, or name a provider mirror"
    assert init_remedy(said) == f"{wanted} (docs/setup/network.md)."


def test_a_registry_that_is_not_allowed_is_not_called_silent() -> None:
    said = CONNECT + "refused by ops-agent: registry.terraform.io:443, which is not a host of the providers"
    assert "`allowed_providers`" in (init_remedy(said) or "")


@pytest.mark.parametrize(
    "said",
    [
        "Unreadable module directory: Unable to evaluate directory symlink: lstat ../no: no such file or directory",
        "Duplicate provider configuration: A default provider configuration was already given at main.tf:1",
        'Unsupported block type: Blocks of type "resourc" are not expected here.',
    ],
)
def test_an_error_in_the_configuration_is_no_obstacle(said: str) -> None:
    assert init_remedy(said) is None
