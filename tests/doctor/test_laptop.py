"""A run on a laptop says everything that is wrong before the llm is asked, and what a person should know before it is
paid.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from layout_repository import PARTIAL, Repository
from ops_agent.__main__ import end_with
from ops_agent.cli import COMMANDS
from ops_agent.config.arguments import parse
from ops_agent.doctor.laptop import check_before_local_run
from ops_agent.model.errors import ConfigError, OpsAgentError

KEY = {"INPUT_ANTHROPIC_API_KEY": "sk-ant-of-a-laptop", "PATH": "/usr/bin:/bin"}
BACKEND = {"infra/main.tf": PARTIAL, "infra/backend/dev/backend.hcl": 'bucket = "b"\nkey = "k"\n'}


def committed(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    repository = Repository(folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    repository.git("add", "--all", "--force")
    repository.git("commit", "-q", "-m", "files", "--allow-empty")
    return folder


def looked(
    folder: Path, files: dict[str, str], *more: str, issue: str = "# [ops] Queue\n", **inputs: str
) -> tuple[str, ...]:
    (folder / "item.md").write_text(issue)
    place = committed(folder / "orders", files)
    command = parse(["run", "--issue-file", str(folder / "item.md"), "--repo", str(place), *more])
    given = KEY | {f"INPUT_{name.upper()}": text for name, text in inputs.items()}
    return check_before_local_run(folder / "item.md", place, command.branch, given)[1]


def test_every_problem_is_reported_before_the_run_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key, region, issue file, repository and engine: five things, one answer, and no llm was asked."""
    arguments = [
        "run",
        "--issue-file",
        str(tmp_path / "none.md"),
        "--repo",
        str(tmp_path / "nope"),
        "--input",
        "aws_region=mars",
    ]
    with pytest.raises(ConfigError) as caught:
        COMMANDS["run"](parse([*arguments, "--input", "terraform_binary=/nope/terraform"]), {"PATH": "/usr/bin:/bin"})
    end_with(caught.value, "run", {})
    said = capsys.readouterr().err
    assert said.startswith("error: config_error: 5 problems prevent this run\n")
    for words in (
        "input `anthropic_api_key`: it is empty",
        "input `aws_region`: 'mars' is not a region",
        "none.md cannot be read as UTF-8 text: No such file",
        "nope is not a git repository",
        "No Terraform was found: looked for /nope/terraform",
    ):
        assert f"  - {words}" in said or f"/{words}" in said, words
    hint = said[said.index("hint: ") :]
    for words in (
        "Set ANTHROPIC_API_KEY",
        "`--input name=value`",
        "Give --issue-file a Markdown file",
        "Give --repo a git checkout",
    ):
        assert words in hint


def test_with_a_key_the_hint_does_not_ask_for_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        looked(tmp_path, BACKEND, aws_region="mars")
    assert caught.value.hint == "Give inputs with `--input name=value`." and len(caught.value.problems) == 1


def test_title_branch_policy_file_and_environment_are_reported_together(tmp_path: Path) -> None:
    files = {**BACKEND, ".github/ops-agent.yml": "max_turn: 3\nmax_files: 999\n"}
    with pytest.raises(ConfigError) as caught:
        looked(tmp_path, files, "--branch", "main", issue="no title\n", environments="qa")
    said = caught.value.problems
    assert len(said) == 5, said
    assert said[0].endswith("item.md:1 has no title") and said[1] == "branch main exists already"
    assert said[2].startswith(".github/ops-agent.yml: line 1: `max_turn` is not known")
    assert said[3].startswith(".github/ops-agent.yml: `max_files`: 999 is more") and said[4].startswith(
        "`environments` names qa"
    )


def test_a_single_problem_keeps_its_own_message(tmp_path: Path) -> None:
    with pytest.raises(OpsAgentError) as caught:
        looked(tmp_path, BACKEND, issue="no title\n")
    assert str(caught.value).endswith("item.md:1 has no title") and "first line" in caught.value.hint


def test_an_input_that_cannot_be_read_is_not_judged_by_its_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        looked(tmp_path, BACKEND, environments="d v", terraform_binary="terragrunt")
    assert len(caught.value.problems) == 2 and all(problem.startswith("input `") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"README.md": "x"}, ["the repository holds no Terraform file: the change would be the first that makes one"]),
        (
            {**BACKEND, "infra/z.tf": "locals {\n  x =\n}\n"},
            [
                "infra/z.tf:2: it cannot be read, and counts as empty: it is not HCL that can be read without doubt",
                "Terraform can load no root of this repository: nothing can be planned unless the change repairs that",
            ],
        ),
        (BACKEND, []),
    ],
)
def test_a_repository_without_readable_terraform_gives_a_warning_before_the_llm_is_called(
    tmp_path: Path, files: dict[str, str], words: list[str]
) -> None:
    assert list(looked(tmp_path, files)) == words


def test_with_a_wrong_key_the_hint_asks_to_correct_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        looked(tmp_path, BACKEND, anthropic_api_key="12345")
    assert caught.value.hint == "Correct the key in ANTHROPIC_API_KEY."
    assert "a secret of 5 characters would mask unrelated parts" in caught.value.problems[0]
