"""A run that dies, loses its connection or meets a broken server at any call: the end is always one branch, one pull request, one comment.

security-bar.md M03, M04, M16, N03. The calls of one claim and publication are counted and stated: CALLS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ops_agent.adapters.github.github_board import GitHubBoard
from ops_agent.adapters.github.github_code_host import GitHubCodeHost, connect
from ops_agent.domain.event import RunIdentity
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.ports import World
from ops_agent.stages.claim import claim
from ops_agent.stages.publish import Published, publish
from publication.github_world import Stage, Theatre, changes, proposal, settings

CALLS = 21
"""One claim and one publication, clean: 9 and 12 requests (19 in all without a review status). Each further page of comments costs two."""


class Died(BaseException):
    """The process is gone: nothing of ours runs after it."""


def whole_run(here: Stage, world: World, identity: RunIdentity, event_id: int = 9001) -> Published | Stopped:
    item = here.item(event_id=event_id)
    given = settings(status_review="In Review", pr_labels=("infra",))
    held = claim(world, given, item, identity)
    if isinstance(held, Stopped):
        return held
    return publish(world, given, item, held, identity, changes(held.base_commit), proposal())


def mortal_world(here: Stage, die_at: int, after: bool) -> World:
    """A world that dies at the `die_at`-th request, before it is sent or after GitHub did what it asked."""
    http = connect(here.token, {"GITHUB_API_URL": here.github.base_url}, here.clock)
    ask: Callable[..., Any] = http.requestJson
    count = 0

    def request(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == die_at and not after:
            raise Died
        answer = ask(*arguments, **options)
        if count == die_at:
            raise Died
        return answer

    http.requestJson = request  # type: ignore[method-assign]
    return here.world(code_host=GitHubCodeHost(http), board=GitHubBoard(http, "DrivvenConsulting", 6))


def final_state(here: Stage) -> dict[str, Any]:
    """Everything that people can see on GitHub, without ids of runs and times."""

    def plain(text: str) -> str:
        text = re.sub(r'"(key|at|run_id|attempt|after|base|changes)":("[^"]*"|\d+)', r'"\1":0', text)
        return re.sub(r"\[run \d+, attempt \d+\]\([^)]*\)|127\.0\.0\.1:\d+|orders-\d+|/(pull|issues)/\d+|#1\d+|`[0-9a-f]{12}`", "", text)

    repository = here.repository
    return {
        "branches": {name: repository.files(name) for name in here.branches},
        "commits": {name: len(repository.store.ahead(repository.head(), sha)) for name, sha in here.branches.items()},
        "pulls": [(p.title, plain(p.body), p.draft, p.state, sorted(p.label_names), p.head, p.base) for p in repository.pull_requests],
        "comments": [plain(c.body) for c in here.issue.comments],
        "comments on pulls": [[c.body for c in p.comments] for p in repository.pull_requests],
        "column": here.column(),
        "main": repository.files(),
    }


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    built = Theatre()
    yield built
    built.github.stop()


@pytest.fixture(scope="module")
def reference(theatre: Theatre) -> dict[str, Any]:
    here = theatre.stage()
    assert isinstance(whole_run(here, here.world(), here.run()), Published)
    assert len(here.github.recorder.calls) - 1 == CALLS, str(here.github.recorder)  # one is the test's own look at the issue
    return final_state(here)


def test_a_clean_run_makes_exactly_the_stated_number_of_calls(reference: dict[str, Any]) -> None:
    """The number is asserted where the reference is made."""
    assert len(reference["pulls"]) == 1 and len(reference["comments"]) == 1 and reference["column"] == "In Review"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", range(1, CALLS + 1))
def test_a_run_that_dies_at_a_call_is_completed_by_its_next_attempt(
    theatre: Theatre, reference: dict[str, Any], k: int, after: bool
) -> None:
    """M16, N03."""
    here = theatre.stage()
    with pytest.raises(Died):
        whole_run(here, mortal_world(here, k, after), here.run())
    ending = whole_run(here, here.world(), here.run(attempt=2))
    assert isinstance(ending, Published) or ending.conclusion is Conclusion.DUPLICATE, ending
    assert final_state(here) == reference


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", range(1, CALLS + 1))
def test_a_run_that_died_is_completed_by_another_run_once_it_is_known_to_have_ended(
    theatre: Theatre, reference: dict[str, Any], k: int, after: bool
) -> None:
    here = theatre.stage()
    with pytest.raises(Died):
        whole_run(here, mortal_world(here, k, after), here.run())
    here.repository.add_run(77, status="completed", conclusion="cancelled")
    ending = whole_run(here, here.world(), here.run(run_id=78), event_id=9002)
    assert isinstance(ending, Published) or ending.conclusion is Conclusion.DUPLICATE, ending
    assert final_state(here) == reference


FAULTS: dict[str, Callable[[Any], Any]] = {
    "lost before": lambda fault: fault.drop_before(),
    "lost after": lambda fault: fault.drop_after(),
    "502 before": lambda fault: fault.answer(502),
    "502 after": lambda fault: fault.answer(502, after=True),
    "half an answer": lambda fault: fault.malformed(),
    "secondary limit": lambda fault: fault.secondary_rate_limit(retry_after=2),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("k", range(1, CALLS + 1))
def test_a_call_that_goes_wrong_once_changes_nothing_about_the_end(theatre: Theatre, reference: dict[str, Any], k: int, fault: str) -> None:
    """M01, M03, M04: the same run goes on; nothing is made twice."""
    here = theatre.stage()
    FAULTS[fault](here.github.faults.at(k + 1))  # the first call is the test's own look at the issue
    ending = whole_run(here, here.world(), here.run())
    assert isinstance(ending, Published), ending
    assert ending.warnings == ()
    assert final_state(here) == reference
    assert sum(here.clock.slept) <= 60
