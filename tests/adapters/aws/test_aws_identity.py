"""The credentials that a run gets, and what happens when they are the wrong ones."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import replace
from urllib.parse import urlsplit

import jwt
import pytest

from ops_agent.adapters.aws.identity import bedrock_keys
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.model.errors import AwsError, ConfigError, PolicyViolation
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Environment
from ops_agent_demo.aws.trust import Refusal

DEV, PROD = "125611408459", "283165662494"
ROLE = f"arn:aws:iam::{DEV}:role/ops-agent-plan"
ENV = Environment(name="dev", account=DEV, backend_file=None)


def operations(aws) -> list[str]:
    return [call.operation for call in aws.calls]


def test_the_lease_of_an_environment_is_made_by_three_requests_and_holds_no_credential(identity, aws, masked):
    """The audience is exactly STS's; the variables hold no part of the session."""
    with identity().lease(ENV) as lease:
        assert lease.account == DEV
        assert set(lease.variables) == {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}
        assert not any(secret in value for secret in masked for value in lease.variables.values())
    assert operations(aws) == ["IdToken", "AssumeRoleWithWebIdentity", "GetCallerIdentity"]
    assert aws.calls[0].form == {"audience": "sts.amazonaws.com"}


def test_the_token_and_both_secrets_of_the_session_are_masked_before_the_lease_is_handed_out(identity, masked):
    """Token, secret key and session token."""
    with identity().lease(ENV):
        assert len(masked) == 3
        assert masked[0].count(".") == 2


def test_a_session_is_short_named_after_the_run_and_narrowed_by_our_policy(identity, aws):
    """It has a session policy, lasts 900 to 3600 s, and its name holds the run's id."""
    with identity().lease(ENV):
        form = next(call.form for call in aws.calls if call.operation == "AssumeRoleWithWebIdentity")
    assert form["RoleSessionName"] == "ops-agent-77"
    assert 900 <= int(form["DurationSeconds"]) <= 3600
    assert form["PolicyArns.member.1.arn"] == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    statements = {s["Sid"]: s for s in json.loads(form["Policy"])["Statement"]}
    assert statements["Region"]["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": "sa-east-1"}}
    assert statements["Accounts"]["Condition"]["StringNotEquals"]["aws:ResourceAccount"] == sorted(
        Policy().accounts.values()
    )
    assert "secretsmanager:GetSecretValue" in statements["Secrets"]["Action"]


