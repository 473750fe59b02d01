"""actionlint and zizmor from their wheels: they run over every changed workflow, and fail closed."""

from __future__ import annotations

import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import ops_agent.adapters.linters as linters
from growth import assert_linear
from ops_agent.adapters.linters import WheelLinters
from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import ToolchainError
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import Policy
from ops_agent.model.workflow import Lint, LintEntry

PATH = ".github/workflows/x.yml"
GOOD = """name: x
on:
  pull_request:
permissions: {}
jobs:
  x:
    runs-on: ubuntu-24.04
    permissions:
      contents: read
    steps:
      - run: echo hello
"""
INJECTION = GOOD + "      - run: echo ${{ github.event.pull_request.title }}\n"
UNREADABLE = "name: x\non: pull_request\npermissions: {}\njobs:\n  x:\n    permissions: {}\n"
ZIZMOR = Path(sysconfig.get_path("scripts")) / "zizmor"


def reported(text: str, path: str = PATH) -> list[tuple[str, str]]:
    return [(e.tool, e.kind) for e in WheelLinters().check({path: text.encode()})[path]]


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fake"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def judged(before: str | None, after: str) -> tuple[Finding, ...]:
    """The guard's verdict on one workflow that the change writes, with the linters' reports."""
    sides = [None if side is None else side.encode() for side in (before, after)]
    base, head = ({} if side is None else {PATH: side} for side in sides)
    changes = ChangeSet(base_commit="a" * 40, changes=(FileChange(path=PATH, before=sides[0], after=sides[1]),))
    lint = Lint(base=WheelLinters().check(base), head=WheelLinters().check(head))
    return judge(changes, FilesInMemory.of(base), Policy(), lint=lint).findings


def blocking(before: str | None, after: str) -> set[str]:
    return {f.rule for f in judged(before, after) if f.blocks}


def test_nothing_is_reported_about_a_plain_workflow() -> None:
    assert reported(GOOD) == []


def test_both_report_an_injection_with_line_and_place() -> None:
    entries = WheelLinters().check({PATH: INJECTION.encode()})[PATH]
    assert {e.tool for e in entries} == {"actionlint", "zizmor"}
    assert {(e.line, e.text) for e in entries} == {(INJECTION.count("\n"), INJECTION.splitlines()[-1].strip())}
    (zizmor,) = [e for e in entries if e.tool == "zizmor"]
    assert (zizmor.kind, zizmor.severity, zizmor.route) == ("template-injection", 3, ("jobs", "x", "steps", "1", "run"))


