"""report: how one work item ended, as exit code, outputs, job summary, annotations and last line of the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ops_agent.model.change_set import KeptPatch
from ops_agent.model.conversation import Transcript
from ops_agent.model.errors import OpsAgentError, RedactionFailed
from ops_agent.model.event import IssueRef
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import Reporter
from ops_agent.model.verification import Verification
from ops_agent.model.work_item import Claim, WorkItem
from ops_agent.pages.job_summary import SENTENCES, RunReport, annotations_of, log_line, outputs, summary
from ops_agent.run.publish import Published
from ops_agent.run.verify_pull_request import VerifyResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How one item ended, and what the run used."""

    ref: IssueRef | None
    ending: Published | Stopped
    item: WorkItem | None = None
    claim: Claim | None = None
    transcript: Transcript | None = None
    verification: Verification | None = None
    patch: KeptPatch | None = None


def report(reporter: Reporter, redact: Callable[[str], str], result: RunResult, seconds: float) -> int:
    """Show how an item ended after so many seconds; returns the exit code."""
    return show(reporter, redact, reported(result, seconds))


def reported(result: RunResult, seconds: float) -> RunReport:
    """How an item ended after so many seconds."""
    ending = result.ending
    used = partial(
        RunReport,
        ref=result.ref,
        transcript=result.transcript,
        verification=result.verification,
        patch=result.patch,
        seconds=seconds,
    )
    if isinstance(ending, Stopped):
        return used(ending=ending, branch=result.claim.branch if result.claim else "")
    clean = Stopped(Conclusion.UPDATED if ending.updated else Conclusion.PUBLISHED, "", "")
    return used(
        ending=unfinished(result.transcript, result.verification) or clean,
        warnings=(*(result.item.warnings if result.item else ()), *ending.warnings),
        pull_request=ending.pull_request,
        branch=ending.pull_request.head_branch,
        dry_run=ending.dry_run,
    )


def report_verified(
    reporter: Reporter, redact: Callable[[str], str], ref: IssueRef, result: VerifyResult, seconds: float
) -> int:
    """Show how the verification of the pull request `ref` ended; returns the exit code."""
    shown = RunReport(
        ref=ref,
        ending=result.ending,
        warnings=result.warnings,
        pull_request=result.pull_request,
        branch=result.pull_request.head_branch if result.pull_request else "",
        verification=result.verification,
        seconds=seconds,
    )
    code = show(reporter, redact, shown)
    if result.overflow:
        reporter.summary(result.overflow)
    return code


def report_error(
    reporter: Reporter, redact: Callable[[str], str], *, ref: IssueRef | None, error: OpsAgentError, seconds: float
) -> int:
    """Show what broke, after so many seconds; returns the exit code."""
    return show(reporter, redact, reported_error(ref=ref, error=error, seconds=seconds))


def reported_error(*, ref: IssueRef | None, error: OpsAgentError, seconds: float) -> RunReport:
    """What broke, after so many seconds."""
    return RunReport(
        ref=ref,
        ending=Stopped(error.conclusion, str(error), error.hint, findings=error.findings),
        warnings=tuple(getattr(error, "problems", ())),
        transcript=error.transcript,
        patch=error.patch,
        seconds=seconds,
    )


def unfinished(transcript: Transcript | None, verification: Verification | None) -> Stopped | None:
    """Why a draft is no success although it is published: its checks failed, or its agent did not finish."""
    failed = verification.failed if verification else ()
    if failed:
        in_plan = all(check.name == "plan" for check in failed)
        conclusion = Conclusion.PLAN_FAILED if in_plan else Conclusion.CHECKS_FAILED
    elif transcript is not None and transcript.ending is None:
        conclusion = Conclusion.BUDGET_EXHAUSTED if transcript.soft_limit_reached else Conclusion.NO_PROGRESS
    else:
        return None
    remedy = "Look at the draft pull request; re-apply the label for another try."
    return Stopped(conclusion, SENTENCES[conclusion], remedy)


def show(reporter: Reporter, redact: Callable[[str], str], shown: RunReport) -> int:
    """Write the report; returns the exit code.

    Everything is redacted before the first line is written, so that a failed redaction shows nothing of it.
    """
    try:
        page = summary(shown, redact)
        beside = [(a.level, redact(a.text), a.place) for a in annotations_of(shown)]
        word = redact(log_line(shown))
        named = {name: redact(text) for name, text in outputs(shown).items()}
    except RedactionFailed as broken:
        conclusion = Conclusion.REDACTION_FAILED
        reporter.output("conclusion", conclusion.value)
        reporter.annotate("error", f"{conclusion.value}: {SENTENCES[conclusion]} {broken.hint}")
        return conclusion.exit_code
    for level, text, place in beside:
        reporter.annotate(level, text, place)
    for name, text in named.items():
        reporter.output(name, text)
    reporter.summary(page)
    reporter.line(word)
    return shown.ending.conclusion.exit_code
