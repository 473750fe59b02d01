"""Environments that cannot be distinguished are never planned, and a change cannot make it so unseen. Terraform is a
recorder here.
"""

from __future__ import annotations

from adapters.terraform.worlds import changes, service, world
from doubles.tree import MemoryTree
from ops_agent.config.settings import Settings
from ops_agent.run.verify import verify
from run.recorders import Cloud, Recorder

WHOLE = 'terraform {\n  backend "s3" {\n    bucket = "b"\n    key    = "k"\n  }\n}\n'


def proof(before, after, tmp_path):
    (tmp_path / "HEAD").write_text("")
    terraform = Recorder()
    return verify(
        world(terraform, Cloud()), Settings(), MemoryTree(before), changes(before, after), tmp_path
    ), terraform


def test_a_folder_that_is_an_environment_is_planned_with_the_backend_in_its_code(tmp_path):
    """`environments/dev/` as a root, backend written out."""
    before = {"live/dev/main.tf": WHOLE}
    result, terraform = proof(before, {**before, "live/dev/new.tf": "locals {}\n"}, tmp_path)
    assert [t.unplanned for t in result.targets] == [None]
    assert "plan head live/dev (dev)" in terraform.log and "plan base live/dev (dev)" in terraform.log


def test_environments_that_would_share_a_state_get_no_credentials(tmp_path):
    before = {"infra/main.tf": WHOLE, "infra/dev.tfvars": "", "infra/prod.tfvars": ""}
    result, terraform = proof(before, {**before, "infra/new.tf": "locals {}\n"}, tmp_path)
    assert [t.unplanned for t in result.targets] == ["the environments of `infra` would share one state"] * 2
    assert not [line for line in terraform.log if line.startswith("plan ")]
    assert all(not t.target.environment.var_files for t in result.targets), "no value of prod gets near dev"


def test_a_change_that_makes_dev_ambiguous_fails_and_is_not_planned(tmp_path):
    before = service("s")
    result, terraform = proof(before, {**before, "infra/environments/us/dev.tfvars": ""}, tmp_path)
    assert not result.passed
    (failed,) = [check for check in result.failed if check.name == "layout"]
    assert "`dev` of `infra` cannot be planned any more" in failed.findings[0].what
    assert "plan head infra (dev)" not in terraform.log
