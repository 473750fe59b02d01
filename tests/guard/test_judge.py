"""The judge: only the change is blamed, nothing slips through a crash, a move, a dormant module or a wall of old
findings.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops_agent.guard.judge import judge
from ops_agent.guard.rule import RootInEnvironment, Subject, TerraformFile, WholeChange, WorkflowFile, rule_of
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.finding import Finding, Severity, Verdict
from ops_agent.model.policy import Policy
from rules.judging import base_files, change_set, verdict_of

EVIL = 'data "external" "x" {\n  program = ["sh"]\n}\n'
QUEUE = 'resource "aws_sqs_queue" "orders" {\n  name = "orders"\n}\n'


def base_with(**files: str) -> dict[str, bytes]:
    return {**base_files(), **{p.replace("__", "/"): t.encode() for p, t in files.items()}}


def rules_blocking(verdict: Verdict) -> set[str]:
    return {f.rule for f in verdict.blocking}


def test_only_rules_that_had_something_to_look_at_count_as_run() -> None:
    """A reviewer reads their number: rules over workflows judged nothing where no workflow changes."""

    def judged(kind: type[Subject], files: dict[str, bytes | None]) -> set[bool]:
        ran = set(verdict_of(files).rules_run)
        return {rule.id in ran for rule in TABLE if rule.subject is kind}

    terraform: dict[str, bytes | None] = {"infra/queue.tf": QUEUE.encode()}
    workflow: dict[str, bytes | None] = {
        ".github/workflows/x.yml": b"on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: x\n"
    }
    assert judged(TerraformFile, terraform) == judged(WorkflowFile, workflow) == judged(WholeChange, {}) == {True}
    assert judged(TerraformFile, workflow) == judged(WorkflowFile, terraform) == judged(TerraformFile, {}) == {False}


def test_what_the_base_has_untouched_is_reported_and_does_not_block() -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    verdict = verdict_of({"infra/old.tf": (EVIL + QUEUE).encode()}, base)
    assert not verdict.blocked
    known = {f.rule for f in verdict.findings if f.pre_existing and f.severity is Severity.BLOCKS}
    assert known == {"terraform/external-data-source"}, "the root has the provider, and may keep it"


@pytest.mark.parametrize(
    "moved",
    [
        "\n\n\n" + QUEUE + EVIL,
        "# words\n" + EVIL.replace("  program", "      program  "),
        EVIL.replace("{\n", "{ # note\n", 1),
    ],
)
def test_a_block_that_moved_or_was_reformatted_is_not_new(moved: str) -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    assert not verdict_of({"infra/old.tf": moved.encode()}, base).blocked


def test_a_block_that_moved_to_another_loaded_file_is_not_new() -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    assert not verdict_of({"infra/old.tf": None, "infra/new.tf": EVIL.encode()}, base).blocked


def test_a_touched_block_is_blamed() -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    changed = EVIL.replace('"sh"', '"sh", "-c"')
    assert "terraform/external-data-source" in rules_blocking(verdict_of({"infra/old.tf": changed.encode()}, base))


POLICY = """resource "aws_sqs_queue_policy" "orders" {
  queue_url = "a"
  policy = jsonencode({
    Statement = [
      { Principal = { AWS = "arn:aws:iam::999988887777:root" }, Action = "sqs:SendMessage" },
    ]
  })
}
"""
TOKEN = """data "aws_ecrpublic_authorization_token" "token" {
  provider = aws.other
}
"""
PROGRAM = """resource "aws_sqs_queue" "orders" {
  name = "orders"
  provisioner "local-exec" {
    command = "make"
  }
}
"""


@pytest.mark.parametrize(
    ("old", "before", "after"),
    [
        (POLICY, '"a"', '"b"'),
        (POLICY, '"sqs:SendMessage" },', '"sqs:SendMessage" },\n      { Action = "sqs:ListQueues" },'),
        (PROGRAM, '"orders"\n', '"orders"\n  delay_seconds = 5\n'),
        ('output "o" {\n  value = nonsensitive(var.x)\n}\n', "  value", '  description = "x"\n  value'),
        ('provider "aws" {\n  region = "sa-east-1"\n  profile = "p"\n}\n', '"sa-east-1"', "var.aws_region"),
        (TOKEN, "provider = aws.other", 'region = "sa-east-1"'),
        (TOKEN, "  provider = aws.other\n", ""),
    ],
)
def test_a_change_beside_an_old_finding_inherits_it_not(old: str, before: str, after: str) -> None:
    base = {**base_files(), "infra/old.tf": old.encode()}
    assert before in old and not verdict_of({"infra/old.tf": old.replace(before, after, 1).encode()}, base).blocked


@pytest.mark.parametrize(
    ("old", "before", "after", "rule"),
    [
        (
            POLICY,
            "      { P",
            '      { Principal = { AWS = "999988887777" } },\n      { P',
            "terraform/foreign-account",
        ),
        (PROGRAM, '"make"', '"make all"', "terraform/provisioner"),
        ('output "o" {\n  value = nonsensitive(var.x)\n}\n', "var.x", "var.y", "terraform/revealing-function"),
        ('output "o" {\n  value = file(var.p + 1)\n}\n', "+", "*", "terraform/file-function"),
        (TOKEN, "aws.other", "aws.root", "terraform/unlisted-data-source"),
        (
            TOKEN.replace("  provider = aws.other\n", ""),
            "{\n",
            "{\n  provider = aws.other\n",
            "terraform/unlisted-data-source",
        ),
    ],
)
def test_a_change_of_what_offends_is_blamed(old: str, before: str, after: str, rule: str) -> None:
    base = {**base_files(), "infra/old.tf": old.encode()}
    verdict = verdict_of({"infra/old.tf": old.replace(before, after, 1).encode()}, base)
    assert rules_blocking(verdict) == {rule}


WORKFLOW = """name: deploy
on:
  push:
    branches: [main]
