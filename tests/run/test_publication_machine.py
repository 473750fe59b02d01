"""Any order of approvals, edits, deaths, re-runs and actions of people: publication keeps its promises.

GitHub is the embedded one over the wire; a run dies at a random request, before or after GitHub did what it asked.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ops_agent.model.errors import OpsAgentError
from ops_agent.model.outcome import Stopped
from ops_agent.model.work_item import Claim
from ops_agent.run.claim import claim, release
from ops_agent.run.progress import Progress
from ops_agent.run.publish import Published, publish
from run.deaths import Died, mortal
from run.github_world import SharedGitHub, Workplace, changes, proposal, settings
from run.publication_runs import edits_on

SHARED: list[SharedGitHub] = []


class Publication(RuleBasedStateMachine):
    """One issue, one person who writes, any number of runs one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.here: Workplace = SHARED[0].workplace()
        self.main = self.here.repository.head()
        self.run_id, self.attempt, self.event = 100, 1, 9001
        self.text = 0
        self.closed_by_person = False
        self.last: object = None
        self.stray_commits = 0

    def _work(self, die_at: int, after: bool, release_it: bool) -> None:
        here = self.here
        world = here.world_over(mortal(here.connection(), die_at, after=after)) if die_at else here.world()
        item, identity = here.item(event_id=self.event), here.run(run_id=self.run_id, attempt=self.attempt)
        self.last = None
        try:
            held = claim(world, settings(), item, identity)
            if isinstance(held, Claim):
                progress = Progress(world, item, held, identity)
                change = changes(held.base_commit, infra__queue_dot_tf=f"text {self.text}")
                text, edits = proposal(body=f"Text {self.text}.\n\nCloses #12"), edits_on(here, held, change)
                self.last = publish(world, settings(), progress, change, text, edits=edits)
                if isinstance(self.last, Stopped) and release_it:
                    release(world, settings(), progress, self.last)
            else:
                self.last = held
        except Died:
            return
        except OpsAgentError as error:
            self.last = error
        self._ended()

    def _ended(self) -> None:
        runs = self.here.repository.runs
        if self.run_id in runs:
            runs[self.run_id].status = "completed"
        else:
            self.here.repository.add_run(self.run_id, status="completed")

    @rule(die_at=st.integers(0, 24), after=st.booleans())
    def a_new_approval(self, die_at: int, after: bool) -> None:
        self._ended()
        self.run_id, self.attempt, self.event = self.run_id + 1, 1, self.event + 1
        self.here.issue.add_label("ready", by="maria")
        self._work(die_at, after, release_it=True)

    @rule(die_at=st.integers(0, 24), after=st.booleans())
    def a_rerun_of_the_last_job(self, die_at: int, after: bool) -> None:
        self.attempt += 1
        self._work(die_at, after, release_it=True)

    @rule()
    def the_text_is_edited(self) -> None:
        self.text += 1
        self.here.issue.edit(body=f"## Description\nText {self.text}\n", by="maria")

    @precondition(lambda self: self.here.repository.pull_requests)
    @rule()
    def a_review_asks_for_more(self) -> None:
        self.here.clock.sleep(5)
        self.here.repository.pull_requests[0].review("CHANGES_REQUESTED", "more", by="maria")

    @rule()
    def somebody_merges_something_else(self) -> None:
        self.stray_commits += 1
        self.main = self.here.repository.commit("main", {f"docs/{self.stray_commits}.md": "x"}, "docs", by="maria")

    @precondition(lambda self: self.here.claim_comments())
    @rule()
    def a_person_deletes_our_comment(self) -> None:
        self.here.issue.comments[0].delete()

    @precondition(lambda self: [p for p in self.here.repository.pull_requests if p.state == "open"])
    @rule()
    def a_person_closes_the_pull_request(self) -> None:
        self.here.repository.pull_requests[0].close(by="maria")
        self.closed_by_person = True

    @rule()
    def a_clean_run_after_all_converges(self) -> None:
        """After whatever happened, one undisturbed approval leads to a defined end within one run."""
        self.a_new_approval(0, False)
        assert isinstance(self.last, (Published, Stopped)), self.last
        assert len(self.here.claim_comments()) <= 1
        if isinstance(self.last, Published):
            assert '"state":"published"' in self.here.claim_comments()[0]
            assert f"Text {self.text}." in self.here.repository.pull_requests[0].body
        if self.closed_by_person:
            assert not isinstance(self.last, Published)

    @invariant()
    def one_branch_and_one_pull_request_at_most(self) -> None:
        assert len(self.here.branches) <= 1
        assert len(self.here.repository.pull_requests) <= 1

    @invariant()
    def the_default_branch_is_never_written(self) -> None:
        assert self.here.repository.head() == self.main

    @invariant()
    def what_a_person_closed_stays_closed(self) -> None:
        if self.closed_by_person:
            assert self.here.repository.pull_requests[0].state == "closed"

    @invariant()
    def an_open_pull_request_holds_base_plus_one_text(self) -> None:
        """Never a mixture of two change sets, never a file outside the change set."""
        for pull in self.here.repository.pull_requests:
            assert [f.path for f in pull.files] == ["infra/queue.tf"]
            assert [i.number for i in pull.closes] in ([12], [])

    @invariant()
    def comments_do_not_pile_up(self) -> None:
        """Two at most, while a dead run has written its claim and not yet replaced the one before."""
        assert len(self.here.claim_comments()) <= 3


def _run(examples: int, steps: int) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    SHARED[:] = [SharedGitHub()]
    options: Any = {
        "max_examples": examples,
        "stateful_step_count": steps,
        "deadline": None,
        "suppress_health_check": list(HealthCheck),
    }
    try:
        run_state_machine_as_test(
            Publication, settings=hypothesis_settings(**options, phases=[Phase.generate, Phase.shrink])
        )
    finally:
        SHARED.pop().github.stop()


def test_publication_keeps_its_promises_in_any_order_of_events() -> None:
    _run(examples=15, steps=8)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_publication_keeps_its_promises_in_many_orders_of_events() -> None:
    _run(examples=400, steps=20)
