"""Offline runs on the roots of public repositories: what counts as a wrong end, and how a folder of clones does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from corpus import roots
from corpus.history import repositories_in
from ops_agent.model.terraform import Environment, Layout, TerraformRoot

CORPUS = os.environ.get("CORPUS", "")
ROOT = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 3.39"
    }
  }
}
provider "aws" {
  region = "eu-west-2"
}
"""


def environment(name: str, backend: str | None, *files: str, unsettled: str = "") -> Environment:
    return Environment(name=name, account=None, backend_file=backend, var_files=files, unsettled=unsettled)


def ended(conclusion: str, code: int = 0, requests: int = 0, log: str = "") -> roots.Ended:
    return roots.Ended(
        repository="acme/infra",
        root="infra",
        environments=("dev",),
        code=code,
        conclusion=conclusion,
        sentence="",
        requests=requests,
        seconds=1.0,
        log=log,
    )


def test_a_file_of_another_environment_is_found() -> None:
    root = TerraformRoot(
        path="prod-account",
        environments=(
            environment("dev", "prod-account/dev.s3.tfbackend", "prod-account/common.tfvars"),
            environment("prod", "prod-account/prod.s3.tfbackend", "prod-account/dev/main.tfvars"),
            environment("test", "prod-account/dev.s3.tfbackend", unsettled="two files may be meant"),
        ),
    )
    assert list(roots.files_of_other_environments(Layout(roots=(root,), workflows=()))) == [
        "prod of prod-account: prod-account/dev/main.tfvars"
    ]


def test_an_end_without_a_conclusion_or_with_a_stack_trace_is_a_bug() -> None:
    assert ended("", code=1).is_bug
    assert ended("internal_error", code=70).is_bug
    assert ended("published", log="Traceback (most recent call last)").is_bug
    assert not ended("checks_failed", code=1).is_bug


def test_what_was_there_before_must_not_be_paid_for() -> None:
    assert ended("toolchain_failed", code=6, requests=3).paid_for_nothing
    assert not ended("toolchain_failed", code=6).paid_for_nothing
    assert not ended("checks_failed", code=1, requests=3).paid_for_nothing


@pytest.mark.proof
@pytest.mark.terraform
@pytest.mark.timeout(240)
def test_each_root_of_a_clone_is_run_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "acme+infra"
    (folder / "orders").mkdir(parents=True)
    (folder / "orders" / "main.tf").write_text(ROOT)
    (folder / "orders" / "dev.tfvars").write_text("")
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Begin")):
        subprocess.run([*git, *arguments], cwd=folder, check=True, capture_output=True)
    (one,) = roots.examine_all(repositories_in(tmp_path), count=4, limit=200, mirror=None)
    (run,) = one.runs
    assert (run.root, run.environments, run.conclusion) == ("orders", ("dev",), "published"), run.log
    assert run.requests >= 3 and not run.is_bug and not one.is_bug and not one.mixed, one.log
    assert "acme/infra  1 " in roots.summary([one])


@pytest.mark.proof
@pytest.mark.skipif(
    not CORPUS, reason="CORPUS names no folder of clones of public repositories: make proof CORPUS=PATH"
)
@pytest.mark.timeout(3 * 3600)
def test_roots_of_real_repositories_end_well() -> None:
    mirror = Path(os.environ["MIRROR"]) if os.environ.get("MIRROR") else None
    examined = list(roots.examine_all(repositories_in(Path(CORPUS)), count=3, limit=600, mirror=mirror))
    table = roots.summary(examined)
    runs = [run for one in examined for run in one.runs]
    assert len(runs) >= 20, table
    assert not [(one.repository, one.log[-2000:]) for one in examined if one.is_bug], table
    assert not [(run.repository, run.root, run.log[-2000:]) for run in runs if run.is_bug], table
    assert not [(run.repository, run.root, run.sentence) for run in runs if run.paid_for_nothing], table
    assert not [(one.repository, one.mixed) for one in examined if one.mixed], table
