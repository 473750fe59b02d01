"""One run of claim and publication with its own adapters, and how its end is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ops_agent.model.change_set import ChangeSet, Proposal
from ops_agent.model.event import RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.model.work_item import Claim
from ops_agent.run.claim import claim, release
from ops_agent.run.progress import Progress
from ops_agent.run.publish import Published, publish
from run.github_world import Workplace, changes, proposal, settings


class Run:
    """One run with its own adapters: claim, then publish a stub change set."""

    def __init__(
        self,
        here: Workplace,
        event_id: int = 9001,
        token: str | None = None,
        given: dict[str, Any] | None = None,
        **identity: Any,
    ) -> None:
        self.here, self.settings = here, settings(**(given or {}))
        self.world: World = here.world(token)
        self.item, self.identity = here.item(event_id=event_id), here.run(**identity)
        self.held: Claim | None = None

    def claim(self) -> Claim | Stopped:
        found = claim(self.world, self.settings, self.item, self.identity)
        self.held = found if isinstance(found, Claim) else None
        return found

    def publish(self, change_set: ChangeSet | None = None, text: Proposal | None = None) -> Published | Stopped:
        held = self.held or self.claim()
        assert isinstance(held, Claim), held
        given = change_set or changes(held.base_commit)
        text = text or proposal(self.item.issue.ref.number)
        edits = edits_on(self.here, held, given)
        return publish(self.world, self.settings, self._progress(held), given, text, edits=edits)

    def release(self, why: Stopped | BaseException) -> None:
        assert self.held is not None
        release(self.world, self.settings, self._progress(self.held), why)

    def _progress(self, held: Claim) -> Progress:
        return Progress(self.world, self.item, held, self.identity)

    @property
    def said(self) -> str:
        return "\n".join(text for _, text in self.world.reporter.annotations)  # type: ignore[attr-defined]


def edits_on(here: Workplace, held: Claim, given: ChangeSet) -> ChangeSet:
    """What the branch lacks of a change set."""
    store = here.repository.store
    there = {path: store.blob(entry.sha) for path, entry in store.files(held.head_commit).items()}
    edits = (replace(change, before=there.get(change.path)) for change in given.changes)
    return replace(given, changes=tuple(change for change in edits if change.before != change.after))


def published(here: Workplace, **options: Any) -> Published:
    out = Run(here, **options).publish()
    assert isinstance(out, Published), out
    return out


def stopped(answer: object, conclusion: Conclusion) -> Stopped:
    assert isinstance(answer, Stopped), answer
    assert answer.conclusion is conclusion, answer
    return answer


NO = Stopped(
    conclusion=Conclusion.NEEDS_INFO,
    reason="It is not said which queue.",
    remedy="Say it.",
    questions=("Which queue?",),
)


def whole_run(here: Workplace, world: World, identity: RunIdentity, event_id: int = 9001) -> Published | Stopped:
    """One claim and one publication that uses every last step: a label and a review status."""
    item, given = here.item(event_id=event_id), settings(status_review="In Review", pr_labels=("infra",))
    held = claim(world, given, item, identity)
    if isinstance(held, Stopped):
        return held
    wanted = changes(held.base_commit)
    return publish(
        world, given, Progress(world, item, held, identity), wanted, proposal(), edits=edits_on(here, held, wanted)
    )
