"""Make the captured plans in `plans5/` anew, with Terraform 1.11 and the AWS provider 5.

    PYTHONPATH=tests python tests/plan/make_plans5.py MIRROR [name...]

`MIRROR` is a filesystem mirror with the provider; `terraform` is on the path. Each folder of `plan_sources5` is a
scenario: `before.tf` is applied to an emulated AWS, `after.tf` is planned. Of a plan only what is read is kept, and of
the provider's schema (`schema.json`) the types in the plans. Provider 6 is left out: no package index has it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3

from ops_agent_demo.aws.embedded import EmbeddedAws

HERE = Path(__file__).parent
PLANS = HERE / "plans5"
SOURCES = HERE / "plan_sources5"
PROVIDER = "registry.terraform.io/hashicorp/aws"
KEPT = (
    *("format_version", "terraform_version", "resource_changes", "resource_drift", "relevant_attributes"),
    *("output_changes", "configuration", "applyable", "complete", "errored"),
)
SETTINGS = """\
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                      = "sa-east-1"
  access_key                  = "fixture"
  secret_key                  = "fixture"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true
  default_tags {
    tags = {
      owner = "team-a"
    }
  }
}
"""


def terraform(directory: Path, engine: list[str], *arguments: str) -> str:
    """Run Terraform in `directory` with an environment of its own; returns what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TF_CLI_CONFIG_FILE": str(directory / "cli.tfrc"),
        "AWS_ENDPOINT_URL": (directory / "endpoint").read_text(),
        "CHECKPOINT_DISABLE": "1",
    }
    done = subprocess.run([*engine, *arguments], cwd=directory, env=environment, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{arguments}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout.decode()


def drift(endpoint: str) -> None:
    """What somebody did in the console: the queue of `drift` hides its messages for longer."""
    keys = {"aws_access_key_id": "fixture", "aws_secret_access_key": "fixture", "region_name": "sa-east-1"}
    sqs = boto3.client("sqs", endpoint_url=endpoint, **keys)
    url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "300"})


def make(name: str, mirror: Path) -> dict[str, Any]:
    """Apply, plan and capture one scenario; returns the provider's schemas."""
    # Terraform 1.11 does not write identities yet.
    engine = [sys.executable, "-m", "ops_agent_demo.terraform"] if name == "identity" else ["terraform"]
    with tempfile.TemporaryDirectory() as place, EmbeddedAws(accounts={"dev": "125611408459"}, trust={}) as aws:
        directory = Path(place)
        (directory / "endpoint").write_text(aws.endpoint)
        (directory / "cli.tfrc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        )
        (directory / "settings.tf").write_text(SETTINGS)
        (directory / "main.tf").write_text((SOURCES / name / "before.tf").read_text())
        terraform(directory, engine, "init", "-no-color")
        terraform(directory, engine, "apply", "-no-color", "-input=false", "-auto-approve")
        if name == "drift":
            drift(aws.endpoint)
        (directory / "main.tf").write_text((SOURCES / name / "after.tf").read_text())
        terraform(directory, engine, "plan", "-no-color", "-input=false", "-out=p")
        plan = json.loads(terraform(directory, engine, "show", "-json", "p"))
        kept = {key: plan[key] for key in KEPT if key in plan}
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:4566", json.dumps(kept, indent=1))
        (PLANS / f"{name}.json").write_text(f"{text}\n")
        schemas: dict[str, Any] = json.loads(terraform(directory, engine, "providers", "schema", "-json"))
        return schemas["provider_schemas"][PROVIDER]


def types_in(name: str) -> set[str]:
    return {entry["type"] for entry in json.loads((PLANS / f"{name}.json").read_text())["resource_changes"]}


def cut(schema: Any) -> Any:
    """A schema without what is said for people."""
    if isinstance(schema, dict):
        said = ("description", "deprecat")
        return {k: cut(inner) for k, inner in schema.items() if isinstance(inner, dict) or not k.startswith(said)}
    return [cut(inner) for inner in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    PLANS.mkdir(exist_ok=True)
    names = sorted(path.name for path in SOURCES.iterdir())
    for chosen in sys.argv[2:] or names:
        known = make(chosen, Path(sys.argv[1]).resolve())
        sys.stdout.write(f"made {chosen}\n")
    used = sorted({one for name in names for one in types_in(name)})
    resources = {type_: cut(known["resource_schemas"][type_]) for type_ in used}
    (PLANS / "schema.json").write_text(json.dumps({PROVIDER: {"resource_schemas": resources}}, indent=1) + "\n")
