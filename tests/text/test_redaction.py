"""No secret, and no part of one, gets past the redactor in any known encoding."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from growth import assert_linear
from ops_agent.model.errors import RedactionFailed
from ops_agent.text.redaction import REDACTED, WINDOW, Redactor, token_finds

SECRET = 'wJalrXUtnF/K7MDENG+bPx"RfiCY<EX>&ü\\z='
TOKENS = {
    "GitHub token": "ghs_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "GitHub personal": "github_pat_11ABCDEFG0123456789abc_" + "x" * 40,
    "Anthropic key": "sk-ant-api03-" + "aB3_-" * 8,
    "OpenAI key": "sk-proj-" + "aB3" * 10,
    "AWS access key": "AKIAIOSFODNN7EXAMPLE",
    "AWS session token": "IQoJb3JpZ2lu" + "aB3/+=" * 20,
    "AWS secret key": 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
    "JSON Web Token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvOm8vciJ9.c2lnbmF0dXJlLWJ5dGVz",
    "Slack token": "xoxb-123456789012-abcdefGHIJKL",
    "Slack webhook": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "Stripe key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "Google key": "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "GitLab token": "glpat-" + "x1Y2z3" * 4,
    "npm token": "npm_" + "a1B2c3" * 6,
    "PyPI token": "pypi-AgEIcHlwaS5vcmc" + "CJ" * 30,
    "Atlassian token": "ATATT3xFfGF0" + "aB3_" * 15,
    "Vault token": "hvs." + "CAESIJ" * 6,
    "Terraform Cloud token": "abcdefghijklmn.atlasv1." + "z" * 64,
    "password in a URL": "postgres://app:s3cr3t-Pa55@db.internal:5432/orders",
    "Authorization header": "Authorization: Bearer abcdef0123456789ABCDEF",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nabcdef\n-----END RSA PRIVATE KEY-----",
    "private key, cut": "-----BEGIN PRIVATE KEY-----\n" + "        MIIEowIBAAKCAQEA7abcdefgh\n" * 2,
}  # fmt: skip


def encodings(secret: str) -> dict[str, str]:
    raw = secret.encode()
    found = {
        "plain": secret,
        "json": json.dumps(secret)[1:-1],
        "json, not ascii": json.dumps(secret, ensure_ascii=False)[1:-1],
        "go json": json.dumps(secret)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        "url": urllib.parse.quote(secret, safe=""),
        "url, slashes kept": urllib.parse.quote(secret),
        "form": urllib.parse.quote_plus(secret),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
    }
    for shift in range(3):
        found[f"base64 after {shift}"] = base64.b64encode(b"?" * shift + raw + b"!").decode()
        found[f"base64url after {shift}"] = base64.urlsafe_b64encode(b"?" * shift + raw + b"!").decode()
    return found


@pytest.mark.parametrize("encoding", encodings(SECRET))
def test_a_known_secret_is_gone_in_every_encoding(encoding: str) -> None:
    form = encodings(SECRET)[encoding]
    shown = Redactor([SECRET]).redact(f"before {form} after")
    assert REDACTED in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    for start in range(len(form) - WINDOW + 1):
        assert form[start : start + WINDOW] not in shown


@given(
    st.integers(0, len(SECRET) - WINDOW), st.integers(WINDOW, len(SECRET)), st.text(max_size=20), st.text(max_size=20)
)
def test_any_part_of_twelve_characters_is_a_leak(start: int, length: int, before: str, after: str) -> None:
    part = SECRET[start : start + length]
    assume(len(part) >= WINDOW)
    assert part not in Redactor([SECRET]).redact(before + part + after)


@given(st.text(min_size=WINDOW, max_size=60), st.text(max_size=200))
@settings(max_examples=200)
def test_text_without_the_secret_is_returned_as_the_same_object(secret: str, text: str) -> None:
    assume(
        not any(form[i : i + 6] in text for form in encodings(secret).values() for i in range(max(1, len(form) - 5)))
    )
    assume(not any(line.strip() and line.strip() in text for line in secret.splitlines()))
    assert Redactor([secret]).redact(text) is text


@given(st.lists(st.text(max_size=40), max_size=4), st.text(max_size=200))
@settings(max_examples=200)
def test_redacting_twice_changes_nothing(secrets: list[str], text: str) -> None:
    assume(not any(REDACTED in secret or secret in REDACTED for secret in secrets))
    redactor = Redactor(secrets)
    once = redactor.redact("".join([text, *secrets, text]))
    assert redactor.redact(once) == once


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_of_a_known_format_needs_no_announcement(name: str) -> None:
    token = TOKENS[name]
    for text in (token, f"x = {token}\n", f'"{token}"', f"`{token}`,", f"(see {token})"):
        shown = Redactor().redact(text)
        assert REDACTED in shown
        assert token not in shown
    assert [found for found, *_ in token_finds(token)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "task-definition-for-the-orders-service-in-production-environment",
        "aws_iam_role.deploy arn:aws:iam::125611408459:role/deploy",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "actions/checkout@b4ffde65f46336ab88eb53be808477a3936bae11 # v4.1.1",
        "https://github.com/DrivvenConsulting/orders/issues/12",
        "postgres://app:${var.password}@db/orders",
        "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----",
        "Authorization: Bearer <token>",
        "eyJ is how a token begins",
        "------------ ============ ............",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor(["a-secret-that-is-elsewhere-1234"]).redact(text) is text


def test_each_line_of_a_secret_is_a_secret_and_a_short_one_is_found_whole() -> None:
    redactor = Redactor(["first-line-of-it\nsecond-line-of-it", "hunter2"])
    assert redactor.redact("a second-line-of-it b hunter2 c hunter") == f"a {REDACTED} b {REDACTED} c hunter"


def test_a_secret_may_be_added_later() -> None:
    """Some secrets exist only after the run has started."""
    redactor = Redactor()
    text = "token kaleidoscope-77-zebra"
    assert redactor.redact(text) is text
    redactor.add("kaleidoscope-77-zebra")
    assert redactor.redact(text) == f"token {REDACTED}"


def test_a_redactor_that_breaks_lets_nothing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor([SECRET])
    monkeypatch.setattr(redactor, "_windows", None)
    monkeypatch.setattr(redactor, "_grams", None)
    monkeypatch.setattr(redactor, "_short", None)
    with pytest.raises(RedactionFailed) as failed:
        redactor.redact("anything at all")
    assert SECRET not in str(failed.value)


def test_a_redactor_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(Redactor([SECRET]))


HOSTILE = [
    *(
        SECRET[:9],
        SECRET[:11],
        SECRET,
        "eyJ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "://",
        "://a:b",
        "authorization",
        "secret_access_key",
    ),
    *("ghp_", "xoxb-", "AKIA", "plain text "),
]


@pytest.mark.parametrize("seed", HOSTILE)
def test_redaction_is_linear(seed: str) -> None:
    redactor = Redactor([SECRET])
    assert_linear(lambda size: redactor.redact(seed * (size // len(seed))), 60_000)
