"""The first screen of a pull request: one line for all of it, what must be decided, and what a merge does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ops_agent.model.finding import Finding, Severity, Verdict
from ops_agent.model.plan import PlanCounts
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.pages.criteria import criteria_headline
from ops_agent.pages.fragments import IN_SUMMARY, Overflow, capped, counted, grouped, joined
from ops_agent.pages.plans import names_of
from ops_agent.pages.results import MAX_DANGERS, Reasons, cautions, danger_lines, danger_list, is_own, reason_of
from ops_agent.text.markdown import cell, code, list_item
from ops_agent.workflows.merging import MergeEffect
from ops_agent.workflows.understood import DEPLOYS

_MAX_DECISIONS: Final = 10
_MAX_EFFECTS: Final = 10
_MAX_JOBS: Final = 3


def first_screen(
    verdict: Verdict,
    verification: Verification,
    merges: Sequence[MergeEffect],
    base_branch: str,
    unfinished: Sequence[str],
    redact: Callable[[str], str],
    overflow: Overflow,
    reasons: Reasons,
    *,
    has_workflows: bool = False,
) -> str:
    """Everything above the six sections, as Markdown. `unfinished`: why this is a draft. Dangers that are too many go
    to `overflow`.
    """
    dangers = danger_lines(verification.targets, reasons)
    if dangers[MAX_DANGERS:]:
        overflow.add("Review these first, continued", "\n".join(dangers[MAX_DANGERS:]))
    warning = ""
    if unfinished:
        asked = [f"- **DISPUTED** {_at(f, redact)}{reason_of(f, reasons)}" for f in verdict.disputed]
        asked += [f"- {list_item(redact(f.what))}{reason_of(f, reasons)}" for f in decisions_of(verdict)]
        lines = [f"**Not ready to merge**: {'; '.join(unfinished)}.", *capped(asked, _MAX_DECISIONS, IN_SUMMARY)]
        warning = "> [!WARNING]\n" + "\n".join(f"> {line}" for line in lines)
    return joined(
        f"**{headline_of(verdict, verification)}**",
        warning,
        cautions(verification.targets),
        danger_list(dangers),
        what_merging_does(merges, base_branch, has_roots=bool(verification.targets), has_workflows=has_workflows),
    )


def _at(finding: Finding, redact: Callable[[str], str]) -> str:
    return f"{code(redact(str(finding.place)))}: {list_item(redact(finding.what))} ({code(finding.rule)})"


def headline_of(verdict: Verdict, verification: Verification) -> str:
    """`dev +5 ~1 -0 planned, prod the same offline; 4 of 5 criteria proved, 1 open (AC2); no danger`."""
    parts = [_plans(verification.targets), criteria_headline(verification.criteria)]
    failed = len(verification.failed)
    parts.append(f"{counted(failed, 'check')} failed" if failed else "")
    asked = sum(grave for _, grave in _weights(verdict, verification.targets))
    notices = sum(not grave for _, grave in _weights(verdict, verification.targets))
    planned = [target.plan is not None for target in verification.targets]
    words = "no danger" if all(planned) else "no danger in what was planned" if any(planned) else "dangers not examined"
    words = counted(asked, "danger") if asked else words
    parts.append(f"{words}, {counted(notices, 'notice')}" if notices else words)
    return "; ".join(part for part in parts if part)


def decisions_of(verdict: Verdict) -> tuple[Finding, ...]:
    """What the rules over files leave to a person."""
    return tuple(f for f in verdict.findings if f.severity is Severity.DECISION and not f.pre_existing)


def planned_dangers(targets: Iterable[TargetVerification]) -> tuple[Finding, ...]:
    """Dangers and notices of the plans that the change set causes, each once."""
    own = (d for target in targets if target.plan for d in target.plan.dangers if is_own(d, target))
    return tuple(dict.fromkeys(own))


def planned_decisions(targets: Iterable[TargetVerification]) -> tuple[Finding, ...]:
    """What the plans leave to a person, each once."""
    return tuple(d for d in planned_dangers(targets) if d.severity is Severity.DECISION)


def what_merging_does(merges: Sequence[MergeEffect], base_branch: str, *, has_roots: bool, has_workflows: bool) -> str:
    """What is applied by a merge, or how to apply; empty when nothing of Terraform is affected and a merge applies
    nothing. `has_workflows`: the change set holds some.
    """
    on_merge = [effect for effect in merges if effect.on_merge]
    later = [effect for effect in merges if not effect.on_merge]
    if not (has_roots or has_workflows or on_merge):
        return ""
    merging = f"Merging to {code(base_branch)}"
    if on_merge:
        is_told = any(not effect.unread for effect in on_merge)
        lines = [f"**{merging} applies:**\n" if is_told else f"**{merging} may apply Terraform: cannot tell.**\n"]
        return "\n".join([*lines, *capped(_effects(on_merge), _MAX_EFFECTS)])
    if later:
        lines = [f"**{merging} applies nothing.** These workflows apply:\n"]
        return "\n".join([*lines, *capped(_effects(later, with_event=True), _MAX_EFFECTS)])
    by_hand = ", so apply by hand" if has_roots else ""
    return f"**{merging} applies nothing:** no workflow applies Terraform{by_hand}."


def how_applied(targets: Sequence[TargetVerification], merges: Sequence[MergeEffect]) -> str:
    """For each root and environment what applies this change: a merge, another event, or a person."""
    ways = grouped((_way(target, merges), target) for target in targets)
    rows = [f"- {names_of(same)}: {way}" for way, same in ways.items()]
    return "\n".join(["How this is applied:", "", *rows]) if rows else ""


def _way(target: TargetVerification, merges: Sequence[MergeEffect]) -> str:
    where = (target.target.root.path, target.target.environment.name)
    own = [one for one in merges if (one.root, one.environment) == where and not one.destroys and not one.unread]
    doubtful = [one for one in merges if not (one.root and one.environment) or one.unread]
    for effects, says in (
        ([one for one in own if one.on_merge and one.certain], "a merge applies it"),
        ([one for one in own if one.on_merge], "a merge applies it if the conditions of the job hold"),
        ([one for one in doubtful if one.on_merge], "a merge may apply it"),
        (own, "no merge applies it, but another event does"),
        (doubtful, "no merge applies it; another event may"),
    ):
        if effects:
            jobs = grouped((f"job {code(one.job)} of {code(one.workflow)}", one.event) for one in effects)
            shown = [
                by if effects[0].on_merge else f"{by}, started by {', '.join(map(code, dict.fromkeys(events)))}"
                for by, events in jobs.items()
            ]
            return f"{says} ({'; '.join(shown[:_MAX_JOBS])})"
    return "no workflow applies it: a person does"


def _effects(effects: Sequence[MergeEffect], *, with_event: bool = False) -> list[str]:
    """One item for each workflow, job and event, with its roots and environments; what cannot be told comes last."""
    ordered = sorted(effects, key=lambda effect: (bool(effect.unread), not DEPLOYS.search(effect.unread)))
    rows = grouped(((e.workflow, e.job, e.event, e.certain, e.destroys, e.unread, e.is_new), e) for e in ordered)
    lines = []
    for (workflow, job, event, certain, destroys, unread, is_new), same in rows.items():
        places = grouped((effect.environment, effect.root) for effect in same)
        into = "in" if destroys else "to"
        where = "; ".join(
            f"{', '.join(code(root) if root else 'a root that the workflow does not tell' for root in roots)}"
            f" {into} {cell(environment) if environment else 'an environment that the workflow does not tell'}"
            for environment, roots in places.items()
        )
        what = f"**destroys** {where}" if destroys else where
        if unread:
            told = f" {where}" if any(effect.root or effect.environment for effect in same) else ""
            what = f"**may apply**{told}, cannot tell what {code(unread)} does"
        by = f"job {code(job)} of {code(workflow)}" if job else "it cannot be read"
        started = f", started by {code(event)}" if with_event else ""
        doubt = "" if certain or unread else ", if its conditions hold"
        lines.append(f"- {'**new with this change:** ' if is_new else ''}{what}: {by}{started}{doubt}")
    return lines


def _plans(targets: Sequence[TargetVerification]) -> str:
    """Counts for each environment; several roots are summed, equal environments said once."""
    if not targets:
        return "no Terraform root is affected"
    by_name = grouped((target.target.environment.name, target) for target in targets)
    said: list[frozenset[tuple[str, ...]]] = []
    words = []
    for name, same in by_name.items():
        missing = [target for target in same if target.plan is None]
        how = "offline" if any(target.offline for target in same) else "planned"
        if len(missing) == len(same):
            words.append(f"{cell(name)} not planned")
            continue
        does = frozenset(step for target in same for step in _steps(target))
        shown = f"the same{' offline' if how == 'offline' else ''}" if does in said else f"{_counts(same)} {how}"
        said.append(does)
        part = f", {len(missing)} of {len(same)} roots not planned" if missing else ""
        words.append(f"{cell(name)} {shown}{part}")
    return ", ".join(words)


def _steps(target: TargetVerification) -> list[tuple[str, ...]]:
    """What the plan of a target does, to be compared with another's; only a real plan reads data at the apply."""
    root = target.target.root.path
    managed = [change for change in target.caused if change.mode == "managed"]
    done: list[tuple[str, ...]] = [(root, change.address, change.action.value) for change in managed]
    return done + [(root, "output", output.name, output.action.value) for output in target.caused_outputs]


def _counts(targets: Sequence[TargetVerification]) -> str:
    changes = [change for target in targets for change in target.caused]
    outputs = [output for target in targets for output in target.caused_outputs]
    if not changes and not outputs:
        return "no changes"
    return PlanCounts.of(changes, outputs).line


def _weights(verdict: Verdict, targets: Sequence[TargetVerification]) -> list[tuple[Finding, bool]]:
    """Own dangers and notices of the plans, and decisions of the file rules, each once with whether it is grave."""
    found = planned_dangers(targets)
    grave = [(one, one.severity is not Severity.NOTICE) for one in found]
    of_files = (*verdict.disputed, *decisions_of(verdict), *verdict.blocking)
    return grave + [(one, True) for one in of_files if one not in found]
