"""The demo's parts by themselves: the story, the log of a job, outputs, the folder that it leaves behind."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_github.platform import EmbeddedGitHub
from ops_agent.adapters.runner.job_log import ActionsReporter
from ops_agent.model.record import RunRecord
from ops_agent_demo.job import JobEnd, LogLine, StepOutput, read_log_line
from ops_agent_demo.options import read_options
from ops_agent_demo.output_folder import plans_of, unified_diff, write_output
from ops_agent_demo.plain_run import read_outputs
from ops_agent_demo.platform_setup import set_up
from ops_agent_demo.run import _as_scripted
from ops_agent_demo.showing import readable
from ops_agent_demo.story import SAMPLE, load_story, sample_files


def test_the_story_has_three_items_for_us_one_for_others_and_one_that_is_not_ready() -> None:
    story = load_story()
    assert [(c.title.split("]")[0] + "]", c.status, c.script is not None) for c in story.children] == [
        ("[ops]", "Ready", True),
        ("[dev]", "Ready", False),
        ("[ops]", "Ready", True),
        ("[ops]", "Ready", True),
        ("[ops]", "Backlog", False),
    ]


def test_an_issue_file_without_a_title_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/issue.md").write_text("no title\n")
    (tmp_path / "items.yml").write_text("parent: {folder: a, status: Ready}\nchildren: []\n")
    with pytest.raises(ValueError, match=r"a/issue\.md"):
        load_story(tmp_path)


def test_the_sample_repository_has_the_teams_layout() -> None:
    """The layout that the bundled standards describe."""
    files = sample_files()
    for environment in ("dev", "prod"):
        backend = files[f"infra/backend/{environment}/backend.hcl"].decode()
        assert all(word in backend for word in ("bucket", "key", "sa-east-1", "use_lockfile", "encrypt"))
        assert f"infra/environments/{environment}/terraform.tfvars" in files
    assert ".github/workflows/ops-agent.yml" in files and SAMPLE.name == "sample"


def test_the_stage_is_set_as_people_would_have_left_it() -> None:
    github = EmbeddedGitHub()
    story = load_story()
    stage = set_up(github, story)
    assert [issue.parent for issue in stage.issues.values()] == [stage.parent] * len(story.children)
    assert stage.board.column(stage.issues["order-archive"]) == "Backlog"
    event = stage.label_ready("billing-queue")
    assert event["label"]["name"] == "ready" and event["sender"]["login"] == "maria"
    assert stage.dispatch_parent()["inputs"] == {"issue_number": str(stage.parent.number)}


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"msg": "hello\n", "raw_output": True, "job": "j"}, LogLine(kind="text", text="hello")),
        (
            {"command": "set-output", "name": "pr_number", "arg": "7"},
            LogLine(kind="output", name="pr_number", text="7"),
        ),
        ({"command": "summary", "content": "# done\n"}, LogLine(kind="summary", text="# done\n")),
        ({"command": "group", "arg": "verify"}, LogLine(kind="group", text="verify")),
        (
            {"command": "warning", "arg": "odd", "kvPairs": {"file": "a.tf", "line": "3"}},
            LogLine(kind="warning", text="a.tf:3: odd"),
        ),
        ({"level": "error", "msg": "Job failed"}, LogLine(kind="trouble", text="Job failed")),
        ({"level": "info", "msg": "⭐ Run Main", "job": "j"}, None),
    ],
)
def test_a_record_of_the_engines_log_becomes_a_line(record: dict[str, object], line: LogLine | None) -> None:
    assert read_log_line(record) == line


def test_workflow_commands_in_a_steps_output_are_separated_from_text() -> None:
    step = StepOutput()
    assert step.read("::group::verify") == LogLine(kind="group", text="verify")
    assert step.read("::error file=a%2Cb.tf,line=2::50%25 wrong%0Aindeed") == LogLine(
        kind="error", text="a,b.tf:2: 50% wrong\nindeed"
    )
    assert step.read("a ::group::b") == LogLine(kind="text", text="a ::group::b")


def test_a_run_without_the_engine_shows_no_command_that_a_runner_would_have_obeyed() -> None:
    """The demo reads what the reporter writes as a runner does: no mask, no stop, and what was stopped is text."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        report = ActionsReporter(lambda text: text)
        report.mask("ghs_canary0123456789")
        report.line("plain")
        report.line("::error::from the plan")
        report.line("plain again")
    step = StepOutput()
    read = [step.read(line) for line in out.getvalue().splitlines()]
    shown = [line for line in read if line is not None]
    assert shown == [LogLine(kind="text", text=text) for text in ("plain", "::error::from the plan", "plain again")]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"))),
    )
)
def test_outputs_written_with_a_mark_are_read_as_they_were(outputs: dict[str, str]) -> None:
    text = "".join(f"{name}<<MARK\n{value}\nMARK\n" for name, value in outputs.items())
    assert read_outputs(text) == outputs


