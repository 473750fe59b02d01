"""What rules, checks and plans found, as Markdown, for pull request, comment and job summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ops_agent.model.finding import Finding, Severity, Verdict
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification, Verification
from ops_agent.pages.fragments import IN_SUMMARY, capped, counted, grouped, left_out
from ops_agent.pages.plans import headline, name_of, names_of
from ops_agent.plan.findings import LIFTED_BY, is_final, rank
from ops_agent.text.markdown import cell, code, list_item

MAX_FACTS: Final = 30
MAX_DANGERS: Final = 40
MAX_FINDINGS: Final = 30
_MAX_FAILED: Final = 20
_FEW: Final = 3
_MAX_REASON: Final = 300
_NO_RESOURCE: Final = ("provider ", "output.", "check.", "action.")
_OFFLINE: Final = (
    "An **offline plan** compares base and change without the account: the provider plans what differs between the "
    "two. It cannot show drift, what is not applied yet, or whether the account would refuse."
)


# Plans.


def headlines(targets: Sequence[TargetVerification]) -> str:
    """One line for each target, as a table; empty without targets."""
    rows = [f"| {name_of(target)} | {headline(target)} |" for target in targets]
    return "\n".join(["| Target | Plan |", "|---|---|", *rows]) if rows else ""


Reasons = Mapping[tuple[str, str], str]
"""(rule, place or address) -> why the agent leaves the finding as it is, redacted."""


def danger_lines(targets: Sequence[TargetVerification], reasons: Reasons = MappingProxyType({})) -> list[str]:
    """Everything in the plans that a reviewer should look at, as list items over all targets, the worst first.

    What the base branch's plan holds too is counted, except what cannot be restored: an apply does that as well.
    """
    found = [(danger, target) for target in targets if target.plan for danger in dict.fromkeys(target.plan.dangers)]
    ours = grouped((danger, target) for danger, target in found if is_own(danger, target))
    pending = grouped((danger, target) for danger, target in found if not is_own(danger, target))
    final = [one for one in sorted(pending, key=rank) if one.severity is not Severity.NOTICE and is_final(one)]

    def line(mark: str, danger: Finding, where: list[TargetVerification]) -> str:
        place = f" in {names_of(where)}" if len(targets) > 1 else ""
        what = f"{cell(danger.what)} ({code(danger.rule)}){reason_of(danger, reasons)}"
        return f"- {mark}{code(danger.address)}{place}: {what}"

    lines = [line(_mark(one), one, ours[one]) for one in sorted(ours, key=rank)]
    lines += [line("**pending on the base branch, an apply does it too:** ", one, pending[one]) for one in final]
    more = sum(len(where) for one, where in pending.items() if one not in final)
    return lines + ([f"- {more} more pending on the base branch"] if more else [])


def reason_of(finding: Finding, reasons: Reasons) -> str:
    """The agent's reason for a finding, as a clause that says whose it is; empty when it gave none."""
    why = finding.disputed or reasons.get((finding.rule, str(finding.place) or finding.address), "")
    return f". *The agent:* {code(why[:_MAX_REASON])}" if why.strip() else ""


def danger_list(lines: Sequence[str], most: int = MAX_DANGERS, rest: str = IN_SUMMARY) -> str:
    """The first `most` of `lines` under their title. Empty without lines."""
    return "\n".join(["**Review these first:**\n", *capped(lines, most, rest)]) if lines else ""


def cautions(targets: Sequence[TargetVerification]) -> str:
    """A warning that cannot be overlooked: what was not planned as an apply would do it, and why. Empty: nothing."""
    parts = []
    without = [target for target in targets if target.plan is None or target.offline]
    if without:
        lines = ["> **Not planned against the account**"]
        reasons = grouped(((cell(t.unplanned or "no plan was made"), t.plan is not None), t) for t in without)
        for (reason, offline), same in reasons.items():
            lines.append(f"> - {names_of(same)}, {'offline plan' if offline else 'no plan'}: {reason}")
        lines += [">", f"> {_OFFLINE}"] if any(target.plan for target in without) else []
        parts.append("\n".join(lines))
    planned = (target for target in targets if target.placeholders and target.plan)
    for names, same in grouped((target.placeholders, target) for target in planned).items():
        values = ", ".join(code(name) for name in names)
        parts.append(
            f"> **Planned with placeholder values** in {names_of(same)}: the repository sets no value for {values}. An "
            "apply uses other values."
        )
    return "> [!WARNING]\n" + "\n>\n".join(parts) if parts else ""


def is_own(danger: Finding, target: TargetVerification) -> bool:
    """Whether the change set causes it. What is no resource has no base to be compared with: it is shown."""
    address = danger.address
    return target.own is None or address in target.own or address.startswith(_NO_RESOURCE) or ".action." in address


