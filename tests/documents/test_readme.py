"""What the README tells a new user to copy is what the action takes. Running it by act: tests/demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ops_agent.config.settings import read_inputs
from readme import ACTION, ADDITIONS, MINIMAL, ROOT, TEXT, with_additions

PINNED = f"org/ops-agent@{'a' * 40}"
CASES = [
    (),
    *((name,) for name in ADDITIONS),
    ("A plan role", "A GitHub App", "A board", "Start by hand, and doctor", "The patch"),
]


def test_the_readme_has_each_addition() -> None:
    assert list(ADDITIONS) == [
        *("A plan role", "A GitHub App", "A board", "Start by hand, and doctor", "What waited"),
        *("A version of Terraform", "No stored key", "Bedrock", "The patch", "A gateway"),
    ]


@pytest.mark.parametrize("names", CASES, ids=lambda names: "+".join(names) or "minimal")
def test_the_minimal_workflow_with_each_addition_passes_the_linters_and_gives_usable_inputs(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    workflow = with_additions(*names)
    (step,) = (one for one in workflow["jobs"]["run"]["steps"] if one["uses"] == ACTION)
    given = {f"INPUT_{name.upper()}": _as_on_a_runner(str(value)) for name, value in step["with"].items()}
    assert read_inputs({"INPUT_GITHUB_TOKEN": "a-token-of-the-job", **given}, needs=("github", "llm")).problems == ()

    place = tmp_path / ".github/workflows/ops-agent.yml"
    place.parent.mkdir(parents=True)
    place.write_text(yaml.safe_dump(workflow, sort_keys=False).replace(ACTION, PINNED))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for command in (["actionlint", str(place)], ["zizmor", "--offline", "--no-config", "--quiet", str(place)]):
        tool = str(Path(sys.executable).with_name(command[0]))
        checked = subprocess.run([tool, *command[1:]], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert checked.returncode == 0, checked.stdout


def _as_on_a_runner(text: str) -> str:
    known = {
        "vars.LLM_BASE_URL": "https://llm.example.com",
        "vars.BEDROCK_MODEL": "claude",
        "inputs.issue_number": "12",
    }
    return re.sub(r"\$\{\{ ([\w.]+).*? \}\}", lambda found: known.get(found[1], "a-value"), text)


def test_the_minimal_workflow_needs_one_secret_and_nothing_of_ours_beside_the_action() -> None:
    workflow = yaml.safe_load(MINIMAL)
    assert re.findall(r"secrets\.(\w+)", MINIMAL) == ["ANTHROPIC_API_KEY"] and "vars." not in MINIMAL
    assert [step["uses"] for step in workflow["jobs"]["run"]["steps"]] == [ACTION]
    assert workflow["jobs"]["run"]["environment"] == "ops-agent"
    assert len(MINIMAL.splitlines()) <= 20


def test_every_example_is_named_by_the_readme_and_by_the_page_of_examples() -> None:
    page = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "examples").glob("*.yml")):
        assert f"(examples/{path.name})" in TEXT and f"(../examples/{path.name})" in page, path.name
