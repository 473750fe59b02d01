"""What a head may do with a module from outside that the base calls: hand other values to it, and call others by
strange names.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.terraform.module_worlds import call, engine, fetch, target
from adapters.terraform.worlds import write
from ops_agent.model.finding import Severity
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus
from ops_agent.plan.reading import read_plan

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


@pytest.fixture
def listening() -> Iterator[str]:
    """An address of this machine that a child reaches only if the kernel lets it through."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_provisioner_of_a_fetched_module_does_not_run_while_planning_and_is_a_danger_of_the_plan(
    host, open_directory: Path, tmp_path
):
    """The rules let the head write none, and do not read fetched modules."""
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
            [(offline, made)] = terraform.plan_offline([workspace], [None])
    assert not canary.exists()
    assert (offline.status, made) == (CheckStatus.NOT_RUN, None)
    assert offline.output == "No offline plan: its `provisioner` would run"
    assert [(d.address, d.severity) for d in plan.dangers if d.rule == "plan/runs-a-program"] == [
        (f"module.x.terraform_data.run[{number}]", Severity.DECISION) for number in (0, 1)
    ]
    assert "local-exec" in plan.dangers[0].what


READS = """\
variable "path" {
  type = string
}
variable "address" {
  type = string
}
output "made" {
  value = file(var.path)
}
data "terraform_remote_state" "other" {
  backend = "http"
  config  = { address = var.address }
}
"""


def test_a_fetched_module_that_reads_a_given_path_or_address_reads_in_the_sandbox_only(host, listening, tmp_path):
    """No rule reads its code, so the sandbox is what holds; each place is named."""
    host.add_repository("org/reads", {"main.tf": READS})
    source = f"git::{host.url}/org/reads.git?ref=v1"
    with engine(host) as terraform:
        assert (
            fetch(terraform, {"main.tf": call(source, "x", path="a.txt", address="https://a")}).status
            is CheckStatus.PASSED
        )
        for address, said in (
            ("https://evil.example.com/?it", "evil.example.com:443, which is on no list"),
            (listening, "Error loading state"),
        ):
            head = write(tmp_path / "head", {"main.tf": call(source, "x", path="/proc/self/environ", address=address)})
            with terraform.workspace(head, target(), None) as workspace:
                assert workspace.init().status is CheckStatus.PASSED
                check, left = workspace.plan()
            assert (check.status, left) == (CheckStatus.FAILED, None)
            assert any(said in f.what for f in check.findings)
            assert any("open /proc/self/environ: permission denied" in f.what for f in check.findings)


@pytest.mark.parametrize("label", ["a.b", "a/b", ""])
def test_a_call_by_a_name_that_terraform_does_not_take_fails_init(label, host, tmp_path):
    """The head's names are keys of the manifest that we write: `a.b` is also that of what module `a` calls. 1.15 breaks
    down over some.
    """
    host.add_repository("org/nest", {"main.tf": call("./inner", "b"), "inner/main.tf": f"# {label!r}\n"})
    call_of_base = call(f"git::{host.url}/org/nest.git?ref=v1", "a")
    with engine(host) as terraform:
        assert fetch(terraform, {"main.tf": call_of_base}).status is CheckStatus.PASSED
        hostile = f'module {json.dumps(label)} {{\n  source = "./evil"\n}}\n'
        with terraform.workspace(
            write(tmp_path, {"main.tf": call_of_base + hostile, "evil/main.tf": ""}), target(), None
        ) as workspace:
            assert workspace.init().status is CheckStatus.FAILED
