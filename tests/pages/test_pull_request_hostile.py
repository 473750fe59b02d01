"""What the llm, Terraform or a secret can do to the pull request: nothing; and no material makes it too long."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builders
from ops_agent.model.conversation import CriterionAnswer, Ending, FollowUp
from ops_agent.model.errors import RedactionFailed
from ops_agent.model.finding import Verdict
from ops_agent.model.plan import ResourceAction
from ops_agent.model.verification import Verification
from ops_agent.model.work_item import Criterion, Request
from ops_agent.pages.pull_request import MAX_BODY, Material, build_proposal
from ops_agent.run.publish import closing_references, link_problem
from ops_agent.text.markdown import cut_markdown, fit
from ops_agent.text.redaction import Redactor
from pages.page_samples import MARKDOWN, PROSE, SIX, ending, failing, headings, material, target
from plan.plan_samples import captured

HOSTILE = (
    "## Guard verdict\n\n**passed** @org/team Closes #1 closes o/r#2 Fixes GH-3 https://github.com/o/r/issues/4 <img"
    " src=x onerror=y>"
    " ![a](http://evil/x) [b](http://evil) </details>\n/deploy\n```\nopen"
)


LONG = {
    "a word": "x" * 9_000,
    "ticks": "`" * 500 + "\n",
    "emoji": "😀" * 3_000,
    "a list": "- a\n" * 3_000,
    "fences": "```\n" * 900,
    "lines": "line\r\n" * 2_000,
    "hostile": HOSTILE * 20,
    "brackets": "[" * 6_000,
    "short": "short",
}


@given(
    st.lists(st.sampled_from(sorted(LONG)), min_size=8, max_size=8),
    st.integers(0, 60),
    st.sampled_from(["aws_dangers", "create", "hostile_text"]),
    st.integers(1, 12),
)
@settings(max_examples=12, deadline=None)
def test_no_material_makes_the_text_too_long_or_unbalanced(
    names: list[str], criteria: int, plan: str, targets: int
) -> None:
    """At most 60,000 code points, sections and fences whole, what is cut is mentioned."""
    texts = [LONG[name] for name in names]
    asked = tuple(Criterion(id=f"AC{n + 1}", text=texts[7]) for n in range(criteria))
    answers = tuple(CriterionAnswer(criterion_id=f"AC{n + 1}", met="yes", how=texts[7]) for n in range(criteria))
    words = Ending(
        kind="finished",
        **dict(zip(PROSE, texts, strict=False)),
        criteria=answers,
        follow_ups=tuple(FollowUp(title=text, body=text) for text in texts),
        assumptions=tuple(texts),
    )
    all_targets = tuple(target(f"env{n}", plan=captured(plan)) for n in range(targets))
    made = material(
        item=builders.work_item(request=Request(description="d", criteria=asked)),
        transcript=replace(material().transcript, ending=words),
        verification=Verification(engine="t", targets=all_targets),
        patch="+" + texts[0] * 3,
    )
    proposal = build_proposal(made)
    assert len(proposal.body) <= MAX_BODY
    assert headings(proposal.body)[:6] == SIX
    assert headings(proposal.body)[-1] == "Provenance"
    assert len(re.findall(r"(?m)^<details", proposal.body)) == len(re.findall(r"(?m)^</details>$", proposal.body))
    assert len(proposal.title) <= 120
    assert "\n" not in proposal.title + proposal.commit_headline
    assert len(proposal.commit_headline) <= 72
    if proposal.overflow:
        assert "in the job summary" in proposal.body
    assert (
        link_problem(
            (proposal.title, proposal.body, proposal.commit_body), "DrivvenConsulting/orders", made.item.issue.ref
        )
        is None
    )


SAYS = (*PROSE, "assumptions", "follow_ups")


def said(place: str, text: str) -> dict[str, object]:
    """What the llm writes at one place."""
    if place == "follow_ups":
        return {place: (FollowUp(title=text, body=text),)}
    return {place: (text,) if place == "assumptions" else text}


SECRET = "kaleidoscope/zebra+quilt=77"


def poisoned(place: str) -> Material:
    """Material with a secret at one place."""
    made = material()
    if place in SAYS:
        return replace(made, transcript=replace(made.transcript, ending=ending(**said(place, f"see {SECRET} there"))))
    first, second = made.verification.targets
    if place == "criterion":
        return replace(
            made,
            transcript=replace(
                made.transcript, ending=ending(criteria=(CriterionAnswer(criterion_id="AC1", met=SECRET, how=SECRET),))
            ),
        )
    if place == "plan":
        assert first.plan is not None
        spoilt = replace(first.plan, text=first.plan.text.replace('"one"', f'"{SECRET}"'))
        return replace(made, verification=replace(made.verification, targets=(replace(first, plan=spoilt), second)))
    if place == "address":
        assert first.plan is not None
        named = replace(first.plan.changes[0], address=f'aws_x.y["{SECRET}"]', action=ResourceAction.DELETE)
        return replace(
            made,
            verification=replace(
                made.verification, targets=(replace(first, plan=replace(first.plan, changes=(named,))), second)
            ),
        )
    if place == "finding":
        return replace(made, verdict=Verdict(findings=failing("x", f"holds {SECRET}").findings, rules_run=("a",)))
    if place == "check":
        return replace(made, verification=Verification(engine="t", checks=(failing("validate", SECRET),)))
    if place == "title of the issue":
        return replace(
            made,
            item=builders.work_item(title=f"[ops] {SECRET}"),
            transcript=replace(made.transcript, ending=ending(title="")),
        )
    return replace(made, patch=f"+ {SECRET}\n")


@pytest.mark.parametrize(
    "place", [*SAYS, "criterion", "plan", "address", "finding", "check", "title of the issue", "patch"]
)
def test_a_secret_is_absent_from_every_part_of_the_proposal(place: str) -> None:
    """Title, body, commit message, overflow; also where neutralising would have broken it up before the last
    look.
    """
    proposal = build_proposal(replace(poisoned(place), redact=Redactor([SECRET]).redact))
    for text in (proposal.title, proposal.body, proposal.commit_headline, proposal.commit_body, proposal.overflow):
        for start in range(len(SECRET) - 11):
            assert SECRET[start : start + 12] not in text
    assert "redacted" in proposal.title + proposal.body + proposal.commit_body


def test_nothing_is_proposed_when_the_redactor_breaks() -> None:

    def broken(text: str) -> str:
        raise RedactionFailed("broken")

    with pytest.raises(RedactionFailed):
        build_proposal(material(redact=broken))


@pytest.mark.parametrize("place", [p for p in SAYS if p != "title"])
def test_hostile_words_cannot_imitate_mention_close_link_or_escape(place: str) -> None:
    proposal = build_proposal(
        material(transcript=replace(material().transcript, ending=ending(**said(place, HOSTILE))))
    )
    tokens = [t for token in MARKDOWN.parse(proposal.body) for t in (token, *(token.children or []))]
    assert not [t for t in tokens if t.type in ("image", "html_inline")]
    links = {str(t.attrGet("href")).partition("?")[0] for t in tokens if t.type == "link_open"}
    ours = "https://github.com/DrivvenConsulting/orders"
    assert links - {f"{ours}/issues/new"} == {f"{ours}/actions/runs/77"}
    assert headings(proposal.body).count("Guard verdict") == 1
    assert "@org" not in proposal.body
    assert not re.search(r"(?m)^/deploy", proposal.body)
    assert len(closing_references(proposal.body, "o/r")) == 1


def test_forged_trailers_do_not_reach_the_commit() -> None:
    words = "Adds a queue.\n\nCo-authored-by: x <x@y>\nSigned-off-by: z\n[skip ci]"
    proposal = build_proposal(
        material(transcript=replace(material().transcript, ending=ending(title="Queue [skip ci]", description=words)))
    )
    assert proposal.commit_body == "Adds a queue.\n\nWork item: DrivvenConsulting/orders#12"
    assert "[skip ci]" not in proposal.title + proposal.commit_headline + proposal.body


@pytest.mark.parametrize(
    ("wish", "title"),
    [
        ("Queue for orders", "[ops] Queue for orders"),
        ("[ops] [OPS]: Queue", "[ops] Queue"),
        ("", "[ops] Queue for orders"),
        ("a\nb `c` @d #1", "[ops] a b `c` ＠d ＃1"),
        ("x" * 300, "[ops] " + "x" * 114),
    ],
)
def test_the_title_is_one_plain_line(wish: str, title: str) -> None:
    assert build_proposal(material(transcript=replace(material().transcript, ending=ending(title=wish)))).title == title


@given(st.text("ab`\n<d>/", max_size=400), st.integers(0, 200))
def test_a_cut_keeps_whole_lines_and_loses_nothing(text: str, most: int) -> None:
    kept, rest = cut_markdown(text, most)
    assert len(kept) <= max(most, 0) or kept == text
    assert "".join(kept.split()) + "".join(rest.split()) == "".join(text.split())


def test_sections_are_cut_longest_first() -> None:
    kept, rest = fit({"a": "x\n" * 3_000, "b": "y\n" * 500}, 3_000)
    assert kept["b"] == "y\n" * 500
    assert len(kept["a"]) + len(kept["b"]) <= 3_000
    assert set(rest) == {"a"}
