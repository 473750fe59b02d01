"""The guard's verdict and the run's provenance, as Markdown. Every word of status is code's (J12 of the security bar)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ops_agent.core.plans.plan_rendering import folded
from ops_agent.core.proposal.proposal_prose import Overflow, counted
from ops_agent.core.texts.inert import one_line
from ops_agent.core.texts.neutral import cell, code, list_item
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.conversation import Transcript
from ops_agent.domain.event import RunIdentity
from ops_agent.domain.proposal import Claim
from ops_agent.domain.verdict import Finding, Verdict
from ops_agent.domain.verification import CheckResult, Verification
from ops_agent.domain.work_item import WorkItem

MOST_FINDINGS = 30
_MOST_FAILED = 20
_ELSEWHERE = "in the job summary"


def verdict_text(verdict: Verdict, redact: Callable[[str], str], overflow: Overflow) -> str:
    """Passed or blocked, and by what it was judged; then findings: what blocks, what is mentioned, what stood on the base already."""
    blocking = verdict.blocking
    mentioned = [f for f in verdict.findings if not f.blocks and not f.pre_existing]
    standing = [f for f in verdict.findings if f.pre_existing]
    word = f"**blocked** by {counted(len(blocking), 'finding')}" if blocking else "**passed**"
    parts = [f"{word}: {_judged(verdict)}."]
    for title, group in (("Blocks", blocking), ("Mentioned", mentioned)):
        if group:
            parts.append(f"{title}:\n\n{findings_list(group, redact, rest=_ELSEWHERE)}")
    if standing:
        listed = findings_list(standing, redact, rest=_ELSEWHERE)
        parts.append(folded(f"{counted(len(standing), 'finding')} that stood on the base commit already, untouched by this change", listed))
    for title, group in (("Findings", [*blocking, *mentioned]), ("Findings on the base commit", standing)):
        if len(group) > MOST_FINDINGS:
            overflow.add(f"{title}, all of them", findings_list(group, redact, len(group)))
    return "\n\n".join(parts)


def _judged(verdict: Verdict) -> str:
    """A rule counts when the change has something that it is about; rules over plans look at every plan, so their number says nothing."""
    of_files = sum(not rule.startswith("plan/") for rule in verdict.rules_run)
    plans = "all rules over plans judged the plans" if of_files < len(verdict.rules_run) else "there was no plan to judge"
    return f"{counted(of_files, 'rule')} had something to judge in the changed files; {plans}"


def failed_text(failed: Iterable[CheckResult], redact: Callable[[str], str]) -> str:
    """What failed and why, with file and line; empty when nothing failed."""
    parts = []
    for check in failed:
        why = findings_list(check.findings, redact) if check.findings else "- it says no more"
        parts.append(f"**{cell(check.name)}** of {code(check.subject)} failed:\n\n{why}")
    more = [f"**and {len(parts) - _MOST_FAILED} more failed checks**"] if len(parts) > _MOST_FAILED else []
    return "\n\n".join([*parts[:_MOST_FAILED], *more])


def findings_list(findings: Iterable[Finding], redact: Callable[[str], str], most: int = MOST_FINDINGS, rest: str = "") -> str:
    """One item per finding, at most `most`; several of one rule stand together below the remedy; `rest` says where the others are."""
    everything = tuple(findings)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in everything[:most]:
        groups.setdefault((finding.rule, finding.remedy), []).append(finding)
    lines: list[str] = []
    for (rule, remedy), same in groups.items():
        what = [f"{code(redact(str(f.place)))}: {list_item(redact(f.what))}" for f in same]
        todo = f" {list_item(redact(remedy))}" if remedy else ""
        lines += [f"- {what[0]} ({code(rule)}){todo}"] if len(same) == 1 else [f"- {code(rule)}:{todo}", *(f"  - {one}" for one in what)]
    if len(everything) > most:
        lines.append(f"- **and {len(everything) - most:,} more{rest and ' '}{rest}**")
    return "\n".join(lines)


def provenance(
    item: WorkItem, claim: Claim, transcript: Transcript, changes: ChangeSet, verification: Verification, run: RunIdentity | None
) -> str:
    """Who approved what, and what was taken out of the issue's text before the llm saw it (B11); folded: hashes, versions, cost.

    What all plans were made from stands here, once; what one plan alone was made from stands below the plans.
    """
    act = "a dispatch" if item.approval.by_dispatch else "a label"
    usage = transcript.usage
    approval = item.approval
    spent = f"{counted(transcript.turn_count, 'turn')}, ${usage.cost_usd:.2f}, {usage.tokens_in_words}"
    policies = dict.fromkeys(target.evidence.policy for target in verification.targets if target.evidence and target.evidence.policy)
    shown = [f"- approved by {cell(approval.by.login)} with {act} on {cell(_in_utc(approval.at))}"]
    removed = sum(item.removed.values())
    if removed:
        kinds = ", ".join(f"{count} {one_line(kind)}" for kind, count in sorted(item.removed.items()))
        shown.append(f"- **{counted(removed, 'hidden element')} removed** from the issue's text: {cell(kinds)}")
    if run is not None and run.run_id:
        shown.append(f"- [run {run.run_id}, attempt {run.attempt}]({run.url})")
    standards = transcript.extra.get("standards")
    lines = [
        f"- base: {code(item.base_branch)} at {code(claim.base_commit)}",
        f"- SHA-256 of the approved title and text: {code(approval.content_hash)}",
        f"- change set (SHA-256): {code(changes.digest)}",
        *(f"- policy (SHA-256): {code(policy)}" for policy in policies),
        *([f"- engine: {code(verification.engine)}"] if verification.engine else []),
        f"- language model: {code(transcript.llm_id or 'unknown')}, {spent}",
        *([f"- standards: {cell(standards)}"] if standards else []),
    ]
    return "\n".join(shown) + "\n\n" + folded("Commits, hashes, versions, cost", "\n".join(lines))


def _in_utc(at: str) -> str:
    """A time as GitHub writes it (`2026-11-20T10:00:00Z`), whichever way it came; what is no time stays as it is."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return at
    return f"{found.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if found.tzinfo else at