def test_a_session_for_bedrock_may_invoke_and_nothing_else_and_is_masked(aws, masked):
    """Whatever the role allows: there is no managed policy beside the session's own."""
    variables = aws.runner_variables("repo:DrivvenConsulting/orders:environment:dev")
    runner = Runner(url=variables["ACTIONS_ID_TOKEN_REQUEST_URL"], token=variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    keys = bedrock_keys(Sts("sa-east-1", endpoint=aws.endpoint), runner, ROLE, "77", masked.append)()
    form = next(call.form for call in aws.calls if call.operation == "AssumeRoleWithWebIdentity")
    (statement,) = json.loads(form["Policy"])["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "bedrock:InvokeModelWithResponseStream")
    assert "PolicyArns.member.1.arn" not in form and form["RoleSessionName"] == "ops-agent-llm-77"
    assert 0 < keys.expires_at - time.time() <= 3_600 and masked[1:] == [keys.secret_key, keys.session_token]


def test_an_account_that_is_not_ours_stops_the_run_before_a_lease_exists(identity, aws):
    """The answer of GetCallerIdentity counts, not the account in the ARN."""
    aws.answer_as("999999999999")
    with pytest.raises(PolicyViolation, match="acts in AWS account 999999999999"), identity().lease(ENV):
        pytest.fail("a lease was handed out")


def test_the_account_of_another_environment_stops_the_run_too(identity, aws):
    """Dev's directory with a role in prod's account."""
    aws.answer_as(PROD)
    with (
        pytest.raises(PolicyViolation, match=f"acts in AWS account {PROD}, but the environment's account is {DEV}"),
        identity().lease(ENV),
    ):
        pytest.fail("a lease was handed out")


@pytest.mark.parametrize(
    "role",
    [
        f"arn:aws:iam::{PROD}:role/ops-agent-plan",
        "arn:aws:iam::999999999999:role/ops-agent-plan",
        f"arn:aws-cn:iam::{DEV}:role/ops-agent-plan",
        f"arn:aws:iam::{DEV}:user/ops-agent-plan",
        f"arn:aws:iam::{DEV}:role/x y",
        f"arn:aws:iam::{DEV}:role/x\n",
        "ops-agent-plan",
    ],
)
def test_a_role_that_cannot_be_the_environments_stops_before_any_request(identity, aws, role):
    """Foreign account, other partition, not a role, malformed."""
    with pytest.raises(ConfigError), identity(roles={"dev": role}).lease(ENV):
        pytest.fail("a lease was handed out")
    assert aws.calls == ()


def test_an_environment_without_role_or_account_is_named_with_the_reason(identity):
    assert "no role was given" in identity(roles={}).unplanned_reason(ENV)
    assert "no AWS account" in identity().unplanned_reason(replace(ENV, account=None))
    assert identity().unplanned_reason(ENV) is None


def test_a_job_without_the_id_token_permission_gets_an_error_without_a_request(identity, aws):
    with (
        pytest.raises(AwsError, match="may not ask for an OIDC token") as caught,
        identity(runner=Runner(url="", token="")).lease(ENV),
    ):
        pytest.fail("a lease was handed out")
    assert "id-token: write" in caught.value.hint
    assert aws.calls == ()


def test_broken_answers_are_asked_again_and_then_named(identity, aws):
    """The token endpoint answers 5xx."""
    down = Refusal(status=503, code="ServiceUnavailable", message="try later")
    aws.fail_next(down, down)
    with identity().lease(ENV) as lease:
        assert lease.account == DEV
    aws.fail_next(*[down] * 4)
    with (
        pytest.raises(AwsError, match=r"GitHub's token endpoint did not answer in 4 attempts \(status 503\)"),
        identity().lease(ENV),
    ):
        pytest.fail("a lease was handed out")


def test_an_endpoint_that_does_not_answer_is_named(identity):
    nobody = Runner(url="http://127.0.0.1:9/oidc/token?x=1", token="t")
    with pytest.raises(AwsError, match="did not answer in 4 attempts"), identity(runner=nobody).lease(ENV):
        pytest.fail("a lease was handed out")


def test_a_trust_policy_that_refuses_the_subject_is_explained_with_the_jobs_own_and_no_token(identity, aws, masked):
    """Permanent, asked once, names the `sub` that the trust policy must accept."""
    with (
        pytest.raises(AwsError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity") as caught,
        identity(sub="repo:x/y:ref:z").lease(ENV),
    ):
        pytest.fail("a lease was handed out")
    assert "`repo:x/y:ref:z`" in caught.value.hint
    assert not any(secret in str(caught.value) + caught.value.hint for secret in masked)
    assert operations(aws) == ["IdToken", "AssumeRoleWithWebIdentity"]


def test_an_account_without_the_provider_is_told_the_tokens_own_issuer(aws):
    """A GitHub Enterprise Server issues its own tokens."""
    aws.refuse_roles(Refusal(status=400, code="InvalidIdentityToken", message="No OpenIDConnect provider found"))
    token = jwt.encode({"iss": "https://ghes.example/_services/token", "sub": "repo:a/b:ref:c"}, "k" * 32)
    try:
        with pytest.raises(AwsError, match="No OpenIDConnect provider found") as caught:
            sts = Sts("sa-east-1", endpoint=aws.endpoint)
            sts.assume("arn:aws:iam::125611408459:role/r", token, name="n", policy="{}", seconds=900)
    finally:
        aws.refuse_roles(None)
    assert "(ghes.example/_services/token, audience sts.amazonaws.com)" in caught.value.hint
    assert token not in caught.value.hint


def test_a_renewal_that_aws_refuses_ends_the_lease_with_awss_reason(identity, aws):
    """The plan failed because of it, so the run must not blame the configuration."""
    aws.shorten_sessions(1)
    with pytest.raises(AwsError, match="Not authorized"), identity().lease(ENV) as lease:
        refused = Refusal(
            status=403, code="AccessDenied", message="Not authorized to perform sts:AssumeRoleWithWebIdentity"
        )
        aws.refuse_roles(refused)
        address = urlsplit(lease.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
        connection.request(
            "GET", address.path, headers={"Authorization": lease.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
        )
        assert connection.getresponse().status == 500
        aws.refuse_roles(None)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_ten_minutes_off_is_named_as_the_cause(identity, aws, minutes):
    """The runner's clock as AWS's Date header shows it."""
    aws.issuer.skew = -600.0
    wrong = Sts("sa-east-1", endpoint=aws.endpoint, now=lambda: time.time() + minutes * 60, sleep=lambda _: None)
    with pytest.raises(AwsError, match="ExpiredTokenException") as caught, identity(sts=wrong).lease(ENV):
        pytest.fail("a lease was handed out")
    assert "clock is 600 s" in caught.value.hint.replace("599", "600").replace("601", "600")
    assert ("behind" if minutes < 0 else "ahead") in caught.value.hint


def test_a_token_never_travels_in_clear(identity):
    """A token endpoint that is neither https nor on this machine is refused before anything is sent."""
    plain = Runner(url="http://evil.example/token?x=1", token="t")
    with pytest.raises(AwsError, match="only https leaves the machine"), identity(runner=plain).lease(ENV):
        pytest.fail("a lease was handed out")


def test_the_regional_endpoint_of_sts_is_used_unless_an_emulator_is_named():
    assert Sts("sa-east-1").endpoint == "https://sts.sa-east-1.amazonaws.com"


def test_the_request_token_is_not_in_the_runners_repr():
    assert "secret" not in repr(Runner(url="https://x", token="secret"))
