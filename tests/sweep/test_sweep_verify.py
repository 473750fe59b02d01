"""A run of `verify` dies at any of its requests: the next one brings the pull request to the same end."""

from __future__ import annotations

import pytest

from fake_github.objects import APP_PERMISSIONS, PullRequest
from ops_agent.pages.verified import verified_commits
from run.deaths import Died, mortal
from run.github_world import BOT_ID
from sweep.sweep_doubles import QUEUE, QUEUE_FILE
from sweep.sweep_world import PERSON, IssueScenario, SweepGitHub
from sweep.verify_runs import event_of, verify_by

FEWEST_REQUESTS = 14


def _die_everywhere(scenario: IssueScenario, pull: PullRequest, *, after: bool, moves_base: bool = False) -> None:
    """Each time a person pushes, the run that verifies it dies a request later, and another run follows. With
    `moves_base` the base moves then too, and its event starts the runs.
    """
    repository, died, k = scenario.repository, True, 0
    while died:
        k += 1
        before = repository.head()
        commit = repository.commit(pull.head, {"infra/notes.tf": f"# {k}\n"}, f"Push {k}", by=PERSON)
        event, name = event_of(pull), "pull_request_target"
        if moves_base:
            repository.commit("main", {"README.md": f"{k}\n"}, f"Moved {k}", by=PERSON)
            event, name = scenario.github.push_event(repository, "main", before, by=PERSON), "push"
        try:
            verify_by(scenario, event, name, http=mortal(scenario.connection(), k, after=after))
            died = False
        except Died:
            assert verify_by(scenario, event, name).conclusion == "verified"
        ours = [body for body in (pull.body, *(c.body for c in pull.comments)) if verified_commits(body)]
        assert [verified_commits(body) for body in ours] == [(commit, repository.head())], k
        checks = [run for run in repository.check_runs if run.commit == commit]
        assert len(checks) == 1 and checks[0].conclusion != "failure", k
    assert k > FEWEST_REQUESTS


@pytest.fixture
def scenario(sweep_github: SweepGitHub) -> IssueScenario:
    built = sweep_github.scenario()
    built.token = built.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="write")
    return built


@pytest.mark.parametrize("after", [False, True], ids=["before a request", "after a request"])
def test_a_run_on_people_s_pull_request_that_dies_is_completed_by_the_next(
    scenario: IssueScenario, after: bool
) -> None:
    scenario.repository.commit("feature", {QUEUE_FILE: QUEUE}, "A queue", by=PERSON)
    _die_everywhere(scenario, scenario.repository.open_pull_request("A queue", head="feature", by=PERSON), after=after)


@pytest.mark.parametrize("after", [False, True], ids=["before a request", "after a request"])
def test_a_run_on_our_pull_request_that_dies_is_completed_by_the_next(scenario: IssueScenario, after: bool) -> None:
    assert scenario.run(scenario.labelled()).conclusion == "published"
    (pull,) = scenario.repository.pull_requests
    _die_everywhere(scenario, pull, after=after, moves_base=True)