def test_a_pull_request_is_readable_without_a_browser() -> None:
    plan = "<details><summary>Plan of <code>infra</code></summary>\n\n```diff\n+ a\n```\n\n</details>\n"
    body = f"text\n{plan}```mermaid\ngraph\n```\n<!-- mark -->"
    shown = readable(body)
    assert "**Plan of infra**" in shown and "+ a" in shown
    assert "<" not in shown and "mermaid" not in shown and "mark" not in shown


def test_plans_are_taken_out_of_the_pull_requests_text_whatever_fence_they_have() -> None:
    body = (
        "<details><summary>Plan of infra (dev): +1 ~0 -0</summary>\n\n````diff\n+ x\n```\nstill\n````\n\n</details>\n"
    )
    assert plans_of(body) == ["infra (dev): +1 ~0 -0\n\n+ x\n```\nstill\n"]


def test_the_output_folder_replaces_only_what_an_earlier_demo_left(tmp_path: Path) -> None:
    github = EmbeddedGitHub()
    stage = set_up(github, load_story())
    stage.repository.commit("work", {"infra/queue.tf": "# queue\n", "README.md": "new\n"}, "Work", by="maria")
    from fake_github.objects import PullRequest

    number = stage.repository.next_number()
    pull = PullRequest(
        stage.repository, number, "Queue", "Closes #2", github.account("maria"), head="work", base="main", draft=False
    )
    stage.repository.issues[number] = pull
    out = tmp_path / "out"
    end = JobEnd(outputs={"conclusion": "published"}, summary="The model said why.", log=["a"])
    record = tmp_path / "record.json"
    kept = RunRecord(issue="o/r#2", title="Queue", conclusion="published", reason="", seconds=1.0)
    record.write_text(json.dumps(asdict(kept)))
    for _ in range(2):
        page = write_output(out, stage, end, [pull], [record])
    start = page.read_text()
    for part in ("Issue: ", "Board: ", "Pull request: ", "Replay: ", "Job summary", "The model said why."):
        assert part in start, part
    links = re.findall(r' (?:href|src)="([^"#:]+)"', start)
    assert "run-1.html" in links and all((out / link).is_file() for link in links), links
    assert json.loads((out / "run-1.json").read_text()) == json.loads(record.read_text())
    assert json.loads((out / "outputs.json").read_text()) == {"conclusion": "published"}
    patch = (out / f"pull-request-{number}.diff").read_text()
    assert patch == unified_diff(pull) and "--- /dev/null\n+++ b/infra/queue.tf" in patch and "+new" in patch
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not from an earlier demo"):
        write_output(mine, stage, end, [], [])
    assert (mine / "thesis.txt").exists()


def test_arguments_that_make_no_sense_are_refused_with_a_usage_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        read_options(["--scenario", "quadruple"])
    assert stop.value.code == 2 and "usage: make demo" in capsys.readouterr().err


def test_the_real_api_is_not_tried_without_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ops_agent_demo.run import run_demo as main

    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert main(["--llm", "anthropic"]) == 2
    assert "ANTHROPIC_API_KEY" in capsys.readouterr().out


def test_an_item_more_in_the_story_is_a_pull_request_more() -> None:
    """CONTRIBUTING: a scenario is a folder and a line; no number is written anywhere else."""
    story, options = load_story(), read_options(["--scenario", "parent"])
    ready = next(item for item in story.children if item.script)
    longer = replace(story, children=(*story.children, ready, replace(ready, status="Backlog")))
    pulls: Any = [None] * 4
    assert _as_scripted(options, longer, JobEnd(), pulls) and not _as_scripted(options, story, JobEnd(), pulls)
    assert not _as_scripted(options, longer, JobEnd(exit_code=1), pulls)


def test_a_summary_that_act_reports_for_the_step_and_for_the_action_around_it_is_kept_once() -> None:
    """GitHub keeps one file for each step inside a composite action and shows it once."""
    end = JobEnd()
    for text in ("# one\n", "# two\n", "# one\n", "# two\n"):
        end.take(LogLine(kind="summary", text=text))
    assert end.summary == "# one\n# two\n"
