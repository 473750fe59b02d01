"""Our signer against botocore's, and the shape of the session policy."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.adapters.aws.sts import MAX_CHARACTERS, Credentials, session_policy, signed_headers
from ops_agent.model.policy import Policy

KEY = st.text(alphabet="ABCDEFabcdef0123456789+/=", min_size=1, max_size=60)


@given(access=KEY, secret=KEY, token=KEY, body=st.binary(max_size=200), when=st.integers(946684800, 4102444800))
@pytest.mark.parametrize(
    ("service", "path"),
    [("sts", "/"), ("bedrock", "/model/arn:aws:bedrock:x:1:inference-profile%2Fa.b-v1:0/invoke-with-response-stream")],
)
def test_the_signature_is_the_one_that_botocore_computes(service, path, access, secret, token, body, when):
    url = f"https://{service}.sa-east-1.amazonaws.com{path}"
    ours = signed_headers(
        url,
        body,
        credentials=Credentials(access_key=access, secret_key=secret, session_token=token, expires_at=0),
        region="sa-east-1",
        now=when,
        service=service,
    )
    request = AWSRequest("POST", url, data=body, headers={"content-type": ours["content-type"]})
    signer = SigV4Auth(BotoCredentials(access, secret, token), service, "sa-east-1")
    request.context["timestamp"] = datetime.fromtimestamp(when, UTC).strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    request.headers["X-Amz-Security-Token"] = token
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_secrets_are_not_in_the_repr_of_credentials():
    shown = repr(Credentials(access_key="AKIA", secret_key="wJalr", session_token="FwoG", expires_at=0))
    assert "wJalr" not in shown
    assert "FwoG" not in shown


def test_the_session_policy_fits_into_what_sts_takes_even_with_ten_accounts():
    assert len(session_policy("sa-east-1", [f"{n:012d}" for n in range(10)])) <= MAX_CHARACTERS


@pytest.mark.parametrize(
    "statement",
    json.loads(session_policy("sa-east-1", Policy().accounts.values()))["Statement"],
    ids=lambda s: s["Sid"],
)
def test_the_session_policy_allows_nothing_but_the_decryption_of_state(statement):
    """A linter: one allow, bound to S3 in our region; every other statement denies, whatever the resource."""
    if statement["Effect"] == "Allow":
        assert statement["Action"] == "kms:Decrypt"
        assert statement["Condition"] == {"StringEquals": {"kms:ViaService": "s3.sa-east-1.amazonaws.com"}}
    else:
        assert statement["Effect"] == "Deny"
        assert statement["Resource"] == "*"
    assert not any(operator.startswith(("ForAllValues", "StringLike")) for operator in statement.get("Condition", {}))
    actions = statement.get("Action", statement.get("NotAction"))
    assert all(
        a.partition(":")[0] not in ("*", "") and ":" in a for a in ([actions] if isinstance(actions, str) else actions)
    )


@pytest.mark.parametrize(
    "needed",
    [
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter*",
        "lambda:InvokeFunction",
        "sts:AssumeRole*",
        "sqs:ReceiveMessage",
    ],
)
def test_what_gives_out_secrets_or_runs_code_is_denied(needed):
    statements = json.loads(session_policy("sa-east-1", Policy().accounts.values()))["Statement"]
    assert any(s["Effect"] == "Deny" and needed in s.get("Action", ()) for s in statements)


@given(key=st.text(alphabet="ab/ .+~=%é", min_size=1, max_size=30), when=st.integers(946684800, 4102444800))
def test_the_signature_of_a_read_from_s3_is_the_one_that_botocore_computes(key, when):
    url = f"https://s3.sa-east-1.amazonaws.com/bucket/{quote(key, safe='/~')}"
    keys = Credentials(access_key="AKIA", secret_key="wJalr", session_token="FwoG", expires_at=0)
    ours = signed_headers(url, b"", credentials=keys, region="sa-east-1", now=when, method="GET", service="s3")
    request = AWSRequest("GET", url)
    signer = S3SigV4Auth(BotoCredentials("AKIA", "wJalr", "FwoG"), "s3", "sa-east-1")
    request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = "FwoG"
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={signer.signature(text, request)}")