def test_a_repositorys_own_linter_configuration_is_not_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the working directory nor among the linted files."""
    for name, text in (("actionlint.yaml", "paths: {'**': {ignore: ['.*']}}"), ("zizmor.yml", "rules: {}")):
        (tmp_path / ".github").mkdir(exist_ok=True)
        (tmp_path / ".github" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    files = {".github/zizmor.yml": b"rules: {template-injection: {disable: true}}", PATH: INJECTION.encode()}
    assert {e.tool for e in WheelLinters().check(files)[PATH]} == {"actionlint", "zizmor"}


def test_an_ignore_comment_is_not_honoured() -> None:
    text = INJECTION.replace("title }}", "title }} # zizmor: ignore[template-injection]")
    assert ("zizmor", "template-injection") in reported(text)


def test_a_workflow_with_the_name_of_another_kind_of_file_is_read_as_a_workflow() -> None:
    for name in ("action.yml", "dependabot.yml", ".pre-commit-config.yaml"):
        assert ("zizmor", "template-injection") in reported(INJECTION, f".github/workflows/{name}")


def test_a_workflow_that_cannot_be_read_hides_nothing_of_the_one_beside_it() -> None:
    found = WheelLinters().check({"a.yml": UNREADABLE.encode(), "b.yml": INJECTION.encode()})
    assert ("zizmor", "unreadable") in {(e.tool, e.kind) for e in found["a.yml"]}
    assert ("zizmor", "template-injection") in {(e.tool, e.kind) for e in found["b.yml"]}


def test_a_workflow_that_is_made_to_be_slow_is_unreadable_and_hides_nothing_of_the_one_beside_it() -> None:
    flood = GOOD.replace("echo hello", "|\n" + "          echo ${{ github.head_ref }}\n" * 1_500)
    found = WheelLinters().check({"a.yml": flood.encode(), "b.yml": INJECTION.encode()})
    assert ("zizmor", "unreadable") in {(e.tool, e.kind) for e in found["a.yml"]}
    assert ("zizmor", "template-injection") in {(e.tool, e.kind) for e in found["b.yml"]}


def test_nothing_to_lint_starts_no_process(tmp_path: Path) -> None:
    assert WheelLinters(actionlint=tmp_path / "none", zizmor=tmp_path / "none").check({}) == {}


def test_a_missing_linter_is_a_broken_toolchain(tmp_path: Path) -> None:
    for missing in ({"actionlint": tmp_path / "none"}, {"zizmor": tmp_path / "none"}):
        with pytest.raises(ToolchainError, match="not installed"):
            WheelLinters(**missing).check({PATH: GOOD.encode()})


@pytest.mark.parametrize("behaviour", ["kill -9 $$", "echo not json", "exit 3", 'echo "[1]"', "sleep 30"])
def test_a_linter_that_crashes_hangs_or_babbles_on_a_plain_workflow_is_a_broken_toolchain(
    tmp_path: Path, behaviour: str
) -> None:
    fake = script(tmp_path, behaviour)
    for broken in ({"actionlint": fake}, {"zizmor": fake}):
        with pytest.raises(ToolchainError):
            WheelLinters(**broken, deadline=0.3).check({PATH: GOOD.encode()})


def test_a_linter_on_the_path_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("actionlint", "zizmor"):
        script(tmp_path, "echo '[]'").rename(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(reported(INJECTION)) == 2


def test_the_version_of_zizmor_is_the_one_whose_audits_the_table_knows() -> None:
    """Look at the new audits, and at guard/rules/workflow/linters.py, before this line is raised."""
    answer = subprocess.run([ZIZMOR, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["zizmor", "1.32.0"]


AUDITED_ELSEWHERE = """name: x
on:
  pull_request_target:
permissions: {}
env:
  ACTIONS_ALLOW_UNSECURE_COMMANDS: true
jobs:
  x:
    runs-on: self-hosted
    permissions:
      contents: read
      id-token: write
    container: alpine:3
    steps:
      - uses: actions/setup-ruby@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      - uses: action/checkout@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      - uses: ./.github/actions/x
      - run: echo hello
        env:
          ALL: ${{ toJSON(secrets) }}
          ONE: ${{ secrets.ONE }}
      - uses: pypa/gh-action-pypi-publish@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        with:
          password: ${{ secrets.PYPI }}
