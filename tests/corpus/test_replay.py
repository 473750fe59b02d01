"""The replay of real commits: what is chosen, which settings are derived, how the rules do on a folder of clones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from statistics import median

import pytest

from corpus import replay
from corpus.derived_settings import DerivedSettings, derive
from corpus.history import TERRAFORM, WORKFLOW, Changed, Commit, Repository, chosen, repositories_in

CORPUS = os.environ.get("CORPUS", "")
BOT = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
VARIABLE = 'variable "size" {\n  type = number\n}\n'
WORKFLOW_FILE = """\
on: push
permissions: {}
jobs:
  plan:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - uses: acme/notify@1111111111111111111111111111111111111111 # v1
        with:
          token: ${{ secrets.NOTIFY_TOKEN }}
"""
BASE = {
    "infra/main.tf": """\
terraform {
  required_providers {
    aws    = { source = "hashicorp/aws" }
    sentry = {
      source  = "jianyuan/sentry"
      version = "0.14.0"
    }
  }
}
provider "aws" {
  region = "eu-west-2"
}
module "network" {
  source = "git::https://github.com/acme/modules.git//network?ref=v1"
}
resource "random_pet" "name" {}
""",
    "infra/environments/dev.tfvars": 'region = "eu-west-2"\naccount = "111122223333"\nshared = "999900001111"\n',
    "infra/environments/prod.tfvars": 'region = "us-east-1"\naccount = "444455556666"\nshared = "999900001111"\n',
    ".github/workflows/plan.yml": WORKFLOW_FILE,
    "app/main.py": "region = 'ap-south-1'\n",
}


class Clone:
    """A repository in a folder, made commit by commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> None:
        names = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self, subject: str, files: dict[str, str | None], author: str = "Ada <ada@example.org>") -> None:
        """Write `files` (None deletes) and commit them."""
        for path, text in files.items():
            place = self.folder / path
            if text is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject, "--author", author)

    @property
    def repository(self) -> Repository:
        return Repository("acme/infra", self.folder / ".git")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone(tmp_path / "acme+infra")
    clone.commit("Begin", dict(BASE))
    return clone


def a_commit(number: int, path: str, is_bump: bool = False) -> Commit:
    return Commit(f"{number:040x}", "0" * 40, f"Change {number}", is_bump, (Changed(path, "a" * 40, "b" * 40),))


def test_a_commit_is_of_the_kind_of_its_files(clone: Clone) -> None:
    clone.commit("Add a variable", {"infra/variables.tf": VARIABLE, "README.md": "# Infrastructure\n"})
    clone.commit("Change a workflow", {".github/workflows/plan.yml": WORKFLOW_FILE + "\n", "infra/more.tf": VARIABLE})
    clone.commit("Change the application", {"app/main.py": "", "infra/variables.tf": None})
    clone.commit("Change a document", {"README.md": ""})
    kinds = {c.subject: c.kind for c in clone.repository.commits}
    assert kinds == {
        "Add a variable": TERRAFORM,
        "Change a workflow": WORKFLOW,
        "Change the application": None,
        "Change a document": None,
    }


