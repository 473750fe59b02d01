"""Builders for these tests: a repository as a dictionary of files, a base tree over it, a world whose Terraform and
AWS are real.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from builders import BASE
from doubles.tree import MemoryTree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget

DEV, PROD = "125611408459", "283165662494"
ROLE = f"arn:aws:iam::{DEV}:role/ops-agent-plan"
PROD_ROLE = f"arn:aws:iam::{PROD}:role/ops-agent-plan"
SUB = "repo:DrivvenConsulting/orders:environment:dev"
BINARY = "registry.terraform.io/hashicorp/aws/3.39.0/linux_amd64/terraform-provider-aws_v3.39.0_x5"
Files = Mapping[str, bytes | str]

VERSIONS = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39"
    }
  }
  backend "s3" {}
}

provider "aws" {
  region = var.region
}

variable "region" {
  type = string
}
"""
QUEUE = """\
resource "aws_sqs_queue" "orders" {
  name                       = "{name}-orders"
  visibility_timeout_seconds = 30
}
"""


def service(name: str, main: str = QUEUE, **more: str) -> dict[str, str]:
    """A small repository in the team's layout, with its own state key."""
    files = {"infra/versions.tf": VERSIONS, "infra/main.tf": main.replace("{name}", name)}
    for environment, account in (("dev", DEV), ("prod", PROD)):
        files[f"infra/backend/{environment}/backend.hcl"] = (
            f'bucket       = "tfstate-{account}"\nkey          = "{name}/terraform.tfstate"\n'
            'region       = "sa-east-1"\nencrypt      = true\nuse_lockfile = true\n'
        )
        files[f"infra/environments/{environment}/terraform.tfvars"] = 'region = "sa-east-1"\n'
    return {**files, **more}


def environment(name: str, **fields) -> Environment:
    given = {
        "name": name,
        "account": {"dev": DEV, "prod": PROD}.get(name),
        "backend_file": f"infra/backend/{name}/backend.hcl",
        "var_files": (f"infra/environments/{name}/terraform.tfvars",),
    }
    return Environment(**{**given, **fields})


def target(env: Environment | None = None, **fields) -> TerraformTarget:
    env = env or environment("dev")
    root = TerraformRoot(**{"path": "infra", "environments": (env,), "has_backend": True, **fields})
    return TerraformTarget(root=root, environment=env)


TABLE = """\
resource "aws_dynamodb_table" "orders" {
  name         = "orders"
  hash_key     = "id"
  billing_mode = "PAY_PER_REQUEST"

  attribute {
    name = "id"
    type = "S"
  }
}
"""


def bare_target(path: str = ".") -> TerraformTarget:
    """A root without a backend, a provider or files of an environment."""
    env = Environment(name="dev", account=None, backend_file=None)
    return TerraformTarget(root=TerraformRoot(path=path, environments=(env,)), environment=env)


def write(directory: Path, files: Files) -> Path:
    for path, content in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def scripted(directory: Path, script: str) -> Path:
    """A mirror whose provider is a shell script."""
    write(directory / "mirror", {BINARY: f"#!/bin/sh\n{script}\n"})
    (directory / "mirror" / BINARY).chmod(0o755)
    for path in (directory / "mirror").rglob("*"):
        path.chmod(0o755)
    return directory / "mirror"


def wrapped(directory: Path, script: str, real: Path) -> Path:
    """A mirror whose provider is a shell script that may end in `exec $real`, the genuine provider beside it."""
    mirror = scripted(directory, f"real={directory / 'mirror' / BINARY}.real\n{script}")
    os.link(real, f"{mirror / BINARY}.real")
    return mirror


def changes(before: Files, after: Files) -> ChangeSet:
    old, new = MemoryTree(before).files, MemoryTree(after).files
    found = [
        FileChange(path=p, before=old.get(p), after=new.get(p))
        for p in sorted(old.keys() | new.keys())
        if old.get(p) != new.get(p)
    ]
    return ChangeSet(base_commit=BASE, changes=tuple(found))


@contextmanager
def scratch(base: MemoryTree) -> Iterator[SimpleNamespace]:
    with tempfile.TemporaryDirectory() as directory:
        yield SimpleNamespace(root=write(Path(directory), base.files), base=base)


def world(terraform, cloud) -> SimpleNamespace:
    return SimpleNamespace(terraform=terraform, cloud=cloud, scratch=scratch, redact=lambda text: text)


def apply(files: Files, aws, mirror: Path, *, environment: str = "dev") -> None:
    """Deploy as the team's pipeline would: by the owner of the account, with the engine outside our sandbox (which has
    no apply).
    """
    account = {"dev": DEV, "prod": PROD}[environment]
    with tempfile.TemporaryDirectory() as directory:
        root = write(Path(directory), files) / "infra"
        write(root, {**aws.overlay, "emulator.hcl": aws.backend_overrides})
        from ops_agent.adapters.terraform.cli_config import in_folder
        from ops_agent.adapters.terraform.providers import configuration

        (root / "cli.tfrc").write_text(configuration([in_folder(mirror)], Policy().allowed_providers))
        variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": directory,
            "TF_CLI_CONFIG_FILE": str(root / "cli.tfrc"),
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "owner",
            "CHECKPOINT_DISABLE": "1",
        }
        engine = [sys.executable, "-I", "-m", "ops_agent_demo.terraform"]
        backend = [f"-backend-config=backend/{environment}/backend.hcl", "-backend-config=emulator.hcl"]
        for arguments in (
            ["init", "-input=false", "-no-color", *backend],
            [
                "apply",
                "-auto-approve",
                "-input=false",
                "-no-color",
                f"-var-file=environments/{environment}/terraform.tfvars",
            ],
        ):
            done = subprocess.run(
                [*engine, *arguments], cwd=root, env=variables, capture_output=True, text=True, timeout=100
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


IS_ROOT = os.geteuid() == 0
