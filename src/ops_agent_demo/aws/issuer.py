"""GitHub's OIDC issuer and the runner's token endpoint, as GitHub Actions offers them to a job."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_ID = "embedded-1"
ISSUER = "https://token.actions.githubusercontent.com"
LIFE = 300


class Issuer:
    """Signs JWTs (RS256) for jobs that hold a request token. `skew` moves its clock, in seconds."""

    def __init__(self, issuer: str = ISSUER) -> None:
        self.name = issuer
        self.skew = 0.0
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._jobs: dict[str, dict[str, str]] = {}

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self._key.public_key()

    def register(self, claims: dict[str, str]) -> str:
        """A job's request token; `claims` must hold `sub`."""
        token = secrets.token_urlsafe(24)
        self._jobs[token] = claims
        return token

    def token_for(self, request_token: str, audience: str) -> str | None:
        """The JWT of the job, None when nobody holds this request token."""
        claims = self._jobs.get(request_token)
        return None if claims is None else self.sign({**claims, "aud": audience})

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with `claims`; `iss`, `iat`, `nbf`, `exp` and `jti` are ours unless given."""
        moment = int(time.time() + self.skew)
        standard = {
            "iss": self.name,
            "iat": moment,
            "nbf": moment - 5,
            "exp": moment + LIFE,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({**standard, **claims}, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def key_set(self) -> str:
        """JWKS with the public key."""
        numbers = self.public_key.public_numbers()
        parts = {"n": numbers.n, "e": numbers.e}
        words = {
            name: base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()
            for name, value in parts.items()
        }
        return json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, **words}]})
