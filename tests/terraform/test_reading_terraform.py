"""The two readers of HCL agree or refuse; JSON syntax means the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth import assert_linear
from ops_agent.model.terraform import Expression, ExpressionKind, TerraformSource, Unreadable
from ops_agent.terraform.hcl_python_hcl2 import second_opinion
from ops_agent.terraform.hcl_tree_sitter import read_template, read_terraform
from ops_agent.terraform.json_syntax import read_terraform_json

EXAMPLE = b"""resource aws_s3_bucket "x" { # a comment
  name = "pre-${var.env}-${upper("x")}"
  e    = "a\\u0066"
  text = <<-EOT
    hi ${lower("Y")}
    %{ if var.y }z${lower("q")}%{ endif }
  EOT
  list = [1, "two", true, null, -3, var.x[0].y["k"], a ? b : c]
  map  = { a = 1, "b" : 2, (var.k) = 3 }
  dynamic "rule" {
    for_each = [for v in var.a : v.id if v != null]
    content {
      a = 1
    }
  }
}
"""


def judged(text: bytes) -> TerraformSource | Unreadable:
    """As a changed file is read, by both readers."""
    source = read_terraform(text)
    return source if isinstance(source, Unreadable) else second_opinion(text) or source


def read(text: bytes) -> TerraformSource:
    source = judged(text)
    assert isinstance(source, TerraformSource), source
    return source


def expression(text: str) -> Expression:
    return read(f"x = {text}\n".encode()).attributes[0].expression


def test_blocks_labels_attributes_and_lines_are_read() -> None:
    (block,) = read(EXAMPLE).blocks
    assert block.name == 'resource "aws_s3_bucket" "x"' and block.line == 1
    assert [(a.name, a.line) for a in block.attributes] == [("name", 2), ("e", 3), ("text", 4), ("list", 8), ("map", 9)]
    assert [(b.type, b.kind, b.line) for b in block.walk()] == [
        ("resource", "resource", 1),
        ("dynamic", "rule", 10),
        ("content", "content", 12),
    ]


def test_every_call_is_seen_wherever_it_hides() -> None:
    calls = [e.name for _, e in read(EXAMPLE).blocks[0].expressions() if e.kind is ExpressionKind.CALL]
    assert calls == ["upper", "lower", "lower"]


def test_escapes_and_references_are_resolved() -> None:
    assert expression('"a\\u0066\\n$${x}"').value == "af\n${x}"
    assert expression('var.a["b"][0].c').steps == ("var", "a", "b", 0, "c")
    for text in ("$$${x}", "$$$${x}", "$$$$${x}"):
        assert expression(f'"a{text}"').value == f"a{text[1:]}", "any run of two or more is text, as for Terraform"
    assert expression('"%%%{ if x }"').value == "%%{ if x }"
    assert expression('"$$${x}${y}"').children[1].steps == ("y",)
    assert expression("provider::aws::x(1)").name == "provider::aws::x"
    assert expression("{ (var.k) = 1, plain = 2 }").children[0].steps == ("var", "k")


@pytest.mark.parametrize(
    "text",
    [
        b"a = 0x1f",
        b"a = 1_000",
        b"a = 1." + b"0" * 30 + b"e3",
        b"a = 1\na = 2",
        b"a = ",
        b"resource {",
        b"\xff",
        b"a = 1\n\xef\xbb\xbfb = 2",
        b"a = 1\x00",
        b"a = 1\rb = 2\n",
        b"a = <<E\nx\n",
        b'"quoted" = 1',
        b"a=1;b=2",
        b"x {\n a = 1\n a = 2\n}",
    ],
)
def test_what_is_not_read_without_doubt_is_refused(text: bytes) -> None:
    assert isinstance(judged(text), Unreadable)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('resource "a" "b" {\n  x = 1\n\nresource "c" "d" {\n  y = 2\n}\n', 1),
        ('a = 1\n\nresource "a" "b" {\n  x = 1\n', 3),
        ("a {\n  b {\n    x = 1\n}\n", 2),
        ("a {\n  x = {\n    b = 1\n}\n\nc {\n}\n", 2),
        ("a {\n  x = [\n    1,\n    2\n}\n", 2),
        ("a = 1\nb = <<EOT\nx\n", 2),
    ],
)
def test_what_is_not_closed_is_named_by_the_line_that_opens_it(text: str, line: int) -> None:
    assert read_terraform(text.encode()) == Unreadable(what="what this line opens is not closed", line=line)


def test_a_text_that_is_not_closed_is_named_by_its_line() -> None:
    broken = read_terraform(b'a {\n}\n\nb {\n  x = "abc\n}\nc {\n}\n')
    assert isinstance(broken, Unreadable) and broken.line == 5


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# c\n",
        b"a = <<EOT\nx\nEOT",
        b"a = 1\r\nb = <<E\r\nx\r\nE\r\n",
        b"a = (var.x\n ? 1\n : 2)",
        b'a = "x" # c',
        b"/* c */ a = 1 // d",
        b"a = -1 - 2",
        b"for = 1",
        b'x = "%{ if true }a%{ else }b%{ endif }"',
        b"x = f(a...)",
        b"x = a.*.b",
        b"x = a[*].b.c",
        b'x = "${"a"}"',
        b"x = { a = 1, b = 2 }",
        b'a = file/* c */("x")',
        b'a = core::file("x")',
        b'a = "${~ file("x") ~}"',
        b"x = { for k in y : (k ? 1 : 2)\n  => k }",
        b"x = [try(\n  a\n  .b\n    .c,\n  1\n)]\ny = (\n  a\n  .b\n)\n",
        "π = é.ß\nx = ñandú(1)\n".encode(),
        b'resource "a" /* why */ "b" {\n  x = /* y */ !!z\n}\n',
        b"x = 5-1e3 + a-1e3 + [-1E+2, b.c1e4][0]",
    ],
)
def test_legal_forms_are_read(text: bytes) -> None:
    assert isinstance(judged(text), TerraformSource)


DIGITS = st.text("0123456789", min_size=1, max_size=12)
EXPONENTS = st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(("", "+", "-")), st.integers(0, 300))
NUMBERS = st.builds("{}{}{}".format, DIGITS, st.one_of(st.just(""), DIGITS.map(".{}".format)), st.just("") | EXPONENTS)


@given(NUMBERS, st.sampled_from(("{}", "[{}]", "{{ a = {} }}", "f({})", '"${{{}}}"', "({}) - 1", "a[{}]")))
def test_every_number_is_read_for_what_it_is_and_shown_as_it_was_written(number: str, place: str) -> None:
    source = judged(f"x = {place.format(number)}\ny = 1\n".encode())
    assert isinstance(source, TerraformSource) and source.attributes[1].line == 2
    found = source.attributes[0].expression
    assert number in found.text
    values = [e.value for e in found.walk() if e.kind is ExpressionKind.LITERAL]
    steps = [s for e in found.walk() for s in e.steps]
    assert float(number) in [float(v) for v in (*values, *steps) if v not in (None, "a")]


@given(st.text("a 1e5.-", max_size=12))
def test_what_looks_like_a_number_in_a_text_or_a_name_stays_as_it_is(text: str) -> None:
    assert expression(f'"{text}"').value == text
    assert expression(f"b1e5-{text.replace(' ', '').replace('.', '')}").steps[0].startswith("b1e5")


def test_white_space_at_the_edges_of_texts_counts() -> None:
    assert expression('" a "').value == " a " and expression('"  "').value == "  "
    parts = expression('" ${a} ${b}  c"').children
    assert [p.value if p.kind is ExpressionKind.LITERAL else p.steps for p in parts] == [
        " ", ("a",), " ", ("b",), "  ", "c"
    ]  # fmt: skip
    assert read(b'a " b " {\n}\n').blocks[0].labels == (" b ",)


BOMBS = {
    "10 MB": b"a = [" + b"1," * 5_000_000 + b"]",
    "million elements": b"a = [" + b"1," * 95_000 + b"]",
    "10k brackets": b"a = " + b"(" * 10_000 + b"1" + b")" * 10_000,
    "10k blocks": b"a {\n" * 10_000 + b"}\n" * 10_000,
    "sum": b"a = " + b"1+" * 95_000 + b"1",
    "attributes": b"a = x" + b".y" * 95_000,
    "not": b"a = " + b"!" * 190_000 + b"x",
    "heredocs": b"\n".join(b"a%d = <<E%d" % (i, i) for i in range(10_000)),
    "templates": b'a = "' + b"${x}" * 45_000 + b'"\n',
    "quotes": b'"' * 190_000,
    "conditions": b"a = " + b"x ? " * 45_000,
    "comments": b"/* " * 60_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_linear_time(name: str) -> None:
    bomb = BOMBS[name]
    assert isinstance(judged(bomb), Unreadable)
    assert_linear(lambda size: judged(bomb[:size]), len(bomb) // 8)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert isinstance(read_terraform(text.encode("utf-8", "replace")), TerraformSource | Unreadable)
    read_template(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_as_json(content: bytes) -> None:
    assert isinstance(read_terraform_json(content), TerraformSource | Unreadable)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='ab${}%"\\\n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abc/", max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=3), JSON, max_size=3))
def test_json_that_python_reads_is_read_or_its_templates_are_refused(document: dict[str, object]) -> None:
    source = read_terraform_json(json.dumps(document, indent=1).encode(), variables=True)
    if isinstance(source, TerraformSource):
        assert [a.name for a in source.attributes] == list(document)
    else:
        assert "template" in source.what


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"a": 1, "a": 2}',
        b'{"a": 1} x',
        b'{"a": }',
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"a": "' + b"x" * 300_000,
    ],
)
def test_json_that_is_not_plain_is_refused(content: bytes) -> None:
    assert isinstance(read_terraform_json(content), Unreadable)


def test_json_syntax_means_the_same_as_hcl() -> None:
    arguments = (
        b'"input": "${\\u0066ile(\\"/proc/self/environ\\")}",\n "provisioner": [{"local-exec": {"command": "env"}}]'
    )
    text = b'{"resource": {"terraform_data": {"x": {' + arguments + b"}}}}"
    source = read_terraform_json(text)
    assert isinstance(source, TerraformSource)
    (block,) = source.blocks
    assert block.name == 'resource "terraform_data" "x"'
    assert [e.name for _, e in block.expressions() if e.kind is ExpressionKind.CALL] == ["file"]
    assert [b.name for b in block.blocks] == ['provisioner "local-exec"'] and "provisioner" in block.members


def test_the_same_code_in_another_layout_has_the_same_text() -> None:
    other = (
        EXAMPLE.replace(b"# a comment", b"").replace(b"  e    =", b"  e=").replace(b"  list", b"\n\n  # why\n  list")
    )
    assert read(EXAMPLE).blocks[0].text == read(other).blocks[0].text


@pytest.mark.parametrize(
    "text",
    [
        "{ for k, v in F : k => v... }",
        "[for x in [1] : x if F]",
        "[for x in a : x][*][F]",
        '"%{ if F }a%{ else }${F}%{ endif }%{ for x in F }${F}%{ endfor }"',
        "<<-E\n  ${F}\n  E",
        "a.b[F].c[F][*][F][*].d[F].0[F]",
        "a.*.b[F]",
        "[{ a = 1 }][*][F]",
        "f(1)[*][F]",
        '{ (F) = 1, "x${F}" = !F }[F]',
        "F ? -F : (F)[F]",
        "f(F, F...)",
        '"${"${F}"}"',
    ],
)
def test_no_function_call_is_dropped(text: str) -> None:
    calls = [e for e in expression(text.replace("F", 'file("x")')).walk() if e.function == "file"]
    assert len(calls) == text.count("F")


def test_a_reader_that_drops_a_call_refuses_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops_agent.terraform.hcl_tree_sitter._steps", lambda _: ((None,), ()))
    found = read_terraform(b'x = a[*][file("dropped")]\n')
    assert isinstance(found, Unreadable) and found.what == "a function call in it was not understood"


def test_a_byte_order_mark_at_the_start_is_skipped_as_terraform_does() -> None:
    plain = b'resource "aws_sqs_queue" "a" {\r\n  name = "x"\r\n}\r\n'
    assert read_terraform(b"\xef\xbb\xbf" + plain) == read_terraform(plain)
