"""The guard's verdict and the run's provenance, as Markdown. Every word of status is code's (J12 of the security bar)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ops_agent.core.texts.inert import one_line
from ops_agent.core.texts.neutral import cell, code
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.conversation import Transcript
from ops_agent.domain.event import RunIdentity
from ops_agent.domain.proposal import Claim
from ops_agent.domain.verdict import Finding, Verdict
from ops_agent.domain.verification import CheckResult, Verification
from ops_agent.domain.work_item import WorkItem

MOST_FINDINGS = 30


def verdict_text(verdict: Verdict, redact: Callable[[str], str]) -> str:
    """Passed or blocked, by how many rules; then findings: what blocks, what is mentioned, what stood on the base already."""
    blocking = verdict.blocking
    mentioned = [f for f in verdict.findings if not f.blocks and not f.pre_existing]
    standing = [f for f in verdict.findings if f.pre_existing]
    word = f"**blocked** by {len(blocking)} finding{'s' if len(blocking) > 1 else ''}" if blocking else "**passed**"
    parts = [f"{word}: {_rules(verdict)}."]
    for title, group in (("Blocks", blocking), ("Mentioned", mentioned), ("Stood on the base commit already", standing)):
        if group:
            parts.append(f"{title}:\n\n{findings_list(group, redact)}")
    return "\n\n".join(parts)


def _rules(verdict: Verdict) -> str:
    of_plans = sum(rule.startswith("plan/") for rule in verdict.rules_run)
    of_files = len(verdict.rules_run) - of_plans
    return f"{of_files} rules over the changed files, " + (f"{of_plans} over the plans" if of_plans else "no plan to judge")


def failed_text(failed: Iterable[CheckResult], redact: Callable[[str], str]) -> str:
    """What failed and why, with file and line; empty when nothing failed."""
    parts = []
    for check in failed:
        why = findings_list(check.findings, redact) if check.findings else "- it says no more"
        parts.append(f"**{cell(check.name)}** of {code(check.subject)} failed:\n\n{why}")
    return "\n\n".join(parts[:20])


def findings_list(findings: Iterable[Finding], redact: Callable[[str], str]) -> str:
    """One item per finding, at most 30."""
    everything = tuple(findings)
    lines = [
        f"- {code(redact(str(f.place)))}: {cell(redact(f.what))} ({code(f.rule)})" + (f" {cell(redact(f.remedy))}" if f.remedy else "")
        for f in everything[:MOST_FINDINGS]
    ]
    if len(everything) > MOST_FINDINGS:
        lines.append(f"- and {len(everything) - MOST_FINDINGS} more")
    return "\n".join(lines)


def provenance(
    item: WorkItem, claim: Claim, transcript: Transcript, changes: ChangeSet, verification: Verification, run: RunIdentity | None
) -> str:
    """Who approved what, what made it from what, what it cost, and what was taken out of the issue's text before the llm saw it (B11).

    What all plans were made from stands here, once; what one plan alone was made from stands beside it.
    """
    act = "a dispatch" if item.approval.by_dispatch else "a label"
    usage = transcript.usage
    approval = item.approval
    spent = f"{transcript.turn_count} turns, ${usage.cost_usd:.2f}, {usage.tokens_in_words}"
    policies = dict.fromkeys(target.evidence.policy for target in verification.targets if target.evidence and target.evidence.policy)
    lines = [
        f"- approved by {cell(approval.by.login)} with {act} on {cell(_in_utc(approval.at))}",
        f"- SHA-256 of the approved title and text: {code(approval.content_hash)}",
        f"- base: {code(item.base_branch)} at {code(claim.base_commit)}",
        f"- change set (SHA-256): {code(changes.digest)}",
        *(f"- policy (SHA-256): {code(policy)}" for policy in policies),
        *([f"- engine: {code(verification.engine)}"] if verification.engine else []),
        f"- language model: {code(transcript.llm_id or 'unknown')}, {spent}",
    ]
    removed = sum(item.removed.values())
    if removed:
        kinds = ", ".join(f"{count} {one_line(kind)}" for kind, count in sorted(item.removed.items()))
        lines.append(f"- **{removed} hidden element{'s' if removed > 1 else ''} removed** from the issue's text: {cell(kinds)}")
    standards = transcript.extra.get("standards")
    if standards:
        lines.append(f"- standards: {cell(standards)}")
    if run is not None and run.run_id:
        lines.append(f"- [run {run.run_id}, attempt {run.attempt}]({run.url})")
    return "\n".join(lines)


def _in_utc(at: str) -> str:
    """A time as GitHub writes it (`2026-11-20T10:00:00Z`), whichever way it came; what is no time stays as it is."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return at
    return f"{found.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if found.tzinfo else at
