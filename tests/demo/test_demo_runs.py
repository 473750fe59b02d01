"""The consumer's workflow, run by nektos/act against the embedded platform: action.yml, real Terraform and a pull
request at the end.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops_agent_demo.act_run import checkout, why_not
from ops_agent_demo.run import run_demo as main
from ops_agent_demo.terraform import wheel_zips

needs_platform = [
    pytest.mark.terraform,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not wheel_zips(), reason="the AWS provider's wheel is not installed (extra demo)"),
]
ROOT = checkout()


def outputs_of(folder: Path) -> dict[str, str]:
    return dict(json.loads((folder / "outputs.json").read_text()))


def declared_outputs() -> set[str]:
    assert ROOT is not None
    return set(yaml.safe_load((ROOT / "action.yml").read_text())["outputs"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The demo as a person starts it, once for all tests of the class below: exit code and output folder."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    return main(["--output", str(folder), "--verbose"]), folder


@pytest.mark.act
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
class TestByAct:
    pytestmark = needs_platform

    def test_a_labelled_issue_becomes_a_pull_request_with_a_real_plan(self, run: tuple[int, Path]) -> None:
        code, folder = run
        outputs = outputs_of(folder)
        assert code == 0, (folder / "job-log.txt").read_text()
        assert outputs["conclusion"] == "published" and outputs["branch_name"] == "ops-agent/issue-2"
        body = (folder / f"pull-request-{outputs['pr_number']}.md").read_text()
        headings = re.findall(r"^## (.+)$", body, re.MULTILINE)
        assert headings[:6] == [
            "Description",
            "Infrastructure changes",
            "CI/CD changes",
            "Observability & logging",
            "Validation",
            "Linked issue",
        ]
        assert "Closes #2" in body and "Closes #1" not in body
        plan = (folder / f"pull-request-{outputs['pr_number']}-plan.txt").read_text()
        assert "aws_sqs_queue.billing_dead_letters" in plan and "will be created" in plan

    def test_the_plan_counts_only_what_the_change_adds_to_the_deployed_service(self, run: tuple[int, Path]) -> None:
        dev = next(one for one in json.loads(outputs_of(run[1])["plan_summary"]) if one["environment"] == "dev")
        assert (dev["add"], dev["change"], dev["destroy"], dev["offline"]) == (5, 0, 0, False)

    def test_every_output_that_a_run_sets_is_declared_and_none_is_a_token(self, run: tuple[int, Path]) -> None:
        outputs = outputs_of(run[1])
        assert set(outputs) - {"python"} <= declared_outputs()
        assert not any(text.startswith(("ghs_", "ghp_")) or text == "scripted" for text in outputs.values())

    def test_the_guard_and_the_checks_answered_the_language_model_in_between(self, run: tuple[int, Path]) -> None:
        said = (run[1] / "run-1.json").read_text()
        assert "us-east-1" in said and "billing_max_receive_count" in said
        assert re.search(r'formatted\\": \[\\n +\\"infra/', said)

    def test_no_secret_is_in_anything_that_the_run_left_behind(self, run: tuple[int, Path]) -> None:
        for path in run[1].rglob("*"):
            if path.is_file():
                assert not re.search(rb"ghs_[0-9a-f]{36}|ASIA[0-9A-Z]{16}", path.read_bytes()), path


@pytest.mark.proof
class TestParent:
    pytestmark = needs_platform

    @pytest.mark.parametrize("how", [["--no-act"], pytest.param([], marks=pytest.mark.act)], ids=["plain", "act"])
    def test_a_parent_gives_three_pull_requests_in_order_one_declined_one_not_ready(
        self, how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each sub-issue has a pull request or a reason."""
        folder = tmp_path / "out"
        assert main(["--scenario", "parent", "--output", str(folder), *how]) == 0, capsys.readouterr().out
        bodies = [path.read_text() for path in sorted(folder.glob("pull-request-*.md"))]
        assert [re.findall(r"^Closes (#\d+)$", body, re.MULTILINE) for body in bodies] == [["#2"], ["#4"], ["#5"]]
        assert "AC2 is partly met" in bodies[0]
        assert "- **DECISION** `aws_sns_topic_subscription.team_mail`" in bodies[1] and "*The agent:* `The" in bodies[1]
        summary: Any = (folder / "job-summary.md").read_text()
        assert "3 work items selected, 2 not" in summary
        assert "is not a work item of ops-agent" in summary and "is in `Backlog`" in summary
        assert ".github/workflows/terraform.yml" in (folder / "pull-request-9.diff").read_text()