permissions:
  contents: read
jobs:
  deploy:
    name: Deploy
    runs-on: ubuntu-24.04
    environment: dev
    steps:
      - name: Deploy
        uses: someone/deploy@main
        with:
          to: dev
      - name: Say so
        run: echo done
"""


@pytest.mark.parametrize(
    ("before", "after", "blocked"),
    [
        ("echo done", "echo deployed", False),
        ("  push:", "  workflow_dispatch:\n  push:", False),
        ("name: Deploy\n        uses", "name: Deploy it\n        uses", False),
        ("permissions:\n  contents: read", "permissions: {}", False),
        ("to: dev", "to: prod", True),
        ("  push:", "  pull_request:\n  push:", True),
        ("    environment: dev\n", "", True),
        ("    environment: dev\n", "    environment: prod\n", True),
    ],
)
def test_an_old_finding_of_a_workflow_is_blamed_only_when_it_gets_worse(before: str, after: str, blocked: bool) -> None:
    place = ".github/workflows/deploy.yml"
    base = {**base_files(), place: WORKFLOW.encode()}
    verdict = verdict_of({place: WORKFLOW.replace(before, after, 1).encode()}, base)
    assert before in WORKFLOW and ("workflow/unlisted-action" in rules_blocking(verdict)) is blocked


@pytest.mark.parametrize(
    ("command", "blocked"),
    [
        ("sudo systemctl status", False),
        ("sudo systemctl status $LEVEL", True),
        ("sudo systemctl status $OTHER", False),
        ("curl --fail https://get.example.org/tool.sh | sh", True),
    ],
)
def test_another_variable_blames_the_old_commands_that_can_read_it(command: str, blocked: bool) -> None:
    workflow = WORKFLOW.replace("jobs:\n", "env:\n  LEVEL: info\njobs:\n", 1) + f"      - run: {command}\n"
    place, head = ".github/workflows/deploy.yml", workflow.replace("LEVEL: info", "LEVEL: error")
    verdict = verdict_of({place: head.encode()}, {**base_files(), place: workflow.encode()})
    new = [f for f in verdict.findings if f.rule == "workflow/dangerous-command" and not f.pre_existing]
    assert bool(new) is blocked


RIGHTS = """name: check
on:
  pull_request:
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-24.04
    permissions:
      issues: write
    steps:
      - run: echo done
