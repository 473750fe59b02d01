"""A child that needs more memory than is left ends with a clear error, and this process continues."""

from __future__ import annotations

import os

import pytest

from adapters.terraform.conftest import available
from adapters.terraform.test_confinement import confined
from adapters.terraform.worlds import bare_target, write
from ops_agent.adapters.terraform import sandbox as sandbox_module
from ops_agent.adapters.terraform.confinement import LEAST_MEMORY, memory_bound, memory_left
from ops_agent.adapters.terraform.engine import ended_well, find_program
from ops_agent.adapters.terraform.processes import ChildResult, ExitReason, Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus

# A billion triples: Terraform allocates memory for all of them at once.
GREEDY = 'output "x" {\n  value = length(setproduct(range(1000), range(1000), range(1000)))\n}\n'
SMALL = 'output "x" {\n  value = 1\n}\n'


@pytest.mark.terraform
@pytest.mark.parametrize("engine", ["embedded", "terraform"])
def test_a_configuration_that_wants_too_much_memory_is_named_and_the_next_one_is_planned(engine, tmp_path, monkeypatch):
    """On the real engines. Go ends with exit code 2 then, which is also "the plan has changes", or as a library by
    a signal.
    """
    monkeypatch.setattr(sandbox_module, "memory_bound", lambda: 260 << 20)
    with TerraformCli(
        policy=Policy(),
        binary=available(engine),
        path_variable=os.environ["PATH"],
        patience=Patience(deadline=60, after_interrupt=1),
    ) as terraform:
        with terraform.workspace(write(tmp_path / "greedy", {"main.tf": GREEDY}), bare_target(), None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            with pytest.raises(ToolchainError, match=r"terraform plan for \. \(dev\) broke down: .*memory") as caught:
                workspace.plan()
            assert "needs more memory than the runner has left" in caught.value.hint
        with terraform.workspace(write(tmp_path / "small", {"main.tf": SMALL}), bare_target(), None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            assert workspace.plan()[0].status is CheckStatus.PASSED


def test_any_program_is_held_by_the_bound(monkeypatch):
    monkeypatch.setattr(sandbox_module, "memory_bound", lambda: 100 << 20)
    with Sandbox(find_program("embedded", "")) as box:
        assert "MemoryError" in confined(box, "x = b'x' * (200 << 20); print('GOT IT')")
        assert confined(box, "x = b'x' * (20 << 20); print('GOT IT')") == "GOT IT"


def test_another_signal_is_still_a_broken_tool():
    result = ChildResult(returncode=-9, ending=ExitReason.EXITED, stdout=b"", stderr=b"", truncated=False, seconds=0.0)
    with pytest.raises(ToolchainError, match="signal 9"):
        ended_well(result, "x")


def test_the_bound_is_what_is_left_and_never_less_than_a_plan_needs():
    assert memory_bound() >= LEAST_MEMORY
    assert memory_bound() <= max(LEAST_MEMORY, memory_left() * 1.5)
