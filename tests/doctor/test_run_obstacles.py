"""What is in the repository and would fail a run is named before the run, and when a plan fails for that reason."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops_agent.adapters.aws.sts import session_policy
from ops_agent.adapters.terraform.diagnostics import from_json
from ops_agent.config.settings import Settings
from ops_agent.doctor.checks import CHECKS
from ops_agent.doctor.diagnosis import Health, Setup
from ops_agent.model.change_set import TreeEntry
from ops_agent.model.policy import Policy
from ops_agent.terraform.layout import discover_layout
from ops_agent.terraform.obstacles import DENIED, DENIED_REMEDY, denied_reads

BACKEND = 'terraform {\n  backend "s3" {}\n}\n'
SECRET = 'resource "aws_secretsmanager_secret_version" "key" {\n  secret_id = "x"\n}\n'
PERMISSIONS = json.loads((Path(__file__).parents[2] / "docs/setup/permissions-policy.json").read_text())


def setup(files: dict[str, str]) -> Setup:
    content = {path: text.encode() for path, text in files.items()}
    entries = {path: TreeEntry(path=path, mode="100644", blob="b" * 40, size=1) for path in content}
    tree: Any = SimpleNamespace(commit="a" * 40, entries=lambda: entries, read=content.__getitem__)
    layout = discover_layout(content, tree.read, Policy())
    world: Any = SimpleNamespace()
    return Setup(settings=Settings(), world=world, environment={}, tree=tree, layout=layout)


def named(files: dict[str, str]) -> list[str]:
    return [one.what for one in CHECKS["layout"](setup(files)) if one.subject == "plans" and one.health is Health.WARN]


def test_the_doctor_names_file_line_block_call_and_root() -> None:
    found = [one for one in CHECKS["layout"](setup({"infra/main.tf": BACKEND + SECRET})) if one.subject == "plans"]
    assert [(one.health, one.hint) for one in found] == [(Health.WARN, DENIED_REMEDY)]
    assert found[0].what == (
        'infra/main.tf:4: `resource "aws_secretsmanager_secret_version" "key"` is read with '
        "`secretsmanager:GetSecretValue`, so plans of `infra` fail with AccessDenied once it is deployed"
    )


def test_a_module_names_every_root_that_reaches_it_and_an_unused_one_nobody() -> None:
    call = 'module "m" {\n  source = "../modules/m"\n}\n'
    files = {
        "one/main.tf": BACKEND + call,
        "two/main.tf": BACKEND + call,
        "three/main.tf": BACKEND,
        "modules/m/main.tf": SECRET,
    }
    assert len(named(files)) == 1 and "plans of `one`, `two` fail" in named(files)[0]
    assert named({**files, "one/main.tf": BACKEND, "two/main.tf": BACKEND}) == []


def test_reads_in_json_files_are_named_too() -> None:
    source = json.dumps({"data": {"aws_ssm_parameter": {"p": {"name": "/x"}}}})
    found = named({"infra/main.tf": BACKEND, "infra/data.tf.json": source})
    assert len(found) == 1 and "`ssm:GetParameter`, so plans of `infra` fail with AccessDenied" in found[0]


@pytest.mark.parametrize(
    "harmless",
    [
        'resource "aws_secretsmanager_secret" "s" {}\n',
        'data "aws_secretsmanager_secret" "s" {}\n',
        'resource "aws_db_instance" "d" {\n  password = var.password\n}\n',
        'resource "aws_kms_ciphertext" "c" {}\n',
        'resource "aws_iam_access_key" "k" {\n  user = "u"\n}\n',
        'resource "aws_lambda_invocation" "i" {}\n',
        'data "aws_eks_cluster_auth" "a" {\n  name = "c"\n}\n',
        'provider "aws" {\n  region = var.region\n}\n',
        'resource "aws_secretsmanager_secret_version" {\n',
    ],
)
def test_what_is_refreshed_by_describing_alone_is_not_named(harmless: str) -> None:
    assert named({"infra/main.tf": BACKEND, "infra/more.tf": harmless}) == []


def test_every_call_of_the_table_is_one_that_the_documented_role_does_not_give() -> None:
    allowed = [
        action
        for statement in PERMISSIONS["Statement"]
        if statement["Effect"] == "Allow" and statement["Resource"] == "*"
        for action in statement["Action"]
    ]
    calls = {action for types in DENIED.values() for action in types.values()}
    assert not calls & set(allowed)
    assert "*" not in "".join(a for a in allowed if a.split(":")[0] in {call.split(":")[0] for call in calls})
    assert "secretsmanager:GetSecretValue" in session_policy("sa-east-1", ["125611408459"])


@pytest.mark.parametrize(
    ("block", "call"),
    [
        ('data "aws_ssm_parameter" "secure" {\n  name = "/x"\n}\n', "ssm:GetParameter"),
        ('data "aws_kms_secrets" "s" {}\n', "kms:Decrypt"),
        ('data "terraform_remote_state" "network" {\n  backend = "s3"\n}\n', "s3:GetObject"),
        ('data "aws_ecr_authorization_token" "t" {}\n', "ecr:GetAuthorizationToken"),
        ('resource "aws_s3_object_copy" "o" {}\n', "s3:GetObject"),
        ('ephemeral "aws_secretsmanager_random_password" "p" {}\n', "secretsmanager:GetRandomPassword"),
    ],
)
def test_what_hands_out_values_is_named_with_its_call(block: str, call: str) -> None:
    (said,) = named({"infra/main.tf": BACKEND, "infra/more.tf": block})
    assert f"is read with `{call}`, so plans of `infra` fail with AccessDenied" in said


def test_each_value_that_the_session_policy_denies_and_terraform_can_read_is_in_the_table() -> None:
    """The session policy is what counts in the end: a call it denies by name, and that some block makes, is named
    beforehand.
    """
    (denied_calls,) = [
        s["Action"]
        for s in json.loads(session_policy("sa-east-1", ["125611408459"]))["Statement"]
        if s["Sid"] == "Secrets"
    ]
    no_block_calls = {
        *(
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:PartiQL*",
            "sqs:ReceiveMessage",
            "kinesis:GetRecords",
        ),
        *("logs:GetLogEvents", "logs:FilterLogEvents", "logs:StartQuery", "sts:AssumeRole*", "sts:GetFederationToken"),
    }
    calls = {action for types in DENIED.values() for action in types.values()}
    for pattern in set(denied_calls) - no_block_calls:
        assert fnmatch.filter(calls, pattern), pattern


def denied(action: str) -> dict[str, Any]:
    who = "arn:aws:sts::1:assumed-role/r/s"
    detail = f"AccessDeniedException: User: {who} is not authorized to perform: {action} on resource: x"
    return {
        "severity": "error",
        "summary": "error reading",
        "detail": detail,
        "range": {"filename": "main.tf", "start": {"line": 4}},
    }


def test_a_plan_that_fails_with_access_denied_gives_the_same_remedy() -> None:
    found = from_json("plan", "infra", [denied("secretsmanager:GetSecretValue"), denied("sns:GetTopicAttributes")])
    assert found[0].remedy == DENIED_REMEDY and found[0].place.line == 4
    assert "`sns:GetTopicAttributes`" in found[1].remedy and "docs/setup/aws-role.md" in found[1].remedy
    assert (
        from_json("plan", "infra", [{"severity": "error", "summary": "Unsupported argument"}])[0].remedy
        != DENIED_REMEDY
    )


def test_a_layout_without_roots_has_nothing_to_name() -> None:
    assert denied_reads(discover_layout((), lambda _: b"", Policy()), (), lambda _: b"") == ()
