"""Why a run ended, as one value and as text for people: a "no", an error of ours, a cancellation or a bug."""

from __future__ import annotations

import errno

from ops_agent.core.claims.progress_text import stopped_text
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.errors import NoSpace, OpsAgentError
from ops_agent.ports import World


def as_stopped(why: Stopped | BaseException) -> Stopped:
    if isinstance(why, Stopped):
        return why
    if isinstance(why, OpsAgentError):
        return Stopped(conclusion=why.conclusion, reason=str(why), remedy=why.hint, findings=why.findings)
    if isinstance(why, OSError) and why.errno in (errno.ENOSPC, errno.EDQUOT):
        return as_stopped(NoSpace("There is no space left on the disk."))
    if isinstance(why, KeyboardInterrupt):
        return Stopped(
            conclusion=Conclusion.CANCELLED,
            reason="The run was cancelled.",
            remedy="Put the label again, or start the workflow again, when you want the work done.",
        )
    return Stopped(
        conclusion=Conclusion.INTERNAL_ERROR,
        reason=f"ops-agent failed with {type(why).__name__}; this is a bug.",
        remedy="Report it with the log of this run.",
    )


def stopped_says(world: World, stopped: Stopped) -> str:
    """Markdown for the comment. When the redaction fails, only the conclusion is told."""
    try:
        return world.redact(stopped_text(stopped))
    except Exception:
        return f"**{stopped.conclusion.value}**: the reason is withheld, because its redaction failed."
