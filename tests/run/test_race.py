"""Many runs on one issue at the same instant: always exactly one goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ops_agent.issue.claims import SeenClaim, holder
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.work_item import Claim
from ops_agent.run.claim import claim
from ops_agent.run.progress import Progress
from ops_agent.run.publish import Published, publish
from run.github_world import SharedGitHub, Workplace, changes, proposal, settings

PAIRS = 20


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Run `acts` in threads that start at one barrier; an exception is a result."""
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def body(place: int, act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[place] = act()
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=body, args=(place, act)) for place, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def one_run(here: Workplace, run_id: int, event_id: int) -> Callable[[], Published | Stopped]:
    world, item, identity = here.world(), here.item(event_id=event_id), here.run(run_id=run_id)

    def act() -> Published | Stopped:
        held = claim(world, settings(), item, identity)
        if isinstance(held, Stopped):
            return held
        return publish(world, settings(), Progress(world, item, held, identity), changes(held.base_commit), proposal())

    return act


def test_of_two_runs_at_one_instant_exactly_one_publishes() -> None:
    """Twenty times: one branch, one pull request, one comment; the other run is a duplicate."""
    shared_github = SharedGitHub()
    try:
        for _ in range(PAIRS):
            here = shared_github.workplace()
            results = together(one_run(here, 77, 9001), one_run(here, 78, 9002))
            published = [r for r in results if isinstance(r, Published)]
            stopped = [r for r in results if isinstance(r, Stopped)]
            assert len(published) == 1 and len(stopped) == 1, results
            assert stopped[0].conclusion is Conclusion.DUPLICATE
            assert len(here.repository.pull_requests) == 1 and len(here.branches) == 1
            assert len(here.claim_comments()) == 1 and '"state":"published"' in here.claim_comments()[0]
    finally:
        shared_github.github.stop()


def test_of_many_runs_that_take_over_a_dead_claim_exactly_one_wins() -> None:
    """The branch exists, the comment names a run that has ended: ids of comments decide."""
    shared_github = SharedGitHub()
    try:
        for _ in range(5):
            here = shared_github.workplace()
            assert isinstance(claim(here.world(), settings(), here.item(), here.run()), Claim)
            here.repository.add_run(77, status="completed")
            runs = [
                partial(claim, here.world(), settings(), here.item(event_id=9000 + n), here.run(run_id=80 + n))
                for n in range(5)
            ]
            results = together(*runs)
            assert len([r for r in results if isinstance(r, Claim)]) == 1, results
            assert len([r for r in results if isinstance(r, Stopped)]) == 4, results
            assert len(here.claim_comments()) == 1
    finally:
        shared_github.github.stop()


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_of_simultaneous_claims_the_lowest_comment_id_holds_the_item(order: tuple[int, ...]) -> None:
    from run.test_claiming import record

    seen = [SeenClaim(comment_id=n, record=record(after=0), updated_at=0.0) for n in order]
    found = holder(seen)
    assert found is not None and found.comment_id == 1
