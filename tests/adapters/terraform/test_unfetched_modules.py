"""A module that init cannot fetch is a clear finding: which module, of which root, from where, and what to do."""

from __future__ import annotations

import pytest

from adapters.terraform.worlds import target, write
from ops_agent.adapters.terraform.diagnostics import from_text
from ops_agent.model.verification import CheckStatus

GIT = "git::https://127.0.0.1:9/network.git?ref=v1"
# As Terraform 1.15 prints it for a registry that does not answer.
REGISTRY = """\
Error: Error accessing remote module registry

  on main.tf line 3:
   3: module "vpc" {

Failed to retrieve available versions for module "vpc" (main.tf:3) from
app.example.invalid: {why}
"""
NOT_FOUND = """\
Error: Module not found

  on main.tf line 3:
   3: module "vpc" {

Module "app.example.invalid/org/vpc/aws" (from main.tf:3) cannot be found in the module registry at
app.example.invalid.
"""


@pytest.mark.terraform
def test_a_private_git_module_of_the_root_or_of_a_module_is_named_with_the_remedy(tmp_path, bare_terraform):
    call = f'module "NAME" {{\n  source = "{GIT}"\n}}\n'
    local = 'module "queue" {\n  source = "../modules/queue"\n}\n'
    tree = write(
        tmp_path,
        {"infra/main.tf": local + call.replace("NAME", "vpc"), "modules/queue/main.tf": call.replace("NAME", "inner")},
    )
    wanted = target(local_modules=("modules/queue",), has_backend=False, environments=())
    bare = type(wanted)(
        root=wanted.root, environment=type(wanted.environment)(name="dev", account=None, backend_file=None)
    )
    with bare_terraform.workspace(tree, bare, None) as workspace:
        check = workspace.init()
    assert check.status is CheckStatus.FAILED
    refused = [f for f in check.findings if f.title == "Terraform tried to reach a place that is not allowed"]
    unfetched = [f for f in check.findings if f not in refused]
    assert "127.0.0.1:9, which is" in refused[0].what
    assert {str(f.place) for f in unfetched} == {"infra/main.tf:4", "modules/queue/main.tf:1"}
    for found in unfetched:
        assert found.title == "A module cannot be fetched"
        assert f"of the root `infra` cannot be fetched from `{GIT}`: " in found.what
        assert "unable to access 'https://127.0.0.1:9/network.git/'" in found.what
        assert "copy the module into the repository" in found.remedy
        assert found.blocks
    assert {f.what.split("`")[1] for f in unfetched} == {"vpc", "inner"}


@pytest.mark.parametrize(
    "why",
    ["dial tcp: lookup app.example.invalid: no such host.", "error looking up module versions: 401 Unauthorized."],
)
def test_a_private_registry_is_named(why):
    (found,) = from_text("init", "infra", REGISTRY.replace("{why}", why))
    assert found.what == f"Module `vpc` of the root `infra` cannot be fetched from `app.example.invalid`: {why}"
    assert "Only modules that the base branch uses already are fetched" in found.remedy
    assert str(found.place) == "infra/main.tf:3"


def test_a_module_that_the_registry_does_not_show_to_strangers_is_named():
    (found,) = from_text("init", "infra", NOT_FOUND)
    assert (
        "Module `app.example.invalid/org/vpc/aws` of the root `infra` cannot be fetched from `app.example.invalid`"
        in found.what
    )
    assert "Only modules that the base branch uses already are fetched" in found.remedy


def test_other_words_of_terraform_stay_as_they_are():
    (found,) = from_text("init", "infra", "Error: Failed to download module\n\nSomething new.\n")
    assert found.what == "Failed to download module: Something new."
    assert found.title == "terraform init failed"
