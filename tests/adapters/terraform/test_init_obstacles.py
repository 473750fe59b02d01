"""What the engine says when `init` cannot succeed for a reason outside of any change: each is known with its remedy."""

from __future__ import annotations

import pytest

from adapters.terraform.worlds import VERSIONS, environment, service, target, write
from ops_agent.model.verification import CheckStatus
from ops_agent.terraform.obstacles import init_remedy

pytestmark = pytest.mark.terraform

ALLOWED = ("registry.terraform.io/hashicorp/aws",)
LOCK = """provider "registry.terraform.io/hashicorp/aws" {
  version = "%s"
  hashes  = ["h1:AAAAGuZg5JTDfZv3DLrSpc8ZsSz1UBKCHEaaaaaaaaa="]
}
"""
CASES = {
    "provider not allowed": ("infra/google.tf", 'provider "google" {}\n', "`allowed_providers`"),
    "no such version": ("infra/versions.tf", VERSIONS.replace(">= 3.39", ">= 99"), "version constraint"),
    "locked for another platform": ("infra/.terraform.lock.hcl", LOCK % "3.39.0", "terraform providers lock"),
    "locked version is gone": ("infra/.terraform.lock.hcl", LOCK % "5.0.0", "lock file"),
    "another engine": (
        "infra/versions.tf",
        VERSIONS.replace("  backend", '  required_version = ">= 99"\n  backend'),
        "`required_version`",
    ),
    "no bucket": ("infra/backend/dev/backend.hcl", 'bucket = "no-such"\nkey = "a"\nregion = "sa-east-1"\n', "backend"),
}


def test_each_obstacle_of_init_is_known(terraform, aws, cloud, tmp_path):
    terraform.self_test()
    with cloud.lease(environment("dev")) as lease:
        for name, (path, content, remedy) in CASES.items():
            tree = write(tmp_path / name.replace(" ", "-"), {**service("obstacles"), path: content})
            with terraform.workspace(tree, target(), lease, providers=ALLOWED, buckets=None) as workspace:
                result = workspace.init()
            assert result.status is CheckStatus.FAILED, name
            known = [found for f in result.findings if (found := init_remedy(f.what)) is not None]
            assert any(remedy in found for found in known), (name, [f.what for f in result.findings])
