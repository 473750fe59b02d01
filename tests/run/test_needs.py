"""What no change could be planned without is said before the first call of the llm, by a run and the doctor alike."""

from __future__ import annotations

from types import SimpleNamespace

from adapters.terraform.worlds import service, world
from doubles.tree import MemoryTree
from ops_agent.config.settings import Settings
from ops_agent.doctor.checks import CHECKS
from ops_agent.doctor.diagnosis import Health, Setup
from ops_agent.model.outcome import Conclusion
from ops_agent.model.policy import Policy
from ops_agent.run.base_first import BaseFirst
from ops_agent.terraform.layout import discover_layout
from run.recorders import Cloud, Recorder

NEWER = 'terraform {\n  required_version = "~> 10.1.0"\n}\n'
REMEDY = "Before ops-agent: `uses: hashicorp/setup-terraform` with `terraform_version: 10.1.0`."
OTHER = {"other/main.tf": 'terraform {\n  backend "s3" {}\n}\n', "other/backend/dev/backend.hcl": 'bucket = "b"\n'}


def both(files: dict[str, str], settings: Settings | None = None) -> SimpleNamespace:
    """What a run and the doctor say about a base."""
    terraform, lines = Recorder(), []
    base, settings = MemoryTree(files), settings or Settings()
    layout = discover_layout(base.files, base.read, Policy())
    made = SimpleNamespace(**vars(world(terraform, Cloud())))
    made.reporter = SimpleNamespace(line=lines.append)
    made.linters = SimpleNamespace(check=lambda files: dict.fromkeys(files, ()))
    with BaseFirst(made, settings, base, layout) as first:
        stopped = first.before_call()
        ran = [one for one in terraform.log if one != "self test"] if stopped else []
    setup = Setup(settings=settings, world=made, environment={}, tree=base, layout=layout)
    told = [(d.health, d.what, d.hint) for d in CHECKS["toolchain"](setup) if d.subject == "roots"]
    return SimpleNamespace(stopped=stopped, lines=lines, ran=ran, told=told)


def test_an_engine_that_no_root_takes_ends_the_run_at_once_with_the_line_that_installs_another():
    what = "it asks for `required_version` ~> 10.1.0, and here runs Terraform 9.9.9 (recorded)"
    found = both({**service("s"), "infra/engine.tf": NEWER})
    assert found.stopped.conclusion is Conclusion.TOOLCHAIN_FAILED and found.ran == []
    assert found.stopped.reason == f"Nothing can be planned here. infra/engine.tf:2: {what}."
    assert found.stopped.remedy == REMEDY and found.lines == [f"infra/engine.tf:2: {what}. {REMEDY}"]
    assert found.told == [(Health.FAIL, f"infra/engine.tf:2: {what}", REMEDY)]


def test_one_root_that_can_be_planned_is_worth_the_run_and_the_other_is_named():
    found = both({**service("s"), "infra/engine.tf": NEWER, **OTHER})
    assert found.stopped is None and found.lines[0].startswith("infra/engine.tf:2: it asks for")
    assert [health for health, *_ in found.told] == [Health.WARN]
    asked = Settings(environments=("prod",))
    assert both({**service("s"), "infra/engine.tf": NEWER, **OTHER}, asked).stopped, "only infra serves prod"


def test_what_many_roots_need_is_said_once():
    files = {}
    for number in range(6):
        files[f"r{number}/main.tf"] = 'terraform {\n  backend "s3" {}\n}\nprovider "aws" {\n  profile = "p"\n}\n'
        files[f"r{number}/backend/dev/backend.hcl"] = 'bucket = "b"\n'
    found = both(files)
    assert found.stopped is None and len(found.lines) == len(found.told) == 1
    assert found.lines[0].startswith('r0/main.tf:5, r1/main.tf:5, r2/main.tf:5 and 3 more: `provider "aws"` reads')
