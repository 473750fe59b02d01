"""Prompts and messages are filled strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.errors import OpsAgentError
from ops_agent.text.templates import render


def test_a_hole_is_filled_and_a_loop_leaves_no_blank_lines() -> None:
    assert (
        render("<| a |>:\n<% for b in bs %>\n- <| b |>\n<% endfor %>\nend\n", a="x", bs=("1", "2"))
        == "x:\n- 1\n- 2\nend\n"
    )


def test_a_missing_hole_is_an_error() -> None:
    with pytest.raises(OpsAgentError, match="without a value: b"):
        render("<| a |> <| b |>", a="x")


def test_an_unused_value_is_an_error() -> None:
    with pytest.raises(OpsAgentError, match="no hole for: b"):
        render("<| a |>", a="x", b="y")


def test_a_missing_attribute_is_an_error() -> None:
    with pytest.raises(OpsAgentError, match="malformed"):
        render("<| a.nothing |>", a="x")


def test_a_malformed_template_is_an_error() -> None:
    with pytest.raises(OpsAgentError, match="malformed"):
        render("<% for x in xs %>", xs=())


@given(st.text())
def test_a_value_is_inserted_unchanged(value: str) -> None:
    assert render("[<| a |>]", a=value) == f"[{value}]"


def test_marks_of_hcl_and_actions_stay_as_they_are() -> None:
    text = '"${var.a}" %{ if x } ${{ github.sha }} <<EOT\n{{ a }}'
    assert render(text) == text
