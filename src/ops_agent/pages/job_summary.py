"""How a run ended, for people and for the next step: outputs, job summary, annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ops_agent.model.change_set import KeptPatch
from ops_agent.model.conversation import Transcript, Usage
from ops_agent.model.event import IssueRef, PullRequest
from ops_agent.model.finding import Finding, Place
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.plan import PlanCounts
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.pages.fragments import details, items, joined, spent
from ops_agent.pages.results import cautions, checks_table, danger_lines, danger_list, findings_list, headlines
from ops_agent.text.markdown import cell, code, fence_verbatim, sentence
from ops_agent.text.templates import fill

SENTENCES: Final[dict[Conclusion, str]] = {
    Conclusion.PUBLISHED: "A pull request was opened.",
    Conclusion.UPDATED: "The pull request was updated.",
    Conclusion.VERIFIED: "The pull request was verified; nothing blocks it.",
    Conclusion.NO_CHANGES: "The request needs no change.",
    Conclusion.DUPLICATE: "Another run works, or worked, on this.",
    Conclusion.DECLINED: "The issue is not ready to be worked on.",
    Conclusion.NEEDS_INFO: "The agent has questions that must be answered first.",
    Conclusion.NEEDS_SPLIT: "The request is too large for one focused pull request.",
    Conclusion.INFEASIBLE: "The request cannot be fulfilled within the limits.",
    Conclusion.CHECKS_FAILED: "The change does not pass its checks.",
    Conclusion.PLAN_FAILED: "Terraform could not plan the change.",
    Conclusion.BUDGET_EXHAUSTED: "The run reached its limit of turns, cost or time before the work was done.",
    Conclusion.NO_PROGRESS: "The agent made no progress.",
    Conclusion.CONFIG_ERROR: "The inputs or the repository's layout are not usable.",
    Conclusion.BLOCKED_BY_POLICY: "The guard blocks this change.",
    Conclusion.NOT_AUTHORISED: "The person who started the run is not allowed to.",
    Conclusion.CONTENT_CHANGED: "The issue's text is not the text that was approved.",
    Conclusion.STALE: "The branch, its base or the issue changed during the run, or branch and base conflict.",
    Conclusion.REDACTION_FAILED: "Nothing was published, because a secret could not be redacted.",
    Conclusion.GITHUB_FAILED: "A request to GitHub failed.",
    Conclusion.RATE_LIMITED: "GitHub's rate limit is used up.",
    Conclusion.NOT_PERMITTED: "The token lacks a permission.",
    Conclusion.NEEDS_WORKFLOWS_PERMISSION: "The token may not write workflow files.",
    Conclusion.LLM_FAILED: "A request to the language model failed.",
    Conclusion.TOOLCHAIN_FAILED: "Terraform, a provider or a linter is missing or broken.",
    Conclusion.AWS_FAILED: "AWS gave no credentials for the plan.",
    Conclusion.NO_SPACE: "The runner's disk is full.",
    Conclusion.INTERNAL_ERROR: "ops-agent itself failed.",
    Conclusion.CANCELLED: "The run was cancelled.",
    Conclusion.CONCLUDED: "The pull request was merged or closed; card and comments say so.",
}
"""One sentence for each way in which a run ends. The conclusion comes from code, and so does the sentence."""
MAX_ANNOTATIONS = 10
LOW_CACHE_SHARE = 0.5
"""Per level: GitHub shows ten errors and ten warnings of a step and drops the rest in silence."""
_MAX_PATCH = 200_000  # a summary has room for 1 MiB
_MAX_LISTED = 300
"""A summary has room for what the pull request and the comment leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """All that is reported at the end. The `ending` of a pull request without a failure has no reason and no remedy;
    `record` is the path of the run's record on the runner.
    """

    ref: IssueRef | None
    ending: Stopped
    warnings: tuple[str, ...] = ()
    pull_request: PullRequest | None = None
    branch: str = ""
    transcript: Transcript | None = None
    verification: Verification | None = None
    patch: KeptPatch | None = None
    seconds: float = 0.0
    dry_run: bool = False
    record: str = ""

    @property
    def sentence(self) -> str:
        if self.is_local and self.ending.conclusion is Conclusion.PUBLISHED:
            return "A local run: the patch and the pull request's text were written, and nothing was opened."
        return "Dry run: nothing was written." if self.dry_run else SENTENCES[self.ending.conclusion]

    @property
    def is_local(self) -> bool:
        """The issue is a file."""
        return self.ref is not None and not self.ref.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A line beside the code: `error`, `warning` or `notice`."""

    level: str
    text: str
    place: Place | None = None


def outputs(report: RunReport) -> dict[str, str]:
    """The action's outputs by name; an empty string where there is no value. Never a token."""
    usage = report.transcript.usage if report.transcript else Usage()
    request = report.pull_request if report.pull_request is not None and report.pull_request.number else None
    targets = report.verification.targets if report.verification else ()
    planned = [_counts_of(target) for target in targets if target.plan is not None]
    return {
        "conclusion": report.ending.conclusion.value,
        "issue_number": str(report.ref.number or "") if report.ref else "",
        "pr_number": str(request.number) if request and not report.is_local else "",
        "pr_url": request.url if request else "",
        "branch_name": "" if report.is_local else report.branch,
        "plan_summary": json.dumps([_counts(target) for target in targets], separators=(",", ":")),
        **{
            f"to_{n}": str(sum(getattr(c, n) for c in planned)) if planned else "" for n in ("add", "change", "destroy")
        },
        "plan_has_destroy": str(any(_destroys(target) for target in targets)).lower(),
        "total_cost_usd": f"{usage.cost_usd:.4f}",
        "input_tokens": str(usage.sent_tokens),
        "output_tokens": str(usage.output_tokens),
        "cache_read_tokens": str(usage.cache_read_tokens),
        "num_turns": str(report.transcript.turn_count if report.transcript else 0),
        "duration_seconds": str(round(report.seconds)),
        "execution_file": report.record,
        "patch": report.patch.file if report.patch else "",
    }