def test_first_commits_merges_and_symbolic_links_are_left_out(clone: Clone) -> None:
    clone.git("checkout", "-q", "-b", "topic")
    clone.commit("Add a variable", {"infra/variables.tf": VARIABLE})
    clone.git("checkout", "-q", "main")
    clone.commit("Change a document", {"README.md": "# Infrastructure\n"})
    clone.git("merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    (clone.folder / "infra/link.tf").symlink_to("main.tf")
    clone.commit("Add a link", {})
    assert {c.subject for c in clone.repository.commits} == {"Add a variable", "Change a document"}


def test_a_commit_has_both_sides_of_its_files_and_the_tree_of_its_parent(clone: Clone) -> None:
    clone.commit("Move", {"infra/main.tf": None, "infra/moved.tf": VARIABLE})
    repository = clone.repository
    (commit,) = repository.commits
    sides = {c.path: (c.before, c.after) for c in commit.changes}
    assert set(sides) == {"infra/main.tf", "infra/moved.tf"}
    assert sides["infra/main.tf"][1] is None and sides["infra/moved.tf"][0] is None
    assert repository.blob(sides["infra/moved.tf"][1] or "") == VARIABLE.encode()
    assert repository.blob(repository.tree(commit.parent)["infra/main.tf"]) == BASE["infra/main.tf"].encode()
    assert repository.blob("0" * 39 + "1") is None
    repository.close()


def test_what_bots_and_their_like_raise_is_a_bump(clone: Clone) -> None:
    clone.commit("Raise it", {"infra/a.tf": VARIABLE}, author=BOT)
    clone.commit("chore(deps): raise it", {"infra/b.tf": VARIABLE})
    clone.commit("Bump hashicorp/aws from 5.1.0 to 5.2.0", {"infra/c.tf": VARIABLE})
    clone.commit("feat: raise the size", {"infra/d.tf": VARIABLE})
    assert [c.is_bump for c in clone.repository.commits] == [False, True, True, True]


def test_two_thirds_are_terraform_and_at_most_a_quarter_of_each_kind_are_bumps() -> None:
    paths = ("infra/main.tf", ".github/workflows/plan.yml")
    history = [a_commit(n, paths[n % 2], is_bump=n % 5 < 3) for n in range(200)]
    picked = chosen(history, 12, replay.KINDS)
    assert picked == chosen(history, 12, replay.KINDS)
    assert [c.kind for c in picked] == [TERRAFORM] * 8 + [WORKFLOW] * 4
    assert [sum(c.is_bump for c in part) for part in (picked[:8], picked[8:])] == [2, 1]
    assert len(chosen(history, 12, [WORKFLOW])) == 12


def test_one_kind_fills_what_the_other_one_lacks() -> None:
    history = [a_commit(n, "infra/main.tf") for n in range(20)]
    assert len(chosen(history, 12, replay.KINDS)) == 12
    assert len(chosen(history[:5], 12, replay.KINDS)) == 5
    assert chosen([], 12, replay.KINDS) == []


def test_few_commits_by_people_bring_few_bumps_with_them() -> None:
    history = [a_commit(n, "infra/main.tf", is_bump=n > 2) for n in range(20)]
    assert [c.is_bump for c in chosen(history, 12, [TERRAFORM])] == [False, False, False, True]


def test_settings_are_those_of_the_base(clone: Clone) -> None:
    clone.commit("Go elsewhere", {"infra/more.tf": 'provider "google" {}\n'})
    repository = clone.repository
    settings = derive(repository.tree(repository.commits[0].parent).items(), repository.blob, {})
    repository.close()
    assert settings == DerivedSettings(
        region="eu-west-2",
        regions=frozenset({"eu-west-2", "us-east-1"}),
        accounts={"dev": "111122223333", "prod": "444455556666", "root": "999900001111"},
        account_files=frozenset({"infra/environments/dev.tfvars", "infra/environments/prod.tfvars"}),
        providers=frozenset(
            f"registry.terraform.io/{name}" for name in ("hashicorp/aws", "hashicorp/random", "jianyuan/sentry")
        ),
        modules=frozenset({"git::https://github.com/acme/modules.git"}),
        uses=frozenset({"actions/checkout", "acme/notify"}),
        pins=frozenset({"acme/notify@" + "1" * 40}),
        secrets=frozenset({"NOTIFY_TOKEN"}),
    )


def test_an_environment_is_also_named_by_a_line() -> None:
    files = {"a.tf": b'prod_account = "444455556666"\n', "b.tf": b'dev = "111122223333"\nci = "222233334444"\n'}
    settings = derive([(path, path) for path in files], files.get, {})
    assert settings.accounts == {"prod": "444455556666", "dev": "111122223333", "root": "222233334444"}


def test_clones_are_found_bare_and_checked_out(clone: Clone, tmp_path: Path) -> None:
    for name in ("bare.git", "owner+name/repo"):
        clone.git("clone", "-q", "--bare", ".", str(tmp_path / name))
    (tmp_path / "notes").mkdir()
    assert [r.name for r in repositories_in(tmp_path)] == ["acme/infra", "bare", "owner/name"]


def test_commits_are_judged_against_their_parents(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.commit("Add a variable", {"infra/variables.tf": VARIABLE, "application/main.tf": VARIABLE})
    clone.commit("Run code", {"infra/run.tf": 'data "external" "run" {\n  program = ["sh"]\n}\n'})
    clone.commit("Use the second region", {"infra/more.tf": 'locals {\n  zone = "us-east-1"\n}\n'})
    assert replay.main([str(clone.folder.parent), "--commits", "9"]) == 0
    printed = capsys.readouterr()
    assert "acme/infra  1 of 3 (33%)       -                 0            0        0" in printed.out
    assert "terraform/external-data-source  1                  0                 1" in printed.out
    assert "terraform/foreign-region (a second region of the repository)" in printed.out
    assert "terraform refused" in printed.err and "terraform passed" in printed.err


def test_a_commit_that_brings_a_new_provider_needs_settings(clone: Clone) -> None:
    clone.commit("Use Google", {"infra/google.tf": 'resource "google_pubsub_topic" "orders" {\n  name = "orders"\n}\n'})
    clone.commit("Run code", {"infra/run.tf": 'data "external" "run" {\n  program = ["sh"]\n}\n'})
    judged = replay.replay([clone.repository], lambda commits: commits, limit=60)
    assert {j.subject: (j.is_refused, j.needs_settings) for j in judged} == {
        "Use Google": (True, True),
        "Run code": (True, False),
    }


def test_one_commit_is_shown_with_its_findings(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.commit("Tag", {".github/workflows/plan.yml": WORKFLOW_FILE.replace("on: push", "on: workflow_run")})
    commit = clone.repository.commits[0].id
    replay.main([str(clone.folder.parent), "--commit", commit[:12]])
    assert (
        "workflow/dangerous-trigger .github/workflows/plan.yml:1: it starts on `workflow_run`"
        in capsys.readouterr().out
    )


def test_a_commit_over_the_limit_is_refused(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> None:
        while True:
            pass

    clone.commit("Add a variable", {"infra/variables.tf": VARIABLE})
    monkeypatch.setattr(replay, "refusals", endless)
    (judged,) = replay.replay([clone.repository], lambda commits: commits, limit=0.1)
    assert judged.timed_out and judged.is_refused and 0.5 < judged.seconds < 3


@pytest.mark.proof
@pytest.mark.skipif(
    not CORPUS, reason="CORPUS names no folder of clones of public repositories: make proof CORPUS=PATH"
)
@pytest.mark.timeout(3600)
def test_real_commits_pass() -> None:
    clones = repositories_in(Path(CORPUS))
    judged = list(replay.replay(clones, lambda commits: chosen(commits, 16, replay.KINDS), limit=60))
    table = replay.summary(judged)
    assert len(judged) >= 140 and len({j.repository for j in judged}) >= 9, table
    assert not [(j.repository, j.commit, j.crashes) for j in judged if j.crashes], table
    assert not [(j.repository, j.commit, j.seconds) for j in judged if j.timed_out or j.seconds > 5], table
    assert median(j.seconds for j in judged) < 0.5, table
    for kind, share in ((TERRAFORM, 0.03), (WORKFLOW, 0.15)):
        refused, total = replay.refused_of(judged, kind)
        assert refused <= share * total, table
