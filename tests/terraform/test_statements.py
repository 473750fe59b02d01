"""lifecycle, provider, moved, removed and import, as the offline plan reads them."""

from __future__ import annotations

import pytest

from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.statements import expression_source, implied, read_statements


def statements(root: str, **modules: str):
    files = {(): {"main.tf": root.encode()}}
    return read_statements({**files, **{tuple(n.split("__")): {"main.tf": t.encode()} for n, t in modules.items()}})


@pytest.mark.parametrize(
    ("old", "new", "address", "expected"),
    [
        ("aws_x.a", "aws_x.b", "aws_x.a", "aws_x.b"),
        ("aws_x.a", "aws_x.b", 'aws_x.a["k.1"]', 'aws_x.b["k.1"]'),
        ("aws_x.a", "aws_x.b[0]", "aws_x.a", "aws_x.b[0]"),
        ("aws_x.a", "aws_x.b[0]", "aws_x.a[1]", "aws_x.a[1]"),
        ('aws_x.a["k.1"]', 'aws_x.a["k-2"]', 'aws_x.a["k.1"]', 'aws_x.a["k-2"]'),
        ('aws_x.a["k.1"]', 'aws_x.a["k-2"]', 'aws_x.a["k"]', 'aws_x.a["k"]'),
        ("module.m", "module.n", 'module.m["a"].aws_x.a[0]', 'module.n["a"].aws_x.a[0]'),
        ("module.m", 'module.n["a"]', "module.m.module.i.aws_x.a", 'module.n["a"].module.i.aws_x.a'),
        ("aws_x.a", "module.m.aws_x.a", "aws_x.a", "module.m.aws_x.a"),
        ("aws_x.a", "aws_x.b", "module.m.aws_x.a", "module.m.aws_x.a"),
        ("aws_x.a", "aws_x.b", "aws_x.aa", "aws_x.aa"),
    ],
)
def test_moved(old, new, address, expected):
    assert statements(f"moved {{\n  from = {old}\n  to   = {new}\n}}\n").moved_to(address) == expected


def test_moves_follow_one_another_and_belong_to_their_module():
    move = "moved {\n  from = aws_x.a\n  to   = aws_x.b\n}\nmoved {\n  from = aws_x.b\n  to   = aws_x.c\n}\n"
    assert statements(move).moved_to("aws_x.a") == "aws_x.c"
    inside = statements('module "m" {\n  source = "./m"\n}\n', m=move)
    assert inside.moved_to('module.m["k"].aws_x.a') == 'module.m["k"].aws_x.c'
    assert inside.moved_to("aws_x.a") == "aws_x.a"


def test_a_count_that_comes_or_goes_moves():
    assert implied("aws_x.a", {"aws_x.a[0]"}) == "aws_x.a[0]"
    assert implied("aws_x.a[0]", {"aws_x.a"}) == "aws_x.a"
    assert implied("aws_x.a[1]", {"aws_x.a"}) == "aws_x.a[1]"
    assert implied("aws_x.a", {"aws_x.a", "aws_x.a[0]"}) == "aws_x.a"


def test_removed_forgets_only_without_destroy_and_import_takes_its_key():
    keep = "removed {\n  from = aws_x.a\n  lifecycle {\n    destroy = false\n  }\n}\n"
    assert statements(keep).is_forgotten("aws_x.a[3]")
    assert not statements(keep.replace("false", "true")).is_forgotten("aws_x.a")
    assert not statements("removed {\n  from = aws_x.a\n}\n").is_forgotten("aws_x.a")
    taken = statements('import {\n  to = aws_x.a["k"]\n  id = "i"\n}\n')
    assert taken.is_imported('aws_x.a["k"]')
    assert not taken.is_imported('aws_x.a["l"]')
    every = statements("import {\n  for_each = local.ids\n  to = aws_x.a[each.key]\n  id = each.value\n}\n")
    assert every.is_imported('aws_x.a["l"]')


LIFECYCLE = """
resource "aws_x" "a" {
  lifecycle {
    prevent_destroy       = true
    create_before_destroy = true
    ignore_changes        = [name, tags["a b"], block[0].size]
    replace_triggered_by  = [aws_y.b, aws_z.c.arn]
  }
}

resource "aws_x" "b" {
  lifecycle {
    ignore_changes = all
  }
}
"""


def test_lifecycle():
    found = statements("", m=LIFECYCLE)
    assert found.lifecycle('module.m["k"].aws_x.a[0]') == {
        "prevent_destroy": True,
        "create_before_destroy": True,
        "ignore_changes": ["name", 'tags["a b"]', "block[0].size"],
    }
    assert found.lifecycle("module.m.aws_x.b") == {"ignore_changes": "all"}
    assert [*found.triggers('module.m["k"].aws_x.a')] == [
        ('module.m["k"].aws_y.b', ""),
        ('module.m["k"].aws_z.c', "arn"),
    ]


