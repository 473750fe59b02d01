"""The emulated AWS itself: its STS refuses what the real one refuses, with the same words."""

from __future__ import annotations

import http.client
import json
import threading
import time
from urllib.parse import urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ops_agent_demo.aws.embedded import EmbeddedAws

DEV, PROD = "125611408459", "283165662494"
ROLE = f"arn:aws:iam::{DEV}:role/ops-agent-plan"
SUB = "repo:DrivvenConsulting/orders:environment:dev"


def assume(aws: EmbeddedAws, token: str, **form: str) -> tuple[int, str]:
    fields = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "s",
        "WebIdentityToken": token,
    }
    connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
    connection.request(
        "POST",
        "/",
        urlencode({**fields, "RoleSessionName": "session", **form}),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def good(aws: EmbeddedAws, **claims) -> str:
    return aws.issuer.sign({"sub": SUB, "aud": "sts.amazonaws.com", **claims})


def test_a_good_token_gets_a_session_in_the_roles_own_account(aws):
    status, text = assume(aws, good(aws))
    assert status == 200
    assert f"arn:aws:sts::{DEV}:assumed-role/" in text


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": int(time.time()) - 10}, "ExpiredTokenException"),
        ({"aud": "api.example.com"}, "InvalidIdentityToken"),
        ({"iss": "https://evil.example"}, "InvalidIdentityToken"),
        ({"nbf": int(time.time()) + 3_600}, "InvalidIdentityToken"),
        ({"sub": "repo:DrivvenConsulting/orders:environment:prod"}, "AccessDenied"),
        ({"sub": SUB + "x"}, "AccessDenied"),
    ],
)
def test_a_wrong_claim_is_refused_with_awss_own_code(aws, claims, code):
    status, text = assume(aws, good(aws, **claims))
    assert status in (400, 403)
    assert f"<Code>{code}</Code>" in text
    assert aws.calls[-1].refused == code


def test_a_token_of_another_key_is_refused(aws):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {
        "sub": SUB,
        "aud": "sts.amazonaws.com",
        "iss": aws.issuer.name,
        "iat": time.time(),
        "exp": time.time() + 60,
    }
    assert "<Code>InvalidIdentityToken</Code>" in assume(aws, jwt.encode(claims, key, algorithm="RS256"))[1]
    assert "<Code>InvalidIdentityToken</Code>" in assume(aws, jwt.encode(claims, None, algorithm="none"))[1]


@pytest.mark.parametrize(
    "form", [{"RoleArn": "nonsense"}, {"DurationSeconds": "60"}, {"Policy": "{"}, {"Policy": json.dumps("x" * 3_000)}]
)
def test_a_malformed_request_is_a_validation_error(aws, form):
    assert "<Code>ValidationError</Code>" in assume(aws, good(aws), **form)[1]


def test_the_runners_token_endpoint_wants_its_bearer(aws):
    connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
    connection.request("GET", "/oidc/token?api-version=2.0&audience=x", headers={"Authorization": "bearer wrong"})
    assert connection.getresponse().status == 401


def test_state_buckets_are_in_their_own_accounts(aws):
    account = aws.account(PROD)
    account.put(aws.state_bucket(PROD), "a/b.tfstate", b"{}")
    assert account.get(aws.state_bucket(PROD), "a/b.tfstate") == b"{}"
    assert account.get(aws.state_bucket(PROD), "none") is None


def test_a_held_role_is_given_when_the_work_in_its_account_is_over_and_never_before(aws, monkeypatch):
    """No plan of the demo sees a half-deployed service; a caller that waited too long is asked to try again."""
    monkeypatch.setattr("ops_agent_demo.aws.front._MAX_HOLD", 0.3)
    over = threading.Event()
    aws.hold_role(ROLE, over)
    status, text = assume(aws, good(aws))
    assert (status, "ServiceUnavailable" in text) == (503, True)
    threading.Timer(0.1, over.set).start()
    assert assume(aws, good(aws))[0] == 200
    aws.hold_role("arn:aws:iam::283165662494:role/other", threading.Event())
    assert assume(aws, good(aws))[0] == 200
