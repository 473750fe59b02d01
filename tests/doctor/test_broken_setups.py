"""Set-ups that do not work, on the embedded GitHub, AWS and language model: what a new user reads of each is in
broken_setups.txt, the lines of the layout left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_github.platform import EmbeddedGitHub
from github_descriptions import Checker
from golden import assert_golden
from ops_agent import doctor
from ops_agent.cli import run_doctor
from ops_agent.config.arguments import parse
from ops_agent.doctor import outside
from ops_agent.doctor.checks import CHECKS
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.story import REPOSITORY, sample_files

DEV, SUB = "125611408459", f"repo:{REPOSITORY}:environment:dev"
ROLE, BUCKET = f"arn:aws:iam::{DEV}:role/ops-agent-plan", "drivven-terraform-state-dev"
OIDC = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


class Stage:
    """A set-up that works, and what is changed for one doctor's visit."""

    def __init__(self, github: EmbeddedGitHub, aws: EmbeddedAws, llm: LlmServer, folder: Path) -> None:
        self.github, self.aws, self.llm, self.folder = github, aws, llm, folder
        self.repository = github.add_repository(REPOSITORY, dict(sample_files()))
        self.repository.label("ready")
        github.add_board("DrivvenConsulting", number=6)
        aws.account(DEV).make_bucket(BUCKET)
        self.app = github.app_token()

    def visit(self, monkeypatch: pytest.MonkeyPatch, *without: str, **given: str) -> tuple[int, str]:
        """The exit code and the job summary; `given` are inputs in small letters, and variables."""
        harness, summary = self.folder / "harness.json", self.folder / "summary.md"
        harness.write_text(json.dumps({"aws_endpoint": self.aws.endpoint, "provider_mirror": str(self.folder)}))
        summary.write_text("")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        variables = {
            "PATH": os.environ["PATH"],
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.github.base_url,
            "GITHUB_SERVER_URL": self.github.base_url,
            "GITHUB_RUN_ID": "77",
            "OPS_AGENT_HARNESS": str(harness),
            **self.aws.runner_variables(SUB),
            "INPUT_GITHUB_TOKEN": self.app,
            "INPUT_ANTHROPIC_API_KEY": "sk-ant-scripted",
            "INPUT_BASE_URL": self.llm.url,
            "INPUT_AWS_ROLE_ARN": ROLE,
        }
        variables |= {name if name.isupper() else f"INPUT_{name.upper()}": text for name, text in given.items()}
        code = run_doctor(parse(["doctor"]), {n: text for n, text in variables.items() if n not in without})
        return code, summary.read_text()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedAws, LlmServer]]:
    with EmbeddedAws(accounts={"dev": DEV}, trust={ROLE: [SUB]}) as aws, LlmServer() as llm:
        yield aws, llm


