"""The judge: only the change is blamed, nothing slips through a crash, a move, a dormant module or a wall of old
findings.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops_agent.guard.judge import judge
from ops_agent.guard.rule import Hit, Subject, TerraformFile, WholeChange, WorkflowFile, blocking
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.finding import Severity, Verdict
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


def test_what_stands_on_the_base_untouched_is_reported_and_does_not_block() -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    verdict = verdict_of({"infra/old.tf": (EVIL + QUEUE).encode()}, base)
    assert not verdict.blocked
    assert {f.rule for f in verdict.findings if f.pre_existing and f.severity is Severity.BLOCKS} == {
        "terraform/external-data-source",
        "terraform/provider-source",
    }


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


def test_a_copy_of_a_standing_block_is_new() -> None:
    base = {**base_files(), "infra/old.tf": EVIL.encode()}
    assert verdict_of({"infra/new.tf": EVIL.encode()}, base).blocked
    both = verdict_of({"infra/old.tf": (EVIL + QUEUE).encode(), "infra/new.tf": EVIL.encode()}, base)
    assert len([f for f in both.blocking if f.rule == "terraform/external-data-source"]) == 1


def test_calling_a_module_that_stood_unused_makes_the_caller_answer_for_it() -> None:
    base = {**base_files(), "infra/modules/old/main.tf": EVIL.encode()}
    call = b'module "old" {\n  source = "./modules/old"\n}\n'
    assert "terraform/external-data-source" in rules_blocking(verdict_of({"infra/call.tf": call}, base))


def test_code_that_no_plan_loaded_does_not_excuse_code_that_a_plan_loads() -> None:
    base = {**base_files(), "infra/modules/old/main.tf": EVIL.encode()}
    assert verdict_of({"infra/modules/old/main.tf": b"", "infra/new.tf": EVIL.encode()}, base).blocked


def test_a_new_finding_is_shown_behind_any_number_of_old_ones() -> None:
    many = "".join(f'data "external" "x{i}" {{}}\n' for i in range(80))
    base = {**base_files(), "infra/old.tf": many.encode()}
    verdict = verdict_of({"infra/old.tf": (many + EVIL).encode()}, base)
    assert [f.place.line for f in verdict.blocking if f.rule == "terraform/external-data-source"] == [81]


def test_a_variable_file_that_moves_a_provider_is_blamed_although_the_provider_is_untouched() -> None:
    """D10."""
    verdict = verdict_of({"infra/environments/prod/terraform.tfvars": b'environment = "prod"\naws_region = "xx"\n'})
    assert "terraform/provider-region" in rules_blocking(verdict)
    assert any("(prod)" in f.what for f in verdict.blocking)


def crashing(file: TerraformFile) -> Iterator[Hit]:
    """A rule that crashes.

    For the test.

    Remedy: None.
    """
    raise ZeroDivisionError
    yield


def test_a_rule_that_crashes_blocks() -> None:
    changes = change_set(base_files(), {"infra/x.tf": QUEUE.encode()})
    verdict = judge(changes, FilesInMemory.of(base_files()), Policy(), table=(blocking(crashing),))
    assert verdict.blocked and verdict.findings[0].rule == "guard/rule-crashed"


def test_a_rule_without_words_is_refused() -> None:
    def silent(file: TerraformFile) -> Iterator[Hit]:
        """Only a title."""
        yield from ()

    with pytest.raises(TypeError, match="silent"):
        blocking(silent)


def test_findings_carry_file_line_and_remedy() -> None:
    verdict = verdict_of({"infra/x.tf": (QUEUE + EVIL).encode()})
    (finding,) = [f for f in verdict.blocking if f.rule == "terraform/external-data-source"]
    assert str(finding.place) == "infra/x.tf:4" and finding.remedy and "external" in finding.what


def test_a_deleted_backend_file_and_a_deleted_lock_file_block() -> None:
    """D12, D18."""
    base = {**base_files(), "infra/.terraform.lock.hcl": b"# lock\n"}
    verdict = verdict_of({"infra/backend/dev/backend.hcl": None, "infra/.terraform.lock.hcl": None}, base)
    assert rules_blocking(verdict) >= {"terraform/backend-file-changed", "path/allowed-path"}


def test_commits_that_nobody_vouches_for_block() -> None:
    """F05: an impostor commit of a fork is reachable by its SHA."""
    sha = "b" * 40
    job = f"    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@{sha}\n"
    text = f"on:\n  workflow_dispatch:\npermissions: {{}}\njobs:\n  x:\n{job}"
    changes = change_set({}, {".github/workflows/x.yml": text.encode()})
    for pins, blocked in ((frozenset(), True), (frozenset({f"actions/checkout@{sha}"}), False)):
        verdict = judge(changes, FilesInMemory.of({}), Policy(), known_pins=pins)
        assert ("workflow/unpinned-action" in rules_blocking(verdict)) is blocked


def test_standing_code_with_a_computed_path_stays_excused_until_what_flows_into_the_path_changes() -> None:
    reads = 'variable "path" {\n  default = "a"\n}\n\noutput "o" {\n  value = templatefile(var.path, { name = var.service_name })\n}\n'
    base = {**base_files(), "infra/old.tf": reads.encode()}
    values = base["infra/environments/dev/terraform.tfvars"]
    beside = verdict_of({"infra/environments/dev/terraform.tfvars": values + b'service_name = "bills"\n'}, base)
    steered = verdict_of({"infra/environments/dev/terraform.tfvars": values + b'path = "/proc/self/environ"\n'}, base)
    assert not beside.blocked
    assert rules_blocking(steered) == {"terraform/steered-code"}


def test_what_a_reviewer_must_not_miss_stands_before_a_wall_of_small_things() -> None:
    table = 'resource "aws_dynamodb_table" "z" {\n  name = "z"\n  deletion_protection_enabled = %s\n}\n'
    base = {**base_files(), "infra/z.tf": (table % "true").encode()}
    wall = "".join(f'variable "v{i}" {{}}\n' for i in range(60))
    verdict = verdict_of({"infra/z.tf": (table % "false").encode(), "infra/a.tf": wall.encode()}, base)
    assert verdict.findings[0].rule == "terraform/weakened-protection" and not verdict.findings[0].blocks
    assert len(verdict.findings) > 40
