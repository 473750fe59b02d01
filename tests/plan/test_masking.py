"""Values are masked by both sensitive trees, and any JSON at all is read or refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ops_agent.model.errors import OpsAgentError
from ops_agent.model.plan import SENSITIVE, UNKNOWN, TerraformPlan
from ops_agent.plan.masking import leaves, masked
from plan.plan_samples import change, plan_document, read


def test_values_are_masked_by_both_sensitive_trees() -> None:
    entry = change(
        "aws_db_instance.db",
        "update",
        before={"password": "old-one", "tags": {"a": "1", "b": "two"}, "list": [{"x": "s1"}, {"x": "open"}]},
        after={"password": "new-one", "tags": {"a": "1", "b": "three"}, "list": [{"x": "s1"}, {"x": "open"}]},
        change={
            "before_sensitive": {"password": True, "tags": {"b": True}},
            "after_sensitive": {"password": True, "list": [{"x": True}, {}]},
            "after_unknown": {"endpoint": True, "tags": {"c": True}},
        },
    )
    only = read(plan_document(entry)).changes[0]
    assert only.before["password"] is SENSITIVE
    assert only.before["tags"] == {"a": "1", "b": SENSITIVE}
    assert only.after["list"] == [{"x": SENSITIVE}, {"x": "open"}]
    assert only.after["endpoint"] is UNKNOWN
    assert only.after["tags"]["c"] is UNKNOWN
    assert "new-one" not in repr(only)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(min_size=4, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_masking_is_total_and_never_shows_more(value: Any, sensitive: Any, unknown: Any) -> None:
    hidden: list[str] = []
    shown = {text for _, text in leaves(masked(value, sensitive, unknown, hidden))}
    assert shown <= {text for _, text in leaves(value)}
    if sensitive is True:
        assert not shown


WORDS = ("create", "delete", "no-op", "arn:aws:iam::1:x", "1.2")
KEYS = (
    *(
        "address",
        "change",
        "actions",
        "before",
        "after",
        "after_sensitive",
        "before_sensitive",
        "after_unknown",
        "mode",
        "type",
        "importing",
    ),
    *(
        "replace_paths",
        "variables",
        "configuration",
        "root_module",
        "provider_config",
        "expressions",
        "references",
        "resources",
    ),
    *("module_calls", "region", "policy", "ingress"),
)
TOP_KEYS = (
    *(
        "resource_changes",
        "resource_drift",
        "output_changes",
        "variables",
        "configuration",
        "action_invocations",
        "deferred_changes",
    ),
    "complete",
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(WORDS)
)
SOUP = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
TOPS = st.fixed_dictionaries({"format_version": st.just("1.2")}, optional=dict.fromkeys(TOP_KEYS, SOUP))


@given(TOPS)
@settings(max_examples=200, deadline=None)
def test_any_json_is_read_or_refused_with_our_words(plan: dict[str, Any]) -> None:
    try:
        assert isinstance(read(plan), TerraformPlan)
    except OpsAgentError as refused:
        assert str(refused)