@pytest.fixture
def stage(platform: tuple[EmbeddedAws, LlmServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Without the checks that start a program: they have tests of their own."""
    slow = ("sandbox", "modules", "toolchain")
    monkeypatch.setattr(doctor, "CHECKS", {name: check for name, check in CHECKS.items() if name not in slow})
    with EmbeddedGitHub() as github:
        yield Stage(github, *platform, tmp_path)
        # The probe of a permission is meant to be refused.
        assert not [one for one in Checker().problems(github.recorder) if '"title" is a required' not in one]


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The log, without masks and stops; every secret of the set-up would be seen here."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("::")]


def test_a_set_up_that_works_has_nothing_to_fix_and_names_what_answered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, summary = stage.visit(monkeypatch, probe_llm="true")
    lines = said(capsys)
    assert code == 0 and lines[-1] == "No failures.", lines
    assert any(f"read from GitHub: `main` of {REPOSITORY}" in line for line in lines), "no checkout is needed"
    state = f"s3://{BUCKET}/orders/terraform.tfstate"
    assert f"ok    AWS: the role for `dev` gives access to account {DEV}, and may read {state}" in lines
    (llm,) = (line for line in lines if line.startswith("ok    llm:"))
    assert "answers as `claude-opus-5-5`; this call: " in llm and "$0.00" in llm
    (asked,) = stage.llm.requests
    assert asked["max_tokens"] == 1
    assert "No failures." in summary and "| **fix** |" not in summary


def broken(stage: Stage) -> dict[str, tuple[tuple[str, ...], dict[str, Any]]]:
    """Set-up -> variables that are left out, and what is given in place of what works."""
    job = stage.github.actions_token(stage.repository, contents="write", issues="read", pull_requests="write")
    return {
        "no id-token permission": (OIDC, {}),
        "wrong role": ((), {"aws_role_arn": f"arn:aws:iam::{DEV}:role/deploy"}),
        "the job's own token, without a permission": ((), {"github_token": job}),
        "a board of another owner": ((), {"project_owner": "elsewhere", "project_number": "3"}),
        "no key of the model": (("INPUT_ANTHROPIC_API_KEY",), {}),
        "wrong region": ((), {"aws_region": "us-east-1"}),
        "no token": (("INPUT_GITHUB_TOKEN",), {}),
        "no model at this address": ((), {"probe_llm": "true", "base_url": f"{stage.llm.url}/elsewhere"}),
        "a revoked token": ((), {"github_token": "ghs_0123456789"}),
        "a job that may only read": (
            (),
            {"github_token": stage.github.actions_token(stage.repository, contents="read")},
        ),
        "no Terraform": ((), {"terraform_binary": str(stage.folder / "terraform")}),
    }


def test_what_a_new_user_reads_of_broken_set_ups(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = CHECKS | {"toolchain": CHECKS["toolchain"], "modules": lambda _: ()}
    found = []

    def look(title: str, *without: str, **given: str) -> None:
        code, _ = stage.visit(monkeypatch, *without, **given)
        found.append(f"== {title}: exit code {code}")
        ours = True
        for line in said(capsys)[:-1]:
            ours = line.split()[1] not in ("layout:", "sources:", "roots:") if not line.startswith(" ") else ours
            if ours and not line.startswith("ok"):
                found.append(line)
        found.append("")

    for title, (without, given) in broken(stage).items():
        with monkeypatch.context() as patch:
            if title == "no Terraform":
                patch.setattr(doctor, "CHECKS", everything)
            look(title, *without, **given)
    stage.repository.labels.clear()
    look("no label")
    stage.repository.protect("ops-agent/**", "creation")
    stage.repository.label("ready")
    look("protected branches")
    places = {stage.github.base_url: "https://github", stage.llm.url: "https://llm", str(stage.folder): "/runner"}
    text = "\n".join(found)
    for place, name in places.items():
        text = text.replace(place, name)
    assert_golden(Path(__file__).with_name("broken_setups.txt"), text)


def test_the_issue_is_made_once_and_edited_from_then_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.repository.add_person("eve")
    decoy = stage.repository.add_issue("Not ours", "<!-- ops-agent:doctor -->\n", author="eve")
    stage.visit(monkeypatch, "INPUT_ANTHROPIC_API_KEY", doctor_issue="true")
    (ours,) = (issue for issue in stage.repository.issues.values() if issue is not decoy)
    assert ours.title == "ops-agent doctor: 1 failure to fix before a run can succeed"
    assert "| **fix** | llm | no credentials for the language model are given |" in ours.body
    assert "/actions/runs/77" in ours.body and stage.app not in ours.body
    stage.visit(monkeypatch, doctor_issue="true")
    assert set(stage.repository.issues.values()) == {decoy, ours} and decoy.title == "Not ours"
    assert ours.title == "ops-agent doctor: No failures"
    reader = stage.github.actions_token(stage.repository, contents="write", pull_requests="write")
    capsys.readouterr()
    code, _ = stage.visit(monkeypatch, doctor_issue="true", github_token=reader)
    (line,) = (line for line in said(capsys) if line.startswith("fail  issue: "))
    assert (code == 2 and "opening an issue" in line) or "looking for our issue" in line


def test_a_checkout_of_the_job_is_read_and_one_of_another_repository_is_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from layout_repository import WHOLE, Repository

    (tmp_path / "work").mkdir()
    checkout = Repository(tmp_path / "work")
    checkout.look({"stacks/dev/main.tf": WHOLE})
    stage.visit(monkeypatch, GITHUB_WORKSPACE=str(checkout.folder))
    lines = said(capsys)
    assert any(line.startswith(f"ok    layout: read from the checkout at {checkout.folder}") for line in lines)
    assert any("root module `stacks/dev`" in line for line in lines)
    stage.github.add_repository("DrivvenConsulting/other", {"README.md": "x"})
    given = {"GITHUB_WORKSPACE": str(checkout.folder), "target_repository": "DrivvenConsulting/other"}
    stage.visit(monkeypatch, **given)
    assert any("read from GitHub: `main` of DrivvenConsulting/other" in line for line in said(capsys))


def test_a_state_that_the_role_cannot_read_is_named_with_its_root(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = 'bucket = "nobodys"\nkey = "a b/orders.tfstate"\n'
    stage.repository.add_person("maria")
    stage.repository.commit("main", {"infra/backend/dev/backend.hcl": backend}, "Move the state", by="maria")
    code, _ = stage.visit(monkeypatch)
    (line,) = (line for line in said(capsys) if line.startswith("fail  AWS: "))
    assert code == 2 and "cannot read the state of `infra`, s3://nobodys/a b/orders.tfstate: AWS answers" in line
    assert "NoSuchBucket" in line


def test_the_hosts_that_a_run_needs_are_named_when_they_do_not_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = stage.llm.url
    monkeypatch.setattr(outside, "silence", lambda _way, url: "no answer within 8 s" if url == closed else None)
    code, _ = stage.visit(monkeypatch, probe_llm="true")
    lines = said(capsys)
    (line,) = (line for line in lines if line.startswith("fail  network: "))
    assert any(line.startswith("skip  llm: ") for line in lines), "a call would be tried again for minutes"
    assert code == 2
    assert line.endswith(f"cannot be reached from here: the language model ({closed[7:]}): no answer within 8 s")