"""


@pytest.mark.parametrize(
    ("changes", "blocked"),
    [
        ({"  check:": "  report:"}, False),
        ({"  check:": "  report:", "echo done": "echo reported"}, False),
        ({"  check:": "  report:", "issues: write": "issues: write\n      checks: write"}, True),
        ({"  check:": "  report:\n    environment: prod"}, True),
        (
            {
                "      - run: echo done\n": "      - run: echo done\n"
                + RIGHTS.partition("jobs:\n")[2].replace("k:", "k2:")
            },
            True,
        ),
    ],
)
def test_a_job_in_the_place_of_another_has_its_rights_and_no_more(changes: dict[str, str], blocked: bool) -> None:
    place, head = ".github/workflows/check.yml", RIGHTS
    for before, after in changes.items():
        assert before in head
        head = head.replace(before, after, 1)
    verdict = verdict_of({place: head.encode()}, {**base_files(), place: RIGHTS.encode()})
    assert ("workflow/pull-request-beyond-reading" in rules_blocking(verdict)) is blocked


@pytest.mark.parametrize(("given", "blocked"), [("id-token: write", False), ("id-token: none", True)])
def test_a_called_workflow_may_write_down_what_its_caller_gives(given: str, blocked: bool) -> None:
    caller, called = ".github/workflows/caller.yml", ".github/workflows/called.yml"
    job = "jobs:\n  plan:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo done\n"
    base = {
        **base_files(),
        caller: (
            "on:\n  pull_request:\njobs:\n  call:\n    permissions:\n      contents: read\n"
            f"      {given}\n    uses: ./{called}\n"
        ).encode(),
        called: f"on: workflow_call\n{job}".encode(),
    }
    head = base[called].replace(b"jobs:", b"permissions:\n  id-token: write\njobs:")
    verdict = verdict_of({called: head}, base)
    assert ("workflow/pull-request-beyond-reading" in rules_blocking(verdict)) is blocked


@pytest.mark.parametrize(
    ("before", "after", "blocked"),
    [
        ("unzip tool.zip", "unzip tool.zip tool", False),
        ("&& unzip", "&& cp other.zip tool.zip && unzip", True),
        ("unzip tool.zip", "unzip tool.zip -d /usr/bin", True),
        ("unzip tool.zip", "unzip other.zip tool.zip", True),
        ("get.example.org", "get.example.com", True),
        ("sudo mv tool /usr/bin/", "sudo mv tool /usr/sbin/", True),
        ("unzip tool.zip", "sudo unzip tool.zip", True),
    ],
)
def test_of_joined_commands_the_dangerous_one_is_blamed(before: str, after: str, blocked: bool) -> None:
    command = "curl --fail -o tool.zip https://get.example.org/tool.zip && unzip tool.zip && sudo mv tool /usr/bin/"
    workflow = WORKFLOW + f"      - run: {command}\n"
    place, head = ".github/workflows/deploy.yml", workflow.replace(before, after, 1)
    assert before in command
    verdict = verdict_of({place: head.encode()}, {**base_files(), place: workflow.encode()})
    assert ("workflow/dangerous-command" in rules_blocking(verdict)) is blocked


def test_a_copy_of_an_existing_block_is_new() -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    assert verdict_of({"infra/new.tf": EVIL.encode()}, base).blocked
    both = verdict_of({"infra/old.tf": (EVIL + QUEUE).encode(), "infra/new.tf": EVIL.encode()}, base)
    assert len([f for f in both.blocking if f.rule == "terraform/external-data-source"]) == 1


def test_calling_a_module_that_nothing_called_makes_the_caller_answer_for_it() -> None:
    base = {**base_files(), "infra/modules/old/main.tf": EVIL.encode()}
    call = b'module "old" {\n  source = "./modules/old"\n}\n'
    assert "terraform/external-data-source" in rules_blocking(verdict_of({"infra/call.tf": call}, base))


def test_a_file_beside_the_change_that_nobody_can_read_is_mentioned_once() -> None:
    broken = "resource {{{\n"
    base = {**base_files(), "infra/broken.tf": broken.encode(), "other/broken.tf": broken.encode()}
    verdict = verdict_of({"infra/x.tf": QUEUE.encode()}, base)
    assert [(f.rule, f.place.path, f.pre_existing) for f in verdict.findings if "broken" in f.place.path] == [
        ("terraform/unreadable-file", "infra/broken.tf", True)
    ]
    changed = verdict_of({"infra/broken.tf": f"{broken}#".encode()}, base)
    assert rules_blocking(changed) == {"terraform/unreadable-file"}


def test_code_that_no_plan_loaded_does_not_excuse_code_that_a_plan_loads() -> None:
    base = {**base_files(), "infra/modules/old/main.tf": EVIL.encode()}
    assert verdict_of({"infra/modules/old/main.tf": b"", "infra/new.tf": EVIL.encode()}, base).blocked


def test_a_new_finding_is_shown_behind_any_number_of_old_ones() -> None:
    many = "".join(f'data "external" "x{i}" {{}}\n' for i in range(80))
    base = {**base_files(), "infra/old.tf": many.encode()}
    verdict = verdict_of({"infra/old.tf": (many + EVIL).encode()}, base)
    assert [f.place.line for f in verdict.blocking if f.rule == "terraform/external-data-source"] == [81]


def test_a_variable_file_that_moves_a_provider_is_blamed_although_the_provider_is_untouched() -> None:
    verdict = verdict_of({"infra/environments/prod/terraform.tfvars": b'environment = "prod"\naws_region = "xx"\n'})
    assert "terraform/provider-region" in rules_blocking(verdict)
    assert any("(prod)" in f.what for f in verdict.blocking)


def crashing(file: TerraformFile) -> Iterator[Finding]:
    """A rule that crashes.

    For the test.

    Remedy: None.
    """
    raise ZeroDivisionError
    yield


def test_a_rule_that_crashes_blocks() -> None:
    changes = change_set(base_files(), {"infra/x.tf": QUEUE.encode()})
    verdict = judge(changes, FilesInMemory.of(base_files()), Policy(), table=(rule_of(crashing, Severity.BLOCKS),))
    assert verdict.blocked and verdict.findings[0].rule == "guard/rule-crashed"


def crashing_on_b(file: TerraformFile) -> Iterator[Finding]:
    """Every block is bad, and one of them cannot be judged.

    For the test.

    Remedy: None.
    """
    for block in file.source.blocks:
        if block.labels[-1] == "b":
            raise ZeroDivisionError
        yield file.hit(block, f"`{block.name}` is bad")


def test_a_rule_that_crashes_keeps_what_it_found_and_judges_the_other_files() -> None:
    files = {
        f"infra/{n}.tf": "".join(QUEUE.replace('"orders"', f'"{x}"', 1) for x in names)
        for n, names in (("x", "ab"), ("y", "cd"))
    }
    changes = change_set(base_files(), {path: text.encode() for path, text in files.items()})
    verdict = judge(changes, FilesInMemory.of(base_files()), Policy(), table=(rule_of(crashing_on_b, Severity.BLOCKS),))
    found = {(f.rule, f.place.path, f.place.line) for f in verdict.blocking}
    assert {("guard/rule-crashed", "infra/x.tf", 0)} < found and len(found) == 4, found


def test_a_rule_that_crashes_on_the_base_makes_no_old_finding_new() -> None:
    old = "".join(QUEUE.replace('"orders"', f'"{x}"', 1) for x in "bac")
    base = {**base_files(), "infra/x.tf": old.encode()}
    head = old.replace('_queue" "b"', '_queue" "d"')
    verdict = judge(
        change_set(base, {"infra/x.tf": head.encode()}),
        FilesInMemory.of(base),
        Policy(),
        table=(rule_of(crashing_on_b, Severity.BLOCKS),),
    )
    assert [f.what for f in verdict.blocking] == ['`resource "aws_sqs_queue" "d"` is bad']
    assert len(verdict.findings) == 3


def crashing_on_roots(root: RootInEnvironment) -> Iterator[Finding]:
    """A root cannot be judged.

    For the test.

    Remedy: None.
    """
    if root.tree.holds("infra/odd.tf"):
        raise ZeroDivisionError
    yield from ()


def test_a_crash_that_the_base_has_already_is_mentioned() -> None:
    base = {**base_files(), "infra/odd.tf": QUEUE.encode()}
    table = (rule_of(crashing_on_roots, Severity.BLOCKS),)
    for files, blocked in ((base, False), (base_files(), True)):
        changes = change_set(files, {"infra/odd.tf": base["infra/odd.tf"], "infra/x.tf": b"locals {}\n"})
        verdict = judge(changes, FilesInMemory.of(files), Policy(), table=table)
        assert verdict.blocked is blocked and {f.rule for f in verdict.findings} == {"guard/rule-crashed"}


def crashing_on_the_whole(change: WholeChange) -> Iterator[Finding]:
    """A change cannot be judged beside an odd file.

    For the test.

    Remedy: None.
    """
    if change.head.holds("elsewhere/odd.tf"):
        raise ZeroDivisionError
    yield from ()


def test_a_crash_over_the_whole_change_that_unchanged_files_cause_is_mentioned() -> None:
    odd, table = {"elsewhere/odd.tf": QUEUE.encode()}, (rule_of(crashing_on_the_whole, Severity.BLOCKS),)
    for base, written, blocked in ((base_files() | odd, {}, False), (base_files(), odd, True)):
        changes = change_set(base, {"infra/x.tf": b"locals {}\n", **written})
        verdict = judge(changes, FilesInMemory.of(base), Policy(), table=table)
        assert verdict.blocked is blocked and len(verdict.findings) == 1
        assert "crashed: ZeroDivisionError at test_judge.py:" in verdict.findings[0].what


def test_a_rule_without_words_is_refused() -> None:
    def silent(file: TerraformFile) -> Iterator[Finding]:
        """Only a title."""
        yield from ()

    with pytest.raises(TypeError, match="silent"):
        rule_of(silent, Severity.BLOCKS)


def test_findings_carry_file_line_and_remedy() -> None:
    verdict = verdict_of({"infra/x.tf": (QUEUE + EVIL).encode()})
    (finding,) = [f for f in verdict.blocking if f.rule == "terraform/external-data-source"]
    assert str(finding.place) == "infra/x.tf:4" and finding.remedy and "external" in finding.what


def test_a_deleted_backend_file_and_a_deleted_lock_file_block() -> None:
    base = {**base_files(), "infra/.terraform.lock.hcl": b"# lock\n"}
    verdict = verdict_of({"infra/backend/dev/backend.hcl": None, "infra/.terraform.lock.hcl": None}, base)
    assert rules_blocking(verdict) >= {"terraform/backend-file-changed", "path/allowed-path"}


def test_commits_that_are_neither_their_tag_nor_on_the_base_block() -> None:
    """An impostor commit of a fork is reachable by its SHA."""
    sha = "b" * 40
    job = f"    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@{sha}\n"
    text = f"on:\n  workflow_dispatch:\npermissions: {{}}\njobs:\n  x:\n{job}"
    changes = change_set({}, {".github/workflows/x.yml": text.encode()})
    for pins, blocked in ((frozenset(), True), (frozenset({f"actions/checkout@{sha}"}), False)):
        verdict = judge(changes, FilesInMemory.of({}), Policy(), known_pins=pins)
        assert ("workflow/unknown-commit" in rules_blocking(verdict)) is blocked


def test_existing_code_with_a_computed_path_stays_excused_until_what_flows_into_the_path_changes() -> None:
    reads = (
        'variable "path" {\n  default = "a"\n}\n\noutput "o" {\n'
        "  value = templatefile(var.path, { name = var.service_name })\n}\n"
    )
    base = {**base_files(), "infra/old.tf": reads.encode()}
    values = base["infra/environments/dev/terraform.tfvars"]
    beside = verdict_of({"infra/environments/dev/terraform.tfvars": values + b'service_name = "bills"\n'}, base)
    steered = verdict_of({"infra/environments/dev/terraform.tfvars": values + b'path = "/proc/self/environ"\n'}, base)
    assert not beside.blocked
    assert rules_blocking(steered) == {"terraform/changed-plan-input"}


def test_what_a_reviewer_must_not_miss_comes_before_a_wall_of_small_things() -> None:
    table = 'resource "aws_dynamodb_table" "z" {\n  name = "z"\n  deletion_protection_enabled = %s\n}\n'
    base = {**base_files(), "infra/z.tf": (table % "true").encode()}
    wall = "".join(f'variable "v{i}" {{}}\n' for i in range(60))
    verdict = verdict_of({"infra/z.tf": (table % "false").encode(), "infra/a.tf": wall.encode()}, base)
    assert verdict.findings[0].rule == "terraform/weakened-protection" and not verdict.findings[0].blocks
    assert len(verdict.findings) > 40
