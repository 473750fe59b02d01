"""What the agent says against findings: which of them it may dispute, and the verdict when it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Dispute, Finding, Verdict

_DISPUTABLE = frozenset(rule.id for rule in TABLE if rule.disputable)


def is_disputable(finding: Finding) -> bool:
    return finding.rule in _DISPUTABLE


def with_disputes(verdict: Verdict, disputes: Iterable[Dispute]) -> Verdict:
    """`verdict`, in which what is disputed no longer blocks; what may not be disputed stays as it is."""
    said = {(one.rule, one.path, one.what): one.reason for one in disputes if one.reason}
    return replace(verdict, findings=tuple(_with_reason(finding, said) for finding in verdict.findings))


def _with_reason(finding: Finding, said: dict[tuple[str, str, str], str]) -> Finding:
    reason = said.get((finding.rule, finding.place.path, finding.what), "")
    return replace(finding, disputed=reason) if reason and finding.blocks and is_disputable(finding) else finding