"""


def test_every_audit_that_is_switched_off_is_one_that_zizmor_knows(tmp_path: Path) -> None:
    """zizmor accepts any name under `rules`, so a misspelt one would switch off nothing, silently."""
    (tmp_path / "x.yml").write_text(AUDITED_ELSEWHERE)
    configuration = Path(linters.__file__).with_name("zizmor.yml")
    off = {n for n, rule in yaml.safe_load(configuration.read_text())["rules"].items() if rule.get("disable")}

    def found(*options: str) -> str:
        command = [ZIZMOR, "--offline", "--no-exit-codes", "--persona=auditor", "--format=json-v1", *options, "x.yml"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    (tmp_path / "forbids.yml").write_text("rules: {forbidden-uses: {config: {deny: ['*']}}}")
    loud, forbids = found("--no-config"), found("--config=forbids.yml")
    assert {name for name in off if f'"ident": "{name}"' not in loud + forbids} == set()
    assert not any(f'"ident": "{name}"' in found(f"--config={configuration}") for name in off)


def test_an_audit_that_the_table_does_not_know_blocks_from_medium_severity_on() -> None:
    def rules(severity: int) -> dict[str, Severity]:
        entry = LintEntry(tool="zizmor", kind="brand-new", line=1, says="something", url="https://x", severity=severity)
        change = FileChange(path=PATH, before=None, after=GOOD.encode())
        lint = Lint(base={}, head={PATH: (entry,)})
        changes = ChangeSet(base_commit="a" * 40, changes=(change,))
        findings = judge(changes, FilesInMemory.of({}), Policy(), lint=lint).findings
        return {f.rule: f.severity for f in findings if "something" in f.what and "https://x" in f.what}

    assert rules(2) == {"zizmor/audit": Severity.BLOCKS}
    assert rules(1) == {"zizmor/note": Severity.NOTICE}


def test_a_changed_workflow_that_nobody_linted_blocks() -> None:
    change = FileChange(path=PATH, before=None, after=GOOD.encode())
    for lint in (None, Lint(base={}, head={})):
        changes = ChangeSet(base_commit="a" * 40, changes=(change,))
        verdict = judge(changes, FilesInMemory.of({}), Policy(), lint=lint)
        assert [f.rule for f in verdict.blocking] == ["guard/not-linted"]
    deleted = ChangeSet(base_commit="a" * 40, changes=(replace(change, before=GOOD.encode(), after=None),))
    assert not judge(deleted, FilesInMemory.of({PATH: GOOD.encode()}), Policy()).blocked


def test_many_reports_about_a_workflow_of_many_jobs_and_variables_are_judged_in_linear_time() -> None:
    def many(size: int) -> None:
        variables = "".join(f"  A{n}: b{n}\n" for n in range(size))
        jobs = "".join(f"  j{n}: {{runs-on: x, steps: [{{run: echo}}]}}\n" for n in range(size))
        text = f"on: pull_request_target\nenv:\n{variables}jobs:\n{jobs}"
        line = "echo ${{ env.A1 }} ${{ env.A2 }}"
        entry = LintEntry(tool="zizmor", kind="template-injection", line=3, says="x", text=line, severity=1)
        lint = Lint(base={}, head={PATH: tuple(replace(entry, says=str(n)) for n in range(size))})
        change = FileChange(path=PATH, before=None, after=text.encode())
        judge(ChangeSet(base_commit="a" * 40, changes=(change,)), FilesInMemory.of({}), Policy(), lint=lint)

    assert_linear(many, 150)


# What the base branch has already does not block.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INJECTION, INJECTION.replace("hello", "other")),
        (
            INJECTION,
            INJECTION.replace("      - run: echo hello\n", "      - run: echo hello\n      - run: echo more\n"),
        ),
        (INJECTION, "# A comment.\n" + INJECTION),
        (GOOD.replace("permissions: {}\n", "").replace("    permissions:\n      contents: read\n", ""),) * 2,
        (
            GOOD + "      - uses: actions/checkout@v4\n        with: {persist-credentials: false}\n",
            GOOD + "      - uses: actions/checkout@v5\n        with: {persist-credentials: false}\n",
        ),
        (
            GOOD + "      - run: echo\n        if: steps.no.outputs.x\n",
            GOOD + "      - run: echo x\n        if: steps.no.outputs.x\n",
        ),
        (UNREADABLE, UNREADABLE.replace("name: x", "name: y")),
    ],
    ids=["other-step", "more-steps", "moved", "no-permissions", "other-tag", "actionlint", "unreadable"],
)
def test_what_a_linter_reports_about_the_base_does_not_block(before: str, after: str) -> None:
    after = after.replace("name: x", "name: z", 1)
    assert judged(None, before) and not {r for r in blocking(before, after) if not r.startswith("workflow/")}
    assert {f.rule for f in judged(before, after) if f.pre_existing}


@pytest.mark.parametrize(
    "after",
    [
        INJECTION.replace("pull_request:", "pull_request:\n  pull_request_target:"),
        INJECTION.replace("contents: read", "contents: write"),
        INJECTION.replace("title }}", "body }}"),
    ],
    ids=["other-event", "other-rights", "other-value"],
)
def test_more_of_it_or_under_worse_circumstances_it_blocks(after: str) -> None:
    assert "zizmor/template-injection" in blocking(INJECTION, after)
