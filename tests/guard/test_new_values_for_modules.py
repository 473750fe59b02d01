"""Values that reach modules from outside: their files are read as data, and who changes the values answers for what
they reach.
"""

from __future__ import annotations

import pytest

from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import FetchedModules
from rules.judging import base_files, change_set

SOURCE, VERSION = "git::https://modules.example.com/platform.git//x?ref=" + "c" * 40, ""
WHERE = "infra/module:x"
CALL = 'module "x" {\n  source = "' + SOURCE + '"\n%s}\n'
DECLARED = 'variable "v" {\n  type    = any\n  default = {}\n}\n'
COMMAND = (
    'variable "command" {\n  type    = string\n  default = "true"\n}\n\nvariable "size" {\n'
    "  type    = number\n  default = 1\n}\n\n"
)
RUNS = COMMAND + 'resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = var.command\n  }\n}\n'
EXTERNAL = COMMAND + 'data "external" "x" {\n  program = ["sh", "-c", var.command]\n}\n'
HTTP = COMMAND + 'data "http" "x" {\n  url = var.command\n}\n'
READS = COMMAND + 'output "x" {\n  value = file(var.command)\n}\n'
SHOWS = COMMAND + 'output "x" {\n  value = nonsensitive(var.command)\n}\n'
ENDPOINT = COMMAND + 'provider "aws" {\n  endpoints {\n    s3 = var.command\n  }\n}\n'
PARAMETER = COMMAND + 'data "aws_ssm_parameter" "x" {\n  name = var.command\n}\n'
STATE = COMMAND + 'data "terraform_remote_state" "x" {\n  backend = "s3"\n  config = {\n    key = var.command\n  }\n}\n'
PLAN, RUN, OTHER = "terraform/changed-plan-input", "terraform/changed-command", "terraform/changed-privileged-value"
GRADES = {PLAN: Severity.BLOCKS, RUN: Severity.DECISION, OTHER: Severity.WARNING}
SINKS = {
    "a program": (EXTERNAL, PLAN),
    "an address": (HTTP, PLAN),
    "a path": (READS, PLAN),
    "an endpoint": (ENDPOINT, PLAN),
}
SINKS |= {"another state": (STATE, PLAN), "a provisioner": (RUNS, RUN), "a mark": (SHOWS, OTHER)}
SINKS |= {"a secret's name": (PARAMETER, OTHER)}
QUEUE = COMMAND + 'resource "aws_sqs_queue" "x" {\n  name          = var.command\n  delay_seconds = var.size\n}\n'


def found_in(module: dict[str, str] | str, before: str, after: str | None, **written: str) -> list[Finding]:
    """What blocks, or is said about new values, when the arguments of an existing call change (None: they stay);
    `written` are further files of the head.
    """
    files = {"main.tf": module} if isinstance(module, str) else module
    fetched = FetchedModules(
        files={f"{WHERE}{'' if '/' in path else '/'}{path}": text.encode() for path, text in files.items()},
        by_source={(SOURCE, VERSION): WHERE},
        by_call={(WHERE, "inner"): f"{WHERE}.inner"},
    )
    base = {**base_files(), "infra/x.tf": (DECLARED + CALL % before).encode()}
    head = {"infra/x.tf": (DECLARED + CALL % (before if after is None else after)).encode()}
    head |= {path.replace("__", "/").replace("_DOT_", "."): text.encode() for path, text in written.items()}
    policy = Policy(allowed_modules=("git::https://modules.example.com/",))
    verdict = judge(change_set(base, head), FilesInMemory.of(base), policy, fetched=fetched)
    spoken = [f for f in verdict.findings if f.blocks or f.rule in (PLAN, RUN, OTHER)]
    assert all(f.severity is GRADES[f.rule] for f in spoken)
    return spoken


def rules(found: list[Finding]) -> set[str]:
    return {f.rule for f in found}


@pytest.mark.parametrize(("module", "rule"), SINKS.values(), ids=SINKS)
@pytest.mark.parametrize("after", ['  command = "curl evil"\n', "  command = local.evil\n"])
def test_a_value_that_reaches_what_new_code_may_not_do_is_refused_or_shown_first(
    module: str, rule: str, after: str
) -> None:
    found = found_in(module, '  command = "true"\n', after, infra__l_DOT_tf='locals {\n  evil = "curl evil"\n}\n')
    assert rules(found) == {rule}
    assert {f.place.path for f in found} == {"infra/module:x/main.tf"}


@pytest.mark.parametrize("module", [*(module for module, _ in SINKS.values()), QUEUE])
def test_a_value_that_stays_away_from_it_is_not_blamed(module: str) -> None:
    """A new argument of an existing call, a changed size, another command for a module that runs none."""
    assert not found_in(module, '  command = "true"\n', '  command = "true"\n  size = 2\n')
    assert not found_in(QUEUE, '  command = "a"\n', '  command = "b"\n')


