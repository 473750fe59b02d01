"""What code knows about every root and environment at once: equal entries of several environments are said once, with all their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ops_agent.core.plans.plan_rendering import headline, look_first, name_of
from ops_agent.core.plans.plan_table import changes_table
from ops_agent.core.texts.neutral import cell
from ops_agent.domain.verification import TargetVerification


def headlines(targets: Sequence[TargetVerification]) -> str:
    """One line for each target, as a table; empty without targets."""
    if not targets:
        return ""
    rows = [f"| {name_of(target)} | {headline(target)} |" for target in targets]
    return "\n".join(["| Root and environment | Plan |", "|---|---|", *rows])


def dangers(targets: Sequence[TargetVerification]) -> list[str]:
    """The danger list of all targets: one part for each group of targets that share entries, those of most targets first."""
    parts = []
    for names, lines in _grouped(targets, look_first):
        parts.append(f"**Look at these first** in {names}:\n\n" + "\n".join(lines))
    return parts


def tables(targets: Sequence[TargetVerification]) -> list[str]:
    """The table of resources of each target, an equal one once. A target without one says why in its line of `headlines`."""
    return [f"Resources in {names}:\n\n{table[0]}" for names, table in _grouped(targets, lambda target: [changes_table(target)])]


def not_planned(targets: Sequence[TargetVerification]) -> str:
    """A warning that cannot be overlooked: targets that no plan against their account was made for; empty when there are none."""
    lines = []
    for target in targets:
        if target.plan is None:
            lines.append(f"> - {name_of(target)}: no plan, {cell(target.unplanned or 'none was made')}")
        elif target.mocked:
            why = f" ({cell(target.unplanned)})" if target.unplanned else ""
            lines.append(f"> - {name_of(target)}: what is shown is a look at the sources with **mocked** providers{why}")
    return "\n".join(["> [!WARNING]", "> **Not planned against the account**", *lines]) if lines else ""


def _grouped(targets: Sequence[TargetVerification], entries: Callable[[TargetVerification], Iterable[str]]) -> list[tuple[str, list[str]]]:
    """(names of targets, the entries that exactly these share), the widest group first; entries keep their order."""
    owners: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        for entry in dict.fromkeys(entries(target)):
            if entry:
                owners.setdefault(entry, []).append(index)
    groups: dict[tuple[int, ...], list[str]] = {}
    for entry, indices in owners.items():
        groups.setdefault(tuple(indices), []).append(entry)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))
    return [(" and ".join(name_of(targets[index]) for index in indices), lines) for indices, lines in ordered]
