"""The page of `verify`: what is kept of our text, what is new, and what the hidden line holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import run
from ops_agent.issue.claims import pull_request_record
from ops_agent.model.conversation import Assertion, CriterionAnswer, Ending, FollowUp
from ops_agent.model.finding import Dispute, Finding, Place, Verdict
from ops_agent.model.verification import CriterionProof, ProofState, Verification
from ops_agent.model.work_item import Criterion
from ops_agent.pages.criteria import MAX_RECORD, record_of, recorded
from ops_agent.pages.fragments import with_notes
from ops_agent.pages.pull_request import Material, build_proposal
from ops_agent.pages.verified import Verified, body_of, verified_commits
from ops_agent.run.publish import closing_references
from pages.page_samples import ending, first_screen, material, target

RECORD = (
    '<!-- ops-agent:pull-request {"issue":"DrivvenConsulting/orders#12","key":"k","content":"c","base":"'
    + "a" * 40
    + '","changes":"d","at":1,"labels":[]} -->'
)


OWN = "DrivvenConsulting/orders"
NONE = Verdict(findings=(), rules_run=())
CRITERIA = (Criterion(id="AC1", text="One"), Criterion(id="AC2", text="Two"))
SAID = ending(assumptions=("dev first",), not_done="A part.", follow_ups=(FollowUp(title="The rest", body="Do it."),))
SAMPLES = {
    "plain": material(),
    "planned": material(verification=Verification(engine="", targets=(target(),))),
    "said": material(transcript=replace(material().transcript, ending=SAID)),
}


def _verified(of: Material, **fields: Any) -> Verified:
    made = Verified(
        head_commit="b" * 40,
        base_branch="main",
        base_commit="c" * 40,
        changes=of.changes,
        verdict=of.verdict,
        verification=of.verification,
        merges=(),
        notes=("A note.",),
        said=None,
        evaluated=True,
        run=run(),
        redact=lambda text: text,
    )
    return replace(made, **fields)


def _ending(value: str) -> Ending:
    evidence = (Assertion(kind="plan", where="aws_sqs_queue.a", op="equals", key="name", value=value),)
    answer = CriterionAnswer(criterion_id="AC1", met="yes", how="as said", evidence=evidence)
    return Ending(kind="finished", criteria=(answer,), justifications=(("plan/x", "aws_sqs_queue.a", value),))


def test_what_is_recorded_comes_back_and_cannot_act() -> None:
    value = 'closes #5 --> <b> @maria https://example.com/x gh-5 "\\\\ é\u2028\u202e'
    ending = _ending(value)
    line = record_of(CRITERIA, ending, NONE, lambda text: text)
    found = recorded(f"text\n\n{line}\n\n{RECORD}")
    assert found is not None and found.ids == ("AC1", "AC2") and found.finished
    assert found.answers == tuple(replace(answer, how="") for answer in ending.criteria)
    assert found.reasons == ending.justifications
    inner = line.removeprefix("<!-- ops-agent:evidence ").removesuffix(" -->")
    assert inner.isascii() and not set("#@<>/-\n") & set(inner)
    assert closing_references(line, "o/r") == ()


def test_what_is_too_long_is_not_recorded_and_what_is_no_record_is_none() -> None:
    assert record_of(CRITERIA, _ending("x" * MAX_RECORD), NONE, str) == ""
    for text in ("", "<!-- ops-agent:evidence [] -->", '<!-- ops-agent:evidence {"ids": 1} -->'):
        assert recorded(text) is None


def test_an_agent_that_did_not_finish_stays_one_that_did_not() -> None:
    said = recorded(record_of(CRITERIA, None, NONE, str))
    assert said is not None and not said.finished
    assert "the agent did not finish" in _verified(SAMPLES["plain"], said=said).unfinished


def test_a_disputed_finding_is_recorded_and_heads_the_text_with_the_agents_reason() -> None:
    place = Place(path="infra/backend/dev/backend.hcl")
    finding = Finding(rule="terraform/missing-environment-file", what="no file for `prod`", place=place)
    reason = "prod has @none --> **yet** `x`\n# closes #5"
    verdict = replace(NONE, findings=(replace(finding, disputed=reason),))
    of = material(verdict=verdict)
    proposal = build_proposal(of)
    assert proposal.draft and proposal.stays_draft
    screen = first_screen(proposal.body)
    assert "**Not ready to merge**: the agent disputes 1 finding that would block it" in screen
    assert "> - **DISPUTED** `infra/backend/dev/backend.hcl`: no file for `prod`" in screen
    assert "*The agent:* ``prod has" in screen and "\n# closes" not in proposal.body
    assert closing_references(proposal.body, OWN) == closing_references(build_proposal(material()).body, OWN)
    said = recorded(proposal.body)
    assert said is not None
    assert said.disputes == (Dispute(rule=finding.rule, path=place.path, what=finding.what, reason=reason),), (
        "verify finds it again, on whatever line"
    )
    assert "the agent disputes 1 finding" in " ".join(_verified(of, said=said).unfinished)


def test_a_secret_in_the_evidence_is_redacted_before_it_is_written() -> None:
    assert "hunter2" not in record_of(
        CRITERIA, _ending('a "hunter2"'), NONE, lambda text: text.replace('"hunter2"', "***")
    )


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_verified_again_unchanged_only_the_notes_are_new(name: str) -> None:
    of = SAMPLES[name]
    before = f"{build_proposal(of).body}\n\n{RECORD}"
    found = body_of(_verified(of), before)
    assert found is not None
    body, _ = found
    assert pull_request_record(body) == pull_request_record(before)
    assert verified_commits(body) == ("b" * 40, "c" * 40)
    again = body_of(_verified(of), body)
    assert again is not None and again[0] == body
    kept = "> *In the agent's words:*"
    assert body.count(kept) == before.count(kept)
    assert [text in body for text in ("> - dev first", "[The rest](")] == [name == "said"] * 2


def test_a_criterion_that_fails_now_is_shown_in_its_row() -> None:
    of = SAMPLES["plain"]
    proofs = (CriterionProof(criterion_id="AC1", state=ProofState.REFUTED, why="it is gone"),)
    verification = replace(of.verification, criteria=proofs)
    found = body_of(_verified(of, verification=verification), build_proposal(of).body)
    assert found is not None
    (row,) = [line for line in found[0].split("\n") if line.startswith("| AC1 |")]
    assert "**not met**: it is gone" in row


def test_a_text_without_one_of_our_headings_is_left_alone() -> None:
    body = build_proposal(SAMPLES["plain"]).body
    assert body_of(_verified(SAMPLES["plain"]), body.replace("## Validation", "## Tests")) is None


def test_a_warning_of_the_publication_stays_but_for_the_base() -> None:
    notes = ("The issue's text was edited.", "Made and planned on abc; `main` has moved on to def since.")
    of = SAMPLES["plain"]
    found = body_of(_verified(of), with_notes(build_proposal(of).body, notes))
    assert found is not None
    headline, note, _ = found[0].split("\n\n", 2)
    assert headline.startswith("**dev ") and note == "> [!IMPORTANT]\n> The issue's text was edited."
