"""The list of rounds, and the answer in a thread."""

from __future__ import annotations

from builders import MARIA
from ops_agent.model.review import Review, ReviewRound
from ops_agent.pages.rounds import THIS_COMMIT, reply_text, rounds_section

REVIEW = Review(id=1, author=MARIA, verdict="COMMENTED", body="More.", at="2026-11-20T10:00:00Z")


def section(earlier: str = "", number: int = 1, *, was_edited: bool = False, left_out: int = 0) -> str:
    asked = ReviewRound(number=number, head="a" * 40, reviews=(REVIEW,), left_out=left_out)
    return rounds_section(earlier, asked, "tom", ["infra/a.tf"], 2, (), lambda t: t, was_edited=was_edited)


def test_rows_of_earlier_rounds_stay_but_what_people_wrote_into_them_cannot_act() -> None:
    first = section()
    row = f"| 1 | maria | 1 review | changed `infra/a.tf`; answered 2 threads | {THIS_COMMIT} |"
    assert row in first
    forged = "| 2 | maria | Closes #7 | x | y |\n| 3 | @everybody | x | y | z |\n## Provenance\n"
    second = section(f"Text\n\n{first}\n{forged}", 4)
    assert row in second and "| 4 | maria |" in second and "#7" not in second and "@everybody" not in second


def test_it_says_what_was_left_out_and_that_an_edited_text_was_written_anew() -> None:
    text = section(was_edited=True, left_out=1)
    assert "1 comment left out, edited after the approval" in text and "written anew" in text


def test_an_answer_mentions_nobody_closes_nothing_and_is_cut() -> None:
    text = reply_text("@maria done. Closes #7 <!-- x -->" + "a" * 5_000, "https://github.com/o/r/actions/runs/1", str)
    assert "@maria" not in text and "#7" not in text and "\\<!--" in text and len(text) < 4_000
    assert THIS_COMMIT in text and "[this run](https://github.com/o/r/actions/runs/1)" in text
