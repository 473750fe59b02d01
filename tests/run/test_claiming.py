"""Who may work on an issue: records, the holder, the decision table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from builders import MARIA, OUR_BOT, REPOSITORY, comment, run, work_item
from ops_agent.issue.claims import (
    GRACE_SECONDS,
    ClaimAction,
    ClaimRecord,
    PullRequestRecord,
    Seen,
    SeenClaim,
    branch_name,
    claims_among,
    decide,
    epoch,
    holder,
    is_alive,
    is_our_branch,
    pull_request_record,
)
from ops_agent.model.event import IssueRef, PullRequest
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.review import ReviewRound

LEASE = 3_300.0
ITEM = work_item()


def record(**fields: Any) -> ClaimRecord:
    built = ClaimRecord(
        key=ITEM.key,
        content=ITEM.approval.content_hash,
        repository="DrivvenConsulting/orders",
        run_id=70,
        attempt=1,
        state="working",
        branch="ops-agent/issue-12",
        base="a" * 40,
    )
    return replace(built, **fields)


def held(updated_at: float = 1000.0, **fields: Any) -> SeenClaim:
    return SeenClaim(comment_id=5, record=record(**fields), updated_at=updated_at)


def pull(**fields: Any) -> PullRequest:
    built = PullRequest(
        number=13,
        node_id="PR_13",
        url="https://github.com/DrivvenConsulting/orders/pull/13",
        title="t",
        body="b",
        head_branch="ops-agent/issue-12",
        head_commit="b" * 40,
        base_branch="main",
        is_open=True,
        merged=False,
        draft=False,
    )
    return replace(built, **fields)


def published(**fields: Any) -> PullRequestRecord:
    built = PullRequestRecord(
        issue="DrivvenConsulting/orders#12",
        key=ITEM.key,
        content=ITEM.approval.content_hash,
        base="a" * 40,
        changes="c",
        at=900,
    )
    return replace(built, **fields)


def seen(**fields: Any) -> Seen:
    return replace(Seen(now=1010.0), **fields)


OTHER = "0" * 64
EDITED = published(content=OTHER)
MERGED = pull(is_open=False, merged=True)
NEW_KEY = "another approval"


@pytest.mark.parametrize(
    ("case", "found", "expected"),
    [
        ("nothing is there", seen(), ClaimAction.TAKE),
        ("another run is at work", seen(holder=held()), Conclusion.DUPLICATE),
        ("another run has ended", seen(holder=held(), holder_finished=True), ClaimAction.TAKE),
        (
            "another run says it runs, but its lease is over",
            seen(holder=held(updated_at=-9000.0), holder_finished=False),
            ClaimAction.TAKE,
        ),
        ("nothing is known of the run and its lease is over", seen(holder=held(updated_at=-9000.0)), ClaimAction.TAKE),
        ("our own dead attempt", seen(holder=held(run_id=77, attempt=0)), ClaimAction.CONTINUE),
        ("this very attempt again", seen(holder=held(run_id=77, attempt=1)), Conclusion.DUPLICATE),
        ("the same approval stopped in another run", seen(holder=held(state="stopped")), Conclusion.DUPLICATE),
        ("a new approval after a stop", seen(holder=held(state="stopped", key=NEW_KEY)), ClaimAction.TAKE),
        (
            "a re-run of a job that stopped",
            seen(holder=held(state="stopped", run_id=77, attempt=0)),
            ClaimAction.CONTINUE,
        ),
        ("a branch without a comment", seen(branch_exists=True), ClaimAction.WAIT),
        ("a branch without a comment for long", seen(branch_exists=True, waited=GRACE_SECONDS), ClaimAction.TAKE),
        (
            "published already",
            seen(pull_requests=(pull(),), published=published(), holder=held(state="published")),
            Conclusion.DUPLICATE,
        ),
        ("published, the comment is gone", seen(pull_requests=(pull(),), published=published()), Conclusion.DUPLICATE),
        ("published, then changed text", seen(pull_requests=(pull(),), published=EDITED), ClaimAction.TAKE),
        (
            "published, then reviewed",
            seen(pull_requests=(pull(),), published=published(), asked=ReviewRound(number=0, head="")),
            ClaimAction.TAKE,
        ),
        ("opened by a person from our branch", seen(pull_requests=(pull(),)), ClaimAction.TAKE),
        (
            "its run died late",
            seen(pull_requests=(pull(),), published=published(), holder=held(), holder_finished=True),
            ClaimAction.FINISH,
        ),
        (
            "published, at its last steps",
            seen(pull_requests=(pull(),), published=published(), holder=held()),
            Conclusion.DUPLICATE,
        ),
        ("closed by a person", seen(pull_requests=(pull(is_open=False),)), Conclusion.DECLINED),
        ("merged", seen(pull_requests=(MERGED,), published=published()), Conclusion.DUPLICATE),
        ("merged, then changed text", seen(pull_requests=(MERGED,), published=EDITED), Conclusion.DECLINED),
        (
            "reopened beside an older closed one",
            seen(pull_requests=(pull(), pull(is_open=False)), published=EDITED),
            ClaimAction.TAKE,
        ),
    ],
)  # fmt: skip
def test_each_situation_leads_to_its_claim_decision(case: str, found: Seen, expected: ClaimAction | Conclusion) -> None:
    answer = decide(ITEM, run(), found, LEASE)
    assert (answer.conclusion if isinstance(answer, Stopped) else answer) == expected, case
    if isinstance(answer, Stopped):
        assert answer.reason.endswith(".") and answer.remedy.endswith(".")


@hypothesis_settings(deadline=None)
@given(
    age=st.floats(0, 10_000),
    finished=st.sampled_from([True, False, None]),
    state=st.sampled_from(["claimed", "working", "stopped", "published"]),
)
def test_a_claim_is_alive_only_while_its_run_may_be_at_work(age: float, finished: bool | None, state: str) -> None:
    claim = seen(holder=held(updated_at=1010.0 - age, state=state), holder_finished=finished)
    expected = state in ("claimed", "working") and finished is not True and age <= LEASE
    assert is_alive(claim, run(), LEASE) is expected


def test_a_closed_pull_request_is_not_reopened_and_the_answer_explains_it() -> None:
    answer = decide(ITEM, run(), seen(pull_requests=(pull(is_open=False),)), LEASE)
    assert (
        isinstance(answer, Stopped) and "#13 was closed by a person" in answer.reason and "Reopen it" in answer.remedy
    )


def test_a_claim_comment_by_another_account_does_not_count() -> None:
    assert claims_among([comment(record().line, author=MARIA)], OUR_BOT.id) == ()
    assert len(claims_among([comment(record().line + "\n\ntext")], OUR_BOT.id)) == 1


@pytest.mark.parametrize(
    "body",
    ["", "> " + record().line, "text\n" + record().line, "<!-- ops-agent:claim {} -->", "<!-- ops-agent:claim [1] -->",
     record().line.replace('"run_id":70', '"run_id":"70"'), record().line.replace('"attempt":1', '"attempt":true'),
     record().line.replace('"after":0', '"after":0,"more":1')],
)  # fmt: skip
def test_a_comment_that_is_not_exactly_a_claim_does_not_count(body: str) -> None:
    assert claims_among([comment(body)], OUR_BOT.id) == ()


texts = st.one_of(st.text(st.characters(codec="utf-8"), max_size=60), st.text('-<>!\n"{}', max_size=12))


@hypothesis_settings(deadline=None)
@given(key=texts, branch=texts, run_id=st.integers(0, 2**60), after=st.integers(0, 2**60))
def test_a_claim_record_is_read_back_from_its_comment(key: str, branch: str, run_id: int, after: int) -> None:
    """Nothing in a record can end the HTML comment that holds it."""
    built = record(key=key, branch=branch, run_id=run_id, after=after)
    assert "-->" not in built.line[: -len(" -->")] and "\n" not in built.line
    (found,) = claims_among([comment(built.line + "\n\nmore -->")], OUR_BOT.id)
    assert found.record == built


@hypothesis_settings(deadline=None)
@given(labels=st.lists(texts, max_size=4), issue=texts)
def test_a_pull_request_record_is_read_back_from_its_body(labels: list[str], issue: str) -> None:
    built = published(labels=tuple(labels), issue=issue)
    assert pull_request_record(f"Text\n\n{built.line}\n") == built


@hypothesis_settings(deadline=None)
@given(st.text(max_size=300))
def test_reading_a_record_from_any_text_never_fails(body: str) -> None:
    claims_among([comment(body), comment("<!-- ops-agent:claim {" + body + "} -->")], OUR_BOT.id)
    pull_request_record(body)
    epoch(body)


@st.composite
def histories(draw: st.DrawFn) -> list[SeenClaim]:
    """Takers in the order of their comments; each saw a holder (or nothing) before it wrote."""
    claims: list[SeenClaim] = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        after = draw(st.sampled_from([0, *(c.comment_id for c in claims)]))
        claims.append(SeenClaim(comment_id=number, record=record(after=after), updated_at=0.0))
    return claims


@hypothesis_settings(deadline=None)
@given(claims=histories(), shuffled=st.randoms(use_true_random=False))
def test_every_run_that_sees_the_same_comments_finds_the_same_holder(claims: list[SeenClaim], shuffled: Any) -> None:
    expected = holder(claims)
    shuffled.shuffle(claims)
    assert holder(claims) == expected is not None


@hypothesis_settings(deadline=None)
@given(claims=histories())
def test_of_runs_that_replace_the_same_claim_only_one_ever_wins(claims: list[SeenClaim]) -> None:
    """Each run lists right after it wrote, so it sees all comments up to its own."""
    winners: dict[int, list[int]] = {}
    for count in range(1, len(claims) + 1):
        mine, found = claims[count - 1], holder(claims[:count])
        if found is not None and found.comment_id == mine.comment_id:
            winners.setdefault(mine.record.after, []).append(mine.comment_id)
    assert all(len(ids) == 1 for ids in winners.values())


@hypothesis_settings(deadline=None)
@given(claims=histories())
def test_the_first_replacement_of_the_claim_in_force_is_in_force(claims: list[SeenClaim]) -> None:
    before = holder(claims)
    assert before is not None
    replacing = SeenClaim(comment_id=len(claims) + 1, record=record(after=before.comment_id), updated_at=0.0)
    assert holder([*claims, replacing]) == replacing
    late = replace(replacing, comment_id=len(claims) + 2)
    assert holder([*claims, replacing, late]) == replacing
    assert holder([replacing, late]) == replacing  # the winner deleted the others


def test_an_issue_of_another_repository_gets_a_branch_of_its_own() -> None:
    issue = replace(ITEM.issue, ref=IssueRef(repository="DrivvenConsulting/portal", number=12), id=777)
    assert branch_name("ops-agent/issue-", ITEM) == "ops-agent/issue-12"
    assert branch_name("ops-agent/issue-", replace(ITEM, issue=issue)) == "ops-agent/issue-12-777"


@pytest.mark.parametrize(
    ("branch", "prefix", "ours"),
    [
        ("ops-agent/issue-12", "ops-agent/issue-", True),
        ("ops-agent/issue-12-3", "ops-agent/issue-", True),
        ("ops-agent/issue-12-3-4", "ops-agent/issue-", False),
        ("ops-agent/issue-12\n", "ops-agent/issue-", False),
        ("ops-agent/issue-１２", "ops-agent/issue-", False),
        ("main", "ops-agent/issue-", False),
        ("12", "", False),
        ("main1", "main", False),
    ],
)
def test_only_branches_of_our_shape_are_ours(branch: str, prefix: str, ours: bool) -> None:
    """Neither the default nor the base branch, whatever the prefix."""
    item = replace(ITEM, base_branch="main1", target=replace(REPOSITORY, default_branch="main"))
    assert is_our_branch(branch, prefix, item) is ours
