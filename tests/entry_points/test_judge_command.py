"""`ops-agent judge`: a checkout against the rules, from its arguments to output and exit code."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from checkouts import checkout, commit, git, write
from entry_points.action_files import ROOT, bench_frame
from ops_agent import judging
from ops_agent.adapters.linters import WheelLinters
from ops_agent.adapters.local.git_objects import GitObjects
from ops_agent.config.arguments import parse
from ops_agent.config.baseline import BASELINE_FILE
from ops_agent.guard.data import table
from ops_agent.guard.rules import TABLE
from ops_agent.model.errors import ConfigError, ToolchainError
from pages.sarif.validation import invalid
from rules.judging import base_files

ACCOUNTS = "aws_accounts=dev=125611408459,prod=283165662494,root=813395879296"
WITH_ALL = ("--input", "aws_region=sa-east-1", "--input", ACCOUNTS)
PROVISIONER = 'resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "id"\n  }\n}\n'
FOREIGN = 'output "x" {\n  description = "x"\n  value       = "arn:aws:sqs:us-east-1:999999999999:q"\n}\n'
WORKFLOW = """\
name: Plan
on:
  pull_request:
    branches: [main]
permissions:
  contents: read
jobs:
  plan:
    runs-on: ubuntu-24.04
    environment: dev
    permissions:
      contents: read
      id-token: write
    steps:
      - run: terraform plan
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rules(self) -> set[str]:
        return {one["rule"] for one in self.json["findings"] if not one["preexisting"]}

    @property
    def blocking(self) -> set[str]:
        return {one["rule"] for one in self.json["findings"] if one["blocks"]}

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def judge(folder: Path, *arguments: str, text: bool = False, **environment: str) -> Said:
    out, err = io.StringIO(), io.StringIO()
    command = parse(["judge", str(folder), *arguments, *(() if text else ("--format", "json"))])
    inputs = {**environment, **{f"INPUT_{name.upper()}": value for name, value in command.inputs.items()}}
    return Said(judging.judge_checkout(command, inputs, out, err), out.getvalue(), err.getvalue())


def places(said: Said) -> set[tuple[str, str]]:
    return {(one["rule"], one["path"]) for one in said.json["findings"] if one["blocks"]}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return checkout(tmp_path / "r", {path: content.decode() for path, content in base_files().items()})


def test_a_change_is_judged_with_what_is_not_committed_and_the_base_excuses_its_own(repository: Path) -> None:
    write(repository, {"infra/old.tf": PROVISIONER})
    commit(repository)
    assert judge(repository, "--base", "HEAD", *WITH_ALL) == Said(0, '{\n  "blocks": false,\n  "findings": []\n}\n', "")
    write(repository, {"infra/old.tf": f"# moved\n{PROVISIONER}", "infra/new.tf": PROVISIONER.replace('"x"', '"y"')})
    said = judge(repository, "--base", "HEAD", *WITH_ALL)
    assert said.code == 3 and said.json["blocks"]
    assert [(f["path"], f["line"], f["blocks"], f["preexisting"]) for f in said.json["findings"]] == [
        ("infra/new.tf", 2, True, False),
        ("infra/old.tf", 3, False, True),
    ]
    shown = judge(repository, "--base", "HEAD", *WITH_ALL, text=True)
    assert shown.code == 3 and shown.out.startswith("infra/new.tf:2: blocks terraform/provisioner: ")
    assert shown.out.endswith("\n1 finding blocks, 1 finding on the base already (`--format json` shows them)\n")


def test_the_whole_tree_is_judged_as_it_is(repository: Path) -> None:
    assert judge(repository, *WITH_ALL).rules == set()
    write(
        repository,
        {
            "infra/new.tf": PROVISIONER,
            ".github/workflows/plan.yml": WORKFLOW,
            "app.lock": "hA9x3kLmQ7vB2nZ8rT5yW1cE6uJ4oP0s\n",
        },
    )
    said = judge(repository, *WITH_ALL)
    assert (said.code, said.blocking) == (3, {"terraform/provisioner"})
    assert not any(one["preexisting"] for one in said.json["findings"])
    assert judge(repository / "infra/backend", *WITH_ALL).code == 0


