"""The roots that the verification's benchmark plans, and a provider that counts its starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.cells import Cell
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.change_set import TreeEntry
from ops_agent.model.policy import Policy

ENVIRONMENTS = {name: Policy().accounts[name] for name in ("dev", "prod")}
SUBJECT = "repo:DrivvenConsulting/orders:environment:dev"
_VERSIONS = """\
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
_MAIN = """\
resource "aws_sqs_queue" "orders" {
  name = "NAME-orders"
}

resource "aws_s3_bucket" "files" {
  bucket = "NAME-files"
}

resource "aws_dynamodb_table" "orders" {
  name         = "NAME-orders"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }
}
"""
_ADDED = """\
resource "aws_sns_topic" "orders" {
  name = "NAME-orders"
}
"""


@dataclass(slots=True)
class FilesBase:
    """ports.BaseTree over a dictionary."""

    files: Mapping[str, bytes]
    commit: str = "a" * 40

    def entries(self) -> Mapping[str, TreeEntry]:
        return {
            p: TreeEntry(path=p, mode="100644", blob="b" * 40, size=len(content)) for p, content in self.files.items()
        }

    def read(self, path: str) -> bytes:
        return self.files[path]


def counting_mirror(genuine: Path, folder: Path) -> Path:
    """A mirror in `folder` whose providers write one byte to `starts` in their temporary directory, then become the
    genuine ones.
    """
    for path in genuine.rglob("terraform-provider-*"):
        script = folder / "mirror" / path.relative_to(genuine)
        script.parent.mkdir(parents=True)
        real = script.with_name(f"{script.name}.real")
        os.link(path, real)
        script.write_text(f'#!/bin/sh\nprintf . >> "$TMPDIR/starts"\nexec {real} "$@"\n')
    for path in (folder / "mirror", *(folder / "mirror").rglob("*")):
        path.chmod(0o755)
    return folder / "mirror"


def starts_in(folder: Path) -> int:
    """Provider starts that were counted in this temporary directory."""
    starts = folder / "starts"
    return starts.stat().st_size if starts.exists() else 0


@contextmanager
def counted_cells() -> Iterator[list[int]]:
    """Provider starts of each cell that is closed meanwhile: a sandboxed provider can write only into its cell."""
    counts: list[int] = []
    close = Sandbox.close_cell

    def close_and_count(self: Sandbox, cell: Cell) -> None:
        counts.append(starts_in(cell.temporary))
        close(self, cell)

    Sandbox.close_cell = close_and_count  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        Sandbox.close_cell = close  # type: ignore[method-assign]


def pairs_of(pairs: int) -> list[tuple[str, str]]:
    roots = [f"infra-{number}" for number in range((pairs + 1) // 2)]
    return [(root, environment) for root in roots for environment in ENVIRONMENTS][:pairs]


def files_of(pairs: int, *, added: bool) -> Mapping[str, bytes]:
    files: dict[str, str] = {}
    for root, environment in pairs_of(pairs):
        files[f"{root}/versions.tf"] = _VERSIONS
        files[f"{root}/main.tf"] = _MAIN.replace("NAME", root)
        if added:
            files[f"{root}/topic.tf"] = _ADDED.replace("NAME", root)
        files[f"{root}/backend/{environment}/backend.hcl"] = (
            f'bucket       = "bench-{environment}"\nkey          = "{root}/terraform.tfstate"\n'
            'region       = "sa-east-1"\nencrypt      = true\nuse_lockfile = true\n'
        )
        files[f"{root}/environments/{environment}/terraform.tfvars"] = 'region = "sa-east-1"\n'
    return {path: text.encode() for path, text in files.items()}
