"""The JSON of a plan as a document: its hash, what is refused, and how large it may be."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.plan import reading
from ops_agent.plan.reading import canonical_hash, read_plan
from proof.proof_samples import CAPTURED, PLANS, change, plan_document

TIME = "2026-11-23T10:00:00Z"
TEXT = st.text(alphabet=st.sampled_from('a"\\/<>&{}[],: \u2028\u00e9\U0001f600\x7f\n\t'), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), TEXT, st.just(TIME)),
    lambda inner: st.dictionaries(st.one_of(TEXT, st.just("timestamp")), inner, max_size=4),
    max_leaves=15,
)


def written(plan: dict[str, object]) -> bytes:
    """As Terraform writes it: one line, no blanks."""
    return json.dumps(plan, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("name", CAPTURED)
def test_the_hash_of_a_real_plan_is_what_sha256sum_prints_without_its_time(name: str) -> None:
    document = (PLANS / f"{name}.json").read_bytes()
    without_time, count = re.subn(rb'^(.*),"timestamp":"[^"]*"', rb"\1", document)
    assert count == 1
    assert canonical_hash(document) == hashlib.sha256(without_time.rstrip() + b"\n").hexdigest()
    assert canonical_hash(without_time) == canonical_hash(document)


@given(first=VALUES, second=VALUES)
def test_only_the_plans_own_time_is_left_out_of_the_hash(first: object, second: object) -> None:
    """A resource may have an attribute that is called `timestamp` too."""

    def digest(value: object, time: str = TIME) -> str:
        return canonical_hash(written({"resource_changes": value, "timestamp": time, "complete": True}))

    assert digest(first) == digest(first, time="2027-01-01T00:00:00Z")
    assert (digest(first) == digest(second)) == (written({"x": first}) == written({"x": second}))
    without_time = {"resource_changes": {"timestamp": TIME}}
    assert canonical_hash(written(without_time)) != canonical_hash(written({"resource_changes": {}}))


@pytest.mark.parametrize(
    "document",
    [
        b'{"format_version": "1.2",}',
        b'{"format_version": "1.2", "resource_changes": [1,]}',
        b'{"format_version": "1.2", "a": NaN}',
        b'{"format_version": "1.2"} x',
        b'{"format_version" "1.2"}',
        b'{"format_version": "1.2", "a": "\xff"}',
        '{"format_version": "1.2"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"format_version": "1.2"}',
    ],
)
def test_what_is_not_one_json_object_in_utf8_is_refused(document: bytes) -> None:
    with pytest.raises(ToolchainError):
        read_plan(document, "", Policy())


def test_a_plan_with_too_much_json_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = written(plan_document(change("a.b", "create", after={})))
    monkeypatch.setattr(reading, "MOST_PLAN_BYTES", len(document))
    assert read_plan(document, "", Policy()).counts.add == 1
    monkeypatch.setattr(reading, "MOST_PLAN_BYTES", len(document) - 1)
    with pytest.raises(ToolchainError, match="at most") as refused:
        read_plan(document, "", Policy())
    assert "Split the root" in refused.value.hint


def test_what_refuses_the_plan_as_a_whole_is_said_before_what_is_wrong_with_an_entry() -> None:
    plan = plan_document(change("a.b", "frobnicate"), format_version="2.0")
    with pytest.raises(ToolchainError, match="format version"):
        read_plan(json.dumps(plan).encode(), "", Policy())
