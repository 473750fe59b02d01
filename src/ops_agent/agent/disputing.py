"""The tool with which the agent says that a rule is wrong in one place."""

from __future__ import annotations

from typing import Annotated, Any, Final

from ops_agent.agent.workbench import ToolRefusal, Workbench
from ops_agent.guard.disputes import is_disputable
from ops_agent.model.finding import Dispute
from ops_agent.text.markdown import says_nothing

_MAX_DISPUTES: Final = 10
_MAX_REASON: Final = 500


def dispute(
    bench: Workbench,
    finding: Annotated[str, "The rule of a finding that blocks and is `disputable`."],
    where: Annotated[str, "The finding's `where`, as it was given."],
    reason: Annotated[str, "Why the rule is wrong here, for the reviewer: one or two sentences."],
) -> Any:
    """Say that a rule is wrong in one place, rather than write worse code for it. The finding blocks no longer; the
    pull request becomes a draft that begins with it and your reason. What is about safety cannot be disputed.
    """
    if says_nothing(reason):
        raise ToolRefusal("`reason` is empty: say why the rule is wrong here")
    blocking = [one for one in bench.findings() if one.blocks]
    found = [one for one in blocking if one.rule == finding and where in (str(one.place), one.place.path)]
    if not found:
        others = ", ".join(f"{one.rule} at {one.place}" for one in blocking[:5]) or "nothing"
        raise ToolRefusal(f"no such finding blocks the change as it is now; what blocks: {others}")
    if not all(map(is_disputable, found)):
        raise ToolRefusal(
            f"`{finding}` is about what is safe and cannot be disputed: write it another way, or leave this part out "
            "and say so in `not_done`"
        )
    if len(bench.disputes) + len(found) > _MAX_DISPUTES:
        raise ToolRefusal(f"at most {_MAX_DISPUTES} findings are disputed in one run: write the others another way")
    bench.disputes += [
        Dispute(rule=one.rule, path=one.place.path, what=one.what, reason=reason[:_MAX_REASON]) for one in found
    ]
    return {"disputed": [f"{one.place}: {one.what}" for one in found]}
