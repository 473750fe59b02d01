"""A module from outside that stands on the base and runs programs: the head may hand other words to it, and a reviewer must see that."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_agent.core.plans.reading_plans import read_plan
from ops_agent.domain.policy import Policy
from ops_agent.domain.terraform_plan import Severity
from ops_agent.domain.verification import CheckStatus
from terraform.module_worlds import call, engine, fetch, target
from terraform.worlds import write

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(120)]
RUNS = """\
variable "command" {
  type = string
}
resource "terraform_data" "run" {
  count            = 2
  triggers_replace = var.command
  provisioner "local-exec" {
    command = var.command
  }
}
resource "terraform_data" "quiet" {}
"""


def test_a_provisioner_of_a_fetched_module_does_not_run_while_planning_and_is_a_danger_of_the_plan(host, open_directory: Path, tmp_path):
    """D05: the rules let the head write none, and do not read fetched modules."""
    host.add_repository("org/runs", {"main.tf": RUNS})
    source, canary = f"git::{host.url}/org/runs.git?ref=v1", open_directory / "ran"
    with engine(host) as terraform:
        assert fetch(terraform, {"main.tf": call(source, "x", command="true")}).status is CheckStatus.PASSED
        head = write(tmp_path / "head", {"main.tf": call(source, "x", command=f"touch {canary}")})
        with terraform.workspace(head, target(), None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            check, left = workspace.plan()
            assert left is not None, check.findings
            plan = read_plan(left.json_path.read_bytes(), left.text, Policy())
    assert not canary.exists()
    assert [(d.address, d.severity) for d in plan.dangers if d.rule == "plan/runs-a-program"] == [
        (f"module.x.terraform_data.run[{number}]", Severity.DANGER) for number in (0, 1)
    ]
    assert "local-exec" in plan.dangers[0].why
