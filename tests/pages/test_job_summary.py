"""Every end is reported from one place: exit code, outputs, summary, annotations, last line; redacted, or withheld."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

import builders
from doubles.reporter import KeepingReporter
from ops_agent.model.conversation import LlmReply, StopReason, Usage
from ops_agent.model.errors import ConfigError, OpsAgentError, RedactionFailed
from ops_agent.model.event import PullRequest
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.model.verification import CheckResult, CheckStatus, Verification
from ops_agent.pages.job_summary import MAX_ANNOTATIONS, SENTENCES
from ops_agent.run.publish import Published
from ops_agent.run.report import RunResult, report, report_error
from ops_agent.text.redaction import Redactor
from pages.page_samples import material, target
from plan.plan_samples import captured

SECRET = "kaleidoscope/zebra+quilt=77"


def world(sink: KeepingReporter, redact: Callable[[str], str] = str) -> World:
    return cast(World, SimpleNamespace(reporter=sink, redact=redact, clock=SimpleNamespace(now=lambda: 160.0)))


def published(**fields: Any) -> Published:
    request = PullRequest(
        number=31,
        node_id="P",
        url="https://github.com/DrivvenConsulting/orders/pull/31",
        title="[ops] Queue",
        body="",
        head_branch="ops-agent/issue-12",
        head_commit="b" * 40,
        base_branch="main",
        is_open=True,
        merged=False,
        draft=False,
    )
    return Published(pull_request=request, updated=fields.pop("updated", False), commit="b" * 40, **fields)


def finding(number: int = 1, **fields: Any) -> Finding:
    built = Finding(
        rule="terraform/x",
        title="X",
        place=Place(path="infra/main.tf", line=number),
        what=f"what {number}",
        remedy="do y",
    )
    return replace(built, **fields)


def tell(sink: KeepingReporter, ending: Published | Stopped, redact: Callable[[str], str] = str, **fields: Any) -> int:
    made = material()
    given: dict[str, Any] = {
        "item": made.item,
        "claim": made.claim,
        "transcript": made.transcript,
        "verification": made.verification,
    }
    result = RunResult(ref=made.item.issue.ref, ending=ending, **(given | fields))
    return report(sink, redact, result, 60.0)


def test_a_pull_request_sets_every_output() -> None:
    sink = KeepingReporter()
    assert tell(sink, published()) == 0
    assert sink.outputs["conclusion"] == "published"
    assert (sink.outputs["pr_number"], sink.outputs["issue_number"], sink.outputs["branch_name"]) == (
        "31",
        "12",
        "ops-agent/issue-12",
    )
    assert sink.outputs["pr_url"].endswith("/pull/31")
    assert (sink.outputs["num_turns"], sink.outputs["total_cost_usd"], sink.outputs["duration_seconds"]) == (
        "7",
        "0.1200",
        "60",
    )
    assert (sink.outputs["input_tokens"], sink.outputs["output_tokens"], sink.outputs["cache_read_tokens"]) == (
        "1200",
        "300",
        "0",
    )
    plans = json.loads(sink.outputs["plan_summary"])
    assert plans[0] | {"root": "infra", "environment": "dev", "planned": True, "add": 2, "destroy": 0} == plans[0]
    assert plans[1] == {"root": "infra", "environment": "prod", "planned": False}
    assert sink.outputs["plan_has_destroy"] == "false"
    assert [sink.outputs[f"to_{name}"] for name in ("add", "change", "destroy")] == ["2", "0", "0"]
    assert not [a for a in sink.annotations if a[0] == "error"]
    assert "/pull/31" in sink.lines[-1]
    assert "## ops-agent: published" in sink.summaries[0]


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_every_conclusion_has_a_sentence_an_exit_code_and_reaches_every_sink(conclusion: Conclusion) -> None:
    sink = KeepingReporter()
    stopped = Stopped(conclusion=conclusion, reason="The thing was wrong.", remedy="Do this now.")
    assert tell(sink, stopped, verification=None, transcript=None, claim=None) == conclusion.exit_code
    assert sink.outputs["conclusion"] == conclusion.value
    assert SENTENCES[conclusion] in sink.summaries[0]
    assert "Do this now." in sink.summaries[0]
    assert conclusion.value in sink.lines[-1]
    assert bool([a for a in sink.annotations if a[0] == "error"]) == bool(conclusion.exit_code)


def test_the_summary_says_in_which_environment_a_danger_is() -> None:
    sink = KeepingReporter()
    tell(
        sink,
        published(),
        verification=Verification(engine="t", targets=(target(plan=captured("replace")), target("prod"))),
    )
    before, _, after = sink.summaries[0].partition("**Review these first:**")
    assert after.lstrip().startswith("- `terraform_data.a` in `infra` (dev): ") and "terraform_data.a" not in before


def test_destroys_are_an_output_for_the_next_step() -> None:
    sink = KeepingReporter()
    twice = (target(plan=captured("replace")), target(plan=captured("replace")), target())
    tell(sink, published(), verification=Verification(engine="t", targets=twice))
    assert sink.outputs["plan_has_destroy"] == "true"
    assert [sink.outputs[f"to_{name}"] for name in ("add", "change", "destroy")] == ["2", "0", "2"]
    assert json.loads(sink.outputs["plan_summary"])[0]["replace"] == 1


@pytest.mark.parametrize(
    ("checks", "ending", "soft", "expected"),
    [
        (("plan",), "kept", False, Conclusion.PLAN_FAILED),
        (("fmt", "plan"), "kept", False, Conclusion.CHECKS_FAILED),
        ((), None, True, Conclusion.BUDGET_EXHAUSTED),
        ((), None, False, Conclusion.NO_PROGRESS),
    ],
)
def test_a_draft_that_did_not_pass_is_no_success(
    checks: tuple[str, ...], ending: Any, soft: bool, expected: Conclusion
) -> None:
    sink = KeepingReporter()
    failed = tuple(
        CheckResult(name=name, subject="infra", status=CheckStatus.FAILED, findings=(finding(),)) for name in checks
    )
    transcript = (
        material().transcript if ending else replace(material().transcript, ending=None, soft_limit_reached=soft)
    )
    assert (
        tell(sink, published(), verification=Verification(engine="t", checks=failed), transcript=transcript)
        == expected.exit_code
    )
    assert sink.outputs["conclusion"] == expected.value
    assert sink.outputs["pr_number"] == "31"


def test_annotations_carry_file_and_line_and_are_capped() -> None:
    sink = KeepingReporter()
    findings = (*(finding(n) for n in range(1, 31)), *(finding(n, severity=Severity.NOTICE) for n in range(40, 60)))
    tell(
        sink,
        Stopped(conclusion=Conclusion.BLOCKED_BY_POLICY, reason="r", remedy="m", findings=findings),
        verification=None,
    )
    errors = [a for a in sink.annotations if a[0] == "error"]
    warnings = [a for a in sink.annotations if a[0] == "warning"]
    assert len(errors) == len(warnings) == MAX_ANNOTATIONS
    assert sink.places[sink.annotations.index(errors[0])] == Place(path="infra/main.tf", line=1)
    assert "21 more" in errors[-1][1]


def test_an_error_is_reported_like_any_other_end() -> None:
    sink = KeepingReporter()
    error = ConfigError("two inputs are wrong", problems=("`a` is empty", "`b` is no number"))
    code = report_error(sink, str, ref=builders.issue().ref, error=error, seconds=5.0)
    assert code == 2
    assert sink.outputs["conclusion"] == "config_error"
    assert "is no number" in sink.summaries[0]
    assert error.hint.split(";")[0] in sink.summaries[0].replace("\\", "")


@pytest.mark.parametrize(
    "place", ["reason", "remedy", "said", "questions", "proposed_issues", "finding", "warning", "error"]
)
def test_a_secret_reaches_no_sink(place: str) -> None:
    sink = KeepingReporter()
    redact = Redactor([SECRET]).redact
    text = f"see {SECRET} there"
    if place == "error":
        report_error(sink, redact, ref=builders.issue().ref, error=OpsAgentError(text), seconds=0.0)
    elif place == "warning":
        tell(sink, published(warnings=(text,)), redact)
    else:
        fields: dict[str, Any] = {"reason": "r", "remedy": "m", "said": "s"}
        fields |= (
            {"findings": (finding(what=text),)} if place == "finding" else {place: text if place in fields else (text,)}
        )
        tell(sink, Stopped(conclusion=Conclusion.CHECKS_FAILED, **fields), redact)
    assert sink.said
    for start in range(len(SECRET) - 11):
        assert SECRET[start : start + 12] not in sink.said


def test_a_redactor_that_breaks_withholds_everything_but_the_conclusion() -> None:

    def broken(text: str) -> str:
        raise RedactionFailed("broken")

    sink = KeepingReporter()
    assert tell(sink, published(warnings=(SECRET,)), broken) == Conclusion.REDACTION_FAILED.exit_code
    assert sink.outputs == {"conclusion": "redaction_failed"}
    assert not sink.summaries
    assert SECRET not in sink.said


def test_numbers_in_our_own_words_link() -> None:
    sink = KeepingReporter()
    where = "DrivvenConsulting/orders"
    tell(sink, Stopped(Conclusion.DECLINED, f"{where}#12 is blocked by #7.", "Wait for #7."))
    tell(sink, published(warnings=("See #8.",)))
    stopped, made = sink.summaries
    assert f"{where}#12 is blocked by #7." in stopped and "Wait for #7." in stopped and "- See #8." in made


def test_hostile_words_do_nothing_in_the_summary() -> None:
    sink = KeepingReporter()
    tell(
        sink,
        Stopped(
            conclusion=Conclusion.NEEDS_INFO,
            reason="a",
            remedy="b",
            said="@org/other Closes #2 <b>\n## Fake",
            questions=("@org/team Closes #1 <img src=x>\n## Fake",),
        ),
    )
    assert "**Questions:**\n\n- ＠org/team Closes ＃1 \\<img" in sink.summaries[0]
    assert "**The agent's reason:**\n\n- ＠org/other Closes ＃2 \\<b" in sink.summaries[0]
    assert "\n## Fake" not in sink.summaries[0]


def test_tokens_that_were_put_into_the_cache_were_sent_and_are_counted() -> None:
    """They are billed, and the API counts them in neither of the other two numbers."""
    sink = KeepingReporter()
    used = Usage(input_tokens=7, cache_write_tokens=1_993, output_tokens=5, cache_read_tokens=40)
    tell(sink, published(), transcript=replace(material().transcript, usage=used))
    assert (sink.outputs["input_tokens"], sink.outputs["cache_read_tokens"]) == ("2000", "40")
    assert "2,000 tokens in, 5 out, 40 read from the cache" in sink.summaries[0]


@pytest.mark.parametrize(("cached", "warned"), [(900, False), (100, True)])
def test_a_conversation_that_the_cache_does_not_help_is_warned_of(cached: int, warned: bool) -> None:
    sink = KeepingReporter()
    used = Usage(input_tokens=1_000 - cached, cache_read_tokens=cached)
    reply = LlmReply(text="", tool_calls=(), stop_reason=StopReason.END_TURN, usage=used, llm_id="m")
    tell(sink, published(), transcript=replace(material().transcript, turns=(reply,) * 6, turn_count=6))
    assert f"({cached / 10:.0f} % of the input from the third turn on)" in sink.summaries[0]
    assert any("of the input came from the cache" in text for _, text in sink.annotations) == warned
