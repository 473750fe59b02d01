"""A run's later rounds of verification: the head is planned again, the base commit only where nothing is known of it."""

from __future__ import annotations

import pytest

from adapters.terraform.recorders import Cloud, Recorder
from adapters.terraform.worlds import DEV, PROD, changes, environment, service, target, world, write
from doubles.tree import MemoryTree
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.config.settings import Settings
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.run.verify import BasePlans, verify

BEFORE = service("rounds")
AFTER = {**BEFORE, "infra/topic.tf": 'resource "aws_sns_topic" "t" {\n  name = "rounds"\n}\n'}


@pytest.mark.terraform
def test_a_second_round_starts_fewer_providers_and_reports_the_same_own_changes(tmp_path, counted, cloud, aws):
    """The formula in run/verify.py: V + 2*P + 3*S in the first round, V + P + 2*S in the second."""
    mirror, count = counted
    tree, plans, found = write(tmp_path, AFTER), BasePlans(), []
    with TerraformCli(
        policy=Policy(),
        binary="embedded",
        mirror=str(mirror),
        overlay=aws.overlay,
        backend_settings=aws.backend_overrides,
    ) as terraform:
        for _ in range(2):
            made = world(terraform, cloud)
            proof = verify(
                made, Settings(environments=("dev",)), MemoryTree(BEFORE), changes(BEFORE, AFTER), tree, plans
            )
            assert proof.passed, proof.failed
            assert [target.own for target in proof.targets] == [{"aws_sns_topic.t"}]
            found.append(count())
    assert found == [2 + 2 * 3 + 3 * 1, 2 + 3 + 2 * 1]


def test_a_plan_of_the_base_is_known_for_its_commit_target_and_account_only():
    kept = TerraformPlan(
        changes=(),
        outputs=(),
        drift=(),
        text="",
        canonical_hash="",
    )
    plans: BasePlans = {("a" * 40, target(), DEV): kept}
    assert plans["a" * 40, target(), DEV] is kept
    moved = target(environment("dev", backend_file="infra/backend/other.hcl"))
    others = [
        ("b" * 40, target(), DEV),
        ("a" * 40, moved, DEV),
        ("a" * 40, target(), PROD),
        ("a" * 40, target(), None),
    ]
    assert [plans.get(other) for other in others] == [None] * 4


def test_a_base_that_could_not_be_planned_is_asked_again_in_the_next_round(tmp_path):
    """What failed in passing must not cost every later round its comparison."""
    terraform, plans = Recorder(), BasePlans()
    (tmp_path / "HEAD").write_text("")
    for _ in range(2):
        verify(world(terraform, Cloud()), Settings(), MemoryTree(BEFORE), changes(BEFORE, AFTER), tmp_path, plans)
    assert terraform.log.count("plan base infra (dev)") == terraform.log.count("plan head infra (dev)") == 2
