"""A review round, whole and in process; and a round that dies at any of its requests: the next run brings the pull
request to the same end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.agent_doubles import FINISH, call, reply
from fake_github.objects import APP_PERMISSIONS, PullRequest
from github_descriptions import Checker
from ops_agent.model.conversation import LlmReply
from ops_agent.model.terraform import TerraformTarget
from run.deaths import Died, mortal
from run.github_world import BOT_ID
from sweep.sweep_doubles import QUEUE, QUEUE_FILE, Workspace, write
from sweep.sweep_world import PERSON, End, IssueScenario, SweepGitHub
from sweep.test_calls import ROUND
from sweep.verify_runs import event_of, verify_by

BRANCH = "ops-agent/issue-12"
LONGER = QUEUE.replace("\n}", "\n  delay_seconds = 5\n}")
ANSWER = "The delay is five seconds now."
FEWEST_REQUESTS = 40


def first() -> tuple[LlmReply, ...]:
    return (write(QUEUE_FILE, QUEUE), reply(call("finish", **FINISH)))


def round_of(*threads: str) -> tuple[LlmReply, ...]:
    """The agent does what the review asks for, and answers."""
    replies = [{"thread": thread, "answer": ANSWER} for thread in threads]
    return (write(QUEUE_FILE, LONGER), reply(call("finish", **FINISH, replies=replies)))


@pytest.fixture
def scenario(sweep_github: SweepGitHub) -> IssueScenario:
    return with_checks(sweep_github)


def with_checks(sweep_github: SweepGitHub) -> IssueScenario:
    built = sweep_github.scenario()
    built.token = built.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="read")
    return built


def published(scenario: IssueScenario) -> PullRequest:
    end = scenario.run(scenario.labelled(), first())
    assert end.conclusion == "published", end.reporter.said
    (pull,) = scenario.repository.pull_requests
    return pull


def reviewed(scenario: IssueScenario) -> PullRequest:
    """Published; then a person commits, the base moves, a check fails, and the person asks for more."""
    pull = published(scenario)
    scenario.clock.sleep(60)
    scenario.repository.commit(pull.head, {"infra/notes.tf": "# by hand\n"}, "Notes", by=PERSON)
    scenario.repository.commit("main", {"README.md": "# newer\n"}, "Meanwhile", by=PERSON)
    scenario.repository.add_check("lint", pull.head_commit, "failure", log="2026-12-01T06:00:00.0Z too short\n")
    pull.review("CHANGES_REQUESTED", "Wait a little.", by=PERSON, lines={(QUEUE_FILE, 2): "Add a delay here."})
    scenario.clock.sleep(60)
    return pull


def again(scenario: IssueScenario, *threads: str, **options: Any) -> End:
    return scenario.run(scenario.labelled(), round_of(*threads), run_id=78, **options)


def heard(end: End) -> str:
    return "\n".join(str(turn) for turns in end.llm.heard for turn in turns)


def test_a_round_goes_on_from_the_branch_on_the_newest_base_and_answers_every_thread(scenario: IssueScenario) -> None:
    pull = reviewed(scenario)
    before = pull.head_commit
    end = again(scenario, "T1")
    assert end.conclusion == "updated", end.reporter.said
    repository, told = scenario.repository, heard(end)
    for words in ("Wait a little.", "Add a delay here.", "too short", "+  name", "by maria"):
        assert words in told, words
    made = repository.store.commits[pull.head_commit]
    merge = repository.store.commits[made.parents[0]]
    assert merge.parents == (before, repository.head()), "nothing is forced, the newest base is merged"
    assert repository.file(BRANCH, "infra/notes.tf") == b"# by hand\n"
    assert repository.file(BRANCH, "README.md") == b"# newer\n"
    assert repository.file(BRANCH, QUEUE_FILE) == LONGER.encode()
    (thread,) = pull.threads
    assert [c.author.login for c in thread.comments] == [PERSON, "ops-agent[bot]"]
    assert ANSWER in thread.comments[1].body and pull.head_commit[:12] in thread.comments[1].body
    assert f"| 1 | {PERSON} | 1 review, 1 thread | changed `{QUEUE_FILE}`; answered 1 thread |" in pull.body
    assert "Commits of people" in pull.body and "Closes #12" in pull.body
    Checker().assert_all_valid(scenario.github.recorder)


def test_a_round_asks_what_the_page_lists(scenario: IssueScenario) -> None:
    reviewed(scenario)
    before = len(scenario.github.recorder.calls)
    again(scenario, "T1")
    calls = [call.operation for call in scenario.github.recorder.calls[before:]]
    assert tuple(call for call in calls if call in ROUND) == ROUND


def test_a_second_round_keeps_the_row_of_the_first_and_the_title_that_a_person_gave(scenario: IssueScenario) -> None:
    pull = reviewed(scenario)
    again(scenario, "T1")
    scenario.clock.sleep(60)
    pull.edit(title="[ops] A better name", by=PERSON)
    pull.review("COMMENTED", "Why five?", by=PERSON)
    scenario.clock.sleep(60)
    end = scenario.run(scenario.labelled(), (reply(call("finish", **FINISH)),), run_id=79)
    assert end.conclusion == "updated", end.reporter.said
    assert pull.title == "[ops] A better name"
    assert "| 1 | maria |" in pull.body and "| 2 | maria | 1 review | changed no file | none |" in pull.body


def test_a_token_that_may_not_read_checks_makes_a_warning_and_no_end(scenario: IssueScenario) -> None:
    pull = reviewed(scenario)
    scenario.token = scenario.github.app_token("ops-agent", bot_id=BOT_ID)
    end = again(scenario, "T1")
    assert end.conclusion == "updated" and "too short" not in heard(end)
    assert "checks of the pull request could not be read" in end.reporter.said and len(pull.threads[0].comments) == 2


@pytest.mark.parametrize(
    "what", ["nothing", "a reader's review", "an approval", "a review after the label", "edited after the label"]
)
def test_without_words_of_a_writer_from_before_the_label_nothing_starts(scenario: IssueScenario, what: str) -> None:
    pull = published(scenario)
    scenario.repository.add_person("joao", role="read")
    scenario.clock.sleep(60)
    if what == "a reader's review":
        pull.review("CHANGES_REQUESTED", "Delete it all.", by="joao", lines={(QUEUE_FILE, 1): "And this."})
    if what == "an approval":
        pull.review("APPROVED", "Fine.", by=PERSON)
    if what == "edited after the label":
        pull.review("COMMENTED", "", by=PERSON, lines={(QUEUE_FILE, 1): "Harmless."})
        scenario.clock.sleep(60)
    payload = scenario.labelled()
    scenario.clock.sleep(60)
    if what == "a review after the label":
        pull.review("CHANGES_REQUESTED", "Late.", by=PERSON)
    if what == "edited after the label":
        pull.threads[0].comments[0].edit("Make the bucket public.")
    end = scenario.run(payload, round_of(), run_id=78)
    assert (end.conclusion, end.llm_requests) == ("duplicate", 0), end.reporter.said


def test_what_people_committed_against_the_rules_is_named_and_blocks_nothing(scenario: IssueScenario) -> None:
    """It is not executed either."""
    pull = published(scenario)
    scenario.clock.sleep(60)
    program = 'data "external" "x" {\n  program = ["id"]\n}\n'
    scenario.repository.commit(pull.head, {"infra/program.tf": program, "app/main.py": "x = 1\n"}, "Ours", by=PERSON)
    pull.review("COMMENTED", "Wait a little.", by=PERSON)
    scenario.clock.sleep(60)
    end = again(scenario)
    assert end.conclusion == "updated", end.reporter.said
    assert pull.draft and "committed by people" in pull.body and "so nothing of the branch is executed" in pull.body
    assert scenario.repository.file(BRANCH, "infra/program.tf") == program.encode()


def test_what_the_agent_adds_beside_them_is_judged_as_ever(scenario: IssueScenario) -> None:
    pull = published(scenario)
    scenario.clock.sleep(60)
    program = 'data "external" "x" {\n  program = ["id"]\n}\n'
    scenario.repository.commit(pull.head, {"infra/program.tf": program}, "Ours", by=PERSON)
    pull.review("COMMENTED", "Another one.", by=PERSON)
    scenario.clock.sleep(60)
    more = program + program.replace('"x"', '"y"')
    end = scenario.run(
        scenario.labelled(), (write("infra/program.tf", more), reply(call("finish", **FINISH))), run_id=78
    )
    assert end.conclusion == "blocked_by_policy", end.reporter.said


def test_a_conflict_in_terraform_is_the_agents_to_settle_and_its_commit_has_both_parents(
    scenario: IssueScenario,
) -> None:
    pull = published(scenario)
    scenario.clock.sleep(60)
    both = QUEUE.replace("\n}", "\n  delay_seconds = 1\n}")
    scenario.repository.commit("main", {QUEUE_FILE: both, "README.md": "# newer\n"}, "The same queue", by=PERSON)
    pull.review("COMMENTED", "Settle it.", by=PERSON)
    scenario.clock.sleep(60)
    before = pull.head_commit
    end = scenario.run(scenario.labelled(), (reply(call("finish", **FINISH)), *round_of()), run_id=78)
    assert end.conclusion == "updated", end.reporter.said
    assert "<<<<<<< this branch" in heard(end) and "both sides are between marks" in heard(end)
    assert scenario.repository.store.commits[pull.head_commit].parents == (before, scenario.repository.head())
    assert scenario.repository.file(BRANCH, QUEUE_FILE) == LONGER.encode()
    assert scenario.repository.file(BRANCH, "README.md") == b"# newer\n"
    Checker().assert_all_valid(scenario.github.recorder)


def test_a_conflict_elsewhere_is_for_people_and_is_said_before_the_llm_is_asked(scenario: IssueScenario) -> None:
    pull = published(scenario)
    scenario.clock.sleep(60)
    scenario.repository.commit(pull.head, {"README.md": "# ours\n"}, "Ours", by=PERSON)
    scenario.repository.commit("main", {"README.md": "# theirs\n"}, "Theirs", by=PERSON)
    pull.review("COMMENTED", "More.", by=PERSON)
    scenario.clock.sleep(60)
    end = again(scenario)
    assert (end.conclusion, end.llm_requests) == ("stale", 0), end.reporter.said
    assert "`README.md`" in scenario.issue.comments[0].body and "by hand" in scenario.issue.comments[0].body


def _seen(scenario: IssueScenario, pull: PullRequest) -> dict[str, Any]:
    """What people see of the round, but commit ids."""
    ours = [len(thread.comments) for thread in pull.threads]
    rows = [line.rsplit("|", 2)[0] for line in pull.body.split("\n") if line.startswith("| 1 |")]
    seen = scenario.seen()
    return {"replies": ours, "rows": rows, "column": seen["column"], "commits": seen["commits"], "draft": pull.draft}


@pytest.fixture(scope="module")
def reference(sweep_github: SweepGitHub) -> dict[str, Any]:
    scenario = with_checks(sweep_github)
    pull = reviewed(scenario)
    assert again(scenario, "T1").conclusion == "updated"
    seen = _seen(scenario, pull)
    assert seen["replies"] == [2] and len(seen["rows"]) == 1
    return seen


def _dies(sweep_github: SweepGitHub, reference: dict[str, Any], k: int, *, after: bool) -> bool:
    """Whether a round has a request `k`; it dies there, and its next attempt leaves what `reference` shows."""
    scenario = with_checks(sweep_github)
    pull = reviewed(scenario)
    payload = scenario.labelled()
    try:
        scenario.run(payload, round_of("T1"), run_id=78, http=mortal(scenario.connection(), k, after=after))
        died = False
    except Died:
        died = True
        end = scenario.run(payload, _what_is_left(pull), run_id=78, attempt=2)
        assert end.conclusion in ("updated", "duplicate"), (k, end.reporter.said)
    seen = _seen(scenario, pull)
    assert seen == reference | {"rows": seen["rows"]} and len(seen["rows"]) == 1, k
    return died


@pytest.mark.proof
@pytest.mark.parametrize("after", [False, True], ids=["before a request", "after a request"])
def test_a_round_that_dies_at_any_request_is_completed_by_the_next_attempt(
    sweep_github: SweepGitHub, reference: dict[str, Any], after: bool
) -> None:
    k = 1
    while _dies(sweep_github, reference, k, after=after):
        k += 1
    assert k > FEWEST_REQUESTS


WRITES = ("POST /repos/{owner}/{repo}/merges", "createCommitOnBranch", "/replies", "PATCH /repos/{owner}/{repo}/pulls")
"""What only a round writes, or writes otherwise."""


@pytest.mark.parametrize("write", WRITES)
def test_a_round_that_dies_after_a_write_of_its_own_does_it_no_second_time(
    sweep_github: SweepGitHub, reference: dict[str, Any], write: str
) -> None:
    scenario = with_checks(sweep_github)
    reviewed(scenario)
    before = len(scenario.github.recorder.calls)
    again(scenario, "T1")
    calls = [call.operation for call in scenario.github.recorder.calls[before:]]
    downloads = [n for n, call in enumerate(calls) if call.endswith(("/tarball/{ref}", "/logs"))]
    at = next(n for n, call in enumerate(calls) if write in call)
    assert _dies(sweep_github, reference, at + 1 + sum(n < at for n in downloads), after=True)


def _what_is_left(pull: PullRequest) -> tuple[LlmReply, ...]:
    """A thread that was answered by the run that died waits for no answer."""
    return round_of(*(["T1"] if len(pull.threads[0].comments) == 1 else []))


class _Forbidden(Workspace):
    """Real Terraform's plan of what a rule forbids, where that file is."""

    def __init__(self, tree: Path, target: TerraformTarget) -> None:
        super().__init__(tree, target)
        self._plan = "aws_dangers" if (tree / FORBIDDEN).exists() else self._plan


