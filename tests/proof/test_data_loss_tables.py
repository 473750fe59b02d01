"""Each table of losses, row by row, and values of any shape: one direction is a loss, the other is none, nothing
raises.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.finding import Severity
from ops_agent.plan.losses import SHORTENED, SWITCHED_OFF, SWITCHED_ON, Span, losses
from ops_agent.plan.undo import reversibility
from proof.loss_samples import entry, found, nested
from proof.proof_samples import plan_document, read

LIFECYCLE = "aws_s3_bucket_lifecycle_configuration"


@pytest.mark.parametrize("span", SHORTENED, ids=lambda span: f"{span.type}.{span.path}")
def test_a_value_that_is_marked_sensitive_does_not_hide_a_shorter_retention(span: Span) -> None:
    top = span.path.split(".")[0]
    for before_mark in (False, {top: True}):
        built = entry(span.type, nested(span.path, 30), nested(span.path, 1), sensitive={top: True})
        built["change"]["before_sensitive"] = before_mark
        assert {danger.severity for danger in found(built)} == {Severity.NOTICE}


@given(
    span=st.sampled_from(SHORTENED),
    old=st.one_of(st.none(), st.integers(1, 10**6)),
    new=st.one_of(st.none(), st.integers(1, 10**6)),
)
def test_a_length_is_lost_exactly_when_less_is_kept(span: Span, old: int | None, new: int | None) -> None:
    def kept(value: int | None) -> float | None:
        length = span.default if value is None else value
        return float("inf") if length is not None and length == span.forever else length

    dangers = found(entry(span.type, nested(span.path, old), nested(span.path, new)))
    shortened = [danger for danger in dangers if danger.rule == "plan/loses-data"]
    was, becomes = kept(old), kept(new)
    if old == new:
        assert not shortened
    elif was is None or becomes is None:
        assert [danger.severity for danger in shortened] == [Severity.NOTICE]
    else:
        assert bool(shortened) == (becomes < was)
        assert all(danger.severity is Severity.DANGER for danger in shortened)


@pytest.mark.parametrize("switch", [*SWITCHED_OFF, *SWITCHED_ON], ids=lambda switch: f"{switch.type}.{switch.path}")
def test_every_switch_is_seen_in_its_bad_direction_only(switch: Any) -> None:
    on, off = nested(switch.path, switch.on[0]), nested(switch.path, "other")
    bad, good = (on, off), (off, on)
    if switch in SWITCHED_ON:
        bad, good = good, bad
    rules = {"plan/loses-data" if switch.deletes else "plan/recovery-off"}
    assert {danger.rule for danger in found(entry(switch.type, *bad))} == rules
    assert found(entry(switch.type, *good)) == ()


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from(["Enabled", "{}", "1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["days", "enabled", "rule", "x"]), inner, max_size=3),
    ),
    max_leaves=8,
)
NAMES = {(span.type, span.path.split(".")[0]) for span in SHORTENED} | {
    (s.type, s.path.split(".")[0]) for s in (*SWITCHED_OFF, *SWITCHED_ON)
}
NAMES |= {
    (LIFECYCLE, "rule"),
    ("aws_s3_bucket", "lifecycle_rule"),
    ("aws_ecr_lifecycle_policy", "policy"),
    ("aws_backup_plan", "rule"),
}
NAMES |= {
    ("aws_dlm_lifecycle_policy", "policy_details"),
    ("aws_msk_configuration", "server_properties"),
    ("aws_db_instance", "engine_version"),
}


@given(name=st.sampled_from(sorted(NAMES)), before=JUNK, after=JUNK, action=st.sampled_from(["update", "create"]))
def test_values_of_any_shape_are_judged_without_an_error(
    name: tuple[str, str], before: Any, after: Any, action: str
) -> None:
    type_, attribute = name
    plan = read(
        plan_document(entry(type_, None if action == "create" else {attribute: before}, {attribute: after}, action))
    )
    for read_change in plan.changes:
        assert all(loss.what for loss in losses(read_change))
        assert reversibility(read_change).why
