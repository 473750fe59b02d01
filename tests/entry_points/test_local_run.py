"""`ops-agent run --issue-file`: the same pipeline on a laptop; the result is a folder, and a branch only when asked
for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops_agent_demo.llm.script import load_script
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.story import sample_files
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(180)]
SCENARIOS = Path(__file__).parents[1] / "scenarios"
SCRIPT = SCENARIOS / "published" / "script.yml"
WITH_A_WORKFLOW = SCENARIOS / "workflow-without-permission" / "script.yml"
ISSUE = "# [ops] Queue for billing\n\n## Acceptance Criteria\n- [ ] A queue holds the orders\n"


def _git(folder: Path, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True, env=variables).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "orders"
    for path, content in sample_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", "--force", ".")
    _git(folder, "commit", "-q", "-m", "base")
    return folder


@pytest.fixture(scope="module")
def mirror() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ops-agent-mirror-") as folder:
        Path(folder).chmod(0o755)
        yield unpack_mirror(wheel_zips()[:1], Path(folder) / "mirror")


def _run(
    repository: Path,
    mirror: Path,
    *arguments: str,
    key: str = "sk-ant-x-local-key",
    issue: str = ISSUE,
    script: Path = SCRIPT,
) -> tuple[int, str, Path]:
    place = repository.parent
    (place / "item.md").write_text(issue)
    (place / "harness.json").write_text(json.dumps({"engine": "embedded", "provider_mirror": str(mirror)}))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "OPS_AGENT_HARNESS": str(place / "harness.json"),
        "ANTHROPIC_API_KEY": key,
    }
    output = place / "output"
    with LlmServer([load_script(script)]) as llm:
        argv = [
            sys.executable,
            "-I",
            "-m",
            "ops_agent",
            "run",
            "--issue-file",
            str(place / "item.md"),
            "--repo",
            str(repository),
        ]
        argv += ["--output", str(output), "--input", f"base_url={llm.url}", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, env=variables, cwd=place, timeout=170)
    return done.returncode, done.stdout + done.stderr, output


def test_a_local_run_leaves_a_patch_that_applies_and_the_text_and_does_not_touch_the_repository(
    repository: Path, mirror: Path
) -> None:
    before = _git(repository, "rev-parse", "HEAD"), _git(repository, "count-objects", "-v")
    code, log, output = _run(repository, mirror, "--environment", "dev")
    assert code == 0, log
    assert "Traceback" not in log
    text = (output / "pull_request.md").read_text()
    assert "## Infrastructure changes" in text
    assert "aws_sqs_queue.billing" in text
    assert "`infra` (prod)" not in text, "only dev was asked for"
    whole = f"{log}{text}{(output / 'comments.md').read_text()}"
    assert "A local run: the issue is a file" in text and "nothing was opened" in log
    invented = (
        r"Closes #\d|orders#\d (?!\")|\[#1\]|approved by|the label `ready`|board was not used|issue_number:|pr_number:"
    )
    assert re.findall(invented, whole) == [], "no issue, label, board or approval exists"
    assert (_git(repository, "rev-parse", "HEAD"), _git(repository, "count-objects", "-v")) == before
    assert _git(repository, "status", "--porcelain") == ""
    assert _git(repository, "branch", "--list") == "* main"
    _git(repository, "apply", str(output / "changes.patch"))
    assert (repository / "infra" / "queue.tf").exists()


def test_a_local_branch_is_made_on_request_and_never_moved(repository: Path, mirror: Path) -> None:
    code, log, _ = _run(repository, mirror, "--environment", "dev", "--branch", "queue", script=WITH_A_WORKFLOW)
    assert code == 0, log
    made = _git(repository, "rev-parse", "queue")
    changed = _git(repository, "diff", "--name-only", "main", "queue").split()
    assert changed == [".github/workflows/checks.yml", "infra/queue.tf"]
    workflow = _git(repository, "show", "queue:.github/workflows/checks.yml")
    assert re.search(r"uses: actions/checkout@[0-9a-f]{40} # v7\.", workflow), "pinned without asking GitHub"
    code, log, _ = _run(repository, mirror, "--environment", "dev", "--branch", "queue")
    assert code == 2, log
    assert "exists already" in log
    assert _git(repository, "rev-parse", "queue") == made


@pytest.mark.parametrize(
    ("issue", "code", "words"),
    [
        ("no title here\n", 2, "has no title"),
        ("# [dev] Somebody else's\n\ntext\n", 0, "declined"),
    ],
)
def test_a_file_that_is_no_work_item_ends_without_a_stack_trace(
    repository: Path, mirror: Path, issue: str, code: int, words: str
) -> None:
    got, log, output = _run(repository, mirror, issue=issue)
    assert got == code, log
    assert words in log
    assert "Traceback" not in log
    assert not (output / "pull_request.md").exists()


def test_a_missing_key_is_one_problem_with_its_remedy(repository: Path, mirror: Path) -> None:
    code, log, _ = _run(repository, mirror, key="")
    assert code == 2
    assert "anthropic_api_key" in log
    assert "hint:" in log


def test_a_folder_without_git_is_named(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "orders").mkdir()
    code, log, _ = _run(tmp_path / "orders", mirror)
    assert code == 2, log
    assert "is not a git repository" in log


def test_a_repository_without_terraform_gives_a_warning_before_the_llm_is_called(
    repository: Path, mirror: Path
) -> None:
    _git(repository, "rm", "-q", "-r", "infra")
    _git(repository, "commit", "-q", "-m", "no infrastructure")
    code, log, _ = _run(repository, mirror, issue="# [dev] Somebody else's\n\ntext\n")
    assert code == 0, log
    assert "warning: the repository holds no Terraform file" in log.replace("\n", " ")
