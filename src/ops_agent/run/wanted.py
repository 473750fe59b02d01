"""Whether the work is still wanted while a run is at it: asked between two answers of the llm."""

from __future__ import annotations

from ops_agent.config.settings import LabelSettings
from ops_agent.issue.admission import withdrawn
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.model.work_item import WorkItem

SECONDS_BETWEEN_LOOKS = 30.0


class Wanted:
    """Looks at the issue of `item` again, at most every 30 seconds; the first time 30 seconds after it was made.

    A look that fails ends nothing: the next one, or the publication, sees it.
    """

    def __init__(self, world: World, labels: LabelSettings, item: WorkItem) -> None:
        self._issues, self._clock, self._labels, self._item = world.issues, world.clock, labels, item
        self._looked_at = world.clock.monotonic()

    def look(self) -> Stopped | None:
        """Why the run ends, or None. An issue that is a file (a local run) is not looked at."""
        now = self._clock.monotonic()
        if now - self._looked_at < SECONDS_BETWEEN_LOOKS or not self._item.issue.ref.number:
            return None
        self._looked_at = now
        try:
            return withdrawn(self._labels, self._item, self._issues.issue(self._item.issue.ref))
        except NotFound as gone:
            reason = f"The issue is gone since the run began: {gone}"
            return Stopped(Conclusion.STALE, reason, "Open a new issue when the work is still wanted.")
        except GitHubError:
            return None
