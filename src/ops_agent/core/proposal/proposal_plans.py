"""The plans of all targets in one text of a given length."""

from __future__ import annotations

from itertools import accumulate

from ops_agent.core.plans.plan_rendering import PlanBlock, diff_pieces, evidence, fill_block, folded, headline, name_of, picture
from ops_agent.core.proposal.proposal_prose import Overflow
from ops_agent.core.texts.inert import one_line
from ops_agent.core.texts.neutral import fence_verbatim
from ops_agent.domain.verification import TargetVerification

_MOST_HEADS = 8_000


def plans(targets: tuple[TargetVerification, ...], budget: int, overflow: Overflow) -> str:
    """Every plan as Markdown within `budget` code points: lines, graphs and evidence first, then whole resources, in fair shares."""
    if not targets:
        return "No Terraform root is affected by this change."
    heads = [f"### {name_of(target)}\n\n{headline(target)}" for target in targets]
    named = max(1, sum(total <= _MOST_HEADS for total in accumulate(map(len, heads))))
    beyond = targets[named:]
    if beyond:
        overflow.add("More roots and environments", "\n\n".join(heads[named:]))
        targets, heads = targets[:named], heads[:named]
    extras = [_extras(target) for target in targets]
    room = budget - sum(len(head) + len(extra) + 120 for head, extra in zip(heads, extras, strict=True))
    if room < 2_000 * len(targets):
        for target, extra in zip(targets, extras, strict=True):
            if extra:
                overflow.add(f"Graph and evidence of {target.target}", extra)
        extras = ["" for _ in targets]
        room = budget - sum(len(head) + 120 for head in heads)
    parts = []
    for index, target in enumerate(targets):
        block = _plan_block(target, max(0, room // (len(targets) - index)))
        room -= len(block.markdown)
        if block.left_out:
            rest = fence_verbatim("\n\n".join(block.left_out), "diff")
            overflow.add(f"Plan of {one_line(str(target.target))}: resources that are not in the pull request", rest)
        parts.append("\n\n".join(part for part in (heads[index], block.markdown, extras[index]) if part))
    if beyond:
        parts.append(f"**{len(beyond)} more roots and environments in the job summary.**")
    return "\n\n".join(parts)


def _extras(target: TargetVerification) -> str:
    facts = evidence(target.evidence)
    return "\n\n".join(part for part in (picture(target), folded("Evidence", facts) if facts else "") if part)


def _plan_block(target: TargetVerification, room: int) -> PlanBlock:
    if target.plan is None or not (target.plan.changes or target.plan.outputs or target.plan.drift):
        return PlanBlock(markdown="")
    pieces, beyond = diff_pieces(target)
    if not pieces:
        return PlanBlock(markdown="")
    summary = f"{'MOCKED look at' if target.mocked else 'Plan of'} {target.target}: {target.plan.counts.line}"
    block = fill_block(pieces, room - len(folded(summary, "")), beyond)
    return PlanBlock(markdown=folded(summary, block.markdown), left_out=block.left_out)