def test_people_may_write_what_the_agent_may_not(repository: Path) -> None:
    workflow = ".github/workflows/ops-agent.yml"
    write(repository, {workflow: "on: push\njobs: {a: {steps: [{uses: org/ops-agent@v1}]}}\n", "infra/t.tftpl": "a"})
    write(repository, {"infra/reads.tf": 'locals {\n  t = templatefile("${path.module}/t.tftpl", {})\n}\n'})
    commit(repository)
    files = {f"app/{number}.py": "print('\u200b')\n" for number in range(60)}
    write(repository, {**files, "infra/t.tftpl": "b", "package-lock.json": '"sha512-hA9x3kLmQ7vB2nZ8rT5yW1cE6uJ4o="\n'})
    (repository / workflow).unlink()
    said = judge(repository, "--base", "HEAD", *WITH_ALL)
    assert (said.code, said.rules) == (0, {"workflow/weakened-check"})
    write(repository, {"app/key.py": "k = 'AKIAQWERTYUIOPASDFGH'\n"})
    assert judge(repository, "--base", "HEAD", *WITH_ALL).blocking == {"secret/known-token"}


def test_pictures_are_not_judged_and_terraform_is_whatever_it_holds(repository: Path) -> None:
    (repository / "logo.png").write_bytes(b"\x89PNG\0\x1b")
    assert judge(repository, "--base", "HEAD", *WITH_ALL).rules == set()
    (repository / "infra/odd.tf").write_bytes(b"\0\x1b")
    assert "terraform/unreadable-file" in judge(repository, "--base", "HEAD", *WITH_ALL).blocking
    assert "terraform/unreadable-file" in judge(repository, *WITH_ALL).blocking


def test_a_moved_state_is_shown_to_people_and_does_not_block(repository: Path) -> None:
    (file,) = repository.glob("infra/backend/dev/*.hcl")
    file.write_text(re.sub(r'key( *)= "[^"]+"', 'key = "elsewhere"', file.read_text()))
    said = judge(repository, "--base", "HEAD", *WITH_ALL)
    (found,) = said.json["findings"]
    assert (said.code, found["rule"], found["severity"]) == (0, "terraform/backend-file-changed", "decision")


def test_a_link_is_judged_by_what_it_shows_and_named_when_it_shows_nothing(repository: Path) -> None:
    write(repository, {"docs/x.txt": PROVISIONER, "infra/text.tf": "../docs/x.txt"})
    (repository / "infra/link.tf").symlink_to("../docs/x.txt")
    (repository / "docs/link.md").symlink_to("x.txt")
    commit(repository)
    assert ("terraform/provisioner", "infra/link.tf") in places(judge(repository, *WITH_ALL))
    assert judge(repository, "--base", "HEAD", *WITH_ALL).code == 0, "it is on the base"
    for name in ("new.tf", "text.tf"):
        (repository / "infra" / name).unlink(missing_ok=True)
        (repository / "infra" / name).symlink_to("../docs/x.txt")
    (repository / "infra/link.tf").unlink()
    (repository / "infra/link.tf").symlink_to("../docs/x.txt")
    (repository / "infra/out.tf").symlink_to("/etc/hosts")
    said = judge(repository, "--base", "HEAD", *WITH_ALL)
    shown = {("terraform/provisioner", f"infra/{name}.tf") for name in ("new", "text")}
    assert (said.code, places(said)) == (3, shown | {("check/files", "infra/out.tf")})


