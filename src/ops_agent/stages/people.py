"""What accounts may do, asked of GitHub once per repository and login; shared by admission and selection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ops_agent.core.intake.admission import refuse_people, who_must_write
from ops_agent.core.intake.admission_approval import labellers
from ops_agent.domain.event import Actor, ActorKind, Event, Issue, IssueEvent, Permission, Repository, RunIdentity
from ops_agent.domain.outcome import Stopped
from ops_agent.errors import NotFound
from ops_agent.ports import CodeHost
from ops_agent.settings import Settings


@dataclass(slots=True)
class People:
    """Who is not known to GitHub has no permission; every other failure is raised, so that the run fails closed (A17)."""

    host: CodeHost
    settings: Settings
    known: dict[tuple[str, str], Permission] = field(default_factory=dict)

    def permission(self, repository: str, login: str) -> Permission:
        key = (repository, login.casefold())
        if key not in self.known:
            try:
                self.known[key] = self.host.permission(repository, login)
            except NotFound:
                self.known[key] = Permission.NONE
        return self.known[key]

    def may_write(self, repository: str, actor: Actor) -> bool:
        if actor.kind is not ActorKind.USER:
            return actor.kind is ActorKind.BOT and actor.id in self.settings.allowed_bots
        return self.permission(repository, actor.login).may_write

    def refuse(self, event: Event, run: RunIdentity, repositories: Iterable[str]) -> Stopped | None:
        """Why who asked, or who started this attempt, has no right to; None when they may write in all `repositories`."""
        names = tuple(dict.fromkeys(repositories))
        return refuse_people({(n, login): self.permission(n, login) for login in who_must_write(self.settings, event, run) for n in names})

    def writers_of_labels(self, issue: Issue, events: tuple[IssueEvent, ...]) -> frozenset[int]:
        """Ids of the accounts that put a label which counts only from a writer, and that may write."""
        put_by = {actor.id: actor for actor in labellers(self.settings, issue, events).values()}
        return frozenset(id_ for id_, actor in put_by.items() if self.may_write(issue.ref.repository, actor))


def repository_or_none(host: CodeHost, name: str) -> Repository | None:
    """The repository, None when there is no such one or the token cannot see it."""
    try:
        return host.repository(name)
    except NotFound:
        return None
