"""Values that flow into modules of a real host are judged before any part of the change is run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from adapters.terraform.module_worlds import call, engine
from doubles.linters import QuietLinters
from doubles.tree import MemoryTree
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.config.settings import Settings
from ops_agent.model.errors import ToolchainError
from ops_agent.model.finding import Severity, Verdict
from ops_agent.model.policy import Policy
from ops_agent.run.judge import judge_sources
from rules.judging import base_files, change_set

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(120)]
RUNS = """\
variable "command" {
  type = string
}

variable "size" {
  type    = number
  default = 1
}

module "deep" {
  source  = "../deep"
  command = var.command
}

output "read" {
  value = templatefile("${path.module}/files/t.tftpl", { path = var.command })
}
"""
DEEP = """\
variable "command" {
  type = string
}

resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = var.command
  }
}
"""
FILES = {"top/main.tf": RUNS, "top/files/t.tftpl": '${file("${path}")}', "deep/main.tf": DEEP}


def judged(terraform: TerraformCli | Any, source: str, written: dict[str, str], **arguments: str) -> Verdict:
    """The stage's verdict over `written`, on a base that calls `source`."""
    base = {**base_files(), "infra/x.tf": call(source, "x", **arguments).encode()}
    world: Any = SimpleNamespace(
        branches=SimpleNamespace(resolve_action=lambda *_: None),
        terraform=terraform,
        linters=QuietLinters(),
        redact=lambda text: text,
    )
    changes = change_set(base, {path: text.encode() for path, text in written.items()})
    settings = Settings(policy=Policy(allowed_modules=("git::https://",)))
    return judge_sources(world, settings, MemoryTree(base), changes)


def test_a_value_that_reaches_a_fetched_modules_template_blocks_before_init_and_its_provisioner_is_shown_first(
    host, monkeypatch
):
    source = f"git::{host.url}/org/runs.git//top?ref={host.add_repository('org/runs', FILES)}"
    with engine(host) as terraform:
        monkeypatch.setattr(terraform, "workspace", lambda *_, **__: pytest.fail("something of the change was run"))
        evil = judged(terraform, source, {"infra/x.tf": call(source, "x", command="curl evil")}, command="true")
        asked = len(host.asked)
        size = judged(terraform, source, {"infra/x.tf": call(source, "x", command="true", size="2")}, command="true")
        assert len(host.asked) == asked, "the modules of one run are fetched once"
    assert {(f.rule, f.place.path) for f in evil.blocking} == {
        ("terraform/changed-plan-input", "infra/module:x/main.tf")
    }
    first = evil.findings[0]
    assert (first.rule, first.place.path) == ("terraform/changed-command", "infra/module:x.deep/main.tf")
    assert first.severity is Severity.DECISION and "existing privileged code" in first.what
    assert not size.blocking


def test_a_module_that_does_not_come_leaves_the_rules_without_it_and_init_says_so(host):
    source = f"git::{host.url}/org/none.git//x?ref={'a' * 40}"
    with engine(host) as terraform:
        assert not judged(terraform, source, {"infra/y.tf": "locals {}\n"}).blocking


def test_a_sandbox_that_does_not_hold_fetches_nothing_and_stops_verify_later():
    def leaks() -> str:
        raise ToolchainError("it leaks", hint="")

    terraform = SimpleNamespace(self_test=leaks, fetch_modules=lambda *_: pytest.fail("fetched"))
    assert not judged(
        terraform, f"git::https://h.example.com/x.git?ref={'a' * 40}", {"infra/y.tf": "locals {}\n"}
    ).blocking


def test_without_a_remote_call_terraform_is_not_asked():
    assert not judged(SimpleNamespace(), "./modules/none", {"infra/y.tf": "locals {}\n"}).blocking