def test_a_variable_file_is_a_way_too() -> None:
    values = base_files()["infra/environments/dev/terraform.tfvars"].decode()
    written = {"infra__environments__dev__terraform_DOT_tfvars": values + 'v = { c = "evil" }\n'}
    assert rules(found_in(RUNS, "  command = var.v.c\n", None, **written)) == {RUN}
    assert not found_in(RUNS, "  size = var.v.c\n", None, **written)


def test_a_variable_file_of_no_environment_is_a_way_too() -> None:
    assert rules(found_in(RUNS, "  command = var.v.c\n", None, infra__config__x_DOT_tfvars='v = { c = "evil" }\n')) == {
        RUN
    }
    assert not found_in(RUNS, "  size = var.v.c\n", None, infra__config__x_DOT_tfvars="v = { c = 2 }\n")


def test_a_second_call_of_an_existing_module_is_judged_by_the_values_it_passes() -> None:
    second = CALL.replace('"x"', '"y"', 1)
    assert not found_in(RUNS, "", None, infra__y_DOT_tf=second % "  size = 3\n")
    assert rules(found_in(RUNS, "", None, infra__y_DOT_tf=second % '  command = "evil"\n')) == {RUN}


def test_what_a_fetched_module_hands_on_to_another_is_followed() -> None:
    outer = (
        COMMAND + 'module "inner" {\n  source  = "./inner"\n  command = "x ${var.command}"\n  size    = var.size\n}\n'
    )
    module = {"main.tf": outer, ".inner/main.tf": RUNS}
    assert rules(found_in(module, "", '  command = "evil"\n')) == {RUN}
    assert not found_in(module, "", "  size = 2\n")


def test_what_comes_out_of_a_fetched_module_is_followed_to_where_it_runs() -> None:
    module = COMMAND + 'output "said" {\n  value = var.command\n}\n\noutput "size" {\n  value = var.size\n}\n'
    runs = {"infra__r_DOT_tf": ""}
    base_code = 'resource "terraform_data" "r" {\n  provisioner "local-exec" {\n    command = module.x.said\n  }\n}\n'
    assert not found_in(module, "", '  command = "evil"\n', **runs)
    changed = found_in(
        module, f"}}\n\n{base_code.rstrip()[:-1]}", f'  command = "evil"\n}}\n\n{base_code.rstrip()[:-1]}'
    )
    assert rules(changed) == {RUN}
    other = found_in(module, f"}}\n\n{base_code.rstrip()[:-1]}", f"  size = 2\n}}\n\n{base_code.rstrip()[:-1]}")
    assert not other


def test_a_module_that_cannot_be_read_is_given_no_other_values() -> None:
    """Silence would say that nothing dangerous is in it."""
    unread = {"main.tf": QUEUE, "odd.tf": "locals {\n  x = 1\n  x = 2\n}\n"}
    found = found_in(unread, '  command = "a"\n', '  command = "b"\n')
    assert rules(found) == {PLAN}
    assert not found_in(unread, '  command = "a"\n', None, infra__other_DOT_tf="# nothing\n")


def test_texts_and_published_parameters_are_no_dangers() -> None:
    """Modules for EKS ask for the ids of images by version, and put user data together with `cloudinit_config`."""
    published = 'locals {\n  names = { a = "/aws/service/eks/${var.command}/id", none = "NONE" }\n}\n\n'
    published += 'data "aws_ssm_parameter" "x" {\n  name = local.names[var.size == 1 ? "a" : "none"]\n}\n\n'
    published += 'output "x" {\n  value = nonsensitive(data.aws_ssm_parameter.x.value)\n}\n\n'
    published += 'data "cloudinit_config" "x" {\n  part {\n    content = var.command\n  }\n}\n'
    assert not found_in(COMMAND + published, '  command = "1.32"\n', '  command = "1.33"\n')
    own = published.replace('a = "/aws/service/eks/${var.command}/id"', "a = var.command")
    assert rules(found_in(COMMAND + own, '  command = "1.32"\n', '  command = "/team/password"\n')) == {OTHER}


@pytest.mark.parametrize("shape", ["wide", "deep"])
def test_calls_that_hide_a_module_behind_many_or_deep_ones_are_refused(shape: str) -> None:
    def many(prefix: str, source: str) -> str:
        return "".join(f'module "{prefix}{n}" {{\n  source = "{source}"\n}}\n\n' for n in range(20))

    hidden = CALL.replace('"x"', '"hidden"', 1) % '  command = "evil"\n'
    if shape == "wide":
        written = {"infra__a_DOT_tf": many("a", "./modules/a"), "infra__modules__a__main_DOT_tf": many("b", "../b")}
        written |= {"infra__modules__b__main_DOT_tf": "# nothing\n", "infra__z_DOT_tf": hidden}
    else:
        written = {
            f"infra__modules__m{n}__main_DOT_tf": f'module "m" {{\n  source = "../m{n + 1}"\n}}\n' for n in range(45)
        }
        written |= {
            "infra__a_DOT_tf": 'module "m" {\n  source = "./modules/m0"\n}\n',
            "infra__modules__m45__main_DOT_tf": hidden,
        }
    found = found_in(RUNS, "", None, **written)
    assert PLAN in rules(found)
    assert any("than are judged" in f.what for f in found)