def summary(report: RunReport, redact: Callable[[str], str]) -> str:
    """The job summary as Markdown."""
    verification = report.verification
    targets = verification.targets if verification else ()

    def listed(texts: Iterable[str]) -> str:
        return "\n".join(items(map(redact, texts), _MAX_LISTED))

    def ours(text: str) -> str:
        return sentence(redact(text), report.ref.repository if report.ref else "")

    return redact(
        fill(
            "pages/messages/job_summary.md",
            issue=subject(report),
            conclusion=report.ending.conclusion.value,
            sentence=report.sentence,
            pull_request="" if report.is_local else _link(report.pull_request),
            reason=ours(report.ending.reason),
            remedy=ours(report.ending.remedy),
            said=listed((report.ending.said,)),
            questions=listed(report.ending.questions),
            proposed_issues=listed(report.ending.proposed_issues),
            findings=findings_list(report.ending.findings, redact, _MAX_LISTED),
            warnings="\n".join(f"- {ours(warning)}" for warning in report.warnings[:_MAX_LISTED]),
            plans=joined(cautions(targets), headlines(targets)),
            dangers=danger_list(danger_lines(targets), _MAX_LISTED, "that do not fit here"),
            checks=_checks(verification) if verification else "",
            patch=_patch(report.patch) if report.patch else "",
            cost=_cost(report),
        )
    )