def test_without_accounts_and_region_their_rules_are_quiet_and_that_is_said(repository: Path) -> None:
    write(repository, {"infra/new.tf": FOREIGN})
    given = judge(repository, "--base", "HEAD", *WITH_ALL)
    assert {"terraform/foreign-region", "terraform/foreign-account"} <= given.rules and given.err == ""
    quiet = judge(repository, "--base", "HEAD")
    assert (quiet.code, quiet.rules) == (0, set())
    assert "no `aws_accounts` is given" in quiet.err and "no `aws_region` is given" in quiet.err
    assert judge(repository).rules == set()
    (repository / "infra/new.tf").write_text('provider "aws" {\n  alias  = "other"\n  region = var.aws_region\n}\n')
    assert judge(repository, "--input", "aws_region=sa-east-1").rules == set(), "values of environments are known"
    assert "terraform/provider-region" in judge(repository, "--input", "aws_region=us-east-1").rules
    write(repository, {"infra/new.tf": FOREIGN})
    by_environment = judge(repository, "--base", "HEAD", INPUT_AWS_REGION="us-east-1")
    assert by_environment.err.count("note: ") == 1 and "terraform/foreign-region" not in by_environment.rules


def test_colours_are_for_terminals_only(repository: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for variables, has_colours in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        for arguments in (["--format", "json"], []):
            out = Terminal()
            judging.judge_checkout(parse(["judge", str(repository), *arguments]), variables, out, io.StringIO())
            assert ("\x1b[" in out.getvalue()) is (has_colours and not arguments)


def test_a_linter_that_is_missing_keeps_its_own_code(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "WheelLinters", lambda: WheelLinters(zizmor=Path("/nonexistent")))
    write(repository, {".github/workflows/plan.yml": WORKFLOW})
    with pytest.raises(ToolchainError) as broken:
        judge(repository, "--base", "HEAD")
    assert broken.value.exit_code == 6


def test_every_rule_that_holds_otherwise_for_people_exists() -> None:
    assert {rule for entry in table("people").values() for rule in entry} <= {rule.id for rule in TABLE}


def test_five_files_of_a_large_tree_cost_no_more_reading_than_of_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once what every file says about modules and backends is known. `make bench` has the times."""
    bench_frame()
    from bench.judging import tree

    read: list[str] = []
    blob, blobs = GitObjects.blob, GitObjects.blobs
    monkeypatch.setattr(GitObjects, "blob", lambda self, name: read.append(name) or blob(self, name))
    monkeypatch.setattr(GitObjects, "blobs", lambda self, names: read.extend(names := [*names]) or blobs(self, names))
    counts = []
    for size in (80, 320):
        folder = checkout(tmp_path / str(size), {path: content.decode() for path, content in tree(size).items()})
        for number in range(5):
            with (folder / f"services/service{number}/orders.tf").open("a") as file:
                file.write('resource "aws_sqs_queue" "more" {\n  name = "${local.name}-more"\n  tags = local.tags\n}\n')
        for _ in range(2):
            read.clear()
            said = judge(folder, "--base", "HEAD", *WITH_ALL, XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert (said.code, said.rules) == (0, set())
        counts.append(len(read))
    assert counts[1] < 1.5 * counts[0], counts


def test_a_change_cannot_weaken_what_judges_it(repository: Path) -> None:
    write(repository, {".github/ops-agent.yml": "allowed_providers: [hashicorp/aws]\n"})
    base = commit(repository)
    provider = 'resource "random_id" "x" {\n  byte_length = 1\n}\n'
    write(repository, {"infra/new.tf": provider, ".github/ops-agent.yml": "allowed_providers: [nobody/else]\n"})
    commit(repository)
    allowing = ("--input", "allowed_providers=hashicorp/aws,hashicorp/random")
    assert "terraform/provider-source" in judge(repository, "--base", base, *allowing, *WITH_ALL).rules
    with pytest.raises(ConfigError, match="nobody/else") as refused:
        judge(repository, "--base", "HEAD", *allowing, *WITH_ALL)
    assert refused.value.exit_code == 2


def test_a_baseline_is_written_completed_and_counts_once_it_is_committed(repository: Path) -> None:
    write(repository, {"infra/new.tf": PROVISIONER})
    commit(repository)
    assert judge(repository, *WITH_ALL).code == 3
    said = judge(repository, "--write-baseline", *WITH_ALL, text=True)
    assert said == Said(
        0, "", f"{BASELINE_FILE} has 1 entry. 1 of them need a reason in the place of `TODO`; then commit it.\n"
    )
    file = repository / BASELINE_FILE
    assert judge(repository, *WITH_ALL).code == 3, "it is not committed"
    commit(repository)
    with pytest.raises(ConfigError, match="`reason` is not written yet"):
        judge(repository, *WITH_ALL)
    file.write_text(file.read_text().replace('"TODO"', '"until the migration is done"'))
    commit(repository)
    write(repository, {"infra/new.tf": f"# moved\n\n{PROVISIONER}"})
    excused = judge(repository, *WITH_ALL, text=True)
    assert excused.code == 0 and excused.out == "Nothing blocks, 1 excused by the baseline\n"
    assert judge(repository, "--write-baseline", *WITH_ALL, text=True).err == f"{BASELINE_FILE} has 1 entry.\n"
    assert "until the migration is done" in file.read_text()
    for arguments in (["--base", "HEAD"], []):  # of a change, and of a directory: the rest is kept
        judge(repository / "infra/backend", "--write-baseline", *arguments, *WITH_ALL)
        assert "until the migration is done" in file.read_text()
    (repository / "infra/new.tf").unlink()
    assert judge(repository, *WITH_ALL).rules == {"baseline/unused"}
    file.write_text(re.sub(r'expires: "[^"]+"', 'expires: "2020-01-31"', file.read_text()))
    commit(repository)
    write(repository, {"infra/new.tf": PROVISIONER})
    assert judge(repository, "--base", "HEAD", *WITH_ALL).rules == {"baseline/expired", "terraform/provisioner"}


def test_a_baseline_of_the_change_itself_excuses_nothing(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD")
    write(repository, {"infra/new.tf": PROVISIONER})
    judge(repository, "--base", base, "--write-baseline", *WITH_ALL)
    file = repository / BASELINE_FILE
    file.write_text(file.read_text().replace("TODO", "please"))
    commit(repository)
    assert judge(repository, "--base", base, *WITH_ALL).code == 3


def test_a_baseline_is_not_written_through_a_link(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (repository / BASELINE_FILE).parent.mkdir(exist_ok=True)
    (repository / BASELINE_FILE).symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="cannot be written"):
        judge(repository, "--write-baseline", *WITH_ALL)
    assert (tmp_path / "target").read_text() == "mine"


def ops_agent(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder.parent)}
    argv = [sys.executable, "-m", "ops_agent", "judge", *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, env=variables, timeout=120)


def test_the_command_says_by_its_code_what_its_output_says(repository: Path) -> None:
    write(repository, {"infra/new.tf": PROVISIONER, ".github/workflows/plan.yml": WORKFLOW})
    for format_ in ("text", "json", "sarif"):
        done = ops_agent(repository, "--base", "HEAD", "--format", format_, *WITH_ALL)
        assert (done.returncode, done.stderr) == (3, ""), format_
        assert "terraform/provisioner" in done.stdout and "\x1b" not in done.stdout
    assert invalid(json.loads(done.stdout)) == []
    assert ops_agent(repository, "infra/backend", "--base", "HEAD", *WITH_ALL).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("gone",), "error: config_error: 'gone' is not a directory\nhint: Give PATH a directory"),
        (("--base", "nowhere"), "error: config_error: there is no commit 'nowhere' in this repository\nhint: "),
        (("--input", "aws_region=nowhere"), "is not a region of the AWS partition"),
        (("..",), "is not a git repository"),
        (("--format", "xml"), "invalid choice: 'xml'"),
    ],
)
def test_what_cannot_be_judged_ends_with_code_2_and_says_what_to_do(
    repository: Path, arguments: tuple[str, ...], what: str
) -> None:
    done = ops_agent(repository, *arguments)
    assert (done.returncode, done.stdout) == (2, "") and what in done.stderr, done.stderr


def test_the_hook_for_pre_commit_calls_a_command_that_exists() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *arguments = hook["entry"].split()
    assert (program, hook["language"], hook["pass_filenames"]) == ("ops-agent", "python", False)
    assert parse(arguments).base == "HEAD"
    files = re.compile(hook["files"])
    for path in ("infra/main.tf", "a.tf.json", "dev.tfvars", "backend/dev/backend.hcl", ".github/workflows/ci.yml"):
        assert files.search(path), path
    assert not files.search("src/main.py")
