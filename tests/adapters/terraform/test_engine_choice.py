"""The engine that fits the repository is taken from PATH, from what setup actions keep, or from the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_agent.adapters.terraform.engine import Program, all_programs, kept_programs
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import ToolchainError
from ops_agent.model.finding import Place
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import EngineWish

HERE = Place(path="infra/versions.tf", line=2)
ANY = EngineWish()
NARROW = EngineWish(required=((HERE, "~> 1.10.0"),))
TOFU = EngineWish(loads_tofu=HERE)
PINNED = EngineWish(pinned=("terraform", "1.14.3", HERE))


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """A runner with Terraform 1.15.5 on PATH, others where setup actions and version managers keep them."""
    program(tmp_path / "bin/terraform")
    program(tmp_path / "tools/terraform/1.10.5/x64/terraform")
    program(tmp_path / "tools/tofu/1.11.1/amd64/tofu")
    program(tmp_path / "home/.tfenv/versions/1.14.3/terraform")
    (tmp_path / "home/.tfenv/versions/1.7.0").mkdir()
    return {"RUNNER_TOOL_CACHE": str(tmp_path / "tools"), "HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


def test_what_setup_actions_and_version_managers_keep_is_found_with_its_version(runner, tmp_path):
    found = all_programs("auto", runner["PATH"], kept_programs(runner))
    shown = [("embedded" if p.embedded else str(p.path.relative_to(tmp_path)), version) for p, version in found]
    assert shown == [
        ("bin/terraform", ""),
        ("embedded", ""),
        ("tools/terraform/1.10.5/x64/terraform", "1.10.5"),
        ("tools/tofu/1.11.1/amd64/tofu", "1.11.1"),
        ("home/.tfenv/versions/1.14.3/terraform", "1.14.3"),
    ]
    only = [p.path.name for p, _ in all_programs("tofu", runner["PATH"], kept_programs(runner))]
    assert only == ["tofu"]
    assert [p.embedded for p, _ in all_programs("embedded", runner["PATH"], kept_programs(runner))] == [True]
    assert kept_programs({"HOME": "relative"}) == []
    inside = all_programs("terraform", runner["PATH"], kept_programs(runner), (tmp_path / "tools",))
    assert not [p for p, _ in inside if p.path.is_relative_to(tmp_path / "tools")]


@pytest.mark.parametrize(
    ("wishes", "on_path", "taken", "asked"),
    [
        ([ANY], "1.15.5", "1.15.5", 1),
        ([], "1.15.5", "1.15.5", 1),
        ([NARROW], "1.15.5", "1.10.5", 3),
        ([NARROW, ANY], "1.10.9", "1.10.9", 1),
        ([PINNED, PINNED, ANY], "1.15.5", "1.14.3", 3),
        ([TOFU], "1.15.5", "1.11.1", 3),
        ([NARROW], "is broken", "1.10.5", 3),
        ([EngineWish(required=((HERE, "< 1.5"),))], "1.15.5", "1.15.5", 2),
    ],
    ids=["any", "no root", "constraint", "met on PATH", "pinned", "opentofu", "broken", "none fits"],
)
def test_the_engine_that_meets_most_roots_is_taken(runner, monkeypatch, tmp_path, wishes, on_path, taken, asked):
    ran = []

    def engine(cli: TerraformCli) -> str:
        program = cli._program
        assert isinstance(program, Program)
        name = "OpenTofu" if program.kind == "tofu" else "Terraform"
        numbers = [p for p in program.path.parts if p.count(".") == 2]
        version = "1.15.5" if program.embedded else (numbers or [on_path])[-1]
        ran.append(program)
        if version == "is broken":
            raise ToolchainError("it does not start")
        return f"{name} {version} ({program})"

    monkeypatch.setattr(TerraformCli, "engine", engine)
    cli = TerraformCli(policy=Policy(), path_variable=runner["PATH"], kept=lambda: kept_programs(runner))
    cli.choose_engine(wishes)
    assert cli.engine().split()[1] == taken
    assert len({str(program) for program in ran}) == asked, "no engine is started that cannot be better"
    cli.choose_engine(wishes)


@pytest.mark.terraform
def test_an_engine_that_was_tried_ahead_is_kept_when_it_is_chosen():
    """The self-test runs beside the reading of the issue, and once."""
    with TerraformCli(policy=Policy(), binary="embedded") as cli:
        cli.warm_up()
        cli.self_test()
        tried = cli._sandbox
        cli.choose_engine([ANY])
        assert cli._sandbox is tried and "proof" in cli._made