def annotations_of(report: RunReport) -> tuple[Annotation, ...]:
    """Annotations: what stopped the run, and findings of failed checks; at most ten of a level."""
    failed = [f for check in report.verification.failed for f in check.findings] if report.verification else []
    found = list(dict.fromkeys((*report.ending.findings, *failed)))
    errors = [Annotation(level="error", text=_sentence(f), place=f.place) for f in found if f.blocks]
    warned = [Annotation(level="warning", text=_sentence(f), place=f.place) for f in found if not f.blocks]
    warned += [Annotation(level="warning", text=warning) for warning in report.warnings]
    used = report.transcript
    share = used.cache_share if used else None
    if used is not None and share is not None and share < LOW_CACHE_SHARE and used.turn_count > 3:
        low = f"Only {100 * share:.0f} % of the input came from the cache from the third turn on."
        gateway = "Usual causes: a gateway (`base_url`) that changes requests, more than five minutes between turns."
        warned.append(Annotation(level="warning", text=f"{low} {gateway}"))
    if report.ending.conclusion.exit_code and not errors:
        text = f"{report.ending.conclusion.value}: {report.ending.reason or SENTENCES[report.ending.conclusion]}"
        errors.append(Annotation(level="error", text=text))
    return (*_at_most_ten(errors), *_at_most_ten(warned))


def log_line(report: RunReport) -> str:
    """One line for the log's end."""
    ending = report.ending
    link = report.pull_request.url if report.pull_request is not None else ""
    words = f"{subject(report)}: {ending.conclusion.value}. {link or ending.reason or SENTENCES[ending.conclusion]}"
    words += "" if link or words.endswith((".", "?", "!")) else "."
    return f"{words} {ending.remedy}".strip() if ending.conclusion.exit_code else words


def subject(report: RunReport) -> str:
    """What the report is about: the issue, or the event as a whole."""
    return "The issue file" if report.is_local else str(report.ref or "The event")


def _counts(target: TargetVerification) -> dict[str, object]:
    where: dict[str, object] = {"root": target.target.root.path, "environment": target.target.environment.name}
    if target.plan is None:
        return where | {"planned": False}
    found = _counts_of(target)
    names = ("add", "change", "destroy", "replace", "move", "forget", "outputs")
    counts = {name: getattr(found, name) for name in names}
    return where | {"planned": True, "offline": target.offline, "import": found.import_} | counts


def _counts_of(target: TargetVerification) -> PlanCounts:
    return PlanCounts.of(target.caused, target.caused_outputs)


def _destroys(target: TargetVerification) -> bool:
    return any(change.action.destroys for change in target.caused)


def _link(request: PullRequest | None) -> str:
    if request is None or not request.number:
        return ""
    return f"[#{request.number}]({request.url}) {cell(request.title)}{' (draft)' if request.draft else ''}"


def _checks(verification: Verification) -> str:
    engine = f"Engine: {code(verification.engine)}\n\n" if verification.engine else ""
    return engine + checks_table(verification)


def _patch(patch: KeptPatch) -> str:
    """The work that no pull request shows, collapsed; what is left out of it, and why."""
    left_out = "\n".join(items((f"{path} is left out: {why}" for path, why in patch.left_out), _MAX_LISTED))
    if not patch.text:
        return left_out
    note = "No pull request shows these changes, and no rule or check need have passed them: review them first."
    shown = patch.text[:_MAX_PATCH]
    title = "Patch for git apply" + ("" if shown == patch.text else " (cut; the file is whole)")
    return joined(note, details(title, fence_verbatim(shown, "diff")), left_out)


def _cost(report: RunReport) -> str:
    if report.transcript is None:
        return f"No model calls. {report.seconds:.0f} s."
    share = report.transcript.cache_share
    cached = "" if share is None else f" ({100 * share:.0f} % of the input from the third turn on)"
    return f"{code(report.transcript.llm_id or 'unknown')}: {spent(report.transcript)}{cached}; {report.seconds:.0f} s."


def _sentence(finding: Finding) -> str:
    return f"{finding.what} ({finding.rule}) {finding.remedy}".strip()


def _at_most_ten(found: list[Annotation]) -> list[Annotation]:
    if len(found) <= MAX_ANNOTATIONS:
        return found
    more = Annotation(level=found[0].level, text=f"and {len(found) - MAX_ANNOTATIONS + 1} more, see the job summary")
    return [*found[: MAX_ANNOTATIONS - 1], more]
