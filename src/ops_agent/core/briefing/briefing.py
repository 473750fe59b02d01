"""The two prompts: who the agent is and what holds (system), and what is to be done here (task)."""

from __future__ import annotations

from typing import Any

from ops_agent.core.briefing.briefing_fences import fenced
from ops_agent.core.briefing.briefing_map import plain_name
from ops_agent.core.texts.templates import render
from ops_agent.domain.briefing import Limits, Standard
from ops_agent.domain.policy import Policy
from ops_agent.domain.verdict import Finding
from ops_agent.domain.verification import CheckResult, CheckStatus
from ops_agent.domain.work_item import WorkItem

MAX_FINDINGS = 40
MAX_OUTPUT = 4_000


def system_prompt(template: str, policy: Policy, limits: Limits, standards: tuple[Standard, ...], title_prefix: str) -> str:
    """The same for every run in a repository, so that it is cached; nothing of the issue stands in it."""
    return render(
        template,
        title_prefix=title_prefix,
        region=policy.region,
        accounts=tuple(policy.accounts.items()),
        providers=_listed(policy.allowed_providers),
        modules=_listed(policy.allowed_modules),
        workflows=policy.allow_workflow_files,
        uses=_listed(policy.allowed_uses),
        repair_rounds=limits.max_repair_rounds,
        calls_per_turn=limits.max_tool_calls_per_turn,
        max_files=limits.max_files,
        max_file_bytes=f"{limits.max_file_bytes:,}",
        standards=standards,
    )


def task_prompt(
    template: str, item: WorkItem, boundary: str, repository_map: dict[str, Any], infra_context: str, others: tuple[Standard, ...]
) -> str:
    """The issue, what the caller adds and the repository map, each in its fence."""
    return render(
        template,
        boundary=boundary,
        item=fenced(boundary, _item(item)),
        context=fenced(boundary, infra_context) if infra_context.strip() else "",
        repository=item.target.full_name,
        base_branch=plain_name(item.base_branch),
        map=fenced(boundary, repository_map),
        others=tuple((plain_name(s.id), plain_name(s.description)) for s in others),
    )


def findings_material(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Findings as the llm gets them back: file and line, rule, what and what to do."""
    shown = [{"where": str(f.place), "rule": f.rule, "what": f.what[:1000], "remedy": f.remedy[:500]} for f in findings[:MAX_FINDINGS]]
    return shown + ([{"more": f"{len(findings) - MAX_FINDINGS} further findings"}] if len(findings) > MAX_FINDINGS else [])


def check_material(check: CheckResult) -> dict[str, Any]:
    """A check as the llm gets it back: diagnostics with file and line.

    Output is told of `fmt` (its diff), and where no finding says what is wrong; never a plan's, which holds values of the real world.
    """
    told: dict[str, Any] = {"check": check.name, "subject": plain_name(check.subject), "status": str(check.status)}
    if check.findings:
        told["findings"] = findings_material(check.findings)
    tells_more = check.name == "fmt" or not (check.findings or check.name == "plan")
    if check.output and tells_more and check.status is not CheckStatus.PASSED:
        told["output"] = check.output[-MAX_OUTPUT:]
    return told


def _item(item: WorkItem) -> dict[str, Any]:
    request = item.request
    told: dict[str, Any] = {
        "issue": str(item.issue.ref),
        "title": item.title,
        "parent": str(item.parent) if item.parent else None,
        "description": request.description,
        "user_stories": request.user_stories,
        "acceptance_criteria": [{"id": c.id, "text": c.text, "done": c.done} for c in request.criteria],
        "notes": request.notes,
        "assumptions": request.assumptions,
        "references": request.references,
        "comments": item.comments,
    }
    return {name: value for name, value in told.items() if value}


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)
