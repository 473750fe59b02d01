"""A small real repository as the doctor reads it: for the tests of discovery."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_agent.config.policy_file import POLICY_FILE
from ops_agent.config.settings import Settings
from ops_agent.doctor import read_repository
from ops_agent.doctor.checks import CHECKS
from ops_agent.doctor.diagnosis import Health, Setup
from ops_agent.doctor.questions import questions
from ops_agent.doctor.report import as_lines
from ops_agent.model.finding import Finding
from ops_agent.model.terraform import Environment, TerraformRoot
from ops_agent.terraform.layout import survey_of

PARTIAL = 'terraform {\n  backend "s3" {}\n}\n'
WHOLE = 'terraform {\n  backend "s3" {\n    bucket = "state"\n    key    = "orders"\n    region = "sa-east-1"\n  }\n}\n'
QUEUE = 'resource "aws_sqs_queue" "orders" {\n  name = var.name\n}\n'
DEV, PROD = "125611408459", "283165662494"


@dataclass(frozen=True)
class Seen:
    """A layout with the doctor's questions about it, and the lines of the policy file that answer them."""

    roots: tuple[TerraformRoot, ...]
    workflows: tuple[str, ...]
    findings: tuple[Finding, ...]
    suggestion: str


class Repository:
    """A git repository in a folder, read as the doctor does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, env=variables)

    def look(self, files: dict[str, str]) -> tuple[Seen, str]:
        """The layout of `files`, and the doctor's words about it."""
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.git("add", "--all", "--force")
        self.git("commit", "-q", "-m", "files")
        found: list = []  # type: ignore[type-arg]
        no_world: Any = None
        setup = Setup(settings=Settings(), world=no_world, environment={}, tree=None, layout=None)
        setup = read_repository(self.folder, setup, found)
        settings, tree, layout = setup.settings, setup.tree, setup.layout
        assert tree is not None and layout is not None and not [one for one in found if one.health is Health.FAIL], (
            found
        )
        said = "\n".join(as_lines([*found, *CHECKS["layout"](setup)]))
        paths = [path for path, entry in tree.entries().items() if entry.is_regular]
        asked, mapping = questions(survey_of(paths, tree.read, settings.policy), settings.policy, tree.read)
        return Seen(layout.roots, layout.workflows, asked, mapping), said


Look = Callable[[dict[str, str]], tuple[Seen, str]]


def environments(layout: Seen, root: str) -> dict[str, Environment]:
    return {e.name: e for r in layout.roots if r.path == root for e in r.environments}


def rules(layout: Seen) -> set[str]:
    return {finding.rule.removeprefix("layout/") for finding in layout.findings}


def nothing_is_planned(layout: Seen) -> bool:
    return all(e.unsettled and not e.var_files and e.backend_file is None for r in layout.roots for e in r.environments)


def settled_by_its_own_lines(look: Look, files: dict[str, str], layout: Seen) -> Seen:
    """The suggested lines, pasted into the policy file as they are: nothing may stay open."""
    again, said = look({**files, POLICY_FILE: layout.suggestion + "\n"})
    assert not again.suggestion, again.suggestion
    assert all(not e.unsettled for r in again.roots for e in r.environments), said
    return again