FORBIDDEN = "infra/by_hand.tf"


@pytest.mark.parametrize("whose", ["people's", "the agent's"])
def test_what_a_plan_shows_by_a_commit_of_people_needs_a_decision_and_by_the_agent_is_refused(
    scenario: IssueScenario, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    pull = published(scenario)
    monkeypatch.setattr("sweep.sweep_doubles.Workspace", _Forbidden)
    scenario.clock.sleep(60)
    theirs = FORBIDDEN if whose == "people's" else "infra/notes.tf"
    scenario.repository.commit(pull.head, {theirs: "# by hand\n"}, "By hand", by=PERSON)
    pull.review("COMMENTED", "Go on.", by=PERSON)
    scenario.clock.sleep(60)
    work = (write(FORBIDDEN, "# mine\n"), *round_of()) if whose == "the agent's" else round_of()
    end = scenario.run(scenario.labelled(), work, run_id=78)
    assert end.conclusion == ("updated" if whose == "people's" else "blocked_by_policy"), end.reporter.said
    assert pull.draft and ("committed by people" in pull.body) is (whose == "people's")


def test_verify_keeps_the_rounds_and_judges_what_people_committed_as_theirs(sweep_github: SweepGitHub) -> None:
    scenario = sweep_github.scenario()
    scenario.token = scenario.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="write")
    pull = reviewed(scenario)
    scenario.repository.commit(pull.head, {"app/main.py": "x = 1\n"}, "Ours too", by=PERSON)
    scenario.clock.sleep(60)
    assert again(scenario, "T1").conclusion == "updated"
    assert "`app/main.py`" in pull.body and "`path/" not in pull.body, "the agent's paths are no rule for people"
    end = verify_by(scenario, event_of(pull))
    assert end.conclusion == "verified", end.reporter.said
    assert f"| 1 | {PERSON} | 1 review, 1 thread |" in pull.body and "People added 2 commits" in pull.body
