"""What code knows about every root and environment at once: the worst first, and what several of them share said once, with their names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from ops_agent.core.plans.dangers import LIFTED_BY_ALLOW_DESTROY, danger_rank, is_final
from ops_agent.core.plans.plan_rendering import headline, is_own, name_of, names_of
from ops_agent.core.texts.neutral import cell, code
from ops_agent.domain.terraform_plan import Danger, Severity
from ops_agent.domain.verification import TargetVerification

MOST_DANGERS: Final = 40
_MOCKED = (
    "A **mocked** look compares the sources of base and change, each planned from nothing with invented answers in place of AWS. "
    "It cannot show replaces, moves, drift, or what depends on what exists in the account."
)


def headlines(targets: Sequence[TargetVerification]) -> str:
    """One line for each target, as a table; empty without targets."""
    if not targets:
        return ""
    rows = [f"| {name_of(target)} | {headline(target)} |" for target in targets]
    return "\n".join(["| Root and environment | Plan |", "|---|---|", *rows])


def dangers(targets: Sequence[TargetVerification]) -> list[str]:
    """Everything that a reviewer should look at, as Markdown items over all targets, the worst first whichever target it is in.

    What stood before is counted, but for what cannot be brought back: an apply does that too.
    """
    owners: dict[Danger, list[TargetVerification]] = {}
    standing: dict[Danger, list[TargetVerification]] = {}
    for target in targets:
        for danger in dict.fromkeys(target.plan.dangers if target.plan else ()):
            (owners if is_own(danger, target) else standing).setdefault(danger, []).append(target)
    ranked = sorted(owners, key=lambda danger: (not danger.blocks, *danger_rank(danger)))
    lines = [f"- {_mark(one)}{_told(one, owners[one], targets)}" for one in ranked]
    final = [one for one in sorted(standing, key=danger_rank) if one.severity is Severity.DANGER and is_final(one)]
    lines += [f"- **stood before, and an apply does it too:** {_told(one, standing[one], targets)}" for one in final]
    more = sum(len(where) for one, where in standing.items() if one not in final)
    return lines + ([f"- {more} more stood before this change"] if more else [])


def danger_list(lines: Sequence[str], most: int = MOST_DANGERS, rest: str = "in the job summary") -> str:
    """The first `most` of `lines` under their title; what is left out is counted, and `rest` says where it stands. Empty without lines."""
    if not lines:
        return ""
    more = [f"- **and {len(lines) - most:,} more {rest}**"] if len(lines) > most else []
    return "\n".join(["**Look at these first:**\n", *lines[:most], *more])


def cautions(targets: Sequence[TargetVerification]) -> str:
    """A warning that cannot be overlooked: what was not planned as an apply would do it, and why; empty when all of it was."""
    without = [target for target in targets if target.plan is None or target.mocked]
    parts = []
    if without:
        lines = ["> **Not planned against the account**"]
        by_reason: dict[tuple[str, bool], list[TargetVerification]] = {}
        for target in without:
            by_reason.setdefault((cell(target.unplanned or "no plan was made"), target.plan is not None), []).append(target)
        lines += [f"> - {names_of(same)}{', mocked' if mocked else ', no plan'}: {reason}" for (reason, mocked), same in by_reason.items()]
        lines += [">", f"> {_MOCKED}"] if any(target.plan for target in without) else []
        parts.append("\n".join(lines))
    invented = sorted((target for target in targets if target.placeholders), key=lambda target: target.placeholders)
    for names, same in groupby(invented, key=lambda target: target.placeholders):
        values = ", ".join(code(name) for name in names)
        parts.append(f"> **Planned with invented values** in {names_of(same)}: the repository has none for {values}. An apply uses others.")
    return "\n>\n".join(["> [!WARNING]\n" + parts[0], *parts[1:]]) if parts else ""


def _mark(danger: Danger) -> str:
    if danger.blocks and danger.rule not in LIFTED_BY_ALLOW_DESTROY:
        return "**BLOCKS** "
    return "**DANGER** " if danger.severity is Severity.DANGER else ""


def _told(danger: Danger, found: Sequence[TargetVerification], targets: Sequence[TargetVerification]) -> str:
    return f"{code(danger.address)}{_where(found, targets)}: {cell(danger.why)} ({code(danger.rule)})"


def _where(found: Sequence[TargetVerification], targets: Sequence[TargetVerification]) -> str:
    return f" in {names_of(found)}" if len(targets) > 1 else ""
