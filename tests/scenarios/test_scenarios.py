"""Whole runs, one folder each: the action's own step against embedded GitHub, AWS and llm, with the real Terraform and
AWS provider.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from _pytest.mark import ParameterSet

from ops_agent_demo import cloud
from scenario_runner import Played, World, paths_of, play, scenario_folders

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

_READS = ("Get", "List", "Describe", "AssumeRoleWithWebIdentity")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="ops-agent-scenarios-") as place, cloud.open_cloud() as aws:
        folder = Path(place)
        folder.chmod(0o755)  # the sandbox's own user must reach the mirror
        mirror = cloud.provider_mirror(folder / "mirror")
        cloud.deploy_service(aws, mirror, folder)
        yield World(aws=aws, mirror=mirror)


def _folders() -> Iterator[ParameterSet]:
    """Those that say `proof: true` differ little from another one, and run in `make proof`."""
    for folder in scenario_folders():
        is_slow = yaml.safe_load((folder / "scenario.yml").read_text(encoding="utf-8")).get("proof")
        yield pytest.param(folder, id=folder.name, marks=[pytest.mark.proof] if is_slow else [])


@pytest.mark.parametrize("folder", list(_folders()))
def test_a_run_ends_as_its_folder_says(folder: Path, world: World, tmp_path: Path) -> None:
    expected, played = play(folder, world, tmp_path)
    log = "\n".join(played.end.log)[-4000:]
    assert played.end.outputs.get("conclusion") == expected["conclusion"], log
    assert len(played.pulls) == expected.get("pull_requests", 0), log
    assert played.column == expected.get("board", "Ready"), log
    if "llm_requests" in expected:
        assert len(played.llm.requests) == expected["llm_requests"]
    _texts("comment", "".join(comment.body for comment in played.issue.comments), expected)
    _texts("log", log, expected)
    _texts("told", str(played.llm.requests), expected)
    _texts("summary", played.end.summary, expected)
    if "verified" in expected:
        times = sum(line.startswith("[group] verify") for line in played.end.log)
        assert times == expected["verified"], "planned more often than the files changed"
    if played.pulls:
        _pull_request(played, expected)
    else:
        branches = [name for name in played.issue.repository.branches if name.startswith("ops-agent/")]
        assert branches == expected.get("branches", []), "an unused claim was left behind"
    if expected.get("aws_untouched"):
        assert not played.aws_calls, "AWS was asked although the run had to stop before"
    if expected.get("aws_reads_of_the_base_only"):
        others = [c for c in played.aws_calls if c.method not in ("GET", "HEAD") and not c.operation.startswith(_READS)]
        assert not others, "AWS was asked for more than the plan of the base needs"
        assert "verify" not in [line.partition("[group] ")[2] for line in played.end.log], "the change was planned"


def _pull_request(played: Played, expected: dict[str, object]) -> None:
    pull = played.pulls[0]
    assert pull.draft is bool(expected.get("draft", False)), pull.body
    assert paths_of(pull) == expected.get("files", paths_of(pull))
    assert list(pull.closes) == [played.issue]
    _texts("body", pull.body, expected)
    for thread, wanted in zip(pull.threads, expected.get("threads", ()), strict=False):  # type: ignore[call-overload]
        said = [comment.body for comment in thread.comments]
        assert len(said) == len(wanted) and all(one in text for one, text in zip(wanted, said, strict=True)), said


def _texts(name: str, text: str, expected: dict[str, object]) -> None:
    for wanted in expected.get(name, ()):  # type: ignore[attr-defined]
        assert wanted in text, f"{name} lacks {wanted!r}:\n{text[:6000]}"
    for unwanted in expected.get(f"{name}_lacks", ()):  # type: ignore[attr-defined]
        assert unwanted not in text, f"{name} holds {unwanted!r}:\n{text[:6000]}"


def test_every_scenario_says_in_one_sentence_what_it_shows() -> None:
    for folder in scenario_folders():
        says = yaml.safe_load((folder / "scenario.yml").read_text())["says"]
        assert says[0].isupper() and says.endswith("."), folder.name
