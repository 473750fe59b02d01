"""AWS Signature Version 4, as far as one POST to STS needs it (checked against botocore in the tests)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

_SIGNED = "content-type;host;x-amz-date;x-amz-security-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Temporary AWS credentials; `expires_at` in seconds since the epoch. Secret values stay out of repr."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float


def signed_headers(url: str, body: bytes, *, credentials: Credentials, region: str, now: float, service: str = "sts") -> dict[str, str]:
    """Headers of a form POST to the root path of `url`, signed at `now` (seconds since the epoch)."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": urlsplit(url).netloc,
        "x-amz-date": moment,
        "x-amz-security-token": credentials.session_token,
    }
    lines = "".join(f"{name}:{headers[name]}\n" for name in _SIGNED.split(";"))
    canonical = f"POST\n/\n\n{lines}\n{_SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    authorization = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}"
    return {**headers, "authorization": authorization}
