"""How expressions and conditions of workflows are parsed and understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.guard.rules.workflow.gates import keeps_out
from ops_agent.workflows.expressions import parts_of, terms, unwrapped

PR = frozenset({"pull_request"})
BOTH = frozenset({"pull_request", "merge_group"})


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("a ${{ b }} c", [" b "]),
        ("${{ '}}' && secrets.X }}", [" '}}' && secrets.X "]),
        ("${{ format('{0}}}', 'it''s }}') }}${{ y }}", [" format('{0}}}', 'it''s }}') ", " y "]),
        ("}} ${{ a }} }}", [" a "]),
        ("a $ {{ b }}", []),
    ],
)
def test_an_expression_ends_where_github_ends_it(text: str, inside: list[str]) -> None:
    assert [p.text for p in parts_of(text) if p.is_expression] == inside


def test_an_expression_without_an_end_is_reported() -> None:
    assert [p.closed for p in parts_of("${{ a }} ${{ 'b }}")] == [True, True, False]


@given(st.text(alphabet="${}' ab|&()", max_size=40))
def test_the_parts_are_the_whole_text(text: str) -> None:
    parts = list(parts_of(text))
    assert "".join(("${{" + p.text + ("}}" if p.closed else "")) if p.is_expression else p.text for p in parts) == text


@given(st.text(alphabet="$' ab|&()[]", max_size=40))
def test_terms_put_together_are_the_expression(text: str) -> None:
    for operator in ("||", "&&"):
        assert operator.join(terms(text, operator)) == text
    assert unwrapped(text) in text


@pytest.mark.parametrize(
    "condition",
    [
        "github.event_name == 'push'",
        "${{ github.event_name == 'push' && !cancelled() }}",
        "github.event_name != 'pull_request'",
        "(github.ref_name == 'main' || github.event_name == 'workflow_dispatch') && success()",
        "always() && (github.ref == 'refs/heads/main')",
        "false",
    ],
)
def test_a_plain_comparison_keeps_pull_requests_out(condition: str) -> None:
    assert keeps_out(condition, PR)


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "true",
        "github.event_name == 'pull_request'",
        "github.event_name != 'push'",
        "github.event_name == 'push' || true",
        "github.event_name == 'push' == false",
        "(github.event_name == 'push') == false",
        "!(github.event_name == 'push')",
        "! (github.event_name == 'push')",
        "!(true && github.event_name == 'push' && true)",
        "contains(true && github.event_name == 'push' && true, 'x') == false",
        "'x' != 'github.event_name == ''push'''",
        "'a && github.event_name == ''push'' && b'",
        "${{ github.event_name == 'push' }} x",
        "${{ github.event_name == 'push' }}\n",
        " ${{ github.event_name == 'push' }}",
        "${{ github.event_name == 'push' }}${{ true }}",
        "github.ref_name == '12/merge'",
        "github.ref_name == '12/MERGE'",
        "github.event_name == 'Pull_Request'",
        "github.event_name != 'pull_reque\u017ft'",
        "github.ref != 'refs/heads/main'",
        "(a) && (b) || github.event_name == 'push'",
    ],
)
def test_a_condition_that_may_hold_on_pull_requests_keeps_nothing_out(condition: str) -> None:
    assert not keeps_out(condition, PR)


def test_a_merge_queue_counts_too() -> None:
    assert not keeps_out("github.event_name != 'pull_request'", BOTH)
    assert not keeps_out("github.event_name == 'MERGE_GROUP'", BOTH)
    assert not keeps_out("github.ref_name == 'GH-READONLY-QUEUE/main/pr-1-a'", BOTH)
    assert keeps_out("github.event_name == 'push'", BOTH) and keeps_out("github.ref == 'refs/heads/main'", BOTH)
