"""One issue from its claim to its pull request, over the wire against the embedded GitHub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.work_item import Claim
from ops_agent.run.claim import claim
from ops_agent.run.progress import Progress
from ops_agent.run.publish import Published, publish
from run.github_world import Workplace, changes, proposal, settings, workplace


@pytest.fixture
def here() -> Iterator[Workplace]:
    with workplace() as built:
        yield built


def claimed(here: Workplace, **fields: object) -> Claim:
    found = claim(here.world(), settings(), here.item(), here.run(**fields))
    assert isinstance(found, Claim), found
    return found


def test_the_first_run_gets_the_branch_the_comment_and_the_card(here: Workplace) -> None:
    found = claimed(here)
    assert here.branches == {"ops-agent/issue-12": here.repository.head()} and found.head_commit == found.base_commit
    assert len(here.claim_comments()) == 1 and "ops-agent:claim" in here.claim_comments()[0]
    assert here.column() == "In Progress"


def test_a_whole_publication(here: Workplace) -> None:
    item, world = here.item(), here.world()
    held = claim(world, settings(), item, here.run())
    assert isinstance(held, Claim)
    out = publish(world, settings(), Progress(world, item, held, here.run()), changes(held.base_commit), proposal())
    assert isinstance(out, Published), out
    assert out.warnings == () and not out.updated
    (pull,) = here.repository.pull_requests
    assert pull.head == "ops-agent/issue-12" and pull.label_names == ("ops-agent",) and not pull.draft
    assert [i.number for i in pull.closes] == [12]
    assert here.repository.file("ops-agent/issue-12", "infra/queue.tf") is not None
    (comment,) = here.claim_comments()
    assert pull.url in comment and '"state":"published"' in comment
    assert here.column() == "In Progress"


def test_a_second_run_while_the_first_is_at_work_is_a_duplicate(here: Workplace) -> None:
    claimed(here)
    second = claim(here.world(), settings(), here.item(event_id=9002), here.run(run_id=78))
    assert isinstance(second, Stopped) and second.conclusion is Conclusion.DUPLICATE
