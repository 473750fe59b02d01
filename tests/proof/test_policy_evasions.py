"""Spellings of wide rights that look narrow (H, A10 of the security bar): wildcards inside words and paths, AWS's own
wide policies.
"""

from __future__ import annotations

import json

import pytest

from ops_agent.model.plan import ResourceAction, ResourceChange
from ops_agent.plan.iam import policy_findings


def _rules(type_: str, **after: object) -> set[str]:
    change = ResourceChange(
        address=f"{type_}.x",
        type=type_,
        action=ResourceAction.CREATE,
        before=None,
        after=after,
        changed_attributes=tuple(after),
    )
    return {danger.rule for danger in policy_findings(change)}


def _policy(action: str, resource: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:PassRole", "arn:aws:iam::125611408459:role/*"),
        ("iam:PassRol?", "*"),
        ("iam:Pass*", "arn:aws:iam::*:*"),
        ("iam:AttachGroupPolicy", "*"),
        ("sts:AssumeRole", "arn:aws:iam::*:role/*"),
        ("iam:PassRole", "**"),
        ("iam:**", "arn:aws:iam::125611408459:role/one"),
        ("**", "arn:aws:s3:::one"),
        ("*:*", "arn:aws:s3:::one"),
    ],
)
def test_a_wide_right_is_a_danger_however_it_is_spelled(action: str, resource: str) -> None:
    assert "plan/iam-wildcard" in _rules("aws_iam_policy", policy=_policy(action, resource))


def test_a_right_on_one_role_is_none() -> None:
    assert not _rules("aws_iam_policy", policy=_policy("iam:PassRole", "arn:aws:iam::125611408459:role/orders-task"))


@pytest.mark.parametrize(
    "name", ["AdministratorAccess", "AdministratorAccess-Amplify", "AmazonS3FullAccess", "SecretsManagerReadWrite"]
)
def test_a_wide_policy_of_aws_is_a_danger(name: str) -> None:
    assert "plan/iam-wildcard" in _rules("aws_iam_role_policy_attachment", policy_arn=f"arn:aws:iam::aws:policy/{name}")


def test_a_policy_for_logs_is_none() -> None:
    assert not _rules(
        "aws_iam_role_policy_attachment", policy_arn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )
