"""The shipped IAM templates hold what docs/setup/aws-role.md promises."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from entry_points.action_files import ROOT
from ops_agent.adapters.aws.sts import session_policy
from ops_agent.model.policy import Policy

SETUP = ROOT / "docs/setup"
TRUST = [SETUP / "trust-policy.json", SETUP / "trust-policy-classic.json"]
WORDS_THAT_READ = ("Describe", "Get", "List")
SECRET = {
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "lambda:InvokeFunction",
}


def statements(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["Statement"])


def actions(statement: dict[str, Any]) -> list[str]:
    given = statement.get("Action", statement.get("NotAction", []))
    return [given] if isinstance(given, str) else given


@pytest.mark.parametrize("path", TRUST, ids=lambda p: p.name)
def test_a_trust_policy_names_one_subject_with_its_environment_and_no_wildcard(path: Path) -> None:
    assert (
        "*" not in path.read_text() and "StringLike" not in path.read_text() and "ForAllValues" not in path.read_text()
    )
    (statement,) = statements(path)
    assert set(statement["Condition"]) == {"StringEquals"}
    claims = statement["Condition"]["StringEquals"]
    assert claims["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    subject = claims["token.actions.githubusercontent.com:sub"]
    assert (
        isinstance(subject, str)
        and subject.startswith("repo:DrivvenConsulting")
        and subject.endswith(":environment:ops-agent")
    )
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_the_role_is_allowed_to_read_by_name_and_nothing_else() -> None:
    for statement in statements(SETUP / "permissions-policy.json"):
        if statement["Effect"] == "Allow":
            for action in actions(statement):
                assert "*" not in action
                assert action.split(":")[1].startswith(WORDS_THAT_READ) or action == "kms:Decrypt", action


def test_an_object_and_a_key_are_read_only_by_their_exact_name() -> None:
    allowed = {
        a: s["Resource"]
        for s in statements(SETUP / "permissions-policy.json")
        if s["Effect"] == "Allow"
        for a in actions(s)
    }
    assert "*" not in allowed["s3:GetObject"] and "*" not in allowed["kms:Decrypt"]


def test_secrets_calls_other_roles_and_other_regions_are_denied() -> None:
    denied = [s for s in statements(SETUP / "permissions-policy.json") if s["Effect"] == "Deny"]
    everywhere = {a for s in denied if s.get("Resource") == "*" and "Action" in s for a in actions(s)}
    assert everywhere >= SECRET and "sts:AssumeRole" in everywhere
    (region,) = [s for s in denied if "NotAction" in s]
    assert region["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": Policy().region}}


def test_the_account_in_the_templates_is_the_one_of_dev() -> None:
    policy = Policy()
    for path in [*TRUST, SETUP / "permissions-policy.json"]:
        assert policy.accounts["dev"] in path.read_text()
        assert policy.accounts["prod"] not in path.read_text()


def test_the_template_allows_nothing_that_the_session_policy_denies_by_name() -> None:
    session = json.loads(session_policy(Policy().region, Policy().accounts.values()))
    names = {a for s in session["Statement"] if s["Effect"] == "Deny" and "Condition" not in s for a in actions(s)}
    allowed = {a for s in statements(SETUP / "permissions-policy.json") if s["Effect"] == "Allow" for a in actions(s)}
    assert not names & allowed


def test_the_link_that_fills_the_form_asks_for_what_the_manifest_asks_for() -> None:
    manifest = json.loads((SETUP / "github-app-manifest.json").read_text())
    (link,) = re.findall(
        r"https://github\.com/organizations/\S+/apps/new\?(\S+)", (SETUP / "github-app.md").read_text()
    )
    given = dict(parse_qsl(link))
    assert (given.pop("public"), given.pop("webhook_active")) == ("false", "false")
    assert given.pop("name") == manifest["name"] and given.pop("url").startswith("https://github.com/")
    assert {**given, "metadata": "read"} == manifest["default_permissions"]


def test_the_apps_manifest_asks_for_what_the_documents_name() -> None:
    manifest = json.loads((SETUP / "github-app-manifest.json").read_text())
    assert manifest["default_permissions"] == {
        "contents": "write",
        "issues": "write",
        "pull_requests": "write",
        "workflows": "write",
        "organization_projects": "write",
        "metadata": "read",
    }
    assert manifest["public"] is False and manifest["default_events"] == []


def test_the_role_for_bedrock_may_only_ask_one_profile_and_its_model_through_it() -> None:
    given = statements(SETUP / "bedrock-policy.json")
    assert [s["Effect"] for s in given] == ["Allow"] * 3
    assert {a for s in given for a in actions(s)} == {"bedrock:InvokeModelWithResponseStream"}
    profile, *models = given
    assert ":inference-profile/global.anthropic." in profile["Resource"] and "*" not in str(given)
    for statement in models:
        assert "::foundation-model/anthropic." in statement["Resource"]
        assert statement["Condition"]["StringEquals"]["bedrock:InferenceProfileArn"] == profile["Resource"]