def test_a_provider_is_followed_through_the_calls():
    call = 'module "m" {\n  source    = "./m"\n  providers = {\n    aws.other = aws.logs\n  }\n}\n'
    found = statements(call, m='resource "aws_x" "a" {\n  provider = aws.other\n}\n\nresource "aws_x" "b" {\n}\n')
    assert found.provider_of("module.m.aws_x.a") == "aws.logs"
    assert found.provider_of("module.m.aws_x.b") == "aws"


def test_provisioners_and_actions_are_seen():
    assert (
        statements('resource "aws_x" "a" {\n  provisioner "local-exec" {\n    command = "x"\n  }\n}\n').runs
        == "provisioner"
    )
    assert statements(LIFECYCLE).runs == ""
    acts = 'resource "aws_x" "a" {\n  lifecycle {\n    action_trigger {\n      events = [after_create]\n    }\n  }\n}\n'
    assert statements(acts).runs == "action_trigger"


RUNS = (
    {"main_override.tf": 'resource "aws_x" "a" {\n  provisioner "local-exec" {\n    command = "x"\n  }\n}\n'},
    {"override.tf.json": '{"resource": {"aws_x": {"a": {"provisioner": {"local-exec": {"command": "x"}}}}}}'},
    {"b.tf.json": '{"resource": {"aws_x": {"b": [{"provisioner": [{"local-exec": [{"command": "x"}]}]}]}}}'},
    {"b.tofu": 'resource "terraform_data" "b" {\n  provisioner "remote-exec" {\n    inline = ["x"]\n  }\n}\n'},
)


@pytest.mark.parametrize("files", RUNS, ids=lambda files: next(iter(files)))
@pytest.mark.parametrize("module", [(), ("m",), ("m", "inner")], ids=str)
def test_a_provisioner_is_seen_in_every_kind_of_file_of_every_module(module, files):
    written = {name: text.encode() for name, text in files.items()}
    main = {"main.tf": b'resource "aws_x" "a" {\n}\n'}
    assert read_statements({(): main, module: {**main, **written}}).runs == "provisioner"


@pytest.mark.parametrize(
    "source",
    ["var.region", '"a"', 'merge(local.tags, {\n    a = "}" # }\n    b = "${var.x}"\n  })', "<<EOT\n  a = 1\nEOT"],
)
def test_the_source_of_an_expression_is_cut_out_whole(source):
    text = f'# first\nprovider "aws" {{\n  other = 1\n  tags = {source}\n  last = 2\n}}\n'
    attribute = read_terraform(text.encode()).blocks[0].attribute("tags")
    assert expression_source(text, "tags", attribute.expression, attribute.line).strip() == source.strip()


def test_the_source_of_an_expression_in_a_block_of_one_line():
    text = "default_tags { tags = { a = local.a } }\n"
    attribute = read_terraform(text.encode()).blocks[0].attribute("tags")
    assert expression_source(text, "tags", attribute.expression, attribute.line) == "{ a = local.a }"


def test_outputs_of_the_root_come_with_what_their_values_name():
    text = (
        'output "url" {\n  value = "https://${aws_x.a[0].host}/${var.path}"\n}\noutput "done" {\n  value = "yes"\n}\n'
    )
    found = statements(text, m='output "inner" {\n  value = aws_x.b.id\n}\n').outputs
    assert found == {"url": ("aws_x.a.0.host", "var.path"), "done": ()}


OF_STATES = """
data "terraform_remote_state" "net" {}
data "terraform_remote_state" "each" {}
data "terraform_remote_state" "unread" {}
locals {
  a = data.terraform_remote_state.net.outputs.vpc_id
  b = [for s in data.terraform_remote_state.net.outputs.private_subnet_ids : s]
  c = data.terraform_remote_state.net.outputs.zone[0]
  d = data.terraform_remote_state.net.outputs.dns[*].id
  e = [data.terraform_remote_state.net.outputs.web["a"], data.terraform_remote_state.net.outputs.web.b]
  f = "${data.terraform_remote_state.each["x"].outputs["address"]}"
  g = data.terraform_remote_state.each[0].outputs.items[var.n]
  h = data.terraform_remote_state.gone.outputs.x
}
"""


def test_what_is_read_of_another_state_has_the_form_that_its_use_or_its_name_says() -> None:
    child = (
        'data "terraform_remote_state" "net" {}\noutput "x" {\n  value = data.terraform_remote_state.net.outputs.x\n}\n'
    )
    net = {"vpc_id": "text", "private_subnet_ids": "list", "zone": "list", "dns": "list", "web": frozenset({"a", "b"})}
    assert statements(OF_STATES, m=child).states == {
        "data.terraform_remote_state.net": net,
        "data.terraform_remote_state.each": {"address": "text", "items": "list"},
        "data.terraform_remote_state.unread": {},
        "module.m.data.terraform_remote_state.net": {"x": "text"},
    }
