"""What `terraform init` reads of a root, and what it does not read."""

from __future__ import annotations

import pytest

from ops_agent.model.terraform import TerraformRoot
from ops_agent.terraform.modules import init_inputs

ROOT = TerraformRoot(path="infra", environments=(), local_modules=("infra/modules/queue",))
TERRAFORM = (
    'terraform {\n  required_providers {\n    aws = {\n      source  = "hashicorp/aws"\n'
    '      version = ">= 3.39"\n    }\n  }\n}\n'
)
MAIN = (
    'resource "aws_sqs_queue" "q" {\n  name = "q"\n}\n\nmodule "queue" {\n'
    '  source = "./modules/queue"\n  name   = "a"\n}\n'
)
FILES = {
    "infra/versions.tf": TERRAFORM,
    "infra/main.tf": MAIN,
    "infra/.terraform.lock.hcl": 'provider "registry.terraform.io/hashicorp/aws" {\n  version = "3.39.0"\n}\n',
    "infra/modules/queue/main.tf": 'resource "aws_sqs_queue" "inner" {\n  name = var.name\n}\n',
    "other/main.tf": 'resource "random_id" "x" {}\n',
}


def inputs(**changes: str) -> str:
    files = {**FILES, **changes}
    return init_inputs(ROOT, files, lambda path: files[path].encode())


SAME = {
    "an argument": {"infra/main.tf": MAIN.replace('= "q"', '= "other"')},
    "an argument of a module": {"infra/main.tf": MAIN.replace('= "a"', "= local.name")},
    "lines above and comments": {"infra/versions.tf": f"# why\n\n{TERRAFORM}"},
    "layout": {"infra/versions.tf": TERRAFORM.replace("source  =", "source =")},
    "a resource of a provider that is there": {
        "infra/topic.tf": 'resource "aws_sns_topic" "t" {\n  for_each = toset(["a"])\n}\n'
    },
    "a block in another file": {"infra/main.tf": f"{MAIN}{TERRAFORM}", "infra/versions.tf": ""},
    "a file of another root": {"other/main.tf": 'resource "null_resource" "x" {}\n'},
    "values": {
        "infra/environments/dev/terraform.tfvars": "a = 1\n",
        "infra/variables.tf": 'variable "a" {}\noutput "b" {\n  value = 1\n}\n',
    },
}
OTHER = {
    "a version": {"infra/versions.tf": TERRAFORM.replace("3.39", "5.0")},
    "the engine's version": {"infra/more.tf": 'terraform {\n  required_version = ">= 1.9"\n}\n'},
    "another provider, implied": {"infra/id.tf": 'resource "random_id" "x" {\n  byte_length = 2\n}\n'},
    "another provider, implied in a module": {
        "infra/modules/queue/id.tf": 'data "http" "x" {}\ndata "tls_key" "y" {}\n'
    },
    "another provider, inside a check": {"infra/c.tf": 'check "c" {\n  data "http_x" "y" {}\n}\n'},
    "another provider, by name": {
        "infra/main.tf": MAIN.replace('  name = "q"\n', '  name = "q"\n  provider = other.x\n')
    },
    "another provider, configured": {"infra/p.tf": 'provider "google" {}\n'},
    "a module call": {"infra/m.tf": 'module "two" {\n  source = "./modules/queue"\n}\n'},
    "a module's source": {"infra/main.tf": MAIN.replace("./modules/queue", "./modules/topic")},
    "the lock file": {"infra/.terraform.lock.hcl": ""},
    "a test": {"infra/tests/a.tftest.hcl": 'run "a" {}\n'},
    "a file that cannot be read": {"infra/broken.tf": "resource {{{\n"},
    "the same in JSON": {"infra/p.tf.json": '{"provider": {"google": {}}}'},
}


@pytest.mark.parametrize("what", SAME)
def test_what_init_does_not_read_changes_nothing(what: str) -> None:
    assert inputs(**SAME[what]) == inputs()


@pytest.mark.parametrize("what", OTHER)
def test_what_init_reads_is_noticed(what: str) -> None:
    assert inputs(**OTHER[what]) != inputs()


def test_two_broken_files_are_not_alike() -> None:
    assert inputs(**{"infra/broken.tf": "resource {{{\n"}) != inputs(**{"infra/broken.tf": "resource {{\n"})
