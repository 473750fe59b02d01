"""The answer on the issue when an item was not admitted: one comment, edited in place; nothing else is written."""

from __future__ import annotations

from ops_agent.core.claims.progress_text import stopped_text
from ops_agent.domain.event import IssueRef, RunIdentity
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.errors import GitHubError
from ops_agent.ports import World
from ops_agent.settings import Settings

MARK = "<!-- ops-agent:answer -->"
# The others concern whoever wired the workflow, or an issue that nobody waits at any more.
ANSWERED = (Conclusion.NEEDS_INFO, Conclusion.DECLINED, Conclusion.CONTENT_CHANGED)


def answer(world: World, settings: Settings, ref: IssueRef, stopped: Stopped, run: RunIdentity) -> None:
    """Say on `ref` why it is not worked on and what to do. Silent for a quiet `stopped`, for other conclusions and in a dry run.

    Our earlier answer is found by its mark and our account's id, and edited. A failure is a warning: the outcome stands without it.
    """
    if stopped.quiet or stopped.conclusion not in ANSWERED or settings.dry_run or not run.run_id:
        return
    by = f"[run {run.run_id}, attempt {run.attempt}]({run.url})"
    text = world.redact(f"{MARK}\n\n### ops-agent did not take this issue\n\n{stopped_text(stopped)}\n\n<sub>{by}</sub>\n")
    try:
        own = world.code_host.viewer().id
        mine = [c for c in world.code_host.comments(ref) if c.author.id == own and c.body.startswith(MARK)]
        if mine:
            world.code_host.update_comment(ref.repository, mine[-1].id, text)
        else:
            world.code_host.create_comment(ref, text)
    except GitHubError as error:
        world.reporter.annotate("warning", world.redact(f"The answer could not be written on {ref}: {error}"))
