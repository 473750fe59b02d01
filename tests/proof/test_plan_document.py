"""A plan's JSON is read piece by piece: the same values, the same hash and the same refusals as when it is read at
once.
"""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.plan import reading
from ops_agent.plan.reading import PlanDocument, read_plan
from proof.proof_samples import change
from proof.proof_samples import plan_document as hand_made

TEXT = st.text(alphabet=st.sampled_from('a"\\/<>&{}[],: \u2028\u00e9\U0001f600\x7f\n\t\b\x1b0.eE-'), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=25,
)
ENTRIES = st.lists(
    st.one_of(VALUES, st.builds(lambda value: {"address": "a.b", "x": [{"address": 1}, {"address": value}]}, VALUES)),
    max_size=30,
)
WINDOWS = st.sampled_from([1, 7, 64, 200_000])


def as_written(value: Any, indent: int | None, *, ascii_only: bool, html_safe: bool) -> bytes:
    """JSON as different writers write it; Terraform (Go) escapes `<`, `>` and `&` and puts no blanks."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=None if indent else (",", ":"))
    if html_safe:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text.encode()


def reference(document: bytes, names: list[str]) -> str:
    """The hash of the values of `names` as they stand in `document`, each found by what the decoder says of its end."""
    text, scan = document.decode(), json.JSONDecoder().raw_decode
    at, told = text.index("{") + 1, []
    for name in names:
        at = text.index('"', at)
        found, at = scan(text, at)
        assert found == name
        begun = at = text.index(":", at) + 1
        _, at = scan(text, begun + len(text[begun:]) - len(text[begun:].lstrip()))
        told += [] if name == "timestamp" else [f"{json.dumps(name, ensure_ascii=False)}:{text[begun:at]}"]
    return hashlib.sha256(f"{{{','.join(told)}}}\n".encode()).hexdigest()


def taken(document: bytes, how: dict[str, str]) -> tuple[dict[str, Any], str]:
    source = PlanDocument(document, unhashed=frozenset({"timestamp"}))
    values: dict[str, Any] = {}
    for name in source.members():
        match how.get(name, "value"):
            case "skip":
                source.skip()
            case "elements":
                values[name] = list(source.elements(name))
            case _:
                values[name] = source.value()
    return values, source.canonical_hash


@given(
    value=st.dictionaries(st.sampled_from(["timestamp", "a", "b\u00e9", 'q"', ""]), VALUES),
    entries=ENTRIES,
    window=WINDOWS,
    indent=st.sampled_from([None, None, 2]),
    ascii_only=st.booleans(),
    html_safe=st.booleans(),
)
@example(
    value={"a": -0.0},
    entries=[{"x": 1e300}, {"x": -0}, 1.5e-7],
    window=7,
    indent=None,
    ascii_only=False,
    html_safe=True,
)
def test_values_and_hash_are_those_of_the_whole_document(
    value: dict[str, Any], entries: list[Any], window: int, indent: int | None, ascii_only: bool, html_safe: bool
) -> None:
    document = as_written(
        value | {"list": entries, "rest": entries}, indent, ascii_only=ascii_only, html_safe=html_safe
    )
    expected = {name: found for name, found in json.loads(document).items() if name != "rest"}
    with mock.patch.object(reading, "WINDOW", window), mock.patch.object(reading, "_LEAST_BATCH", 1):
        values, digest = taken(document, {"list": "elements", "rest": "skip"})
    assert json.dumps(values) == json.dumps(expected)
    assert digest == reference(document, list(json.loads(document)))


@given(
    entries=ENTRIES,
    window=WINDOWS,
    cut=st.floats(0, 1, exclude_max=True),
    instead=st.sampled_from([b"", b",", b"]", b"}", b'"', b"\xff", b"NaN"]),
)
def test_a_damaged_document_is_read_as_json_reads_it_or_refused(
    entries: list[Any], window: int, cut: float, instead: bytes
) -> None:
    whole = as_written({"list": entries, "rest": {"deep": entries}}, None, ascii_only=False, html_safe=False)
    at = int(cut * len(whole))
    document = whole[:at] + instead + whole[at + 1 :]
    with mock.patch.object(reading, "WINDOW", window), mock.patch.object(reading, "_LEAST_BATCH", 1):
        try:
            values, _ = taken(document, {"list": "elements", "rest": "skip"})
        except ToolchainError:
            return
    expected = json.loads(document)
    assert json.dumps(values) == json.dumps({name: found for name, found in expected.items() if name != "rest"})


@pytest.mark.parametrize(
    "document",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1,}',
        b'{"a": [1,]}',
        b'{"a": NaN}',
        b'{"a": 1} x',
        b'{"a" 1}',
        b"{1: 2}",
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
    ],
)
def test_what_is_not_one_json_object_in_utf8_is_refused(document: bytes) -> None:
    with pytest.raises(ToolchainError):
        taken(document, {"a": "elements" if b"[" in document else "skip"})


def test_a_list_that_imitates_its_own_elements_inside_them_is_read_right() -> None:
    """`},{"address":` within an element must neither end a batch nor cost more than a small factor."""
    inner = [{"address": "x"}, {"address": "y"}] * 50
    entries = [{"address": f"a.b{number}", "x": inner} for number in range(400)]
    values, _ = taken(json.dumps({"list": entries}, separators=(",", ":")).encode(), {"list": "elements"})
    assert values["list"] == entries


def test_what_is_not_used_costs_no_memory() -> None:
    resource = {"address": "a.b", "values": {f"key{number}": [{"x": "y" * 20}] for number in range(20)}}
    document = json.dumps(
        {"planned_values": {"root_module": {"resources": [resource] * 5_000}}}, separators=(",", ":")
    ).encode()

    def peak(read: Callable[[], object]) -> int:
        tracemalloc.start()
        read()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(lambda: taken(document, {"planned_values": "skip"})) * 4 < peak(lambda: json.loads(document))


def test_what_refuses_the_plan_as_a_whole_is_said_before_what_is_wrong_with_an_entry() -> None:
    plan = hand_made(change("a.b", "frobnicate"), format_version="2.0")
    with pytest.raises(ToolchainError, match="format version"):
        read_plan(json.dumps(plan).encode(), "", Policy())
