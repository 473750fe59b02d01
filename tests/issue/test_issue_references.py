"""How issues are named: numbers, lists and addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issue.event_payloads import GITHUB, HERE
from ops_agent.issue.references import parse_references
from ops_agent.model.errors import ConfigError


@pytest.mark.parametrize(
    "word",
    [
        *(
            "12;id",
            "-1",
            "1e3",
            "０１",
            "1" + "0" * 30,
            "",
            " ",
            "0",
            "012",
            "12,",
            ",12",
            "12,12",
            "12,#12",
            "##12",
            "12 14",
            "12\n14",
            "+1",
            "1.0",
        ),
        *(
            "orders#12",
            "²",
            "12\u200b",
            "https://evil.example/DrivvenConsulting/orders/issues/12",
            f"{GITHUB}/{HERE}/pull/12",
        ),
        *(
            f"{GITHUB}/someone-else/orders/issues/12",
            f"{GITHUB}/{HERE}/issues/12?x=1",
            f"{GITHUB}.evil.example/{HERE}/issues/12",
        ),
        ",".join(str(number) for number in range(1, 102)),
    ],
)
def test_words_that_name_no_issue_are_refused(word: str) -> None:
    with pytest.raises(ConfigError):
        parse_references(word, HERE, GITHUB)


def test_numbers_lists_and_addresses_name_issues() -> None:
    def named(word: str, server: str = GITHUB) -> list[str]:
        return [str(ref) for ref in parse_references(word, HERE, server)]

    assert named(" 12 , #14 ") == [f"{HERE}#12", f"{HERE}#14"]
    assert named(f"{GITHUB}/drivvenconsulting/ORDERS/issues/3") == [f"{HERE}#3"]
    assert named(f"{GITHUB}/DrivvenConsulting/billing/issues/3, 3") == ["DrivvenConsulting/billing#3", f"{HERE}#3"]
    assert named(f"https://ghes.example/{HERE}/issues/9", "https://ghes.example") == [f"{HERE}#9"]


@given(st.text(alphabet="0123456789#, /:;-e\u0660\u200bх", max_size=30))
def test_any_word_gives_issues_with_positive_numbers_each_once_or_is_refused(word: str) -> None:
    try:
        refs = parse_references(word, HERE, GITHUB)
    except ConfigError:
        return
    assert (
        refs and len(set(refs)) == len(refs) and all(0 < ref.number < 10**9 and ref.repository == HERE for ref in refs)
    )
