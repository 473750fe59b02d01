"""What Terraform prints becomes findings; what a variable wants becomes a placeholder."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.terraform.worlds import write
from ops_agent.adapters.terraform.diagnostics import from_fmt, from_json, from_text, json_lines
from ops_agent.adapters.terraform.placeholders import placeholder, placeholders, read_type
from ops_agent.adapters.terraform.workspace import _Diagnostics

KEYS = ["range", "start", "line", "severity", "summary"]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["range", "start", "line", "severity", "x"]), inner),
    ),
    max_leaves=10,
)


def test_a_diagnostic_becomes_a_finding_at_its_file_and_line():
    diagnostic = {
        "severity": "error",
        "summary": "Unsupported argument",
        "detail": "No such thing.",
        "address": "aws_sqs_queue.q",
        "range": {"filename": "../modules/q/main.tf", "start": {"line": 7, "column": 3}},
    }
    (found,) = from_json("plan", "infra/live", [diagnostic])
    assert str(found.place) == "infra/modules/q/main.tf:7"
    assert found.what == "Unsupported argument: No such thing. (at aws_sqs_queue.q)"
    assert found.blocks


def test_a_warning_is_mentioned_and_does_not_block():
    (found,) = from_json("validate", ".", [{"severity": "warning", "summary": "Deprecated"}])
    assert not found.blocks
    assert found.title == "terraform validate warns"


@given(st.lists(JSON, max_size=4))
def test_any_json_in_place_of_diagnostics_gives_findings_or_nothing(diagnostics):
    assert all(f.place.path == "infra" or f.place.path for f in from_json("plan", "infra", diagnostics))


def test_the_text_of_init_is_read_as_findings():
    text = """
Error: Unsupported block type

  on versions.tf line 12, in terraform:
  12: nonsense {

Blocks of type "nonsense" are not expected here.

Error: Failed to query available provider packages

Could not retrieve the list of available versions.
"""
    first, second = from_text("init", "infra", text)
    assert str(first.place) == "infra/versions.tf:12"
    assert first.what == 'Unsupported block type: Blocks of type "nonsense" are not expected here.'
    assert str(second.place) == "infra"


@pytest.mark.parametrize(
    "before", ["", "All modules should specify their required_providers so that external consumers\nwill get it. "]
)
def test_the_hint_at_other_commands_is_left_out(before):
    text = f"""
Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider hashicorp/aws:
no available releases match the given constraints

{before}To see which modules are currently depending on hashicorp/aws and what
versions are specified, run the following command:
    terraform providers
"""
    (found,) = from_text("init", "infra", text)
    assert found.what.endswith(f"match the given constraints {' '.join(before.split())}".rstrip())


def test_each_file_of_fmts_difference_is_named_once():
    output = "a b.tf\n--- old/a b.tf\n+++ new/a b.tf\n@@ -1 +1 @@\n-x=1\n+x = 1\nc.tf\n--- old/c.tf\n+++ new/c.tf\n"
    assert [f.place.path for f in from_fmt(output)] == ["a b.tf", "c.tf"]


@given(st.lists(st.integers(1, 60)), st.integers(1, 200))
def test_diagnostics_are_found_however_the_stream_is_cut(sizes, repeated):
    line = json.dumps({"type": "diagnostic", "diagnostic": {"summary": "x"}}).encode() + b"\n"
    data = (b'{"type":"planned_change"}\nnot json\n' + line) * repeated
    stream, at = _Diagnostics(), 0
    for size in [*sizes, len(data)]:
        stream(data[at : at + size])
        at += size
    assert len(stream.found) == min(repeated, 100)


def test_a_line_without_end_does_not_fill_the_memory():
    stream = _Diagnostics()
    for _ in range(64):
        stream(b"x" * (1 << 18))
    stream(b'\n{"diagnostic":{"summary":"y"}}\n')
    assert stream.found == [{"summary": "y"}]
    assert len(stream._rest) == 0


def test_only_objects_count_in_a_stream_of_json_lines():
    assert json_lines(b'{"a":1}\n[]\nnull\n{\n"x"\n{"b":2}') == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "placeholder-x"),
        ("", "placeholder-x"),
        ("number", "0"),
        ("bool", "false"),
        ("any", '"placeholder-x"'),
        ("list(string)", "[]"),
        ("set(object({ a = string }))", "[]"),
        ("map(any)", "{}"),
        ("tuple([string, number])", '["placeholder-x", 0]'),
        (
            "object({ a = string, b = optional(number, 3), c = object({ d = bool }) })",
            '{"a": "placeholder-x-a", "c": {"d": false}}',
        ),
        ("object({\n  a = list(string)\n  e = tuple([bool])\n})", '{"a": [], "e": [false]}'),
        ("object({})", "{}"),
    ],
)
def test_a_placeholder_has_the_type_that_the_variable_wants(kind, value):
    assert placeholder("x", read_type(kind)) == value


@given(st.text(alphabet='abcobjectlist(){}[],=" \n', max_size=60))
def test_any_type_expression_gives_some_placeholder(kind):
    assert isinstance(placeholder("x", read_type(kind)), str)


def test_only_required_variables_without_a_value_get_a_placeholder(tmp_path):
    root = write(
        tmp_path,
        {
            "a.tf": 'variable "given" {\n  type = string\n}\nvariable "wanted" {\n  type = number\n}\n',
            "c.tf": 'variable "easy" {\n  default = null\n}\n',
            "b.tf.json": json.dumps({"variable": {"from_json": {"type": "list(string)"}, "named": {}}}),
            "x.auto.tfvars": 'named = "x"\n',
            "broken.tf": "variable {",
            "dev.tfvars": "given = <<EOT\nwanted = 1\nEOT\n",
        },
    )
    assert placeholders(root, [root / "dev.tfvars"]) == {"wanted": "0", "from_json": "[]"}