def _mark(danger: Finding) -> str:
    """A finding that blocks and is published all the same was allowed by its label."""
    if danger.severity is Severity.BLOCKS:
        label = LIFTED_BY.get(danger.rule)
        return f"**ALLOWED by {code(label)}** " if label else "**BLOCKS** "
    return "**DECISION** " if danger.severity is Severity.DECISION else ""


# Checks.


def checks_table(verification: Verification, verdict: Verdict | None = None) -> str:
    """Every check with its result: what failed first, then what was not run; one row for each check and result. The
    linters' results are in the `verdict`.
    """
    order = (CheckStatus.FAILED, CheckStatus.ON_BASE, CheckStatus.NOT_RUN, CheckStatus.PASSED)
    results = [((order.index(check.status), check.name), check.subject) for check in verification.all_checks]
    for tool in ("actionlint", "zizmor"):
        if verdict is not None and any(rule.startswith(tool) for rule in verdict.rules_run):
            failed = any(f.rule.startswith(tool) for f in (*verdict.blocking, *verdict.disputed))
            number = order.index(CheckStatus.FAILED if failed else CheckStatus.PASSED)
            results.append(((number, tool), "changed workflows"))
    not_run = order.index(CheckStatus.NOT_RUN)
    tried = {check.subject for check in verification.failing_on_base if check.name == "plan"}
    unplanned = [str(t.target) for t in verification.targets if t.plan is None and t.unplanned]
    results += [((not_run, "plan"), target) for target in unplanned if target not in tried]
    if not results:
        return "No checks ran."
    every = {str(target.target) for target in verification.targets}
    lines = ["| Check | Result | Target |", "|---|---|---|"]
    for (number, name), subjects in sorted(grouped(results).items(), key=lambda row: row[0][0]):
        status, distinct = order[number], list(dict.fromkeys(subjects))
        if status is CheckStatus.PASSED and len(distinct) > _FEW and set(distinct) == every:
            where = f"every target ({len(distinct)})"
        else:
            more = f" and {len(distinct) - MAX_FACTS} more" if len(distinct) > MAX_FACTS else ""
            where = ", ".join(code(subject) for subject in distinct[:MAX_FACTS]) + more
        word = status.value if status is CheckStatus.PASSED else f"**{status.value}**"
        lines.append(f"| {cell(name)} | {word} | {where} |")
    silent = [check for check in verification.all_checks if check.status is CheckStatus.NOT_RUN and check.output]
    reasons = [f"- {cell(one.name)} of {code(one.subject)}: {cell(one.output[:300])}" for one in silent[:MAX_FACTS]]
    reasons += [
        f"- {cell(one.name)} of {code(one.subject)} on the base: {code(str(error.place))}: {cell(error.what[:300])}"
        for one in verification.failing_on_base[:MAX_FACTS]
        for error in one.findings[:1]
    ]
    return "\n".join([*lines, *([""] if reasons else []), *reasons])


def failed_text(failed: Iterable[CheckResult], redact: Callable[[str], str]) -> str:
    """What failed and why, with file and line; empty when nothing failed."""
    parts = []
    for check in failed:
        why = findings_list(check.findings, redact) if check.findings else "- no details"
        parts.append(f"**{cell(check.name)}** of {code(check.subject)} failed:\n\n{why}")
    more = [f"**and {len(parts) - _MAX_FAILED} more failed checks**"] if len(parts) > _MAX_FAILED else []
    return "\n\n".join([*parts[:_MAX_FAILED], *more])


# Findings.


def findings_list(
    findings: Iterable[Finding],
    redact: Callable[[str], str],
    most: int = MAX_FINDINGS,
    rest: str = "",
    reasons: Reasons = MappingProxyType({}),
) -> str:
    """At most `most` items, findings of one rule grouped below its remedy; `rest` says where the others are."""
    everything = tuple(findings)
    lines: list[str] = []
    for (rule, remedy), same in grouped(((f.rule, f.remedy), f) for f in everything[:most]).items():
        what = [
            f"{code(redact(str(f.place) or f.address))}: {list_item(redact(f.what))}{reason_of(f, reasons)}"
            for f in same
        ]
        todo = f" {list_item(redact(remedy))}" if remedy else ""
        if len(same) == 1:
            lines.append(f"- {what[0]} ({code(rule)}){todo}")
        else:
            lines += [f"- {code(rule)}:{todo}", *(f"  - {one}" for one in what)]
    return "\n".join([*lines, *left_out(len(everything) - most, rest)])


def judged(verdict: Verdict) -> str:
    """`12 file rules and 33 plan rules ran`. A file rule counts when the change has something that it is about."""
    of_plans = sum(rule.startswith("plan/") for rule in verdict.rules_run)
    of_files = counted(len(verdict.rules_run) - of_plans, "file rule")
    return f"{of_files} and {counted(of_plans, 'plan rule')} ran" if of_plans else f"{of_files} ran; there is no plan"
