"""The WSGI layer in front of moto: records every call, checks STS, ends sessions that have expired, serves the runner's
token endpoint.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from ops_agent_demo.aws.issuer import Issuer
from ops_agent_demo.aws.trust import Refusal, judge

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_ACCOUNT = re.compile(r"\d{12}")
Start = Callable[..., Any]
_MAX_HOLD = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the emulated AWS: `service` and `region` from its signature, `operation` where the wire format
    contains it.
    """

    method: str
    path: str
    service: str
    region: str
    access_key: str
    operation: str
    form: dict[str, str] = field(default_factory=dict)
    refused: str = ""


class Front:
    """`trust` maps role ARN -> accepted `sub` values. `sessions` maps access key -> end of its life (seconds since the
    epoch).

    `held` maps role ARN -> event: a session of the role is issued once it is set; after 15 s of waiting the answer is
    an error that asks the caller to try again.
    """

    def __init__(self, moto: Callable[..., Iterable[bytes]], issuer: Issuer, trust: dict[str, tuple[str, ...]]) -> None:
        self._moto, self.issuer, self.trust = moto, issuer, trust
        self.calls: list[Call] = []
        self.sessions: dict[str, float] = {}
        self.invoking: dict[str, tuple[str, str]] = {}
        self.session_seconds: float | None = None
        self.acting_account: str = ""
        self.role_refusal: Refusal | None = None
        self.faults: list[Refusal] = []
        self.held: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path.startswith(("/oidc/", "/.well-known/")):
            return self._oidc(path, environ, start)
        body = _body(environ)
        call = _read(environ, body)
        if _ACCOUNT.fullmatch(call.access_key):
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.access_key
        refusal = self._refusal(call)
        with self._lock:
            self.calls.append(call if refusal is None else replace(call, refused=refusal.code))
        if refusal is not None:
            start(f"{refusal.status} Error", [("Content-Type", "text/xml"), ("Date", _date())])
            return [refusal.xml]
        if call.operation == "AssumeRoleWithWebIdentity":
            return self._assume(environ, start)
        ready = _ready_answer(call, self.acting_account)
        if ready:
            start("200 OK", [("Content-Type", "text/xml"), ("Date", _date())])
            return [ready]
        return self._moto(environ, start)

    def _refusal(self, call: Call) -> Refusal | None:
        with self._lock:
            if self.faults and call.service in ("", "sts"):
                return self.faults.pop(0)
        if call.operation == "AssumeRoleWithWebIdentity":
            return self.role_refusal or judge(call.form, self.issuer, self.trust) or self._hold(call.form["RoleArn"])
        if call.operation == "GetUser" and "UserName" not in call.form:
            return Refusal(
                status=400,
                code="ValidationError",
                message="Must specify userName when calling with non-User credentials",
            )
        if self.sessions.get(call.access_key, float("inf")) < time.time():
            return Refusal(
                status=403, code="ExpiredToken", message="The security token included in the request is expired"
            )
        return None

    def _hold(self, role: str) -> Refusal | None:
        over = self.held.get(role)
        if over is None or over.wait(_MAX_HOLD):
            return None
        return Refusal(status=503, code="ServiceUnavailable", message="Somebody is at work in this account; try again")

    def _assume(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """moto makes the session in the role's own account; its life is remembered, and shortened when
        `session_seconds` says so.
        """
        answer = b"".join(self._moto(environ, start)).decode()
        key = re.search(r"<AccessKeyId>([^<]+)<", answer)
        expiry = re.search(r"<Expiration>([^<]+)<", answer)
        secret = re.search(r"<SecretAccessKey>([^<]+)<", answer)
        token = re.search(r"<SessionToken>([^<]+)<", answer)
        if key and secret and token and "bedrock:Invoke" in _form_value(environ, "Policy", ""):
            self.invoking[key[1]] = secret[1], token[1]
        if key and expiry:
            seconds = self.session_seconds or float(_form_value(environ, "DurationSeconds", "3600"))
            end = time.time() + seconds
            self.sessions[key[1]] = end
            # Same length, so moto's Content-Length stays true.
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end)) + expiry[1][19:]
            answer = answer.replace(expiry[1], stamp)
        return [answer.encode()]

    def _oidc(self, path: str, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        status, body = "200 OK", ""
        if path == "/.well-known/jwks":
            body = self.issuer.key_set()
        elif path == "/.well-known/openid-configuration":
            body = json.dumps(
                {
                    "issuer": self.issuer.name,
                    "jwks_uri": "/.well-known/jwks",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        else:
            scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
            audience = parse_qs(environ.get("QUERY_STRING", "")).get("audience", [""])[0]
            with self._lock:
                self.calls.append(
                    Call(
                        method="GET",
                        path=path,
                        service="oidc",
                        region="",
                        access_key="",
                        operation="IdToken",
                        form={"audience": audience},
                    )
                )
                fault = self.faults.pop(0) if self.faults else None
            made = self.issuer.token_for(token, audience) if scheme.lower() == "bearer" and fault is None else None
            status = f"{fault.status} Error" if fault else "200 OK" if made else "401 Unauthorized"
            body = json.dumps({"value": made}) if made else json.dumps({"message": "Unauthorized"})
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body.encode()]


_IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:sts::{account}:assumed-role/r/s</Arn><UserId>AROA:s</UserId><Account>{account}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


_PLATFORMS = (
    '<DescribeAccountAttributesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    "<requestId>embedded</requestId><accountAttributeSet><item><attributeName>supported-platforms</attributeName>"
    "<attributeValueSet><item><attributeValue>VPC</attributeValue></item></attributeValueSet></item>"
    "</accountAttributeSet></DescribeAccountAttributesResponse>"
)


def _ready_answer(call: Call, acting_account: str) -> bytes | None:
    """What need not wake moto: another account than the true one, and what old providers ask of EC2 (slow to load)."""
    if call.operation == "GetCallerIdentity" and acting_account:
        return _IDENTITY.format(account=acting_account).encode()
    return _PLATFORMS.encode() if call.operation == "DescribeAccountAttributes" else None


def _body(environ: dict[str, Any]) -> bytes:
    """The request's bytes, for small form posts; put back so that moto reads them again."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < length < 1 << 20:
        return b""
    body = bytes(environ["wsgi.input"].read(length))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["ops_agent.body"] = body
    return body


def _form_value(environ: dict[str, Any], name: str, default: str) -> str:
    body: bytes = environ.get("ops_agent.body", b"")
    return dict(parse_qsl(body.decode(errors="replace"))).get(name, default)


def _read(environ: dict[str, Any], body: bytes) -> Call:
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    form = dict(parse_qsl(body.decode(errors="replace"))) if b"Action=" in body[:4_096] or b"&Action=" in body else {}
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    return Call(
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", "/"),
        service=scope["service"] if scope else "",
        region=scope["region"] if scope else "",
        access_key=scope["key"] if scope else "",
        operation=target or form.get("Action", ""),
        form=form,
    )


def _date() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
