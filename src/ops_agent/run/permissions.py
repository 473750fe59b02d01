"""What accounts may do in a repository, and so whose labels, pull requests and reviews count."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ops_agent.issue.admission import is_allowed_bot, refuse_people
from ops_agent.model.errors import NotFound
from ops_agent.model.event import Actor, ActorKind, Permission, PullRequest
from ops_agent.model.outcome import Stopped
from ops_agent.model.ports import Issues


@dataclass(frozen=True, slots=True)
class PermissionReader:
    """What accounts may do, asked of GitHub once per repository and login.

    An account that GitHub does not know has no permission. Every other failure is raised, so that the run fails closed.
    """

    issues: Issues
    allowed_bots: Collection[int | str]
    _known: dict[tuple[str, str], Permission] = field(default_factory=dict)

    def permission(self, repository: str, login: str) -> Permission:
        key = (repository, login.casefold())
        if key not in self._known:
            try:
                self._known[key] = self.issues.permission(repository, login)
            except NotFound:
                self._known[key] = Permission.NONE
        return self._known[key]

    def may_write(self, repository: str, actor: Actor) -> bool:
        """Bots count only when `allowed_bots` names them."""
        if actor.kind is not ActorKind.USER:
            return is_allowed_bot(self.allowed_bots, actor)
        return self.permission(repository, actor.login).may_write

    def writers(self, repository: str, actors: Iterable[Actor]) -> frozenset[int]:
        """Ids of those of `actors` who may write."""
        distinct = {actor.id: actor for actor in actors}
        return frozenset(id_ for id_, actor in distinct.items() if self.may_write(repository, actor))

    def refuse(self, logins: Iterable[str], repositories: Iterable[str]) -> Stopped | None:
        """Why not all of `logins` may write to all of `repositories`; None when they may."""
        names = tuple(dict.fromkeys(repositories))
        return refuse_people({(name, login): self.permission(name, login) for login in logins for name in names})

    def trusts(self, repository: str, pull_request: PullRequest) -> bool:
        """Whether we, or an account that may write, opened it.

        Every account that can read a repository can open a pull request between two of its branches, and write a
        record like ours into its body (godotengine/godot#6971, github/docs#7730).
        """
        author = pull_request.author
        return author is not None and (author.id == self.issues.viewer().id or self.may_write(repository, author))
