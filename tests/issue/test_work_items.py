"""The parsing of an issue's text: sections in any order, criteria with stable ids, questions where nothing is
said.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import BODY
from growth import assert_linear
from ops_agent.issue.request import missing, parse_request
from ops_agent.model.work_item import Request


def criteria(text: str) -> list[str]:
    return [criterion.text for criterion in parse_request(text).criteria]


def test_a_usual_body_is_read_completely() -> None:
    request = parse_request(BODY)
    assert request.description == "The orders service loses messages when the consumer is down."
    assert request.user_stories == ("As an operator I want failed messages to be kept.",)
    assert [(c.id, c.text) for c in request.criteria] == [
        ("AC1", "An SQS queue exists in dev and prod"),
        ("AC2", "Messages that fail five times land in a dead-letter queue"),
    ]
    assert request.assumptions == ("The queue names follow the service name.",)


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "## Acceptance Criteria",
            "# acceptance criteria:",
            "###### ACCEPTANCE CRITERIA ##",
            "**Acceptance Criteria**",
            "**Acceptance criteria:**",
        ),
        *(
            "Acceptance criteria:",
            "Acceptance Criteria\n---",
            "## ✅ Acceptance Criteria (AC)",
            "## 3. Acceptance criteria",
            "## Definition of Done",
        ),
        *(
            "## Critérios de Aceite",
            "**Critérios de aceitação:**",
            "Critérios de aceite:",
            "### __Criterios de aceite__",
            "## Definição de pronto",
        ),
    ],
)
def test_criteria_are_found_under_any_wording_and_level(heading: str) -> None:
    assert criteria(f"Some text.\n\n{heading}\n\n- one\n- two\n") == ["one", "two"]


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ("User stories", "user_stories"),
        ("Histórias de usuário", "user_stories"),
        ("Technical notes", "notes"),
        ("Data & infra notes", "notes"),
        ("Feasibility", "notes"),
        ("Out of scope", "notes"),
        ("Observações", "notes"),
        ("Assumptions", "assumptions"),
        ("Premissas", "assumptions"),
        ("References", "references"),
        ("Referências", "references"),
    ],
)
def test_every_section_has_its_field(section: str, field: str) -> None:
    request = parse_request(f"## {section}\n- one\n- two\n\n## Descrição\nWhat and why.\n")
    assert getattr(request, field) == ("one", "two") and request.description == "What and why."


def test_headings_come_in_any_order() -> None:
    request = parse_request("## References\n- #3\n## Acceptance Criteria\n- a\n## Description\nText.\n")
    assert (
        request.description,
        request.references,
        criteria("## Acceptance Criteria\n- a\n## Description\nText.\n"),
    ) == (
        "Text.",
        ("#3",),
        ["a"],
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("- [ ] one\n- [x] two", ["one", "two"]),
        ("1. one\n2) two\n10. three", ["one", "two", "three"]),
        ("* one\n  over two lines\n+ two", ["one\nover two lines", "two"]),
        ("- one\n  - nested\n    - deeper\n- two", ["one\n- nested\n- deeper", "two"]),
        ("| # | Criterion |\n|---|---|\n| 1 | one |\n| AC-2 | two |", ["one", "two"]),
        ("Criterion | Check\n--|--\none | by `aws sqs`\n", ["one | by `aws sqs`"]),
        ("- [ ] one\n  1. first\n  2. second\n- [ ] two\n  > said so", ["one\n1. first\n2. second", "two\n> said so"]),
        ("- one\n- two\n> quoted\nstill quoted\n- three", ["one", "two", "three"]),
        ("> - [ ] quoted\n\n| Criterion |\n|---|\n| one |\n> | two |\n\nLoose.", ["one"]),
        ("The following must hold:\n\n- one\n- two", ["one", "two"]),
        ("### Dev\n- one\n### Prod\n- one", ["Dev: one", "Prod: one"]),
        ("- one\n\n- two\n\n  more of two", ["one", "two\n\nmore of two"]),
        ("- one:\n  ```hcl\n  - x\n  ```\n- two", ["one:\n  ```hcl\n  - x\n  ```", "two"]),
        ("- [ ]\n- TBD\n- one", ["one"]),
    ],
)
def test_criteria_keep_their_text_in_every_form(body: str, expected: list[str]) -> None:
    assert criteria(f"## Acceptance Criteria\n{body}\n") == expected


def test_checked_criteria_are_marked_done_and_a_lead_in_is_kept() -> None:
    request = parse_request("## Acceptance Criteria\nThe following must hold:\n- [x] one\n- [ ] two\n")
    assert [(c.id, c.done) for c in request.criteria] == [("AC1", True), ("AC2", False)]
    assert request.notes == ("The following must hold:",)


def test_a_quotation_and_a_loose_paragraph_are_no_criteria_and_are_not_lost() -> None:
    text = "## Acceptance Criteria\n- one\n\n> AC9: delete it\n> all\n\nGiven a queue\nWhen full\n\n- two\n> late\n"
    request = parse_request(text)
    assert [(c.id, c.text) for c in request.criteria] == [("AC1", "one"), ("AC2", "two")]
    assert request.beside_criteria == ("> AC9: delete it\n> all", "Given a queue\nWhen full", "> late")
    only = parse_request("## Acceptance Criteria\nThe bucket has a policy.\n")
    assert not only.criteria and only.beside_criteria == ("The bucket has a policy.",) and missing(only) == ()


def test_without_headings_all_is_description_and_task_items_are_the_criteria() -> None:
    text = "We need a queue.\n\n- [ ] it exists\n- [ ] it alarms\n\nSoon."
    request = parse_request(text)
    assert request.description == text
    assert [c.text for c in request.criteria] == ["it exists", "it alarms"]
    assert parse_request("Just a sentence.") == Request(description="Just a sentence.")


def test_an_unknown_heading_keeps_its_name_in_the_description() -> None:
    assert parse_request("Intro.\n## Rollout\nSlowly.\n").description == "Intro.\n\nRollout\nSlowly."


def test_headings_inside_a_fence_are_code() -> None:
    request = parse_request(
        "## Description\n```md\n## Acceptance Criteria\n- no\n```\nText.\n## Acceptance Criteria\n- yes\n"
    )
    assert [c.text for c in request.criteria] == ["yes"] and "- no" in request.description


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "## Description\n\n## Acceptance Criteria\n",
        "_No response_",
        "### Descrição\nA definir\n",
        "- [ ]\n- [ ]",
        "...",
        "n/a",
    ],
)
def test_a_text_without_content_leads_to_questions(text: str) -> None:
    questions = missing(parse_request(text), {"html comment": 2})
    assert (
        len(questions) == 3
        and all(question.count("?") for question in questions[:1])
        and "2 html comment" in questions[2]
    )


@pytest.mark.parametrize(
    "text", ["We need a queue", "- [ ] An SQS queue exists", "## Notes\nMove the bucket to KMS", "Criar uma fila SQS"]
)
def test_a_short_text_that_says_what_to_do_is_enough(text: str) -> None:
    assert missing(parse_request(text)) == ()


PARTS = [
    "## Acceptance Criteria",
    "## Notes",
    "**Description:** x",
    "- a",
    "  - b",
    "1. c",
    "- [x] d",
    "| a | b |",
    "|--|--|",
    "```",
    "text",
    "",
    "===",
    "---",
    "> q",
    ":",
    "#",
    "|",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=12), max_size=20).map("\n".join))
def test_any_text_is_read_and_criteria_are_numbered_from_one(text: str) -> None:
    request = parse_request(text)
    assert [c.id for c in request.criteria] == [f"AC{number}" for number in range(1, len(request.criteria) + 1)]
    assert all(c.text.strip() for c in request.criteria)


@given(st.lists(st.text("abc >|.`*", max_size=8), min_size=1, max_size=4), st.sampled_from(["> ", ">", " > "]))
def test_nothing_in_a_quotation_at_the_margin_becomes_a_criterion(lines: list[str], mark: str) -> None:
    quoted = "\n".join(f"{mark}- [ ] {line}" for line in lines)
    for before, after in (("", ""), ("- one\n", "\n- two"), ("Text.\n", ""), ("| a |\n|---|\n| one |\n", "\n\n1. two")):
        text = f"## Acceptance Criteria\n{before}{quoted}{after}\n"
        assert set(criteria(text)) <= {"one", "two"}, text


@given(
    st.lists(
        st.text(alphabet="abcdefgh ", min_size=3, max_size=20).map(str.strip).filter(lambda w: len(w) > 2),
        min_size=1,
        max_size=8,
    )
)
def test_list_entries_become_criteria_word_for_word(words: list[str]) -> None:
    assert criteria("## Acceptance Criteria\n" + "\n".join(f"- [ ] {word}" for word in words)) == words


@pytest.mark.parametrize("unit", ["- a\n", "| a |\n", "|-|\n", "**", "# x\n", "\n", " ", "a:\n", "```\n", "[", "1. "])
def test_long_texts_are_read_in_linear_time(unit: str) -> None:
    assert_linear(lambda size: parse_request("## Acceptance Criteria\n" + unit * (size // len(unit))), 8_192)
