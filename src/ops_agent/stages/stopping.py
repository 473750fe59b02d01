"""Why a run ended, as one value and as text for people: a "no", an error of ours, a cancellation or a bug."""

from __future__ import annotations

from ops_agent.core.claims.progress_text import stopped_text
from ops_agent.domain.outcome import Stopped
from ops_agent.errors import as_error
from ops_agent.ports import World


def as_stopped(why: Stopped | BaseException) -> Stopped:
    if isinstance(why, Stopped):
        return why
    error = as_error(why)
    return Stopped(conclusion=error.conclusion, reason=str(error), remedy=error.hint, findings=error.findings)


def stopped_says(world: World, stopped: Stopped) -> str:
    """Markdown for the comment. When the redaction fails, only the conclusion is told."""
    try:
        return world.redact(stopped_text(stopped))
    except Exception:
        return f"**{stopped.conclusion.value}**: the reason is withheld, because its redaction failed."
