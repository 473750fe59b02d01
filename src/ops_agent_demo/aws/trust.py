"""What AWS checks before it gives a web identity a role: the token, the role's trust policy, the request itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from ops_agent_demo.aws.issuer import Issuer

AUDIENCE = "sts.amazonaws.com"
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+")
_SESSION = re.compile(r"[\w+=,.@-]{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error in AWS's words: HTTP status, code, message."""

    status: int
    code: str
    message: str

    @property
    def xml(self) -> bytes:
        return (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{self.code}</Code><Message>{self.message}</Message></Error>"
            "<RequestId>embedded</RequestId></ErrorResponse>"
        ).encode()


def judge(form: Mapping[str, str], issuer: Issuer, trust: Mapping[str, tuple[str, ...]]) -> Refusal | None:
    """None when `AssumeRoleWithWebIdentity` may go on. `trust` maps a role's ARN to the exact `sub` values that it
    accepts.
    """
    malformed = _malformed(form)
    if malformed:
        return Refusal(status=400, code="ValidationError", message=malformed)
    try:
        claims = jwt.decode(
            form.get("WebIdentityToken", ""),
            issuer.public_key,
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=issuer.name,
            options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_iat": False, "verify_nbf": False},
        )
    except jwt.ExpiredSignatureError:
        return Refusal(
            status=400,
            code="ExpiredTokenException",
            message="Token expired: current date/time must be before the expiration date/time",
        )
    except jwt.InvalidAudienceError:
        return Refusal(status=400, code="InvalidIdentityToken", message="Incorrect token audience")
    except jwt.InvalidIssuerError:
        return Refusal(
            status=400,
            code="InvalidIdentityToken",
            message="No OpenIDConnect provider found in your account for this issuer",
        )
    except jwt.PyJWTError:
        return Refusal(
            status=400,
            code="InvalidIdentityToken",
            message="Couldn't retrieve verification key from your identity provider",
        )
    if claims.get("nbf", 0) > time.time() + 60:
        return Refusal(status=400, code="InvalidIdentityToken", message="Token is not valid yet")
    if claims["sub"] not in trust.get(form["RoleArn"], ()):
        return Refusal(
            status=403, code="AccessDenied", message="Not authorized to perform sts:AssumeRoleWithWebIdentity"
        )
    return None


def _malformed(form: Mapping[str, str]) -> str | None:
    if not _ROLE.fullmatch(form.get("RoleArn", "")):
        return f"{form.get('RoleArn', '')} is invalid"
    if not _SESSION.fullmatch(form.get("RoleSessionName", "")):
        return "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint"
    if not 900 <= int(form.get("DurationSeconds", "3600")) <= 43_200:
        return "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint"
    policy = form.get("Policy")
    if policy is not None:
        try:
            json.loads(policy)
        except ValueError:
            return "This policy contains invalid Json"
        if len(policy) > 2_048:
            return "1 validation error detected: Value at 'policy' failed to satisfy constraint: length"
    return None
