"""The plans of all targets in one text of a given length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from ops_agent.core.plans.plan_rendering import PlanBlock, diff_pieces, evidence, fill_block, folded, names_of, picture
from ops_agent.core.proposal.proposal_prose import Overflow
from ops_agent.core.texts.inert import one_line
from ops_agent.core.texts.neutral import fence_verbatim
from ops_agent.domain.verification import TargetVerification

_MOST_TITLES = 8_000
_LEAST_PLAN = 2_000
"""Code points: with less than this for each plan, graphs and evidence make way."""


def plans(targets: tuple[TargetVerification, ...], budget: int, overflow: Overflow) -> str:
    """Every plan as Markdown within `budget` code points: whole resources, in fair shares; then graphs and evidence, equal ones once.

    Counts, and why a target has no plan, stand at the top of the text and not here again.
    """
    if not targets:
        return "No Terraform root is affected by this change."
    changing = [target for target in targets if target.plan and (target.plan.changes or target.plan.outputs or target.plan.drift)]
    still = [target for target in targets if target.plan and target not in changing]
    without = [target for target in targets if target.plan is None]
    notes = [f"Nothing changes in {names_of(still)}."] if still else []
    notes += [f"No plan of {names_of(without)}: the reason stands under *Infrastructure changes*."] if without else []
    note = "\n\n".join(notes)
    if len(note) > _MOST_TITLES:
        overflow.add("Targets without changes or without a plan", note)
        note = f"**{len(still) + len(without)} roots and environments without changes or without a plan are named in the job summary.**"
    shown = changing[: max(1, sum(total <= _MOST_TITLES for total in accumulate(len(_title(target)) for target in changing)))]
    beyond = changing[len(shown) :]
    if beyond:
        note += f"\n\n**{len(beyond)} more roots and environments in the job summary.**"
    tail = _tail(shown)
    room = budget - len(note) - sum(len(folded(_title(target), "")) + 4 for target in shown) - 200
    if tail and room - len(tail) < _LEAST_PLAN * len(shown):
        overflow.add("Graphs and evidence of the plans", tail)
        tail = "*(graphs and evidence of the plans are in the job summary)*"
    room -= len(tail)
    parts = []
    for index, target in enumerate([*shown, *beyond]):
        block = _plan_block(target, max(0, room // (len(shown) - index)) if index < len(shown) else 0)
        room -= len(block.markdown)
        if block.left_out:
            rest = fence_verbatim("\n\n".join(block.left_out), "diff")
            overflow.add(f"Plan of {one_line(str(target.target))}: resources that are not in the pull request", rest)
        parts += [folded(_title(target), block.markdown)] if index < len(shown) and block.markdown else []
    return "\n\n".join(part for part in (*parts, note.strip(), tail) if part)


def _title(target: TargetVerification) -> str:
    return f"{'MOCKED look at' if target.mocked else 'Plan of'} {target.target}"


def _tail(targets: Sequence[TargetVerification]) -> str:
    drawn = [f"What depends on what, in {names_of(of)}:\n\n{graphs[0]}" for of, graphs in _shared(targets, lambda t: [picture(t)])]
    facts = [f"{names_of(of)}:\n\n" + "\n".join(items) for of, items in _shared(targets, lambda target: evidence(target.evidence))]
    return "\n\n".join([*drawn, *([folded("What the plans were made from", "\n\n".join(facts))] if facts else [])])


def _shared(
    targets: Sequence[TargetVerification], entries: Callable[[TargetVerification], Iterable[str]]
) -> list[tuple[list[TargetVerification], list[str]]]:
    """(targets, the entries that exactly these share), the widest group first; entries keep their order."""
    owners: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        for entry in dict.fromkeys(entries(target)):
            if entry:
                owners.setdefault(entry, []).append(index)
    groups: dict[tuple[int, ...], list[str]] = {}
    for entry, indices in owners.items():
        groups.setdefault(tuple(indices), []).append(entry)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))
    return [([targets[index] for index in indices], lines) for indices, lines in ordered]


def _plan_block(target: TargetVerification, room: int) -> PlanBlock:
    pieces, beyond = diff_pieces(target)
    return fill_block(pieces, room, beyond) if pieces else PlanBlock(markdown="")
