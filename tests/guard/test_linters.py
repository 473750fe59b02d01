"""actionlint and zizmor as they come in their wheels: they run, and fail closed (F10, K10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_agent.adapters.linters import WheelLinters
from ops_agent.model.verification import CheckStatus

PATH = ".github/workflows/x.yml"
GOOD = """name: x
on:
  pull_request:
permissions: {}
concurrency:
  group: x-${{ github.ref }}
  cancel-in-progress: true
jobs:
  x:
    name: x
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read
    steps:
      - name: Greet
        run: echo hello
"""
INJECTION = GOOD + "      - run: echo ${{ github.event.pull_request.title }}\n"


def place(tmp_path: Path, text: str) -> Path:
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / PATH).write_text(text)
    return tmp_path


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fake"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_plain_workflow_passes_both_linters(tmp_path: Path) -> None:
    results = WheelLinters().check(place(tmp_path, GOOD), (PATH,))
    assert [(r.name, r.status) for r in results] == [
        ("actionlint", CheckStatus.PASSED),
        ("zizmor", CheckStatus.PASSED),
    ], results


def test_an_injection_fails_both_with_file_and_line(tmp_path: Path) -> None:
    results = WheelLinters().check(place(tmp_path, INJECTION), (PATH,))
    for result in results:
        assert result.status is CheckStatus.FAILED
        assert any(
            f.place.path == PATH and f.place.line == INJECTION.count("\n") and f.blocks for f in result.findings
        ), result


def test_a_repositorys_own_linter_configuration_is_not_honoured(tmp_path: Path) -> None:
    tree = place(tmp_path, INJECTION)
    (tree / ".github/actionlint.yaml").write_text("paths:\n  '**':\n    ignore: ['.*']\n")
    (tree / ".github/zizmor.yml").write_text("rules:\n  template-injection:\n    disable: true\n")
    assert all(r.status is CheckStatus.FAILED for r in WheelLinters().check(tree, (PATH,)))


def test_an_ignore_comment_is_not_honoured(tmp_path: Path) -> None:
    text = INJECTION.replace("title }}", "title }} # zizmor: ignore[template-injection]")
    _, zizmor = WheelLinters().check(place(tmp_path, text), (PATH,))
    assert zizmor.status is CheckStatus.FAILED


def test_nothing_to_lint_is_no_check(tmp_path: Path) -> None:
    assert WheelLinters().check(tmp_path, (PATH,)) == ()


def test_a_missing_linter_is_a_failed_check(tmp_path: Path) -> None:
    results = WheelLinters(actionlint=tmp_path / "none", zizmor=tmp_path / "none").check(place(tmp_path, GOOD), (PATH,))
    assert all(r.status is CheckStatus.FAILED and "not installed" in r.output for r in results)


@pytest.mark.parametrize("behaviour", ["kill -9 $$", "echo not json", "exit 3", 'echo "[1]"', "sleep 30"])
def test_a_linter_that_crashes_hangs_or_babbles_is_a_failed_check(tmp_path: Path, behaviour: str) -> None:
    fake = script(tmp_path, behaviour)
    linters = WheelLinters(actionlint=fake, zizmor=fake, deadline=0.3)
    assert all(r.status is CheckStatus.FAILED for r in linters.check(place(tmp_path, GOOD), (PATH,)))


def test_a_linter_on_the_path_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """K10."""
    for name in ("actionlint", "zizmor"):
        script(tmp_path, "echo '[]'").rename(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert all(r.status is CheckStatus.FAILED for r in WheelLinters().check(place(tmp_path, INJECTION), (PATH,)))
