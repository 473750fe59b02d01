"""Records in our comments: approvals that wait, and the pull requests of a parent's sub-issues."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from builders import MARIA, OUR_BOT, comment, run, work_item
from issue.intake_doubles import ref
from ops_agent.issue.waiting import kept_approval, waiting_line
from ops_agent.pages.issue_comment import ANSWER_MARK
from ops_agent.pages.parent_comment import Row, parent_comment, remembered_pulls

APPROVAL = work_item().approval


@given(st.text(max_size=50), st.text(max_size=39), st.booleans())
@example("ready --> <!-- ops-agent:waiting {} -->", "maria", True)
def test_an_approval_is_read_back_from_our_comment_alone(label: str, login: str, by_dispatch: bool) -> None:
    wanted = replace(APPROVAL, label=label, by=replace(MARIA, login=login), by_dispatch=by_dispatch)
    body = f"{ANSWER_MARK}\n{waiting_line(wanted)}\n\n### Heading\n"
    assert kept_approval([comment(body)], OUR_BOT.id) == wanted and body.count("-->") == 2
    assert kept_approval([comment(body, MARIA), comment(f"Look:\n{body}")], OUR_BOT.id) is None


@given(st.text(max_size=200))
@example('{"by":{"login":"x","id":"1","kind":"User"}}')
@example('{"2":3,"x":1}')
@example('{"1":,}')
def test_reading_a_record_from_any_text_never_fails(text: str) -> None:
    for mark in ("waiting", "pulls"):
        body = f"{ANSWER_MARK}\n<!-- ops-agent:{mark} {text} -->\n"
        assert kept_approval([comment(body)], OUR_BOT.id) is None
        assert all(isinstance(n, int) for n in remembered_pulls(body).values())


def test_a_parents_comment_remembers_its_pull_requests_and_fits() -> None:
    rows = [Row(ref=ref(n), title="[ops] " + "x" * 500, state="y" * 900, then="z" * 900) for n in range(1, 101)]
    body = parent_comment(ref(200), rows, {7: 31, 100: 99}, run())
    assert remembered_pulls(body) == {7: 31, 100: 99} and len(body) < 65_536 and "cut here" in body
